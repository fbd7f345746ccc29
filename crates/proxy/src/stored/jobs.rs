//! POST /v1/fine_tuning/jobs: a model is tuned where its files are.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_llm::batch::Beside;
use dunlin_llm::{BadRequest, Endpoint, Extras, Place, edit, rename_ids};
use dunlin_router::{Deployment, candidates};
use dunlin_types::Tokens;

use super::answer::Made;
use super::made_of::Files;
use super::{alone, send};
use crate::Proxy;
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::kept::{Sealing, is_beside};
use crate::request::posted::Posted;
use crate::response::error::{Failed, Refused};

/// What LiteLLM's spend logs call it.
const CALL_TYPE: &str = "acreate_fine_tuning_job";
const ROUTE: &str = "/fine_tuning/jobs";
const FILES: &[&Place] = &[&["training_file"], &["validation_file"]];
const MODEL: &[&Place] = &[&["model"]];

/// Answers one request to tune a model.
pub(crate) async fn create(proxy: &Proxy, request: Request) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request).named(CALL_TYPE);
    let answered = conduct(proxy, &call, request).await;
    call.answer(proxy, answered)
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let posted = Posted::read(proxy, call, request).await?;
    let (asking, caller) = (posted.asking(proxy, call), &posted.caller);
    let beside = Beside::of_body(ROUTE, &["metadata", "model"], &posted.body);
    let beside = beside.map_err(Refused::BadRequest)?;
    let Files { home, body, .. } = asking.files(&posted.body, ROUTE, FILES)?;
    let model: Option<String> =
        edit::member(&body, "model").and_then(|model| serde_json::from_str(model).ok());
    let missing = BadRequest::Missing { route: ROUTE, name: "model" };
    let model = model.ok_or(Refused::BadRequest(missing))?;
    let wishes = Extras::default();
    call.known.asks(&model, false);
    let found = candidates(&posted.serving.catalog, caller.access(), &model, &wishes);
    let found = found.map_err(|no_route| Refused::no_route(no_route, call.endpoint, caller))?;
    let tuned = found.first().deployments.iter().find(|known| is_beside(home, known));
    let tuned: &Arc<Deployment> =
        tuned.ok_or_else(|| Refused::elsewhere(&home.group, &found.first().name))?;

    let billed = asking.admit_open_ended(tuned).await?;
    let attempt = asking.attempt(&alone(tuned), Tokens(0))?;
    let body = rename_ids(&body, MODEL, &mut |_: &str| {
        Ok::<_, Refused>(Some(tuned.target.model.to_string()))
    })?;
    let asked = send(ROUTE, "application/json", beside.passed_on(body))?;
    let answer = asking.send_within(beside.timeout, attempt, asked, billed).await?;
    let sealing = Sealing::new(proxy, caller.owner(), tuned);
    answer.made(asking, Kind::Job, &sealing, Made::default()).await
}
