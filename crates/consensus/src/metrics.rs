//! What Prometheus is told of the replicated log.

use std::time::Duration;

use dunlin_metrics::{Desc, Page};

use crate::{Consensus, Role, Status};

static LEADS: Desc = Desc::gauge(
    "dunlin_raft_is_leader",
    "1 on the leader if it has heard a quorum within 2 s. The sum over all nodes is 1, or 0 while \
     there is no leader.",
    &[],
);
static HAS_LEADER: Desc = Desc::gauge(
    "dunlin_raft_has_leader",
    "1 if this node has heard a leader with a quorum within 2 s.",
    &[],
);
static ROLE: Desc = Desc::gauge(
    "dunlin_raft_role",
    "1 for this node's role: `joining`, `learner`, `follower`, `candidate` or `leader`.",
    &["role"],
);
static TERM: Desc =
    Desc::gauge("dunlin_raft_term", "The Raft term. Each election begins a new one.", &[]);
static LAST: Desc =
    Desc::gauge("dunlin_raft_last_log_index", "The last entry in this node's log.", &[]);
static COMMITTED: Desc = Desc::gauge(
    "dunlin_raft_committed_index",
    "The last entry that this node knows to be committed.",
    &[],
);
static APPLIED: Desc = Desc::gauge(
    "dunlin_raft_applied_index",
    "The last entry applied to the state that this node serves from.",
    &[],
);
static SNAPSHOT: Desc = Desc::gauge(
    "dunlin_raft_snapshot_index",
    "The last entry in this node's newest snapshot.",
    &[],
);
static LOG_BYTES: Desc =
    Desc::gauge("dunlin_raft_log_bytes", "Size of this node's Raft log on disk.", &[]);
static SNAPSHOT_BYTES: Desc =
    Desc::gauge("dunlin_raft_snapshot_bytes", "Size of this node's newest snapshot on disk.", &[]);
static MEMBERS: Desc = Desc::gauge(
    "dunlin_raft_members",
    "Members of the cluster as this node knows them: `voter` or `learner`.",
    &["kind"],
);
static STALENESS: Desc = Desc::gauge(
    "dunlin_staleness_seconds",
    "For how long the cluster may have decided things that this node does not know. Beyond \
     `max_staleness` the node passes requests on or refuses them.",
    &[],
);
static SKEW: Desc = Desc::gauge(
    "dunlin_clock_skew_seconds",
    "How far this node's clock is ahead of cluster time; negative if it is behind.",
    &[],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[
    &LEADS,
    &HAS_LEADER,
    &ROLE,
    &TERM,
    &LAST,
    &COMMITTED,
    &APPLIED,
    &SNAPSHOT,
    &LOG_BYTES,
    &SNAPSHOT_BYTES,
    &MEMBERS,
    &STALENESS,
    &SKEW,
];

/// A leader that was not heard for so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

const ROLES: [(&str, Role); 5] = [
    ("joining", Role::Joining),
    ("learner", Role::Learner),
    ("follower", Role::Follower),
    ("candidate", Role::Candidate),
    ("leader", Role::Leader),
];

impl Consensus {
    /// Writes what is known now on a page. Asks nobody.
    pub fn report(&self, page: &mut Page) {
        let Status { leader_heard, term, applied, role, voters, learners, clock_skew_ms, .. } =
            self.status();
        let silence = leader_heard.map(|heard| self.node.clock.mono().since(heard));
        let has_leader = silence.is_some_and(|silence| silence < LOST_AFTER);
        page.level(&LEADS, &[], u8::from(role == Role::Leader && has_leader));
        page.level(&HAS_LEADER, &[], u8::from(has_leader));
        for (name, one) in ROLES {
            page.level(&ROLE, &[name], u8::from(role == one));
        }
        page.level(&TERM, &[], term);
        page.level(&APPLIED, &[], applied);
        page.level(&MEMBERS, &["voter"], voters.len());
        page.level(&MEMBERS, &["learner"], learners.len());
        page.gauge(&STALENESS, &[], self.staleness().as_secs_f64());
        let skew = i32::try_from(clock_skew_ms.clamp(-MAX_SKEW_MS, MAX_SKEW_MS));
        page.gauge(&SKEW, &[], f64::from(skew.unwrap_or_default()) / 1000.0);
        let Some(running) = self.node.running() else { return };
        let metrics = running.metrics();
        page.level(&LAST, &[], metrics.last_log_index.unwrap_or_default());
        page.level(&COMMITTED, &[], metrics.local_committed.map_or(0, |last| last.index));
        page.level(&SNAPSHOT, &[], metrics.snapshot.map_or(0, |last| last.index));
        page.level(&LOG_BYTES, &[], running.log.bytes());
        page.level(&SNAPSHOT_BYTES, &[], running.snapshots.bytes());
    }
}

/// Three weeks: a clock that is further off is told as that.
const MAX_SKEW_MS: i64 = i32::MAX as i64;
