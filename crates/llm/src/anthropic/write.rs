//! The common form, written as the body of Anthropic's messages.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::abilities::{Abilities, Thinking};
use super::blocks::{write_cache, write_part, write_parts};
use super::schema::{self, StrictTools};
use super::{JSON_TOOL, JSON_TOOL_USE};
use crate::Dialect;
use crate::form::{
    Chat, Effort, Format, Json, Message, Part, PartKind, Role, Tool, ToolChoice, WebSearch,
    is_web_search,
};
use crate::parse::BadRequest;

/// The bound for a client that sets none, where the model's own is not known: the API needs one,
/// and every model of the family allows this. LiteLLM's default.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// The API refuses a smaller budget.
const LEAST_BUDGET: u64 = 1024;

/// What the search of the web is called.
const SEARCH_TOOL: &str = "web_search";

/// To whom a body is written.
#[derive(Clone, Copy, Debug)]
pub struct MessageStyle<'a> {
    /// The model's name. `None` where the path names it.
    pub model: Option<&'a str>,
    /// What it can do.
    pub abilities: Abilities,
    /// The most tokens it answers with, if that is known.
    pub max_output: Option<u64>,
}

/// Writes the body.
///
/// # Errors
/// The chat has a part that cannot be said here.
pub fn write_chat(chat: &Chat, to: MessageStyle<'_>) -> Result<Bytes, BadRequest> {
    let (tools, tool_choice) = tools(chat, to.abilities);
    let forced = tool_choice
        .as_ref()
        .is_some_and(|choice| choice["type"] == "any" || choice["type"] == "tool");
    let bound = chat.max_output.or(to.max_output);
    let thinking = Thought::of(chat, to.abilities, forced, bound);
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", to.model.map(Into::into));
    put("max_tokens", Some(bound.unwrap_or_else(|| assumed_bound(thinking)).into()));
    put("system", system(chat)?);
    put("messages", Some(messages(chat)?.into()));
    put("tools", (!tools.is_empty()).then(|| tools.into()));
    put("tool_choice", tool_choice);
    put("stop_sequences", (!chat.stop.is_empty()).then(|| chat.stop.clone().into()));
    // A model that thinks draws its own lots.
    if to.abilities.samples && thinking.is_none() {
        put("temperature", chat.temperature.clone().map(Into::into));
        put("top_p", chat.top_p.clone().map(Into::into));
        put("top_k", chat.top_k.clone().map(Into::into));
    }
    put("thinking", thinking.and_then(Thought::to_json));
    put("output_config", output_config(chat, to.abilities, thinking));
    put("service_tier", service_tier(chat));
    let user = chat.end_user().filter(|user| !is_personal(user));
    put("metadata", user.map(|user| json!({"user_id": user})));
    // Of OpenAI's clients too: LiteLLM's users send Anthropic's fields in OpenAI's bodies.
    let is_known = matches!(chat.from, Dialect::Anthropic | Dialect::OpenAi);
    let other = chat.other.iter().filter(|_| is_known);
    for (name, value) in other.chain(&chat.extra) {
        put(name, Some(value.value()));
    }
    put("stream", chat.stream.then(|| true.into()));
    Ok(Bytes::from(serde_json::to_vec(&body).expect("values are always JSON")))
}

/// How a model of the family is told to think where another API wraps its own: `thinking`, and
/// `output_config` for a model that takes an effort. Empty if nothing is to be said of it. `forced`: a
/// tool must be called.
#[must_use]
pub fn write_thought(chat: &Chat, abilities: Abilities, forced: bool) -> Vec<(&'static str, Json)> {
    let thought = Thought::of(chat, abilities, forced, chat.max_output);
    let no_schemas = Abilities { schemas: false, ..abilities };
    let config = output_config(chat, no_schemas, thought).map(|config| ("output_config", config));
    let thinking = thought.and_then(Thought::to_json).map(|thinking| ("thinking", thinking));
    let fields = thinking.into_iter().chain(config);
    fields.map(|(name, value)| (name, Json::of(&value))).collect()
}

/// How the model is told to think.
#[derive(Clone, Copy)]
enum Thought {
    Budget(u64),
    Effort(Effort),
    /// Not at all: the word for it, of a model that thinks unasked.
    Rest(&'static str),
    /// As little as one can that cannot rest.
    Least,
}

impl Thought {
    /// `None` also where the API would refuse thought: beside a tool that must be called, and, with
    /// a budget, in the middle of a turn whose thoughts the client did not keep, or within a `bound`
    /// on tokens that has no room for thought and an answer.
    fn of(chat: &Chat, abilities: Abilities, forced: bool, bound: Option<u64>) -> Option<Self> {
        let rest = abilities.rest.map(Self::Rest);
        if forced {
            return rest;
        }
        let reasoning = chat.reasoning.as_ref()?;
        let (effort, budget) = (reasoning.effort, reasoning.budget);
        if effort == Some(Effort::None) {
            let always = abilities.thinking == Thinking::Always;
            return if always { Some(Self::Least) } else { rest };
        }
        match abilities.thinking {
            Thinking::Never => None,
            Thinking::Budgeted if is_amid_calls(chat) => None,
            Thinking::Budgeted => {
                let budget = budget.or(effort.map(Effort::budget))?;
                within(bound, budget.max(LEAST_BUDGET)).map(Self::Budget)
            }
            Thinking::Adaptive | Thinking::Always => {
                effort.or(budget.map(Effort::of_budget)).map(Self::Effort)
            }
        }
    }

    /// Who asks for thought sees it, as LiteLLM has it: newer models hide it unless they are told.
    fn to_json(self) -> Option<Value> {
        match self {
            Self::Budget(tokens) => Some(json!({"type": "enabled", "budget_tokens": tokens})),
            Self::Effort(_) => Some(json!({"type": "adaptive", "display": "summarized"})),
            Self::Rest(word) => Some(json!({"type": word})),
            Self::Least => None,
        }
    }

    fn effort(self) -> Option<Effort> {
        match self {
            Self::Effort(effort) => Some(effort),
            Self::Least => Some(Effort::Low),
            Self::Budget(_) | Self::Rest(_) => None,
        }
    }
}

/// True if the model's last turn calls tools and does not begin with a thought.
fn is_amid_calls(chat: &Chat) -> bool {
    let mut turns = chat.messages.iter().rev();
    let Some(last) = turns.find(|message| message.role == Role::Assistant) else { return false };
    let calls = last.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let begins = last.parts.first().is_some_and(|part| {
        matches!(
            part.kind,
            PartKind::Thinking { signature: Some(_), .. } | PartKind::RedactedThinking(_)
        )
    });
    calls && !begins
}

/// A budget for thought that leaves room for an answer: the bound holds both, for the client and for
/// what was held of its budgets. `None`: there is no such room.
fn within(bound: Option<u64>, budget: u64) -> Option<u64> {
    match bound {
        Some(bound) if bound <= budget => {
            let most = bound - bound / 4;
            (most >= LEAST_BUDGET).then_some(most)
        }
        Some(_) | None => Some(budget),
    }
}

/// The bound that the API wants, where neither the client nor the model has one.
fn assumed_bound(thinking: Option<Thought>) -> u64 {
    match thinking {
        Some(Thought::Budget(budget)) => budget.saturating_add(DEFAULT_MAX_TOKENS),
        Some(Thought::Effort(_) | Thought::Rest(_) | Thought::Least) | None => DEFAULT_MAX_TOKENS,
    }
}

fn output_config(chat: &Chat, abilities: Abilities, thinking: Option<Thought>) -> Option<Value> {
    let mut config = Map::new();
    if let Some(effort) = thinking.and_then(Thought::effort) {
        let word = match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            // Those that still sample know nothing between the two.
            Effort::Highest if !abilities.samples => "xhigh",
            Effort::Highest | Effort::Most => "max",
        };
        config.insert("effort".to_owned(), word.into());
    }
    if let Some(mut schema) = native_schema(chat, abilities) {
        schema::fit(&mut schema);
        config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

/// The schema of an answer that is a structured output. One that is open is rather that of a tool.
fn native_schema(chat: &Chat, abilities: Abilities) -> Option<Value> {
    let Some(Format::Schema { schema, .. }) = &chat.format else { return None };
    abilities.schemas.then(|| schema.value()).filter(|schema| !schema::is_open(schema))
}

/// Whether the answer is to come as the call of a tool: the model has no structured outputs, or none
/// for this schema.
#[must_use]
pub fn answers_by_tool(chat: &Chat, abilities: Abilities) -> bool {
    let in_json = matches!(chat.format, Some(Format::Schema { .. } | Format::Json));
    in_json && native_schema(chat, abilities).is_none()
}

/// OpenAI's tiers in Anthropic's two words; the others have no counterpart.
fn service_tier(chat: &Chat) -> Option<Value> {
    match chat.service_tier.as_deref()? {
        "auto" => Some("auto".into()),
        "default" | "standard_only" => Some("standard_only".into()),
        _ => None,
    }
}

/// The API wants no mail addresses and telephone numbers as names of users.
fn is_personal(user: &str) -> bool {
    let is_phone = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')');
    user.contains('@') || (user.len() >= 7 && user.chars().all(is_phone))
}

/// All instructions, wherever they stand: the API takes them in one place.
fn system(chat: &Chat) -> Result<Option<Value>, BadRequest> {
    let turns = chat.messages.iter().filter(|message| message.role == Role::System);
    let parts: Vec<&Part> = turns.flat_map(|message| &message.parts).collect();
    let parts = parts.into_iter().filter(|part| part.as_text().is_some());
    let blocks: Result<Vec<Value>, _> =
        parts.filter_map(|part| write_part(part, chat.from).transpose()).collect();
    let blocks = blocks.map_err(unsayable)?;
    Ok(match &blocks[..] {
        [] => None,
        [only] if only.get("cache_control").is_none() => Some(only["text"].clone()),
        [..] => Some(blocks.into()),
    })
}

fn unsayable(expected: &'static str) -> BadRequest {
    BadRequest::Unsayable { expected }
}

/// Turns of one speaker that follow each other become one.
fn messages(chat: &Chat) -> Result<Vec<Value>, BadRequest> {
    let mut turns: Vec<(Role, Vec<Value>)> = Vec::with_capacity(chat.messages.len());
    for message in chat.messages.iter().filter(|message| message.role != Role::System) {
        let blocks = turn(message, chat.from).map_err(unsayable)?;
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((role, before)) if *role == message.role => before.extend(blocks),
            Some(_) | None => turns.push((message.role, blocks)),
        }
    }
    // An answer that is begun for the model must not end in white space.
    if let Some((Role::Assistant, blocks)) = turns.last_mut()
        && let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text"))
    {
        text.truncate(text.trim_end().len());
    }
    let write = |(role, content): (Role, Vec<Value>)| {
        let role = if role == Role::Assistant { "assistant" } else { "user" };
        json!({"role": role, "content": content})
    };
    Ok(turns.into_iter().map(write).collect())
}

/// Results of tools come first in a turn.
fn turn(message: &Message, from: Dialect) -> Result<Vec<Value>, &'static str> {
    let is_result = |part: &&Part| matches!(part.kind, PartKind::ToolResult { .. });
    let (results, rest): (Vec<&Part>, Vec<&Part>) = message.parts.iter().partition(is_result);
    let ordered = results.into_iter().chain(rest).cloned().collect::<Vec<Part>>();
    write_parts(&ordered, from)
}

/// The tools, and which of them is to be called.
fn tools(chat: &Chat, abilities: Abilities) -> (Vec<Value>, Option<Value>) {
    let strict = StrictTools::of(chat, abilities.schemas);
    let mut tools: Vec<Value> =
        chat.tools.iter().filter_map(|tool| write_tool(tool, chat, strict)).collect();
    let schema = match &chat.format {
        Some(Format::Schema { schema, .. }) => Some(schema.value()),
        Some(Format::Json) => Some(json!({"type": "object", "additionalProperties": true})),
        Some(Format::Text) | None => None,
    };
    let schema = schema.filter(|_| answers_by_tool(chat, abilities));
    let mut choice = match &chat.tool_choice {
        Some(ToolChoice::Auto) => Some(json!({"type": "auto"})),
        Some(ToolChoice::None) => Some(json!({"type": "none"})),
        Some(ToolChoice::Required) => Some(json!({"type": "any"})),
        Some(ToolChoice::Named(name)) => Some(json!({"type": "tool", "name": name})),
        Some(ToolChoice::Hosted(kind)) => Some(json!({"type": "tool", "name": own_name(kind)})),
        None => None,
    };
    if let Some(schema) = schema {
        let mut tool = json!({"name": JSON_TOOL, "input_schema": object_schema(schema)});
        if !abilities.forced_calls {
            tool["description"] = JSON_TOOL_USE.into();
        } else if tools.is_empty() || chat.tool_choice == Some(ToolChoice::None) {
            choice = Some(json!({"type": "tool", "name": JSON_TOOL}));
        } else {
            // Beside tools of the client's, either one of them is called or the answer is given.
            choice = Some(json!({"type": "any"}));
        }
        tools.push(tool);
    }
    if tools.is_empty() {
        return (tools, None);
    }
    if chat.parallel_tool_calls == Some(false) {
        let choice = choice.get_or_insert_with(|| json!({"type": "auto"}));
        if choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = true.into();
        }
    }
    (tools, choice)
}

/// A hosted tool of another dialect is passed if it is named as Anthropic's are, as LiteLLM's users
/// write them.
fn write_tool(tool: &Tool, chat: &Chat, all: StrictTools) -> Option<Value> {
    match tool {
        Tool::Function { name, description, parameters, strict, cache } => {
            let mut wire = json!({"name": name});
            if let Some(description) = description {
                wire["description"] = description.as_str().into();
            }
            if let Some(schema) = all.schema(parameters.as_ref(), *strict) {
                wire["input_schema"] = schema;
                wire["strict"] = true.into();
            } else {
                let schema = parameters.as_ref().filter(|json| json.is_object()).map(Json::value);
                wire["input_schema"] = object_schema(schema.unwrap_or_else(|| json!({})));
            }
            if let Some(cache) = cache {
                wire["cache_control"] = write_cache(*cache);
            }
            Some(wire)
        }
        Tool::Hosted(json) if chat.from == Dialect::Anthropic => Some(json.value()),
        Tool::Hosted(json) if tool.kind().is_some_and(|kind| is_dated(&kind)) => Some(json.value()),
        Tool::Hosted(json) => WebSearch::of(json).map(|search| search_tool(&search, chat)),
    }
}

/// Whether a tool's type is one of Anthropic's: `web_search_20250305` and the like.
fn is_dated(kind: &str) -> bool {
    let date = kind.rsplit_once('_');
    date.is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

/// What a tool that is run here is called.
fn own_name(kind: &str) -> &str {
    let dated = kind.rsplit_once('_').filter(|_| is_dated(kind));
    dated.map_or(SEARCH_TOOL, |(name, _)| name)
}

/// Whether a tool that a server runs can be had here, by its type in OpenAI's words or Anthropic's.
#[must_use]
pub fn hosts(kind: &str) -> bool {
    is_dated(kind) || is_web_search(kind)
}

/// A search that OpenAI's responses ask for, with the number of searches that LiteLLM has its sizes
/// stand for, and no more than the request allows.
fn search_tool(search: &WebSearch, chat: &Chat) -> Value {
    let mut tool = json!({"type": "web_search_20250305", "name": SEARCH_TOOL});
    let searches = match search.search_context_size.as_deref() {
        Some("low") => Some(1),
        Some("medium") => Some(5),
        Some("high") => Some(10),
        Some(_) | None => None,
    };
    if let Some(searches) = searches.into_iter().chain(chat.max_tool_calls).min() {
        tool["max_uses"] = searches.into();
    }
    if let Some(mut place) = search.place() {
        place.insert("type".to_owned(), "approximate".into());
        tool["user_location"] = place.into();
    }
    if !search.domains().is_empty() {
        tool["allowed_domains"] = search.domains().into();
    }
    tool
}

/// The API takes no schema of anything but an object.
fn object_schema(mut schema: Value) -> Value {
    if let Value::Object(members) = &mut schema {
        members.entry("type").or_insert("object".into());
    }
    schema
}
