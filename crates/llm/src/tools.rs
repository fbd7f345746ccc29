//! What a model used of its provider's own tools, as far as it is charged beside tokens: OpenAI's
//! responses have an item for each call, Anthropic counts searches with the tokens.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dunlin_types::{SearchSize, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::tool_models::searched;
use crate::word::Word;

/// Items of OpenAI's responses.
const WEB_SEARCH: &str = "web_search_call";
const FILE_SEARCH: &str = "file_search_call";
const CODE: &str = "code_interpreter_call";

/// Counts of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Searches of the web.
    pub web_searches: u64,
    /// Searches in files.
    pub file_searches: u64,
    /// Containers in which code was run.
    pub code_sessions: u64,
}

#[derive(Deserialize)]
struct Peek<'a> {
    usage: Option<PeekUsage>,
    #[serde(borrow, default)]
    output: Vec<Item<'a>>,
    #[serde(borrow)]
    tool_usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    container_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekAction<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct PeekUsage {
    server_tool_use: Option<ServerTools>,
}

#[derive(Deserialize)]
struct ServerTools {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    web_search_requests: Option<u64>,
}

/// What a request says of a search: chats in their options, responses in the tool.
#[derive(Deserialize)]
struct PeekAsk<'a> {
    #[serde(borrow)]
    web_search_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekSize<'a> {
    #[serde(borrow)]
    search_context_size: Option<Cow<'a, str>>,
}

static SEARCH_SIZE: Word = Word::new(b"\"search_context_size\"");
/// OpenAI's items, and Anthropic's count.
static USES: [Word; 3] = [
    Word::new(b"web_search_"),
    Word::new(b"file_search_call"),
    Word::new(b"code_interpreter_call"),
];

/// How much a model is to look at of what a search of the web finds.
pub(crate) fn search_size(request: &[u8]) -> SearchSize {
    // Few say so, and others need not be read again.
    if !SEARCH_SIZE.is_in(request) {
        return SearchSize::default();
    }
    let Ok(PeekAsk { web_search_options, tools }) = serde_json::from_slice(request) else {
        return SearchSize::default();
    };
    let said = web_search_options.into_iter().chain(tools);
    let mut sizes = said.filter_map(|said: &RawValue| {
        serde_json::from_str::<PeekSize<'_>>(said.get()).ok()?.search_context_size
    });
    match sizes.next().as_deref() {
        Some("low") => SearchSize::Low,
        Some("high") => SearchSize::High,
        None | Some(_) => SearchSize::Medium,
    }
}

impl Tools {
    /// Whether a body may tell of any, without reading it.
    #[must_use]
    pub(crate) fn are_told_of(body: &[u8]) -> bool {
        USES.iter().any(|word| word.is_in(body))
    }

    /// Those that a whole answer tells of.
    #[must_use]
    pub(crate) fn of_answer(body: &[u8]) -> Self {
        let Ok(Peek { usage, output, tool_usage }) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let counted = usage.and_then(|usage| usage.server_tool_use?.web_search_requests);
        let counted = tool_usage.and_then(|used| searched(used.get())).or(counted);
        let items = Self::of_items(&output);
        Self { web_searches: counted.unwrap_or(items.web_searches), ..items }
    }

    /// Those in the JSON text of a response's `output`.
    #[must_use]
    pub(crate) fn of_output(output: &str) -> Self {
        if !Self::are_told_of(output.as_bytes()) {
            return Self::default();
        }
        serde_json::from_str::<Vec<Item<'_>>>(output)
            .map_or_else(|_| Self::default(), |items| Self::of_items(&items))
    }

    fn of_items(items: &[Item<'_>]) -> Self {
        let of = |kind| items.iter().filter(move |item| item.r#type == kind);
        // Code that is run again in a container does not begin another session.
        let code = items.iter().filter(|item| item.r#type == CODE);
        let containers: BTreeSet<Option<&str>> =
            code.map(|item| item.container_id.as_deref()).collect();
        Self {
            web_searches: of(WEB_SEARCH).filter(|item| item.searches()).count() as u64,
            file_searches: of(FILE_SEARCH).count() as u64,
            code_sessions: containers.len() as u64,
        }
    }

    /// The larger count of each.
    #[must_use]
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self {
            web_searches: self.web_searches.max(other.web_searches),
            file_searches: self.file_searches.max(other.file_searches),
            code_sessions: self.code_sessions.max(other.code_sessions),
        }
    }

    /// What was used, these included.
    #[must_use]
    pub(crate) fn counted_in(self, usage: Usage) -> Usage {
        let Self { web_searches, file_searches, code_sessions } = self;
        Usage { web_searches, file_searches, code_sessions, ..usage }
    }
}

impl Item<'_> {
    /// Whether a look at the web was a search: pages that are opened, and looked through, cost nothing.
    fn searches(&self) -> bool {
        let action = self
            .action
            .and_then(|action| serde_json::from_str::<PeekAction<'_>>(action.get()).ok());
        action.is_none_or(|action| action.r#type == "search")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_and_responses_say_how_much_is_to_be_looked_at() {
        let cases = [
            (r#"{"web_search_options":{"search_context_size":"low"}}"#, SearchSize::Low),
            (r#"{"tools":[{"type":"function"},{"search_context_size":"high"}]}"#, SearchSize::High),
            (r#"{"web_search_options":{"search_context_size":"huge"}}"#, SearchSize::Medium),
            (r#"{"web_search_options":{}}"#, SearchSize::Medium),
            (r#"{"input":"\"search_context_size\""}"#, SearchSize::Medium),
            (r#"{"metadata":{"search_context_size":"low"}}"#, SearchSize::Medium),
        ];
        for (request, size) in cases {
            assert_eq!(search_size(request.as_bytes()), size, "{request}");
        }
    }

    #[test]
    fn each_call_of_a_tool_is_counted_and_each_container_once() {
        let tools = |web_searches, file_searches, code_sessions| Tools {
            web_searches,
            file_searches,
            code_sessions,
        };
        let cases = [
            (
                r#"{"output":[{"type":"file_search_call"},{"type":"file_search_call"}]}"#,
                tools(0, 2, 0),
            ),
            (
                r#"{"output":[{"type":"code_interpreter_call","container_id":"a"},
                    {"type":"code_interpreter_call","container_id":"a"},
                    {"type":"code_interpreter_call","container_id":"b"},{"type":"web_search_call"}]}"#,
                tools(1, 0, 2),
            ),
            (r#"{"output":[{"type":"code_interpreter_call"}]}"#, tools(0, 0, 1)),
            (
                r#"{"output":[{"type":"web_search_call","action":{"type":"search","query":"a"}},
                    {"type":"web_search_call","action":{"type":"open_page","url":"u"}},
                    {"type":"web_search_call","action":{"type":"find_in_page","url":"u"}}]}"#,
                tools(1, 0, 0),
            ),
            (
                r#"{"output":[{"type":"web_search_call","action":{"type":"search"}}],
                    "tool_usage":{"image_gen":null,"web_search":{"num_requests":3}}}"#,
                tools(3, 0, 0),
            ),
            (r#"{"usage":{"server_tool_use":{"web_search_requests":3}}}"#, tools(3, 0, 0)),
            (r#"{"output":[{"type":"message","content":"file_search_call"}]}"#, tools(0, 0, 0)),
            (r#"{"output":"code_interpreter_call"}"#, tools(0, 0, 0)),
        ];
        for (body, expected) in cases {
            assert!(Tools::are_told_of(body.as_bytes()), "{body}");
            assert_eq!(Tools::of_answer(body.as_bytes()), expected, "{body}");
        }
        assert!(!Tools::are_told_of(br#"{"output":[{"type":"message"}]}"#));
    }
}
