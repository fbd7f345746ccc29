//! A request's body becomes a request: opened, parsed, and put as the operator has it.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use dunlin_llm::{BadRequest, ChatRequest, ClientCredential, Endpoint, Said, parse, parse_upload};

use crate::relay::fields;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::kept::OpenedBody;
use crate::request::{body, moderator};
use crate::response::error::{Failed, Refused};
use crate::response::words;
use crate::{Forwarded, Proxy, Serving, several};

/// A client's wish that nothing is kept of what is said.
const REDACTION: &str = "x-litellm-enable-message-redaction";

/// A request whose sender is known, and of which nothing else was read.
pub(crate) struct Unread {
    pub(crate) head: Parts,
    pub(crate) body: Body,
    /// The model that the path names, for a body that names none.
    pub(crate) path_model: Option<String>,
}

/// A request that was read.
pub(crate) struct Received {
    pub(crate) head: Parts,
    /// Its body, and the kept things that it speaks of.
    pub(crate) opened: OpenedBody,
    pub(crate) chat: ChatRequest,
    /// The credential that it brings, which is nowhere else in it.
    pub(crate) own: Option<ClientCredential>,
    /// Whether nothing of what is said may be kept.
    pub(crate) is_redacted: bool,
}

impl Unread {
    /// Reads it whole.
    pub(crate) async fn read(
        self,
        proxy: &Proxy,
        call: &Call,
        serving: &Serving,
        caller: &Caller,
    ) -> Result<Received, Failed> {
        let Self { head, body, path_model } = self;
        let most = serving.settings.max_request_bytes;
        let body = body::read(body, &head.headers, most).await.inspect_err(|_| {
            call.is_for(&serving.settings, &head, &Bytes::new());
        })?;
        let (own, body) = own(serving, call.endpoint, body)?;
        let mut opened = OpenedBody::of(proxy, call.endpoint, caller, (body, most)).await?;
        let is_moderation = call.endpoint == Endpoint::Moderations;
        let moderator = is_moderation.then(|| moderator::of(serving, caller)).flatten();
        let path_model = path_model.as_deref().or(moderator.as_deref());
        let is_redacted = is_redacted(serving, &head.headers);
        opened.opening.redact(is_redacted);
        let parsed = |model| parsed(call, caller, &head, &opened.body, model);
        let chat = match parsed(path_model) {
            Err(Refused::BadRequest(BadRequest::MissingModel)) => {
                match default_model(proxy, call, serving, (&head, &opened.body)) {
                    Some(model) => parsed(Some(&model)),
                    None => Err(Refused::BadRequest(BadRequest::MissingModel)),
                }
            }
            chat => chat,
        };
        let chat = chat.inspect_err(|_| call.is_for(&serving.settings, &head, &opened.body))?;
        opened.check_thread(&chat)?;
        let chat = as_configured(serving, chat, &head.headers);
        if let Some(why) = own.as_ref().and_then(|_| alone(&chat, serving)) {
            return Err(Refused::Unfit { param: "api_key", message: why.to_owned() }.into());
        }
        Ok(Received { head, opened, chat, own, is_redacted })
    }
}

/// Takes the client's own credential out of a body before anybody keeps that.
fn own(
    serving: &Serving,
    endpoint: Endpoint,
    body: Bytes,
) -> Result<(Option<ClientCredential>, Bytes), Refused> {
    if !serving.catalog.takes_client_keys {
        return Ok((None, body));
    }
    Ok(match ClientCredential::take(endpoint, &body).map_err(Refused::BadRequest)? {
        Some((own, body)) => (Some(own), body),
        None => (None, body),
    })
}

/// Why a request cannot bring a credential.
fn alone(chat: &ChatRequest, serving: &Serving) -> Option<&'static str> {
    if chat.background() {
        return Some(words::OWN_KEY_IN_BACKGROUND);
    }
    several::named(chat, &serving.catalog).map(|_| words::OWN_KEY_FOR_SEVERAL)
}

/// The model of the end user whom a request names that names no model.
fn default_model(
    proxy: &Proxy,
    call: &Call,
    serving: &Serving,
    (head, body): (&Parts, &Bytes),
) -> Option<String> {
    let said = Said::read(body::kind(&head.headers), body).ok()?;
    let origin = call.client.origin(&serving.settings, &head.headers, &said.labels).ok()?;
    proxy.0.admission.default_model(origin.end_user.as_deref()?)
}

fn parsed(
    call: &Call,
    caller: &Caller,
    head: &Parts,
    body: &Bytes,
    path_model: Option<&str>,
) -> Result<ChatRequest, Refused> {
    let (headers, kind) = (&head.headers, body::kind(&head.headers));
    let endpoint = call.endpoint;
    // Pictures may stand in JSON, by their addresses; sound may not.
    let may_be_json = endpoint == Endpoint::ImageEdits && kind.starts_with("application/json");
    let chat = if endpoint.file_field().is_some() && !may_be_json {
        parse_upload(endpoint, body.clone(), kind, path_model)
    } else {
        parse(endpoint, body.clone(), path_model)
    };
    let chat = chat.map_err(Refused::BadRequest)?;
    caller
        .check_required(kind, body)
        .inspect_err(|_| call.known.asks(chat.model(), chat.stream()))?;
    chat.with_headers(headers).with_query(head.uri.query()).map_err(Refused::BadRequest)
}

/// The same, with what the operator lets through of the client's headers, and adds to its streams.
fn as_configured(serving: &Serving, chat: ChatRequest, headers: &HeaderMap) -> ChatRequest {
    let settings = &serving.settings;
    let chat = if settings.always_tells_usage { chat.with_usage() } else { chat };
    if settings.forwarded == Forwarded::default() {
        return chat;
    }
    let headers = fields::along(headers, settings.forwarded, settings.key_header.as_deref());
    chat.with_forwarded(headers)
}

/// Whether nothing of what is said may be kept: so says the configuration, or the client.
fn is_redacted(serving: &Serving, headers: &HeaderMap) -> bool {
    let wish = headers.get(REDACTION).and_then(|wish| wish.to_str().ok());
    serving.settings.redacts || wish.is_some_and(|wish| wish.eq_ignore_ascii_case("true"))
}
