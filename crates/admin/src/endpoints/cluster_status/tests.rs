//! The status of clusters in trouble, as operators read it.

use dunlin_seal::Sealer;
use dunlin_types::Secret;
use std::collections::BTreeMap;

use dunlin_consensus::{FormatStatus, Role};
use dunlin_gossip::{HealthFact, LoadFact, Peer};
use dunlin_state::{Command, CommandId, Entry, Format};
use dunlin_types::{ClusterId, Epoch, MonoMillis, NoConnection, UnixMillis};

use super::*;

fn peer(alive: bool) -> Peer {
    let fact = NodeFact {
        api_address: "peer:4000".to_owned(),
        ready: true,
        master_key: "theirs".to_owned(),
        prices: "theirs".to_owned(),
        clock_skew_ms: -1_200,
        ..NodeFact::default()
    };
    Peer {
        epoch: Epoch(1),
        alive,
        heard: MonoMillis(0),
        node: Some(fact),
        load: LoadFact::default(),
        health: HealthFact::default(),
    }
}

/// The cluster as a follower knows it.
fn followed_by_this() -> Status {
    Status {
        cluster: Some(ClusterId(7)),
        leader: Some(NodeId(2)),
        term: 4,
        applied: 4,
        role: Role::Follower,
        voters: vec![NodeId(1), NodeId(2)],
        learners: vec![],
        leader_heard: Some(MonoMillis(95_000)),
        clock_skew_ms: 0,
        log_bytes: 0,
        snapshot_bytes: 0,
    }
}

#[test]
fn members_are_shown_by_what_the_cluster_decided_and_what_is_heard_of_them() {
    let mut state = dunlin_state::State::new();
    let add = |node| Command::AddNode { node: NodeId(node), address: format!("n{node}:4100") };
    let commands = [add(1), add(2), add(3), Command::MarkDown { node: NodeId(3) }];
    for (seq, command) in (1..).zip(commands) {
        let id = CommandId { node: NodeId(1), epoch: Epoch(1), seq };
        state.apply(seq, UnixMillis(0), &Entry { id, actor: None, command }).expect("accepted");
    }
    let consensus = followed_by_this();
    let sealer = Sealer::new(&Secret::new("a cluster's secret").into());
    let (me, api) = (NodeId(1), "127.0.0.1:4000".to_owned());
    let own =
        Config { me, api, sealer: sealer.into(), max_staleness: None, root_path: String::new() };
    let peers = BTreeMap::from([(NodeId(2), peer(true)), (NodeId(3), peer(false))]);
    let view = View { me: NodeId(1), peers };
    let [master_key, prices] = ["ours", "ours"].map(str::to_owned);
    let said = NodeFact { master_key, prices, ..NodeFact::default() };
    let (format, newest) = (state.format(), Format::NEWEST);
    let format = FormatStatus { format, newest, held: false, waits_for: Vec::new() };
    let seen = Seen {
        own: &own,
        said: &said,
        ready: true,
        consensus: &consensus,
        format: &format,
        staleness: Duration::ZERO,
        now: MonoMillis(96_000),
        state: &state,
        view: &view,
    };
    let told = seen.status(Vec::new());
    assert_eq!((told.leader, told.config_revision), (Some(NodeId(2)), 0));
    let members: Vec<_> = told
        .members
        .iter()
        .map(|one| (one.role, one.alive, one.down, one.ready, one.api_address.as_deref()))
        .collect();
    let expected = [
        (MemberRole::Voter, true, false, true, Some("127.0.0.1:4000")),
        (MemberRole::Leader, true, false, true, Some("peer:4000")),
        (MemberRole::Outside, false, true, false, Some("peer:4000")),
    ];
    assert_eq!(members, expected);
    let odd = |one: &MemberStatus| (one.other_master_key, one.other_prices);
    let (odd, no): (Vec<_>, _) = (told.members.iter().map(odd).collect(), (false, false));
    assert_eq!(odd, [no, (true, true), no], "a dead one's key and prices are of no account");
    let skews: Vec<_> = told.members.iter().map(|one| one.clock_skew_ms).collect();
    assert_eq!(skews, [0, -1_200, -1_200], "as each last said");

    assert_eq!(told.no_majority, None);
    let refusing = Config { max_staleness: Some(Duration::from_secs(60)), ..own.clone() };
    let now = MonoMillis(95_000 + 40_500);
    let lost = |own, staleness_ms| {
        let staleness = Duration::from_millis(staleness_ms);
        let told = Seen { own, staleness, now, ..seen }.status(Vec::new());
        assert_eq!(told.leader, None, "who is not heard does not lead");
        assert_eq!(told.members[1].role, MemberRole::Voter);
        told.no_majority.expect("nothing was heard for long")
    };
    let of = |serves_for_s| NoMajority { for_s: 40, serves_for_s };
    assert_eq!(lost(&refusing, 40_500), of(Some(19)));
    assert_eq!(lost(&refusing, 90_000), of(Some(0)), "it refuses clients");
    assert_eq!(lost(&refusing, 300), of(None), "there can be none without it");
    assert_eq!(lost(&own, 40_500), of(None), "it was told to go on");
}

#[test]
fn a_backend_says_why_it_gets_nothing() {
    let ready = dunlin_upstream::BackendStatus {
        api_base: "http://gpu:8000/v1".into(),
        upstream_model: "m".into(),
        groups: vec!["chat".into()],
        in_flight: 2,
        load: 3.5,
        out: false,
        out_because: None,
        cooling_for: None,
        parked: None,
    };
    assert_eq!(backend(&ready).state, "ready");
    let out = dunlin_upstream::BackendStatus { out: true, ..ready.clone() };
    assert_eq!(backend(&out).state, "unreachable: other nodes find it so");
    let out_because = Some(Outcome::Refused(NoConnection::Unresolved));
    let unknown = dunlin_upstream::BackendStatus { out_because, ..out.clone() };
    let state = "unreachable: the host name cannot be resolved";
    assert_eq!(backend(&unknown).state, state);
    let parked = dunlin_upstream::BackendStatus { parked: Some("no key".into()), ..out };
    assert_eq!(backend(&parked).state, "parked: no key");
}
