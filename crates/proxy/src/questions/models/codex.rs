//! The models in the shape that Codex asks for, with `?client_version=`: it cannot read OpenAI's, and
//! without a list it takes a window of its own choice for every model that it does not know.

use std::borrow::Cow;
use std::sync::Arc;

use dunlin_router::Group;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::questions::model_info::{able, object};

/// What Codex tells a model that has no other instructions: here they must stand in the list.
const INSTRUCTIONS: &str = "\
You are Codex, a coding agent that works in the user's terminal and repository. Do what the user asks \
to its end: read the code that matters before you change it, make the smallest change that solves \
the problem at its root, keep to the style of the files around it, and run what shows that it works, \
such as the tests, the build or the program. Use the shell tool to read, search and run; prefer `rg` \
for searching. Change files with `apply_patch` where it is there. Keep to the sandbox and the approvals \
you are told of: ask before anything that destroys, that leaves the repository or that needs the \
network. Never undo changes that you did not make, never commit unless you are asked to, and keep to \
what AGENTS.md files say for the folders they are in. Do not guess: where a fact can be looked up, look \
it up; where the task is unclear in a way that matters, ask. Say in a line what you are about to do \
before longer work. At the end say briefly what you changed and where (`path:line`), how you checked \
it, and what is left.";

/// How long an output of a tool may be until Codex cuts it.
const OUTPUT_TOKENS: u32 = 10_000;

#[derive(Serialize)]
pub(super) struct Catalogue {
    models: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    slug: Arc<str>,
    display_name: Arc<str>,
    description: Option<String>,
    default_reasoning_level: Option<&'static str>,
    supported_reasoning_levels: Vec<Level>,
    shell_type: &'static str,
    visibility: &'static str,
    supported_in_api: bool,
    priority: usize,
    upgrade: Option<()>,
    base_instructions: &'static str,
    supports_reasoning_summaries: bool,
    support_verbosity: bool,
    default_verbosity: Option<()>,
    /// A tool of a kind that only OpenAI's own models know: patches go by the shell.
    apply_patch_tool_type: Option<()>,
    truncation_policy: Truncation,
    supports_parallel_tool_calls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_context_window: Option<u64>,
    experimental_supported_tools: [&'static str; 0],
    input_modalities: &'static [&'static str],
}

#[derive(Serialize)]
struct Level {
    effort: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct Truncation {
    mode: &'static str,
    limit: u32,
}

impl Catalogue {
    /// Of the models that chat.
    pub(super) fn of<'g>(groups: impl Iterator<Item = (Arc<str>, Cow<'g, Group>)>) -> Self {
        let chats = groups.filter(|(name, group)| !name.contains('*') && chats(group));
        Self {
            models: chats.enumerate().map(|(at, (name, group))| model(at, name, &group)).collect(),
        }
    }
}

fn chats(group: &Group) -> bool {
    let mut modes = group.deployments.iter().map(|one| &*one.about.mode);
    modes.any(|mode| matches!(mode, "chat" | "responses"))
}

fn model(priority: usize, slug: Arc<str>, group: &Group) -> Model {
    let all: Vec<Map<String, Value>> =
        group.deployments.iter().map(|one| object(one.about.info.get())).collect();
    let reasons = able(&all, "supports_reasoning");
    // Whichever of them is asked, it must have room.
    let windows = all.iter().filter_map(|info| info.get("max_input_tokens")?.as_u64());
    let window = windows.min();
    let levels = [
        ("low", "Fast, with little thinking"),
        ("medium", "Thinking for everyday work"),
        ("high", "Long thinking for hard problems"),
    ];
    let levels = levels.map(|(effort, description)| Level { effort, description });
    Model {
        display_name: Arc::clone(&slug),
        slug,
        description: None,
        default_reasoning_level: reasons.then_some("medium"),
        supported_reasoning_levels: levels.into_iter().filter(|_| reasons).collect(),
        shell_type: "shell_command",
        visibility: "list",
        supported_in_api: true,
        priority,
        upgrade: None,
        base_instructions: INSTRUCTIONS,
        supports_reasoning_summaries: reasons,
        support_verbosity: false,
        default_verbosity: None,
        apply_patch_tool_type: None,
        truncation_policy: Truncation { mode: "tokens", limit: OUTPUT_TOKENS },
        supports_parallel_tool_calls: able(&all, "supports_parallel_function_calling"),
        context_window: window,
        max_context_window: window,
        experimental_supported_tools: [],
        input_modalities: if able(&all, "supports_vision") {
            &["text", "image"]
        } else {
            &["text"]
        },
    }
}
