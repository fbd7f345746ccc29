//! How often an answer may use tools that its provider runs. Behind each use the model reads its prompt
//! again, with what was found, and all that it reads is charged.

use dunlin_types::Tokens;
use serde::Deserialize;
use serde_json::Value;

/// A model writes more than this to call a tool once.
pub(crate) const TOKENS_A_CALL: u64 = 16;

/// How the kinds begin of tools behind whose uses the model goes on.
pub(crate) const KINDS: &[&str] = &[
    "advisor_",
    "code_execution",
    "code_interpreter",
    "file_search",
    "image_generation",
    "mcp",
    "openrouter:",
    "tool_search",
    "web_fetch",
    "web_search",
    "x_search",
];
/// Those of them that search the web.
const SEARCH_KINDS: &[&str] = &["openrouter:", "web_search", "x_search"];
/// Google's tools, by their names: it charges each prompt once, whatever they find, and searches beside
/// it.
const GOOGLES_SEARCHES: &[&str] = &[
    "enterpriseWebSearch",
    "enterprise_web_search",
    "googleMaps",
    "googleSearch",
    "googleSearchRetrieval",
    "google_maps",
    "google_search",
    "google_search_retrieval",
];

/// How often at most, by what a body says of that. `u64::MAX`: as often as the answer has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Of all tools together.
    pub all: u64,
    /// Searches of the web among them. One use may be several.
    pub searches: u64,
    /// There is one search, where a model does not search by a tool.
    pub by_option: bool,
}

/// What a body says of that. What it says twice is not read: each server may take another.
#[derive(Deserialize)]
struct Peek {
    tools: Option<Value>,
    max_tool_calls: Option<Value>,
    mcp_servers: Option<Value>,
    prompt: Option<Value>,
    web_search_options: Option<Value>,
    plugins: Option<Value>,
    search_parameters: Option<Value>,
    enable_search: Option<Value>,
    /// Those of a batch of messages.
    requests: Option<Vec<PeekRequest>>,
}

#[derive(Deserialize)]
struct PeekRequest {
    params: Option<Box<Peek>>,
}

impl Uses {
    const UNBOUNDED: Self = Self { all: u64::MAX, searches: u64::MAX, by_option: false };

    /// Of a body in JSON; of a batch, of any one of its requests.
    pub(crate) fn of(body: &[u8]) -> Self {
        serde_json::from_slice::<Peek>(body).map_or(Self::UNBOUNDED, |peek| peek.uses())
    }

    /// The same within an answer of so many tokens. `by_tool`: its model searches by a tool, however it
    /// is told to.
    #[must_use]
    pub fn within(self, output: Tokens, by_tool: bool) -> Self {
        let most = (output.0 / TOKENS_A_CALL).max(1);
        let optional = match (self.by_option, by_tool) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => most,
        };
        let uses = |said: u64| said.min(most).max(optional);
        Self { all: uses(self.all), searches: uses(self.searches), ..self }
    }

    fn or_more(self, other: Self) -> Self {
        Self {
            all: self.all.max(other.all),
            searches: self.searches.max(other.searches),
            by_option: self.by_option || other.by_option,
        }
    }
}

impl Peek {
    fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        // Of Anthropic's each says for itself how often it may be used; of all others the request does.
        let (mut dated, mut others) = (0_u64, 0_u64);
        let tools = self.tools.as_ref().and_then(Value::as_array);
        for tool in tools.into_iter().flatten() {
            let is_googles = GOOGLES_SEARCHES.iter().any(|name| !tool[*name].is_null());
            let kind = tool["type"].as_str().unwrap_or_default();
            let begins = |kinds: &[&str]| kinds.iter().any(|begin| kind.starts_with(begin));
            let in_container = tool["environment"]["type"].as_str();
            let in_container = in_container.is_some_and(|kind| kind.starts_with("container"));
            let said = tool["max_uses"].as_u64().filter(|_| is_dated(kind));
            if begins(SEARCH_KINDS) || is_googles {
                uses.searches = uses.searches.saturating_add(said.unwrap_or(u64::MAX));
            }
            if !begins(KINDS) && !in_container {
                continue;
            }
            let sum = if is_dated(kind) { &mut dated } else { &mut others };
            *sum = sum.saturating_add(said.unwrap_or(u64::MAX));
        }
        // A prompt that the provider holds may have tools of its own.
        if self.prompt.as_ref().is_some_and(Value::is_object) {
            (others, uses.searches) = (u64::MAX, u64::MAX);
        }
        if self.mcp_servers.as_ref().and_then(Value::as_array).is_some_and(|all| !all.is_empty()) {
            dated = u64::MAX;
        }
        let calls = self.max_tool_calls.as_ref().and_then(Value::as_u64).unwrap_or(u64::MAX);
        uses.all = dated.saturating_add(others.min(calls));
        let options = [&self.web_search_options, &self.plugins, &self.search_parameters];
        uses.by_option = options.into_iter().any(|option| option.as_ref().is_some_and(is_set))
            || self.enable_search == Some(Value::Bool(true));
        let requests = self.requests.iter().flatten().filter_map(|one| one.params.as_ref());
        requests.fold(uses, |all, one| all.or_more(one.uses()))
    }
}

fn is_set(option: &Value) -> bool {
    option.is_object() || option.as_array().is_some_and(|list| !list.is_empty())
}

/// Whether a tool's type ends in a date, as Anthropic's do, which alone are told how often.
fn is_dated(kind: &str) -> bool {
    let date = kind.rsplit_once('_');
    date.is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = u64::MAX;

    #[test]
    fn a_body_says_how_often_tools_are_used() {
        for (body, all, searches) in [
            (r#"{"tools":[{"type":"function","name":"web_search"}]}"#, 0, 0),
            (r#"{"tools":[{"type":"web_search"}]}"#, MAX, MAX),
            (r#"{"tools":[{"type":"web_search"}],"max_tool_calls":2}"#, 2, MAX),
            (r#"{"tools":[{"type":"file_search"},{"type":"mcp"}],"max_tool_calls":2}"#, 2, 0),
            (r#"{"max_tool_calls":1,"max_tool_calls":9,"tools":[{"type":"mcp"}]}"#, MAX, MAX),
            (r#"{"tools":[{"type":"web_search_20250305","max_uses":3}]}"#, 3, 3),
            // Who does not know the field does not keep to it.
            (r#"{"tools":[{"type":"web_search","max_uses":3}]}"#, MAX, MAX),
            (r#"{"tools":[{"type":"web_fetch_20250910"}],"max_tool_calls":2}"#, MAX, 0),
            (
                r#"{"tools":[{"type":"web_fetch_20250910","max_uses":2},
                    {"type":"web_search_20250305","max_uses":1}]}"#,
                3,
                1,
            ),
            (r#"{"tools":[{"type":"shell","environment":{"type":"container_auto"}}]}"#, MAX, 0),
            (r#"{"tools":[{"type":"shell","environment":{"type":"local"}}]}"#, 0, 0),
            (r#"{"mcp_servers":[{"url":"https://x"}]}"#, MAX, 0),
            (r#"{"prompt":{"id":"pmpt_1"}}"#, MAX, MAX),
            (r#"{"prompt":"a cat"}"#, 0, 0),
            (r#"{"tools":[{"google_search":{}}]}"#, 0, MAX),
            (r#"{"tools":[{"codeExecution":{}}]}"#, 0, 0),
            (
                r#"{"requests":[{"params":{"tools":[{"type":"web_search_20250305","max_uses":2}]}},
                    {"params":{"tools":[{"type":"web_search_20250305","max_uses":1}]}}]}"#,
                2,
                2,
            ),
        ] {
            let uses = Uses::of(body.as_bytes());
            assert_eq!((uses.all, uses.searches, uses.by_option), (all, searches, false), "{body}");
        }
    }

    #[test]
    fn an_answer_has_room_for_so_many() {
        let within = |body: &str, by_tool| {
            let uses = Uses::of(body.as_bytes()).within(Tokens(160), by_tool);
            (uses.all, uses.searches)
        };
        let search = r#"{"tools":[{"type":"web_search"}],"max_tool_calls":2}"#;
        assert_eq!(within(search, false), (2, 10));
        let option = r#"{"web_search_options":{}}"#;
        assert_eq!((within(option, false), within(option, true)), ((1, 1), (10, 10)));
        assert_eq!(within(r#"{"tools":[]}"#, true), (0, 0));
    }
}
