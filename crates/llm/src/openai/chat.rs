//! OpenAI's chat bodies, read into the common form.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::calls::{WireCall, WireCalled};
use super::choice;
use super::content::Thinking;
use super::media::{Sound, pictures};
use crate::Dialect;
use crate::answers::COUNT;
use crate::endpoint::Endpoint;
use crate::fields::{self, Label, role};
use crate::form::{
    Cache, Chat, Effort, Format, Json, Message, Part, PartKind, Reasoning, Role, Source, Tool,
    is_too_deep, think_on, unsealed,
};
use crate::json::{Member, members, string};
use crate::parse::BadRequest;

const TOO_DEEP: &str = "lists and objects in each other less than 97 times";

/// What a deployment sets where a client says nothing: parameters by OpenAI's names, whatever
/// dialect the client speaks, and fields for the provider as it knows them.
///
/// # Errors
/// A parameter is not what it should be.
pub(crate) fn read_defaults<'a>(
    defaults: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Chat, BadRequest> {
    let mut chat = Chat::new(Dialect::OpenAi);
    for (name, value) in defaults {
        param(&mut chat, Endpoint::ChatCompletions, &Member { name: name.into(), value })?;
    }
    chat.extra = std::mem::take(&mut chat.other);
    Ok(chat)
}

/// Reads the body of a chat into `chat`, which holds the defaults.
///
/// # Errors
/// A message, tool or parameter is not what it should be.
pub(crate) fn read_chat(body: &str, mut chat: Chat) -> Result<Chat, BadRequest> {
    let members = read_members(body);
    for member in &members {
        param(&mut chat, Endpoint::ChatCompletions, member)?;
    }
    choice::allow(&mut chat, &members)?;
    Ok(chat)
}

/// Reads the body of a plain completion into `chat`, which holds the defaults: each text of its
/// prompt becomes what the user says.
///
/// # Errors
/// The prompt is no text, or a parameter is not what it should be.
pub(crate) fn read_text_prompt(body: &str, mut chat: Chat) -> Result<Chat, BadRequest> {
    for member in read_members(body) {
        if member.name == "prompt" {
            let texts: Vec<String> = match string(member.value) {
                Some(text) => vec![text.into_owned()],
                None => value(Endpoint::Completions, &member, "a text or a list of texts")?,
            };
            chat.messages.extend(texts.iter().map(|text| Message::of_text(Role::User, text)));
        } else {
            param(&mut chat, Endpoint::Completions, &member)?;
        }
    }
    Ok(chat)
}

pub(super) fn read_members(body: &str) -> Vec<Member<'_>> {
    members(body).expect("a request was parsed from an object")
}

pub(super) fn invalid(endpoint: Endpoint, name: &str, expected: &'static str) -> BadRequest {
    BadRequest::Invalid { route: endpoint.route(), name: name.to_owned(), expected }
}

pub(super) fn value<'de, T: Deserialize<'de>>(
    endpoint: Endpoint,
    member: &Member<'de>,
    expected: &'static str,
) -> Result<T, BadRequest> {
    serde_json::from_str(member.value)
        .map_err(|_| invalid(endpoint, &member.name, or_deep(member.value, expected)))
}

/// What is expected of a value that cannot be read.
fn or_deep(value: &str, expected: &'static str) -> &'static str {
    if is_too_deep(value) { TOO_DEEP } else { expected }
}

fn param(chat: &mut Chat, endpoint: Endpoint, member: &Member<'_>) -> Result<(), BadRequest> {
    use fields::Role as Field;
    match role(endpoint, &member.name) {
        Field::Label(Label::Ours | Label::Foreign)
        | Field::Extra
        | Field::Dropped
        | Field::Guard
        | Field::Refused
        | Field::Model => return Ok(()),
        Field::Stream => chat.stream = member.value == "true",
        Field::Prompt => chat.messages = read_messages(member.value)?,
        Field::Label(Label::User) => {
            chat.user = string(member.value).map(Into::into).or(chat.user.take());
        }
        Field::Label(Label::SafetyIdentifier) => {
            let said = string(member.value).map(Into::into);
            chat.safety_identifier = said.or(chat.safety_identifier.take());
        }
        Field::MaxCompletionTokens => {
            chat.max_output = value(endpoint, member, COUNT)?;
        }
        Field::MaxTokens => {
            let most: Option<u64> = value(endpoint, member, COUNT)?;
            chat.max_output = chat.max_output.or(most);
        }
        Field::Choices | Field::Upstream if member.value == "null" => {}
        Field::Choices | Field::Upstream => return upstream_param(chat, endpoint, member),
    }
    Ok(())
}

fn upstream_param(
    chat: &mut Chat,
    endpoint: Endpoint,
    member: &Member<'_>,
) -> Result<(), BadRequest> {
    const NUMBER: &str = "a number";
    match &*member.name {
        "n" => chat.n = value(endpoint, member, COUNT)?,
        "temperature" => chat.temperature = value(endpoint, member, NUMBER)?,
        "top_p" => chat.top_p = value(endpoint, member, NUMBER)?,
        "top_k" => chat.top_k = value(endpoint, member, NUMBER)?,
        "seed" => chat.seed = value(endpoint, member, NUMBER)?,
        "presence_penalty" => chat.presence_penalty = value(endpoint, member, NUMBER)?,
        "frequency_penalty" => chat.frequency_penalty = value(endpoint, member, NUMBER)?,
        // Plain completions say in one number whether, and of how many words.
        "logprobs" if let Ok(most) = serde_json::from_str::<u64>(member.value) => {
            chat.logprobs = Some(true);
            chat.top_logprobs = Some(most);
        }
        "logprobs" => chat.logprobs = serde_json::from_str(member.value).ok(),
        "top_logprobs" => chat.top_logprobs = value(endpoint, member, COUNT)?,
        "logit_bias" => chat.logit_bias = value(endpoint, member, "an object")?,
        "parallel_tool_calls" => {
            chat.parallel_tool_calls = value(endpoint, member, "a boolean")?;
        }
        "verbosity" => chat.verbosity = value(endpoint, member, "a text")?,
        "service_tier" => chat.service_tier = value(endpoint, member, "a text")?,
        "stop" => {
            chat.stop = match string(member.value) {
                Some(text) => vec![text.into_owned()],
                None => value(endpoint, member, "a text or a list of texts")?,
            }
        }
        "response_format" => chat.format = Some(read_format(member)?),
        "reasoning_effort" | "thinking" | "reasoning" => read_reasoning(chat, member)?,
        "tools" => chat.tools = read_tools(member)?,
        "functions" => {
            let functions: Vec<WireFunction> = value(endpoint, member, "a list of functions")?;
            chat.tools = functions.into_iter().map(|function| function.tool(None)).collect();
            // An answer in this form has room for one call.
            chat.parallel_tool_calls = Some(false);
        }
        "tool_choice" | "function_call" => chat.tool_choice = Some(choice::read(member)?),
        "stream_options" => {}
        name => chat.other.push((name.to_owned(), value(endpoint, member, "a JSON value")?)),
    }
    Ok(())
}

#[derive(Deserialize)]
struct WireFormat {
    r#type: String,
    json_schema: Option<WireSchema>,
}

#[derive(Deserialize)]
struct WireSchema {
    name: Option<String>,
    description: Option<String>,
    schema: Option<Json>,
    strict: Option<bool>,
}

fn read_format(member: &Member<'_>) -> Result<Format, BadRequest> {
    const EXPECTED: &str = "an object of type text, json_object or json_schema";
    let format: WireFormat = value(Endpoint::ChatCompletions, member, EXPECTED)?;
    match (&*format.r#type, format.json_schema) {
        ("text", _) => Ok(Format::Text),
        ("json_object", _) => Ok(Format::Json),
        ("json_schema", Some(WireSchema { name, description, schema, strict })) => {
            // Without one, any object will do.
            let of = |schema| Format::Schema { name, description, schema, strict };
            Ok(schema.map_or(Format::Json, of))
        }
        _ => Err(invalid(Endpoint::ChatCompletions, "response_format", EXPECTED)),
    }
}

/// OpenAI's word, OpenRouter's object, or Anthropic's object as LiteLLM's users send it.
fn read_reasoning(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct Wire {
        r#type: Option<String>,
        effort: Option<String>,
        budget_tokens: Option<u64>,
        max_tokens: Option<u64>,
        summary: Option<String>,
    }
    const EXPECTED: &str = "none, minimal, low, medium, high or xhigh";
    let effort = |word: &str| {
        Effort::named(word).ok_or(invalid(Endpoint::ChatCompletions, &member.name, EXPECTED))
    };
    let mut reasoning = chat.reasoning.take().unwrap_or_default();
    if let Some(word) = string(member.value) {
        reasoning.effort = Some(effort(&word)?);
    } else {
        let expected = if member.name == "reasoning_effort" { EXPECTED } else { "an object" };
        let wire: Wire = value(Endpoint::ChatCompletions, member, expected)?;
        if let Some(word) = &wire.effort {
            reasoning.effort = Some(effort(word)?);
        }
        if wire.r#type.as_deref() == Some("disabled") {
            reasoning.effort = Some(Effort::None);
        }
        reasoning.budget = wire.budget_tokens.or(wire.max_tokens).or(reasoning.budget);
        reasoning.summary = wire.summary.or(reasoning.summary);
    }
    let Reasoning { effort, budget, summary } = reasoning;
    chat.reasoning = Some(Reasoning { summary, ..Reasoning::of(effort, budget) });
    Ok(())
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    description: Option<String>,
    parameters: Option<Json>,
    strict: Option<bool>,
    cache_control: Option<WireCache>,
}

impl WireFunction {
    fn tool(self, cache: Option<WireCache>) -> Tool {
        let Self { name, description, parameters, strict, cache_control } = self;
        let cache = cache.or(cache_control).map(WireCache::cache);
        Tool::Function { name, description, parameters, strict, cache }
    }
}

/// Anthropic's way to mark where a cached prompt may end, in OpenAI's bodies as LiteLLM has it.
#[derive(Deserialize)]
struct WireCache {
    ttl: Option<String>,
}

impl WireCache {
    fn cache(self) -> Cache {
        if self.ttl.as_deref() == Some("1h") { Cache::Hour } else { Cache::Short }
    }
}

fn read_tools(member: &Member<'_>) -> Result<Vec<Tool>, BadRequest> {
    #[derive(Deserialize)]
    struct Wire {
        r#type: Option<String>,
        function: Option<WireFunction>,
        cache_control: Option<WireCache>,
    }
    let tools: Vec<&RawValue> = value(Endpoint::ChatCompletions, member, "a list of tools")?;
    let read = |(at, raw): (usize, &RawValue)| {
        let name = format!("tools[{at}]");
        let expected = "a tool with a type and, if it is a function, its name";
        let tool: Wire = serde_json::from_str(raw.get())
            .map_err(|_| invalid(Endpoint::ChatCompletions, &name, or_deep(raw.get(), expected)))?;
        match (tool.function, tool.r#type) {
            (Some(function), _) => Ok(function.tool(tool.cache_control)),
            (None, Some(kind)) if kind != "function" => Ok(Tool::Hosted(raw.into())),
            // Google's have no type: `{"googleSearch": {}}`.
            (None, None) if raw.get() != "{}" => Ok(Tool::Hosted(raw.into())),
            (None, _) => Err(invalid(Endpoint::ChatCompletions, &name, expected)),
        }
    };
    tools.into_iter().enumerate().map(read).collect()
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    role: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    name: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<WireCall>>,
    function_call: Option<WireCalled>,
    tool_call_id: Option<String>,
    reasoning_content: Option<String>,
    #[serde(borrow)]
    thinking_blocks: Option<Vec<WirePart<'a>>>,
    cache_control: Option<WireCache>,
    images: Option<Value>,
    audio: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct WirePart<'a> {
    r#type: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
    input_audio: Option<WireAudio>,
    file: Option<WireFile>,
    thinking: Option<Thinking>,
    signature: Option<String>,
    data: Option<String>,
    cache_control: Option<WireCache>,
}

#[derive(Deserialize)]
struct WireAudio {
    data: String,
    format: String,
}

#[derive(Deserialize)]
struct WireFile {
    file_id: Option<String>,
    file_data: Option<String>,
    filename: Option<String>,
    format: Option<String>,
}

fn read_messages(text: &str) -> Result<Vec<Message>, BadRequest> {
    let at = |at: usize, expected| {
        invalid(Endpoint::ChatCompletions, &format!("messages[{at}]"), expected)
    };
    let raws: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|_| invalid(Endpoint::ChatCompletions, "messages", "a list of messages"))?;
    let mut messages: Vec<Message> = Vec::with_capacity(raws.len());
    for (number, raw) in raws.into_iter().enumerate() {
        let wire: WireMessage<'_> = serde_json::from_str(raw.get())
            .map_err(|_| at(number, "an object with a role and a content"))?;
        // A turn of the model's may be its calls alone; who else says nothing is misunderstood.
        if wire.content.is_none() && matches!(&*wire.role, "system" | "developer" | "user") {
            let name = format!("messages[{number}].content");
            return Err(invalid(Endpoint::ChatCompletions, &name, "a text or a list of parts"));
        }
        let is_result = matches!(&*wire.role, "tool" | "function");
        let message = read_message(wire).map_err(|expected| at(number, expected))?;
        // The results of parallel calls are one turn, as all other dialects have it.
        match messages.last_mut() {
            Some(last) if is_result && is_all_results(last) => last.parts.extend(message.parts),
            Some(_) | None => messages.push(message),
        }
    }
    Ok(messages)
}

fn is_all_results(message: &Message) -> bool {
    message.parts.iter().all(|part| matches!(part.kind, PartKind::ToolResult { .. }))
}

fn read_message(wire: WireMessage<'_>) -> Result<Message, &'static str> {
    let mut parts = Vec::new();
    for block in wire.thinking_blocks.into_iter().flatten() {
        think_on(&mut parts, read_thinking(block));
    }
    if let Some(text) = wire.reasoning_content.filter(|text| parts.is_empty() && !text.is_empty()) {
        parts.push(PartKind::Thinking { text, signature: None }.into());
    }
    if let Some(content) = wire.content {
        parts.extend(read_content(content)?);
    }
    parts.extend(wire.refusal.map(|refusal| PartKind::Refusal(refusal).into()));
    if let (Some(last), Some(cache)) = (parts.last_mut(), wire.cache_control) {
        last.cache = Some(cache.cache());
    }
    let role = match &*wire.role {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => {
            parts.extend(pictures(wire.images).map(Part::from));
            parts.extend(Sound::remembered(wire.audio)?.map(Part::from));
            let calls = wire.tool_calls.into_iter().flatten().filter_map(WireCall::call);
            for call in calls.chain(wire.function_call.map(|called| called.call(None))) {
                let call = call.ok_or("tool calls with the name of their function")?;
                parts.push(PartKind::ToolCall(call).into());
            }
            Role::Assistant
        }
        "tool" | "function" => {
            let cache = parts.last_mut().and_then(|part| part.cache.take());
            let named = wire.name.as_ref().map(|name| format!("call_{name}"));
            let call = wire.tool_call_id.or(named).ok_or("a tool_call_id beside the role tool")?;
            let (call, _) = unsealed(&call);
            let kind = PartKind::ToolResult { call, name: wire.name, parts, is_error: false };
            let parts = vec![Part { kind, cache }];
            return Ok(Message { role: Role::User, name: None, parts });
        }
        _ => return Err("a role of system, developer, user, assistant or tool"),
    };
    Ok(Message { role, name: wire.name, parts })
}

/// A content is a text or a list of parts.
fn read_content(content: &RawValue) -> Result<Vec<Part>, &'static str> {
    let text = content.get();
    if text == "null" {
        return Ok(Vec::new());
    }
    if let Some(text) = string(text) {
        let parts = vec![Part::text(text)];
        return Ok(if parts[0].as_text() == Some("") { Vec::new() } else { parts });
    }
    let raws: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| "a content that is a text or a list of parts")?;
    raws.into_iter().map(read_part).collect()
}

fn read_part(raw: &RawValue) -> Result<Part, &'static str> {
    if let Some(text) = string(raw.get()) {
        return Ok(Part::text(text));
    }
    let mut part: WirePart<'_> =
        serde_json::from_str(raw.get()).map_err(|_| "parts with a type and its member")?;
    let cache = part.cache_control.take().map(WireCache::cache);
    let kind = match part.r#type.as_deref().unwrap_or("text") {
        "text" | "input_text" | "output_text" => {
            PartKind::Text(part.text.ok_or("text parts with a text")?)
        }
        "refusal" => PartKind::Refusal(part.refusal.ok_or("refusal parts with a refusal")?),
        "image_url" => read_image(part.image_url.ok_or("image_url parts with an image_url")?)?,
        "input_audio" => {
            let audio = part.input_audio.ok_or("input_audio parts with an input_audio")?;
            PartKind::sound(audio.data, audio.format)
        }
        "file" => read_file(part.file.ok_or("file parts with a file")?)?,
        "thinking" | "redacted_thinking" => read_thinking(part),
        _ => PartKind::Other(raw.into()),
    };
    Ok(Part { kind, cache })
}

fn read_image(raw: &RawValue) -> Result<PartKind, &'static str> {
    #[derive(Deserialize)]
    struct Wire {
        url: String,
        detail: Option<String>,
        format: Option<String>,
    }
    if let Some(url) = string(raw.get()) {
        return Ok(PartKind::Image { source: Source::of_url(&url), detail: None });
    }
    let Wire { url, detail, format } =
        serde_json::from_str(raw.get()).map_err(|_| "image_url parts with a url")?;
    let source = Source::of_url(&url).typed(format);
    Ok(PartKind::Image { source, detail })
}

fn read_file(file: WireFile) -> Result<PartKind, &'static str> {
    let source = match (file.file_id, file.file_data) {
        (Some(id), _) => Source::Id(id),
        (None, Some(data)) => Source::of_file_data(&data, file.filename.as_deref()),
        (None, None) => return Err("file parts with a file_id or file_data"),
    };
    Ok(PartKind::File { source: source.typed(file.format), name: file.filename })
}

fn read_thinking(part: WirePart<'_>) -> PartKind {
    match part.data {
        Some(data) => PartKind::RedactedThinking(data),
        None => {
            let signature = part.signature.filter(|signature| !signature.is_empty());
            let text = part.thinking.map(Thinking::text).unwrap_or_default();
            PartKind::Thinking { text, signature }
        }
    }
}
