//! On whose behalf the requests of a batch are, which each of them says for itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::edit;
use crate::endpoint::Endpoint;
use crate::fields::is_passed_on;
use crate::json::{Member, string};
use crate::parse::{BadRequest, Heard, heard, object, refuse_duplicates};
use crate::said::{Required, lacking};
use crate::tool_models::MAX_MODELS;

/// Different end users with their tags that one batch may be for: each is looked up, may have a
/// budget of its own, and leaves a record of its own.
pub const MAX_SETS: usize = 1_000;

const JSON: &str = "application/json";
/// The low bits of a mark say which set it is of.
const SET_BITS: u32 = 16;

/// What the requests of a batch are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A line of a file, whose `url` says what its `body` is.
    Line,
    /// One of Anthropic's, whose `params` are those of a message.
    Message,
}

impl Shape {
    /// Which member is the request itself.
    fn inner(self) -> &'static str {
        match self {
            Self::Line => "body",
            Self::Message => "params",
        }
    }

    /// The route by which a batch of them is made.
    #[must_use]
    pub fn route(self) -> &'static str {
        match self {
            Self::Line => "/batches",
            Self::Message => "/v1/messages/batches",
        }
    }

    /// `text` without what is the gateway's alone in its requests: one line, or a batch of messages.
    #[must_use]
    pub fn without_ours(self, text: Bytes) -> Bytes {
        let endpoint = object(&text).ok().and_then(|members| self.endpoint(&members));
        let below = match self {
            Self::Line => "body",
            Self::Message => "requests[*].params",
        };
        edit::sifted(text, below, &|name| is_passed_on(endpoint, name))
    }

    fn endpoint(self, members: &[Member<'_>]) -> Option<Endpoint> {
        match self {
            Self::Line => Endpoint::of_url(&text(members, "url")?),
            Self::Message => Some(Endpoint::Messages),
        }
    }
}

fn text<'m>(members: &[Member<'m>], name: &str) -> Option<std::borrow::Cow<'m, str>> {
    string(members.iter().rfind(|member| member.name == name)?.value)
}

/// An end user and tags that some requests of a batch name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelSet {
    /// Who is said to be the client's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    /// Each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The first request that names them.
    pub line: u64,
}

/// Which requests of a batch are on whose behalf. Those that name nobody are on that of the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineLabels {
    /// Each once, [`MAX_SETS`] at most.
    pub sets: Vec<LabelSet>,
    /// For each request that names some, in order: the hash of its `custom_id` above the number of its
    /// set.
    marks: Vec<u64>,
}

/// Why a request cannot be part of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It would be refused if it came alone.
    #[error(transparent)]
    Bad(#[from] BadRequest),
    /// It lacks what each must have.
    #[error("it lacks `{0}`")]
    Lacks(String),
    /// It names one end user, or other tags, too many.
    #[error("it names more than {MAX_SETS} different end users and sets of tags with those before")]
    TooMany,
    /// Tools of its provider's ask models, too many.
    #[error("with those before, its tools ask more than {MAX_MODELS} different models")]
    TooManyModels,
    /// Its answer could not be told from another's.
    #[error(
        "its `custom_id` is also that of request {first}: each request of a batch needs one of its own"
    )]
    Duplicate {
        /// The request before it that has the same, the first is 1.
        first: u64,
    },
}

/// Why a batch cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBatch {
    /// The number of the request that cannot be part of it; `None`: it is none at all.
    pub request: Option<u64>,
    /// Why.
    pub why: BadLine,
}

/// The requests of a batch, as they are heard one after the other.
#[derive(Debug, Default)]
pub struct Hearing {
    labels: LineLabels,
    known: BTreeMap<(Option<String>, Vec<String>), u64>,
    has_ours: bool,
    /// The models that tools may ask, each with the first request that names it.
    tool_models: BTreeMap<String, u64>,
    /// By the hash of its `custom_id`, where each request stands.
    ids: BTreeMap<u128, u64>,
}

impl Hearing {
    /// Hears the request of number `line`, which must have all that is `required`.
    ///
    /// # Errors
    /// [`BadLine`].
    pub fn hear(
        &mut self,
        (line, shape): (u64, Shape),
        text: &Bytes,
        required: Required<'_>,
    ) -> Result<(), BadLine> {
        let all = object(text)?;
        // Whoever reads the first of two would see another request.
        refuse_duplicates(&all)?;
        let id = self::text(&all, "custom_id");
        if let Some(id) = &id {
            let before = self.ids.insert(long_hash(id), line);
            before.map_or(Ok(()), |first| Err(BadLine::Duplicate { first }))?;
        }
        let id = id.unwrap_or_default();
        let missing = BadRequest::Missing { route: shape.route(), name: shape.inner() };
        let request = all.iter().find(|member| member.name == shape.inner()).ok_or(missing)?;
        let request = text.slice_ref(request.value.as_bytes());
        if let Some(missing) = lacking(required, JSON, &request) {
            return Err(BadLine::Lacks(missing.to_owned()));
        }
        let endpoint = shape.endpoint(&all);
        let Heard { labels, tool_models } = heard(endpoint, &request)?;
        for model in tool_models.names() {
            self.tool_models.entry(model.to_owned()).or_insert(line);
        }
        if self.tool_models.len() > MAX_MODELS {
            return Err(BadLine::TooManyModels);
        }
        self.has_ours |= edit::names(&request).iter().any(|name| !is_passed_on(endpoint, name));
        if labels.end_user.is_some() || !labels.tags.is_empty() {
            let set = self.set(line, (labels.end_user, labels.tags))?;
            self.labels.marks.push(hash(&id) | set);
        }
        Ok(())
    }

    fn set(&mut self, line: u64, labels: (Option<String>, Vec<String>)) -> Result<u64, BadLine> {
        if let Some(known) = self.known.get(&labels) {
            return Ok(*known);
        }
        let sets = &mut self.labels.sets;
        if sets.len() == MAX_SETS {
            return Err(BadLine::TooMany);
        }
        let number = sets.len() as u64;
        let (end_user, tags) = labels.clone();
        sets.push(LabelSet { end_user, tags, line });
        self.known.insert(labels, number);
        Ok(number)
    }

    /// Whether a request says something that is not for its provider.
    #[must_use]
    pub fn has_ours(&self) -> bool {
        self.has_ours
    }

    /// The models that tools of the requests may ask, each with the first request that names it.
    #[must_use]
    pub fn tool_models(&self) -> &BTreeMap<String, u64> {
        &self.tool_models
    }

    /// All are heard.
    #[must_use]
    pub fn end(self) -> LineLabels {
        let mut labels = self.labels;
        labels.marks.sort_unstable();
        labels
    }
}

impl LineLabels {
    /// The set of the request to which a line of answers belongs; `None` for those of the batch.
    #[must_use]
    pub fn of_answer(&self, line: &[u8]) -> Option<usize> {
        if self.marks.is_empty() {
            return None;
        }
        let id = hash(&string(edit::member(line, "custom_id")?)?);
        let mark = self.marks.get(self.marks.partition_point(|mark| *mark < id))?;
        let (of, set) = (mark >> SET_BITS << SET_BITS, mark - (mark >> SET_BITS << SET_BITS));
        usize::try_from(set).ok().filter(|set| of == id && *set < self.sets.len())
    }
}

/// FNV-1a, the same on all nodes, with room for the number of a set.
fn hash(id: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    id.bytes().fold(0xcbf2_9ce4_8422_2325, step) >> SET_BITS << SET_BITS
}

/// FNV-1a of 128 bits: no two ids of one batch have the same by chance.
fn long_hash(id: &str) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    id.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bodies: &[&str], required: &[String]) -> Result<(LineLabels, bool), (u64, BadLine)> {
        let mut hearing = Hearing::default();
        for (line, body) in (1..).zip(bodies) {
            let text = Bytes::from(format!(r#"{{"custom_id":"c{line}","body":{body}}}"#));
            let at = (line, Shape::Line);
            hearing.hear(at, &text, [required, &[]]).map_err(|bad| (line, bad))?;
        }
        let has_ours = hearing.has_ours();
        Ok((hearing.end(), has_ours))
    }

    #[test]
    fn each_request_is_on_whose_behalf_it_says() {
        let bodies = [
            r#"{"user":"ann"}"#,
            r#"{"messages":[]}"#,
            r#"{"user":"bob","tags":["a"]}"#,
            r#"{"litellm_metadata":{"user":"ann"}}"#,
            r#"{"user":"zoe"}"#,
        ];
        let (labels, has_ours) = heard(&bodies, &[]).expect("all are right");
        let said = labels.sets.iter().map(|set| (set.end_user.as_deref(), &*set.tags, set.line));
        let tags = ["a".to_owned()];
        let expected =
            [(Some("ann"), &[][..], 1), (Some("bob"), &tags[..], 3), (Some("zoe"), &[][..], 5)];
        assert_eq!(said.collect::<Vec<_>>(), expected);
        assert!(has_ours);
        let of = |id: &str| labels.of_answer(format!(r#"{{"custom_id":"{id}"}}"#).as_bytes());
        assert_eq!(["c1", "c2", "c3", "c4", "x"].map(of), [Some(0), None, Some(1), Some(0), None]);
        assert_eq!(labels.of_answer(b"{}"), None);
        let kept = serde_json::to_string(&labels).expect("plain data");
        assert_eq!(serde_json::from_str::<LineLabels>(&kept).expect("as it was"), labels);
        assert!(!heard(&[r#"{"user":"ann","n":1}"#], &[]).expect("right").1);
    }

    #[test]
    fn what_a_request_lacks_or_says_wrongly_is_found_where_it_stands() {
        let required = ["user".to_owned()];
        let lacks = heard(&[r#"{"user":"ann"}"#, r#"{"user":null}"#], &required);
        assert_eq!(lacks, Err((2, BadLine::Lacks("user".to_owned()))));
        let bad = heard(&["{}", "{}", r#"{"litellm_metadata":7}"#], &[]);
        assert!(matches!(bad, Err((3, BadLine::Bad(_)))), "{bad:?}");
        let all: Vec<_> = (0..=MAX_SETS).map(|user| format!(r#"{{"user":"u{user}"}}"#)).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(heard(&all, &[]), Err((MAX_SETS as u64 + 1, BadLine::TooMany)));
        assert!(heard(&all[..MAX_SETS], &[]).is_ok());
    }

    #[test]
    fn a_request_is_refused_for_what_it_would_be_refused_for_alone() {
        let heard = |shape, text: &str| {
            let heard =
                Hearing::default().hear((1, shape), &Bytes::from(text.to_owned()), [&[]; 2]);
            heard.map_err(|bad| bad.to_string()).err().unwrap_or_default()
        };
        let chat = r#""messages":[],"max_tokens":9,"model":"m""#;
        let said = [
            ("", ""),
            (r#""user":"ann","metadata":{"run":"1"}"#, ""),
            (r#""user":7"#, "'user': expected a string"),
            (r#""tags":"night""#, "'tags': expected a list"),
            (r#""litellm_metadata":{"tags":[1]}"#, "'litellm_metadata': expected a list"),
            (r#""litellm_metadata":{"guardrails":["pii"]}"#, "'litellm_metadata': expected an"),
            (r#""guardrails":["pii"]"#, "'guardrails' is not enforced"),
            (r#""mock_testing_fallbacks":true"#, "'mock_testing_fallbacks' is not enforced"),
            (r#""api_base":"http://x""#, "'api_base' is not allowed"),
            (r#""api_key":"sk-x""#, "'api_key' is not allowed"),
            (r#""timeout":"soon""#, "'timeout': expected"),
            (r#""timeout":7"#, "'timeout' is not carried out"),
            (r#""num_retries":3"#, "'num_retries' is not carried out"),
            (r#""fallbacks":["m"]"#, "'fallbacks' is not carried out"),
            (r#""drop_params":true"#, "'drop_params' is not carried out"),
            (r#""num_retries":0,"disable_fallbacks":true,"drop_params":null"#, ""),
            (r#""api_key":null,"guardrails":[],"mock_response":"hi""#, ""),
        ];
        let url = |path: &str| format!(r#""url":"{path}","#);
        let chats = [url("/v1/chat/completions"), url("/v1/unknown"), String::new()];
        for (said, told) in said {
            let comma = if said.is_empty() { "" } else { "," };
            let body = format!("{{{chat}{comma}{said}}}");
            for url in &chats {
                let bad = heard(Shape::Line, &format!(r#"{{{url}"body":{body}}}"#));
                assert!(bad.contains(told) && bad.is_empty() == told.is_empty(), "{body}: {bad}");
            }
            let bad = heard(Shape::Message, &format!(r#"{{"params":{body}}}"#));
            assert!(bad.contains(told) && bad.is_empty() == told.is_empty(), "{body}: {bad}");
        }
        let lines = [
            ("7", "expected an object"),
            ("no json", "Invalid JSON"),
            ("\u{feff}{}", "Invalid JSON"),
            (r#"{"body":{"messages":[]},"b\u006fdy":{"messages":[]}}"#, "duplicate field 'body'"),
            (r#"{"body":{"messages":[],"model":"a","model":"b"}}"#, "duplicate field 'model'"),
            ("{}", "Missing required parameter: 'body'"),
            (r#"{"body":7}"#, "expected an object"),
            (r#"{"url":"/v1/embeddings","body":{"model":"m"}}"#, "parameter: 'input'"),
            (r#"{"url":"/v1/responses","body":{"input":"x","metadata":{"tags":"a"}}}"#, ""),
            (r#"{"url":"/v1/chat/completions","body":{"messages":[],"n":0}}"#, "'n'"),
            (r#"{"url":"/v1/chat/completions","body":{"messages":[]}}"#, ""),
        ];
        for (line, told) in lines {
            let bad = heard(Shape::Line, line);
            assert!(bad.contains(told) && bad.is_empty() == told.is_empty(), "{line}: {bad}");
        }
        for (params, told) in [
            (r#"{"messages":[],"max_tokens":1}"#, "model"),
            (r#"{"messages":[],"model":"m"}"#, "'max_tokens'"),
            (r#"{"max_tokens":1,"model":"m"}"#, "'messages'"),
        ] {
            let bad = heard(Shape::Message, &format!(r#"{{"params":{params}}}"#));
            assert!(bad.contains(told), "{params}: {bad}");
        }
    }

    #[test]
    fn an_id_is_of_one_request() {
        let mut hearing = Hearing::default();
        let mut hear = |line, more: &str| {
            let text = format!(r#"{{"body":{{"messages":[]}}{more}}}"#);
            hearing.hear((line, Shape::Line), &Bytes::from(text), [&[]; 2])
        };
        for (line, more) in
            [(1, r#","custom_id":"a""#), (2, r#","custom_id":"b""#), (3, ""), (4, "")]
        {
            assert_eq!(hear(line, more), Ok(()), "{more}");
        }
        let again = r#","custom_id":"\u0061""#;
        assert_eq!(hear(5, again), Err(BadLine::Duplicate { first: 1 }));
    }

    #[test]
    fn what_is_the_gateways_alone_is_cut_as_from_what_comes_alone_and_nothing_else() {
        let cut = |shape: Shape, text: &str| {
            String::from_utf8(shape.without_ours(Bytes::from(text.to_owned())).to_vec())
                .expect("text")
        };
        let ours = r#""litellm_metadata":{},"tags":["a"],"mock_response":"hi","api_key":null,"num_retries":0"#;
        let line = |url: &str, body: &str| {
            format!(r#"{{"custom_id":"1", "url":"{url}","body":{{{body}}}}}"#)
        };
        for (url, kept) in [
            ("/v1/chat/completions", r#""user":"ann", "n":1.0"#),
            ("/v1/responses", r#""metadata":{"a":"b"}, "x":1"#),
            ("/v1/unknown", r#""user":"ann""#),
        ] {
            let said = line(url, &format!("{ours},{kept},{ours}"));
            assert_eq!(cut(Shape::Line, &said), line(url, kept));
        }
        let said = line("/v1/chat/completions", r#""metadata":{"tags":["a"]},"user":"ann""#);
        assert_eq!(cut(Shape::Line, &said), line("/v1/chat/completions", r#""user":"ann""#));
        let batch = r#"{"requests":[{"params":{"tags":[],"model":"m"}},{"params":{"model":"m","metadata":{"user_id":"a"}}}],"tags":1}"#;
        assert_eq!(cut(Shape::Message, batch), batch.replace(r#""tags":[],"#, ""));
    }
}
