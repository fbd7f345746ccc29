//! What the leader is to do: write down who is a member and who is silent, and keep the number of
//! voters at 1, 3 or 5. Pure: the cluster at one moment in, the next acts out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dunlin_state::Format;
use dunlin_types::NodeId;

/// A member this silent is marked down: the limits it owned move on.
pub(crate) const DOWN_AFTER: Duration = Duration::from_secs(2);
/// A learner becomes a voter after being well this long; at once while there are fewer than 3.
const WELL_FOR: Duration = Duration::from_secs(10);
/// A voter this silent is replaced, if there is somebody to replace it.
const DEAD_AFTER: Duration = Duration::from_secs(60);
/// Entries a learner may lack to count as caught up.
const LAG: u64 = 250;

/// One member as the leader sees it. The leader itself is among them, never silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberStatus {
    /// Whether it was removed for good: it is only waited for until Raft lets it go.
    pub(crate) removed: bool,
    /// Whether the replicated state lists it.
    pub(crate) listed: bool,
    /// Whether the replicated state has it marked down.
    pub(crate) down: bool,
    /// Whether the replicated state has it own no limits.
    pub(crate) resting: bool,
    /// Whether it says that it drains; none if it says nothing.
    pub(crate) draining: Option<bool>,
    /// Since when neither gossip nor Raft has heard it.
    pub(crate) silent: Duration,
    /// For how long it has been heard and caught up, without a gap.
    pub(crate) well: Duration,
    /// Entries it lacks; none if that is not known.
    pub(crate) lag: Option<u64>,
    /// The newest format of the log that it says it knows; none if it is not heard.
    pub(crate) format: Option<Format>,
}

/// The cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) leader: NodeId,
    pub(crate) voters: BTreeSet<NodeId>,
    /// All members, voters included.
    pub(crate) members: BTreeMap<NodeId, MemberStatus>,
    /// The log's format.
    pub(crate) format: Format,
    /// Whether it is raised only when somebody says so.
    pub(crate) format_held: bool,
}

/// One thing to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    List(NodeId),
    MarkDown(NodeId),
    MarkUp(NodeId),
    /// Whether it owns limits: not while it drains.
    Rest(NodeId, bool),
    /// Every member knows it.
    RaiseFormat(Format),
    /// To these; who leaves stays a learner.
    SetVoters(BTreeSet<NodeId>),
    /// A learner that was removed leaves Raft's membership.
    Drop(NodeId),
    /// This node was removed: another one must lead.
    HandOver,
}

/// What to propose now: marks as needed, and at most one change of voters, last.
pub(crate) fn acts(cluster: &Cluster) -> Vec<Act> {
    let mut acts = Vec::new();
    for (id, sight) in &cluster.members {
        if sight.removed {
            if *id == cluster.leader {
                acts.push(Act::HandOver);
            } else if !cluster.voters.contains(id) {
                acts.push(Act::Drop(*id));
            }
        } else if !sight.listed {
            acts.push(Act::List(*id));
        } else if !sight.down && sight.silent >= DOWN_AFTER {
            acts.push(Act::MarkDown(*id));
        } else if sight.down && sight.silent.is_zero() {
            acts.push(Act::MarkUp(*id));
        } else if let Some(draining) = sight.draining.filter(|draining| *draining != sight.resting)
        {
            acts.push(Act::Rest(*id, draining));
        }
    }
    acts.extend(newer_format(cluster).map(Act::RaiseFormat));
    // A leader that is to go, and a change of members under way, come first.
    if !acts.iter().any(|act| matches!(act, Act::HandOver | Act::Drop(_))) {
        acts.extend(voters(cluster).map(Act::SetVoters));
    }
    acts
}

/// The newest format that all members know, if it may be raised to that. One that is away may come back
/// in an older version.
fn newer_format(cluster: &Cluster) -> Option<Format> {
    let members = cluster.members.values().filter(|member| !member.removed);
    let known = members.map(|member| member.format).min().flatten()?;
    (known > cluster.format && !cluster.format_held).then_some(known)
}

fn voters(cluster: &Cluster) -> Option<BTreeSet<NodeId>> {
    let now = &cluster.voters;
    let removed = |id: &NodeId| cluster.members.get(id).is_some_and(|s| s.removed);
    let dead =
        |id: &NodeId| cluster.members.get(id).is_none_or(|s| s.removed || s.silent >= DEAD_AFTER);
    let mut fit = cluster.members.iter().filter(|(id, sight)| {
        !now.contains(id)
            && !sight.removed
            && sight.silent.is_zero()
            && sight.lag.is_some_and(|lag| lag <= LAG)
            && (sight.well >= WELL_FOR || now.len() < 3)
    });
    let present = cluster.members.keys().filter(|id| !dead(id)).count();
    let target = match present {
        0..3 => 1,
        3..5 => 3,
        5.. => 5,
    };

    if let Some(gone) = now.iter().find(|id| removed(id)) {
        let mut next = now.clone();
        next.remove(gone);
        next.extend(fit.next().map(|(id, _)| *id));
        let heard =
            next.iter().filter(|id| cluster.members.get(id).is_some_and(|s| s.silent.is_zero()));
        // Those who are left must be able to go on.
        return (heard.count() * 2 > next.len()).then_some(next);
    }
    if now.len() < target {
        let wanted = target - now.len();
        let mut next = now.clone();
        next.extend(fit.by_ref().map(|(id, _)| *id).take(wanted));
        // Only to an odd number: two more of three lose what one of three loses.
        return (next.len() > now.len() && next.len() % 2 == 1).then_some(next);
    }
    if now.len() >= 3
        && let Some(lost) = now.iter().find(|id| dead(id))
        && let Some((heir, _)) = fit.next()
    {
        let mut next = now.clone();
        next.remove(lost);
        next.insert(*heir);
        return Some(next);
    }
    if now.len() > 5 || (now.len() > 3 && now.len().is_multiple_of(2)) {
        let others = || now.iter().rev().filter(|id| **id != cluster.leader);
        let leaving = others().find(|id| dead(id)).or_else(|| others().next())?;
        let mut next = now.clone();
        next.remove(leaving);
        return Some(next);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: MemberStatus = MemberStatus {
        removed: false,
        listed: true,
        down: false,
        resting: false,
        draining: Some(false),
        silent: Duration::ZERO,
        well: Duration::from_secs(11),
        lag: Some(0),
        format: Some(Format::FIRST),
    };

    fn silent(seconds: u64) -> MemberStatus {
        MemberStatus { silent: Duration::from_secs(seconds), well: Duration::ZERO, ..WELL }
    }

    fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().map(|id| NodeId(*id)).collect()
    }

    /// Members are numbered from 1, the leader; the first `voters` of them vote.
    fn cluster(voters: u64, members: &[MemberStatus]) -> Cluster {
        Cluster {
            leader: NodeId(1),
            voters: (1..=voters).map(NodeId).collect(),
            members: (1..).map(NodeId).zip(members.iter().cloned()).collect(),
            format: Format::FIRST,
            format_held: false,
        }
    }

    fn check(voters: u64, members: &[MemberStatus], expected: &[Act]) {
        assert_eq!(acts(&cluster(voters, members)), expected, "{voters} of {members:?}");
    }

    #[test]
    fn the_number_of_voters_grows_in_odd_steps() {
        let young = MemberStatus { well: Duration::ZERO, ..WELL };
        let behind = MemberStatus { lag: Some(251), ..WELL };
        check(1, &[WELL], &[]);
        check(1, &[WELL, young.clone()], &[]);
        check(1, &[WELL, young.clone(), young.clone()], &[Act::SetVoters(ids(&[1, 2, 3]))]);
        check(2, &[WELL, WELL, young.clone()], &[Act::SetVoters(ids(&[1, 2, 3]))]);
        check(2, &[WELL, WELL, behind.clone()], &[]);
        check(3, &[WELL, WELL, WELL, WELL], &[]);
        check(3, &[WELL, WELL, WELL, WELL, young], &[]);
        check(3, &[WELL, WELL, WELL, WELL, behind], &[]);
        check(3, &[WELL, WELL, WELL, WELL, WELL], &[Act::SetVoters(ids(&[1, 2, 3, 4, 5]))]);
        check(5, &[WELL, WELL, WELL, WELL, WELL, WELL, WELL], &[]);
    }

    #[test]
    fn a_dead_voter_is_replaced_only_by_a_healthy_learner() {
        let dead = MemberStatus { down: true, ..silent(60) };
        let gone = MemberStatus { down: true, ..silent(59) };
        check(3, &[WELL, dead.clone(), WELL], &[]);
        check(3, &[WELL, gone, WELL, WELL], &[]);
        check(3, &[WELL, dead.clone(), WELL, dead.clone()], &[]);
        check(3, &[WELL, dead.clone(), WELL, WELL], &[Act::SetVoters(ids(&[1, 3, 4]))]);
        check(2, &[WELL, dead], &[]);
    }

    #[test]
    fn an_even_number_of_voters_shrinks_but_never_below_three() {
        let dead = MemberStatus { down: true, ..silent(60) };
        check(4, &[WELL, WELL, WELL, WELL], &[Act::SetVoters(ids(&[1, 2, 3]))]);
        check(4, &[WELL, dead, WELL, WELL], &[Act::SetVoters(ids(&[1, 3, 4]))]);
        check(6, &[WELL, WELL, WELL, WELL, WELL, WELL], &[Act::SetVoters(ids(&[1, 2, 3, 4, 5]))]);
        check(2, &[WELL, WELL], &[]);
    }

    #[test]
    fn a_removed_voter_goes_at_once_and_a_healthy_learner_takes_its_place() {
        let gone = MemberStatus { removed: true, listed: false, ..silent(3) };
        let going = MemberStatus { removed: true, listed: false, ..WELL };
        check(3, &[WELL, gone.clone(), WELL], &[Act::SetVoters(ids(&[1, 3]))]);
        check(3, &[WELL, going.clone(), WELL], &[Act::SetVoters(ids(&[1, 3]))]);
        check(3, &[WELL, gone.clone(), WELL, WELL], &[Act::SetVoters(ids(&[1, 3, 4]))]);
        check(2, &[WELL, WELL, gone.clone()], &[Act::Drop(NodeId(3))]);
        check(
            5,
            &[WELL, gone.clone(), silent(1), WELL, WELL],
            &[Act::SetVoters(ids(&[1, 3, 4, 5]))],
        );
        // With it gone, too few would be heard.
        check(3, &[WELL, gone.clone(), silent(1)], &[]);
        // It takes nobody's place, and a leader that is to go hands over first.
        check(
            3,
            &[WELL, silent(60), WELL, gone.clone()],
            &[Act::MarkDown(NodeId(2)), Act::Drop(NodeId(4))],
        );
        check(3, &[going, WELL, WELL], &[Act::HandOver]);
    }

    #[test]
    fn the_format_is_raised_to_the_newest_that_all_members_know() {
        let first = Format::FIRST.0;
        let knows = |format| MemberStatus { format: Some(Format(first + format)), ..WELL };
        let away = MemberStatus { format: None, ..silent(1) };
        let gone = MemberStatus { removed: true, listed: false, ..away.clone() };
        let raise = |format| [Act::RaiseFormat(Format(first + format))];
        check(1, &[knows(1)], &raise(1));
        check(3, &[knows(1), knows(0), knows(1)], &[]);
        check(3, &[knows(1), knows(1), away.clone()], &[]);
        check(3, &[knows(3), knows(2), knows(1)], &raise(1));
        // A learner counts like a voter; who was removed does not.
        check(3, &[knows(1), knows(1), knows(1), knows(0)], &[]);
        let left = acts(&cluster(3, &[knows(1), knows(1), knows(1), gone]));
        assert_eq!(left, [Act::Drop(NodeId(4)), Act::RaiseFormat(Format(first + 1))]);
        let held = Cluster { format_held: true, ..cluster(1, &[knows(1)]) };
        assert_eq!(acts(&held), []);
        let raised = Cluster { format: Format(first + 1), ..cluster(1, &[knows(1)]) };
        assert_eq!(acts(&raised), []);
    }

    #[test]
    fn silence_is_marked_after_two_seconds_and_unmarked_by_a_word() {
        let unlisted = MemberStatus { listed: false, ..WELL };
        let marked = |sight: MemberStatus| MemberStatus { down: true, ..sight };
        check(3, &[WELL, silent(1), silent(2)], &[Act::MarkDown(NodeId(3))]);
        check(3, &[WELL, marked(silent(1)), marked(WELL)], &[Act::MarkUp(NodeId(3))]);
        let drains = MemberStatus { draining: Some(true), ..WELL };
        let rests = MemberStatus { resting: true, ..drains.clone() };
        let unheard = MemberStatus { draining: None, ..rests.clone() };
        check(3, &[drains, rests, unheard.clone()], &[Act::Rest(NodeId(1), true)]);
        let serves = MemberStatus { draining: Some(false), ..unheard };
        check(3, &[WELL, WELL, serves], &[Act::Rest(NodeId(3), false)]);
        check(3, &[WELL, unlisted, WELL], &[Act::List(NodeId(2))]);
    }
}
