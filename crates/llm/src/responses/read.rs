//! The body of a response's creation, read into the common form.

use serde::Deserialize;

use crate::Dialect;
use crate::answers::COUNT;
use crate::endpoint::Endpoint;
use crate::fields::{Label, Role as Field, role};
use crate::form::{Chat, Effort, Format, Json, Message, Reasoning, Role};
use crate::json::{Member, members, string};
use crate::parse::BadRequest;
use crate::responses::items::read_input;
use crate::responses::tools::{Declared, choose, read_choice};

pub(super) fn invalid(name: &str, expected: &'static str) -> BadRequest {
    BadRequest::Invalid { route: Endpoint::Responses.route(), name: name.to_owned(), expected }
}

/// Reads the body into `chat`, which holds the defaults.
///
/// # Errors
/// An item, tool or parameter is not what it should be, or only the server that keeps responses
/// could carry it out.
pub(crate) fn read_chat(body: &str, mut chat: Chat) -> Result<Chat, BadRequest> {
    chat.from = Dialect::Responses;
    let (mut instructions, mut wanted) = (None, None);
    let found = members(body).expect("a request was parsed from an object");
    for member in &found {
        match role(Endpoint::Responses, &member.name) {
            Field::Label(Label::Foreign) => {
                if member.value != "null" && members(member.value).is_err() {
                    return Err(invalid(&member.name, "an object"));
                }
            }
            Field::Label(Label::Ours)
            | Field::Extra
            | Field::Dropped
            | Field::Guard
            | Field::Refused
            | Field::Model => {}
            Field::Stream => chat.stream = member.value == "true",
            Field::Prompt => chat.messages = read_input(member.value)?,
            Field::Label(Label::User | Label::SafetyIdentifier) => {
                chat.user = string(member.value).map(Into::into).or(chat.user.take());
            }
            Field::MaxTokens | Field::MaxCompletionTokens => {
                chat.max_output = value(member, COUNT)?;
            }
            Field::Choices | Field::Upstream if member.value == "null" => {}
            Field::Choices | Field::Upstream if member.name == "instructions" => {
                instructions = Some(value::<String>(member, "a text")?);
            }
            Field::Choices | Field::Upstream if member.name == "tool_choice" => {
                wanted = Some(read_choice(member)?);
            }
            Field::Choices | Field::Upstream => param(&mut chat, member)?,
        }
    }
    if let Some(text) = instructions.filter(|text| !text.is_empty()) {
        chat.messages.insert(0, Message::of_text(Role::System, text));
    }
    let Declared { tools, own } = Declared::read(&found)?;
    chat.tools = tools;
    // What may be called is said of tools that may stand behind it.
    if let Some(wanted) = wanted {
        choose(&mut chat, &own, wanted)?;
    }
    Ok(chat)
}

pub(super) fn value<'de, T: Deserialize<'de>>(
    member: &Member<'de>,
    expected: &'static str,
) -> Result<T, BadRequest> {
    serde_json::from_str(member.value).map_err(|_| invalid(&member.name, expected))
}

fn param(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    match &*member.name {
        "temperature" => chat.temperature = value(member, "a number")?,
        "top_p" => chat.top_p = value(member, "a number")?,
        "top_logprobs" => {
            chat.top_logprobs = value(member, COUNT)?;
            // Chats have two words for it.
            chat.logprobs = chat.top_logprobs.map(|_| true);
        }
        "parallel_tool_calls" => chat.parallel_tool_calls = value(member, "a boolean")?,
        "service_tier" => chat.service_tier = value(member, "a text")?,
        "reasoning" => chat.reasoning = read_reasoning(member)?,
        "text" => read_text(chat, member)?,
        // Read with those that the input has.
        "tools" => {}
        // How an answer is kept and shown; of no meaning to a chat.
        "store" => {
            let _may_be_stored: bool = value(member, "a boolean")?;
        }
        "max_tool_calls" => chat.max_tool_calls = Some(value(member, COUNT)?),
        "truncation" | "stream_options" | "client_metadata" => {}
        "include" => {
            let wished: Vec<String> = value(member, "a list of texts")?;
            if wished.iter().any(|wish| wish == "message.output_text.logprobs") {
                chat.logprobs = Some(true);
            }
        }
        // The gateway itself makes it while nobody waits.
        "background" => {
            let _wished: bool = value(member, "a boolean")?;
        }
        "conversation" => {
            return Err(invalid(
                "conversation",
                "no such field for this model, whose provider keeps no conversations: go on from an \
                 answer by its id in previous_response_id, or send the whole conversation",
            ));
        }
        "prompt" => {
            return Err(invalid(
                "prompt",
                "no such field for this model, whose provider keeps no prompts: send its text in \
                 instructions and input",
            ));
        }
        "context_management" => {
            return Err(invalid(
                "context_management",
                "no such field for this model, whose provider does not shorten conversations: \
                 POST /v1/responses/compact does",
            ));
        }
        "previous_response_id" => {
            return Err(invalid(
                "previous_response_id",
                "no such field for this model, whose responses are not kept: send the whole conversation",
            ));
        }
        name => chat.other.push((name.to_owned(), value(member, "a JSON value")?)),
    }
    Ok(())
}

fn read_reasoning(member: &Member<'_>) -> Result<Option<Reasoning>, BadRequest> {
    #[derive(Deserialize)]
    struct Wire {
        effort: Option<String>,
    }
    let wire: Wire = value(member, "an object")?;
    let Some(word) = wire.effort else { return Ok(None) };
    let effort = Effort::named(&word)
        .ok_or(invalid("reasoning.effort", "none, minimal, low, medium, high or xhigh"))?;
    Ok(Some(Reasoning::of(Some(effort), None)))
}

fn read_text(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct Wire {
        format: Option<WireFormat>,
        verbosity: Option<String>,
    }
    #[derive(Deserialize)]
    struct WireFormat {
        r#type: String,
        name: Option<String>,
        description: Option<String>,
        schema: Option<Json>,
        strict: Option<bool>,
    }
    let expected = "a format of type text, json_object or json_schema with its schema";
    let Wire { format, verbosity } = value(member, expected)?;
    chat.verbosity = verbosity;
    let Some(WireFormat { r#type, name, description, schema, strict }) = format else {
        return Ok(());
    };
    chat.format = Some(match (&*r#type, schema) {
        ("text", _) => Format::Text,
        ("json_object", _) => Format::Json,
        ("json_schema", Some(schema)) => Format::Schema { name, description, schema, strict },
        _ => return Err(invalid("text.format", expected)),
    });
    Ok(())
}
