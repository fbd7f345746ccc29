//! One request, as far as it is known before it is read: what it asks of whom, its ids, its times.

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, Uri};
use bytes::Bytes;
use dunlin_journal::Origin;
use dunlin_llm::{ChatRequest, Dialect, Endpoint, Said, Stamp};
use dunlin_types::{MonoMillis, RequestId, UnixMillis};
use uuid::Builder;

use crate::bill::refused::{self, RecordDraft};
use crate::request::body;
use crate::request::caller::Caller;
use crate::request::origin::Client;
use crate::response::error::{Failed, Refused};
use crate::response::framing::Framing;
use crate::response::told::client_call_id;
use crate::several::Race;
use crate::{Proxy, Serving, Settings};

/// What is known of a request before it is read.
pub(crate) struct Call {
    /// What is asked, and in whose words the answer and all errors are.
    pub(crate) endpoint: Endpoint,
    /// What the request log calls it, in LiteLLM's words.
    pub(crate) call_type: &'static str,
    pub(crate) id: RequestId,
    /// The id the client is told.
    pub(crate) call_id: String,
    pub(crate) started: UnixMillis,
    pub(crate) began: MonoMillis,
    pub(crate) framing: Framing,
    pub(crate) client: Client,
    /// Whether the body of an error says which call it is of.
    pub(crate) is_named_in_errors: bool,
    /// For the record that it leaves if it is refused.
    pub(crate) known: RecordDraft,
    /// Another model may answer first; then it is cancelled.
    pub(crate) race: Option<Race>,
}

impl Call {
    pub(crate) fn begin(proxy: &Proxy, endpoint: Endpoint, request: &Request) -> Self {
        let framing = Framing::asked(endpoint, request.uri().query());
        let client = Client::of(request);
        Self { framing, client, ..Self::of_headers(proxy, endpoint, request.headers()) }
    }

    /// The same of what is none of the endpoint's own calls, but answered in its words.
    pub(crate) fn named(self, call_type: &'static str) -> Self {
        Self { call_type, ..self }
    }

    /// A call that is not on record.
    pub(crate) fn of_headers(proxy: &Proxy, endpoint: Endpoint, headers: &HeaderMap) -> Self {
        let (started, began) = (proxy.0.clock.unix(), proxy.0.clock.mono());
        let id = Builder::from_unix_timestamp_millis(started.0, &rand::random()).into_uuid();
        let call_id = client_call_id(headers).unwrap_or_else(|| id.to_string());
        let (framing, client, known) = (Framing::Events, Client::default(), RecordDraft::default());
        let id = RequestId(id.as_u128());
        let is_named_in_errors = proxy.0.serving.load().settings.names_call_in_errors;
        Self {
            endpoint,
            call_type: endpoint.call_type(),
            id,
            call_id,
            started,
            began,
            framing,
            client,
            is_named_in_errors,
            known,
            race: None,
        }
    }

    /// A call of one of the models that this one names: its id is this one's with its number.
    pub(crate) fn again(&self, proxy: &Proxy, headers: &HeaderMap, number: usize) -> Self {
        let (framing, client) = (self.framing, self.client.clone());
        let call_id = format!("{}-{number}", self.call_id);
        Self { framing, client, call_id, ..Self::of_headers(proxy, self.endpoint, headers) }
    }

    /// Finds out who asks.
    pub(crate) async fn identify(
        &self,
        proxy: &Proxy,
        serving: &Serving,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Caller, Refused> {
        let found = Caller::identify(proxy, serving, headers, uri).await;
        match &found {
            Ok(caller) => self.known.is(caller),
            Err(why) => {
                self.known.claims(headers, serving.settings.key_header.as_deref(), why);
            }
        }
        found
    }

    /// The request is refused: what it asked for is on its record.
    pub(crate) fn refuse(&self, chat: &ChatRequest, origin: &Origin, refused: Refused) -> Refused {
        self.known.asks(chat.model(), chat.stream());
        self.known.is_for(origin.clone());
        refused
    }

    /// On whose behalf it is, should it be refused: as its headers and such a body say.
    pub(crate) fn is_for(&self, settings: &Settings, head: &Parts, body: &Bytes) {
        let said = Said::read(body::kind(&head.headers), body);
        let labels = said.map(|said| said.labels).unwrap_or_default();
        if let Ok(origin) = self.client.said(settings, &head.headers, &labels) {
            self.known.is_for(origin);
        }
    }

    /// Whether the body of its error has its id: OpenAI's form has a place for it.
    pub(crate) fn names_itself(&self) -> bool {
        let is_openai = matches!(self.endpoint.dialect(), Dialect::OpenAi | Dialect::Responses);
        self.is_named_in_errors && is_openai
    }

    /// What its client gets: the answer, or why there is none, which is on record from here on.
    pub(crate) fn answer(
        &self,
        proxy: &Proxy,
        answered: Result<Response<Body>, Failed>,
    ) -> Response<Body> {
        answered.unwrap_or_else(|failed| {
            refused::note(proxy, self, &failed);
            failed.response(self)
        })
    }

    /// What goes on an answer that is put into this endpoint's words.
    pub(crate) fn stamp<'a>(&'a self, model: &'a str, chat: &'a ChatRequest) -> Stamp<'a> {
        let (now, request) = (self.started.0 / 1000, chat.text());
        Stamp { model, id: &self.call_id, now, request, turn: None }
    }
}
