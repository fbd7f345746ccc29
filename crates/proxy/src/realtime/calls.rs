//! POST /v1/realtime/calls: a conversation over WebRTC. The descriptions of both sides pass by the
//! gateway, and then sound goes from the client to the provider and back without it; what the model
//! answers is heard from beside ([`super::attend`]), and charged.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CONTENT_TYPE, LOCATION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dunlin_admission::{Demand, Entry};
use dunlin_llm::realtime::Session;
use dunlin_llm::{BadRequest, Endpoint, Upload, decoded};
use dunlin_providers::ProviderError;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::{Deployment, Group, served};
use dunlin_types::{RequestId, Secret, Tokens};
use dunlin_upstream::{Attempt, Conversation, Opening, Relay};
use serde_json::{Value, json};

use super::attend::hang_up;
use super::talk::Talk;
use super::transcripts::writers;
use super::turns::{self, Asker};
use super::{model, speakers};
use crate::attempts::entry;
use crate::attempts::not_asked;
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::kept::Sealing;
use crate::request::pass::Pass;
use crate::request::posted::Posted;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::stale::Detour;
use crate::stored::answer::{collect, refusal};
use crate::stored::{alone, ask};
use crate::{Proxy, Serving, realtime};

const ROUTE: &str = "/realtime/calls";
/// A longer description of a side is none.
const MAX_SDP_BYTES: usize = 256 << 10;

/// Answers one call.
pub(crate) async fn create(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let call = Arc::new(
        Call::begin(&proxy, Endpoint::ChatCompletions, &request).named(realtime::CALL_TYPE),
    );
    let answered = conduct(&proxy, &call, request).await;
    call.answer(&proxy, answered)
}

async fn conduct(
    proxy: &Proxy,
    call: &Arc<Call>,
    request: Request,
) -> Result<Response<Body>, Failed> {
    let posted = Posted::read(proxy, call, request).await?;
    let query = posted.head.uri.query();
    let offer = Offer::read(posted.body.clone(), posted.kind(), query)?;
    let Posted { serving, head, caller, labels, .. } = posted;
    let pass = Pass::shown(&proxy.0.ids, &serving.settings, &head.headers);
    let model = model(pass.as_ref(), offer.model.clone())?;
    let group = speakers(&serving, &caller, pass.as_ref(), &model)?;
    let told = offer.session.as_ref().and_then(|session| Session::of(session).transcription);
    let transcription = told.or_else(|| pass.as_ref()?.transcription());
    let group = writers(&serving, &caller, group, transcription.as_ref())?;
    let origin = call.client.origin(&serving.settings, &head.headers, &labels)?;
    let (secret, owner) = (pass.as_ref().map(Pass::upstream), caller.owner());
    let asker = Asker {
        proxy: proxy.clone(),
        call: Arc::clone(call),
        uri: head.uri.clone(),
        detour: head.extensions.get::<Detour>().cloned(),
        headers: head.headers,
        pass,
        origin,
        model,
        served: served(&serving.catalog, &group),
        transcription,
    };
    let (bill, told) = asker.admit(caller).await?;
    let wanted = Wanted { request: call.id, group: &group, tags: bill.tags() };
    let call_begins = begin(proxy, &serving, wanted, &offer, secret).await;
    let Begun { by, place, accepted, beside } = match call_begins {
        Ok(begun) => begun,
        Err(failed) => return Err(bill.fail(failed)),
    };
    // Its answers are admitted each for itself.
    bill.undo();
    let (open, id) = (proxy.0.open.clone(), accepted.id.clone());
    let talk = Talk::new(asker, Arc::clone(&by), place);
    let tasks = open.tasks.clone();
    tasks.spawn(async move { talk.attend(beside, &id, &open).await });
    let told = told.called(call);
    let id = Sealing::new(proxy, owner, &by).seal(Kind::Call, &accepted.id);
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/sdp"));
    fields.insert(LOCATION, reached_at(proxy, &id));
    let answer = Body::from(accepted.answer);
    Ok(headers::relayed(told, StatusCode::CREATED, fields, answer))
}

/// Where a call is reached here. An operator may have written a root that no header can say.
fn reached_at(proxy: &Proxy, id: &str) -> HeaderValue {
    let path = format!("/v1{ROUTE}/{id}");
    let place = HeaderValue::from_str(&format!("{}{path}", proxy.0.root_path));
    let place = place.or_else(|_| HeaderValue::from_str(&path));
    place.expect("an id goes into paths as it is")
}

/// A call that is heard.
struct Begun {
    by: Arc<Deployment>,
    place: Option<Entry>,
    accepted: Accepted,
    beside: Conversation,
}

/// Who is wanted for a call.
struct Wanted<'a> {
    request: RequestId,
    group: &'a Group,
    tags: &'a [String],
}

/// Offers a call to a deployment that has room for it.
async fn begin(
    proxy: &Proxy,
    serving: &Serving,
    Wanted { request, group, tags }: Wanted<'_>,
    offer: &Offer,
    secret: Option<Secret>,
) -> Result<Begun, Failed> {
    let demand = &Demand::free(request, &group.name, Tokens(0), serving.settings.counted);
    let asking = entry::Asking {
        proxy,
        catalog: &serving.catalog,
        demand,
        revision: serving.settings.revision,
        load: Tokens(0),
        tags,
        strategy: serving.catalog.strategy,
        cost: &turns::cost,
    };
    let picked = entry::pick(asking, group, &BTreeSet::new()).await;
    let (attempt, place) = picked.map_err(|why| not_asked(proxy, group, why))?;
    let by = Arc::clone(attempt.deployment());
    let offering = Offering { proxy, serving, by: &by };
    let asked = Relay { secret, ..offer.relay(by.target.sent_model())? };
    let accepted = offering.accept(attempt, asked).await?;
    match offering.beside(&accepted.id).await {
        Ok(beside) => Ok(Begun { by, place, accepted, beside }),
        Err(refused) => {
            hang_up(proxy, &by, &accepted.id).await;
            Err(refused.into())
        }
    }
}

/// A client's description of its side, and what else it says of the call.
struct Offer {
    sdp: Bytes,
    session: Option<Value>,
    model: Option<String>,
}

impl Offer {
    fn read(body: Bytes, kind: &str, query: Option<&str>) -> Result<Self, Refused> {
        let in_query = query.unwrap_or_default().split('&').find_map(|pair| {
            pair.strip_prefix("model=").filter(|model| !model.is_empty()).map(decoded)
        });
        let (sdp, session) = if kind.starts_with("multipart/form-data") {
            let form = Upload::read(body, kind).map_err(Refused::BadRequest)?;
            let name = "sdp";
            let missing = BadRequest::Missing { route: ROUTE, name };
            let sdp = form.content(name).ok_or(Refused::BadRequest(missing))?;
            let session = form.content("session").map(|text| serde_json::from_slice(&text));
            (sdp, session.transpose().map_err(|_| wrong("session", "a JSON object"))?)
        } else if kind.starts_with("application/sdp") {
            (body, None)
        } else {
            let expected = "application/sdp, or multipart/form-data with `sdp` and `session`";
            return Err(wrong("content-type", expected));
        };
        // RFC 8866, section 5.1: a description begins with its version.
        if sdp.len() > MAX_SDP_BYTES || !sdp.starts_with(b"v=0") {
            return Err(wrong("sdp", "a session description (SDP) that begins with v=0"));
        }
        let named = session.as_ref().and_then(|session: &Value| session["model"].as_str());
        let model = named.map(str::to_owned).or(in_query);
        Ok(Self { sdp, session, model })
    }

    /// The call with the provider's name of the model. One that is made with a client secret has a
    /// session.
    fn relay(&self, model: &str) -> Result<Relay, Refused> {
        let mut asked = ask(Method::POST, ROUTE.to_owned());
        asked.headers.insert(ACCEPT, HeaderValue::from_static("application/sdp"));
        let kind = match &self.session {
            None => {
                asked.query = self.model.as_ref().map(|_| format!("model={}", path_segment(model)));
                asked.body = self.sdp.clone();
                "application/sdp".to_owned()
            }
            Some(session) => {
                let mut session = session.clone();
                if session.get("model").is_some() {
                    session["model"] = json!(model);
                }
                let boundary = format!("dunlin-{:032x}", rand::random::<u128>());
                asked.body = form(&boundary, &self.sdp, &session);
                format!("multipart/form-data; boundary={boundary}")
            }
        };
        let kind = HeaderValue::from_str(&kind).map_err(|_| Refused::BadEncoding)?;
        asked.headers.insert(CONTENT_TYPE, kind);
        Ok(asked)
    }
}

fn form(boundary: &str, sdp: &[u8], session: &Value) -> Bytes {
    let mut out = Vec::with_capacity(sdp.len() + 1024);
    let session = session.to_string();
    let fields =
        [("sdp", "application/sdp", sdp), ("session", "application/json", session.as_bytes())];
    for (name, kind, content) in fields {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\
             Content-Type: {kind}\r\n\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out.into()
}

fn wrong(name: &str, expected: &'static str) -> Refused {
    Refused::BadRequest(BadRequest::Invalid { route: ROUTE, name: name.to_owned(), expected })
}

/// Whom a call is offered to.
struct Offering<'a> {
    proxy: &'a Proxy,
    serving: &'a Serving,
    by: &'a Arc<Deployment>,
}

/// A call that a provider has accepted.
struct Accepted {
    /// The provider's name for it.
    id: String,
    /// The description of its side.
    answer: Bytes,
}

impl Offering<'_> {
    async fn accept(&self, attempt: Attempt, asked: Relay) -> Result<Accepted, Refused> {
        let (upstream, retry) = (&self.proxy.0.upstream, self.serving.catalog.retry);
        let relayed = upstream.relay_kept(attempt, asked, self.by.timeout, retry).await;
        let mut relayed = relayed.map_err(|failure| Refused::Answered(Box::new(failure.error)))?;
        if !relayed.status.is_success() {
            return Err(Refused::Answered(Box::new(refusal(relayed, self.by).await)));
        }
        let location = relayed.headers.get(LOCATION).and_then(|place| place.to_str().ok());
        let place = location.and_then(|place| place.split('?').next());
        let id = place.and_then(|place| place.rsplit('/').next()).map(str::to_owned);
        let answer = collect(&mut relayed, MAX_SDP_BYTES).await;
        let answer = answer.map_err(|broken| Refused::Answered(Box::new(broken)))?;
        let answer = answer.ok_or(Refused::LongAnswer { most: MAX_SDP_BYTES })?;
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
            self.unheard("the provider accepted the call but did not name it in `Location`")
        })?;
        Ok(Accepted { id, answer })
    }

    /// Where its events are told.
    async fn beside(&self, id: &str) -> Result<Conversation, Refused> {
        let mut headers = HeaderMap::new();
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        let key = HeaderValue::from_str(&key).expect("base64 is plain text");
        headers.insert(SEC_WEBSOCKET_KEY, key);
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let query = format!("call_id={}", path_segment(id));
        let secret: Option<&Secret> = None;
        let opening = Opening { query: &query, headers: &headers, secret };
        let catalog = &self.serving.catalog;
        let (upstream, nobody) = (&self.proxy.0.upstream, BTreeSet::new());
        let attempt = upstream.start_attempt(&alone(self.by), catalog.strategy, &nobody, Tokens(0));
        let attempt = attempt.map_err(|_| self.unheard(NOT_BESIDE))?;
        let opened = upstream.converse(attempt, opening, self.by.timeout, catalog.retry).await;
        opened.map_err(|_| self.unheard(NOT_BESIDE))
    }

    fn unheard(&self, why: &str) -> Refused {
        let speaker = dunlin_providers::find(&self.by.provider).map_or("", |known| known.speaker());
        Refused::Answered(Box::new(ProviderError::lacking(speaker, why)))
    }
}

/// Why a call is hung up that nobody could charge.
const NOT_BESIDE: &str = "the provider accepted the call but sends no events for it \
                          (`/realtime?call_id=`), which are needed to charge it: it was hung up. \
                          Use the WebSocket at /v1/realtime instead";

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n";

    fn read(body: &str, kind: &str, query: Option<&str>) -> Result<Offer, Refused> {
        Offer::read(Bytes::from(body.to_owned()), kind, query)
    }

    #[test]
    fn an_offer_is_a_description_alone_or_in_a_form_with_its_session() {
        let Ok(alone) = read(SDP, "application/sdp", Some("model=t%2Fa")) else { panic!("alone") };
        assert_eq!((alone.model.as_deref(), &alone.sdp[..]), (Some("t/a"), SDP.as_bytes()));
        let session = json!({"type": "realtime", "model": "talk", "voice": "x"});
        let body = form("b", SDP.as_bytes(), &session);
        let text = String::from_utf8(body.to_vec()).expect("text");
        let kind = "multipart/form-data; boundary=b";
        let Ok(whole) = read(&text, kind, None) else { panic!("a form") };
        assert_eq!((whole.model.as_deref(), &whole.sdp[..]), (Some("talk"), SDP.as_bytes()));
        let Ok(asked) = whole.relay("talk-up") else { panic!("it is sent") };
        let kind = asked.headers[CONTENT_TYPE].to_str().expect("text");
        let sent = Upload::read(asked.body, kind).expect("a form");
        let session: Value =
            serde_json::from_slice(&sent.content("session").expect("one")).expect("JSON");
        assert_eq!(session, json!({"type": "realtime", "model": "talk-up", "voice": "x"}));
        assert_eq!(sent.content("sdp").as_deref(), Some(SDP.as_bytes()));
        let Ok(asked) = alone.relay("talk-up") else { panic!("it is sent") };
        assert_eq!(
            (asked.query.as_deref(), &asked.body[..]),
            (Some("model=talk-up"), SDP.as_bytes())
        );
    }

    #[test]
    fn what_is_no_offer_is_refused() {
        let long = format!("v=0{}", "x".repeat(MAX_SDP_BYTES));
        for (body, kind) in [
            ("{}", "application/json"),
            ("{}", "application/sdp"),
            ("", "application/sdp"),
            (&long, "application/sdp"),
            ("x", "multipart/form-data; boundary=b"),
            (
                "--b\r\nContent-Disposition: form-data; name=\"session\"\r\n\r\n{}\r\n--b--\r\n",
                "multipart/form-data; boundary=b",
            ),
        ] {
            assert!(read(body, kind, None).is_err(), "{kind}");
        }
    }
}
