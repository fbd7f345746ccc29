//! `GET /health/drain`: other nodes take this node's clients; it finishes open requests and hands
//! over what it holds. `DELETE` makes it serve again. It needs an admin's key or, with
//! `enable_drain_endpoint`, only the token of `drain_endpoint_token`: kubelets have no keys.

use std::time::Duration;

use axum::extract::{self, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dunlin_config::DrainEndpoint;
use dunlin_llm::credentials::CredentialError;
use dunlin_state::{Actor, Command};
use dunlin_types::Secret;
use http::{HeaderMap, HeaderName};
use serde_json::json;
use tracing::{info, warn};

use super::ok;
use crate::Admin;
use crate::error::{Error, answer};
use crate::routes::{DELETE, Request, Routes, Who, admitted};

const PATH: &str = "/health/drain";
const WHO: Who = Who::Admins;
const TOKEN: HeaderName = HeaderName::from_static("x-drain-token");
/// As long as a node that stops waits for what is open.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// How long spend may take to settle and money to be given back.
const HAND_OVER: Duration = Duration::from_secs(2);

pub(super) fn add(routes: Routes) -> Routes {
    routes.guarded(PATH, WHO, get(handle)).add(DELETE, PATH, WHO, undo)
}

async fn handle(State(admin): State<Admin>, asked: extract::Request) -> Response {
    let query = Query::<Vec<(String, String)>>::try_from_uri(asked.uri());
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let entered = async {
        let actor = enter(&admin, asked).await?;
        Ok((actor, wait(&query).map_err(IntoResponse::into_response)?))
    };
    match entered.await {
        Ok((actor, wait)) => drain(&admin, actor, wait).await,
        Err(refusal) => refusal,
    }
}

async fn drain(admin: &Admin, actor: Actor, wait: Duration) -> Response {
    let (me, consensus, admission) = (admin.0.config.me, &admin.0.consensus, &admin.0.admission);
    let others = || {
        let state = consensus.state();
        state.nodes().into_keys().filter(|node| consensus.takes_clients(*node)).count()
    };
    let before = admission.open_requests();
    let is_news = admission.drain();
    if is_news {
        info!(open_requests = before, "draining: other nodes take this node's clients");
        if others() == 0 {
            warn!("draining, but no other node takes clients: this node still serves them");
        }
    }
    let noted = async {
        if is_news {
            note(admin, actor, true).await;
        }
    };
    tokio::join!(noted, consensus.leave());
    admission.until_idle(wait).await;
    if !admission.is_draining() {
        return ok(
            &json!({"status": "serving", "node": me, "open_requests": admission.open_requests()}),
        );
    }
    let left = admission.hand_over(HAND_OVER).await;
    let open = admission.open_requests();
    ok(&json!({
        "status": if open == 0 { "drained" } else { "draining" },
        "drained_requests": before.saturating_sub(open),
        "open_requests": open,
        "node": me,
        "leads": consensus.status().leader == Some(me),
        "budgets_held_usd": left.granted.as_usd(),
        "owns_limits": left.owns_limits,
        "nodes_that_take_clients": others(),
    }))
}

async fn undo(admin: Admin, asked: Request) -> Result<Response, Error> {
    let drained = admin.0.admission.resume();
    if drained {
        info!("draining is over: this node serves its clients again");
        note(&admin, asked.actor, false).await;
    }
    Ok(ok(&json!({"status": "serving", "node": admin.0.config.me, "was_draining": drained})))
}

/// Has the audit log tell who did it. It is done all the same where that cannot be.
async fn note(admin: &Admin, actor: Actor, draining: bool) {
    let command = Command::Drain { node: admin.0.config.me, draining };
    if let Err(error) = admin.0.consensus.propose_as(actor, command).await {
        warn!(%error, draining, "the audit log does not tell who had this node drain");
    }
}

/// How long the answer waits for open requests: `?wait=SECONDS`.
fn wait(query: &[(String, String)]) -> Result<Duration, Error> {
    let Some((_, text)) = query.iter().rev().find(|(name, _)| name == "wait") else {
        return Ok(MAX_WAIT);
    };
    let seconds = text.parse().ok().map(Duration::from_secs).filter(|wait| *wait <= MAX_WAIT);
    seconds.ok_or_else(|| Error::BadField {
        name: "wait",
        reason: format!(
            "wait is `{text}`, not a number of seconds from 0 to {}",
            MAX_WAIT.as_secs()
        ),
    })
}

async fn enter(admin: &Admin, asked: extract::Request) -> Result<Actor, Response> {
    let published = admin.settings().map_err(IntoResponse::into_response)?;
    let (door, headers) = (&published.settings.drain, asked.headers());
    if opens(door, headers) {
        return admin.nobody(PATH, &asked).map_err(IntoResponse::into_response);
    }
    let caller = admin.identify(headers, &[PATH]).await;
    let actor = caller.and_then(|caller| {
        admitted(&caller, WHO, PATH)?;
        admin.actor(&caller, PATH, &asked)
    });
    let refusal = match actor {
        Ok(actor) => return Ok(actor),
        Err(Error::Credential(CredentialError::Missing)) if !door.open => {
            answer(404, json!({"detail": "Not Found"}).to_string())
        }
        Err(Error::Credential(CredentialError::Missing)) => {
            answer(401, json!({"detail": "Invalid or missing X-Drain-Token"}).to_string())
        }
        Err(error) => error.into_response(),
    };
    Err(refusal)
}

/// Whether no key is needed.
fn opens(door: &DrainEndpoint, headers: &HeaderMap) -> bool {
    let shown = headers.get(TOKEN).and_then(|token| token.to_str().ok());
    let fits = |token: &Secret| shown.is_some_and(|shown| Secret::new(shown) == *token);
    door.open && door.token.as_ref().is_none_or(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_key_needs_the_switch_and_the_token_if_there_is_one() {
        let door =
            |open, token: Option<&str>| DrainEndpoint { open, token: token.map(Secret::new) };
        let shows = |token: &str| HeaderMap::from_iter([(TOKEN, token.parse().expect("a value"))]);
        for (door, headers, expected) in [
            (door(false, None), HeaderMap::new(), false),
            (door(false, Some("t")), shows("t"), false),
            (door(true, None), HeaderMap::new(), true),
            (door(true, Some("t")), HeaderMap::new(), false),
            (door(true, Some("t")), shows("x"), false),
            (door(true, Some("t")), shows("t"), true),
        ] {
            assert_eq!(opens(&door, &headers), expected, "{door:?} {headers:?}");
        }
    }

    #[test]
    fn an_answer_waits_as_long_as_it_is_told() {
        let of = |text: &str| wait(&[("wait".to_owned(), text.to_owned())]).ok();
        assert_eq!(wait(&[]).ok(), Some(MAX_WAIT));
        assert_eq!(of("0"), Some(Duration::ZERO));
        assert_eq!(of("600"), Some(MAX_WAIT));
        for text in ["601", "-1", "2s", ""] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
