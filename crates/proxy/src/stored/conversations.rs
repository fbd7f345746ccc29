//! `/v1/conversations`: turns that a provider keeps for its responses. A conversation is made at one
//! deployment, which its id names; what is said in it is asked of that one.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response};
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::batch::Beside;
use dunlin_llm::{Endpoint, Place, edit, rename_ids};
use dunlin_providers::sigv4::path_segment;
use dunlin_router::{Deployment, Group, NoRoute, group};
use dunlin_types::Tokens;

use super::home::{NAMES, Wish};
use super::lists::Query;
use super::{Asking, alone, ask, send};
use crate::Proxy;
use crate::ids::{BadId, Kind};
use crate::request::body;
use crate::request::call::Call;
use crate::request::kept::{Sealing, find, is_beside, keepers};
use crate::request::posted::Posted;
use crate::response::error::{Failed, Refused};

const ROUTE: &str = "/conversations";
/// Where items name files.
const FILES: &[&Place] =
    &[&["items", "*", "content", "*", "file_id"], &["items", "*", "output", "*", "file_id"]];
/// What the request log calls it: LiteLLM has no name for it.
const CALL_TYPE: &str = "aconversations";
/// Models that a refusal names, at most.
const MAX_NAMED: usize = 10;

/// What is asked of a conversation.
pub(crate) enum Of {
    Itself,
    Items,
    /// One of its items, by its id.
    Item(String),
}

/// Answers one request to make a conversation. `provider` is the one that the path names.
pub(crate) async fn create(
    proxy: &Proxy,
    provider: Option<&str>,
    request: Request,
) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request).named(CALL_TYPE);
    let answered = make(proxy, &call, provider, request).await;
    call.answer(proxy, answered)
}

/// Answers one request about the conversation that the client calls `id`.
pub(crate) async fn serve(proxy: &Proxy, id: &str, of: Of, request: Request) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request).named(CALL_TYPE);
    let answered = conduct(proxy, &call, (id, of), request).await;
    call.answer(proxy, answered)
}

async fn make(
    proxy: &Proxy,
    call: &Call,
    provider: Option<&str>,
    request: Request,
) -> Result<Response<Body>, Failed> {
    let posted = Posted::read(proxy, call, request).await?;
    let Posted { head, body, caller, .. } = &posted;
    // Nothing need be said.
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body.clone() };
    let beside = beside(&body)?;
    let asking = posted.asking(proxy, call);
    let query = Query::read(head.uri.query().unwrap_or_default());
    let said: Vec<(&str, String)> =
        NAMES.iter().filter_map(|name| Some((*name, text(&body, name)?))).collect();
    let in_body =
        |name: &str| said.iter().find(|(known, _)| *known == name).map(|(_, text)| &**text);
    let field = |name: &str| in_body(name).or_else(|| query.get(name));
    let group = asking.keepers_of(Wish::read(provider, field, &head.headers))?;

    let (bill, told) = asking.admit(&group.name, Tokens(0), Bounds::default()).await?;
    let attempt = asking.first_attempt(&bill, &group, Tokens(0))?;
    let by = Arc::clone(attempt.deployment());
    let body = asking.with_files(&beside.passed_on(body), &by)?;
    let asked = send(ROUTE, "application/json", body)?;
    let answer = asking.send_within(beside.timeout, attempt, asked, (bill, told)).await?;
    let sealing = Sealing::new(proxy, caller.owner(), &by);
    answer.object(asking, Kind::Conversation, &sealing).await
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    (id, of): (&str, Of),
    request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    call.is_for(&serving.settings, &head, &Bytes::new());
    let opened = proxy.0.ids.open(Kind::Conversation, id, caller.owner());
    let kept = opened.map_err(|bad| Refused::no_such(Kind::Conversation, id, bad))?;
    let home = kept.deployment().and_then(|deployment| find(&serving.catalog, deployment));
    let home = home.ok_or(Refused::homeless(Kind::Conversation.noun()))?;
    let most = serving.settings.max_request_bytes;
    let body = match head.method {
        Method::POST => body::read(body, &head.headers, most).await?,
        _ => Bytes::new(),
    };
    let (labels, body) = caller.said(&head, body, false)?;
    let (headers, labels) = (&head.headers, &labels);
    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers, labels };
    let below = match &of {
        Of::Itself => String::new(),
        Of::Items => "/items".to_owned(),
        Of::Item(item) => format!("/items/{}", path_segment(item)),
    };
    let path = format!("/conversations/{}{below}", path_segment(&kept.upstream));
    let is_object = matches!(of, Of::Itself) || head.method == Method::DELETE;
    let mut asked = if head.method == Method::POST {
        let body = asking.with_files(&beside(&body)?.passed_on(body), home)?;
        send(&path, "application/json", body)?
    } else {
        ask(head.method, path)
    };
    asked.query = head.uri.query().map(str::to_owned);

    let (bill, told) = asking.admit(&home.group, Tokens(0), Bounds::default()).await?;
    let attempt = asking.attempt(&alone(home), Tokens(0))?;
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    if !is_object {
        return answer.items().await;
    }
    // The master sees it under the same id as its owner.
    let sealing = Sealing::new(proxy, kept.owner, home);
    answer.object(asking, Kind::Conversation, &sealing).await
}

/// What a body says that is not the provider's.
fn beside(body: &Bytes) -> Result<Beside, Refused> {
    Beside::of_body(ROUTE, &["metadata"], body).map_err(Refused::BadRequest)
}

fn text(body: &[u8], name: &str) -> Option<String> {
    serde_json::from_str(edit::member(body, name)?).ok()
}

impl Asking<'_> {
    /// The deployments that may keep a new conversation: those of the model that is named; else those
    /// of the only account with responses that the caller may use.
    fn keepers_of(&self, wish: Wish<'_>) -> Result<Group, Refused> {
        let is_wished =
            |known: &Deployment| wish.provider.is_none_or(|wished| *known.provider == *wished);
        let catalog = &self.serving.catalog;
        let of = |model: &str| -> Result<Option<Group>, NoRoute> {
            let found = group(catalog, self.caller.access(), model)?;
            Ok(keepers(&found).map(|mut keepers| {
                keepers.deployments.retain(|known| is_wished(known));
                keepers
            }))
        };
        if let Some(model) = wish.models {
            let found = of(model)
                .map_err(|none| Refused::no_route(none, self.call.endpoint, self.caller))?;
            let found = found.filter(|group| !group.deployments.is_empty());
            return found.ok_or_else(|| Refused::no_conversations(model));
        }
        let groups = catalog.groups.keys().filter_map(|name| of(name).ok().flatten());
        let all: Vec<Arc<Deployment>> = groups.flat_map(|group| group.deployments).collect();
        let Some(first) = all.first() else { return Err(Refused::no_keeper()) };
        if all.iter().all(|known| is_beside(first, known)) {
            return Ok(alone(first));
        }
        let mut names: Vec<&str> = all.iter().map(|known| &*known.group).collect();
        names.dedup();
        names.truncate(MAX_NAMED);
        Err(Refused::several_keepers(&names))
    }

    /// `body` with the ids of files that their provider knows them by, which is `home`'s.
    fn with_files(&self, body: &Bytes, home: &Deployment) -> Result<Bytes, Refused> {
        let (ids, owner) = (&self.proxy.0.ids, self.caller.owner());
        rename_ids(body, FILES, &mut |id: &str| match ids.open(Kind::File, id, owner) {
            Ok(kept) => {
                let there = kept.deployment().and_then(|id| find(&self.serving.catalog, id));
                if !there.is_some_and(|there| is_beside(home, there)) {
                    return Err(Refused::apart(Kind::File, id));
                }
                Ok(Some(kept.upstream))
            }
            Err(BadId::NotOurs) => Ok(None),
            Err(bad) => Err(Refused::no_such(Kind::File, id, bad)),
        })
    }
}
