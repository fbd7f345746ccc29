//! Anthropic's bodies, read into the common form.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks::{WireCache, read_content};
use crate::Dialect;
use crate::answers::COUNT;
use crate::endpoint::Endpoint;
use crate::fields::{self, Label, role};
use crate::form::{
    Chat, Effort, Format, Json, Message, PartKind, Reasoning, Role, Tool, ToolChoice,
};
use crate::json::{Member, members, string};
use crate::parse::BadRequest;

/// Reads the body of a chat into `chat`, which holds what the deployment sets where the client says
/// nothing.
///
/// # Errors
/// A message, tool or parameter is not what it should be.
pub(crate) fn read_chat(body: &str, mut chat: Chat) -> Result<Chat, BadRequest> {
    chat.from = Dialect::Anthropic;
    let mut wish = Wish::default();
    let mut system = None;
    for member in members(body).expect("a request was parsed from an object") {
        if member.value == "null" {
            continue;
        }
        match &*member.name {
            "system" => system = Some(member),
            "thinking" => wish.thinking = Some(value(&member, "an object with a type")?),
            "output_config" | "output_format" => read_output(&mut chat, &mut wish, &member)?,
            _ => param(&mut chat, &member)?,
        }
    }
    if let Some(member) = system {
        let raw: &RawValue = value(&member, "a text or a list of blocks")?;
        let parts = read_content(raw).map_err(|expected| invalid("system", expected))?;
        chat.messages.insert(0, Message { role: Role::System, name: None, parts });
    }
    chat.reasoning = wish.reasoning().or(chat.reasoning);
    Ok(chat)
}

/// Who the client says its user is: `metadata.user_id`.
fn end_user(metadata: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Wire {
        user_id: Option<String>,
    }
    serde_json::from_str::<Wire>(metadata).ok()?.user_id
}

fn invalid(name: &str, expected: &'static str) -> BadRequest {
    BadRequest::Invalid { route: Endpoint::Messages.route(), name: name.to_owned(), expected }
}

fn value<'de, T: Deserialize<'de>>(
    member: &Member<'de>,
    expected: &'static str,
) -> Result<T, BadRequest> {
    serde_json::from_str(member.value).map_err(|_| invalid(&member.name, expected))
}

fn param(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    use fields::Role as Field;
    const NUMBER: &str = "a number";
    match (role(Endpoint::Messages, &member.name), &*member.name) {
        (Field::Label(Label::Ours), _)
        | (Field::Extra | Field::Dropped | Field::Guard | Field::Refused | Field::Model, _) => {}
        (Field::Label(Label::User | Label::SafetyIdentifier), _) => {
            chat.user = string(member.value).map(Into::into).or(chat.user.take());
        }
        (Field::Stream, _) => chat.stream = member.value == "true",
        (Field::Prompt, _) => chat.messages = read_messages(member.value)?,
        (Field::MaxTokens, _) => chat.max_output = value(member, COUNT)?,
        (_, "metadata") => chat.user = end_user(member.value).or(chat.user.take()),
        (_, "stop_sequences") => chat.stop = value(member, "a list of texts")?,
        (_, "temperature") => chat.temperature = value(member, NUMBER)?,
        (_, "top_p") => chat.top_p = value(member, NUMBER)?,
        (_, "top_k") => chat.top_k = value(member, NUMBER)?,
        (_, "tools") => chat.tools = read_tools(member)?,
        (_, "tool_choice") => read_choice(chat, member)?,
        (_, "service_tier") => {
            let tier: String = value(member, "a text")?;
            chat.service_tier = Some(if tier == "standard_only" { "default".into() } else { tier });
        }
        (_, "thread") => return Err(BadRequest::NoThread { route: Endpoint::Messages.route() }),
        (_, name) => chat.other.push((name.to_owned(), value(member, "a JSON value")?)),
    }
    Ok(())
}

/// What is said in two places of how much to think.
#[derive(Default)]
struct Wish {
    thinking: Option<WireThinking>,
    effort: Option<Effort>,
}

#[derive(Deserialize)]
struct WireThinking {
    r#type: String,
    budget_tokens: Option<u64>,
}

impl Wish {
    fn reasoning(self) -> Option<Reasoning> {
        let Some(WireThinking { r#type, budget_tokens: budget }) = self.thinking else {
            let effort = self.effort?;
            return Some(Reasoning::of(Some(effort), None));
        };
        let effort = match &*r#type {
            "disabled" | "between_tools" => Some(Effort::None),
            // What the API takes for an effort that is not said.
            "adaptive" => self.effort.or(Some(Effort::High)),
            _ => self.effort,
        };
        let budget = budget.filter(|_| effort != Some(Effort::None));
        Some(Reasoning::of(effort, budget))
    }
}

#[derive(Deserialize)]
struct WireFormat {
    r#type: String,
    schema: Option<Json>,
}

/// `output_format` is the older place of a format.
fn read_output(chat: &mut Chat, wish: &mut Wish, member: &Member<'_>) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct WireConfig {
        effort: Option<String>,
        format: Option<WireFormat>,
    }
    let format = if member.name == "output_format" {
        Some(value(member, "a format with a type and a schema")?)
    } else {
        let config: WireConfig = value(member, "an object with an effort or a format")?;
        wish.effort = config.effort.as_deref().and_then(Effort::named);
        config.format
    };
    if let Some(WireFormat { r#type, schema }) = format {
        let schema = schema.filter(|_| r#type == "json_schema");
        let schema = schema.ok_or(invalid(&member.name, "a json_schema format with a schema"))?;
        let format = Format::Schema { name: None, description: None, schema, strict: Some(true) };
        chat.format = Some(format);
    }
    Ok(())
}

fn read_messages(text: &str) -> Result<Vec<Message>, BadRequest> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        role: String,
        #[serde(borrow)]
        content: &'a RawValue,
    }
    let raws: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| invalid("messages", "a list of messages"))?;
    let read = |(at, raw): (usize, &RawValue)| {
        let bad = |expected| invalid(&format!("messages[{at}]"), expected);
        let wire: Wire<'_> = serde_json::from_str(raw.get())
            .map_err(|_| bad("an object with a role and a content"))?;
        let role = match &*wire.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(bad("a role of user or assistant")),
        };
        let parts = read_content(wire.content).map_err(bad)?;
        Ok(Message { role, name: None, parts })
    };
    let mut messages: Vec<Message> =
        raws.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    name_results(&mut messages);
    Ok(messages)
}

/// Results name only the call they answer; some dialects want the tool's name as well.
fn name_results(messages: &mut [Message]) {
    let mut names = std::collections::BTreeMap::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        match &mut part.kind {
            PartKind::ToolCall(call) => {
                names.insert(call.id.clone(), call.name.clone());
            }
            PartKind::ToolResult { call, name, .. } => *name = names.get(call).cloned(),
            PartKind::Text(_)
            | PartKind::Refusal(_)
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking(_)
            | PartKind::Other(_) => {}
        }
    }
}

fn read_tools(member: &Member<'_>) -> Result<Vec<Tool>, BadRequest> {
    #[derive(Deserialize)]
    struct Wire {
        r#type: Option<String>,
        name: Option<String>,
        description: Option<String>,
        input_schema: Option<Json>,
        strict: Option<bool>,
        cache_control: Option<WireCache>,
    }
    let raws: Vec<&RawValue> = value(member, "a list of tools")?;
    let read = |(at, raw): (usize, &RawValue)| {
        let bad = || invalid(&format!("tools[{at}]"), "a tool with a name and an input_schema");
        let wire: Wire = serde_json::from_str(raw.get()).map_err(|_| bad())?;
        if wire.r#type.is_some_and(|kind| kind != "custom") {
            return Ok(Tool::Hosted(raw.into()));
        }
        let cache = wire.cache_control.map(|cache| cache.cache());
        Ok(Tool::Function {
            name: wire.name.ok_or_else(bad)?,
            description: wire.description,
            parameters: wire.input_schema,
            strict: wire.strict,
            cache,
        })
    };
    raws.into_iter().enumerate().map(read).collect()
}

fn read_choice(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct Wire {
        r#type: String,
        name: Option<String>,
        disable_parallel_tool_use: Option<bool>,
    }
    let expected = "an object of type auto, any, none, or tool with a name";
    let wire: Wire = value(member, expected)?;
    let choice = match (&*wire.r#type, wire.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Required,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Named(name),
        _ => return Err(invalid(&member.name, expected)),
    };
    chat.tool_choice = Some(choice);
    let disabled = wire.disable_parallel_tool_use;
    chat.parallel_tool_calls = disabled.map(|disabled| !disabled).or(chat.parallel_tool_calls);
    Ok(())
}
