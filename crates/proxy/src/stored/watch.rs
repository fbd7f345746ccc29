//! What was made while nobody waits for it, asked after until it is finished: then it is charged, once
//! in the cluster, whether or not its owner ever reads it.
//!
//! A note of it lies with the node that made it, which asks, and with a peer, which asks while that
//! node is away. So it is charged after a restart and after the death of either.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_admission::{Awaited, Found, MadeBatch};
use dunlin_journal::{Outcome, SpendRecord};
use dunlin_ledger::Held;
use dunlin_llm::batch::{KeptBatch, LineLabels};
use dunlin_llm::responses::KeptResponse;
use dunlin_llm::{Media, Usage};
use dunlin_providers::sigv4::path_segment;
use dunlin_router::{Deployment, context};
use dunlin_store::{Entry, Holders, Kind as StoredKind, Label, Store};
use dunlin_types::{DeploymentId, MonoMillis, NodeId, RequestId, Tokens};
use serde::{Deserialize, Serialize};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::fetch::{self, Fetched};
use super::input::Input;
use super::noted::after;
use super::output::{self, Sum, Sums};
use super::shares::Shares;
use crate::bill::found::{self, Finished};
use crate::ids::Kind;
use crate::request::kept::find;
use crate::{Proxy, Serving, tool_models};

mod passed;

pub(crate) use passed::{Passed, charge_all_now, charge_now, charged, look as look_now};

/// What all these notes are found by.
const LABEL: Label = Label(0x6475_6e6c_696e_2077_6174_6368_2031);
/// How long something is asked after. Batches are over after a day, jobs of Bedrock's after a week, and
/// their answers may only later become readable.
const WATCHED_FOR: Duration = Duration::from_secs(10 * 24 * 60 * 60);
/// How long after a batch was made it is tried to read what divides it or its answers: while it is
/// asked after, but for a day in which it is put on record that nobody can.
const TRIED_FOR: Duration = WATCHED_FOR.saturating_sub(Duration::from_secs(24 * 60 * 60));
/// What one node asks after at most: the newest.
const MAX_WATCHED: usize = 10_000;
const MAX_ASKED_AT_ONCE: usize = 8;
/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The wait before the first question, and the longest between two. Each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// How long a provider may take to say how something is.
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// Something that is to be watched.
pub(crate) struct Thing<'a> {
    kind: Kind,
    /// The provider's id of it.
    upstream: &'a str,
    passed: Option<Passed>,
    /// What a batch was counted as, for those who may make so many tokens of batches a day.
    counted: Option<MadeBatch>,
    shares: Shares,
}

impl<'a> Thing<'a> {
    /// What is made by our own routes.
    pub(crate) fn kept(kind: Kind, upstream: &'a str) -> Self {
        Self { kind, upstream, passed: None, counted: None, shares: Shares::default() }
    }

    /// A batch that is made by a call of a provider's own API.
    pub(crate) fn passed(upstream: &'a str, passed: Passed) -> Self {
        Self { passed: Some(passed), ..Self::kept(Kind::Batch, upstream) }
    }

    /// The provider's id of it.
    pub(crate) fn upstream(&self) -> &str {
        self.upstream
    }

    /// A batch that was counted as so many tokens.
    pub(crate) fn counted(self, counted: Option<MadeBatch>) -> Self {
        Self { counted, ..self }
    }

    /// A batch that is also on the behalf of others.
    pub(crate) fn shared(self, shares: Shares) -> Self {
        Self { shares, ..self }
    }
}

/// What is watched.
#[derive(Serialize, Deserialize)]
struct Watched {
    kind: Kind,
    /// Who made it, and asks as long as it is there.
    maker: NodeId,
    holders: [NodeId; 2],
    deployment: DeploymentId,
    /// The provider's id of it.
    upstream: String,
    /// Of a batch that was made by a call of a provider's own API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passed: Option<Passed>,
    /// What goes on record, but for what is not known yet.
    record: SpendRecord,
    /// What a batch was counted as, for those who may make so many tokens of batches a day.
    counted: Option<MadeBatch>,
    /// On whose behalf else a batch is.
    #[serde(default, skip_serializing_if = "Shares::is_empty")]
    shares: Shares,
    /// What its maker holds for it.
    #[serde(default)]
    held: Vec<Held>,
}

/// Begins to watch a thing of `by`'s provider. `record` says who pays, and `held` what of it is held.
pub(crate) fn begin(
    proxy: &Proxy,
    by: &Deployment,
    Thing { kind, upstream, passed, counted, shares }: Thing<'_>,
    record: SpendRecord,
    held: Vec<Held>,
) -> impl Future<Output = ()> + Send + use<> {
    let made = proxy.0.clock.unix();
    let id = found::found(by, upstream, None, made).request;
    let (store, deployment) = (proxy.0.store.clone(), by.id.clone());
    let holders = store.holders(id);
    let Holders([maker, _]) = holders;
    let upstream = upstream.to_owned();
    let Holders(both) = holders;
    let watched = Watched {
        kind,
        maker,
        holders: both,
        deployment,
        upstream,
        passed,
        record,
        counted,
        shares,
        held,
    };
    let watched = Bytes::from(serde_json::to_vec(&watched).expect("plain data"));
    let entry = Entry { id, label: Some(LABEL), made, until: after(made, WATCHED_FOR) };
    async move {
        for entry in [entry, passed::by_itself(entry)] {
            let put = store.put(holders, StoredKind::Note, entry, watched.clone()).await;
            if let Err(error) = put {
                warn!(request.id = %id, %error, "what nobody waits for is charged only when it is read");
            }
        }
    }
}

/// What former lives of this node held for what they made, as its notes say.
pub(crate) async fn held(store: Store) -> Vec<Awaited> {
    let mut awaited = Vec::new();
    for entry in store.own_notes(LABEL, MAX_WATCHED) {
        let Some(note) = store.own_note(entry.id).await else { continue };
        let Ok(watched) = serde_json::from_slice::<Watched>(&note) else { continue };
        let Holders([me, _]) = store.holders(entry.id);
        if watched.maker == me && !watched.held.is_empty() {
            let made = watched.record.started;
            let found = Found { request: entry.id, made, limited: true };
            awaited.push(Awaited { found, held: watched.held });
        }
    }
    awaited
}

/// When something is asked after.
struct Turn {
    next: MonoMillis,
    wait: Duration,
    /// Whoever asks, until they are done.
    asking: Option<AbortHandle>,
}

impl Turn {
    fn is_due(&self, now: MonoMillis) -> bool {
        self.next <= now && self.asking.as_ref().is_none_or(AbortHandle::is_finished)
    }
}

/// What is due, the longest overdue first: a provider that answers nothing holds up nobody else's
/// for longer than its own are asked after.
fn due(turns: &BTreeMap<RequestId, Turn>, now: MonoMillis) -> Vec<RequestId> {
    let due = turns.iter().filter(|(_, turn)| turn.is_due(now));
    let mut due: Vec<_> = due.map(|(id, turn)| (turn.next, *id)).collect();
    due.sort_unstable();
    due.into_iter().map(|(_, id)| id).collect()
}

/// Asks after what is watched, until the node leaves.
pub(crate) async fn run(proxy: Proxy, leaving: CancellationToken) {
    let mut turns: BTreeMap<RequestId, Turn> = BTreeMap::new();
    let mut asking = JoinSet::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while leaving.run_until_cancelled(looks.tick()).await.is_some() {
        if !proxy.0.serving.load().ready {
            continue;
        }
        let now = proxy.0.clock.mono();
        let watched: BTreeMap<RequestId, Entry> = proxy
            .0
            .store
            .own_notes(LABEL, MAX_WATCHED)
            .into_iter()
            .map(|entry| (entry.id, entry))
            .collect();
        turns.retain(|id, _| watched.contains_key(id));
        proxy.0.admission.release_awaited(|id| watched.contains_key(&id));
        for id in watched.keys() {
            let first = Turn { next: now.plus(FIRST_WAIT), wait: FIRST_WAIT, asking: None };
            turns.entry(*id).or_insert(first);
        }
        while asking.try_join_next().is_some() {}
        for id in due(&turns, now).into_iter().take(MAX_ASKED_AT_ONCE - asking.len()) {
            let turn = turns.get_mut(&id).expect("it is one of them");
            turn.wait = turn.wait.saturating_mul(2).min(LONGEST_WAIT);
            turn.next = now.plus(turn.wait);
            turn.asking = Some(asking.spawn(look(proxy.clone(), watched[&id])));
        }
    }
}

/// Asks after one of them, unless its maker does.
async fn look(proxy: Proxy, entry: Entry) {
    let proxy = &proxy;
    let store = &proxy.0.store;
    let Some(note) = store.own_note(entry.id).await else { return };
    let Ok(watched) = serde_json::from_slice::<Watched>(&note) else {
        warn!(request.id = %entry.id, "cannot read the note of a background response or batch");
        return;
    };
    let Holders([me, _]) = store.holders(entry.id);
    if watched.maker != me && store.is_there(watched.maker) {
        return;
    }
    if ask(proxy, &watched).await {
        watched.forget(proxy, entry).await;
    }
}

impl Watched {
    /// What a batch was counted as, while that matters.
    fn still_counted(&self, proxy: &Proxy) -> Option<&MadeBatch> {
        let now = proxy.0.clock.unix();
        self.counted.as_ref().filter(|counted| counted.matters(now))
    }

    /// Which of its answers are on whose behalf. `None`: that is not known yet.
    async fn labels(&self, proxy: &Proxy, by: &Deployment) -> Option<LineLabels> {
        if self.shares.is_empty() {
            return Some(LineLabels::default());
        }
        if let Some(input) = Input::kept(proxy, by, &self.shares.input).await {
            return Some(input.labels);
        }
        let given_up = proxy.0.clock.unix() > after(self.record.started, TRIED_FOR);
        warn!(
            given_up,
            batch = self.upstream,
            "cannot read on whose behalf the answers of a batch are"
        );
        given_up.then(LineLabels::default)
    }

    async fn forget(&self, proxy: &Proxy, entry: Entry) {
        let (store, holders) = (&proxy.0.store, Holders(self.holders));
        let forgot = store.delete(holders, StoredKind::Note, entry.id, entry.until).await;
        if let Err(error) = forgot {
            debug!(request.id = %entry.id, %error, "what is charged is asked after once more");
        }
    }
}

/// Whether it need not be asked after again.
async fn ask(proxy: &Proxy, watched: &Watched) -> bool {
    let serving = proxy.0.serving.load_full();
    // A deployment that has left the configuration may come back.
    let Some(by) = find(&serving.catalog, &watched.deployment) else { return false };
    if let Some(passed) = &watched.passed {
        return passed.ask(proxy, &serving, by, watched).await;
    }
    let thing = (watched.kind, &*watched.upstream);
    let body = match fetch::object(proxy, &serving, by, thing, ASK_WITHIN).await {
        Fetched::Object(body) => body,
        Fetched::Gone => return true,
        Fetched::Unknown => return false,
    };
    match watched.kind {
        Kind::Response => {
            let Some(kept) = KeptResponse::read(&body).filter(|kept| kept.finished) else {
                return false;
            };
            // One that failed before it used anything costs nothing.
            let made = watched.record.started;
            let Some(finished) = found::response(by, Some(kept), made) else { return true };
            // What the provider's clock says of it counts for nothing.
            let Finished { found, usage, tier } = finished.made_at(made);
            let context = context(Media::default(), tier, false);
            let known = (&*serving.catalog, &proxy.0.published);
            let others = tool_models::others(known, by, &usage, None, context);
            let cost = by.price.cost(&usage, &context).total + others.cost.total;
            let model = &*by.target.model;
            let sums = Sums::whole(Sum { usage, cost, estimated: false });
            let charge = Charge { model, sums, unpriced: others.unpriced };
            self::charge(proxy, by, watched, found, charge).await
        }
        Kind::Batch => batch(proxy, &serving, by, watched, &body).await,
        Kind::Conversation
        | Kind::File
        | Kind::Job
        | Kind::Call
        | Kind::Message
        | Kind::MessageBatch => true,
    }
}

async fn batch(
    proxy: &Proxy,
    serving: &Serving,
    by: &Arc<Deployment>,
    watched: &Watched,
    body: &[u8],
) -> bool {
    let Some(batch) = KeptBatch::read(body).filter(|batch| batch.finished) else { return false };
    // Not what the provider's clock says of it.
    let found = found::found(by, &batch.id, None, watched.record.started);
    let counted = watched.still_counted(proxy);
    if proxy.0.admission.is_charged(found) && counted.is_none() {
        return true;
    }
    let Some(file) = &batch.output_file_id else {
        // It was never begun, or all of it failed.
        return true_up(proxy, found, counted, Usage::default()).await;
    };
    let path = format!("/files/{}/content", path_segment(file));
    let output = fetch::get(proxy, serving, by, path).await;
    let Some(labels) = watched.labels(proxy, by).await else { return false };
    let Some(sums) = output::read(&by.price, output, labels).await else { return false };
    let is_counted = true_up(proxy, found, counted, sums.total().usage).await;
    let charge = Charge { model: &by.target.model, sums, unpriced: false };
    self::charge(proxy, by, watched, found, charge).await && is_counted
}

/// Has what a batch used count in place of what it was counted as, if it was. False if the cluster
/// could not be asked.
async fn true_up(
    proxy: &Proxy,
    found: Found,
    counted: Option<&MadeBatch>,
    Usage { prompt, cached, completion, .. }: Usage,
) -> bool {
    let Some(counted) = counted else { return true };
    let used = Tokens((prompt + completion).0.saturating_sub(cached.0));
    proxy.0.admission.true_up(found, counted, used).await
}

struct Charge<'a> {
    /// Whose price it is, by its provider's name.
    model: &'a str,
    sums: Sums,
    unpriced: bool,
}

/// Whether it is charged.
async fn charge(
    proxy: &Proxy,
    by: &Deployment,
    watched: &Watched,
    found: Found,
    Charge { model, sums, unpriced }: Charge<'_>,
) -> bool {
    let mut record = watched.record.clone();
    record.request = found.request;
    record.deployment = Some(by.id.clone());
    record.course.provider = Some(by.provider.to_string());
    model.clone_into(&mut record.upstream_model);
    record.ended = proxy.0.clock.unix();
    record.unpriced = unpriced;
    record.outcome = Outcome::Success;
    let parts = watched.shares.records(&record).zip(&sums.all);
    let mut records: Vec<SpendRecord> = parts.map(|(record, sum)| with(record, sum)).collect();
    // Who was asked for and got nothing leaves no record, unless nobody got anything.
    let has_used = |record: &SpendRecord| record.prompt.0 + record.completion.0 + record.cost.0 > 0;
    if records.iter().any(has_used) {
        records.retain(has_used);
    } else {
        records.truncate(1);
    }
    proxy.0.admission.charge(found, records).await
}

fn with(record: SpendRecord, Sum { usage, cost, estimated }: &Sum) -> SpendRecord {
    let Usage { prompt, cached, completion, .. } = usage.in_all();
    let (cost, estimated) = (*cost, *estimated);
    SpendRecord { prompt, cached, completion, cost, estimated, ..record }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_waited_longest_is_asked_first_and_nobody_twice_at_once() {
        let mut asking = JoinSet::new();
        let mut turn = |next, busy: bool| Turn {
            next: MonoMillis(next),
            wait: FIRST_WAIT,
            asking: busy.then(|| asking.spawn(std::future::pending::<()>())),
        };
        let turns = [turn(50, false), turn(20, true), turn(10, false), turn(61, false)];
        let turns = (0..).map(RequestId).zip(turns).collect();
        assert_eq!(due(&turns, MonoMillis(60)), [RequestId(2), RequestId(0)]);
        drop(asking);
        tokio::task::yield_now().await;
        let ids: Vec<_> = [2, 1, 0].map(RequestId).into();
        assert_eq!(due(&turns, MonoMillis(60)), ids, "those who were stopped are due again");
    }
}
