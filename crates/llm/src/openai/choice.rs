//! OpenAI's `tool_choice`: a word, the name of a tool, or some of the tools that may be called.

use serde::Deserialize;
use serde_json::Value;

use super::chat::{invalid, value};
use crate::endpoint::Endpoint;
use crate::form::{Chat, Tool, ToolChoice};
use crate::json::{Member, string};
use crate::parse::BadRequest;

const EXPECTED: &str = "none, auto, required, a function's name, or allowed_tools with a mode and \
                        some of the request's tools";

#[derive(Deserialize)]
struct Wire {
    name: Option<String>,
    function: Option<Named>,
    custom: Option<Named>,
    allowed_tools: Option<Allowed>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Those of the tools that may be called this time.
#[derive(Deserialize)]
struct Allowed {
    mode: Option<String>,
    tools: Vec<Value>,
}

/// Reads it.
pub(super) fn read(member: &Member<'_>) -> Result<ToolChoice, BadRequest> {
    let wrong = || invalid(Endpoint::ChatCompletions, &member.name, EXPECTED);
    let word = |word: &str| match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" => Ok(ToolChoice::Required),
        _ => Err(wrong()),
    };
    if let Some(said) = string(member.value) {
        return word(&said);
    }
    let wire: Wire = value(Endpoint::ChatCompletions, member, EXPECTED)?;
    if let Some(allowed) = wire.allowed_tools {
        return word(allowed.mode.as_deref().unwrap_or("auto"));
    }
    let name = wire.function.or(wire.custom).map(|tool| tool.name).or(wire.name);
    name.map(ToolChoice::Named).ok_or_else(wrong)
}

/// Says which tools may be called this time, once all of a body has been read.
pub(super) fn allow(chat: &mut Chat, body: &[Member<'_>]) -> Result<(), BadRequest> {
    let choice = body.iter().find(|member| member.name == "tool_choice");
    let wire = choice.and_then(|choice| serde_json::from_str::<Wire>(choice.value).ok());
    let Some(Allowed { tools, .. }) = wire.and_then(|wire| wire.allowed_tools) else {
        return Ok(());
    };
    if chat.allow_only(|tool| tools.iter().any(|allowed| is_of(tool, allowed))) {
        return Ok(());
    }
    Err(invalid(Endpoint::ChatCompletions, "tool_choice", EXPECTED))
}

/// Whether a tool is the one that is allowed.
fn is_of(tool: &Tool, allowed: &Value) -> bool {
    match tool {
        Tool::Function { name, .. } => allowed["function"]["name"] == name.as_str(),
        Tool::Hosted(json) => {
            let own = json.value();
            own["type"] == allowed["type"] && own["custom"]["name"] == allowed["custom"]["name"]
        }
    }
}
