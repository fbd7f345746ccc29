//! What a request is charged, exactly once: at its end, or, if its client leaves, for as much as
//! was streamed. A request that got no answer is on record and free.

use std::sync::Arc;
use std::time::Duration;

use dunlin_admission::{Demand, Entry, Found, Permit, Refusal, reckon, whose};
use dunlin_callbacks::Detail;
use dunlin_journal::{Attempt, Course, Fault, MAX_ATTEMPTS, Outcome, SpendRecord};
use dunlin_ledger::{Cost, Pricing};
use dunlin_llm::{ChatReply, ChatRequest, Picture, Tier, Usage};
use dunlin_router::Deployment;
use dunlin_state::Key;
use dunlin_types::{NanoUsd, Tokens, UnixMillis};

use crate::Proxy;
use crate::attempts::hold;
use crate::bill::found::Finished;
use crate::bill::refused::Who;
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::Failed;
use crate::several::Race;
use crate::stored::watch::{self, Thing};

mod about;
mod charged;
pub(crate) mod found;
mod measured;
pub(crate) mod record;
pub(crate) mod refused;
pub(crate) mod report;
pub(crate) mod said;
mod settled;
mod streamed;
mod tariff;
mod words;
mod written;

use tariff::Tariff;
use written::Count;

pub(crate) use about::About;
pub(crate) use measured::must_count;
pub(crate) use settled::Settled;

/// The status on record of a request whose answer nobody waits for any more; nobody is told it.
const CLIENT_LEFT: u16 = 499;
/// Why nobody does: the kind on record, and words.
const LEFT: (&str, &str) = ("client_disconnected", "the client left before there was an answer");
const OUTPACED: (&str, &str) = ("outpaced", "another model of the request answered first");

/// An open bill. Dropped open, as its client left, it charges what was streamed; if that is nothing,
/// the permit is void, and a request that was awaited is on record and free.
pub(crate) struct Bill {
    proxy: Proxy,
    permit: Option<Permit>,
    record: Box<SpendRecord>,
    call_type: &'static str,
    tariff: Tariff,
    count: Count,
    /// Whether nobody waits for the answer: then it is charged when it is found.
    background: bool,
    found: Option<Found>,
    /// What was made, if that is not finished and is asked after.
    awaited: Option<Found>,
    /// Whether it is on record if nobody waits any more before there is an answer.
    answer_awaited: bool,
    /// Others ask other models the same, and wait for the first answer.
    race: Option<Race>,
    /// What was found, where that is not to be reckoned from its tokens.
    found_cost: Option<NanoUsd>,
    /// What receivers of callbacks are told beside the record.
    detail: Option<Box<Detail>>,
}

impl Bill {
    pub(crate) fn open(
        proxy: Proxy,
        mut permit: Permit,
        call: &Call,
        caller: &Caller,
        about: About<'_>,
    ) -> Self {
        permit.begin();
        let record = SpendRecord {
            request: call.id,
            key: caller.key().map(|caller| caller.token),
            whose: whose(caller.key()),
            model: about.model.to_owned(),
            started: call.started,
            ended: call.started,
            stream: about.stream,
            call_id: call.call_id.clone(),
            origin: about.origin,
            course: Course { call_type: call.call_type.to_owned(), ..Course::default() },
            ..SpendRecord::default()
        };
        Self {
            proxy,
            permit: Some(permit),
            record: Box::new(record),
            call_type: call.call_type,
            tariff: Tariff {
                tool_model: about.tool_model.map(Into::into),
                ..Tariff::new(call.endpoint, about.tier, about.media)
            },
            count: Count::new(about.prompt_estimate),
            background: false,
            found: None,
            awaited: None,
            answer_awaited: false,
            race: None,
            found_cost: None,
            detail: None,
        }
    }

    /// Its client waits for an answer: the request is on record even if it leaves before there is one,
    /// or if it races with others and another answers first.
    pub(crate) fn await_answer(&mut self, race: Option<Race>) {
        (self.answer_awaited, self.race) = (true, race);
    }

    /// The key that pays; `None` for the master key.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.permit.as_ref()?.key()
    }

    /// The request is about to be tried at another model, or where it may cost more.
    pub(crate) async fn turn_to(&mut self, demand: &Demand) -> Result<(), Refusal> {
        match &mut self.permit {
            Some(permit) => permit.turn_to(demand).await,
            None => Ok(()),
        }
    }

    /// A whole reply is about to be passed on.
    pub(crate) fn delivered(
        mut self,
        by: &Arc<Deployment>,
        chat: &ChatRequest,
        reply: &ChatReply,
    ) -> Settled {
        self.served_by(by);
        self.served_in(reply.service_tier());
        self.tariff.media = self.tariff.media.answered(self.tariff.endpoint, reply);
        if self.background {
            return self.settle_background(Outcome::Success);
        }
        let measured = self.measure(chat, reply);
        if measured.is_guess {
            self.pictured(by, chat);
        }
        self.record.estimated = measured.is_estimate;
        self.settle(Outcome::Success, &measured.used)
    }

    /// A picture whose tokens nobody counted costs what one of its size and quality does.
    pub(crate) fn pictured(&mut self, by: &Deployment, chat: &ChatRequest) {
        let Some(picture) = Picture::asked(chat) else { return };
        if let Some(price) = hold::priced(by, &picture) {
            self.tariff.pricing = price.clone();
            self.tariff.by_picture = true;
        }
    }

    /// A deployment was asked, and has answered or failed with that status.
    pub(crate) fn attempted(&mut self, whom: &Deployment, status: u16, took: Duration) {
        let attempts = &mut self.record.course.attempts;
        if attempts.len() < MAX_ATTEMPTS {
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            attempts.push(Attempt { deployment: whom.id.clone(), status, duration_ms });
        }
    }

    /// So many attempts in the last group, after so many groups, were in vain.
    pub(crate) fn tried(&mut self, group: &str, retries: u32, fallbacks: u32) {
        let course = &mut self.record.course;
        (course.retries, course.fallbacks) = (retries, fallbacks);
        course.group = Some(group.to_owned());
    }

    /// If nobody waits for the answer, what it costs is known, and charged, when it is found finished.
    pub(crate) fn for_background(&mut self, nobody_waits: bool) {
        self.background |= nobody_waits;
    }

    /// Has it asked after until it is finished; that is sure when this is over. Until then what it may
    /// cost is held.
    pub(crate) fn watch(
        &mut self,
        by: &Deployment,
        thing: Thing<'_>,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.awaited = Some(found::found(by, thing.upstream(), None, self.record.started));
        let charged = self.permit.as_ref().map(Permit::charged).unwrap_or_default().to_vec();
        let record = SpendRecord { charged, ..(*self.record).clone() };
        let held = self.permit.as_ref().map(Permit::held).unwrap_or_default();
        watch::begin(&self.proxy, by, thing, record, held)
    }

    /// The same for a response whose stream has begun.
    pub(crate) fn watch_streamed(&mut self, by: &Deployment, upstream: &str) {
        let watching = self.watch(by, Thing::kept(Kind::Response, upstream));
        self.proxy.0.tasks.spawn(watching);
    }

    /// Whether nobody waits for the answer.
    pub(crate) fn is_for_background(&self) -> bool {
        self.background
    }

    /// A background response or batch is finished and was found: the first to find it is charged.
    pub(crate) fn found(&mut self, finished: Finished) {
        let Finished { found, usage, tier } = finished;
        self.background = true;
        self.served_in(tier);
        self.found = Some(found);
        self.count.streamed.usage = Some(usage);
    }

    /// What nobody waited for is finished and is about to be passed on.
    pub(crate) fn delivered_found(mut self, by: &Arc<Deployment>, finished: Finished) {
        self.served_by(by);
        self.found(finished);
        self.settle_background(Outcome::Success);
    }

    /// The same for what is not one answer: the costs of its answers have been summed.
    pub(crate) fn found_costing(&mut self, finished: Finished, cost: NanoUsd, estimated: bool) {
        self.found(finished);
        self.found_cost = Some(cost);
        self.record.estimated = estimated;
    }

    /// When the request was accepted.
    pub(crate) fn started(&self) -> UnixMillis {
        self.record.started
    }

    /// Something else than an answer of a model is about to be passed on: it costs nothing.
    pub(crate) fn delivered_free(mut self) {
        self.tariff.pricing = Pricing::Free;
        self.settle(Outcome::Success, &Usage::default());
    }

    /// Something is about to be passed on that costs what nobody knows, unless all there is free.
    pub(crate) fn delivered_unpriced(mut self, by: &Arc<Deployment>) -> Settled {
        self.served_by(by);
        self.is_untold();
        self.settle(Outcome::Success, &Usage::default())
    }

    /// An answer is about to be passed on of which nothing is known.
    pub(crate) fn delivered_unread(mut self, by: &Arc<Deployment>) -> Settled {
        self.served_by(by);
        self.record.estimated = true;
        let used = self.estimate(Tokens(0));
        self.settle(Outcome::Success, &used)
    }

    /// Nobody answered: the client is told why. What was not even tried is on record only as far as
    /// such may be.
    pub(crate) fn fail(mut self, failed: impl Into<Failed>) -> Failed {
        let failed = failed.into();
        self.record.fault = Some(Box::new(record::fault(failed.body())));
        let tried = self.record.deployment.is_some() || !self.record.course.attempts.is_empty();
        let (refusals, now) = (&self.proxy.0.refusals, self.proxy.0.clock.mono());
        if tried || refusals.admit(Who::of(self.record.key), now) {
            return failed.spent(self.settle(Outcome::Failure, &Usage::default()).key_spend);
        }
        self.proxy.0.open.counts.unrecorded(self.call_type, failed.body().code);
        let spend = self.key().map(|key| self.proxy.0.admission.key_spend(key));
        drop(self.permit.take());
        failed.spent(spend)
    }

    /// What was asked for has begun, and is no request by itself: what comes of it is.
    pub(crate) fn undo(mut self) {
        if let Some(permit) = self.permit.take() {
            permit.undo();
        }
    }

    /// The client is passed on a failure, as it came.
    pub(crate) fn failed_with(self, status: u16) {
        self.failed(Fault { status, ..Fault::default() });
    }

    /// The same of one that is told in other words.
    pub(crate) fn failed(mut self, fault: Fault) {
        self.faulted(fault);
        self.settle(Outcome::Failure, &Usage::default());
    }

    /// Why the answer that is being passed on will not be whole.
    pub(crate) fn faulted(&mut self, fault: Fault) {
        self.record.fault = Some(Box::new(fault));
    }

    /// The answer's id, if it is known.
    pub(crate) fn answer_id(&self) -> Option<&str> {
        self.record.answer_id.as_deref()
    }

    /// The answer's id as its client reads it, whatever its provider calls it.
    pub(crate) fn answered_as(&mut self, id: Option<String>) {
        self.record.answer_id = self.record.answer_id.take().or(id);
    }

    /// A deployment is about to be asked.
    pub(crate) fn enters(&mut self, entry: Option<Entry>) {
        if let Some(permit) = &mut self.permit {
            permit.enter(entry);
        }
    }

    /// It gave no answer.
    pub(crate) fn leaves(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.leave();
        }
    }

    /// The words on the request.
    pub(crate) fn tags(&self) -> &[String] {
        &self.record.origin.tags
    }

    /// From here on what is streamed counts.
    pub(crate) fn served_by(&mut self, deployment: &Arc<Deployment>) {
        self.tariff.pricing = deployment.price.clone();
        self.tariff.by = Some(Arc::clone(deployment));
        self.record.deployment = Some(deployment.id.clone());
        self.record.course.provider = Some(deployment.provider.to_string());
        deployment.target.model.as_ref().clone_into(&mut self.record.upstream_model);
    }

    /// Who is asked for something that no model makes.
    pub(crate) fn read_from(&mut self, deployment: &Deployment) {
        self.record.deployment = Some(deployment.id.clone());
        self.record.course.provider = Some(deployment.provider.to_string());
        deployment.target.model.as_ref().clone_into(&mut self.record.upstream_model);
    }

    /// A model answered whose price is not that of the deployment which lent its credential.
    pub(crate) fn priced_as(&mut self, model: &str, pricing: Pricing) {
        self.tariff.pricing = pricing;
        model.clone_into(&mut self.record.upstream_model);
    }

    /// An answer costs so much, whatever it is.
    pub(crate) fn fee(&mut self, fee: NanoUsd) {
        self.tariff.fee = fee;
    }

    /// The tier that an answer says it was served in; else the request's word holds.
    pub(crate) fn served_in(&mut self, tier: Option<Tier>) {
        self.tariff.tier = tier.or(self.tariff.tier);
    }

    /// An answer is about to be passed on in pieces: from here on even a client that leaves at once
    /// pays for its prompt, unless `usage` says otherwise.
    pub(crate) fn begun(&mut self, usage: Option<Usage>) {
        self.count.streamed.any = true;
        self.count.streamed.usage = usage;
        let streams = &self.proxy.0.open.counts.streams;
        self.count.streamed.open.get_or_insert_with(|| streams.raise());
    }

    /// A piece of an answer is about to be passed on.
    pub(crate) fn streamed(&mut self, usage: Option<Usage>, text_bytes: u64) {
        self.first_piece();
        self.count.streamed.piece(usage.and_then(Usage::if_credible), text_bytes);
    }

    /// The same, by the sums of all pieces so far: bytes of text, and how many of them no count
    /// includes.
    pub(crate) fn streamed_in_all(&mut self, usage: Option<Usage>, text: (u64, u64)) {
        self.first_piece();
        let usage = usage.and_then(Usage::if_credible).map(|usage| self.tariff.counted(usage));
        self.count.streamed.sums(usage, text);
    }

    fn first_piece(&mut self) {
        let clock = &self.proxy.0.clock;
        self.record.course.first_token.get_or_insert_with(|| clock.unix());
    }

    /// An event that counts what was used says so much of what else than tokens was.
    pub(crate) fn counted(&mut self, event: &[u8]) {
        self.tariff.media = self.tariff.media.streamed(event);
    }

    /// A stream is at its end, whole or not.
    pub(crate) fn ended(mut self, outcome: Outcome) -> Settled {
        self.settle_streamed(outcome)
    }

    /// What an answer that has begun comes to, if nothing that it says can change that.
    pub(crate) fn foreseen(&mut self) -> Settled {
        let (used, is_estimate) = self.used();
        self.record.estimated = is_estimate;
        let cost = self.cost(Outcome::Success, &used);
        let spent = self.key().map(|key| self.proxy.0.admission.key_spend(key));
        let key_spend = spent.map(|spent| spent + cost.total);
        Settled { cost, unpriced: self.is_unknown(&used), key_spend }
    }

    fn settle_streamed(&mut self, outcome: Outcome) -> Settled {
        if self.background {
            return self.settle_background(outcome);
        }
        let (used, is_estimate) = self.used();
        self.record.estimated = is_estimate;
        self.settle(outcome, &used)
    }

    /// Settles an answer that nobody waits for: free, unless it is finished and nobody was charged
    /// for it.
    fn settle_background(&mut self, outcome: Outcome) -> Settled {
        let (found, usage) = (self.found.take(), self.count.streamed.usage.take());
        self.fill(outcome, &Usage::default(), Cost::default());
        let (Some(found), Some(usage)) = (found, usage) else { return self.put_on_record() };
        let free = (*self.record).clone();
        let mut cost = self.cost(outcome, &usage);
        cost.total = self.found_cost.unwrap_or(cost.total);
        self.fill(outcome, &usage, cost);
        self.record.request = found.request;
        self.put_detail();
        let permit = self.permit.take().expect("a bill is settled once");
        permit.settle_found(found, (*self.record).clone(), free);
        Settled::default()
    }

    fn settle(&mut self, outcome: Outcome, used: &Usage) -> Settled {
        let cost = self.cost(outcome, used);
        self.fill(outcome, used, cost);
        Settled { cost, unpriced: self.is_unknown(used), ..self.put_on_record() }
    }

    fn fill(&mut self, outcome: Outcome, used: &Usage, cost: Cost) {
        let unpriced = outcome != Outcome::Failure && self.is_unknown(used);
        let record = &mut self.record;
        record.ended = self.proxy.0.clock.unix();
        record.outcome = outcome;
        record.unpriced = unpriced;
        reckon(record, used, &cost);
    }

    fn put_on_record(&mut self) -> Settled {
        self.put_detail();
        let permit = self.permit.take().expect("a bill is settled once");
        let record = std::mem::take(&mut self.record);
        let key_spend = match self.awaited {
            Some(found) => permit.settle_awaiting(found, *record),
            None => permit.settle(*record),
        };
        Settled { key_spend, ..Settled::default() }
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        if self.background
            && let (Some(found), Some(permit)) = (self.awaited, self.permit.take())
        {
            permit.leave_awaiting(found);
        }
        if self.permit.is_none() || self.background {
            return;
        }
        if self.count.streamed.any {
            self.settle_streamed(Outcome::Partial);
            return;
        }
        if !self.answer_awaited {
            return;
        }
        let is_outpaced = self.race.as_ref().is_some_and(Race::is_over);
        let (kind, message) = if is_outpaced { OUTPACED } else { LEFT };
        let (kind, message) = (Some(kind.to_owned()), message.to_owned());
        self.faulted(Fault { status: CLIENT_LEFT, kind, message });
        self.settle(Outcome::Failure, &Usage::default());
    }
}
