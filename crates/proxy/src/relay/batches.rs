//! Batches that are made by calls of providers' own APIs: what one may cost is looked at before it is
//! made, and what it has cost is charged when it is over, whoever reads its answers.

use std::collections::BTreeMap;
use std::iter::once;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use bytes::Bytes;
use dunlin_admission::{Bounds, CountedBatch, counts_batches, has_budget};
use dunlin_ledger::Pricing;
use dunlin_llm::Bound;
use dunlin_llm::batch::passed::Shelf;
use dunlin_llm::batch::{BadBatch, Beside, LineLabels, Shape};
use dunlin_providers::relay::sent_model;
use dunlin_router::relay::{Asked, Lenders, NoLender, lenders};
use dunlin_router::tool_models::take_in;
use dunlin_router::{Access, Catalog, Deployment, listed};
use dunlin_store::NotStored;
use dunlin_types::{Served, Tokens};
use dunlin_upstream::{Attempt, Relay, Relayed};
use tracing::warn;

use super::passing::{self, Made};
use super::{Way, fields, unanswered, wanted};
use crate::attempts::hold::{self, Sent};
use crate::bill::Bill;
use crate::ids::{Kind, Owner};
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::kept::{Sealing, is_beside};
use crate::response::error::{Failed, Place, Refused};
use crate::response::headers;
use crate::response::told::AnswerHeaders;
use crate::response::words;
use crate::stored::Asking;
use crate::stored::answer::{MAX_OBJECT_BYTES, collect};
use crate::stored::bucket::{Bucket, Unread};
use crate::stored::input::Input;
use crate::stored::noted;
use crate::stored::shares::Shares;
use crate::stored::watch::{Passed, Thing};
use crate::{Proxy, Serving};

pub(super) mod shown;

use shown::Whole;

/// Models of a batch whose names are kept, and how long those are at most: the others are charged by
/// what their answers call them.
const MAX_MODELS: usize = 32;
const MAX_MODEL_BYTES: usize = 256;

/// Different models that the requests of one batch may name where each is heard: each is looked up.
const MAX_NAMED: usize = 100;

/// What each request of a batch is, in its provider's words.
const REQUEST: &str = "request";

/// A batch whose requests were heard.
pub(super) struct Heard<'a> {
    batch: &'a Batch,
    /// Who makes it, whomever it is for.
    maker: Caller,
    /// On whose behalf its requests are.
    labels: LineLabels,
    /// The models that their tools may ask, each with the first request that names it.
    tool_models: BTreeMap<String, u64>,
    /// Whether something that they say is not for the provider.
    has_ours: bool,
    beside: Beside,
    /// Whether it is its maker's alone.
    pub(super) owned: bool,
    /// By what it is served.
    pub(super) served: Served,
}

/// A batch that is to be made.
pub(super) struct Batch {
    shelf: Shelf,
    /// The models that its requests name, each with the number of the first request that does.
    pub(super) models: BTreeMap<String, u64>,
    body: Bytes,
}

impl Batch {
    /// `None`: the call makes none.
    pub(super) fn asked(prefix: &str, path: &str, body: &Bytes) -> Option<Self> {
        let shelf = Shelf::of_making(prefix, path)?;
        let models = shelf.form.models(body);
        Some(Self { shelf, models, body: body.clone() })
    }

    /// What its requests say to the gateway, each of which must have what the caller's must.
    pub(super) fn hear(&self, caller: &Caller) -> Result<Heard<'_>, Failed> {
        match self.shelf.form.hear(&self.body, caller.required()) {
            Ok(hearing) => {
                let has_ours = hearing.has_ours();
                let beside = self.shelf.form.beside(&self.body).map_err(Refused::BadRequest)?;
                let (maker, tool_models) = (caller.clone(), hearing.tool_models().clone());
                let (labels, served) = (hearing.end(), Served::from(""));
                let (batch, owned) = (self, false);
                Ok(Heard { batch, maker, labels, tool_models, has_ours, beside, owned, served })
            }
            Err(BadBatch { request: Some(number), why }) => {
                Err(Failed::from(why).at(Place { noun: REQUEST, number }))
            }
            Err(BadBatch { request: None, why }) => Err(why.into()),
        }
    }

    /// Of those who would lend for it, whoever is asked for all of its requests. Where each is heard,
    /// their models must be known here, and of one account.
    pub(super) fn lent(
        &self,
        found: Result<Lenders, NoLender>,
        serving: &Serving,
        way: Way,
        caller: &Caller,
    ) -> Result<Lenders, Failed> {
        let refused = |none| Refused::no_lender(none, way, caller);
        if !self.shelf.form.is_heard() {
            return Ok(found.map_err(refused)?);
        }
        if self.models.len() > MAX_NAMED {
            let message = format!("A batch names {MAX_NAMED} different models at most.");
            return Err(Refused::Unfit { param: "model", message }.into());
        }
        let at = |model: &str| Place { noun: REQUEST, number: self.models[model] };
        let mut all = match found {
            Ok(found) => found,
            Err(NoLender::NotAllowed { model, by }) if self.models.contains_key(&model) => {
                let at = at(&model);
                return Err(Failed::from(Refused::not_allowed(model, by, caller)).at(at));
            }
            Err(none) => return Err(refused(none).into()),
        };
        for model in self.models.keys() {
            let lending = of_one(&serving.catalog, caller.access(), way.providers, model);
            let Some(lending) = lending else {
                let known = listed(&serving.catalog, caller.access());
                let message = words::no_such_lender(model, way.providers[0], &known);
                return Err(Failed::from(Refused::Unfit { param: "model", message }).at(at(model)));
            };
            let there = &lending.group.deployments;
            let is_there = |by: &Arc<Deployment>| there.iter().any(|known| is_beside(by, known));
            all.group.deployments.retain(is_there);
            if all.group.deployments.is_empty() {
                let message = words::other_account(model);
                return Err(Failed::from(Refused::Unfit { param: "model", message }).at(at(model)));
            }
        }
        Ok(all)
    }

    /// What all its requests may cost. `model` is what the path names, `prices` what one may cost, and
    /// `sent` how long the prompt of one with so many bytes may be.
    pub(super) fn cost(
        &self,
        model: &str,
        prices: impl Fn(&str) -> Vec<Pricing>,
        sent: impl Fn(&str, u64, Bound) -> Sent,
    ) -> Bounds {
        let Some(wishes) = self.shelf.form.wishes(&self.body) else {
            return prices(model)
                .iter()
                .map(hold::unknown)
                .reduce(hold::larger)
                .unwrap_or_default();
        };
        let mut known: BTreeMap<&str, Vec<Pricing>> = BTreeMap::new();
        let mut sum = Bounds::default();
        for wish in &wishes {
            let model = wish.model.unwrap_or(model);
            let prices = known.entry(model).or_insert_with(|| prices(model));
            let one = wanted::dearest(prices, sent(model, wish.bytes, wish.bound), wish.bound);
            sum.likely += one.likely;
            sum.most += one.most;
        }
        sum
    }

    /// The field by which each of its requests bounds what it may cost.
    pub(super) fn bound_field(&self) -> &'static str {
        self.shelf.form.bound_field()
    }

    /// Counts its tokens for those who may make so many of batches a day.
    pub(super) async fn count(
        &self,
        proxy: &Proxy,
        caller: &Caller,
        call: &Call,
    ) -> Result<Option<CountedBatch>, Refused> {
        let Some(key) = caller.key().filter(|key| counts_batches(key)) else { return Ok(None) };
        let wishes = self.shelf.form.wishes(&self.body).ok_or_else(Refused::uncounted_batch)?;
        let tokens = wishes.iter().fold(0_u64, |sum, wish| {
            let most = wish.bound.tokens.unwrap_or_default().0;
            let answers = most.saturating_mul(wish.bound.answers);
            sum.saturating_add(wish.prompt.0).saturating_add(answers)
        });
        let counted = proxy.0.admission.count_batch(key, Tokens(tokens)).await;
        counted.map(Some).map_err(|why| Refused::admission(why, caller, call.started))
    }

    /// A job whose cost a budget is to bear is made only if its answers can be read.
    async fn check_place(
        &self,
        proxy: &Proxy,
        caller: &Caller,
        (by, served): (&Arc<Deployment>, &Served),
    ) -> Result<(), Refused> {
        let form = self.shelf.form;
        let now = proxy.0.clock.unix();
        let is_borne = |key| has_budget(key, served, now);
        if !form.is_of_buckets() || !caller.key().is_some_and(is_borne) {
            return Ok(());
        }
        let looked = match &form.place(&self.body) {
            Some(folder) => Bucket { proxy, by, folder }.look().await,
            None => Err(Unread::Elsewhere),
        };
        looked.map_err(|why| Refused::unread_batch(&why))
    }

    /// What is asked after once it is made. `models` are all that the call names.
    fn watched(&self, names: &Names<'_>, models: &[&str], query: Option<&str>) -> Passed {
        let known = models.iter().filter(|model| model.len() <= MAX_MODEL_BYTES).take(MAX_MODELS);
        let models =
            known.map(|model| names.theirs(model).unwrap_or((*model).to_owned())).collect();
        Passed { shelf: self.shelf.clone(), query: query.map(str::to_owned), models }
    }
}

/// Who would lend for one request of a batch. `None`: nobody has its model.
fn of_one(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    providers: &[&str],
    model: &str,
) -> Option<Lenders> {
    let asked = Asked { providers, models: &[model], chosen: None, reads: false };
    lenders(catalog, access, asked).ok().filter(|lending| !lending.any)
}

/// Whether the requests of what is made by such a call are heard one by one.
pub(super) fn is_heard(way: Way, head: &Parts, path: &str) -> bool {
    let makes = head.method == Method::POST;
    makes && Shelf::of_making(way.prefix, path).is_some_and(|shelf| shelf.form.is_heard())
}

/// What models are called where a batch is made: the provider's names for those of ours that are of the
/// same account.
struct Names<'m>(BTreeMap<&'m str, String>);

impl<'m> Names<'m> {
    fn of(catalog: &Catalog, by: &Deployment, models: &[&'m str]) -> Self {
        let theirs = |model: &&'m str| {
            let lending = of_one(catalog, None, &[&by.provider], model);
            let group = lending.filter(|lending| lending.renamed.is_some())?.group;
            let there = group.deployments.iter().find(|known| is_beside(by, known))?;
            Some((*model, sent_model(&there.provider, &there.target).to_owned()))
        };
        Self(models.iter().filter_map(theirs).collect())
    }

    fn theirs(&self, model: &str) -> Option<String> {
        self.0.get(model).cloned()
    }
}

impl Heard<'_> {
    /// Takes what tools of its requests ask into what serves it.
    pub(super) fn take_tools(
        &self,
        lenders: &mut Lenders,
        serving: &Serving,
        way: Way,
        caller: &Caller,
    ) -> Result<(), Failed> {
        for (model, number) in &self.tool_models {
            let (catalog, access, model) = (&serving.catalog, caller.access(), once(&**model));
            let taken = take_in(catalog, access, way.providers, model, &mut lenders.served);
            taken.map_err(|none| {
                let at = Place { noun: REQUEST, number: *number };
                Failed::from(Refused::no_lender(none.into(), way, caller)).at(at)
            })?;
        }
        Ok(())
    }

    /// Makes the batch for whom `asking` asks, and has it watched, even if its client leaves meanwhile.
    pub(super) async fn make(
        self,
        asking: Asking<'_>,
        models: &[&str],
        attempt: Attempt,
        passed: Relay,
        (bill, told): (Bill, AnswerHeaders),
    ) -> Result<Response<Body>, Failed> {
        let Self { batch, maker, labels, has_ours, beside, owned, served, .. } = self;
        let Asking { proxy, call, caller, .. } = asking;
        let catalog = &asking.serving.catalog;
        let by = Arc::clone(attempt.deployment());
        let asking = Asking { caller: &maker, ..asking };
        let shares = match asking.shares(&labels, (&by, &served), REQUEST).await {
            Ok(shares) => shares,
            Err(failed) => return Err(bill.fail(failed)),
        };
        let counted = match batch.count(proxy, caller, call).await {
            Ok(counted) => counted,
            Err(refused) => return Err(bill.fail(refused)),
        };
        if let Err(refused) = batch.check_place(proxy, caller, (&by, &served)).await {
            return Err(bill.fail(refused));
        }
        let names = Names::of(catalog, &by, models);
        let watched = batch.watched(&names, models, passed.query.as_deref());
        let rename = &mut |model: &str| names.theirs(model);
        let mut body = batch.shelf.form.with_models(&passed.body, rename);
        if has_ours {
            body = Shape::Message.without_ours(body);
        }
        body = beside.passed_on(body);
        let within = beside.timeout.unwrap_or(by.timeout);
        let told = told.lent(call, &by);
        let owner = owned.then(|| maker.owner());
        let (proxy, retry) = (proxy.clone(), catalog.retry);
        let tasks = proxy.0.open.tasks.clone();
        let made = tasks.spawn(async move {
            let passed = Relay { body, ..passed };
            let relayed = proxy.0.upstream.relay(attempt, (passed, None), within, retry).await;
            let relayed = match relayed {
                Ok(relayed) => relayed,
                Err(failure) => return Err(bill.fail(unanswered(&by.group, failure, None))),
            };
            let about = Known { watched, counted, shares, labels, owner };
            answered(&proxy, relayed, (bill, told), &by, about).await
        });
        made.await.unwrap_or_else(|_| {
            let reason = "the node stopped while the batch was being made".to_owned();
            Err(Refused::CannotKnow { reason }.into())
        })
    }
}

/// What is known of a batch before its provider has answered.
struct Known {
    watched: Passed,
    counted: Option<CountedBatch>,
    shares: Shares,
    labels: LineLabels,
    /// Whose alone it is.
    owner: Option<Owner>,
}

/// The provider has answered: the batch is watched before its client is told of it.
async fn answered(
    proxy: &Proxy,
    mut relayed: Relayed,
    (mut bill, told): (Bill, AnswerHeaders),
    by: &Deployment,
    Known { watched, counted, shares, labels, owner }: Known,
) -> Result<Response<Body>, Failed> {
    let (status, fields) = (relayed.status, fields::incoming(&relayed.headers));
    if !status.is_success() {
        let (body, known) = passing::body(relayed, bill, None, Made::Nothing);
        let told = told.cost(known.unwrap_or_default());
        return Ok(headers::relayed(told, status, fields, body));
    }
    let counted = counted.map(CountedBatch::made);
    let body = match collect(&mut relayed, MAX_OBJECT_BYTES).await {
        Ok(Some(body)) => body,
        Ok(None) => return Err(bill.fail(Refused::LongAnswer { most: MAX_OBJECT_BYTES })),
        Err(broken) => return Err(bill.fail(Refused::Answered(Box::new(broken)))),
    };
    let told_body = match owner {
        Some(owner) => Sealing::new(proxy, owner, by).object(&body, Kind::MessageBatch, by),
        None => body.clone(),
    };
    bill.answered_as(noted::text(&told_body, "id"));
    match watched.shelf.read(&body) {
        Some(batch) => {
            let shares = match keep(proxy, by, &batch.id, (shares, labels)).await {
                Ok(shares) => shares,
                Err(error) => {
                    warn!(%error, "a batch is charged to its maker alone, whomever it is for");
                    Shares::default()
                }
            };
            let thing = Thing::passed(&batch.id, watched).counted(counted);
            bill.watch(by, thing.shared(shares)).await;
        }
        None => {
            warn!("a provider's answer does not say which batch it has made: it is not charged")
        }
    }
    if let Some(owner) = owner {
        noted::note(proxy, Kind::MessageBatch, owner, by, &body).await;
    }
    bill.delivered_free();
    let Whole { status, fields, body } = Whole::of(status, fields, told_body);
    Ok(headers::relayed(told, status, fields, body))
}

/// Notes which requests of a batch are on whose behalf, if some are on that of others.
async fn keep(
    proxy: &Proxy,
    by: &Deployment,
    id: &str,
    (shares, labels): (Shares, LineLabels),
) -> Result<Shares, NotStored> {
    if !shares.is_empty() {
        Input::heard(labels).keep(proxy, by, id).await?;
    }
    Ok(shares.of(id))
}
