//! Settles what the journal holds: sums it by pot and by day and proposes it, a stretch at a time,
//! until the replicated state shows it. A stretch that was proposed is proposed again unchanged
//! until then, so that an answer that got lost cannot make it count twice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use dunlin_journal::{OlderEpoch, Outcome, SpendRecord};
use dunlin_state::{Charge, Command, DaySums, Reply};
use dunlin_types::{Epoch, KeyDigest, NanoUsd, PotId, RequestId, UnixMillis};
use tracing::{debug, error, info, warn};

use crate::{Admission, Awaited, Config, Shared, days};

/// How often the journal is looked at. A busy node proposes this often, or once for [`MAX_RECORDS`].
const SETTLE_EVERY: Duration = Duration::from_millis(200);
/// Records in one stretch: each is charged to a few pots, and all their sums are one command.
const MAX_RECORDS: usize = 1_024;
/// Sums in one command, unless a single record has more: a stretch of more is cut short.
const MAX_SUMS: usize = 4_096;
/// How often a stopping node looks whether all is settled.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often it is said that a journal cannot be read.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// The pause after a proposal that found no quorum.
const RETRY: Duration = Duration::from_millis(500);

/// Settles older lives first, then this one, for ever.
pub(crate) async fn run(
    admission: Admission,
    config: Config,
    older: Vec<OlderEpoch>,
    awaited: impl Future<Output = Vec<Awaited>>,
) {
    admission.0.consensus.formed().await;
    for life in older {
        // Behind a record of a later life the state counts none of it any more.
        while !settle_older(&admission.0, &config, life).await {
            tokio::time::sleep(RETRY).await;
        }
    }
    // All they recorded is settled. That this life was granted something meanwhile does not say so.
    if let Some(last) = config.epoch.0.checked_sub(1) {
        admission.0.money.close_lives(Epoch(last), awaited.await).await;
    }
    let mut ticks = tokio::time::interval(SETTLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut settled = 0;
    loop {
        ticks.tick().await;
        if is_replaced(&admission.0, &config) {
            return end_as_replaced(&config);
        }
        // What is recorded meanwhile waits for the next tick.
        let last = admission.0.journal.last();
        settled = settle_from(&admission.0, &config, config.epoch, settled..last).await;
    }
}

impl Shared {
    /// Whether it is to be said that a journal cannot be read.
    fn is_due_to_tell_unreadable(&self) -> bool {
        let mut told = self.unreadable.lock().expect("never poisoned");
        told.is_due(self.clock.mono(), TELL_EVERY)
    }
}

/// Whether all of it is settled now.
async fn settle_older(shared: &Shared, config: &Config, life: OlderEpoch) -> bool {
    let (epoch, settled) = shared.consensus.state().settled(config.me);
    let from = match life.epoch.cmp(&epoch) {
        std::cmp::Ordering::Less => {
            tell_of_unsettled(shared, life);
            life.last
        }
        std::cmp::Ordering::Equal => settled,
        std::cmp::Ordering::Greater => 0,
    };
    if from < life.last {
        let records = life.last - from;
        info!(records, epoch = life.epoch.0, "settling spend recorded before the last stop");
        if settle_from(shared, config, life.epoch, from..life.last).await < life.last {
            return false;
        }
    }
    shared.journal.settled(life.epoch, life.last);
    true
}

/// Records behind which a later life settled count no more: an error that says how many.
fn tell_of_unsettled(shared: &Shared, life: OlderEpoch) {
    let state = shared.consensus.state();
    let Some((_, known)) = state.journals().find(|(node, _)| *node == shared.me) else { return };
    let of_life = known.stretches().filter(|stretch| stretch.epoch == life.epoch);
    let settled = of_life.last().map(|stretch| stretch.last);
    // Of a life that is forgotten nothing is known.
    let settled = settled.or_else(|| known.forgotten().is_none().then_some(0));
    let records = life.last.saturating_sub(settled.unwrap_or(life.last));
    if records > 0 {
        error!(
            records,
            epoch = life.epoch.0,
            "recorded spend was never settled and never will be: another process settled as this node \
             before, with a copy of its data directory"
        );
    }
}

/// Whether a later life of this node has taken its place: another process runs as this node.
fn is_replaced(shared: &Shared, config: &Config) -> bool {
    let state = shared.consensus.state();
    let is_closed = state.leased(config.me) >= (config.epoch, u64::MAX);
    is_closed || state.settled(config.me).0 > config.epoch
}

fn end_as_replaced(config: &Config) {
    error!(
        "another process settles spend as this node: its data directory was copied; this one ends"
    );
    config.stop.cancel();
}

/// Settles a life's records behind `start`, up to `end` at least; returns the last one settled.
async fn settle_from(
    shared: &Shared,
    config: &Config,
    epoch: Epoch,
    Range { start: mut from, end }: Range<u64>,
) -> u64 {
    while from < end {
        let journal = shared.journal.clone();
        // It may read from the disk, if it fell behind.
        let reading =
            tokio::task::spawn_blocking(move || journal.read_after(epoch, from, MAX_RECORDS));
        let read = match reading.await {
            Ok(read) => read,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The runtime ends.
            Err(_) => return from,
        };
        let records = match read {
            Ok(records) => records,
            Err(error) => {
                if shared.is_due_to_tell_unreadable() {
                    error!(%error, epoch = epoch.0, "recorded spend cannot be read: it is not settled");
                }
                return from;
            }
        };
        let state = shared.consensus.state();
        let is_known = |key: &KeyDigest| state.key(key).is_some();
        let Some(Sums { to, charges, days }) = Sums::of(&records, &is_known) else { return from };
        let own =
            records.iter().filter(|(number, _)| *number <= to).map(|(_, record)| record.request);
        let claimed: Vec<_> = own.filter(|request| state.is_claim_unsettled(*request)).collect();
        let stretch =
            Stretch { epoch, from, to, charges: &charges, days: &days, claimed: &claimed };
        let is_own = epoch == config.epoch;
        if is_own {
            shared.unsettled.propose(&records, to);
        }
        let settled = settle(shared, config, stretch).await;
        let Some(settled) = settled.filter(|settled| !is_own || *settled == to) else {
            if is_own {
                end_as_replaced(config);
            }
            return from;
        };
        if is_own {
            shared.unsettled.settled(to);
        }
        shared.journal.settled(epoch, settled);
        from = settled;
    }
    from
}

struct Stretch<'a> {
    epoch: Epoch,
    from: u64,
    to: u64,
    charges: &'a [Charge],
    days: &'a DaySums,
    claimed: &'a [RequestId],
}

/// Proposes a stretch until the state shows that what followed `from` is settled. Returns how far:
/// of an older life, a shorter stretch that the node proposed before it died may have come first.
/// `None`: a later life of the node is settled by now, and this stretch will never be.
async fn settle(shared: &Shared, config: &Config, stretch: Stretch<'_>) -> Option<u64> {
    let Stretch { epoch, from, to, charges, days, claimed } = stretch;
    loop {
        match shared.consensus.state().settled(config.me) {
            (life, settled) if life == epoch && settled > from => {
                return Some(settled);
            }
            (life, _) if life > epoch => return None,
            _ => {}
        }
        let (charges, days, claimed) = (charges.to_vec(), days.clone(), claimed.to_vec());
        let command = Command::Settle { node: config.me, epoch, from, to, charges, days, claimed };
        match shared.consensus.propose(command).await {
            Ok(reply) => tell_reached(shared, &reply),
            Err(error) => {
                debug!(%error, "spend is not settled yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The log says once in a period, on the node whose spend it was, that a soft budget is reached.
fn tell_reached(shared: &Shared, reply: &Reply) {
    let Reply::SoftBudgetsReached(pots) = reply else { return };
    let state = shared.consensus.state();
    for pot in pots {
        // Who is deleted meanwhile is warned of no more.
        let Some(payer) = state.payer_of(pot) else { continue };
        let (what, name, alias) = (payer.title(), payer.name(), payer.alias().unwrap_or_default());
        let (spent, soft) = (state.spend(pot).0, payer.soft_budget().unwrap_or_default());
        warn!(
            budget.of = what, budget.id = %name, budget.alias = alias,
            "a soft budget is reached: {what} `{name}` has spent {spent} of {soft}"
        );
    }
}

/// What a stretch of records comes to.
struct Sums {
    /// The last record.
    to: u64,
    charges: Vec<Charge>,
    days: DaySums,
}

impl Sums {
    /// Of as many of the records as one command may hold; `None` of none. A key that was refused and
    /// that nobody has is no part of the daily totals: anybody can invent any number of them.
    fn of(
        records: &[(u64, Arc<SpendRecord>)],
        is_known: &dyn Fn(&KeyDigest) -> bool,
    ) -> Option<Self> {
        let (to, _) = records.last()?;
        let own = || records.iter().map(|(_, record)| &**record);
        let counts = |record: &&SpendRecord| {
            let was_let_in = record.outcome != Outcome::Failure || !record.charged.is_empty();
            was_let_in || record.key.as_ref().is_none_or(is_known)
        };
        let (charges, days) = (charges(own()), days::sums(own().filter(counts)));
        if charges.len() + days.len() > MAX_SUMS && records.len() > 1 {
            return Self::of(&records[..records.len() / 2], is_known);
        }
        Some(Self { to: *to, charges, days })
    }
}

/// Costs by pot and period.
fn charges<'a>(records: impl Iterator<Item = &'a SpendRecord>) -> Vec<Charge> {
    let mut sums: BTreeMap<_, (NanoUsd, u64)> = BTreeMap::new();
    for record in records {
        for charged in &record.charged {
            let (cost, requests) = sums.entry(charged).or_default();
            *cost += record.cost;
            *requests += 1;
        }
    }
    let charge = |((pot, period), (cost, requests)): (&(PotId, UnixMillis), _)| Charge {
        pot: pot.clone(),
        period: *period,
        cost,
        requests,
    };
    sums.into_iter().map(charge).collect()
}

pub(crate) async fn wait_settled(shared: &Shared, within: Duration) {
    let last = shared.journal.last();
    let is_settled = || shared.unsettled.settled_through() >= last;
    let settled = async {
        while !is_settled() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(within, settled).await.is_err() && !is_settled() {
        info!("the last spend is not settled yet; it will be settled at the next start");
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use dunlin_state::{Grant, Key, Terms};
    use dunlin_types::Line;

    use super::*;
    use crate::tests::cluster::{Node, single, unsettled, until};
    use crate::tests::record;
    use crate::{Bounds, Demand};

    #[test]
    fn a_refused_key_that_nobody_has_is_no_part_of_the_daily_totals() {
        let (known, bogus) = (KeyDigest::of("sk-known"), KeyDigest::of("sk-bogus"));
        let refused = |key| SpendRecord { outcome: Outcome::Failure, ..record(key, 1, 0) };
        // A key that is deleted while its request runs is charged all the same.
        let late = SpendRecord { charged: Vec::new(), ..record(bogus, 1, 5) };
        let days = |one: SpendRecord| {
            let one = SpendRecord { charged: Vec::new(), ..one };
            let sums = Sums::of(&[(1, Arc::new(one))], &|key| *key == known).expect("one record");
            sums.days.len()
        };
        assert_eq!((days(refused(known)), days(refused(bogus)), days(late)), (1, 0, 1));
    }

    #[test]
    fn a_stretch_of_many_sums_is_cut_short_and_one_record_goes_whole() {
        let key = KeyDigest::of("sk-a");
        let records = (1..=300_u64).map(|number| {
            let mut record = record(key, 1, 100);
            record.origin.tags = (0..64).map(|tag| format!("{number}-{tag}")).collect();
            (number, Arc::new(record))
        });
        let records: Vec<_> = records.collect();
        let sums = Sums::of(&records, &|_| true).expect("some");
        assert!(sums.days.len() <= MAX_SUMS, "{} are one command", sums.days.len());
        assert_eq!(sums.to, 37, "a few at a time");
        let whole = Sums::of(&records[..1], &|_| true).expect("one");
        assert_eq!((whole.to, whole.days.len()), (1, 65));
        assert!(Sums::of(&[], &|_| true).is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_busy_node_records_meanwhile_waits_for_the_next_stretch() {
        let node = single().await;
        let key = node.key("busy", None, None, None).await;
        let (before, began) = (node.consensus.state().applied(), node.clock.mono());
        let mut recorded = 0;
        while node.clock.mono().since(began) < SETTLE_EVERY * 5 {
            let permit = node.admit(key, 1).await.expect("it has no limits");
            permit.settle(record(key, 1, 1));
            recorded += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let settled = || node.consensus.state().key_spend(&key) == NanoUsd(recorded);
        until("all is settled", settled).await;
        let commands = node.consensus.state().applied() - before;
        assert!(commands <= 10, "{commands} commands for {recorded} records");
    }

    fn nothing() -> impl Future<Output = Vec<Awaited>> {
        std::future::ready(Vec::new())
    }

    fn put_on_record(node: &Node, key: KeyDigest, count: u64) {
        let of = node.consensus.state().key(&key).expect("made").id;
        let charged = vec![(PotId { of, line: Line::Main }, UnixMillis(0))];
        for _ in 0..count {
            let record = SpendRecord { charged: charged.clone(), ..record(key, 1, 100) };
            node.admission.0.journal.append(&Arc::new(record)).expect("written");
        }
    }

    /// Its data directory was copied, and the copy began a later life.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_life_whose_place_is_taken_ends_and_takes_nothing_for_settled() {
        let (node, config) = unsettled().await;
        let key = node.key("copied", None, None, None).await;
        put_on_record(&node, key, 3);
        let (charges, days, epoch) = (Vec::new(), DaySums::default(), Epoch(config.epoch.0 + 1));
        let copy = Command::Settle {
            node: config.me,
            epoch,
            from: 0,
            to: 1,
            charges,
            days,
            claimed: Vec::new(),
        };
        node.consensus.propose(copy).await.expect("committed");
        let shared = &node.admission.0;
        let settled = settle_from(shared, &config, config.epoch, 0..3);
        let settled = tokio::time::timeout(Duration::from_secs(60), settled).await;
        assert_eq!(settled.expect("it ends"), 0);
        assert!(node.has_ended());
        assert_eq!(shared.unsettled.settled_through(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_life_whose_leases_were_closed_ends() {
        let (node, config) = unsettled().await;
        let close = Command::CloseLives { node: config.me, through: config.epoch };
        node.consensus.propose(close).await.expect("committed");
        let running = run(node.admission.clone(), config, Vec::new(), nothing());
        tokio::time::timeout(Duration::from_secs(60), running).await.expect("it ends");
        assert!(node.has_ended());
    }

    /// A busy node is granted money for its new life before its former one is settled.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_former_life_left_is_free_though_the_present_one_was_granted_some_before() {
        let (node, config) = unsettled().await;
        let terms = Terms { max_budget: Some(NanoUsd(1_000)), ..Terms::default() };
        let token = KeyDigest::of("sk-restarted");
        let key = Box::new(Key { token, terms, ..Key::default() });
        node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
        let of = node.consensus.state().key(&token).expect("made").id;
        let pot = PotId { of, line: Line::Main };
        let (period, least, amount) = (UnixMillis(0), NanoUsd(800), NanoUsd(800));
        let (limit, window, carries) = (None, None, None);
        let grant = Grant { pot: pot.clone(), period, least, amount, limit, window, carries };
        let (returns, grants) = (Vec::new(), vec![grant]);
        let Config { me, epoch, .. } = config;
        let lease = Command::Lease { node: me, epoch, number: 1, returns, grants };
        node.consensus.propose(lease).await.expect("granted");
        let (node, _next) = node.restart_unsettled().await;
        let caller = node.admission.caller(token, &[]).await.expect("a known key");
        let cost = Bounds { likely: NanoUsd(100), most: NanoUsd(100) };
        let demand = Demand { cost, ..node.demand(0) };
        let _held = node.admission.admit(Some(&caller), demand).await.expect("200 are free");
        let free = || {
            let state = node.consensus.state();
            state.pot(&pot).expect("granted").free(Some(NanoUsd(1_000)))
        };
        assert!(free() <= NanoUsd(100));
        node.admission.0.money.close_lives(epoch, Vec::new()).await;
        assert!((800..=900).contains(&free().0), "the new life keeps its own: {}", free());
    }

    /// Once a record of a later life is settled, the state counts none of an older one any more.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_older_life_that_cannot_be_read_is_settled_as_soon_as_it_can() {
        let (node, _) = unsettled().await;
        let key = node.key("unreadable", None, None, None).await;
        put_on_record(&node, key, 3);
        let files = std::fs::read_dir(node.journal()).expect("it is there");
        let files: Vec<_> = files.map(|file| file.expect("listed").path()).collect();
        let (node, config) = node.restart_unsettled().await;
        put_on_record(&node, key, 2);
        let away = |file: &PathBuf| file.with_extension("away");
        files.iter().for_each(|file| std::fs::rename(file, away(file)).expect("moved"));
        let older = vec![OlderEpoch { epoch: Epoch(config.epoch.0 - 1), last: 3 }];
        let settling = run(node.admission.clone(), config, older, nothing());
        let settled = async {
            // Time enough for what must not happen.
            tokio::time::sleep(SETTLE_EVERY * 3).await;
            files.iter().for_each(|file| std::fs::rename(away(file), file).expect("moved"));
            let spent = || node.consensus.state().key_spend(&key);
            until("both are settled", || spent() == NanoUsd(500)).await;
        };
        tokio::select! {
            () = settling => panic!("it settles for ever"),
            () = settled => {}
        }
    }

    /// The node died after it proposed a stretch and before it saw it settled; the next life reads
    /// a longer one.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_older_life_is_settled_once_whatever_it_had_proposed() {
        let (node, config) = unsettled().await;
        let key = node.key("older", None, None, None).await;
        let shared = &node.admission.0;
        let of = node.consensus.state().key(&key).expect("made").id;
        let pot = PotId { of, line: Line::Main };
        put_on_record(&node, key, 5);
        let older = config.epoch;
        let charge = Charge { pot, period: UnixMillis(0), cost: NanoUsd(200), requests: 2 };
        let charges = vec![charge];
        let days = DaySums::default();
        let late = Command::Settle {
            node: config.me,
            epoch: older,
            from: 0,
            to: 2,
            charges,
            days,
            claimed: Vec::new(),
        };
        node.consensus.propose(late).await.expect("committed");
        let next = Config { epoch: Epoch(older.0 + 1), ..config };
        let settled = settle_from(shared, &next, older, 0..5);
        let settled = tokio::time::timeout(Duration::from_secs(60), settled).await;
        assert_eq!(settled.expect("it ends"), 5);
        assert_eq!(node.consensus.state().key_spend(&key), NanoUsd(500));
    }
}
