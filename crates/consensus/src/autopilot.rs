//! What the leader does without being asked: it looks at the cluster, and carries out what `acts.rs`
//! makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dunlin_state::Command;
use dunlin_types::{MonoMillis, NodeId};
use openraft::{BasicNode, ChangeMembers, Instant};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::cluster_time::LocalTime;
use crate::format;
use crate::hand_over::{HAND_OVER, hand_over, hand_over_to};
use crate::node::{Node, Running};
use crate::propose;
use crate::raft::Metrics;

mod acts;

use acts::{Act, Cluster, MemberStatus};

pub(crate) use acts::DOWN_AFTER;

/// The autopilot looks this often.
const TICK: Duration = Duration::from_secs(1);
/// A leader that has just won looks sooner, so that a new cluster is ready sooner.
const FIRST_TICKS: Duration = Duration::from_millis(100);
/// How often it is said that something is to be tried again.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// A leader whose quorum is silent for so long can change nothing. One that comes back alone takes
/// itself for the leader still, and would mark down those whom it cannot hear.
pub(crate) const QUORUM_LOST: Duration = Duration::from_secs(1);
/// A leader whose clock is off for so long hands over; the first one waits for others' as long.
const OFF_FOR: Duration = Duration::from_secs(3);

/// Runs until the node stops; does something only while this node leads a quorum.
pub(crate) async fn run(node: &Node, running: &Running) {
    let mut observed = Observed::default();
    let mut pause = FIRST_TICKS;
    loop {
        sleep(pause).await;
        let metrics = running.metrics();
        if running.quorum_age().is_none_or(|age| age >= QUORUM_LOST) {
            observed = Observed::default();
            pause = FIRST_TICKS;
            continue;
        }
        observed.mind_the_clock(node, running).await;
        let cluster = observed.look(node, &metrics);
        if observed.may_learn_the_time(node, cluster.voters.len()) {
            pause = FIRST_TICKS;
            continue;
        }
        let acts = acts::acts(&cluster);
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
struct Observed {
    /// When this node first looked as the leader.
    since: Option<MonoMillis>,
    /// Since when its clock is off.
    off_since: Option<MonoMillis>,
    well_since: BTreeMap<NodeId, MonoMillis>,
}

impl Observed {
    /// Goes by the time of all. Whose clock is off does not lead: it would be right by the others'
    /// word only.
    async fn mind_the_clock(&mut self, node: &Node, running: &Running) {
        let here = LocalTime::now(&node.clock);
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
        let is_in = |id: NodeId| membership.nodes().any(|(known, _)| *known == id.0);
        self.well_since.retain(|id, _| is_in(*id));
        node.freshness.forget_all_but(is_in);
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
            let status = MemberStatus {
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
                format: format::known_to(node, &view, id),
            };
            (id, status)
        });
        let members = members.collect();
        let state = node.published.state();
        Cluster {
            leader: node.me,
            voters: membership.voter_ids().map(NodeId).collect(),
            members,
            format: state.format(),
            format_held: state.format_is_held(),
        }
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
        Act::RaiseFormat(to) => {
            info!(
                format = to.0,
                "every member knows format {to} of the replicated log: it is in force from here on, \
                 and versions that do not know it cannot join or come back"
            );
            command(node, Command::RaiseFormat { to }).await;
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

pub(crate) async fn command(node: &Node, command: Command) {
    if let Err(cause) = propose::propose(node, None, command).await
        && node.is_due_to_tell(TELL_EVERY)
    {
        info!(error = %cause, "the autopilot tries again");
    }
}
