//! POST /v1/batches: a batch is made where its input file is.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_admission::Bounds;
use dunlin_ledger::Pricing;
use dunlin_llm::{BadRequest, Endpoint, Place, check_object, edit, rename_ids};
use dunlin_types::Tokens;

use super::home::OURS;
use super::{Asking, alone, send};
use crate::chat::Call;
use crate::error::{Failed, Refused};
use crate::ids::Kind;
use crate::kept::{Sealing, find};
use crate::{Proxy, body, refused};

const INPUT: &[&Place] = &[&["input_file_id"]];

/// Answers one request to make a batch.
pub(crate) async fn create(proxy: &Proxy, request: Request) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request);
    match conduct(proxy, &call, request).await {
        Ok(response) => response,
        Err(failed) => refused::answer(proxy, &call, failed),
    }
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    let body = body::read(body, &head.headers, serving.settings.max_request_bytes).await?;
    check_object(&body).map_err(Refused::BadRequest)?;
    let (ids, owner) = (&proxy.0.ids, caller.owner());
    let mut input = None;
    let body = rename_ids(&body, INPUT, &mut |id: &str| {
        let opened = ids.open(Kind::File, id, owner);
        let kept = opened.map_err(|bad| Refused::no_such(Kind::File, id, bad))?;
        let upstream = kept.upstream.clone();
        input = Some(kept);
        Ok::<_, Refused>(Some(upstream))
    })?;
    let missing = BadRequest::Missing { route: "/batches", name: "input_file_id" };
    let input = input.ok_or(Refused::BadRequest(missing))?;
    let home = input.deployment().and_then(|deployment| find(&serving.catalog, deployment));
    let home = home.ok_or(Refused::homeless("file"))?;

    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers: &head.headers };
    // What it costs is known, and charged, when it is found finished.
    let cost = if home.price == Pricing::Free { Bounds::default() } else { Bounds::UNKNOWN };
    let (mut bill, told) = asking.admit(&home.group, Tokens(0), cost).await?;
    asking.afford(&mut bill, home, cost).await?;
    let attempt = asking.attempt(&alone(home), Tokens(0))?;
    let asked = send("/batches", "application/json", edit::without(body, OURS))?;
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    let sealing = Sealing::new(proxy, input.owner, home);
    answer.made(asking, Kind::Batch, &sealing).await
}
