//! Google's chat bodies, read into the common form.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::media;
use super::schema::json_schema;
use super::spelling::spelled;
use super::wire::{
    CallingConfig, ContentIn, Declaration, FunctionResponse, GenerationConfig, Part as WirePart,
    ThinkingConfig, list_or_one,
};
use crate::Dialect;
use crate::endpoint::Endpoint;
use crate::fields::{self, Label, role};
use crate::form::{
    Chat, Effort, Format, Json, Message, Part, PartKind, Reasoning, Role, Tool, ToolCall,
    ToolChoice, of_base64, think_on, unsealed,
};
use crate::json::{Member, members, string};
use crate::parse::BadRequest;

/// Reads the body of a chat into `chat`, which holds the defaults.
///
/// # Errors
/// A content, tool or parameter is not what it should be.
pub(crate) fn read_chat(
    endpoint: Endpoint,
    body: &str,
    mut chat: Chat,
) -> Result<Chat, BadRequest> {
    use fields::Role as Field;
    chat.from = Dialect::Gemini;
    chat.stream = endpoint == Endpoint::StreamGenerateContent;
    let body = spelled(body);
    let members = members(&body).expect("a request was parsed from an object");
    // Instructions come first, wherever they stand.
    for member in members.iter().filter(|member| member.name == "systemInstruction") {
        let at = |expected| invalid("systemInstruction", expected);
        let mut parts = Turns::default().read(member.value).map_err(at)?.parts;
        // A seal of what another said means nothing here.
        parts.retain(|part| !matches!(part.kind, PartKind::Thinking { .. }));
        chat.messages.push(Message { role: Role::System, name: None, parts });
    }
    for member in &members {
        match role(endpoint, &member.name) {
            Field::Label(Label::Ours | Label::Foreign)
            | Field::Extra
            | Field::Dropped
            | Field::Guard
            | Field::Refused
            | Field::Model
            | Field::Stream => {}
            Field::Prompt => read_contents(&mut chat, member)?,
            Field::Label(Label::User | Label::SafetyIdentifier) => {
                chat.user = string(member.value).map(Into::into).or(chat.user);
            }
            Field::MaxTokens | Field::MaxCompletionTokens | Field::Choices | Field::Upstream => {
                param(&mut chat, member)?
            }
        }
    }
    Ok(chat)
}

fn param(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    if member.value == "null" || member.name == "systemInstruction" {
        return Ok(());
    }
    if member.name == "generationConfig" {
        generation_config(chat, member)?;
    } else if member.name == "tools" {
        chat.tools = read_tools(member)?;
    } else if member.name == "toolConfig" {
        tool_config(chat, member)?;
    } else if member.name == "serviceTier" {
        chat.service_tier = Some(value(member, "a text")?);
    } else {
        chat.other.push((member.name.to_string(), value(member, "a JSON value")?));
    }
    Ok(())
}

fn invalid(name: &str, expected: &'static str) -> BadRequest {
    let route = Endpoint::GenerateContent.route();
    BadRequest::Invalid { route, name: name.to_owned(), expected }
}

fn value<'de, T: Deserialize<'de>>(
    member: &Member<'de>,
    expected: &'static str,
) -> Result<T, BadRequest> {
    serde_json::from_str(member.value).map_err(|_| invalid(&member.name, expected))
}

fn read_contents(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    let raw: &RawValue = value(member, "a list of contents")?;
    let raws = list_or_one(raw).map_err(|_| invalid("contents", "a list of contents"))?;
    let mut turns = Turns::default();
    for (at, raw) in raws.into_iter().enumerate() {
        let message = turns.read(raw.get());
        let message = message.map_err(|expected| invalid(&format!("contents[{at}]"), expected))?;
        match chat.messages.last_mut() {
            Some(last) if (last.role, message.role) == (Role::Assistant, Role::Assistant) => {
                go_on(&mut last.parts, message.parts);
            }
            Some(_) | None => chat.messages.push(message),
        }
    }
    Ok(())
}

/// Adds to a model's turn what comes in a content of its own: Google's SDKs keep each piece of a
/// stream as one.
fn go_on(turn: &mut Vec<Part>, more: Vec<Part>) {
    for (at, part) in more.into_iter().enumerate() {
        match (turn.last_mut().map(|last| &mut last.kind), part.kind) {
            (Some(PartKind::Text(said)), PartKind::Text(more)) if at == 0 => said.push_str(&more),
            (_, thought @ PartKind::Thinking { .. }) => think_on(turn, thought),
            (_, kind) => turn.push(kind.into()),
        }
    }
}

/// Reads turn by turn. Results name their calls by an id, which Google's older models do not have:
/// then the first call of that function that has no result yet is meant.
#[derive(Default)]
struct Turns {
    calls: usize,
    /// Ids and names of the calls without a result.
    open: Vec<(String, String)>,
}

impl Turns {
    fn read(&mut self, text: &str) -> Result<Message, &'static str> {
        // Google's SDKs take a bare text for a content; so do gateways.
        if let Some(text) = string(text) {
            return Ok(Message::of_text(Role::User, text));
        }
        let content: ContentIn<'_> =
            serde_json::from_str(text).map_err(|_| "an object with a role and parts")?;
        let role = match content.role.as_deref() {
            Some("model" | "assistant") => Role::Assistant,
            Some("user" | "function" | "tool" | "") | None => Role::User,
            Some("system") => Role::System,
            Some(_) => return Err("a role of user or model"),
        };
        let raws = content.parts.map_or(Ok(Vec::new()), list_or_one);
        let mut parts = Vec::new();
        for raw in raws.map_err(|_| "a list of parts")? {
            self.part(raw, &mut parts)?;
        }
        Ok(Message { role, name: None, parts })
    }

    fn part(&mut self, raw: &RawValue, parts: &mut Vec<Part>) -> Result<(), &'static str> {
        let mut wire: WirePart = serde_json::from_str(raw.get())
            .map_err(|_| "parts with a text, inlineData, fileData, functionCall or the like")?;
        wire.thought_signature = wire.thought_signature.map(of_base64);
        if let Some(response) = wire.function_response {
            parts.push(self.result(response).into());
            return Ok(());
        }
        if let Some(call) = wire.function_call {
            self.calls += 1;
            let id = call.id.filter(|id| !id.is_empty());
            let id = id.unwrap_or_else(|| format!("call_{}", self.calls));
            // A client may have the seal from an answer that another dialect's words went into.
            let (id, seal) = unsealed(&id);
            let call = ToolCall {
                id,
                name: call.name,
                arguments: call.args.map_or_else(|| "{}".to_owned(), |args| args.text().to_owned()),
                signature: wire.thought_signature.or(seal),
            };
            self.open.push((call.id.clone(), call.name.clone()));
            parts.push(PartKind::ToolCall(call).into());
            return Ok(());
        }
        read_said(wire, raw, parts);
        Ok(())
    }

    fn result(&mut self, response: FunctionResponse) -> PartKind {
        let given = response.id.filter(|id| !id.is_empty()).map(|id| unsealed(&id).0);
        let meant = |(open, name): &(String, String)| match &given {
            Some(id) => open == id,
            None => *name == response.name,
        };
        let at = self.open.iter().position(meant);
        let known = at.map(|at| self.open.remove(at).0);
        let call = known.or(given).unwrap_or_else(|| format!("call_{}", response.name));
        let (mut parts, is_error) = response.response.map_or((Vec::new(), false), outcome);
        for part in response.parts {
            parts.extend(part.inline_data.map(|blob| media::of_blob(blob).into()));
            parts.extend(part.file_data.map(|file| media::of_file(file).into()));
        }
        PartKind::ToolResult { call, name: Some(response.name), parts, is_error }
    }
}

/// Words, thoughts and media, of a request or of an answer. What is none of them is kept as it is.
pub(super) fn read_said(wire: WirePart, raw: &RawValue, parts: &mut Vec<Part>) {
    let seal = wire.thought_signature;
    let text = wire.text.filter(|text| !text.is_empty());
    if wire.thought == Some(true) {
        if text.is_some() || seal.is_some() {
            think_on(parts, PartKind::thought(text.unwrap_or_default(), seal));
        }
        return;
    }
    // A seal of words stands before them as a thought without text, which other dialects can keep.
    if seal.is_some() {
        parts.push(PartKind::Thinking { text: String::new(), signature: seal }.into());
    }
    if let Some(text) = text {
        parts.push(Part::text(text));
    } else if let Some(blob) = wire.inline_data {
        parts.push(media::of_blob(blob).into());
    } else if let Some(file) = wire.file_data {
        parts.push(media::of_file(file).into());
    } else if !is_nothing(raw) {
        parts.push(PartKind::Other(raw.into()).into());
    }
}

/// A part that says no more than what has been read of it.
fn is_nothing(raw: &RawValue) -> bool {
    let known = ["text", "thought", "thoughtSignature"];
    let members = members(raw.get()).unwrap_or_default();
    members.iter().all(|member| known.contains(&&*member.name))
}

/// What a tool said: an object, in which Google and its users name a plain text so.
fn outcome(response: Json) -> (Vec<Part>, bool) {
    let only = members(response.text()).ok().filter(|members| members.len() == 1);
    let text = only.as_ref().and_then(|only| Some((&*only[0].name, string(only[0].value)?)));
    match text {
        Some(("error", text)) => (vec![Part::text(text)], true),
        Some(("content" | "output" | "result", text)) => (vec![Part::text(text)], false),
        Some(_) | None => (vec![Part::text(response.text())], false),
    }
}

fn read_tools(member: &Member<'_>) -> Result<Vec<Tool>, BadRequest> {
    const EXPECTED: &str = "a list of tools, such as functionDeclarations with their names";
    let raw: &RawValue = value(member, EXPECTED)?;
    let mut tools = Vec::new();
    for raw in list_or_one(raw).map_err(|_| invalid("tools", EXPECTED))? {
        let members = members(raw.get()).map_err(|_| invalid("tools", EXPECTED))?;
        for member in members.into_iter().filter(|member| member.value != "null") {
            if member.name != "functionDeclarations" {
                let hosted = format!("{{{}:{}}}", Json::of(&member.name).text(), member.value);
                let hosted = Json::parse(&hosted).map_err(|_| invalid("tools", EXPECTED))?;
                tools.push(Tool::Hosted(hosted));
                continue;
            }
            let declared: Vec<Declaration> =
                serde_json::from_str(member.value).map_err(|_| invalid("tools", EXPECTED))?;
            for Declaration { name, description, parameters, parameters_json_schema } in declared {
                let converted = || parameters.as_ref().map(json_schema);
                let parameters = parameters_json_schema.or_else(converted);
                let (strict, cache) = (None, None);
                tools.push(Tool::Function { name, description, parameters, strict, cache });
            }
        }
    }
    Ok(tools)
}

fn tool_config(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(rename = "functionCallingConfig")]
        calling: Option<CallingConfig>,
    }
    let wire: Wire = value(member, "an object")?;
    let calling = wire.calling.unwrap_or_default();
    chat.tool_choice = match (calling.mode.as_deref(), &calling.allowed_function_names[..]) {
        (Some("NONE"), _) => Some(ToolChoice::None),
        (Some("ANY"), [name]) => Some(ToolChoice::Named(name.clone())),
        (Some("ANY"), _) => Some(ToolChoice::Required),
        (Some("AUTO" | "VALIDATED"), _) => Some(ToolChoice::Auto),
        (Some(_) | None, _) => None,
    };
    let names = calling.allowed_function_names;
    let restricts = match &chat.tool_choice {
        Some(ToolChoice::Required) => true,
        Some(ToolChoice::Auto) => calling.mode.as_deref() == Some("VALIDATED"),
        Some(ToolChoice::None | ToolChoice::Named(_) | ToolChoice::Hosted(_)) | None => false,
    };
    chat.allowed = (restricts && !names.is_empty()).then(|| names.into_iter().collect());
    // It may say more than that, which only Google understands.
    chat.other.push(("toolConfig".to_owned(), value(member, "an object")?));
    Ok(())
}

/// Members that the common form has words for.
const CONFIG: &[&str] = &[
    "candidateCount",
    "frequencyPenalty",
    "logprobs",
    "maxOutputTokens",
    "presencePenalty",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseSchema",
    "seed",
    "stopSequences",
    "temperature",
    "topK",
    "topP",
];

fn generation_config(chat: &mut Chat, member: &Member<'_>) -> Result<(), BadRequest> {
    const EXPECTED: &str = "an object of Google's parameters";
    // A list would do for the struct.
    let rest = members(member.value).map_err(|_| invalid(&member.name, EXPECTED))?;
    let config: GenerationConfig = value(member, EXPECTED)?;
    said(&mut chat.temperature, config.temperature);
    said(&mut chat.top_p, config.top_p);
    said(&mut chat.top_k, config.top_k);
    said(&mut chat.n, config.candidate_count);
    said(&mut chat.max_output, config.max_output_tokens);
    chat.stop = config.stop_sequences.unwrap_or(std::mem::take(&mut chat.stop));
    said(&mut chat.seed, config.seed);
    said(&mut chat.presence_penalty, config.presence_penalty);
    said(&mut chat.frequency_penalty, config.frequency_penalty);
    said(&mut chat.logprobs, config.response_logprobs);
    said(&mut chat.top_logprobs, config.logprobs);
    said(&mut chat.reasoning, config.thinking_config.as_ref().map(reasoning));
    let converted = || config.response_schema.as_ref().map(json_schema);
    let schema = config.response_json_schema.or_else(converted);
    let mut keeps_type = false;
    match (config.response_mime_type.as_deref(), schema) {
        (_, Some(schema)) => {
            let (name, description, strict) = (None, None, None);
            chat.format = Some(Format::Schema { name, description, schema, strict });
        }
        (Some("application/json"), None) => chat.format = Some(Format::Json),
        (Some("text/plain"), None) => chat.format = Some(Format::Text),
        (Some(_), None) => keeps_type = true,
        (None, None) => {}
    }
    let rest: Vec<String> = rest
        .iter()
        .filter(|member| {
            let is_known = CONFIG.contains(&&*member.name);
            !is_known || (keeps_type && member.name == "responseMimeType")
        })
        .map(|member| format!("{}:{}", Json::of(&member.name).text(), member.value))
        .collect();
    if !rest.is_empty() {
        let rest = Json::parse(&format!("{{{}}}", rest.join(",")));
        let rest = rest.map_err(|_| invalid("generationConfig", "JSON that can be taken apart"))?;
        chat.other.push(("generationConfig".to_owned(), rest));
    }
    Ok(())
}

/// What the client says goes before a default.
fn said<T>(default: &mut Option<T>, value: Option<T>) {
    *default = value.or(default.take());
}

fn reasoning(thinking: &ThinkingConfig) -> Reasoning {
    let budget = thinking.thinking_budget.and_then(|budget| u64::try_from(budget).ok());
    let level = thinking.thinking_level.as_deref().map(str::to_ascii_lowercase);
    Reasoning::of(level.as_deref().and_then(Effort::named), budget)
}
