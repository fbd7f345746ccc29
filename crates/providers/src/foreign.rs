//! What only the client's dialect has, for a provider of another: said otherwise where there is a way,
//! and refused where the answer would be another one without it.

use dunlin_llm::form::{Chat, Json, Part, PartKind, Role, Source, Tool};
use dunlin_llm::{BadRequest, ChatRequest, Dialect, ParamRules, Target, anthropic, gemini, openai};
use serde_json::{Value, json};

use crate::{EncodeError, Provider, responses};

mod traces;

/// Providers whose chats have OpenAI's option to search the web.
const SEARCHING: &[&str] = &["azure", "azure_ai", "openai"];
const INSTRUCTIONS: &str = "instructions as texts";
const NOT_UPLOADED: &str = "a picture or document inline or by URL: only the provider that keeps an \
                            uploaded file can read it";
/// Who has OpenAI's chats and fetches documents; in the others they stand themselves.
const FETCHING: &[&str] = &["litellm_proxy", "openrouter"];
const NOT_FETCHED: &str = "documents inline, in base64: this model's provider fetches none";
/// Google's tools that search it.
const GOOGLES_SEARCHES: &[&str] = &["googleSearch", "googleSearchRetrieval"];

/// Says what it can in words that the provider knows.
///
/// # Errors
/// Something means nothing to it: what the messages say and what they build on cannot be left out,
/// tools and parameters can with `drop_params`.
pub(crate) fn fit(
    provider: &dyn Provider,
    request: &ChatRequest,
    chat: &mut Chat,
    (to, rules): (&Target, &ParamRules),
) -> Result<(), EncodeError> {
    let dialect = provider.dialect(to);
    if dialect == Some(chat.from) {
        return Ok(());
    }
    let refuse = |name: String, expected| {
        let route = request.endpoint().route();
        EncodeError::BadRequest(BadRequest::Invalid { route, name, expected })
    };
    if chat.from == Dialect::Gemini && said(chat, "cachedContent").is_some() {
        let expected = "none for this model: what it names is kept by Google, and another provider \
                        cannot read it; send its contents instead";
        return Err(refuse("cachedContent".to_owned(), expected));
    }
    for message in &mut chat.messages {
        let (from, role) = (chat.from, message.role);
        say(from, role, &mut message.parts).map_err(|(name, expected)| refuse(name, expected))?;
    }
    if dialect == Some(Dialect::OpenAi)
        && !FETCHING.contains(&provider.id())
        && names_documents(chat)
    {
        return Err(refuse("messages: a document by URL".to_owned(), NOT_FETCHED));
    }
    if chat.from == Dialect::OpenAi
        && matches!(dialect, Some(Dialect::Anthropic | Dialect::Responses))
    {
        search_by_tool(chat);
    }
    if chat.from == Dialect::OpenAi && dialect != Some(Dialect::Responses) {
        take_texts(chat);
    }
    let mut lost = lost_params(chat, dialect);
    // Tools of responses have been fitted before.
    if chat.from != Dialect::Responses {
        lost.extend(fit_tools(provider, chat, dialect));
    }
    if lost.is_empty() || rules.drop_unsupported {
        return Ok(());
    }
    let (provider, model) = (provider.id(), to.model.to_string());
    Err(EncodeError::UnsupportedParams { provider, params: lost, model })
}

/// A field without a word in the form.
fn said<'c>(chat: &'c Chat, name: &str) -> Option<&'c Json> {
    chat.other.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// Whether a document is only named by its address.
fn names_documents(chat: &Chat) -> bool {
    fn is_named(part: &Part) -> bool {
        match &part.kind {
            PartKind::File { source: Source::Url(_) | Source::Typed { .. }, .. } => true,
            PartKind::ToolResult { parts, .. } => parts.iter().any(is_named),
            PartKind::File { source: Source::Inline { .. } | Source::Id(_), .. }
            | PartKind::Text(_)
            | PartKind::Refusal(_)
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking(_)
            | PartKind::ToolCall(_)
            | PartKind::Other(_) => false,
        }
    }
    chat.messages.iter().flat_map(|message| &message.parts).any(is_named)
}

type Unsayable = (String, &'static str);

/// Puts pieces that only their own dialect knows into words, in what is said and in results of tools.
fn say(from: Dialect, role: Role, parts: &mut Vec<Part>) -> Result<(), Unsayable> {
    for mut part in std::mem::take(parts) {
        match &mut part.kind {
            PartKind::Other(json) => match words(from, role, &json.value())? {
                Some(text) => part.kind = PartKind::Text(text),
                None => continue,
            },
            PartKind::ToolResult { parts, .. } => say(from, role, parts)?,
            PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. }
                if role == Role::System =>
            {
                return Err(("messages: a picture, a sound or a file".to_owned(), INSTRUCTIONS));
            }
            PartKind::Image { source: Source::Id(id), .. }
                if matches!(from, Dialect::Anthropic | Dialect::Responses) =>
            {
                return Err((format!("messages: file_id {id}"), NOT_UPLOADED));
            }
            PartKind::File { source: Source::Id(id), .. } if from == Dialect::Anthropic => {
                return Err((format!("messages: file_id {id}"), NOT_UPLOADED));
            }
            PartKind::Text(_)
            | PartKind::Refusal(_)
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking(_)
            | PartKind::ToolCall(_) => {}
        }
        parts.push(part);
    }
    Ok(())
}

/// The words for a piece. `None`: a trace of what the model's former provider did, whose outcome is
/// told in the words around it.
fn words(from: Dialect, role: Role, part: &Value) -> Result<Option<String>, Unsayable> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = part["type"].as_str();
    let (code, outcome) = (part.get("executableCode"), part.get("codeExecutionResult"));
    if let (Dialect::Gemini, Some(code)) = (from, code) {
        let language = text(&code["language"]).to_ascii_lowercase();
        return Ok(Some(format!("```{language}\n{}\n```", text(&code["code"]))));
    }
    if let (Dialect::Gemini, Some(outcome)) = (from, outcome) {
        return Ok(Some(format!("```\n{}\n```", text(&outcome["output"]))));
    }
    if (from, kind) == (Dialect::Anthropic, Some("search_result")) {
        let found = part["content"].as_array().into_iter().flatten();
        let found: Vec<String> = found.map(|block| text(&block["text"])).collect();
        let (title, source) = (text(&part["title"]), text(&part["source"]));
        return Ok(Some(format!("{title}\n{source}\n\n{}", found.join("\n"))));
    }
    if (from, kind) == (Dialect::Anthropic, Some("compaction")) {
        return Ok(Some(text(&part["content"])));
    }
    if (from, kind) == (Dialect::Anthropic, Some("tool_reference")) {
        // It is declared with the others.
        return Ok(Some(format!("Found the tool {}.\n", text(&part["tool_name"]))));
    }
    if let (Dialect::Anthropic, Some(told)) = (from, traces::told(part)) {
        return Ok(Some(told));
    }
    let beside = ["partMetadata", "thought", "thoughtSignature"];
    let mut members = part.as_object().into_iter().flat_map(|members| members.keys());
    let first = members.find(|name| !beside.contains(&name.as_str()));
    let named = kind.or(first.map(String::as_str)).unwrap_or("a part").to_owned();
    if role == Role::Assistant && is_trace(from, &named) {
        return Ok(None);
    }
    Err((format!("messages: {named}"), "parts that this model's provider has a word for"))
}

/// Whether a piece of a model's turn is such a trace, by its type or its member.
fn is_trace(from: Dialect, named: &str) -> bool {
    match from {
        Dialect::Anthropic => {
            matches!(named, "server_tool_use" | "mcp_tool_use") || named.ends_with("_tool_result")
        }
        Dialect::Gemini => matches!(named, "toolCall" | "toolResponse"),
        // Frameworks repeat what stands in members of its own: its calls and its thoughts.
        Dialect::OpenAi => matches!(named, "tool_use" | "reasoning" | "reasoning_content"),
        Dialect::Responses => false,
    }
}

/// OpenAI's option to search the web is a tool of Anthropic's.
fn search_by_tool(chat: &mut Chat) {
    let (name, mut options) = ("web_search_options", None);
    for fields in [&mut chat.extra, &mut chat.other] {
        let is_option = |field: &mut (String, Json)| field.0 == name && field.1.is_object();
        options = fields.extract_if(.., is_option).last().or(options);
    }
    let Some((_, options)) = options else { return };
    let mut tool = options.value();
    tool["type"] = "web_search".into();
    // Where the option has the place inside, the tool has it beside.
    let place = tool.get_mut("user_location").and_then(|place| place.get_mut("approximate"));
    if let Some(place) = place.map(Value::take) {
        tool["user_location"] = place;
    }
    chat.tools.push(Tool::Hosted(Json::of(&tool)));
}

/// Makes functions of tools that take any text, which only OpenAI has.
fn take_texts(chat: &mut Chat) {
    for tool in &mut chat.tools {
        let Tool::Hosted(json) = tool else { continue };
        let Some(function) = openai::function_of_custom(json) else { continue };
        if let (Some(allowed), Tool::Function { name, .. }) = (&mut chat.allowed, &function) {
            // One that may not be called has been left out.
            allowed.insert(name.clone());
        }
        *tool = function;
    }
}

/// A search of the web as Anthropic's or Google's tool asks for it, as OpenAI's responses have it.
fn search_there(tool: &Value) -> Json {
    let mut wire = json!({"type": "web_search"});
    if let Some(place) = tool.get("user_location").filter(|place| place.is_object()) {
        wire["user_location"] = place.clone();
    }
    if let Some(sites) = tool.get("allowed_domains").filter(|sites| sites.is_array()) {
        wire["filters"] = json!({"allowed_domains": sites});
    }
    Json::of(&wire)
}

/// Parameters of the client's dialect without which the answer would be another.
fn lost_params(chat: &Chat, dialect: Option<Dialect>) -> Vec<String> {
    match chat.from {
        Dialect::Gemini => {
            let config = said(chat, "generationConfig").map(Json::value).unwrap_or_default();
            let lost = config.as_object().into_iter().flatten().filter(|(name, value)| {
                let is_text = |word: &Value| word == "TEXT";
                let only_text = value.as_array().is_some_and(|words| words.iter().all(is_text));
                matches!(&***name, "speechConfig" | "responseMimeType" | "imageConfig")
                    || (*name == "responseModalities" && !only_text)
            });
            lost.map(|(name, _)| format!("generationConfig.{name}")).collect()
        }
        Dialect::Anthropic => {
            let lost = ["compaction", "container", "mcp_servers"];
            let is_said = |name: &&str| said(chat, name).is_some_and(|value| value.text() != "[]");
            lost.into_iter().filter(is_said).map(str::to_owned).collect()
        }
        // A guard, which a provider that does not know it would pass over.
        Dialect::OpenAi | Dialect::Responses
            if !matches!(dialect, Some(Dialect::OpenAi | Dialect::Responses)) =>
        {
            said(chat, "moderation").map(|_| "moderation".to_owned()).into_iter().collect()
        }
        // What a provider has of these is compared with what is said.
        Dialect::OpenAi | Dialect::Responses => Vec::new(),
    }
}

/// Gives the provider the tools it has under another name, and takes those away that it has not.
fn fit_tools(provider: &dyn Provider, chat: &mut Chat, dialect: Option<Dialect>) -> Vec<String> {
    let mut lost = Vec::new();
    let (mut searches, from) = (false, chat.from);
    chat.tools.retain_mut(|tool| {
        let Tool::Hosted(json) = tool else { return true };
        let wire = json.value();
        let kind = wire["type"].as_str().map(str::to_owned);
        let first = wire.as_object().and_then(|members| members.keys().next()).cloned();
        let name = kind.clone().or(first).unwrap_or_default();
        let is_search = match from {
            Dialect::Gemini => GOOGLES_SEARCHES.contains(&&*name),
            Dialect::Anthropic => name.starts_with("web_search"),
            Dialect::OpenAi | Dialect::Responses => false,
        };
        if is_search && from == Dialect::Gemini && dialect == Some(Dialect::Anthropic) {
            *json = Json::of(&json!({"type": "web_search_20250305", "name": "web_search"}));
            return true;
        }
        if is_search && dialect == Some(Dialect::Responses) {
            *json = search_there(&wire);
            return true;
        }
        if is_search && SEARCHING.contains(&provider.id()) {
            searches = true;
            return false;
        }
        let is_had = match dialect {
            Some(Dialect::Anthropic) => kind.as_deref().is_some_and(anthropic::hosts),
            Some(Dialect::Gemini) => gemini::runs(json),
            Some(Dialect::Responses) => {
                from == Dialect::OpenAi && kind.as_deref().is_some_and(responses::runs)
            }
            Some(Dialect::OpenAi) | None => false,
        };
        if !is_had {
            lost.push(format!("tools.{name}"));
        }
        is_had
    });
    if searches {
        chat.extra.push(("web_search_options".to_owned(), Json::of(&json!({}))));
    }
    lost
}
