//! The common form, written as the body that asks for a response: for models that have no chats.
//!
//! What their server keeps is nobody's but its owner's, so a chat never goes on from it; and it asks
//! for nothing to be kept.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::Dialect;
use crate::form::{
    Chat, Effort, Format, Json, Message, Part, PartKind, Role, Source, Tool, ToolCall, ToolChoice,
    custom_input, of_openais_seal, short,
};

/// OpenAI takes no smaller bound. A chat's may be smaller, as that of a client which only looks
/// whether a model is there.
const LEAST_OUTPUT: u64 = 16;
/// What asks for a thought that only its model can read, and for how likely the words were.
const SEALS: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";
/// What a chat cannot say: it waits for its answer, and its conversation is in its messages.
const NEVER: &[&str] = &["background", "conversation", "previous_response_id"];

/// Writes the body for a model known as `model`; `thinks` if it gives away what it thought, sealed.
#[must_use]
pub fn write_chat(chat: &Chat, model: &str, thinks: bool) -> Bytes {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let custom = custom_tools(chat);
    let (instructions, input) = conversation(chat, &custom);
    put("model", Some(model.into()));
    put("instructions", instructions.map(Into::into));
    put("input", Some(input.into()));
    put("max_output_tokens", chat.max_output.map(|most| most.max(LEAST_OUTPUT).into()));
    put("temperature", chat.temperature.clone().map(Into::into));
    put("top_p", chat.top_p.clone().map(Into::into));
    put("top_k", chat.top_k.clone().map(Into::into));
    put("top_logprobs", chat.top_logprobs.map(Into::into));
    put("text", text(chat));
    put("reasoning", reasoning(chat));
    put("service_tier", chat.service_tier.clone().map(Into::into));
    put("user", chat.user.as_deref().map(short).map(Into::into));
    put("safety_identifier", chat.safety_identifier.as_deref().map(short).map(Into::into));
    let tools: Vec<Value> = chat.tools.iter().map(tool_wire).collect();
    if !tools.is_empty() {
        let choice = chat.tool_choice.as_ref();
        let choice = choice.map(|choice| {
            allowed(chat, choice, &custom).unwrap_or_else(|| tool_choice(choice, &custom))
        });
        put("tools", Some(tools.into()));
        put("tool_choice", choice);
        put("parallel_tool_calls", chat.parallel_tool_calls.map(Into::into));
    }
    put("store", Some(false.into()));
    let other = chat.other.iter().filter(|_| chat.from == Dialect::OpenAi);
    for (name, value) in other.chain(&chat.extra).filter(|(name, _)| !NEVER.contains(&&**name)) {
        put(name, Some(value.value()));
    }
    if chat.stream {
        put("stream", Some(true.into()));
    }
    include(&mut body, [(SEALS, thinks), (LOGPROBS, chat.logprobs == Some(true))]);
    Bytes::from(serde_json::to_vec(&body).expect("values are always JSON"))
}

/// The names of the tools that take any text.
fn custom_tools(chat: &Chat) -> BTreeSet<String> {
    let hosted = chat.tools.iter().filter(|tool| tool.kind().as_deref() == Some("custom"));
    let named = hosted.filter_map(|tool| tool_wire(tool)["name"].as_str().map(str::to_owned));
    named.collect()
}

/// Adds to what the client itself wants to be told.
fn include(body: &mut Map<String, Value>, wishes: [(&str, bool); 2]) {
    let wished = wishes.into_iter().filter(|(_, is_wished)| *is_wished).map(|(wish, _)| wish);
    let mut all: Vec<Value> =
        body.get("include").and_then(Value::as_array).cloned().unwrap_or_default();
    for wish in wished {
        if !all.iter().any(|known| known == wish) {
            all.push(wish.into());
        }
    }
    if !all.is_empty() {
        body.insert("include".to_owned(), all.into());
    }
}

fn text(chat: &Chat) -> Option<Value> {
    let mut text = Map::new();
    if let Some(format) = &chat.format {
        text.insert("format".to_owned(), self::format(format));
    }
    if let Some(verbosity) = &chat.verbosity {
        text.insert("verbosity".to_owned(), verbosity.as_str().into());
    }
    (!text.is_empty()).then(|| text.into())
}

fn format(format: &Format) -> Value {
    let kind = ("type".to_owned(), format.kind().into());
    Map::from_iter([kind].into_iter().chain(format.schema_members().unwrap_or_default())).into()
}

fn reasoning(chat: &Chat) -> Option<Value> {
    let wish = chat.reasoning.as_ref()?;
    let mut wire = Map::new();
    if let Some(effort) = wish.effort.or(wish.budget.map(Effort::of_budget)) {
        wire.insert("effort".to_owned(), effort.word().into());
    }
    if let Some(summary) = &wish.summary {
        wire.insert("summary".to_owned(), summary.as_str().into());
    }
    (!wire.is_empty()).then(|| wire.into())
}

/// A function here is strict unless it says otherwise, and a chat's is not.
fn tool_wire(tool: &Tool) -> Value {
    match tool {
        Tool::Function { name, description, parameters, strict, cache: _ } => {
            let empty = || json!({"type": "object", "properties": {}});
            let mut wire = json!({
                "type": "function",
                "name": name,
                "parameters": parameters.as_ref().map_or_else(empty, Json::value),
                "strict": strict.unwrap_or(false),
            });
            if let Some(description) = description {
                wire["description"] = description.as_str().into();
            }
            wire
        }
        Tool::Hosted(json) => custom_tool(json.value()),
    }
}

/// A tool that takes any text has its members one level higher than a chat's; others are the same.
fn custom_tool(mut wire: Value) -> Value {
    let Some(Value::Object(inner)) = wire.get_mut("custom").map(Value::take) else { return wire };
    let mut flat = Map::from_iter([("type".to_owned(), "custom".into())]);
    for (name, mut value) in inner {
        if let Some(Value::Object(grammar)) = value.get_mut("grammar").map(Value::take) {
            value = json!({"type": "grammar"});
            for (name, part) in grammar {
                value[name] = part;
            }
        }
        flat.insert(name, value);
    }
    flat.into()
}

fn tool_choice(choice: &ToolChoice, custom: &BTreeSet<String>) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) if custom.contains(name) => json!({"type": "custom", "name": name}),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
        ToolChoice::Hosted(kind) => json!({"type": kind}),
    }
}

/// Which of several tools may be called this time, if not all may.
fn allowed(chat: &Chat, choice: &ToolChoice, custom: &BTreeSet<String>) -> Option<Value> {
    let names = chat.allowed.as_ref()?;
    let mode = tool_choice(choice, custom);
    let named = |name: &String| tool_choice(&ToolChoice::Named(name.clone()), custom);
    let tools: Vec<Value> = names.iter().chain(custom).map(named).collect();
    let is_open = matches!(choice, ToolChoice::Auto | ToolChoice::Required);
    is_open.then(|| json!({"type": "allowed_tools", "mode": mode, "tools": tools}))
}

/// The instructions that come first, and all that is said. OpenAI wants something to be said, and the
/// word JSON in it if that is the answer's form: then the instructions are said, too.
fn conversation(chat: &Chat, custom: &BTreeSet<String>) -> (Option<String>, Vec<Value>) {
    let is_text = |message: &&Message| {
        message.role == Role::System && message.parts.iter().all(|part| part.as_text().is_some())
    };
    let mut first: Vec<&Message> = chat.messages.iter().take_while(is_text).collect();
    if first.len() == chat.messages.len() || chat.format == Some(Format::Json) {
        first.clear();
    }
    let mut input = Input { custom, custom_calls: BTreeSet::new(), items: Vec::new() };
    for message in &chat.messages[first.len()..] {
        match message.role {
            Role::System => input.say("system", &message.parts),
            Role::User => input.say("user", &message.parts),
            Role::Assistant => input.answer(&message.parts),
        }
    }
    let texts: Vec<String> = first.iter().map(|message| message.text()).collect();
    let instructions = texts.join("\n\n");
    (Some(instructions).filter(|text| !text.is_empty()), input.items)
}

/// The items of a conversation.
struct Input<'a> {
    /// Tools that take any text, and calls of them.
    custom: &'a BTreeSet<String>,
    custom_calls: BTreeSet<String>,
    items: Vec<Value>,
}

impl Input<'_> {
    /// Results of tools are items of their own, before what the user adds.
    fn say(&mut self, role: &str, parts: &[Part]) {
        let mut said = Vec::new();
        for part in parts {
            if let PartKind::ToolResult { call, parts, .. } = &part.kind {
                let kind = if self.custom_calls.contains(call) {
                    "custom_tool_call_output"
                } else {
                    "function_call_output"
                };
                let output = output(parts);
                self.items.push(json!({"type": kind, "call_id": call, "output": output}));
            } else {
                said.extend(content(part));
            }
        }
        if !said.is_empty() {
            self.items.push(json!({"type": "message", "role": role, "content": said}));
        }
    }

    /// What the model said, thought and called. A thought that nothing follows is refused.
    fn answer(&mut self, parts: &[Part]) {
        let begin = self.items.len();
        let mut said = Vec::new();
        for part in parts {
            match &part.kind {
                PartKind::Text(text) if text.is_empty() => {}
                PartKind::Text(text) => said.push(json!({"type": "output_text", "text": text})),
                PartKind::Refusal(words) => {
                    said.push(json!({"type": "refusal", "refusal": words}));
                }
                PartKind::Thinking { text, signature: Some(seal) } => {
                    self.think(text, seal, &mut said)
                }
                PartKind::RedactedThinking(seal) => self.think("", seal, &mut said),
                PartKind::ToolCall(call) => {
                    self.end_message(&mut said);
                    self.call(call);
                }
                PartKind::Thinking { signature: None, .. }
                | PartKind::Image { .. }
                | PartKind::Audio { .. }
                | PartKind::File { .. }
                | PartKind::ToolResult { .. }
                | PartKind::Other(_) => {}
            }
        }
        self.end_message(&mut said);
        while self.items.len() > begin
            && self.items.last().is_some_and(|item| item["type"] == "reasoning")
        {
            self.items.pop();
        }
    }

    fn end_message(&mut self, said: &mut Vec<Value>) {
        if !said.is_empty() {
            let content = std::mem::take(said);
            self.items.push(json!({"type": "message", "role": "assistant", "content": content}));
        }
    }

    /// Another model's thought means nothing here.
    fn think(&mut self, text: &str, seal: &str, said: &mut Vec<Value>) {
        let Some(sealed) = of_openais_seal(seal) else { return };
        self.end_message(said);
        let summary = (!text.is_empty()).then(|| json!({"type": "summary_text", "text": text}));
        let summary: Vec<Value> = summary.into_iter().collect();
        let item = json!({"type": "reasoning", "summary": summary, "encrypted_content": sealed});
        self.items.push(item);
    }

    fn call(&mut self, call: &ToolCall) {
        let ToolCall { id, name, arguments, .. } = call;
        if self.custom.contains(name) {
            self.custom_calls.insert(id.clone());
            let input = custom_input(arguments);
            let item =
                json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": input});
            return self.items.push(item);
        }
        let arguments = if arguments.is_empty() { "{}" } else { arguments };
        let item =
            json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments});
        self.items.push(item);
    }
}

/// What a tool said: a text, if it is one.
fn output(parts: &[Part]) -> Value {
    match parts {
        [] => "".into(),
        [part] if part.as_text().is_some() => part.as_text().into(),
        parts => parts.iter().filter_map(content).collect(),
    }
}

/// A part of what a user or a tool says, or of instructions.
fn content(part: &Part) -> Option<Value> {
    Some(match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => {
            json!({"type": "input_text", "text": text})
        }
        PartKind::Image { source, detail } => {
            let detail = detail.as_deref().unwrap_or("auto");
            match source {
                Source::Id(id) => json!({"type": "input_image", "file_id": id, "detail": detail}),
                Source::Url(_) | Source::Typed { .. } | Source::Inline { .. } => {
                    json!({"type": "input_image", "image_url": source.url(), "detail": detail})
                }
            }
        }
        PartKind::Audio { data, format, .. } => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        PartKind::File { source, name } => match source {
            Source::Id(id) => json!({"type": "input_file", "file_id": id}),
            Source::Url(url) | Source::Typed { url, .. } => {
                json!({"type": "input_file", "file_url": url})
            }
            Source::Inline { media_type, .. } => {
                let name = name.as_deref().unwrap_or(match &**media_type {
                    "application/pdf" => "document.pdf",
                    _ => "document.txt",
                });
                json!({"type": "input_file", "filename": name, "file_data": source.url()})
            }
        },
        PartKind::Thinking { .. }
        | PartKind::RedactedThinking(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => return None,
    })
}
