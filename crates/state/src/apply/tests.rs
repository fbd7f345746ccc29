//! Transcripts: commands in, outcomes out.

use dunlin_types::{
    ClusterId, EntityId, Epoch, KeyDigest, Line, NanoUsd, NodeId, PotId, RequestId,
};

use super::*;
use crate::audit::Actor;
use crate::caller::Refusal;
use crate::command::{
    Change, Charge, CommandId, DaySums, Entity, Key, KeyChanges, Kind, ResealedField,
    ResealedResource, ResealedRevision, Resource, ResourceKind, SealedFor, Seen, Spender,
};
use crate::payer::PROXY;

const NODE: NodeId = NodeId(1);

/// Applies commands in order, each under an id and an index of its own.
#[derive(Default)]
struct Script {
    state: State,
    seq: u64,
}

impl Script {
    fn run(&mut self, command: Command) -> Result<Reply, Rejected> {
        self.seq += 1;
        let id = CommandId { node: NODE, epoch: Epoch(1), seq: self.seq };
        self.state.apply(self.seq, UnixMillis(1000 * self.seq), &Entry { id, actor: None, command })
    }
}

fn key(clear: &str, alias: Option<&str>) -> Box<Key> {
    Box::new(Key {
        token: KeyDigest::of(clear),
        name: "sk-...".to_owned(),
        alias: alias.map(str::to_owned),
        ..Key::default()
    })
}

fn settle(epoch: u64, from: u64, to: u64, cost: u64) -> Command {
    // The first key of a script, and the whole.
    let of = [1_000, PROXY.0].map(EntityId);
    let charge = |of| {
        let pot = PotId { of, line: Line::Main };
        Charge { pot, period: UnixMillis(0), cost: NanoUsd(cost), requests: 1 }
    };
    let charges = of.map(charge).into();
    Command::Settle {
        node: NODE,
        epoch: Epoch(epoch),
        from,
        to,
        charges,
        days: DaySums::default(),
        claimed: Vec::new(),
    }
}

#[test]
fn each_stretch_of_a_journal_counts_once() {
    let mut script = Script::default();
    script.run(Command::CreateKey { key: key("sk-a", None) }).expect("a new key");
    let cases = [
        (settle(1, 0, 3, 10), Reply::Done, 10),
        (settle(1, 0, 3, 10), Reply::Unchanged, 10),
        (settle(1, 2, 5, 10), Reply::Unchanged, 10),
        (settle(1, 4, 5, 10), Reply::Unchanged, 10),
        (settle(1, 3, 5, 7), Reply::Done, 17),
        (settle(3, 2, 4, 10), Reply::Unchanged, 17),
        (settle(3, 0, 2, 3), Reply::Done, 20),
        (settle(1, 5, 6, 10), Reply::Unchanged, 20),
    ];
    for (number, (command, reply, spent)) in cases.into_iter().enumerate() {
        assert_eq!(script.run(command), Ok(reply), "case {number}");
        assert_eq!(script.state.key_spend(&KeyDigest::of("sk-a")), NanoUsd(spent), "case {number}");
    }
    script.run(Command::DeleteKeys { tokens: vec![KeyDigest::of("sk-a")] }).expect("known");
    script.run(settle(3, 2, 3, 5)).expect("late spend is no error");
    assert_eq!(script.state.total_spent().cost, NanoUsd(25), "and is not lost");
}

#[test]
fn a_reset_of_all_spend_leaves_users_and_what_is_on_record() {
    let mut script = Script::default();
    script.run(Command::CreateKey { key: key("sk-a", None) }).expect("a new key");
    script.run(settle(1, 0, 1, 10)).expect("settled");
    for (kind, name) in [(Kind::Team, "t"), (Kind::User, "u")] {
        let entity = Box::new(Entity { kind, name: name.to_owned(), ..Entity::default() });
        script.run(Command::CreateEntity { entity, members: Vec::new() }).expect("new");
        let whose = Spender::Entity(kind, name.to_owned());
        let (period, to) = (UnixMillis(0), NanoUsd(5));
        script.run(Command::SetSpendOf { whose, period, to }).expect("set");
    }
    script.run(Command::ResetSpend {}).expect("reset");
    let spent = |kind, name| {
        let of = script.state.entity(kind, name).expect("made").id;
        script.state.spend(&PotId { of, line: Line::Main }).0
    };
    assert_eq!(script.state.key_spend(&KeyDigest::of("sk-a")), NanoUsd(0));
    assert_eq!((spent(Kind::Team, "t"), spent(Kind::User, "u")), (NanoUsd(0), NanoUsd(5)));
    assert_eq!(script.state.total_spent().cost, NanoUsd(10));
}

#[test]
fn a_thing_is_claimed_once_whoever_asks() {
    let mut script = Script::default();
    let claim = |request, made, by| Command::Claim {
        request: RequestId(request),
        made: UnixMillis(made),
        by,
    };
    let cases = [
        (claim(1, 500, None), Reply::Done),
        (claim(1, 500, None), Reply::Unchanged),
        (claim(2, u64::MAX, Some(8)), Reply::Done),
        (claim(1, u64::MAX, Some(8)), Reply::Unchanged),
        // Its first answer was lost.
        (claim(2, u64::MAX, Some(8)), Reply::Done),
        (claim(2, u64::MAX, Some(9)), Reply::Unchanged),
        (claim(2, u64::MAX, None), Reply::Unchanged),
    ];
    for (number, (command, reply)) in cases.into_iter().enumerate() {
        assert_eq!(script.run(command), Ok(reply), "case {number}");
    }
    let restored = State::restore(&script.state.snapshot()).expect("our own");
    assert!(restored.is_claimed(RequestId(2), UnixMillis(5)));
    assert_eq!(restored.digest(), script.state.digest());
    script.state = restored;
    assert_eq!(script.run(claim(2, 5, Some(8))), Ok(Reply::Done), "after a restart too");
}

#[test]
fn what_was_claimed_is_unsettled_until_a_journal_that_says_so_is_settled() {
    let mut script = Script::default();
    let thing = RequestId(7);
    let claim = |request| Command::Claim { request, made: UnixMillis(5), by: None };
    assert_eq!(script.run(claim(RequestId(1))), Ok(Reply::Done));
    assert!(!script.state.is_claim_unsettled(RequestId(1)), "nobody says so in an older format");
    script.run(Command::RaiseFormat { to: Format::NEWEST }).expect("known to all");
    let before = script.state.clone();
    assert_eq!(script.run(claim(thing)), Ok(Reply::Done));
    assert!(script.state.is_claim_unsettled(thing) && !script.state.has_same_claims(&before));
    let restored = State::restore(&script.state.snapshot()).expect("our own");
    assert_eq!(restored.digest(), script.state.digest());
    script.state = restored;
    let of = |from, claimed| {
        let Command::Settle { node, epoch, charges, days, .. } = settle(1, from, from + 1, 10)
        else {
            unreachable!("that is what settles")
        };
        Command::Settle { node, epoch, from, to: from + 1, charges, days, claimed }
    };
    let says = of(1, vec![thing]);
    assert_eq!((of(0, Vec::new()).format(), says.format()), (Format::FIRST, Format(4)));
    assert_eq!(script.run(says.clone()), Ok(Reply::Unchanged), "a stretch is missing");
    assert!(script.state.is_claim_unsettled(thing));
    for settle in [of(0, Vec::new()), says] {
        assert!(script.state.is_claim_unsettled(thing));
        assert_eq!(script.run(settle), Ok(Reply::Done));
    }
    assert!(!script.state.is_claim_unsettled(thing));
    assert!(script.state.is_claimed(thing, UnixMillis(5)), "as before");
}

#[test]
fn a_repeated_proposal_gives_its_first_result() {
    let mut script = Script::default();
    let first = script.run(Command::CreateKey { key: key("sk-a", Some("a")) });
    script.seq -= 1;
    let again = script.run(Command::CreateKey { key: key("sk-a", Some("a")) });
    assert!(first.is_ok());
    assert_eq!(first, again);
}

#[test]
fn an_alias_is_one_keys_at_a_time() {
    let mut script = Script::default();
    let rename = |alias: Change<String>| Command::UpdateKey {
        token: KeyDigest::of("sk-b"),
        changes: Box::new(KeyChanges { alias, ..KeyChanges::default() }),
    };
    let taken = Err(Rejected::DuplicateAlias { alias: "a".to_owned() });
    script.run(Command::CreateKey { key: key("sk-a", Some("a")) }).expect("free");
    assert_eq!(script.run(Command::CreateKey { key: key("sk-b", Some("a")) }), taken);
    assert!(script.state.key(&KeyDigest::of("sk-b")).is_none(), "a rejection changes nothing");
    script.run(Command::CreateKey { key: key("sk-b", Some("b")) }).expect("free");
    assert_eq!(script.run(rename(Change::Set("a".to_owned()))), taken);
    assert_eq!(script.state.key_by_alias("b").map(|key| key.token), Some(KeyDigest::of("sk-b")));
    script.run(Command::DeleteKeys { tokens: vec![KeyDigest::of("sk-a")] }).expect("known");
    script.run(rename(Change::Set("a".to_owned()))).expect("free again");
    assert!(script.state.key_by_alias("b").is_none());
    script.run(rename(Change::Clear)).expect("cleared");
    assert!(script.state.key_by_alias("a").is_none());
    script.run(settle(1, 0, 1, 5)).expect("late spend");
    script.run(Command::CreateKey { key: key("sk-a", None) }).expect("the same text, made anew");
    assert_eq!(script.state.key_spend(&KeyDigest::of("sk-a")), NanoUsd(0), "without the old spend");
    assert_eq!(script.state.total_spent().cost, NanoUsd(5), "which is not lost");
}

#[test]
fn a_key_is_refused_while_blocked_and_once_expired() {
    let mut script = Script::default();
    let token = KeyDigest::of("sk-a");
    let mut made = key("sk-a", None);
    made.expires = Some(UnixMillis(50));
    script.run(Command::CreateKey { key: made }).expect("a new key");
    let outcome = |state: &State, now| state.authenticate(token, &[], UnixMillis(now)).err();
    assert_eq!(outcome(&script.state, 49), None);
    assert_eq!(outcome(&script.state, 50), Some(Refusal::Expired { at: UnixMillis(50) }));
    script.run(Command::SetBlocked { token, blocked: true }).expect("known");
    assert_eq!(outcome(&script.state, 49), Some(Refusal::Blocked));
    script.run(Command::SetBlocked { token, blocked: false }).expect("known");
    assert_eq!(outcome(&script.state, 49), None);
    assert_eq!(State::new().authenticate(token, &[], UnixMillis(0)).err(), Some(Refusal::Unknown));
}

type Spoil = fn(&mut Key);

#[test]
fn of_two_faults_of_a_key_the_first_in_order_is_told() {
    let terms = crate::Terms { blocked: Some(true), ..crate::Terms::default() };
    let (kind, name) = (Kind::Team, "blue".to_owned());
    let entity = Box::new(Entity { kind, name, terms, ..Entity::default() });
    let faults: [(Refusal, Spoil); 4] = [
        (Refusal::Blocked, |key| key.terms.blocked = Some(true)),
        (Refusal::Expired { at: UnixMillis(50) }, |key| key.expires = Some(UnixMillis(50))),
        (Refusal::RouteNotAllowed { allowed: vec!["/v1/embeddings".to_owned()] }, |key| {
            key.routes = vec!["/v1/embeddings".to_owned()];
        }),
        (Refusal::HolderBlocked { kind: Kind::Team, name: "blue".to_owned() }, |key| {
            key.team = Some("blue".to_owned());
        }),
    ];
    for (first, (told, set_first)) in faults.iter().enumerate() {
        for (_, set_second) in &faults[first..] {
            let mut script = Script::default();
            let make = Command::CreateEntity { entity: entity.clone(), members: Vec::new() };
            script.run(make).expect("a new team");
            let mut faulty = key("sk-a", None);
            set_first(&mut faulty);
            set_second(&mut faulty);
            script.run(Command::CreateKey { key: faulty }).expect("a new key");
            let path = ["/v1/chat/completions"];
            let found = script.state.authenticate(KeyDigest::of("sk-a"), &path, UnixMillis(50));
            assert_eq!(found.err().as_ref(), Some(told));
        }
    }
}

#[test]
fn the_ring_has_the_members_that_are_up_and_the_version_of_its_last_change() {
    let mut script = Script::default();
    for node in [3, 1, 2] {
        let add = Command::AddNode { node: NodeId(node), address: format!("n{node}:1") };
        script.run(add).expect("a new node");
    }
    assert_eq!(script.state.ring().members(), [NodeId(1), NodeId(2), NodeId(3)]);
    script.run(Command::MarkDown { node: NodeId(2) }).expect("a member");
    assert_eq!(script.state.ring().members(), [NodeId(1), NodeId(3)]);
    assert_eq!(script.state.ring().version(), 4);
    let moved = Command::SetAddress { node: NodeId(1), address: "elsewhere:1".to_owned() };
    script.run(moved).expect("a member");
    assert_eq!(script.run(Command::MarkDown { node: NodeId(2) }), Ok(Reply::Unchanged));
    assert_eq!(script.state.ring().version(), 4, "an address is not the ring's matter");
    script.run(Command::MarkUp { node: NodeId(2) }).expect("a member");
    assert_eq!(script.state.ring().version(), 7);
    let stranger = Rejected::UnknownNode { node: NodeId(9) };
    assert_eq!(script.run(Command::MarkUp { node: NodeId(9) }), Err(stranger));
}

#[test]
fn a_file_is_a_proposal() {
    let mut script = Script::default();
    let mut propose = |hash: &str, after| {
        let (hash, source) = (hash.to_owned(), "config.yaml".to_owned());
        script.run(Command::ProposeConfig { hash, sealed: vec![1], source, after })
    };
    assert_eq!(propose("a", 0), Ok(Reply::Revision(1)));
    assert_eq!(propose("a", 0), Ok(Reply::Revision(1)), "all nodes start with the same file");
    assert_eq!(propose("b", 0), Err(Rejected::StaleRevision { newest: 1 }));
    assert_eq!(propose("b", 1), Ok(Reply::Revision(2)));
    assert_eq!(propose("a", 2), Err(Rejected::OldRevision { revision: 1, newest: 2 }));
}

#[test]
fn a_snapshot_is_the_state() {
    let mut script = Script::default();
    let sealed = vec![7; 9];
    let commands = [
        Command::FormCluster { cluster: ClusterId(7) },
        Command::AddNode { node: NODE, address: "n1:4100".to_owned() },
        Command::CreateKey { key: key("sk-a", Some("a")) },
        settle(1, 0, 3, 10),
        Command::ProposeConfig { hash: "h".to_owned(), sealed, source: "f".to_owned(), after: 0 },
        Command::CreateKey { key: key("sk-b", Some("a")) },
    ];
    for command in commands {
        let _outcome_is_not_the_matter = script.run(command);
        let restored = State::restore(&script.state.snapshot()).expect("our own snapshot");
        assert_eq!(restored.digest(), script.state.digest());
    }
    let mut restored = State::restore(&script.state.snapshot()).expect("our own snapshot");
    assert_eq!(restored.key_by_alias("a"), script.state.key_by_alias("a"));
    let repeated = Entry {
        id: CommandId { node: NODE, epoch: Epoch(1), seq: 4 },
        actor: None,
        command: settle(1, 3, 4, 10),
    };
    assert_eq!(restored.apply(9, UnixMillis(0), &repeated), Ok(Reply::Done));
    assert_eq!(restored.key_spend(&KeyDigest::of("sk-a")), NanoUsd(10), "it was a repetition");
    let newer = br#"{"format":9,"anything":"else"}"#;
    assert!(matches!(State::restore(newer), Err(crate::BadSnapshot::Newer { found: 9 })));
}

#[test]
fn a_command_too_old_to_be_known_is_not_done() {
    let mut state = State::new();
    let mark = |epoch, seq| Entry {
        id: CommandId { node: NODE, epoch: Epoch(epoch), seq },
        actor: None,
        command: Command::AddNode { node: NodeId(seq), address: "a:1".to_owned() },
    };
    for seq in 1..=1500 {
        state.apply(seq, UnixMillis(0), &mark(1, seq)).expect("a new node");
    }
    let again = |state: &mut State, epoch, seq| state.apply(2000, UnixMillis(0), &mark(epoch, seq));
    assert_eq!(again(&mut state, 1, 477), Ok(Reply::Done), "1,024 are remembered");
    assert_eq!(again(&mut state, 1, 476), Err(Rejected::Forgotten));
    assert_eq!(again(&mut state, 2, 476), Ok(Reply::Unchanged), "a new life counts anew");
    assert_eq!(again(&mut state, 1, 1500), Err(Rejected::Forgotten), "and ends the old one");
}

#[test]
fn what_is_too_large_is_not_kept() {
    let mut script = Script::default();
    let mut large = key("sk-a", Some("a"));
    large.terms.other.insert("metadata".to_owned(), format!("\"{}\"", "x".repeat(64 << 10)));
    let refused = script.run(Command::CreateKey { key: large });
    assert!(matches!(refused, Err(Rejected::TooLarge { most: 65_536, .. })), "{refused:?}");
    assert!(script.state.key_by_alias("a").is_none());
    let sealed = vec![0; (4 << 20) + 1];
    let (hash, source) = ("h".to_owned(), "f".to_owned());
    let refused = script.run(Command::ProposeConfig { hash, sealed, source, after: 0 });
    assert!(matches!(refused, Err(Rejected::TooLarge { .. })), "{refused:?}");
}

mod batched;
mod config;
mod durations;
mod entities;
mod met;
mod money;
mod promised;
mod resources;

#[test]
fn a_survivor_goes_on_alone_with_all_there_is() {
    let mut script = Script::default();
    let clusters = [ClusterId(7), ClusterId(8)];
    script.run(Command::FormCluster { cluster: clusters[0] }).expect("the first entry");
    for node in 1..=3 {
        let add = Command::AddNode { node: NodeId(node), address: format!("n{node}:1") };
        script.run(add).expect("a new node");
    }
    script.run(Command::CreateKey { key: key("sk-a", None) }).expect("a new key");
    script.run(Command::MarkDown { node: NODE }).expect("a member");
    let through = script.state.applied();
    let actor = Actor { route: RECOVERED_BY.to_owned(), ..Actor::default() };
    script.state.recover(90, UnixMillis(5), (NODE, Epoch(4)), clusters[1], actor);
    let state = State::restore(&script.state.snapshot()).expect("our own");
    assert_eq!(state.digest(), script.state.digest());
    assert_eq!((state.cluster(), state.applied()), (Some(clusters[1]), 90));
    assert!(state.key(&KeyDigest::of("sk-a")).is_some());
    assert_eq!(state.nodes().into_keys().collect::<Vec<_>>(), [NODE]);
    assert_eq!(state.ring().members(), [NODE], "it is not down any more");
    let former = &state.former_clusters()[0];
    assert_eq!((former.cluster, former.survivor, former.through), (clusters[0], NODE, through));
    for lost in [NodeId(2), NodeId(3)] {
        assert_eq!(state.removed_node(lost).map(|lost| lost.by.as_str()), Some(RECOVERED_BY));
    }
    let told: Vec<_> = state.audit().rows().map(|link| link.row.object.clone()).collect();
    assert_eq!(told, [NodeId(2), NodeId(3)].map(|lost| lost.to_string()));
}

#[test]
fn another_seal_changes_nothing_but_the_seal() {
    let mut script = Script::default();
    let (hash, source) = ("old".to_owned(), "config.yaml".to_owned());
    script
        .run(Command::ProposeConfig { hash, sealed: vec![1], source, after: 0 })
        .expect("the first");
    let kind = ResourceKind::Credential;
    let resource = |id: &str| {
        let (id, sealed) = (id.to_owned(), [1].into());
        Box::new(Resource { kind, id, sealed, ..Resource::default() })
    };
    for id in ["a", "b"] {
        script.run(Command::CreateResource { resource: resource(id) }).expect("new");
    }
    let version = |state: &State, id: &str| state.resource(kind, id).expect("there").version;
    let (seen, newest) = (version(&script.state, "a"), script.state.resources_version());
    let resealed = |id: &str, version| {
        let (id, sealed) = (id.to_owned(), [2].into());
        ResealedResource { kind, id, version, sealed }
    };
    let resources = vec![resealed("a", seen), resealed("b", seen), resealed("c", 1)];
    let revision =
        |revision| ResealedRevision { revision, hash: "new".to_owned(), sealed: [2].into() };
    let revisions = vec![revision(1), revision(9)];
    let secret = "s2".to_owned();
    let team = |name: &str, text: &str| {
        let mut entity = Entity { kind: Kind::Team, name: name.to_owned(), ..Entity::default() };
        entity.terms.other.insert("logging".to_owned(), text.to_owned());
        Command::CreateEntity { entity: Box::new(entity), members: Vec::new() }
    };
    script.run(team("red", "sealed 1")).expect("new");
    script.run(team("blue", "changed since")).expect("new");
    let field = |of: &str| ResealedField {
        of: SealedFor::Entity(Kind::Team, of.to_owned()),
        name: "logging".to_owned(),
        before: "sealed 1".to_owned(),
        after: "sealed 2".to_owned(),
    };
    let fields = vec![field("red"), field("blue"), field("gone")];
    script.run(Command::Reseal { secret, revisions, resources, fields }).expect("done");
    let state = State::restore(&script.state.snapshot()).expect("our own");
    let sealed = |id: &str| state.resource(kind, id).expect("there").sealed.to_vec();
    assert_eq!((sealed("a"), sealed("b")), (vec![2], vec![1]), "b was changed in between");
    let text = |team: &str| &state.entity(Kind::Team, team).expect("there").terms.other["logging"];
    assert_eq!((&**text("red"), &**text("blue")), ("sealed 2", "changed since"));
    assert_eq!((version(&state, "a"), state.resources_version()), (seen, newest));
    let config = state.config().expect("one");
    assert_eq!((config.revision, &*config.hash, config.sealed.to_vec()), (1, "new", vec![2]));
    assert_eq!(state.sealed_under(), Some("s2"));
    assert_eq!(state.config_history().count(), 1);
}
