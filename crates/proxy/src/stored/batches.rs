//! POST /v1/batches: a batch is made where its input file is.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_admission::CountedBatch;
use dunlin_llm::{Endpoint, Place, edit};
use dunlin_types::Tokens;

use super::home::OURS;
use super::made_of::Files;
use super::{alone, send};
use crate::Proxy;
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::kept::Sealing;
use crate::request::posted::Posted;
use crate::response::error::Failed;

const ROUTE: &str = "/batches";
const INPUT: &[&Place] = &[&["input_file_id"]];

/// Answers one request to make a batch.
pub(crate) async fn create(proxy: &Proxy, request: Request) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request);
    let answered = conduct(proxy, &call, request).await;
    call.answer(proxy, answered)
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let posted = Posted::read(proxy, call, request).await?;
    let asking = posted.asking(proxy, call);
    let Files { home, owner, first, body } = asking.files(&posted.body, ROUTE, INPUT)?;

    let billed = asking.admit_open_ended(home).await?;
    let counted = asking.count_batch(home, &first).await?;
    let attempt = asking.attempt(&alone(home), Tokens(0))?;
    let asked = send(ROUTE, "application/json", edit::without(body, OURS))?;
    let answer = asking.send(attempt, asked, billed).await?;
    let counted = counted.map(CountedBatch::made);
    let sealing = Sealing::new(proxy, owner, home);
    answer.made(asking, Kind::Batch, &sealing, counted).await
}
