//! Tools that the client runs itself. To a bridged model each is a function; the client is told of a
//! call as the item that OpenAI has for such a tool, and sends that back with what came of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::form::{Json, Tool, ToolCall, custom_input};

/// The name of the function that stands for a tool, which may be in a namespace.
pub(super) fn function_name(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"))
}

/// What the client calls a tool of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnName {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl OwnName {
    pub(super) fn function(&self) -> String {
        function_name(self.namespace.as_deref(), &self.name)
    }

    fn say(&self, item: &mut Value) {
        item["name"] = self.name.as_str().into();
        if let Some(namespace) = &self.namespace {
            item["namespace"] = namespace.as_str().into();
        }
    }
}

/// A tool as a choice names it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Named {
    pub(super) r#type: String,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
}

/// A tool that the client runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientTool {
    Function(OwnName),
    /// It takes any text.
    Custom(OwnName),
    BuiltIn(BuiltIn),
}

impl ClientTool {
    /// Whether it, which `function` stands for, is meant.
    pub(super) fn is(&self, function: &str, named: &Named) -> bool {
        let Named { r#type, name, namespace } = named;
        match (self, &**r#type) {
            (Self::Function(own) | Self::Custom(own), "namespace") => {
                name.is_some() && own.namespace == *name
            }
            (Self::Function(own) | Self::Custom(own), "function" | "custom") => {
                let is_in = namespace.is_none() || own.namespace == *namespace;
                name.as_deref().is_some_and(|name| name == function || (name == own.name && is_in))
            }
            (Self::BuiltIn(built_in), kind) => built_in.kind() == kind,
            (Self::Function(_) | Self::Custom(_), _) => false,
        }
    }

    /// How the ids of its calls begin.
    pub(super) fn id_prefix(&self) -> &'static str {
        match self {
            Self::Function(_) => "fc",
            Self::Custom(_) => "ctc",
            Self::BuiltIn(BuiltIn::ToolSearch) => "tsc",
            Self::BuiltIn(BuiltIn::Shell) => "sh",
            Self::BuiltIn(BuiltIn::LocalShell) => "lsh",
            Self::BuiltIn(BuiltIn::ApplyPatch) => "apc",
        }
    }

    /// The item of a call of it.
    pub(super) fn item(&self, id: &str, status: &str, call: &ToolCall) -> Value {
        let mut item = json!({"id": id, "status": status, "call_id": call.sealed_id()});
        match self {
            Self::Function(own) => {
                let is_empty = call.arguments.is_empty() && status != "in_progress";
                item["type"] = "function_call".into();
                item["arguments"] = if is_empty { "{}" } else { &call.arguments }.into();
                own.say(&mut item);
            }
            Self::Custom(own) => {
                item["type"] = "custom_tool_call".into();
                item["input"] = custom_input(&call.arguments).into();
                own.say(&mut item);
            }
            Self::BuiltIn(built_in) => built_in.say(&mut item, &call.arguments),
        }
        item
    }
}

/// The client's tools, by the names of the functions that stand for them.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientTools(pub(super) BTreeMap<String, ClientTool>);

impl ClientTools {
    /// The one that a model calls: if it errs, a function of that name.
    pub(super) fn called(&self, function: &str) -> ClientTool {
        self.0.get(function).cloned().unwrap_or_else(|| {
            ClientTool::Function(OwnName { namespace: None, name: function.to_owned() })
        })
    }

    /// The function that stands for the tool that is meant.
    pub(super) fn function(&self, named: &Named) -> Option<&str> {
        // It itself, rather than one of that name in a namespace.
        let exact = named.name.as_ref().filter(|_| named.namespace.is_none());
        let exact = exact.and_then(|name| self.0.get_key_value(name));
        let is_meant = |(function, tool): &(&String, &ClientTool)| tool.is(function, named);
        let found = exact.filter(is_meant).or_else(|| self.0.iter().find(is_meant));
        found.map(|(function, _)| function.as_str())
    }
}

/// A tool whose meaning OpenAI's models know, and which is run by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltIn {
    ToolSearch,
    Shell,
    LocalShell,
    ApplyPatch,
}

impl BuiltIn {
    const ALL: [Self; 4] = [Self::ToolSearch, Self::Shell, Self::LocalShell, Self::ApplyPatch];

    /// Its type, and the name of the function that stands for it.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::ToolSearch => "tool_search",
            Self::Shell => "shell",
            Self::LocalShell => "local_shell",
            Self::ApplyPatch => "apply_patch",
        }
    }

    pub(super) fn of_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.kind() == kind)
    }

    /// By the type of its call's item.
    pub(super) fn of_call(item: &str) -> Option<Self> {
        Self::of_kind(item.strip_suffix("_call")?)
    }

    /// By the type of the item that says what came of a call.
    pub(super) fn of_output(item: &str) -> Option<Self> {
        let kind = item.strip_suffix("_output")?;
        Self::of_kind(kind.strip_suffix("_call").unwrap_or(kind))
    }

    /// The function that stands for it. The client may have words of its own.
    pub(super) fn function(self, description: Option<String>, parameters: Option<Json>) -> Tool {
        let own = |parameters: &Value| Json::of(parameters);
        Tool::Function {
            name: self.kind().to_owned(),
            description: Some(description.unwrap_or_else(|| self.description().to_owned())),
            parameters: Some(parameters.unwrap_or_else(|| own(&self.parameters()))),
            strict: None,
            cache: None,
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::ToolSearch => {
                "Searches the tools that are not listed yet. Those that are found can be called \
                 from the next turn on."
            }
            Self::Shell => {
                "Runs shell commands on the user's machine, in their order, and tells what each \
                 printed and how it ended."
            }
            Self::LocalShell => {
                "Runs a command on the user's machine and tells what it printed. The command is a \
                 program and its arguments; for a shell's syntax, run a shell."
            }
            Self::ApplyPatch => {
                "Creates, updates or deletes a file. `diff` has no headers with names of files. To \
                 create a file, it is all lines of it, each with + before it. To update one, it is \
                 hunks: each begins with a line @@, behind which a line may stand that the place is \
                 below, such as the head of a function, and goes on with lines that begin with a \
                 space (they stay), - (they go) or + (they are added), with three lines that stay \
                 around each change."
            }
        }
    }

    /// Those of a call are what its item holds, so that it can be sent back as it is.
    fn parameters(self) -> Value {
        let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
        let texts = json!({"type": "array", "items": text});
        let (properties, required) = match self {
            Self::ToolSearch => (json!({"query": text, "limit": number}), json!(["query"])),
            Self::Shell => (
                json!({"commands": texts, "timeout_ms": number, "max_output_length": number}),
                json!(["commands"]),
            ),
            Self::LocalShell => (
                json!({
                    "command": texts,
                    "env": {"type": "object", "additionalProperties": text},
                    "timeout_ms": number, "user": text, "working_directory": text,
                }),
                json!(["command"]),
            ),
            Self::ApplyPatch => (
                json!({
                    "type": {"type": "string", "enum": OPERATIONS},
                    "path": text,
                    "diff": {"type": "string", "description": "Not for delete_file."},
                }),
                json!(["type", "path"]),
            ),
        };
        json!({"type": "object", "properties": properties, "required": required})
    }

    /// What an item says of a call. A model may err: then nothing is run, or it cannot succeed.
    fn say(self, item: &mut Value, arguments: &str) {
        let said: Value = serde_json::from_str(arguments).unwrap_or_default();
        item["type"] = format!("{}_call", self.kind()).into();
        match self {
            Self::ToolSearch => {
                item["execution"] = "client".into();
                item["arguments"] = if said.is_object() { said } else { arguments.into() };
            }
            Self::Shell => {
                let commands = texts(&said["commands"]);
                item["environment"] = json!({"type": "local"});
                item["action"] = with(&said, json!({"commands": commands}), &SHELL_LIMITS);
            }
            Self::LocalShell => {
                let env = said["env"].as_object().cloned().unwrap_or_default();
                let action =
                    json!({"type": "exec", "command": texts(&said["command"]), "env": env});
                item["action"] = with(&said, action, &LOCAL_SHELL_LIMITS);
            }
            Self::ApplyPatch => {
                // It has no word for one that was not written to its end.
                if item["status"] == "incomplete" {
                    item["status"] = "in_progress".into();
                }
                item["operation"] = operation(&said, arguments);
            }
        }
    }
}

const OPERATIONS: [&str; 3] = ["create_file", "update_file", "delete_file"];
const SHELL_LIMITS: [&str; 2] = ["timeout_ms", "max_output_length"];
const LOCAL_SHELL_LIMITS: [&str; 3] = ["timeout_ms", "user", "working_directory"];

/// `action` with those of `names` that are said.
fn with(said: &Value, action: Value, names: &[&str]) -> Value {
    let mut all: Map<String, Value> = action.as_object().cloned().unwrap_or_default();
    for name in names.iter().filter(|name| !said[**name].is_null()) {
        all.insert((*name).to_owned(), said[*name].clone());
    }
    all.into()
}

fn texts(said: &Value) -> Vec<Value> {
    let one = said.is_string().then(|| vec![said.clone()]);
    let many = || said.as_array().into_iter().flatten().filter(|text| text.is_string()).cloned();
    one.unwrap_or_else(|| many().collect())
}

fn operation(said: &Value, arguments: &str) -> Value {
    let kind = OPERATIONS.into_iter().find(|kind| said["type"] == *kind).unwrap_or("update_file");
    let text = |name: &str| said[name].as_str();
    let mut operation = json!({"type": kind, "path": text("path").unwrap_or_default()});
    if kind != "delete_file" {
        let whole = if said.is_object() { "" } else { arguments };
        operation["diff"] = text("diff").unwrap_or(whole).into();
    }
    operation
}

#[cfg(test)]
mod tests;
