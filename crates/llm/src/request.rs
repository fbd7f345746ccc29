//! A client's request: its bytes, what a gateway must know of them, and the edits that turn them
//! into what a provider gets.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_types::Tokens;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::bound::BOUND_NAMES;
use crate::edit;
use crate::endpoint::{Dialect, Endpoint};
use crate::extras::Extras;
use crate::json::{Member, Span, members, string, write_string};
use crate::labels::Labels;
use crate::multipart;
use crate::parse::{BadRequest, parse};
use crate::responses;
use crate::tier::Tier;
use crate::tool_models::ToolModels;
use crate::word::Word;

/// One client request. Made by [`parse`](crate::parse()).
#[derive(Clone, Debug)]
pub struct ChatRequest {
    pub(crate) body: Bytes,
    pub(crate) facts: Facts,
    /// Of an upload; all else is JSON.
    pub(crate) content_type: Option<Arc<str>>,
    /// Those of the client's headers that its provider may be sent: [`FORWARDED`], and what the
    /// operator lets through.
    pub(crate) headers: HeaderMap,
    pub(crate) api_version: Option<Arc<str>>,
}

/// What a stream's usage is asked for in.
const USAGE_WISH: &str = "stream_options";
/// The longest version of an API that a client can ask for; Azure's are dates with a word.
const MAX_VERSION_BYTES: usize = 64;

/// Headers that belong to a dialect and say what its bodies mean.
const FORWARDED: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-beta"), HeaderName::from_static("anthropic-version")];

/// What one pass over a body found out. Spans are of the body.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: Box<str>,
    /// The body names no model: the path did.
    pub(crate) model_from_path: bool,
    pub(crate) stream: bool,
    /// Whether a stream is to tell its usage, if the client says so or not.
    pub(crate) usage_wish: Option<bool>,
    /// Whether nobody is to be asked for a stream's usage.
    pub(crate) hides_usage: bool,
    pub(crate) max_output: Option<Tokens>,
    pub(crate) choices: u32,
    pub(crate) most_choices: u32,
    /// Prompts, each of which is answered.
    pub(crate) prompts: u32,
    pub(crate) prompt: Span,
    /// Guessed.
    pub(crate) prompt_tokens: Tokens,
    pub(crate) labels: Labels,
    pub(crate) extras: Extras,
    pub(crate) tool_models: ToolModels,
    pub(crate) names: Vec<Name>,
    /// Ordered, without overlaps.
    pub(crate) edits: Vec<Edit>,
    /// Behind the last member: where more can be added.
    pub(crate) end: usize,
}

/// A top-level member's name.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    /// As it stands in the body.
    At(Span),
    /// Written with escapes.
    Unescaped(Box<str>),
}

/// One change on the way upstream: these bytes become that text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) at: Span,
    pub(crate) to: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Fixed(&'static str),
    /// What asks for a stream's usage.
    Usage(&'static str),
    /// The upstream's name of the model.
    Model,
    /// The same with its member's name, for a body that names none.
    ModelMember,
    /// The upstream's name without quotes, in a form.
    PlainModel,
}

impl ChatRequest {
    /// The same, with those of the client's headers that say what its body means.
    #[must_use]
    pub fn with_headers(mut self, headers: &HeaderMap) -> Self {
        for name in &FORWARDED {
            for value in headers.get_all(name) {
                self.headers.append(name, value.clone());
            }
        }
        self
    }

    /// The same, with headers of the client's that go along as they are.
    #[must_use]
    pub fn with_forwarded(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The client's headers that go along as they are: its `x-` headers, if `own`, and what
    /// [`ChatRequest::with_forwarded`] was given beside them.
    pub fn forwarded(&self, own: bool) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let all = self.headers.iter().filter(|(name, _)| !FORWARDED.contains(name));
        all.filter(move |(name, _)| own || !name.as_str().starts_with("x-"))
    }

    /// The same, where a stream tells its usage unless the client wants none.
    #[must_use]
    pub fn with_usage(mut self) -> Self {
        let is_openai = self.endpoint().dialect() == Dialect::OpenAi;
        if is_openai && self.stream() {
            self.facts.usage_wish.get_or_insert(true);
        }
        self
    }

    /// The same, asked at an address with this query: `api-version` says which of Azure's it means.
    ///
    /// # Errors
    /// That is no version.
    pub fn with_query(mut self, query: Option<&str>) -> Result<Self, BadRequest> {
        let mut said = query.unwrap_or_default().split('&');
        let version = said.find_map(|said| said.strip_prefix("api-version="));
        let Some(version) = version.filter(|version| !version.is_empty()) else { return Ok(self) };
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if version.len() > MAX_VERSION_BYTES || !version.bytes().all(is_plain) {
            let (route, name) = (self.endpoint().route(), "api-version".to_owned());
            let expected = "a version in the query, such as 2024-10-21 or preview";
            return Err(BadRequest::Invalid { route, name, expected });
        }
        self.api_version = Some(version.into());
        Ok(self)
    }

    /// The version of Azure's API that the client asks for.
    #[must_use]
    pub fn api_version(&self) -> Option<&Arc<str>> {
        self.api_version.as_ref()
    }

    /// The client's headers that say what its body means, byte for byte.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the body has the word anywhere.
    #[must_use]
    pub fn mentions(&self, word: &Word) -> bool {
        word.is_in(&self.body)
    }

    /// What is asked for.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.facts.endpoint
    }

    /// The body's `Content-Type`, if it is an upload; all else is JSON.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The model as the client names it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.facts.model
    }

    /// True if the body names no model, so that an answer keeps the upstream's name, as LiteLLM
    /// has it.
    #[must_use]
    pub fn model_from_path(&self) -> bool {
        self.facts.model_from_path
    }

    /// The body as it came. Empty for an upload, which is no text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self.content_type {
            Some(_) => "",
            None => std::str::from_utf8(&self.body).expect("a request was parsed from text"),
        }
    }

    /// The bytes of that text, for those who look for a word in it: they need not be read as text.
    #[must_use]
    pub fn text_as_bytes(&self) -> &[u8] {
        if self.content_type.is_some() { &[] } else { &self.body }
    }

    /// How long its text is: the body, or the prompt of an upload.
    #[must_use]
    pub fn text_bytes(&self) -> u64 {
        let prompt = || self.facts.prompt.range().len();
        self.content_type.as_ref().map_or(self.body.len(), |_| prompt()) as u64
    }

    /// True if the answer is to come in chunks. Never for embeddings.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.facts.stream
    }

    /// True if the client itself asked for the usage frame of a stream.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        self.facts.usage_wish == Some(true)
    }

    /// The text field of that name of an upload.
    pub(crate) fn form_field(&self, name: &str) -> Option<&str> {
        multipart::text_field(&self.body, self.content_type.as_deref()?, name)
    }

    /// How many files it uploads.
    pub(crate) fn files(&self) -> u64 {
        self.content_type.as_deref().map_or(0, |kind| multipart::files(&self.body, kind))
    }

    /// The file that it uploads.
    pub(crate) fn file(&self) -> Option<&[u8]> {
        multipart::file(&self.body, self.content_type.as_deref()?)
    }

    /// The service tier it asks for.
    #[must_use]
    pub fn service_tier(&self) -> Option<Tier> {
        // Few speak of it, and others need not be read again.
        let speaks = self.has("service_tier") || self.has("serviceTier");
        speaks.then(|| Tier::asked(self.text()))?
    }

    /// Whether it asks to be answered faster, in Anthropic's words.
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.has("speed") && edit::member(&self.body, "speed") == Some("\"fast\"")
    }

    /// The characters of a prompt that is one text.
    pub(crate) fn prompt_characters(&self) -> u64 {
        let prompt = std::str::from_utf8(&self.body[self.facts.prompt.range()]).ok();
        prompt.and_then(string).map_or(0, |text| text.chars().count() as u64)
    }

    /// True if it asks for a response that is made while nobody waits for it.
    #[must_use]
    pub fn background(&self) -> bool {
        self.endpoint() == Endpoint::Responses
            && self.has("background")
            && responses::asks_for_background(self.text())
    }

    /// The client's largest bound on the tokens of each choice; zero for embeddings, `None` without.
    #[must_use]
    pub fn max_output(&self) -> Option<Tokens> {
        self.facts.max_output
    }

    /// How many answers are generated for a prompt: the larger of `n` and `best_of`, at least 1.
    #[must_use]
    pub fn choices(&self) -> u32 {
        self.facts.choices
    }

    /// How many answers are generated at most, to all prompts, by whichever words a provider obeys.
    #[must_use]
    pub fn answers(&self) -> u64 {
        u64::from(self.facts.most_choices) * u64::from(self.facts.prompts)
    }

    /// Prompt tokens, guessed: a quarter of the bytes of its JSON, with each inline file as 1,000.
    #[must_use]
    pub fn prompt_estimate(&self) -> Tokens {
        self.facts.prompt_tokens
    }

    /// The models that tools of its provider's may ask.
    #[must_use]
    pub fn tool_models(&self) -> &ToolModels {
        &self.facts.tool_models
    }

    /// What the body asks of the gateway itself, still without [`Extras::with_headers`].
    #[must_use]
    pub fn extras(&self) -> &Extras {
        &self.facts.extras
    }

    /// What the body says of itself for the books. Headers are not in it yet:
    /// [`Labels::with_headers`].
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.facts.labels
    }

    /// The request with the members of its `extra_body` among its own, as LiteLLM and OpenAI's SDKs
    /// have it.
    ///
    /// # Errors
    /// What comes out is no request.
    pub(crate) fn with_extra_body(self, path_model: Option<&str>) -> Result<Self, BadRequest> {
        const NAME: &str = "extra_body";
        if !self.has(NAME) {
            return Ok(self);
        }
        let extra = self.member(NAME).and_then(|extra| members(extra).ok());
        match extra.map(|extra| self.replaced(&extra, &[NAME])) {
            Some(body) => parse(self.endpoint(), body, path_model),
            None => Ok(self),
        }
    }

    /// The body with `changes` in place of its own members, and without those of the names `gone`.
    /// Where it goes and how it is answered stay the same.
    fn replaced(&self, changes: &[Member<'_>], gone: &[&str]) -> Bytes {
        let stays = |name: &str| {
            matches!(name, "model" | "stream" | "stream_options") || gone.contains(&name)
        };
        let changes: Vec<_> = changes.iter().filter(|member| !stays(&member.name)).collect();
        let paths = changes.iter().map(|member| member.name.replace('.', r"\."));
        let paths: Vec<String> = paths.chain(gone.iter().map(|name| (*name).to_owned())).collect();
        let kept = edit::without(self.body.clone(), &paths);
        let end = kept.iter().rposition(|byte| *byte == b'}').expect("a request is an object");
        let mut body = kept[..end].to_vec();
        let mut is_first = edit::names(&kept).is_empty();
        for member in changes {
            if !std::mem::take(&mut is_first) {
                body.push(b',');
            }
            write_string(&mut body, &member.name);
            body.push(b':');
            body.extend_from_slice(member.value.as_bytes());
        }
        body.push(b'}');
        body.into()
    }

    /// The request that a fallback sends instead: with the members of the JSON object `changes` in
    /// place of its own. Where it goes and how it is answered stay the same.
    ///
    /// # Errors
    /// It is an upload, or what comes out is no request.
    pub fn changed_by(&self, changes: &str) -> Result<Self, BadRequest> {
        let invalid = |expected| BadRequest::Invalid {
            route: self.endpoint().route(),
            name: "fallbacks".to_owned(),
            expected,
        };
        if self.content_type.is_some() {
            return Err(invalid("model names only, where the body is an upload"));
        }
        let changes = members(changes).or(Err(invalid("objects that change the request")))?;
        let body = self.replaced(&changes, &[]);
        let changed = parse(self.endpoint(), body, Some(self.model()))?;
        let (headers, api_version) = (self.headers.clone(), self.api_version.clone());
        let usage_wish = self.facts.usage_wish;
        let facts = Facts { usage_wish, ..changed.facts };
        Ok(Self { headers, api_version, facts, ..changed })
    }

    /// The body for a provider: the model by its upstream name, usage asked for on streams, what
    /// was meant for the gateway removed, and each of `defaults` (name, JSON text) added if the
    /// client did not send it. All else byte for byte; the same `Bytes` if nothing changes.
    #[must_use]
    pub fn encode_for(&self, upstream_model: &str, defaults: &[(Arc<str>, Arc<str>)]) -> Bytes {
        let mut body = Splice::of(&self.body, upstream_model.len());
        for edit in &self.facts.edits {
            match edit.to {
                Text::Model | Text::PlainModel if upstream_model == self.model() => {}
                Text::PlainModel => {
                    body.replace(edit.at).extend_from_slice(upstream_model.as_bytes());
                }
                Text::Model => write_string(body.replace(edit.at), upstream_model),
                Text::ModelMember => {
                    let out = body.replace(edit.at);
                    out.extend_from_slice(b"\"model\":");
                    write_string(out, upstream_model);
                    out.push(b',');
                }
                Text::Fixed(text) | Text::Usage(text) => {
                    body.replace(edit.at).extend_from_slice(text.as_bytes())
                }
            }
        }
        for (name, value) in defaults.iter().filter(|(name, _)| !self.says(name)) {
            let out = body.replace(Span::point(self.facts.end));
            out.push(b',');
            write_string(out, name);
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
        let body = body.finish();
        match self.facts.hides_usage && self.has(USAGE_WISH) {
            true => edit::without(body, &[USAGE_WISH]),
            false => body,
        }
    }

    /// The same request for a provider that refuses to be asked for a stream's usage, whoever asks:
    /// without `stream_options`.
    #[must_use]
    pub fn without_usage_wish(&self) -> Self {
        let mut bare = self.clone();
        bare.facts.edits.retain(|edit| !matches!(edit.to, Text::Usage(_)));
        bare.facts.hides_usage = true;
        bare
    }

    /// Whether its provider is to remember it, or remembers what was said before it: Anthropic's
    /// threads.
    #[must_use]
    pub fn has_thread(&self) -> bool {
        self.has("thread")
    }

    /// Whether it goes on with such a thread.
    #[must_use]
    pub fn continues_thread(&self) -> bool {
        let thread = self.has_thread().then(|| self.member("thread")).flatten();
        let previous = thread.and_then(|of| edit::member(of.as_bytes(), "previous_message_id"));
        previous.is_some_and(|id| id != "null")
    }

    /// The JSON text of a member at the top of the body. Reads it again.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        edit::member(&self.body, name)
    }

    /// Whether the client says what a default of that name would: the bound on tokens has several.
    pub(crate) fn says(&self, name: &str) -> bool {
        let is_bound = BOUND_NAMES.contains(&name);
        self.has(name) || is_bound && BOUND_NAMES.iter().any(|name| self.has(name))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.facts.names.iter().any(|known| match known {
            Name::At(span) => &self.body[span.range()] == name.as_bytes(),
            Name::Unescaped(known) => &**known == name,
        })
    }
}

/// A text being copied with changes, front to back. Nothing is copied before the first change.
pub(crate) struct Splice<'a> {
    from: &'a Bytes,
    out: Vec<u8>,
    copied: usize,
    growth: usize,
}

impl<'a> Splice<'a> {
    pub(crate) fn of(from: &'a Bytes, growth: usize) -> Self {
        Self { from, out: Vec::new(), copied: 0, growth }
    }

    /// Copies up to `at`, skips it, and returns where its replacement goes.
    pub(crate) fn replace(&mut self, at: Span) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            // Room for the usage option and a few defaults as well.
            self.out.reserve(self.from.len() + self.growth + 128);
        }
        self.out.extend_from_slice(&self.from[self.copied..at.start]);
        self.copied = at.end;
        &mut self.out
    }

    pub(crate) fn finish(mut self) -> Bytes {
        if self.out.capacity() == 0 {
            return self.from.clone();
        }
        self.out.extend_from_slice(&self.from[self.copied..]);
        Bytes::from(self.out)
    }
}
