//! POST /v1/fine_tuning/jobs: a model is tuned where its files are.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_admission::Bounds;
use dunlin_ledger::Pricing;
use dunlin_llm::{BadRequest, Endpoint, Extras, Place, check_object, edit, rename_ids};
use dunlin_router::{Deployment, candidates};
use dunlin_types::Tokens;

use super::home::OURS;
use super::{Asking, alone, send};
use crate::chat::Call;
use crate::error::{Failed, Refused};
use crate::ids::Kind;
use crate::kept::{Sealing, find, is_beside};
use crate::{Proxy, body, refused};

const ROUTE: &str = "/fine_tuning/jobs";
const FILES: &[&Place] = &[&["training_file"], &["validation_file"]];
const MODEL: &[&Place] = &[&["model"]];

/// Answers one request to tune a model.
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
    let mut input: Option<crate::ids::Kept> = None;
    let body = rename_ids(&body, FILES, &mut |id: &str| {
        let opened = ids.open(Kind::File, id, owner);
        let kept = opened.map_err(|bad| Refused::no_such(Kind::File, id, bad))?;
        if input.as_ref().is_some_and(|first| first.home != kept.home) {
            return Err(Refused::apart(id));
        }
        let upstream = kept.upstream.clone();
        input.get_or_insert(kept);
        Ok(Some(upstream))
    })?;
    let missing = |name| Refused::BadRequest(BadRequest::Missing { route: ROUTE, name });
    let input = input.ok_or_else(|| missing("training_file"))?;
    let home = input.deployment().and_then(|deployment| find(&serving.catalog, deployment));
    let home = home.ok_or(Refused::homeless("file"))?;
    let model: Option<String> =
        edit::member(&body, "model").and_then(|model| serde_json::from_str(model).ok());
    let model = model.ok_or_else(|| missing("model"))?;
    let wishes = Extras::default();
    let found = candidates(&serving.catalog, caller.access(), &model, &wishes);
    let found = found.map_err(|no_route| Refused::no_route(no_route, call.endpoint))?;
    let tuned = found.first().deployments.iter().find(|known| is_beside(home, known));
    let tuned: &Arc<Deployment> =
        tuned.ok_or_else(|| Refused::elsewhere(&home.group, &found.first().name))?;

    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers: &head.headers };
    let cost = if tuned.price == Pricing::Free { Bounds::default() } else { Bounds::UNKNOWN };
    let (mut bill, told) = asking.admit(&tuned.group, Tokens(0), cost).await?;
    asking.afford(&mut bill, tuned, cost).await?;
    let attempt = asking.attempt(&alone(tuned), Tokens(0))?;
    let body = rename_ids(&body, MODEL, &mut |_: &str| {
        Ok::<_, Refused>(Some(tuned.target.model.to_string()))
    })?;
    let ours: Vec<&str> = OURS.iter().copied().filter(|name| *name != "model").collect();
    let asked = send(ROUTE, "application/json", edit::without(body, &ours))?;
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    let sealing = Sealing::new(proxy, caller.owner(), tuned);
    answer.made(asking, Kind::Job, &sealing).await
}
