//! POST /v1/batches: a batch is made where its input file is.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_admission::{CountedBatch, counts_batches};
use dunlin_llm::{Endpoint, Place, edit};
use dunlin_types::Tokens;

use super::answer::Made;
use super::home::OURS;
use super::made_of::Files;
use super::{Asking, alone, send};
use crate::Proxy;
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::kept::Sealing;
use crate::request::posted::Posted;
use crate::response::error::{Failed, Refused};

const ROUTE: &str = "/batches";
/// What LiteLLM's spend logs call it.
const CALL_TYPE: &str = "acreate_batch";
const INPUT: &[&Place] = &[&["input_file_id"]];

/// Answers one request to make a batch.
pub(crate) async fn create(proxy: &Proxy, request: Request) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request).named(CALL_TYPE);
    let answered = conduct(proxy, &call, request).await;
    call.answer(proxy, answered)
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let posted = Posted::read(proxy, call, request).await?;
    let asking = posted.asking(proxy, call);
    let Files { home, owner, first, body } = asking.files(&posted.body, ROUTE, INPUT)?;

    let (bill, told) = asking.admit_open_ended(home).await?;
    let input = match asking.input(home, &first).await {
        Ok(input) => input,
        Err(failed) => return Err(bill.fail(failed)),
    };
    let shares = match asking.shares(&input.labels, home, "line").await {
        Ok(shares) => shares.of(&first),
        Err(failed) => return Err(bill.fail(failed)),
    };
    let counted = match asking.count_batch(input.tokens()).await {
        Ok(counted) => counted,
        Err(refused) => return Err(bill.fail(refused)),
    };
    let attempt = asking.attempt(&alone(home), Tokens(0))?;
    let asked = send(ROUTE, "application/json", edit::without(body, OURS))?;
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    let made = Made { counted: counted.map(CountedBatch::made), shares, input: None };
    let sealing = Sealing::new(proxy, owner, home);
    answer.made(asking, Kind::Batch, &sealing, made).await
}

impl Asking<'_> {
    /// Counts a batch of so many tokens for those who may make so many of batches a day. `None`:
    /// nobody's are counted.
    async fn count_batch(&self, tokens: Tokens) -> Result<Option<CountedBatch>, Refused> {
        let Some(key) = self.caller.key().filter(|key| counts_batches(key)) else {
            return Ok(None);
        };
        let counted = self.proxy.0.admission.count_batch(key, tokens).await;
        let refused = |why| Refused::admission(why, self.caller, self.call.started);
        counted.map(Some).map_err(refused)
    }
}
