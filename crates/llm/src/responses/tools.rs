//! The tools of a request, and which of them the model may or must call.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Dialect;
use crate::form::{Chat, Grammar, Json, Tool, ToolChoice, is_web_search};
use crate::json::{Member, members, string};
use crate::parse::BadRequest;
use crate::responses::read::{invalid, value};

/// A tool's definition, or a tool as a choice names it.
#[derive(Deserialize)]
struct Wire {
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    parameters: Option<Json>,
    strict: Option<bool>,
    format: Option<WireFormat>,
}

/// What the input of a custom tool looks like.
#[derive(Deserialize)]
struct WireFormat {
    syntax: Option<String>,
    definition: Option<String>,
}

impl WireFormat {
    fn grammar(self) -> Option<Grammar> {
        let Self { syntax, definition } = self;
        Some(Grammar { syntax, definition: definition? })
    }
}

/// What `tool_choice` says.
pub(super) struct Wanted {
    choice: ToolChoice,
    /// Those of the tools that may be called, where not all may: types, and names of functions.
    among: Option<BTreeSet<(String, Option<String>)>>,
}

/// Reads `tools`.
pub(super) fn read_tools(member: &Member<'_>) -> Result<Vec<Tool>, BadRequest> {
    let raws: Vec<&RawValue> = value(member, "a list of tools")?;
    let read = |(at, raw): (usize, &RawValue)| {
        let wrong = || invalid(&format!("tools[{at}]"), "a tool with a type and a name");
        let tool: Wire = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        let Wire { r#type, name, description, parameters, strict, format } = tool;
        Ok(match &*r#type {
            "function" => Tool::Function {
                name: name.ok_or_else(wrong)?,
                description,
                parameters: parameters.filter(Json::is_object),
                // Chats of other servers know no strictness, and OpenAI's SDKs always send it.
                strict: strict.filter(|strict| *strict),
                cache: None,
            },
            "custom" => {
                let grammar = format.and_then(WireFormat::grammar);
                Tool::of_any_text(name.ok_or_else(wrong)?, description, grammar)
            }
            _ => Tool::Hosted(raw.into()),
        })
    };
    raws.into_iter().enumerate().map(read).collect()
}

/// The names of the request's tools that take any text.
pub(super) fn custom_tools(request: &str) -> BTreeSet<String> {
    let tools = crate::edit::member(request.as_bytes(), "tools");
    let tools: Vec<Wire> = tools.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
    let custom = tools.into_iter().filter(|tool| tool.r#type == "custom");
    custom.filter_map(|tool| tool.name).collect()
}

/// Reads `tool_choice`.
pub(super) fn read_choice(member: &Member<'_>) -> Result<Wanted, BadRequest> {
    #[derive(Deserialize)]
    struct WireChoice {
        r#type: String,
        name: Option<String>,
        mode: Option<String>,
        tools: Option<Vec<WireNamed>>,
    }
    #[derive(Deserialize)]
    struct WireNamed {
        r#type: String,
        name: Option<String>,
    }
    let expected = "auto, none, required, or an object with the type of a tool, or with type \
                    allowed_tools, a mode and tools";
    let word = |word: &str| match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" | "any" | "tool" => Some(ToolChoice::Required),
        _ => None,
    };
    let wrong = || invalid("tool_choice", expected);
    let of = |choice| Ok(Wanted { choice, among: None });
    if let Some(text) = string(member.value) {
        return of(word(&text).ok_or_else(wrong)?);
    }
    let wire: WireChoice = value(member, expected)?;
    match (&*wire.r#type, wire.name) {
        ("function" | "custom", Some(name)) => of(ToolChoice::Named(name)),
        ("function" | "custom", None) => of(ToolChoice::Required),
        ("allowed_tools", _) => {
            let mode = wire.mode.as_deref().unwrap_or("auto");
            let tools = wire.tools.ok_or_else(wrong)?;
            let among = tools.into_iter().map(|tool| (tool.r#type, tool.name)).collect();
            Ok(Wanted { choice: word(mode).ok_or_else(wrong)?, among: Some(among) })
        }
        // Some clients wrap the plain words in an object.
        (kind, _) => of(word(kind).unwrap_or_else(|| ToolChoice::Hosted(kind.to_owned()))),
    }
}

/// Applies `tool_choice` to the tools, which have been read.
pub(super) fn choose(chat: &mut Chat, wanted: Wanted) -> Result<(), BadRequest> {
    let Wanted { choice, among } = wanted;
    if let ToolChoice::Hosted(kind) = &choice
        && !chat.tools.iter().any(|tool| is_of(tool, kind))
    {
        return Err(invalid("tool_choice", "a tool that is one of `tools`"));
    }
    if let Some(among) = among {
        let is_allowed = |tool: &Tool| match tool {
            Tool::Function { name, .. } => among.iter().any(|(kind, allowed)| {
                matches!(&**kind, "function" | "custom") && allowed.as_ref() == Some(name)
            }),
            Tool::Hosted(_) => among.iter().any(|(kind, _)| is_of(tool, kind)),
        };
        if !chat.allow_only(is_allowed) {
            return Err(invalid("tool_choice.tools", "some of the request's `tools`"));
        }
    }
    chat.tool_choice = Some(choice);
    Ok(())
}

/// Whether a tool is of the type that a choice names: a search of the web has several names.
fn is_of(tool: &Tool, kind: &str) -> bool {
    let Some(own) = tool.kind() else { return false };
    *own == *kind || (is_web_search(&own) && is_web_search(kind))
}

/// The types of the request's tools that a server would run itself, those that it may use.
#[must_use]
pub fn hosted_tools(request: &str) -> Vec<String> {
    let mut chat = Chat::new(Dialect::Responses);
    let found = members(request).unwrap_or_default();
    let named = |name: &str| found.iter().find(|member| member.name == name);
    chat.tools = named("tools").and_then(|tools| read_tools(tools).ok()).unwrap_or_default();
    let wanted = named("tool_choice").and_then(|choice| read_choice(choice).ok());
    // A choice that cannot be is refused by who reads the request.
    let _chosen = wanted.map(|wanted| choose(&mut chat, wanted));
    chat.tools.iter().filter_map(|tool| tool.kind().map(|kind| kind.into_owned())).collect()
}
