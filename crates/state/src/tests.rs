//! The log format as it was released, and what holds for every log.

use std::collections::BTreeMap;

use dunlin_types::{
    ClusterId, EntityId, Epoch, KeyDigest, Line, NanoUsd, NodeId, PotId, RequestId, UnixMillis,
};
use proptest::prelude::*;

use super::*;

/// A recorded log of each format: `index at entry`, one a line. Never edited; a release that
/// writes more adds another. Each was begun under the format before and asks for the same before and
/// after it was raised.
const RECORDED: &[(&str, &str)] = &[
    (include_str!("../testdata/format-2.log"), include_str!("../testdata/format-2.digest")),
    (include_str!("../testdata/format-3.log"), include_str!("../testdata/format-3.digest")),
    (include_str!("../testdata/format-4.log"), include_str!("../testdata/format-4.digest")),
];

#[test]
fn recorded_logs_give_their_recorded_state() {
    for (log, digest) in RECORDED {
        let mut state = State::new();
        for line in log.lines() {
            let [index, at, entry] =
                line.splitn(3, ' ').collect::<Vec<_>>().try_into().expect("three parts");
            let entry = Entry::decode(entry.as_bytes()).expect("a released entry");
            assert_eq!(Entry::decode(&entry.encode()).expect("our own"), entry);
            let at = UnixMillis(at.parse().expect("a time"));
            let index = index.parse().expect("an index");
            let _rejections_belong_to_the_log = state.apply(index, at, &entry);
        }
        let text = String::from_utf8(state.snapshot()).expect("JSON");
        let found: String = state.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, digest.trim(), "the state is now {text}");
    }
}

#[test]
fn what_a_newer_version_wrote_is_told_from_damage() {
    let of = |command: &str| {
        let id = r#"{"node":"0000000000000001","epoch":1,"seq":1}"#;
        Entry::decode(format!(r#"{{"id":{id},"command":{command}}}"#).as_bytes())
    };
    assert!(of(r#"{"MarkUp":{"node":"0000000000000001"}}"#).is_ok());
    for newer in [
        r#"{"SetBudget":{"node":"0000000000000001"}}"#,
        r#"{"MarkUp":{"node":"0000000000000001","why":"restart"}}"#,
        r#"{"RaiseFormat":{"to":99}}"#,
        r#"{"UpdateKey":{"token":"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b","changes":{"max_budgets":"Clear"}}}"#,
    ] {
        let told = of(newer);
        assert!(matches!(told, Err(DecodeError::Unknown(_))), "{newer}: {told:?}");
    }
    let damaged = of(r#"{"MarkUp":{"node":"0000"#);
    assert!(matches!(damaged, Err(DecodeError::Damaged(_))), "{damaged:?}");
}

fn token() -> impl Strategy<Value = KeyDigest> {
    (0..6_u8).prop_map(|number| KeyDigest::of(&format!("sk-{number}")))
}

fn alias() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = Box<Key>> {
    (token(), prop::option::of(alias()), 0..2_u8).prop_map(|(token, alias, number)| {
        Box::new(Key {
            token,
            name: "sk-...".to_owned(),
            alias,
            team: (number % 2 == 0).then(|| "a".to_owned()),
            terms: Terms {
                max_budget: Some(NanoUsd(500)),
                models: vec!["m".to_owned()],
                rpm: Some(3),
                other: BTreeMap::from([("tpd_limit".to_owned(), "20".to_owned())]),
                ..Terms::default()
            },
            ..Key::default()
        })
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Team, Kind::User, Kind::Budget])
}

fn pot(of: u64) -> PotId {
    PotId { of: EntityId(of), line: Line::Main }
}

/// Each request counts for its payer and in the whole.
fn charged(of: u64, cost: u64) -> [Charge; 2] {
    [of, PROXY.0].map(|of| Charge {
        pot: pot(of),
        period: UnixMillis(0),
        cost: NanoUsd(cost),
        requests: 1,
    })
}

/// The same by the day of each, under a name that tells who paid.
fn on_days(charges: &[(u64, u64, u32)]) -> DaySums {
    let names: Vec<_> = charges.iter().map(|(of, ..)| of.to_string()).collect();
    DaySums::of(charges.iter().zip(&names).map(|((_, cost, day), name)| {
        let totals = Totals { cost: NanoUsd(*cost), successful: 1, ..Totals::default() };
        (Day(*day), Facets { key: Some(name.as_str()), ..Facets::default() }, totals)
    }))
}

fn settle() -> impl Strategy<Value = Command> {
    let charges = prop::collection::vec((1_000..1_012_u64, 0..100_u64, 0..300_u32), 0..4);
    (1..4_u64, 1..4_u64, 0..4_u64, 1..4_u64, charges).prop_map(
        |(node, epoch, from, more, charges)| Command::Settle {
            node: NodeId(node),
            epoch: Epoch(epoch),
            from,
            to: from + more,
            days: on_days(&charges),
            charges: charges.iter().flat_map(|(of, cost, _)| charged(*of, *cost)).collect(),
            claimed: Vec::new(),
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let node = || (1..4_u64).prop_map(NodeId);
    let renamed = prop_oneof![Just(Change::Clear), alias().prop_map(Change::Set)];
    prop_oneof![
        7 => of_nodes(),
        3 => key().prop_map(|key| Command::CreateKey { key }),
        1 => (token(), renamed).prop_map(|(token, alias)| Command::UpdateKey {
            token,
            changes: Box::new(KeyChanges { alias, ..KeyChanges::default() }),
        }),
        1 => token().prop_map(|token| Command::DeleteKeys { tokens: vec![token] }),
        4 => settle(),
        2 => (node(), 1..4_u64, 1_000..1_012_u64, 0..100_u64).prop_map(|(node, epoch, of, most)| {
            let (pot, period) = (pot(of), UnixMillis(0));
            let (least, amount) = (NanoUsd(most / 2), NanoUsd(most));
            let grants = vec![Grant { pot, period, least, amount, limit: None, window: None, carries: None }];
            Command::Lease { node, epoch: Epoch(epoch), number: most, returns: Vec::new(), grants }
        }),
        1 => (node(), 1..4_u64).prop_map(|(node, through)| Command::CloseLives {
            node,
            through: Epoch(through),
        }),
        2 => (kind(), alias()).prop_map(|(kind, name)| Command::CreateEntity {
            entity: Box::new(Entity { kind, name, ..Entity::default() }),
            members: vec![Member { user: "ann".to_owned(), ..Member::default() }],
        }),
        1 => (kind(), alias()).prop_map(|(kind, name)| Command::DeleteEntities {
            kind,
            names: vec![name],
        }),
        1 => (1_000..1_006_u64, 0..9_u64, token()).prop_map(|(id, days, token)| {
            let updated_at = UnixMillis(days * 86_400_000);
            let command = Box::new(Command::SetBlocked { token, blocked: true });
            Command::IfUnchanged { seen: vec![Seen { id: EntityId(id), updated_at }], command }
        }),
        1 => (token(), token()).prop_map(|(token, new)| Command::RegenerateKey {
            token,
            new,
            name: "sk-...".to_owned(),
            grace: Some(UnixMillis(86_400_000 * 100)),
            changes: Box::default(),
        }),
        1 => alias().prop_map(|id| Command::CreateResource {
            resource: Box::new(Resource { name: id.clone(), id, ..Resource::default() }),
        }),
        1 => alias().prop_map(|id| Command::DeleteResources {
            kind: ResourceKind::Model,
            ids: vec![id],
        }),
        1 => (0..4_u64, 0..9_u64, 0..3_u64).prop_map(|(request, made, by)| Command::Claim {
            request: RequestId(request.into()),
            made: UnixMillis(made << 32),
            by: (by > 0).then_some(by),
        }),
        1 => (1_000..1_012_u64, 0..30_u64).prop_map(|(of, tokens)| Command::CountBatch {
            whose: vec![EntityId(of)],
            tokens,
        }),
        3 => config(),
        1 => Just(Command::FormCluster { cluster: ClusterId(7) }),
    ]
}

/// What becomes of nodes.
fn of_nodes() -> impl Strategy<Value = Command> {
    let node = || (1..4_u64).prop_map(NodeId);
    let reclaimed = (node(), token());
    prop_oneof![
        node().prop_map(|node| Command::AddNode { node, address: format!("{node}:1") }),
        node().prop_map(|node| Command::RemoveNode { node, by: "ops".to_owned() }),
        node().prop_map(|node| Command::Reclaim { node }),
        node().prop_map(|node| Command::MarkDown { node }),
        node().prop_map(|node| Command::MarkUp { node }),
        (node(), any::<bool>()).prop_map(|(node, resting)| Command::Rest { node, resting }),
        (node(), any::<bool>()).prop_map(|(node, draining)| Command::Drain { node, draining }),
        any::<bool>().prop_map(|held| Command::HoldFormat { held }),
        Just(Command::RaiseFormat { to: Format::NEWEST }),
        reclaimed
            .prop_map(|(node, token)| { Command::ReclaimOf { node, whose: Spender::Key(token) } }),
    ]
}

/// What becomes of the config.
fn config() -> impl Strategy<Value = Command> {
    let back = (1..4_u64, 0..4_u64).prop_map(|(to, after)| Command::RollBackConfig { to, after });
    let content = (0..4_u8, any::<bool>(), 0..4_u64).prop_map(|(content, is_file, after)| {
        let (hash, sealed, source) = (content.to_string(), vec![content], "a source".to_owned());
        if is_file {
            Command::ProposeConfig { hash, sealed, source, after }
        } else {
            let (before, after_it) = (None, Some(content.to_string()));
            let change = SettingChange { setting: "a.b".to_owned(), before, after: after_it };
            Command::EditConfig { hash, sealed, source, after, changes: vec![change] }
        }
    });
    prop_oneof![1 => back, 2 => content]
}

/// Commands with their ids, some of them repeated, and how far apart in days they were stamped.
fn log() -> impl Strategy<Value = Vec<(Entry, u64)>> {
    let id = (1..3_u64, 1..3_u64, 1..40_u64).prop_map(|(node, epoch, seq)| CommandId {
        node: NodeId(node),
        epoch: Epoch(epoch),
        seq,
    });
    let someone = Box::new(Actor { route: "/".to_owned(), ..Actor::default() });
    let actor = prop::option::of(Just(someone));
    let entry =
        (id, actor, command()).prop_map(|(id, actor, command)| Entry { id, actor, command });
    prop::collection::vec((entry, 0..20_u64), 1..60)
}

impl State {
    /// The names of all that has one.
    fn named(&self) -> Vec<String> {
        let entities = Kind::ALL.into_iter().flat_map(|kind| self.entities(kind));
        let entities = entities.map(|entity| format!("{:?} {}", entity.kind, entity.name));
        let keys = self.keys().map(|key| format!("{} {:?}", key.token, key.alias));
        let nodes = self.nodes().into_keys().map(|node| node.to_string());
        let revisions = self.config_history().map(|config| config.hash.clone());
        keys.chain(entities).chain(nodes).chain(revisions).collect()
    }
}

/// What a log's settlements book, in all and on the days that are kept: each that is done counts
/// once.
#[derive(Default)]
struct Booked {
    whole: NanoUsd,
    days: BTreeMap<Day, NanoUsd>,
}

impl Booked {
    fn add(&mut self, charges: &[Charge], days: &DaySums, at: UnixMillis) {
        let whole = charges.iter().filter(|charge| charge.pot.of == PROXY);
        self.whole += whole.map(|charge| charge.cost).sum();
        let today = Day::of(at);
        let is_kept = |day: Day| day.0 + DAYS_KEPT > today.0;
        self.days.retain(|day, _| is_kept(*day));
        for (day, _, totals) in days.rows().filter(|(day, ..)| is_kept(*day)) {
            *self.days.entry(day.min(today)).or_default() += totals.cost;
        }
    }
}

/// What the daily totals of a state hold.
fn by_day(state: &State) -> BTreeMap<Day, NanoUsd> {
    let mut days: BTreeMap<_, NanoUsd> = BTreeMap::new();
    for (day, _, totals) in state.days().rows(Book::Keys, Day(0), Day(u32::MAX)) {
        *days.entry(day).or_default() += totals.cost;
    }
    days
}

fn apply(state: &mut State, entries: &[(Entry, u64)]) -> Booked {
    let mut booked = Booked::default();
    for (entry, days) in entries {
        let at = UnixMillis(state.at().0 + days * 86_400_000);
        let before = state.clone();
        let reply = state.apply(state.applied() + 1, at, entry);
        let restored = State::restore(&state.snapshot()).expect("our own snapshot");
        assert_eq!(restored.digest(), state.digest());
        assert_eq!(state.audit().verify(), Ok(()));
        let (rows, repeats) = (state.audit().head(), before.results.find(entry.id).is_some());
        if reply.is_err() || repeats {
            assert_eq!(rows, before.audit().head(), "what changed nothing leaves no row");
        } else if entry.actor.is_some() && before.named() != state.named() {
            assert_ne!(rows, before.audit().head(), "what changed something leaves one");
        }
        match (&entry.command, reply) {
            (Command::Settle { node, epoch, to, charges, days, .. }, Ok(Reply::Done))
                if before.settled(*node) != (*epoch, *to)
                    && state.settled(*node) == (*epoch, *to) =>
            {
                booked.add(charges, days, state.at());
            }
            (_, Err(_)) => assert_eq!(state.total_spent(), before.total_spent()),
            (_, Ok(_)) => {}
        }
        for key in state.keys() {
            if let Some(alias) = &key.alias {
                assert_eq!(state.key_by_alias(alias), Some(key));
            }
        }
    }
    booked
}

proptest! {
    #[test]
    fn settled_spend_is_conserved_and_a_snapshot_is_the_log_before_it(
        entries in log(),
        cut in 0.0..1.0_f64,
    ) {
        let mut whole = State::new();
        let booked = apply(&mut whole, &entries);
        prop_assert_eq!(whole.total_spent().cost, booked.whole);
        prop_assert_eq!(by_day(&whole), booked.days);

        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a fraction of a short list"
        )]
        let cut = (entries.len() as f64 * cut) as usize;
        let mut first = State::new();
        apply(&mut first, &entries[..cut]);
        let mut second = State::restore(&first.snapshot()).expect("our own snapshot");
        apply(&mut second, &entries[cut..]);
        prop_assert_eq!(second.digest(), whole.digest());
    }

    #[test]
    fn however_a_journal_is_cut_and_repeated_its_days_are_the_sums_of_its_records(
        records in prop::collection::vec((1_000..1_003_u64, 1..100_u64, 20_000..20_003_u32), 1..40),
        cuts in prop::collection::vec((1..9_usize, 1..4_usize, any::<bool>()), 40),
    ) {
        let mut state = State::new();
        let at = Day(20_002).start();
        let settle = |from: usize, to: usize, epoch| {
            let records = &records[from..to];
            let days = on_days(records);
            let charges = records.iter().flat_map(|(of, cost, _)| charged(*of, *cost)).collect();
            let (from, to) = (from as u64, to as u64);
            let (node, epoch, claimed) = (NodeId(1), Epoch(epoch), Vec::new());
            Command::Settle { node, epoch, from, to, charges, days, claimed }
        };
        let (mut from, mut seq) = (0, 0);
        for (length, times, is_longer_first) in cuts {
            let to = records.len().min(from + length);
            if from == to {
                break;
            }
            // A life that died after it proposed a stretch: the next one reads more, or less.
            let other = if is_longer_first { records.len().min(to + 2) } else { to };
            for end in [other].into_iter().chain((0..times).map(|_| to)) {
                seq += 1;
                let id = CommandId { node: NodeId(1), epoch: Epoch(1), seq };
                let entry = Entry { id, actor: None, command: settle(from, end, 1) };
                let done = state.apply(seq, at, &entry);
                prop_assert!(done.is_ok());
            }
            from = usize::try_from(state.settled(NodeId(1)).1).expect("few");
        }
        let mut days: BTreeMap<_, NanoUsd> = BTreeMap::new();
        for (_, cost, day) in &records[..from] {
            *days.entry(Day(*day)).or_default() += NanoUsd(*cost);
        }
        prop_assert_eq!(by_day(&state), days);
        prop_assert_eq!(by_day(&state).values().copied().sum::<NanoUsd>(), state.total_spent().cost);
    }
}
