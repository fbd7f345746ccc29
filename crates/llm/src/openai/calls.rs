//! Calls of tools in OpenAI's messages, and the seals that come with Gemini's: LiteLLM puts them into
//! `provider_specific_fields` and behind the id, Google's own compatible server into
//! `extra_content`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::reply::finish_word;
use super::write::tool_call;
use crate::form::{
    Finish, Grammar, Json, Tool, ToolCall, custom_arguments, custom_input, unsealed,
};
use crate::json::string;

#[derive(Deserialize, Default)]
pub(super) struct WireCall {
    /// Of a piece of a stream: which call it is of.
    pub(super) index: Option<u32>,
    pub(super) id: Option<String>,
    pub(super) function: Option<WireCalled>,
    custom: Option<WireCustom>,
    provider_specific_fields: Option<Sealed>,
    extra_content: Option<Extra>,
}

/// A tool that takes any text.
#[derive(Deserialize)]
struct WireCustom {
    name: Option<String>,
    input: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireCalled {
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "arguments")]
    pub(super) arguments: Option<String>,
    provider_specific_fields: Option<Sealed>,
}

#[derive(Deserialize)]
struct Sealed {
    thought_signature: Option<String>,
}

#[derive(Deserialize)]
struct Extra {
    google: Option<Sealed>,
}

/// Arguments are a JSON text; some have the object that it stands for.
fn arguments<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let said = Option::<Box<RawValue>>::deserialize(from)?;
    let of = |said: Box<RawValue>| match string(said.get()) {
        Some(text) => Ok(text.into_owned()),
        None if said.get().starts_with('{') => Ok(said.get().to_owned()),
        None => Err(D::Error::custom("arguments are a JSON text or an object")),
    };
    said.map(of).transpose()
}

/// The only call of an answer, in the form before there were tools.
impl From<WireCalled> for WireCall {
    fn from(called: WireCalled) -> Self {
        Self { function: Some(called), ..Self::default() }
    }
}

impl WireCall {
    /// The call, if it is one of a tool. `None` for its name: it has none.
    pub(super) fn call(mut self) -> Option<Option<ToolCall>> {
        let seal = self.seal();
        let custom = self.custom.map(|WireCustom { name, input }| WireCalled {
            name,
            arguments: Some(custom_arguments(&input.unwrap_or_default())),
            provider_specific_fields: None,
        });
        let call = self.function.or(custom)?.call(self.id);
        Some(call.map(|call| ToolCall { signature: seal.or(call.signature.clone()), ..call }))
    }

    /// Its id, if it has one.
    pub(super) fn given_id(&mut self) -> Option<String> {
        self.id.take().filter(|id| !id.is_empty())
    }

    /// The seal that stands beside the call.
    pub(super) fn seal(&mut self) -> Option<String> {
        let google = self.extra_content.take().and_then(|extra| extra.google);
        let seal = self.provider_specific_fields.take().or(google);
        seal.and_then(|seal| seal.thought_signature)
    }
}

impl WireCalled {
    /// The call of this function; `None` if it is not named.
    pub(super) fn call(self, id: Option<String>) -> Option<ToolCall> {
        let name = self.name.filter(|name| !name.is_empty())?;
        let id = id.unwrap_or_else(|| format!("call_{name}"));
        let (id, behind_id) = unsealed(&id);
        let seal = self.provider_specific_fields.and_then(|fields| fields.thought_signature);
        let arguments = self.arguments.unwrap_or_default();
        Some(ToolCall { id, name, arguments, signature: seal.or(behind_id) })
    }
}

/// An id for a call of an answer whose server gives it none, or an empty one: no two of a conversation
/// are alike, since each answer has an id of its own.
pub(super) fn made_id(answer: Option<&str>, choice: u32, call: u32) -> String {
    let seed = format!("{} {choice} {call}", answer.unwrap_or_default());
    format!("call_{}", &hex::encode(Sha256::digest(seed))[..24])
}

/// How a client's request has calls told.
pub(super) struct Calls {
    /// Its tools that take any text.
    pub(super) custom: BTreeSet<String>,
    /// It has `functions`, the form before there were tools: an answer calls one of them.
    pub(super) are_legacy: bool,
}

impl Calls {
    pub(super) fn of(request: &str) -> Self {
        let is_said = |name| crate::edit::member(request.as_bytes(), name).is_some();
        // Few have one, and others need not be read again.
        let are_legacy =
            request.contains("\"functions\"") && is_said("functions") && !is_said("tools");
        Self { custom: custom_tools(request), are_legacy }
    }

    /// OpenAI's word for why an answer ended.
    pub(super) fn finish_word<'f>(&self, finish: &'f Finish) -> &'f str {
        let is_call = *finish == Finish::ToolCalls;
        if is_call && self.are_legacy { "function_call" } else { finish_word(finish) }
    }

    /// A call for the client, who sends it back as it is.
    pub(super) fn sealed(&self, call: &ToolCall) -> Value {
        let mut wire = tool_call(call);
        if self.custom.contains(&call.name) {
            let input = custom_input(&call.arguments);
            wire = json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": input}});
        }
        if let Some(seal) = &call.signature {
            wire["id"] = call.sealed_id().into();
            wire["provider_specific_fields"] = json!({"thought_signature": seal});
        }
        wire
    }
}

/// A call in the form before there were tools.
pub(super) fn called(call: &ToolCall) -> Value {
    json!({"name": call.name, "arguments": call.arguments})
}

/// A tool that takes any text.
#[derive(Deserialize)]
struct CustomTool {
    custom: Option<Custom>,
}

#[derive(Deserialize)]
struct Custom {
    name: String,
    description: Option<String>,
    format: Option<CustomFormat>,
}

#[derive(Deserialize)]
struct CustomFormat {
    grammar: Option<Grammar>,
}

/// The function that stands for a tool which takes any text. `None`: it is another tool.
#[must_use]
pub fn function_of_custom(tool: &Json) -> Option<Tool> {
    let CustomTool { custom } = serde_json::from_str(tool.text()).ok()?;
    let Custom { name, description, format } = custom?;
    Some(Tool::of_any_text(name, description, format.and_then(|format| format.grammar)))
}

/// The names of a request's tools that take any text.
fn custom_tools(request: &str) -> BTreeSet<String> {
    // Few have one, and others need not be read again.
    if !request.contains("\"custom\"") {
        return BTreeSet::new();
    }
    let tools = crate::edit::member(request.as_bytes(), "tools");
    let tools: Vec<CustomTool> =
        tools.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
    tools.into_iter().filter_map(|tool| Some(tool.custom?.name)).collect()
}

/// A call for Google's compatible server, which wants the seal back where it has put it.
pub(super) fn googles_call(call: &ToolCall) -> Value {
    let mut wire = tool_call(call);
    if let Some(seal) = &call.signature {
        wire["extra_content"] = json!({"google": {"thought_signature": seal}});
    }
    wire
}
