//! A provider that speaks OpenAI's dialect: the client's body, edited in place, is its body; what
//! clients of other dialects ask goes through the common form.

use std::borrow::Cow;

use bytes::Bytes;
use dunlin_llm::form::{Chat, Tool, is_web_search};
use dunlin_llm::openai::{ChatStyle, Thoughts, read_reply, without_developers, write_chat};
use dunlin_llm::{
    ChatReply, ChatRequest, Dialect, Endpoint, Target, edit, in_coheres_form, responses,
};
use dunlin_types::{Credential, UnixMillis};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};

use crate::arguments;
use crate::encode::{EncodeError, post};
use crate::params::{self, Params};
use crate::plain;
use crate::reasoning;
use crate::replayed::{Replayed, as_openais};
use crate::responses::{self as ask, ResponseStream};
use crate::sigv4::path_segment;
use crate::stream::{self, OpenAiStream};
use crate::{Provider, ProviderError, StreamDecoder, Variables};

/// OpenAI's own address: whatever prefix a model has there, it has responses.
pub(crate) const OPENAI_BASE: &str = "https://api.openai.com/v1";

/// How addresses end where Google speaks OpenAI's dialect: Gemini's API, and Vertex AI's.
const GOOGLES_ENDINGS: [&str; 2] = ["/v1beta/openai", "/endpoints/openapi"];

/// Those who rank documents in words and at paths of their own, and not in Cohere's.
const OTHER_RANKINGS: [&str; 6] =
    ["dashscope", "deepinfra", "huggingface", "nvidia_nim", "qwen_ai_platform", "qwencloud"];

/// How a response wishes its prompt to be cached: what only OpenAI's chats know, too.
const CACHE_WISHES: [&str; 3] =
    ["prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"];

/// What tells one compatible provider from another.
#[derive(Clone, Copy)]
pub(crate) struct OpenAiCompatible {
    pub(crate) id: &'static str,
    pub(crate) speaker: &'static str,
    pub(crate) default_base: Option<&'static str>,
    pub(crate) variables: Variables,
    /// See [`Provider::needs_key`].
    pub(crate) needs_key: bool,
    pub(crate) base: Base,
    pub(crate) style: ChatStyle,
    /// True: it has a plain completions endpoint; else those are asked as chats.
    pub(crate) completions: bool,
    /// Parameters it does not have: lists of OpenAI's names.
    pub(crate) lacks: &'static [&'static [&'static str]],
    pub(crate) quirks: Quirks,
}

/// How a configured base URL is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// As it is given.
    AsGiven,
    /// This is added if it is missing, for users give the server's root.
    Ending(&'static str),
}

/// Where a provider's bodies differ from OpenAI's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Members of the body under other names: OpenAI's and its own.
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    /// What it refuses, by path.
    pub(crate) refuses: &'static [&'static str],
    /// It calls the ranks of documents `data`; clients know them as `results`.
    pub(crate) ranks_in_data: bool,
    /// Put before a model's name that has none of it.
    pub(crate) model_prefix: &'static str,
    /// LiteLLM's users write `provider/org/model` for what it calls `org/model:provider`.
    pub(crate) provider_last: bool,
    /// Its models are OpenAI's own: some think, and then refuse what others take.
    pub(crate) is_openai: bool,
    /// Its models can search the web, as `web_search_options` say.
    pub(crate) searches: bool,
    /// Wishes of other dialects' clients that it would refuse, by OpenAI's names: they only tune, and
    /// are left out.
    pub(crate) deaf_to: &'static [&'static str],
    /// Its models that think.
    pub(crate) thinkers: Option<Thinkers>,
    /// Its answers to these models, by a word in their names, and to wishes for thought, need
    /// translation.
    pub(crate) translated: Option<&'static str>,
    /// It guides what is written, and has a newer name for how.
    pub(crate) guides: bool,
    /// It takes the texts at which an answer ends in a list alone.
    pub(crate) lists_stops: bool,
    /// It knows no name of a tool as a choice, and no form of an answer but by a schema.
    pub(crate) few_words: bool,
    /// What it takes of a history.
    pub(crate) replayed: Replayed,
}

/// A provider's models that think before they answer, where these lack what others have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thinkers {
    /// How their names begin. Those that say `non-reasoning` do not think.
    pub(crate) names: &'static [&'static str],
    /// All that they lack: lists of OpenAI's names.
    pub(crate) lack: &'static [&'static [&'static str]],
}

impl Thinkers {
    fn are(self, model: &str) -> bool {
        let is_named = self.names.iter().any(|start| model.starts_with(start));
        is_named && !model.contains("non-reasoning")
    }
}

impl Quirks {
    pub(crate) const NONE: Self = Self {
        renamed: &[],
        refuses: &[],
        ranks_in_data: false,
        model_prefix: "",
        provider_last: false,
        is_openai: false,
        searches: false,
        deaf_to: &[],
        thinkers: None,
        translated: None,
        guides: false,
        lists_stops: false,
        few_words: false,
        replayed: Replayed::ANY,
    };
    pub(crate) const OPENAI: Self = Self { is_openai: true, searches: true, ..Self::NONE };
    /// Most servers know the bound only by its old name.
    pub(crate) const OLD_BOUND: Self =
        Self { renamed: &[("max_completion_tokens", "max_tokens")], ..Self::NONE };
}

impl OpenAiCompatible {
    fn base<'a>(&self, api_base: &'a str) -> Cow<'a, str> {
        let base = api_base.trim_end_matches('/');
        let is_whole = Some(base) == self.default_base && base.ends_with("/v1");
        match self.base {
            Base::Ending(ending) if !base.ends_with(ending) && !is_whole => {
                Cow::Owned(format!("{base}{ending}"))
            }
            Base::Ending(_) | Base::AsGiven => Cow::Borrowed(base),
        }
    }

    fn model<'a>(&self, to: &'a Target) -> Cow<'a, str> {
        if let Some((provider, model)) = to.model.split_once('/')
            && self.quirks.provider_last
            && model.contains('/')
        {
            return Cow::Owned(format!("{model}:{provider}"));
        }
        let prefix = self.quirks.model_prefix;
        // A path of the provider's own, such as a router's or a deployment's, is whole already.
        let root = prefix.split('/').next().unwrap_or_default();
        if prefix.is_empty() || to.model.split('/').next() == Some(root) {
            return Cow::Borrowed(to.sent_model());
        }
        Cow::Owned(format!("{prefix}{}", to.model))
    }

    /// What the provider is asked for. Where that is what the client asked, its bytes are sent.
    pub(crate) fn asked(&self, request: &ChatRequest, to: &Target) -> Endpoint {
        if request.endpoint().is_chat() && to.has_only_responses() {
            return Endpoint::Responses;
        }
        match request.endpoint() {
            Endpoint::Responses if self.keeps_responses(to) => Endpoint::Responses,
            Endpoint::Completions if self.completions => Endpoint::Completions,
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::GenerateContent
            | Endpoint::Messages
            | Endpoint::Responses
            | Endpoint::StreamGenerateContent => Endpoint::ChatCompletions,
            asked @ (Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::ImageEdits
            | Endpoint::ImageGenerations
            | Endpoint::Moderations
            | Endpoint::Rerank
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations) => asked,
        }
    }

    fn style(&self, to: &Target) -> ChatStyle {
        let base = to.api_base.trim_end_matches('/');
        let googles_seals = GOOGLES_ENDINGS.iter().any(|ending| base.ends_with(ending));
        ChatStyle { googles_seals, ..self.style }
    }

    /// True if the model thinks in words that need translation.
    fn is_translated(&self, request: &ChatRequest, to: &Target) -> bool {
        let is_said = |name| edit::member(request.text_as_bytes(), name);
        self.quirks.translated.is_some_and(|word| {
            // Whoever asks for thought gets it so, too.
            to.model.contains(word)
                || is_said("reasoning_effort")
                    .is_some_and(|wish| !matches!(wish, "null" | r#""none""#))
        })
    }

    fn is_native(&self, request: &ChatRequest, to: &Target) -> bool {
        self.asked(request, to) == request.endpoint()
            && !(request.endpoint().is_chat() && self.is_translated(request, to))
    }

    /// The body that is sent.
    pub(crate) fn body(&self, request: &ChatRequest, to: &Target) -> Result<Bytes, EncodeError> {
        let model = self.model(to);
        let body = if self.is_native(request, to) {
            let body = params::bytes(self, request, to, &model)?;
            let is_chat = request.endpoint() == Endpoint::ChatCompletions;
            if is_chat && self.knows_only_openais(to) {
                params::without_unknown(body, request, to)
            } else if is_chat && !self.asks_openais(to) {
                plain::without_allowed(without_developers(body))
            } else {
                body
            }
        } else {
            let chat = self.form(request, to)?;
            if self.asked(request, to) == Endpoint::Responses {
                responses::write_chat(&chat, &model, ask::seals(&chat, &to.model))
            } else {
                let mut style = self.style(to);
                if self.is_translated(request, to) {
                    style.thoughts = Thoughts::Parts;
                }
                write_chat(&chat, &model, style)
            }
        };
        Ok(self.own_names(request, to, body))
    }

    /// The chat without what other dialects' clients wish for and nobody here has.
    fn form(&self, request: &ChatRequest, to: &Target) -> Result<Chat, EncodeError> {
        let mut chat = params::form(self, request, to)?;
        if to.has_only_responses() {
            let rules = params::rules(request, to);
            if rules.drop_unsupported && self.knows_only_openais(to) {
                ask::forget_unknown(&mut chat, |name| params::is_openais(name, &rules));
            }
        } else if chat.from != Dialect::OpenAi {
            chat.show_results_beside();
        }
        if chat.from == Dialect::Responses && !self.knows_only_openais(to) {
            CACHE_WISHES.iter().for_each(|wish| chat.forget(wish));
        }
        if matches!(chat.from, Dialect::Anthropic | Dialect::Gemini) {
            self.quirks.deaf_to.iter().for_each(|wish| chat.forget(wish));
            reasoning::fit(&mut chat, &to.model);
            if self.asks_openais(to) {
                chat.top_k = None;
            }
        }
        Ok(chat)
    }

    /// True if a model of OpenAI's own answers: others are served under its provider's name too.
    fn asks_openais(&self, to: &Target) -> bool {
        let is_named = self.id.starts_with("azure") || reasoning::is_openais(&to.model);
        to.api_base.trim_end_matches('/') == OPENAI_BASE || (self.quirks.is_openai && is_named)
    }

    /// True if whoever answers knows OpenAI's words and no others.
    fn knows_only_openais(&self, to: &Target) -> bool {
        let is_any = self.id == "azure_ai" && !reasoning::is_openais(&to.model);
        self.asks_openais(to) && !is_any
    }

    fn replayed(&self, to: &Target) -> Replayed {
        let style = self.style(to);
        // Behind a gateway like this one may be a model of Google's, too.
        let is_googles = to.model.contains("gemini") || self.id == "litellm_proxy";
        let thoughts = style.thoughts == Thoughts::Wanted;
        let seals = style.googles_seals || is_googles;
        Replayed { thoughts, seals, ..self.quirks.replayed }
    }

    fn own_names(&self, request: &ChatRequest, to: &Target, mut body: Bytes) -> Bytes {
        let asked = self.asked(request, to);
        let is_chat = asked == Endpoint::ChatCompletions;
        if is_chat {
            body = self.replayed(to).fit(body);
            if self.quirks.few_words {
                body = plain::in_few_words(body);
            }
        } else if asked == Endpoint::Responses && self.asks_openais(to) {
            body = as_openais(body);
        }
        if self.quirks.guides && (is_chat || asked == Endpoint::Completions) {
            body = plain::in_order(plain::guided(body), request);
        }
        if self.quirks.lists_stops && (is_chat || asked == Endpoint::Completions) {
            body = plain::with_stops_listed(body);
        }
        if is_chat && self.quirks.is_openai && reasoning::has_new_bound(&to.model) {
            body = edit::renamed(body, "max_tokens", "max_completion_tokens");
        }
        for (name, own) in self.quirks.renamed {
            body = edit::renamed(body, name, own);
        }
        edit::without(body, self.quirks.refuses)
    }
}

/// An upload keeps the `Content-Type` it came with, and may be answered in any.
pub(crate) fn with_kind_of(request: &ChatRequest, mut call: Request<Bytes>) -> Request<Bytes> {
    if let Some(form) = request.content_type() {
        let form = HeaderValue::from_str(form).expect("it came in as a header's text");
        call.headers_mut().insert(CONTENT_TYPE, form);
        call.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    call
}

impl Provider for OpenAiCompatible {
    fn id(&self) -> &'static str {
        self.id
    }

    fn default_base(&self) -> Option<&'static str> {
        self.default_base
    }

    fn speaker(&self) -> &'static str {
        self.speaker
    }

    fn keeps_responses(&self, to: &Target) -> bool {
        let is_openai = to.api_base.trim_end_matches('/') == OPENAI_BASE;
        !to.chat_only && (to.responses || is_openai)
    }

    fn takes_details(&self) -> bool {
        self.style.details
    }

    fn dialect(&self, to: &Target) -> Option<Dialect> {
        Some(if to.has_only_responses() { Dialect::Responses } else { Dialect::OpenAi })
    }

    fn passes(&self, request: &ChatRequest, to: &Target) -> bool {
        self.is_native(request, to)
    }

    fn kept_url(&self, to: &Target, route: &str) -> Option<String> {
        Some(self.base(&to.api_base).into_owned() + route)
    }

    fn variables(&self) -> Variables {
        self.variables
    }

    fn realtime_url(&self, to: &Target, query: &str) -> Option<String> {
        let base = self.base(&to.api_base);
        // The call has a model already.
        if query.starts_with("call_id=") {
            return Some(format!("{base}/realtime?{query}"));
        }
        let model = path_segment(&self.model(to));
        let more = if query.is_empty() { "" } else { "&" };
        Some(format!("{base}/realtime?model={model}{more}{query}"))
    }

    fn needs_key(&self) -> bool {
        self.needs_key
    }

    fn params(&self, to: &Target) -> Params {
        if to.has_only_responses() {
            return ask::params(&to.model);
        }
        let refused = match self.quirks.thinkers {
            _ if self.quirks.is_openai => reasoning::refused(&to.model),
            Some(thinkers) if thinkers.are(&to.model) => thinkers.lack,
            Some(_) | None => self.lacks,
        };
        if refused.is_empty() { Params::All } else { Params::AllBut(refused) }
    }

    /// OpenAI's own API. It does not restrict what it runs itself.
    fn restricts_tools(&self, chat: &Chat, to: &Target) -> bool {
        let is_its_own = |tool: &Tool| tool.kind().is_some_and(|kind| kind != "custom");
        let is_azure = self.id.starts_with("azure");
        self.asks_openais(to) && !is_azure && !chat.tools.iter().any(is_its_own)
    }

    fn hosts(&self, tool: &str, to: &Target) -> bool {
        let has_option = self.params(to).has("web_search_options");
        is_web_search(tool) && self.quirks.searches && has_option
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        _now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        let asked = self.asked(request, to);
        let ranks = asked != Endpoint::Rerank || !OTHER_RANKINGS.contains(&self.id);
        if asked == Endpoint::CountTokens || !ranks {
            let (provider, route) = (self.id, request.endpoint().route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        }
        let url = self.base(&to.api_base).into_owned() + asked.route();
        let call = post(url, self.body(request, to)?, to, credential)?;
        Ok(with_kind_of(request, call))
    }

    fn decode(
        &self,
        request: &ChatRequest,
        to: &Target,
        status: StatusCode,
        mut body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        ProviderError::check(self.speaker, status, &body)?;
        let reply = if self.asked(request, to) == Endpoint::Responses {
            let read = if self.is_native(request, to) {
                responses::parse_reply(body)
            } else {
                responses::read_reply(&body).map(|read| read.map(ChatReply::from))
            };
            match read {
                Ok(Err(failed)) => return Err(ProviderError::event(self.speaker, failed)),
                Ok(Ok(reply)) => Ok(reply),
                Err(bad) => Err(bad),
            }
        } else if self.is_native(request, to) {
            body = stream::with_known_thoughts(body, "choices[*].message.reasoning");
            body = arguments::as_texts(body);
            if request.endpoint() == Endpoint::Rerank {
                if self.quirks.ranks_in_data {
                    body = edit::renamed(body, "data", "results");
                }
                body = in_coheres_form(body);
            }
            let is_chat =
                matches!(request.endpoint(), Endpoint::ChatCompletions | Endpoint::Completions);
            let reply = ChatReply::parse(request.with_documents(body));
            if is_chat { reply.and_then(ChatReply::answering) } else { reply }
        } else {
            read_reply(&body).map(ChatReply::from).and_then(ChatReply::answering)
        };
        reply.map_err(|error| ProviderError::bad_reply(self.speaker, &error))
    }

    fn stream(&self, request: &ChatRequest, to: &Target) -> Box<dyn StreamDecoder> {
        match (self.asked(request, to) == Endpoint::Responses, self.is_native(request, to)) {
            (true, true) => Box::new(OpenAiStream::of_responses()),
            (true, false) => Box::new(ResponseStream::translating()),
            (false, true) => Box::new(OpenAiStream::passing(request)),
            (false, false) => Box::new(OpenAiStream::translating(request)),
        }
    }
}
