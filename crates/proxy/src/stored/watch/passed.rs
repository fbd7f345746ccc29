//! Batches that were made by calls of providers' own APIs: asked after where those have them, and
//! charged by the price of the model of each answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use dunlin_ledger::Pricing;
use dunlin_llm::batch::passed::{Answers, Form, Shelf};
use dunlin_llm::batch::{Line, LineLabels};
use dunlin_router::relay::{is_version, prices};
use dunlin_router::{Catalog, Deployment, is_beside};
use dunlin_store::{Entry, Label};
use dunlin_types::{RequestId, Usage};
use dunlin_upstream::{Relay, Relayed};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinHandle};
use tracing::{debug, warn};

use super::{ASK_WITHIN, Charge, TRIED_FOR, Watched, after, true_up};
use crate::bill::found;
use crate::questions::published::Published;
use crate::stored::ask;
use crate::stored::bucket::{Bucket, Unread};
use crate::stored::fetch::{self, Fetched};
use crate::stored::output::{self, Sum, Sums, Turn};
use crate::{Proxy, Serving};

/// Where such a batch is, and what it is charged by.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) shelf: Shelf,
    /// What its maker asked with, such as the version of the API.
    pub(crate) query: Option<String>,
    /// The models that were asked for, by their provider's names.
    pub(crate) models: BTreeSet<String>,
}

/// The note of a batch by which any node finds it: `entry` is the one by which it is asked after.
pub(super) fn by_itself(entry: Entry) -> Entry {
    // Its complement names the note by which its owner lists it.
    Entry { id: RequestId(entry.id.0.rotate_left(64)), label: Some(label(entry.id)), ..entry }
}

fn label(batch: RequestId) -> Label {
    Label(batch.0.max(1))
}

/// Charges a thing of `by`'s account now, if it is over. Whether somebody has noted that it is to be.
pub(crate) fn look(
    proxy: &Proxy,
    by: &Deployment,
    id: &str,
) -> impl Future<Output = bool> + Send + use<> {
    let found = found::found(by, id, None, proxy.0.clock.unix());
    let proxy = proxy.clone();
    async move {
        if proxy.0.admission.is_charged(found) {
            return true;
        }
        let mut is_noted = false;
        for note in proxy.0.store.notes(label(found.request)).await {
            let Ok(watched) = serde_json::from_str::<Watched>(&note.text) else { continue };
            is_noted = true;
            if super::ask(&proxy, &watched).await {
                watched.forget(&proxy, Entry { id: found.request, ..note.entry }).await;
            }
        }
        is_noted
    }
}

/// How long an answer that says that a batch is over waits for what that cost to be on record: a long
/// output is read on behind the answer.
const CHARGED_WITHIN: Duration = Duration::from_secs(10);
/// Things of one list that are charged at the same time.
const MAX_CHARGED_AT_ONCE: usize = 8;

/// Charges a thing whose owner is about to be told that it is over, so that budgets know before.
/// Whether somebody has noted that it is to be charged.
pub(crate) async fn charge_now(proxy: &Proxy, by: &Deployment, id: &str) -> bool {
    let looking = look(proxy, by, id);
    charged(proxy.0.tasks.spawn(looking)).await.is_none_or(|looked| looked.unwrap_or(true))
}

/// The same of all things of a list that are over.
pub(crate) async fn charge_all_now(proxy: &Proxy, over: Vec<(Arc<Deployment>, String)>) {
    if over.is_empty() {
        return;
    }
    let looking: Vec<_> = over.iter().map(|(by, id)| look(proxy, by, id)).collect();
    let looking = futures::stream::iter(looking).buffer_unordered(MAX_CHARGED_AT_ONCE);
    charged(proxy.0.tasks.spawn(looking.collect::<Vec<bool>>())).await;
}

/// Waits for what is charged in the background. `None`: it goes on.
pub(crate) async fn charged<T>(charging: JoinHandle<T>) -> Option<Result<T, JoinError>> {
    let charged = tokio::time::timeout(CHARGED_WITHIN, charging).await;
    if charged.is_err() {
        debug!("what is finished is charged behind the answer that says so");
    }
    charged.ok()
}

impl Passed {
    /// Whether it need not be asked after again.
    pub(super) async fn ask(
        &self,
        proxy: &Proxy,
        serving: &Serving,
        by: &Arc<Deployment>,
        watched: &Watched,
    ) -> bool {
        let Some(path) = self.shelf.path_of(&watched.upstream) else { return true };
        // Not what the provider's clock says of it.
        let found = found::found(by, &watched.upstream, None, watched.record.started);
        let counted = watched.still_counted(proxy);
        if proxy.0.admission.is_charged(found) && counted.is_none() {
            return true;
        }
        let asking = self.get(proxy, serving, by, (path, None));
        let answers = match fetch::whole(asking, ASK_WITHIN).await {
            Fetched::Object(body) => match self.shelf.read(&body) {
                Some(batch) if batch.finished => Some(batch.answers),
                Some(_) | None => return false,
            },
            // Where they are went with it.
            Fetched::Gone if self.shelf.form.is_of_buckets() => None,
            Fetched::Gone => return true,
            Fetched::Unknown => return false,
        };
        let Some(labels) = watched.labels(proxy, by).await else { return false };
        let mut bill = Reckoning::new(self, (&proxy.0.published, &serving.catalog), by, labels);
        let unread = match answers {
            Some(Answers::None) => return true_up(proxy, found, counted, Usage::default()).await,
            Some(Answers::Here(all)) => {
                all.iter().for_each(|answer| bill.line(Line::Whole(answer.as_bytes())));
                None
            }
            Some(Answers::At(path, query)) => {
                let answers = self.get(proxy, serving, by, (path, query)).await;
                if output::each_line(answers, |line| bill.line(line)).await.is_none() {
                    return false;
                }
                None
            }
            Some(Answers::Below { folder, expected }) => {
                let Some(_turn) = Turn::begin(proxy, found.request) else { return false };
                let (bucket, form) = (Bucket { proxy, by, folder: &folder }, self.shelf.form);
                let read = bucket.each_line(form, expected, |line| bill.line(line)).await;
                read.map(|summed| bill.complete(summed)).err()
            }
            Some(Answers::Elsewhere) => Some(Unread::Elsewhere),
            None => Some(Unread::Gone),
        };
        if let Some(why) = unread {
            if !is_given_up(proxy, watched, found.request, &why) {
                return false;
            }
            bill.is_part();
        }
        let Reckoning { sums, prices, is_part, .. } = bill;
        let unpriced = is_part || prices.values().any(|price| *price == Pricing::Unpriced);
        let model = prices.into_keys().next().or_else(|| self.models.first().cloned());
        let is_counted = true_up(proxy, found, counted, sums.total().usage).await;
        let model = &model.unwrap_or_default();
        let charge = Charge { model, sums, unpriced };
        super::charge(proxy, by, watched, found, charge).await && is_counted
    }

    async fn get(
        &self,
        proxy: &Proxy,
        serving: &Serving,
        by: &Arc<Deployment>,
        (path, query): (String, Option<&str>),
    ) -> Option<Relayed> {
        let query = query.or(self.query.as_deref()).map(str::to_owned);
        fetch::passed(proxy, serving, by, Relay { query, ..ask(Method::GET, path) }).await
    }
}

/// Whether answers that cannot be read are charged as far as they are known: not as long as somebody
/// may yet mend who can read them.
fn is_given_up(proxy: &Proxy, watched: &Watched, request: RequestId, why: &Unread) -> bool {
    proxy.0.open.counts.unread();
    let is_late = proxy.0.clock.unix() > after(watched.record.started, TRIED_FOR);
    let given_up = is_late || matches!(why, Unread::Elsewhere | Unread::Gone);
    let so = if given_up { "it is on record without its cost" } else { "it is not charged yet" };
    warn!(
        request.id = %request,
        deployment.id = %watched.deployment,
        "cannot read the answers of a finished batch: {so}: {why}"
    );
    given_up
}

/// The answers of a batch, as they are summed.
struct Reckoning<'a> {
    passed: &'a Passed,
    published: &'a Published,
    catalog: &'a Catalog,
    /// Those of its account.
    home: Vec<Arc<Deployment>>,
    provider: &'a str,
    /// By the models that the answers name.
    prices: BTreeMap<String, Pricing>,
    sums: Sums,
    /// There are others that nobody can read.
    is_part: bool,
}

impl<'a> Reckoning<'a> {
    fn new(
        passed: &'a Passed,
        (published, catalog): (&'a Published, &'a Catalog),
        by: &'a Deployment,
        labels: LineLabels,
    ) -> Self {
        let all = catalog.groups.values().flat_map(|group| &group.deployments);
        let home = all.filter(|known| is_beside(by, known)).map(Arc::clone).collect();
        let (prices, sums) = (BTreeMap::new(), Sums::new(labels));
        let provider = &*by.provider;
        Self { passed, published, catalog, home, provider, prices, sums, is_part: false }
    }

    /// All answers were read. Where some counted nothing, what the provider says of all of them counts.
    fn complete(&mut self, summed: Option<Usage>) {
        let Some(usage) = summed.filter(|_| self.sums.total().estimated) else { return };
        let Some(price) = self.prices.values().next() else { return };
        let mut sum = Sum::default();
        sum.add(price, usage, false);
        self.sums = Sums::whole(sum);
    }

    /// What was read is not all.
    fn is_part(&mut self) {
        self.is_part = true;
        self.sums.all.iter_mut().for_each(|sum| sum.estimated = true);
    }

    fn line(&mut self, line: Line<'_>) {
        let form: Form = self.passed.shelf.form;
        let (model, usage, estimated) = match &line {
            Line::Whole(text) => match form.answered(text) {
                Some(answered) => (answered.model, answered.usage, answered.estimated),
                None => return,
            },
            Line::Long(bytes) => (None, output::taken_for(*bytes), true),
        };
        let model = model.unwrap_or_default();
        if !self.prices.contains_key(&model) {
            let price = self.price_of(&model);
            if price == Pricing::Unpriced {
                warn!(
                    model,
                    "an answer of a batch is charged nothing: its model has no price here"
                );
            }
            self.prices.insert(model.clone(), price);
        }
        self.sums.of(&line).add(&self.prices[&model], usage, estimated);
    }

    /// By the model that was asked for where an answer names a version of it, else by the one that it
    /// names, else by any that was asked for.
    fn price_of(&self, model: &str) -> Pricing {
        let price = |model: &str| {
            prices(self.catalog, &[self.provider], &self.home, model).first().copied().cloned()
        };
        let asked = &self.passed.models;
        let of_version = asked.iter().find(|name| is_version(model, name));
        let known = of_version.and_then(|name| price(name)).or_else(|| price(model));
        let known = known.or_else(|| asked.iter().find_map(|name| price(name)));
        known
            .or_else(|| self.price_of_version(model))
            .or_else(|| self.published.price_at(self.provider, model))
            .unwrap_or_default()
    }

    /// What the deployment costs of whose model this is a version.
    fn price_of_version(&self, model: &str) -> Option<Pricing> {
        let all = self.catalog.groups.values().flat_map(|group| &group.deployments);
        let mut all = all.filter(|known| *known.provider == *self.provider);
        all.find(|known| is_version(model, &known.target.model)).map(|known| known.price.clone())
    }
}
