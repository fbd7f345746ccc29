//! The standing tasks of a member: the leader's autopilot, the log's compaction, the peers'
//! addresses, and an end in good order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dunlin_state::Command;
use dunlin_types::{MonoMillis, NodeId};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{BasicNode, ChangeMembers, Instant};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{error, info, warn};

use crate::autopilot::{self, Act, Cluster, DOWN_AFTER, Sight};
use crate::cluster_time::Here;
use crate::error::Error;
use crate::node::{Node, Running};
use crate::propose;
use crate::raft::Metrics;

/// The autopilot looks this often.
const TICK: Duration = Duration::from_secs(1);
/// A leader that has just won looks sooner, so that a new cluster is ready sooner.
const FIRST_TICKS: Duration = Duration::from_millis(100);
/// How often it is said that something is to be tried again.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// A leader whose quorum is silent for so long can change nothing. One that comes back alone takes
/// itself for the leader still, and would mark down those whom it cannot hear.
pub(crate) const QUORUM_LOST: Duration = Duration::from_secs(1);
/// A snapshot is made when this much log has grown since the last one, or as much as the last one
/// is long: rewriting the state costs no more than writing the log did.
const LOG_BYTES: u64 = 64 * 1024 * 1024;
/// Log kept before the snapshot, for peers that were away for minutes.
const KEEP_BYTES: u64 = LOG_BYTES;
/// A leader whose clock is off for so long hands over; the first one waits for others' as long.
const OFF_FOR: Duration = Duration::from_secs(3);
/// How long handing over may take; then it is as it was.
pub(crate) const HAND_OVER: Duration = Duration::from_secs(2);
/// How often the certificate learns what the log holds.
const FLOOR_EVERY: Duration = Duration::from_secs(10);

/// Runs until the node stops; does something only while this node leads a quorum.
pub(crate) async fn autopilot(node: &Node, running: &Running) {
    let mut watch = Watch::default();
    let mut pause = FIRST_TICKS;
    loop {
        sleep(pause).await;
        let metrics = running.metrics();
        if running.quorum_age().is_none_or(|age| age >= QUORUM_LOST) {
            watch = Watch::default();
            pause = FIRST_TICKS;
            continue;
        }
        watch.mind_the_clock(node, running).await;
        let sight = watch.look(node, &metrics);
        if watch.may_learn_the_time(node, sight.voters.len()) {
            pause = FIRST_TICKS;
            continue;
        }
        let acts = autopilot::acts(&sight);
        pause = if acts.is_empty() { TICK } else { FIRST_TICKS };
        if node.published.state().cluster().is_none() {
            command(node, Command::FormCluster { cluster: running.cluster }).await;
            pause = FIRST_TICKS;
        }
        for act in acts {
            carry_out(node, running, act, &metrics).await;
        }
    }
}

/// What the leader remembers between two looks.
#[derive(Default)]
struct Watch {
    /// When this node first looked as the leader.
    since: Option<MonoMillis>,
    /// Since when its clock is off.
    off_since: Option<MonoMillis>,
    well_since: BTreeMap<NodeId, MonoMillis>,
}

impl Watch {
    /// Goes by the time of all. Whose clock is off does not lead: it would be right by the others'
    /// word only.
    async fn mind_the_clock(&mut self, node: &Node, running: &Running) {
        let here = Here::now(&node.clock);
        let now = node.clock.mono();
        let metrics = running.metrics();
        let voters = metrics.membership_config.membership().voter_ids();
        let close = node.time.steer(here).unwrap_or_default();
        let heirs: Vec<_> = voters.map(NodeId).filter(|voter| close.contains(voter)).collect();
        if heirs.is_empty() {
            self.off_since = None;
            return;
        }
        let since = *self.off_since.get_or_insert(now);
        if now.since(since) < OFF_FOR {
            return;
        }
        self.off_since = None;
        let skew_ms = node.time.skew(here);
        warn!(node.id = %node.me, skew_ms, "this node's clock is off: it gives up leadership");
        let handing = hand_over_to(node, running, |heir| heirs.contains(&heir));
        drop(timeout(HAND_OVER, handing).await);
    }

    /// Whether the cluster's first entry should wait: its time never goes back, and this node may soon
    /// know the clocks of others.
    fn may_learn_the_time(&self, node: &Node, voters: usize) -> bool {
        let is_new = node.published.state().cluster().is_none();
        let waited = self.since.map_or(Duration::ZERO, |since| node.clock.mono().since(since));
        is_new && voters >= 3 && !node.time.is_known() && waited < OFF_FOR
    }

    fn look(&mut self, node: &Node, metrics: &Metrics) -> Cluster {
        let now = node.clock.mono();
        let since = *self.since.get_or_insert(now);
        let listed = node.published.state().nodes();
        let view = node.gossip.view();
        let membership = metrics.membership_config.membership();
        let members = membership.nodes().map(|(id, _)| {
            let id = NodeId(*id);
            let silent = if id == node.me {
                Duration::ZERO
            } else {
                silence(id, metrics, &view, now, since)
            };
            let lag = lag(id, metrics);
            let well = silent.is_zero() && lag.is_some();
            let well_since = well.then(|| *self.well_since.entry(id).or_insert(now));
            if well_since.is_none() {
                self.well_since.remove(&id);
            }
            let sight = Sight {
                removed: node.published.state().removed_node(id).is_some(),
                listed: listed.contains_key(&id),
                down: listed.get(&id).is_some_and(|member| member.down.is_some()),
                resting: listed.get(&id).is_some_and(|member| member.resting),
                draining: if id == node.me {
                    Some(node.gossip.own().draining)
                } else {
                    let peer = view.peers.get(&id).filter(|peer| peer.alive);
                    peer.and_then(|peer| peer.node.as_ref()).map(|fact| fact.draining)
                },
                silent,
                well: well_since.map_or(Duration::ZERO, |since| now.since(since)),
                lag,
            };
            (id, sight)
        });
        let members = members.collect();
        Cluster { leader: node.me, voters: membership.voter_ids().map(NodeId).collect(), members }
    }
}

/// How long neither gossip nor Raft has heard a node; zero while either does.
fn silence(
    id: NodeId,
    metrics: &Metrics,
    view: &dunlin_gossip::View,
    now: MonoMillis,
    since: MonoMillis,
) -> Duration {
    let gossip = match view.peers.get(&id) {
        Some(peer) if peer.alive => return Duration::ZERO,
        Some(peer) => now.since(peer.heard),
        None => now.since(since),
    };
    let heartbeats =
        metrics.heartbeat.as_ref().and_then(|heard| heard.get(&id.0).cloned().flatten());
    let raft = heartbeats.map_or_else(|| now.since(since), |heard| heard.elapsed());
    let silent = gossip.min(raft);
    // A follower that answers heartbeats is there, even if gossip has not found it.
    if silent < DOWN_AFTER / 2 { Duration::ZERO } else { silent }
}

/// Whether a node has given a sign of life lately, in gossip or to this leader.
pub(crate) fn is_heard(node: &Node, metrics: &Metrics, id: NodeId) -> bool {
    let gossiped = node.gossip.view().peers.get(&id).is_some_and(|peer| peer.alive);
    let heartbeats =
        metrics.heartbeat.as_ref().and_then(|heard| heard.get(&id.0).cloned().flatten());
    gossiped || heartbeats.is_some_and(|heard| heard.elapsed() < DOWN_AFTER / 2)
}

fn lag(id: NodeId, metrics: &Metrics) -> Option<u64> {
    let last = metrics.last_log_index.unwrap_or(0);
    let matched = metrics.replication.as_ref()?.get(&id.0)?.as_ref()?;
    Some(last.saturating_sub(matched.index))
}

async fn carry_out(node: &Node, running: &Running, act: Act, metrics: &Metrics) {
    match act {
        Act::List(id) => {
            let membership = metrics.membership_config.membership();
            let address = membership.get_node(&id.0).map(|found| found.addr.clone());
            let address = address.expect("only members are listed");
            command(node, Command::AddNode { node: id, address }).await;
        }
        Act::MarkDown(id) => {
            warn!(node.id = %id, "a node is silent: marking it down");
            command(node, Command::MarkDown { node: id }).await;
        }
        Act::Rest(id, resting) => {
            info!(node.id = %id, resting, "changing which nodes own limits: a draining node owns none");
            command(node, Command::Rest { node: id, resting }).await;
        }
        Act::MarkUp(id) => {
            info!(node.id = %id, "a node is back: marking it up");
            command(node, Command::MarkUp { node: id }).await;
        }
        Act::SetVoters(voters) => {
            info!(?voters, "changing the voters of the cluster");
            let voters = voters.iter().map(|id| id.0).collect();
            change_members(node, running, ChangeMembers::ReplaceAllVoters(voters)).await;
        }
        Act::Drop(id) => {
            info!(node.id = %id, "a removed node leaves the cluster");
            change_members(node, running, ChangeMembers::RemoveNodes(BTreeSet::from([id.0]))).await;
        }
        Act::HandOver => {
            drop(timeout(HAND_OVER, hand_over(node, running)).await);
        }
    }
}

async fn change_members(node: &Node, running: &Running, change: ChangeMembers<u64, BasicNode>) {
    // Voters that leave stay as learners.
    if let Err(cause) = running.raft.change_membership(change, true).await
        && node.is_due_to_tell(TELL_EVERY)
    {
        info!(error = %cause, "the members are not changed yet");
    }
}

async fn command(node: &Node, command: Command) {
    if let Err(cause) = propose::propose(node, None, command).await
        && node.is_due_to_tell(TELL_EVERY)
    {
        info!(error = %cause, "the autopilot tries again");
    }
}

/// Makes snapshots as the log grows, forgets the log they replace, and keeps the certificate's
/// floor close to the log.
pub(crate) async fn compaction(node: &Node, running: &Running) -> Result<(), Error> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_after = None;
    let mut floor_written = node.clock.mono();
    loop {
        ticks.tick().await;
        let last = running.snapshots.last();
        let grown = running.log.bytes_after(last.map_or(0, |id| id.index));
        if grown > LOG_BYTES.max(running.snapshots.bytes()) && asked_after != Some(last) {
            asked_after = Some(last);
            // A core that is gone ends the node elsewhere.
            drop(running.raft.trigger().snapshot().await);
        }
        let spare = last.zip(running.log.index_before_last(KEEP_BYTES));
        let spare = spare.map(|(last, spare)| spare.min(last.index));
        if let Some(spare) = spare.filter(|spare| *spare >= running.log.first()) {
            drop(running.raft.trigger().purge_log(spare).await);
        }
        if node.clock.mono().since(floor_written) >= FLOOR_EVERY {
            floor_written = node.clock.mono();
            write_floor(node, running)?;
        }
    }
}

fn write_floor(node: &Node, running: &Running) -> Result<(), Error> {
    let (floor, heard) = (running.log.floor(), node.known_until());
    node.identity().amend(|certificate| {
        certificate.floor = floor;
        certificate.heard = Some(heard);
    })
}

/// Keeps the peers' addresses as gossip and the state know them.
pub(crate) async fn addresses(node: Arc<Node>) {
    let mut gossiped = node.gossip.changed();
    loop {
        node.addresses.refresh(&node.gossip.view(), &node.published.state());
        tokio::select! {
            changed = gossiped.changed() => if changed.is_err() { return },
            () = sleep(TICK) => {}
            () = node.stop.cancelled() => return,
        }
    }
}

/// Tells the cluster this node's address if it is another one than in its last life.
pub(crate) async fn announce(node: &Node) {
    loop {
        let listed = node.published.state().nodes().get(&node.me).map(|m| m.address.clone());
        if listed.as_deref() == Some(node.plan.address.as_str()) {
            return;
        }
        let address = node.plan.address.clone();
        command(node, Command::SetAddress { node: node.me, address }).await;
        sleep(TICK).await;
    }
}

/// Ends the node when the Raft core has ended by itself.
pub(crate) async fn watch_core(node: &Node, running: &Running) {
    let mut metrics = running.raft.server_metrics();
    loop {
        if metrics.changed().await.is_err() {
            break;
        }
        if running.raft.metrics().borrow_watched().running_state.is_err() {
            break;
        }
    }
    if !node.stop.is_cancelled() {
        let state = running.metrics().running_state;
        error!(node.id = %node.me, ?state, "the raft core has stopped: this node exits");
        node.stop.cancel();
    }
}

/// Stops Raft, and writes down what its log holds.
pub(crate) async fn shut_down(node: &Node, running: &Running) {
    if let Err(cause) = running.raft.shutdown().await {
        warn!(error = %cause, "raft did not stop cleanly");
    }
    if let Err(cause) = write_floor(node, running) {
        warn!(error = %cause, "cannot update this node's certificate");
    }
}

/// Hands leadership to the voter that has most of the log, and waits until it has it.
pub(crate) async fn hand_over(node: &Node, running: &Running) {
    hand_over_to(node, running, |_| true).await;
}

/// The same to one of those that may lead.
async fn hand_over_to(node: &Node, running: &Running, may: impl Fn(NodeId) -> bool) {
    let metrics = running.metrics();
    if !metrics.state.is_leader() {
        return;
    }
    let view = node.gossip.view();
    let alive = |id: &u64| view.peers.get(&NodeId(*id)).is_some_and(|peer| peer.alive);
    let matched = metrics.replication.unwrap_or_default();
    let voters = metrics.membership_config.membership().voter_ids();
    let heir = voters
        .filter(|id| *id != node.me.0 && may(NodeId(*id)))
        .max_by_key(|id| (alive(id), matched.get(id).cloned().flatten(), *id));
    let Some(heir) = heir else { return };
    info!(node.id = %NodeId(heir), "handing over leadership");
    if running.raft.trigger().transfer_leader(heir).await.is_err() {
        return;
    }
    while running.leader().is_none_or(|leader| leader == node.me) {
        sleep(FIRST_TICKS / 10).await;
    }
}
