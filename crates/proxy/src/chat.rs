//! The story of a request that names a model, whatever it asks for: who asks, what for, who may
//! answer, whether the limits allow it, the attempts, the answer, the bill.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, Uri};
use bytes::Bytes;
use dunlin_journal::Origin;
use dunlin_llm::{ChatRequest, Dialect, Endpoint, Stamp, parse, parse_upload};
use dunlin_types::{MonoMillis, RequestId, UnixMillis};
use tokio::sync::oneshot;
use uuid::Builder;

use crate::admit::{Admitted, Asks, What};
use crate::attempts::{self, Answered, Asked};
use crate::background::{self, Job};
use crate::bill::refused::{self, Known};
use crate::bill::report;
use crate::bill::{About, Bill};
use crate::relay::fields;
use crate::request::caller::Caller;
use crate::request::kept::Opened;
use crate::request::origin::Client;
use crate::request::{body, moderator};
use crate::response::delivery::Delivery;
use crate::response::error::{Failed, Refused};
use crate::response::framing::Framing;
use crate::response::keepalive::{self, Answering, Wish};
use crate::response::told::{Told, client_call_id};
use crate::{Forwarded, Proxy, Serving, several};

/// A client's wish that nothing is kept of what is said.
const REDACTION: &str = "x-litellm-enable-message-redaction";

/// What is known of a request before it is read.
pub(crate) struct Call {
    /// What is asked, and in whose words the answer and all errors are.
    pub(crate) endpoint: Endpoint,
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
    pub(crate) known: Known,
    /// Another model may answer first; then it is cancelled.
    pub(crate) races: bool,
}

impl Call {
    pub(crate) fn begin(proxy: &Proxy, endpoint: Endpoint, request: &Request) -> Self {
        let framing = Framing::asked(endpoint, request.uri().query());
        let client = Client::of(request);
        Self { framing, client, ..Self::of_headers(proxy, endpoint, request.headers()) }
    }

    /// A call that is not on record.
    pub(crate) fn of_headers(proxy: &Proxy, endpoint: Endpoint, headers: &HeaderMap) -> Self {
        let (started, began) = (proxy.0.clock.unix(), proxy.0.clock.mono());
        let id = Builder::from_unix_timestamp_millis(started.0, &rand::random()).into_uuid();
        let call_id = client_call_id(headers).unwrap_or_else(|| id.to_string());
        let (framing, client, known) = (Framing::Events, Client::default(), Known::default());
        let id = RequestId(id.as_u128());
        let is_named_in_errors = proxy.0.serving.load().settings.names_call_in_errors;
        let races = false;
        Self {
            endpoint,
            id,
            call_id,
            started,
            began,
            framing,
            client,
            is_named_in_errors,
            known,
            races,
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
    fn refuse(&self, chat: &ChatRequest, origin: &Origin, refused: Refused) -> Refused {
        self.known.asks(chat.model(), chat.stream(), self.endpoint.call_type(), origin);
        refused
    }

    /// Whether the body of its error has its id: OpenAI's form has a place for it.
    pub(crate) fn names_itself(&self) -> bool {
        let is_openai = matches!(self.endpoint.dialect(), Dialect::OpenAi | Dialect::Responses);
        self.is_named_in_errors && is_openai
    }

    /// What goes on an answer that is put into this endpoint's words.
    pub(crate) fn stamp<'a>(&'a self, model: &'a str, chat: &'a ChatRequest) -> Stamp<'a> {
        let (now, request) = (self.started.0 / 1000, chat.text());
        Stamp { model, id: &self.call_id, now, request, turn: None }
    }
}

/// Answers one request to `endpoint`. `path_model` is the model that the path names, for a body that
/// names none.
pub(crate) async fn serve(
    proxy: &Proxy,
    endpoint: Endpoint,
    path_model: Option<&str>,
    request: Request,
) -> Response<Body> {
    let call = Arc::new(Call::begin(proxy, endpoint, &request));
    let ((kept, wish), (begun, left)) = (oneshot::channel(), oneshot::channel());
    let (teller, path_model) = (proxy.clone(), path_model.map(str::to_owned));
    let (asked, early) = (Arc::clone(&call), Early { kept, begun });
    // The story is a large future: boxed once, it is not copied from one caller to the next.
    let mut answering: Answering = Box::pin(async move {
        let answered = conduct(&teller, &asked, path_model, request, early).await;
        answered.inspect_err(|failed| refused::note(&teller, &asked, failed))
    });
    if endpoint == Endpoint::Responses {
        answering = Box::pin(background::watch(proxy.clone(), left, answering));
    }
    let answered = match endpoint.ping() {
        Some(_) => keepalive::watch(Arc::clone(&call), answering, wish).await,
        None => answering.await,
    };
    match answered {
        Ok(response) => response,
        Err(failed) => failed.response(&call),
    }
}

/// What becomes known before there is an answer.
struct Early {
    /// Told if the answer is to be kept alive, as soon as it is sure that there is one to wait for.
    kept: oneshot::Sender<Wish>,
    /// Told what the client gets that waits for no answer.
    begun: background::Begun,
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    path_model: Option<String>,
    request: Request,
    early: Early,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let mut caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    let asked = (head, body, path_model);
    let answered = answer(proxy, call, &serving, &mut caller, asked, early).await;
    answered.map_err(|failed| failed.of_caller(proxy, &caller))
}

/// Answers a request whose caller is known, and for whose answer nothing is sent before it is there.
pub(crate) async fn answer_alone(
    proxy: &Proxy,
    call: &Call,
    serving: &Serving,
    caller: &mut Caller,
    (head, body): (Parts, Body),
) -> Result<Response<Body>, Failed> {
    let ((kept, _wish), (begun, _left)) = (oneshot::channel(), oneshot::channel());
    answer(proxy, call, serving, caller, (head, body, None), Early { kept, begun }).await
}

async fn answer(
    proxy: &Proxy,
    call: &Call,
    serving: &Serving,
    caller: &mut Caller,
    (head, body, path_model): (Parts, Body, Option<String>),
    Early { kept, begun }: Early,
) -> Result<Response<Body>, Failed> {
    let most = serving.settings.max_request_bytes;
    let body = body::read(body, &head.headers, most).await?;
    let mut opened = Opened::of(proxy, call.endpoint, caller, (body, most)).await?;
    let is_moderation = call.endpoint == Endpoint::Moderations;
    let moderator = is_moderation.then(|| moderator::of(serving, caller)).flatten();
    let path_model = path_model.or(moderator);
    let is_redacted = is_redacted(serving, &head.headers);
    opened.opening.redact(is_redacted);
    let chat = read(call, caller, &head, &opened.body, path_model.as_deref())?;
    let chat = as_configured(serving, chat, &head.headers);
    if let Some(models) = several::named(&chat, &serving.catalog) {
        let asked = several::Asked { proxy, call, serving, caller, head: &head, chat: &chat };
        return several::answer(asked, models).await;
    }
    let extras = chat.extras().with_headers(&head.headers).map_err(Refused::BadRequest)?;
    let mut origin = call.client.origin(&serving.settings, &head.headers, chat.labels())?;
    caller.count_for(proxy, &mut origin).await?;
    let caller: &Caller = caller;
    let asks = Asks { proxy, serving, call, caller, opened: &opened };
    let (what, instead) = (What { chat: &chat, extras: &extras }, OnceLock::new());
    let admitted = asks.admit(what, &instead).await;
    let admitted = admitted.map_err(|refused| call.refuse(&chat, &origin, refused))?;
    let Admitted { mut candidates, demand, permit, gave_way } = admitted;
    let told = Told::of_admission(call, caller, permit.limits());
    keepalive::announce(kept, candidates.first(), &chat, &extras, &told);
    let mut bill = Bill::open(proxy.clone(), permit, call, caller, About::of(&chat, origin));
    bill.await_answer(call.races);
    if serving.settings.keeps_said && !is_redacted {
        bill.keep_said(chat.text());
    }
    bill.tell(report::of_chat(proxy, caller, &head.headers, &chat, is_redacted));

    let catalog = &serving.catalog;
    let (demand, revision) = (&demand, serving.settings.revision);
    let asked = Asked { proxy, catalog, chat: &chat, extras: &extras, demand, revision };
    if chat.background() && background::is_ours(&mut candidates) {
        let job = Job { call, caller, opening: &opened.opening, told, begun };
        return Box::pin(background::run(job, asked, &mut candidates, bill)).await;
    }
    let answered = match attempts::run(asked, &mut candidates, &mut bill).await {
        Ok(answered) => answered,
        Err(failed) => {
            return Err(bill.fail(failed.bound(extras.bound(chat.stream()), chat.stream())));
        }
    };
    let told = told.attempts(&answered).bound(extras.bound(chat.stream()));
    let Answered { answer, fallbacks, .. } = answered;
    // After a fallback the client learns which model it was, as LiteLLM has it; likewise one whose
    // body named none.
    let keeps_name = fallbacks == 0 && !gave_way && !chat.model_from_path();
    let opening = opened.opening;
    let delivery = Delivery { proxy, call, caller, chat, opening, bill, told, keeps_name };
    Ok(delivery.of(answer).await)
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

fn read(
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
    caller.check_required(kind, body)?;
    chat.with_headers(headers).with_query(head.uri.query()).map_err(Refused::BadRequest)
}
