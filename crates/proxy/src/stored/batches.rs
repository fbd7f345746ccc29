//! POST /v1/batches: a batch is made where its input file is.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_admission::{CountedBatch, counts_batches};
use dunlin_llm::batch::Beside;
use dunlin_llm::{BadRequest, Endpoint, Place, edit};
use dunlin_router::Deployment;
use dunlin_router::relay::{Asked, Lenders, NoLender, lenders};
use dunlin_types::Tokens;

use super::answer::Made;
use super::input::Input;
use super::made_of::Files;
use super::{Asking, alone, noted, send};
use crate::Proxy;
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::kept::{Sealing, is_beside};
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
    let beside = Beside::of_body(ROUTE, &["metadata"], &posted.body);
    let beside = beside.map_err(Refused::BadRequest)?;
    let Files { home, owner, first, body } = asking.files(&posted.body, ROUTE, INPUT)?;
    asking.check_named(home, &posted.body)?;

    let (mut bill, told) = asking.admit_open_ended(home).await?;
    let input = match asking.input(home, &first).await {
        Ok(input) => input,
        Err(failed) => return Err(bill.fail(failed)),
    };
    if let Err(refused) = asking.check_model(home, &input) {
        return Err(bill.fail(refused));
    }
    let endpoint = noted::text(&posted.body, "endpoint");
    if let Some(Err(refused)) = endpoint.map(|endpoint| input.check_endpoint(&endpoint)) {
        return Err(bill.fail(refused));
    }
    let served = match asking.served_at(home, &input) {
        Ok(served) => served,
        Err(failed) => return Err(bill.fail(failed)),
    };
    if let Err(failed) = asking.turn_to(&mut bill, home, (&served, input.tokens())).await {
        return Err(bill.fail(failed));
    }
    let shares = match asking.shares(&input.labels, (home, &served), "line").await {
        Ok(shares) => shares.of(&first),
        Err(failed) => return Err(bill.fail(failed)),
    };
    let counted = match asking.count_batch(input.tokens()).await {
        Ok(counted) => counted,
        Err(refused) => return Err(bill.fail(refused)),
    };
    let attempt = asking.attempt(&alone(home), Tokens(0))?;
    let asked = send(ROUTE, "application/json", beside.passed_on(body))?;
    let answer = asking.send_within(beside.timeout, attempt, asked, (bill, told)).await?;
    let made = Made { counted: counted.map(CountedBatch::made), shares, input: None };
    let sealing = Sealing::new(proxy, owner, home);
    answer.made(asking, Kind::Batch, &sealing, made).await
}

impl Asking<'_> {
    /// A batch is made where its file is: the model that a request names beside it must be there.
    fn check_named(&self, home: &Deployment, body: &[u8]) -> Result<(), Refused> {
        let named = edit::member(body, "model").filter(|model| *model != "null");
        let Some(named) = named else { return Ok(()) };
        let (name, expected) = ("model".to_owned(), "a string");
        let named: String = serde_json::from_str(named).map_err(|_| {
            Refused::BadRequest(BadRequest::Invalid { route: ROUTE, name, expected })
        })?;
        let lent = self.lent(home, &named)?.filter(|lent| !lent.any);
        let accounts =
            lent.iter().flat_map(|lent| std::iter::once(&lent.group).chain(&lent.elsewhere));
        let mut there = accounts.flat_map(|account| &account.deployments);
        match there.any(|known| is_beside(home, known)) {
            true => Ok(()),
            false => Err(Refused::elsewhere(&home.group, &named)),
        }
    }

    /// What the key may call may be less than when the file came in.
    fn check_model(&self, home: &Deployment, input: &Input) -> Result<(), Refused> {
        input.model.as_deref().map_or(Ok(()), |model| self.lent(home, model).map(drop))
    }

    /// Who of the provider of `home` has a model, if anybody does.
    fn lent(&self, home: &Deployment, model: &str) -> Result<Option<Lenders>, Refused> {
        let providers = &[&*home.provider];
        let asked = Asked { providers, models: &[model], chosen: None, reads: false };
        match lenders(&self.serving.catalog, self.caller.access(), asked) {
            Ok(lent) => Ok(Some(lent)),
            Err(NoLender::NotAllowed { model, by }) => {
                Err(Refused::not_allowed(model, by, self.caller))
            }
            Err(NoLender::Unnamed | NoLender::OutOfRegion { .. } | NoLender::None) => Ok(None),
        }
    }

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
