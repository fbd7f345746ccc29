//! One check, from its admission to its record.

use std::sync::Arc;

use dunlin_admission::{
    Bounds as Amount, Counted, Demand, Entering, Entry, NotEntered, Permit, Refusal, Room, reckon,
    whose,
};
use dunlin_journal::{
    Attempt, Course, Fault, MAX_FAULT_BYTES, Origin, Outcome, SpendRecord, bounded,
};
use dunlin_ledger::{Ask, Cost, Pricing};
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Media, Picture, Usage};
use dunlin_router::{Deployment, DeploymentLimits, Retry, context};
use dunlin_types::{RequestId, Tokens};
use dunlin_upstream::{Answer, Bounds, Failure, Opening, Relay};
use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::json;

use super::ask::{self, Asking, What};
use super::{Asker, CALL_TYPE, TAG, Verdict};
use crate::Admin;
use crate::request::naming;

/// What clients of LiteLLM look for in an answer about a deployment.
const TOLD: [&str; 3] =
    ["x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "x-ms-region"];

/// What a deployment answered, and what that cost.
#[derive(Default)]
struct Answered {
    headers: HeaderMap,
    id: Option<String>,
    used: Usage,
    cost: Cost,
    /// The provider has counted nothing.
    estimated: bool,
}

impl Admin {
    /// Calls a deployment and puts that on record.
    pub(super) async fn call_to_check(&self, whom: &Arc<Deployment>, asker: Asker<'_>) -> Verdict {
        if let Some(why) = &whom.parked {
            return self.not_called(503, format!("it gets no traffic from this node: {why}"));
        }
        let asking = match ask::of(whom) {
            Ok(asking) => asking,
            Err(why) => return self.not_called(400, why),
        };
        let id = RequestId(u128::from_be_bytes(rand::random()));
        let mut tags = asker.payer.map(dunlin_state::Caller::tags).unwrap_or_default();
        tags.push(TAG.to_owned());
        let permit = match self.let_in(&asking, id, &tags, asker).await {
            Ok(permit) => permit,
            Err((status, why)) => return self.not_called(status, format!("not checked: {why}")),
        };
        let (at, began) = (self.0.clock.unix(), self.0.clock.mono());
        let answered = self.ask(&asking).await;
        let took = self.0.clock.mono().since(began);
        let (answered, fault) = match answered {
            Ok(answered) => (answered, None),
            Err(fault) => (Answered::default(), Some(fault)),
        };
        let told = told(&answered.headers);
        let status = fault.as_ref().map_or(200, |fault| fault.status);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let attempt = Attempt { deployment: asking.whom.id.clone(), status, duration_ms };
        let mut record = SpendRecord {
            request: id,
            started: at,
            ended: self.0.clock.unix(),
            fault: fault.clone().map(Box::new),
            ..record(&asking.whom, asker, tags, attempt)
        };
        record.outcome = if fault.is_some() { Outcome::Failure } else { Outcome::Success };
        (record.answer_id, record.estimated) = (answered.id, answered.estimated);
        reckon(&mut record, &answered.used, &answered.cost);
        permit.settle(record);
        Verdict { at, began, took, told, fault, called: true }
    }

    /// Takes from the limits of the check's payers and of the deployment.
    async fn let_in(
        &self,
        asking: &Asking,
        id: RequestId,
        tags: &[String],
        asker: Asker<'_>,
    ) -> Result<Permit, (u16, String)> {
        let (whom, admission) = (&asking.whom, &self.0.admission);
        let (prompt, output) = match &asking.what {
            What::Call(chat) => (chat.prompt_estimate(), chat.max_output()),
            What::Handshake | What::Batches => (Tokens(0), None),
        };
        let cost = amount(asking);
        let (served, counted) = (&whom.group, Counted::Total);
        let output = Some(output.unwrap_or(Tokens(0)));
        // Whether the model fails is what is to be found out.
        let demand = Demand { output, cost, ..Demand::free(id, served, prompt, counted) };
        let mut permit =
            admission.admit(asker.payer, demand.clone()).await.map_err(|why| refused(&why))?;
        let DeploymentLimits { requests, tokens, input, output, parallel } = whom.limits;
        let as_of = self.0.consensus.state().config().map_or(0, |config| config.revision);
        let entering = Entering {
            deployment: &whom.id,
            provider: &whom.provider,
            tags,
            room: Room { requests, tokens, input, output, parallel, as_of },
            cost,
        };
        let mut entry: Entry =
            admission.enter(entering, &demand).await.map_err(|why| match why {
                NotEntered::Full(full) => {
                    let (name, limit) = (full.name(), full.limit);
                    (429, format!("the deployment's own {name} limit of {limit} is reached"))
                }
                NotEntered::Spent(over) => refused(&Refusal::OverBudget(over)),
                NotEntered::Refused(why) => refused(&why),
            })?;
        permit.begin();
        entry.begin();
        permit.enter(Some(entry));
        Ok(permit)
    }

    async fn ask(&self, asking: &Asking) -> Result<Answered, Fault> {
        let (whom, upstream) = (&asking.whom, &self.0.upstream);
        let within = whom.about.check.timeout;
        // A look takes no deployment out of service.
        let retry = Retry { disable_cooldowns: true, ..Retry::default() };
        match &asking.what {
            What::Call(chat) => {
                let load = chat.prompt_estimate() + chat.max_output().unwrap_or(Tokens(0));
                let bounds = Bounds { first: within, client_bound: true, retry };
                let called = upstream.call(upstream.attempt_at(whom, load), chat, bounds).await;
                Ok(answered(whom, chat, called.map_err(failed)?))
            }
            What::Handshake => {
                let attempt = upstream.attempt_at(whom, Tokens(0));
                let opening = Opening { query: "", headers: &handshake(), secret: None };
                let opened = upstream.converse(attempt, opening, within, retry).await;
                let opened = opened.map_err(failed)?;
                opened.ending.over(false);
                Ok(Answered { headers: opened.headers, ..Answered::default() })
            }
            What::Batches => {
                let call = Relay {
                    method: Method::GET,
                    path: "/batches".to_owned(),
                    query: Some("limit=1".to_owned()),
                    headers: HeaderMap::new(),
                    body: bytes::Bytes::new(),
                    secret: None,
                };
                let attempt = upstream.attempt_at(whom, Tokens(0));
                let listed = upstream.relay_kept(attempt, call, within, retry).await;
                let listed = listed.map_err(failed)?;
                if listed.status.is_success() {
                    return Ok(Answered { headers: listed.headers, ..Answered::default() });
                }
                let status = listed.status.as_u16();
                let message = format!("the provider answers {status} when asked for its batches");
                Err(Fault { status, kind: None, message })
            }
        }
    }
}

/// The record of a check, but for when it was made and how it went.
fn record(whom: &Deployment, asker: Asker<'_>, tags: Vec<String>, attempt: Attempt) -> SpendRecord {
    let spend_metadata = Some(json!({"checked_by": asker.by}).to_string());
    SpendRecord {
        key: asker.payer.map(|caller| caller.token),
        whose: whose(asker.payer),
        model: whom.group.to_string(),
        deployment: Some(whom.id.clone()),
        upstream_model: whom.target.model.to_string(),
        call_id: naming::draw_id(),
        origin: Origin { tags, spend_metadata, ..Origin::default() },
        course: Course {
            call_type: CALL_TYPE.to_owned(),
            group: Some(whom.group.to_string()),
            provider: Some(whom.provider.to_string()),
            attempts: vec![attempt],
            ..Course::default()
        },
        ..SpendRecord::default()
    }
}

/// What a check may cost: held of every budget that it spends from.
fn amount(asking: &Asking) -> Amount {
    let What::Call(chat) = &asking.what else { return Amount::default() };
    match asking.whom.price {
        Pricing::Free => Amount::default(),
        Pricing::Unpriced => Amount::UNKNOWN,
        Pricing::Priced(_) => {
            let output = chat.max_output().unwrap_or(Tokens(0));
            let of = |prompt| asking.whom.price.most(&Ask { prompt, output, ..Ask::default() });
            // No token is shorter than a byte.
            let bytes = Tokens(chat.text().len() as u64);
            Amount { likely: of(chat.prompt_estimate()), most: of(bytes) }
        }
    }
}

fn answered(whom: &Deployment, chat: &ChatRequest, answer: Answer) -> Answered {
    match answer {
        Answer::Whole(whole) => {
            let (used, cost, estimated) = charge(whom, chat, Some(&whole.reply));
            let id = whole.reply.id().map(str::to_owned);
            Answered { headers: whole.headers, id, used, cost, estimated }
        }
        // It answers: the rest of the sound is not waited for.
        Answer::Long(long) => {
            let (used, cost, estimated) = charge(whom, chat, None);
            Answered { headers: long.headers, id: None, used, cost, estimated }
        }
        Answer::Stream(_) => unreachable!("no stream is asked for"),
    }
}

/// What a whole answer used and costs, and whether that is estimated.
fn charge(whom: &Deployment, chat: &ChatRequest, reply: Option<&ChatReply>) -> (Usage, Cost, bool) {
    let asked = Media::asked(chat);
    let media = reply.map_or(asked, |reply| asked.answered(chat.endpoint(), reply));
    let tier = reply.and_then(ChatReply::service_tier).or(chat.service_tier());
    if let Some(used) = reply.and_then(ChatReply::usage) {
        let cost = whom.price.cost(&used, &context(media, tier, false));
        return (used, cost, false);
    }
    let picture = Picture::asked(chat);
    let by_picture = picture.and_then(|one| one.names().find_map(|name| whom.prices.get(&*name)));
    let completion = reply.map_or(Tokens(0), ChatReply::output_estimate);
    let used = Usage { prompt: chat.prompt_estimate(), completion, ..Usage::default() };
    let used = if chat.endpoint() == Endpoint::ImageGenerations { Usage::default() } else { used };
    let price = by_picture.unwrap_or(&whom.price);
    let cost = price.cost(&used, &context(media, tier, by_picture.is_some()));
    (used, cost, true)
}

fn refused(why: &Refusal) -> (u16, String) {
    let status = if let Refusal::OverBudget(over) = why { over.status } else { 429 };
    (status, why.to_string())
}

fn failed(failure: Failure) -> Fault {
    let status = failure.error.cause.status();
    Fault { status, kind: None, message: bounded(&failure.error.message, MAX_FAULT_BYTES) }
}

fn handshake() -> HeaderMap {
    let mut headers = HeaderMap::new();
    // The key only has to be 16 bytes in base64.
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("ZHVubGluLWNoZWNrLTAwMQ=="));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let beta = HeaderName::from_static("openai-beta");
    headers.insert(beta, HeaderValue::from_static("realtime=v1"));
    headers
}

fn told(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let told = |name: &'static str| Some((name, headers.get(name)?.to_str().ok()?.to_owned()));
    TOLD.into_iter().filter_map(told).collect()
}
