//! How each provider is called and how its answers are read, one file each.
//!
//! Does not send, retry, log or choose. Invariants: a stream gives the same events however its
//! bytes are cut; a provider's error text is kept for people, and the gateway decides only by a
//! closed [`Cause`]. To add a provider: write its file, name it twice below, and put recorded
//! answers into `testdata/<name>/`. Read `openai_compatible.rs` first.

use bytes::Bytes;
use dunlin_llm::form::Chat;
use dunlin_llm::{ChatReply, ChatRequest, Dialect, StreamEvent, Target};
use dunlin_types::{Credential, UnixMillis};
use http::{Request, StatusCode};

mod arguments;
mod body;
pub mod bucket;
mod compatible;
mod encode;
mod error;
mod foreign;
mod frames;
mod google;
mod hosted;
pub mod jobs;
mod openai_compatible;
mod params;
mod plain;
mod reasoning;
pub mod relay;
mod replayed;
mod responses;
pub mod sigv4;
mod stream;
mod supported;
mod token_ids;
mod unserved;

pub use anthropic::left_out_betas;
pub use encode::EncodeError;
pub use error::{Cause, ProviderError};
pub use hosted::left_out;
pub use params::Params;
pub use stream::{MAX_EVENT_BYTES, StreamError};
pub use supported::supported_params;
pub use token_ids::reads_token_ids;
pub use unserved::UNSERVED;

mod anthropic;
mod azure;
mod bedrock;
mod bedrock_converse;
mod cohere;
mod cohere_chat;
mod gemini;
mod hosted_vllm;
mod lm_studio;
mod logprobs;
mod ollama;
mod ollama_chat;
mod openai;
mod openai_like;
mod vertex_ai;

/// The providers with a file of their own, sorted by id.
static OWN: &[&dyn Provider] = &[
    &anthropic::PROVIDER,
    &azure::PROVIDER,
    &azure::FOUNDRY,
    &azure::TEXT,
    &bedrock::PROVIDER,
    &bedrock_converse::PROVIDER,
    &cohere::PROVIDER,
    &cohere_chat::PROVIDER,
    &gemini::PROVIDER,
    &hosted_vllm::PROVIDER,
    &lm_studio::PROVIDER,
    &ollama::PROVIDER,
    &ollama_chat::PROVIDER,
    &openai::PROVIDER,
    &openai_like::PROVIDER,
    &vertex_ai::PROVIDER,
    &vertex_ai::BETA,
];

/// Every provider: those with a file of their own, then the rows of the table of compatible ones.
pub static ALL: &[&dyn Provider] = &both::<{ OWN.len() + compatible::TABLE.len() }>();

/// A kind of upstream: an API and its habits, not an address.
pub trait Provider: Sync {
    /// The prefix of `litellm_params.model` that selects it, such as `hosted_vllm`.
    fn id(&self) -> &'static str;

    /// Where it is found when the configuration names no `api_base`. No trailing slash.
    fn default_base(&self) -> Option<&'static str>;

    /// How LiteLLM's messages name the source of its errors, such as `OpenAIException`.
    fn speaker(&self) -> &'static str;

    /// Environment variables that stand in for what a deployment leaves out, as in LiteLLM.
    fn variables(&self) -> Variables {
        Variables::default()
    }

    /// True if its own address refuses calls without a key.
    fn needs_key(&self) -> bool {
        false
    }

    /// The chat parameters that the model of `to` has.
    fn params(&self, to: &Target) -> Params;

    /// Where the model of `to` is spoken with over a WebSocket; `query` is the client's own. `None`
    /// if it cannot be. With the query `call_id=`, where a call's events are heard.
    fn realtime_url(&self, _to: &Target, _query: &str) -> Option<String> {
        None
    }

    /// True if it refuses a chat of `model` that no user begins, or whose calls are of no tool.
    fn is_strict(&self, _model: &str) -> bool {
        false
    }

    /// True if a chat with the model of `to` can be given a tool that OpenAI's responses run
    /// themselves, by its type there, such as `web_search`.
    fn hosts(&self, _tool: &str, _to: &Target) -> bool {
        false
    }

    /// True if the model of `to` can be given such a tool beside functions.
    fn hosts_beside_functions(&self, _to: &Target) -> bool {
        true
    }

    /// True if the model of `to` can be told which of a chat's functions it may call this time, so that
    /// the cached beginning of the prompt, where all of them stand, holds. Others are shown only those.
    fn restricts_tools(&self, _chat: &Chat, _to: &Target) -> bool {
        false
    }

    /// True if the model of `to` can be made to call a tool.
    fn forces_calls(&self, _to: &Target) -> bool {
        true
    }

    /// True if it takes back what OpenRouter says of thoughts beside their words.
    fn takes_details(&self) -> bool {
        false
    }

    /// True if it counts the tokens of a prompt when it is asked to.
    fn counts_tokens(&self) -> bool {
        false
    }

    /// True if the server of `to` has OpenAI's responses itself and keeps them: then their bodies
    /// pass, and else they are bridged to chats.
    fn keeps_responses(&self, _to: &Target) -> bool {
        false
    }

    /// The dialect of clients that the model of `to` is asked in, if it is one: what only that dialect
    /// has is passed on there, and has to be said otherwise, or refused, everywhere else.
    fn dialect(&self, _to: &Target) -> Option<Dialect> {
        None
    }

    /// True if the server of `to` answers in the words of the client's dialect, so that its bytes
    /// may pass as they come.
    fn passes(&self, _request: &ChatRequest, _to: &Target) -> bool {
        false
    }

    /// The URL of `route`, such as `/files/file-1`, where the server of `to` keeps files, batches and
    /// responses as OpenAI does, or batches of messages. `None`: it keeps none.
    fn kept_url(&self, _to: &Target, _route: &str) -> Option<String> {
        None
    }

    /// What `request` is asked as where `to` takes only a part of it at a time: the answers are joined
    /// in this order. Empty where it is asked as it is.
    ///
    /// # Errors
    /// It cannot be said in the provider's dialect.
    fn split(&self, _request: &ChatRequest, _to: &Target) -> Result<Vec<ChatRequest>, EncodeError> {
        Ok(Vec::new())
    }

    /// The HTTP request that asks `to` for what the client asked, at `now`.
    ///
    /// # Errors
    /// The request cannot be said in the provider's dialect, or the deployment's address,
    /// credential or headers cannot be sent.
    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError>;

    /// Adds a deployment's headers and its credential to a call of the provider's own API, which
    /// carries no credential yet. It comes last: some sign what there is.
    ///
    /// # Errors
    /// They cannot be sent, or the credential is none that the provider takes.
    fn authorize(
        &self,
        call: &mut Request<Bytes>,
        to: &Target,
        credential: &Credential,
        now: UnixMillis,
    ) -> Result<(), EncodeError> {
        relay::authorize(self.id(), call, to, credential, now)
    }

    /// Reads a whole answer to a request that was sent to `to`.
    ///
    /// # Errors
    /// The status is no success, or the body is no reply.
    fn decode(
        &self,
        request: &ChatRequest,
        to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError>;

    /// A decoder for one streamed answer to a request that was sent to `to`.
    fn stream(&self, request: &ChatRequest, to: &Target) -> Box<dyn StreamDecoder>;
}

/// Environment variables, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Of the key.
    pub keys: &'static [&'static str],
    /// Of the base URL.
    pub bases: &'static [&'static str],
}

/// Turns the bytes of one streamed answer into events.
pub trait StreamDecoder: Send {
    /// Takes the next bytes and appends the events they complete.
    ///
    /// # Errors
    /// The bytes are no stream of the provider's. Nothing that follows is read.
    fn push(&mut self, read: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError>;

    /// The connection has closed. May append the last event, if only its line end was missing.
    ///
    /// # Errors
    /// [`StreamError::Cut`]: the answer is not whole.
    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError>;
}

/// The provider of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn Provider> {
    let (own, table) = ALL.split_at(OWN.len());
    let find = |sorted: &[&'static dyn Provider]| {
        sorted.binary_search_by_key(&id, |provider| provider.id()).ok().map(|at| sorted[at])
    };
    find(own).or_else(|| find(table))
}

const fn both<const COUNT: usize>() -> [&'static dyn Provider; COUNT] {
    let mut all = [OWN[0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = if at < OWN.len() { OWN[at] } else { &compatible::TABLE[at - OWN.len()] };
        at += 1;
    }
    all
}

#[cfg(test)]
mod tests;
