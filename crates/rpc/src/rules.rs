//! Which calls reach a service at all, decided from what the call claims and what the caller's
//! certificate proves.

use bytes::Bytes;
use dunlin_proto::v1::refusal::Cause;
use dunlin_proto::v1::{self, Refusal};
use dunlin_types::{ClusterId, NodeId};

use crate::Service;
use crate::error::standing;

/// Which service a call may be handed to.
///
/// Calls are between two members of one cluster. Only [`Service::Join`] is open to and from nodes
/// of no cluster, but not between two clusters, which must never merge.
pub(crate) fn admit(
    me: NodeId,
    (ours, former): (Option<ClusterId>, &[ClusterId]),
    caller: NodeId,
    call: &v1::Request,
) -> Result<Service, Refusal> {
    if caller == me {
        let reason = format!("node {me} was called by itself, or by a copy of its data directory");
        return Err(refusal(Cause::Itself, reason));
    }
    if call.from != caller.0 {
        let reason =
            format!("the call claims node {}, its certificate {caller}", NodeId(call.from));
        return Err(refusal(Cause::Refused, reason));
    }
    let Some(service) = service_of(call.service()) else {
        let reason = format!("this release knows no service {}", call.service);
        return Err(refusal(Cause::Refused, reason));
    };
    match call.to {
        Some(to) if to == me.0 => {}
        None if service == Service::Join => {}
        Some(to) => {
            let reason = format!("the call is for node {}, this is node {me}", NodeId(to));
            return Err(refusal(Cause::WrongTarget, reason));
        }
        None => return Err(refusal(Cause::Refused, "the call names no node".to_owned())),
    }
    let theirs = cluster_of(call.cluster.as_ref());
    let same = ours.is_some() && ours == theirs;
    let joining = service == Service::Join && (ours.is_none() || theirs.is_none());
    if same || joining {
        return Ok(service);
    }
    let reason = format!("the call is {}, node {me} is {}", standing(theirs), standing(ours));
    let superseded = theirs.is_some_and(|theirs| former.contains(&theirs));
    let cluster = ours.map(cluster_bytes);
    Err(Refusal { cluster, superseded, ..refusal(Cause::WrongCluster, reason) })
}

/// Whether a client's request may be passed on to this node: by members of its own cluster only.
pub(crate) fn admit_client(
    me: NodeId,
    ours: Option<ClusterId>,
    (caller, to, theirs): (NodeId, Option<NodeId>, Option<ClusterId>),
) -> Result<(), Refusal> {
    if caller == me {
        let reason = format!("a client's request came back to node {me}");
        return Err(refusal(Cause::Itself, reason));
    }
    if to != Some(me) {
        let reason = format!("a client's request is for another node than {me}");
        return Err(refusal(Cause::WrongTarget, reason));
    }
    if ours.is_none() || ours != theirs {
        let reason =
            format!("the request is {}, node {me} is {}", standing(theirs), standing(ours));
        return Err(refusal(Cause::WrongCluster, reason));
    }
    Ok(())
}

pub(crate) fn refusal(cause: Cause, reason: String) -> Refusal {
    Refusal { cause: cause.into(), reason, cluster: None, superseded: false }
}

pub(crate) fn cluster_bytes(cluster: ClusterId) -> Bytes {
    Bytes::copy_from_slice(&cluster.0.to_be_bytes())
}

/// A malformed id counts as none: such a peer belongs to no cluster this node knows.
pub(crate) fn cluster_of(bytes: Option<&Bytes>) -> Option<ClusterId> {
    let bytes: [u8; 16] = bytes?.as_ref().try_into().ok()?;
    Some(ClusterId(u128::from_be_bytes(bytes)))
}

pub(crate) fn wire_service(service: Service) -> v1::Service {
    match service {
        Service::Raft => v1::Service::Raft,
        Service::Propose => v1::Service::Propose,
        Service::Limits => v1::Service::Limits,
        Service::Money => v1::Service::Money,
        Service::Records => v1::Service::Records,
        Service::Store => v1::Service::Store,
        Service::Join => v1::Service::Join,
    }
}

fn service_of(service: v1::Service) -> Option<Service> {
    match service {
        v1::Service::Unspecified => None,
        v1::Service::Raft => Some(Service::Raft),
        v1::Service::Propose => Some(Service::Propose),
        v1::Service::Limits => Some(Service::Limits),
        v1::Service::Money => Some(Service::Money),
        v1::Service::Records => Some(Service::Records),
        v1::Service::Store => Some(Service::Store),
        v1::Service::Join => Some(Service::Join),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId(1);
    const PEER: NodeId = NodeId(2);
    const OURS: ClusterId = ClusterId(7);
    const OTHER: ClusterId = ClusterId(8);
    /// Those between members of one cluster.
    const INNER: [Service; 6] = [
        Service::Raft,
        Service::Propose,
        Service::Limits,
        Service::Money,
        Service::Records,
        Service::Store,
    ];

    fn call(service: Service, to: Option<u64>, cluster: Option<ClusterId>) -> v1::Request {
        v1::Request {
            from: PEER.0,
            to,
            cluster: cluster.map(cluster_bytes),
            service: wire_service(service).into(),
            body: Bytes::new(),
        }
    }

    fn check(ours: Option<ClusterId>, call: &v1::Request, expected: Result<Service, Cause>) {
        let got = admit(ME, (ours, &[]), PEER, call).map_err(|refusal| refusal.cause());
        assert_eq!(got, expected, "{ours:?} {call:?}");
    }

    #[test]
    fn members_of_one_cluster_reach_every_service() {
        for service in INNER.into_iter().chain([Service::Join]) {
            check(Some(OURS), &call(service, Some(ME.0), Some(OURS)), Ok(service));
        }
    }

    #[test]
    fn only_join_is_open_to_and_from_nodes_of_no_cluster() {
        for (ours, theirs) in [(None, None), (None, Some(OURS)), (Some(OURS), None)] {
            check(ours, &call(Service::Join, None, theirs), Ok(Service::Join));
            for service in INNER {
                check(ours, &call(service, Some(ME.0), theirs), Err(Cause::WrongCluster));
            }
        }
    }

    #[test]
    fn two_clusters_never_talk_not_even_to_join() {
        check(Some(OURS), &call(Service::Join, None, Some(OTHER)), Err(Cause::WrongCluster));
        check(Some(OURS), &call(Service::Raft, Some(ME.0), Some(OTHER)), Err(Cause::WrongCluster));
    }

    #[test]
    fn who_comes_back_from_a_cluster_that_was_lost_is_told_so() {
        for service in [Service::Join, Service::Raft] {
            let call = call(service, Some(ME.0), Some(OTHER));
            let told = |former: &[ClusterId]| {
                let refusal = admit(ME, (Some(OURS), former), PEER, &call).expect_err("refused");
                (refusal.cause(), refusal.superseded)
            };
            assert_eq!(told(&[ClusterId(6), OTHER]), (Cause::WrongCluster, true));
            assert_eq!(told(&[ClusterId(6)]), (Cause::WrongCluster, false));
        }
    }

    #[test]
    fn a_call_for_another_node_or_for_any_node_is_refused() {
        check(Some(OURS), &call(Service::Raft, Some(9), Some(OURS)), Err(Cause::WrongTarget));
        check(Some(OURS), &call(Service::Join, Some(9), None), Err(Cause::WrongTarget));
        check(Some(OURS), &call(Service::Raft, None, Some(OURS)), Err(Cause::Refused));
    }

    #[test]
    fn a_caller_is_who_its_certificate_says() {
        let forged = v1::Request { from: 3, ..call(Service::Raft, Some(ME.0), Some(OURS)) };
        check(Some(OURS), &forged, Err(Cause::Refused));
        let own = v1::Request { from: ME.0, ..call(Service::Raft, Some(ME.0), Some(OURS)) };
        let got = admit(ME, (Some(OURS), &[]), ME, &own).map_err(|refusal| refusal.cause());
        assert_eq!(got, Err(Cause::Itself));
    }

    #[test]
    fn clients_are_passed_on_by_members_of_the_same_cluster_only() {
        let check = |caller, to, theirs, expected: Result<(), Cause>| {
            let got = admit_client(ME, Some(OURS), (caller, to, theirs));
            assert_eq!(got.map_err(|refusal| refusal.cause()), expected);
        };
        check(PEER, Some(ME), Some(OURS), Ok(()));
        check(PEER, Some(NodeId(9)), Some(OURS), Err(Cause::WrongTarget));
        check(PEER, None, Some(OURS), Err(Cause::WrongTarget));
        check(PEER, Some(ME), Some(OTHER), Err(Cause::WrongCluster));
        check(PEER, Some(ME), None, Err(Cause::WrongCluster));
        check(ME, Some(ME), Some(OURS), Err(Cause::Itself));
        let unformed = admit_client(ME, None, (PEER, Some(ME), None));
        assert!(unformed.is_err(), "two nodes of no cluster are not of one");
    }

    #[test]
    fn a_service_of_a_later_release_is_refused_by_name() {
        let later = v1::Request { service: 99, ..call(Service::Raft, Some(ME.0), Some(OURS)) };
        let refusal = admit(ME, (Some(OURS), &[]), PEER, &later).expect_err("unknown");
        assert!(refusal.reason.contains("99"), "{}", refusal.reason);
    }
}
