//! Pots, leases and keys that are regenerated.

use super::*;
use crate::Format;
use crate::command::{Entity, Grant, Kind, Member, Return, Spender, Terms, TermsChanges};

const POT: u64 = 1_000;

fn pot() -> PotId {
    PotId { of: EntityId(POT), line: Line::Main }
}

fn ask(number: u64, period: u64, amount: u64) -> Command {
    let (least, amount) = (NanoUsd(amount), NanoUsd(amount));
    let grants = vec![Grant {
        pot: pot(),
        period: UnixMillis(period),
        least,
        amount,
        limit: None,
        window: None,
        carries: None,
    }];
    Command::Lease { node: NODE, epoch: Epoch(1), number, returns: Vec::new(), grants }
}

/// A member node, and a key with a budget of 100.
fn with_budget() -> Script {
    let mut script = Script::default();
    let terms = Terms { max_budget: Some(NanoUsd(100)), ..Terms::default() };
    for command in [
        Command::AddNode { node: NODE, address: "n1:1".to_owned() },
        Command::CreateKey { key: Box::new(Key { terms, ..*key("sk-a", None) }) },
    ] {
        script.run(command).expect("accepted");
    }
    script
}

fn unused(script: &Script) -> u64 {
    let pot = script.state.pot(&pot()).expect("it was asked for");
    pot.leases.iter().map(|lease| lease.unused().0).sum()
}

#[test]
fn nothing_is_granted_beyond_the_limit_and_what_comes_back_is_free() {
    let mut script = with_budget();
    let free = |script: &Script| script.state.pot(&pot()).expect("asked").free(Some(NanoUsd(100)));
    script.run(ask(1, 0, 60)).expect("granted");
    assert_eq!(script.run(ask(1, 0, 60)), Ok(Reply::Unchanged), "asked again");
    script.run(ask(2, 0, 60)).expect("the rest");
    assert_eq!((unused(&script), free(&script)), (100, NanoUsd(0)));
    script.run(settle(1, 0, 1, 30)).expect("settled");
    assert_eq!((unused(&script), free(&script)), (70, NanoUsd(0)));
    let returns = vec![Return { pot: pot(), period: UnixMillis(0), amount: NanoUsd(20) }];
    let (epoch, grants) = (Epoch(1), Vec::new());
    let back = Command::Lease { node: NODE, epoch, number: 3, returns, grants };
    script.run(back).expect("given back");
    assert_eq!((unused(&script), free(&script)), (50, NanoUsd(20)));
    script.run(Command::CloseLives { node: NODE, through: Epoch(1) }).expect("closed");
    assert_eq!((unused(&script), free(&script)), (0, NanoUsd(70)));
    assert_eq!(script.run(ask(4, 0, 60)), Ok(Reply::Unchanged), "that life is over");
    let stranger = Command::Lease {
        node: NodeId(9),
        epoch: Epoch(1),
        number: 1,
        returns: Vec::new(),
        grants: Vec::new(),
    };
    assert_eq!(script.run(stranger), Err(Rejected::UnknownNode { node: NodeId(9) }));
}

#[test]
fn a_period_begins_with_the_first_that_names_it_and_never_before_its_time() {
    let mut script = with_budget();
    script.run(ask(1, 0, 60)).expect("granted");
    script.run(settle(1, 0, 1, 30)).expect("settled");
    script.run(ask(2, 1_000_000, 60)).expect("no error");
    assert_eq!(script.state.spend(&pot()), (NanoUsd(30), UnixMillis(0)), "that is in the future");
    script.run(ask(3, 2_000, 10)).expect("granted");
    assert_eq!(script.state.spend(&pot()), (NanoUsd(30), UnixMillis(2_000)), "the first takes all");
    script.run(ask(4, 4_000, 10)).expect("granted");
    assert_eq!(script.state.spend(&pot()), (NanoUsd(0), UnixMillis(4_000)));
    script.run(settle(1, 1, 2, 5)).expect("settled");
    assert_eq!(script.state.spend(&pot()).0, NanoUsd(0), "it was admitted in an earlier period");
    assert_eq!(script.state.total_spend(EntityId(POT)).cost, NanoUsd(35), "but counts");
}

fn regenerate(old: &str, new: &str) -> Command {
    Command::RegenerateKey {
        token: KeyDigest::of(old),
        new: KeyDigest::of(new),
        name: "sk-...".to_owned(),
        grace: Some(UnixMillis(50_000)),
        changes: Box::default(),
    }
}

#[test]
fn a_regenerated_key_keeps_its_spend_and_its_former_text_for_a_while() {
    let mut script = with_budget();
    script.run(settle(1, 0, 1, 30)).expect("settled");
    script.run(regenerate("sk-a", "sk-b")).expect("known");
    script.run(regenerate("sk-b", "sk-c")).expect("known");
    let known = |clear: &str, now| {
        let caller = script.state.authenticate(KeyDigest::of(clear), &[], UnixMillis(now));
        caller.map(|caller| caller.token)
    };
    let present = KeyDigest::of("sk-c");
    for clear in ["sk-a", "sk-b", "sk-c"] {
        assert_eq!(known(clear, 49_999), Ok(present), "{clear}");
    }
    assert_eq!(known("sk-a", 50_000), Err(Refusal::Unknown));
    assert_eq!(known("sk-c", 50_000), Ok(present));
    assert_eq!(script.state.key_spend(&present), NanoUsd(30));
}

fn known(script: &Script, clear: &str) -> bool {
    script.state.authenticate(KeyDigest::of(clear), &[], script.state.at).is_ok()
}

/// What leaked may be any text that it had.
#[test]
fn a_key_that_is_given_another_text_at_once_has_no_former_one() {
    let at_once = |old, new| {
        let mut command = regenerate(old, new);
        let Command::RegenerateKey { grace, .. } = &mut command else { panic!("another text") };
        *grace = None;
        command
    };
    for (format, ends) in [(3, false), (4, true)] {
        let mut script = with_budget();
        script.run(Command::RaiseFormat { to: Format(format) }).expect("news");
        script.run(Command::CreateKey { key: key("sk-other", None) }).expect("new");
        script.run(regenerate("sk-other", "sk-others")).expect("known");
        script.run(regenerate("sk-a", "sk-b")).expect("known");
        script.run(regenerate("sk-b", "sk-c")).expect("known");
        script.run(at_once("sk-c", "sk-d")).expect("known");
        assert!(known(&script, "sk-d") && !known(&script, "sk-c"));
        for former in ["sk-a", "sk-b"] {
            assert_eq!(known(&script, former), !ends, "{former} in format {format}");
        }
        assert!(known(&script, "sk-other"), "that is another key's");
    }
}

#[test]
fn the_former_text_of_a_key_is_no_other_keys_while_it_works() {
    let mut script = with_budget();
    let put = |clear| Command::PutKey { key: key(clear, None), over: None };
    let make = |clear| Command::CreateKey { key: key(clear, None) };
    let delete = |clear| Command::DeleteKeys { tokens: vec![KeyDigest::of(clear)] };
    // An older log goes by older rules.
    script.run(regenerate("sk-a", "sk-b")).expect("known");
    script.run(make("sk-a")).expect("below the format");
    script.run(delete("sk-a")).expect("known");
    script.run(Command::RaiseFormat { to: Format::NEWEST }).expect("news");
    script.run(regenerate("sk-b", "sk-c")).expect("known");
    script.run(make("sk-other")).expect("new");
    let commands = [make("sk-b"), put("sk-b"), regenerate("sk-other", "sk-b")];
    for command in commands {
        assert_eq!(script.run(command), Err(Rejected::KeyExists));
    }
    // Its own it may have back.
    script.run(regenerate("sk-c", "sk-b")).expect("its own");
    script.run(regenerate("sk-b", "sk-d")).expect("known");
    assert!(known(&script, "sk-b") && known(&script, "sk-c") && known(&script, "sk-d"));
    // With the key, its former texts are nobody's, whoever has its last one after it.
    script.run(delete("sk-d")).expect("known");
    script.run(make("sk-d")).expect("free");
    assert!(!known(&script, "sk-c") && known(&script, "sk-d"));
    script.run(make("sk-c")).expect("free");
}

#[test]
fn what_is_made_may_come_with_what_it_has_spent() {
    let mut script = Script::default();
    let (to, period) = (NanoUsd(30), UnixMillis(0));
    let of = |token| Command::SetSpendOf { whose: Spender::Key(token), period, to };
    let made = key("sk-a", None);
    let token = made.token;
    assert_eq!(script.run(of(token)), Err(Rejected::UnknownKey));
    let commands = vec![Command::CreateKey { key: made }, of(token)];
    script.run(Command::All { commands }).expect("made");
    assert_eq!(script.state.key_spend(&token), to);
}

#[test]
fn spend_is_set_in_the_period_that_runs_when_it_is_set() {
    let mut script = with_budget();
    script.run(ask(1, 2_000, 60)).expect("granted");
    let set = |period, to| {
        let (period, to) = (UnixMillis(period), NanoUsd(to));
        Command::SetSpend { pot: pot(), period, to }
    };
    let told = |script: &Script| (script.state.spend(&pot()).0.0, script.state.spend(&pot()).1.0);
    script.run(set(2_000, 50)).expect("set");
    assert_eq!(told(&script), (50, 2_000));
    // Nobody has spent in the period from 3,000 on when its spend is set.
    script.run(set(3_000, 20)).expect("set");
    assert_eq!(told(&script), (20, 3_000));
    script.run(ask(2, 3_000, 10)).expect("granted");
    assert_eq!(told(&script), (20, 3_000), "the first who spends there finds it");
    assert_eq!(script.run(set(2_000, 70)), Ok(Reply::Unchanged), "that one is over");
    script.run(set(0, 7)).expect("set");
    assert_eq!(told(&script), (7, 3_000), "whichever it is");
    script.run(set(1_000_000, 9)).expect("set");
    assert_eq!(told(&script), (9, 3_000), "none that has not begun");
}

#[test]
fn a_member_spends_apart() {
    let mut script = Script::default();
    let (kind, name) = (Kind::Team, "t".to_owned());
    let entity = Box::new(Entity { kind, name: name.clone(), ..Entity::default() });
    let members = vec![Member { user: "ann".to_owned(), ..Member::default() }];
    script.run(Command::CreateEntity { entity, members }).expect("made");
    let set = |user: &str| {
        let whose = Spender::Member(kind, name.clone(), user.to_owned());
        Command::SetSpendOf { whose, period: UnixMillis(0), to: NanoUsd(5) }
    };
    script.run(set("ann")).expect("set");
    let of = script.state.member(kind, "t", "ann").expect("the member").id;
    assert_eq!(script.state.spend(&PotId { of, line: Line::Main }).0, NanoUsd(5));
    assert_eq!(script.run(set("bob")), Err(Rejected::UnknownMember { user: "bob".to_owned() }));
}

#[test]
fn a_period_that_begins_with_a_first_use_is_the_same_whoever_thinks_it_was_the_first() {
    let mut script = Script::default();
    let add = Command::AddNode { node: NODE, address: "n1:1".to_owned() };
    script.run(add).expect("a new node");
    let pot = PotId { of: crate::PROVIDERS, line: Line::Model("openai".to_owned()) };
    let ask = |number, period| {
        let (least, limit) = (NanoUsd(10), Some(NanoUsd(100)));
        let (pot, window) = (pot.clone(), Some("6s".to_owned()));
        let period = UnixMillis(period);
        let grants =
            vec![Grant { pot, period, least, amount: least, limit, window, carries: None }];
        Command::Lease { node: NODE, epoch: Epoch(1), number, returns: Vec::new(), grants }
    };
    let spend = |from, period| {
        let period = UnixMillis(period);
        let charge = Charge { pot: pot.clone(), period, cost: NanoUsd(5), requests: 1 };
        let charges = vec![charge];
        Command::Settle {
            node: NODE,
            epoch: Epoch(1),
            from,
            to: from + 1,
            charges,
            days: DaySums::default(),
            claimed: Vec::new(),
        }
    };
    let (mut spent, mut asked) = (0, 0);
    for (command, period, settled) in [
        // Asked for by a clock that is ahead: it begins when the log says.
        ('a', 900_000, 0),
        ('s', 0, 0),
        ('s', 2_000, 5),
        // By another node, which has not seen the first one.
        ('a', 5_000, 5),
        ('s', 5_000, 10),
        ('a', 6_500, 10),
        // Six seconds after the first.
        ('a', 7_500, 0),
        ('s', 2_000, 0),
        ('s', 8_000, 5),
    ] {
        let number = if command == 'a' { &mut asked } else { &mut spent };
        let before = *number;
        *number += 1;
        let command = if command == 'a' { ask(*number, period) } else { spend(before, period) };
        script.run(command).expect("accepted");
        let (found, begun) = script.state.spend(&pot);
        let at = script.state.at();
        assert_eq!(found, NanoUsd(settled), "at {at:?}, begun {begun:?}, {period}");
    }
}

#[test]
fn a_soft_budget_is_told_once_in_a_period_and_refuses_nothing() {
    let mut script = with_budget();
    let soft = Change::Set(NanoUsd(50));
    let terms = TermsChanges { soft_budget: soft, ..TermsChanges::default() };
    let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
    let token = KeyDigest::of("sk-a");
    script.run(Command::UpdateKey { token, changes }).expect("known");
    let mut spent = 0;
    let mut spend = |script: &mut Script, period, cost| {
        let charge =
            Charge { pot: pot(), period: UnixMillis(period), cost: NanoUsd(cost), requests: 1 };
        let (from, to, charges) = (spent, spent + 1, vec![charge]);
        spent = to;
        script.run(Command::Settle {
            node: NODE,
            epoch: Epoch(1),
            from,
            to,
            charges,
            days: DaySums::default(),
            claimed: Vec::new(),
        })
    };
    let reached = Ok(Reply::SoftBudgetsReached(vec![pot()]));
    assert_eq!(spend(&mut script, 0, 49), Ok(Reply::Done));
    assert_eq!(spend(&mut script, 0, 1), reached);
    assert_eq!(spend(&mut script, 0, 100), Ok(Reply::Done), "it was told");
    let first = spend(&mut script, 6_000, 40);
    assert_eq!(first, Ok(Reply::Done), "what had no periods is in the first one");
    assert_eq!(spend(&mut script, 8_000, 40), Ok(Reply::Done));
    assert_eq!(spend(&mut script, 8_000, 40), reached, "a period later");
}

#[test]
fn what_was_overspent_is_carried_into_the_next_period_where_that_is_asked_for() {
    for (carries, settled) in [(None, 0), (Some(2_000), 30), (Some(1_000), 0)] {
        let mut script = with_budget();
        script.run(ask(1, 2_000, 60)).expect("granted");
        let charge =
            Charge { pot: pot(), period: UnixMillis(2_000), cost: NanoUsd(130), requests: 1 };
        let (epoch, charges) = (Epoch(1), vec![charge]);
        script
            .run(Command::Settle {
                node: NODE,
                epoch,
                from: 0,
                to: 1,
                charges,
                days: DaySums::default(),
                claimed: Vec::new(),
            })
            .expect("settled");
        let Command::Lease { mut grants, .. } = ask(2, 5_000, 10) else { unreachable!("a lease") };
        grants[0].carries = carries.map(UnixMillis);
        let (returns, number) = (Vec::new(), 2);
        script.run(Command::Lease { node: NODE, epoch, number, returns, grants }).expect("granted");
        let begun = UnixMillis(5_000);
        assert_eq!(script.state.spend(&pot()), (NanoUsd(settled), begun), "{carries:?}");
        script.run(ask(3, 5_000, 10)).expect("granted");
        assert_eq!(script.state.spend(&pot()).0, NanoUsd(settled), "once");
    }
}

#[test]
fn what_a_removed_node_was_granted_is_withheld_until_it_is_reclaimed() {
    let gone = NodeId(2);
    let mut script = with_budget();
    let add = Command::AddNode { node: gone, address: "n2:1".to_owned() };
    let remove = Command::RemoveNode { node: gone, by: "ann".to_owned() };
    let lease = |number, amount| {
        let Command::Lease { epoch, number, returns, grants, .. } = ask(number, 0, amount) else {
            unreachable!("that is what is asked")
        };
        Command::Lease { node: gone, epoch, number, returns, grants }
    };
    let settled = |cost| {
        let Command::Settle { epoch, from, to, charges, days, .. } = settle(1, 0, 1, cost) else {
            unreachable!("that is what settles")
        };
        Command::Settle { node: gone, epoch, from, to, charges, days, claimed: Vec::new() }
    };
    script.run(add.clone()).expect("a new node");
    script.run(lease(1, 60)).expect("granted");
    let member = Rejected::NodeIsMember { node: gone };
    assert_eq!(script.run(Command::Reclaim { node: gone }), Err(member));

    assert_eq!(script.run(remove.clone()), Ok(Reply::Done));
    assert_eq!(script.run(remove), Ok(Reply::Unchanged), "it is gone already");
    assert!(!script.state.ring().has(gone) && !script.state.nodes().contains_key(&gone));
    assert_eq!(script.state.granted_to(gone), NanoUsd(60));
    let removed = Rejected::NodeRemoved { node: gone, by: "ann".to_owned() };
    assert_eq!(script.run(add), Err(removed.clone()), "it never comes back under its id");
    assert!(script.run(lease(2, 10)).is_err(), "nothing more is granted");
    let id = CommandId { node: gone, epoch: Epoch(9), seq: 1 };
    let own = Entry { id, actor: None, command: Command::MarkDown { node: NODE } };
    assert_eq!(script.state.apply(99, UnixMillis(0), &own), Err(removed), "it has no say");
    script.run(settled(25)).expect("what it spent counts all the same");
    assert_eq!(script.state.granted_to(gone), NanoUsd(35));

    let restored = State::restore(&script.state.snapshot()).expect("our own");
    assert_eq!(restored.removed_node(gone), script.state.removed_node(gone));
    script.run(Command::Reclaim { node: gone }).expect("it is a removed node");
    assert_eq!(script.state.granted_to(gone), NanoUsd::ZERO);
    assert_eq!(script.run(Command::Reclaim { node: gone }), Ok(Reply::Unchanged));
    let unknown = Rejected::UnknownNode { node: NodeId(9) };
    assert_eq!(script.run(Command::Reclaim { node: NodeId(9) }), Err(unknown));
}

#[test]
fn one_budget_of_a_silent_node_is_reclaimed_and_what_it_spent_is_settled_when_it_is_back() {
    let mut script = with_budget();
    script.run(ask(1, 0, 60)).expect("granted");
    let whose = Spender::Key(KeyDigest::of("sk-a"));
    let reclaim = || Command::ReclaimOf { node: NODE, whose: whose.clone() };
    assert_eq!(script.run(reclaim()), Err(Rejected::NodeIsUp { node: NODE }));
    script.run(Command::MarkDown { node: NODE }).expect("a member");
    let withheld = |script: &Script| script.state.withheld(&pot());
    assert!(withheld(&script) > NanoUsd::ZERO);
    let stranger = Command::ReclaimOf { node: NodeId(77), whose: whose.clone() };
    assert_eq!(script.run(stranger), Err(Rejected::UnknownNode { node: NodeId(77) }));
    script.run(reclaim()).expect("it is down");
    assert_eq!((withheld(&script), unused(&script)), (NanoUsd::ZERO, 0));
    script.run(Command::MarkUp { node: NODE }).expect("a member");
    let before = script.state.spend(&pot()).0;
    script.run(settle(1, 0, 3, 10)).expect("settled");
    assert_eq!(script.state.spend(&pot()).0, before + NanoUsd(10));
}

/// The lease of a node that died before the period was over says no more what it may have spent.
#[test]
fn what_a_node_may_have_spent_in_a_period_that_is_over_is_known_until_it_has_settled() {
    const HOUR_OF_ENTRIES: u64 = 3_600;
    let unsettled = |script: &Script| script.state.unsettled().get(&NODE).map(|unused| unused.0);
    let turned = |format: Option<Format>| {
        let mut script = with_budget();
        if let Some(to) = format {
            script.run(Command::RaiseFormat { to }).expect("news");
        }
        script.run(ask(1, 0, 60)).expect("granted");
        script.run(settle(1, 0, 1, 20)).expect("settled");
        assert_eq!(unsettled(&script), Some(40));
        let other = NodeId(9);
        script.run(Command::AddNode { node: other, address: "n9:1".to_owned() }).expect("new");
        let Command::Lease { epoch, number, returns, grants, .. } = ask(1, 3_000, 10) else {
            panic!("it asks")
        };
        let ask = Command::Lease { node: other, epoch, number, returns, grants };
        script.run(ask).expect("granted");
        script
    };
    assert_eq!(unsettled(&turned(None)), None, "nodes of an earlier version do not know");

    let mut script = turned(Some(Format::NEWEST));
    assert_eq!(unsettled(&script), Some(40));
    let copy = State::restore(&script.state.snapshot()).expect("its own");
    assert_eq!(copy.unsettled(), script.state.unsettled());
    script.run(settle(1, 1, 2, 5)).expect("settled");
    assert_eq!(unsettled(&script), Some(40), "what was let in before may go on");
    script.seq += HOUR_OF_ENTRIES;
    script.run(settle(1, 2, 3, 5)).expect("settled");
    assert_eq!(unsettled(&script), None);

    for command in [
        Command::CloseLives { node: NODE, through: Epoch(1) },
        Command::All {
            commands: vec![
                Command::RemoveNode { node: NODE, by: String::new() },
                Command::Reclaim { node: NODE },
            ],
        },
    ] {
        let mut script = turned(Some(Format::NEWEST));
        script.run(command).expect("accepted");
        assert_eq!(unsettled(&script), None);
    }
}

/// A stream that ends after its key is deleted is settled for the others, and is in no log before.
#[test]
fn what_a_node_may_have_spent_for_whom_is_deleted_is_known_until_it_has_settled() {
    let unsettled = |script: &Script| script.state.unsettled().get(&NODE).map(|unused| unused.0);
    let deleted = |format: Option<Format>| {
        let mut script = with_budget();
        if let Some(to) = format {
            script.run(Command::RaiseFormat { to }).expect("news");
        }
        script.run(ask(1, 0, 60)).expect("granted");
        script.run(settle(1, 0, 1, 20)).expect("settled");
        script.run(Command::DeleteKeys { tokens: vec![KeyDigest::of("sk-a")] }).expect("known");
        script
    };
    assert_eq!(unsettled(&deleted(Some(Format(3)))), None, "an earlier version does not know");
    let mut script = deleted(Some(Format::NEWEST));
    assert_eq!(unsettled(&script), Some(40));
    assert_eq!(script.state.pot(&pot()), None);
    script.run(settle(1, 1, 2, 5)).expect("settled");
    assert_eq!(script.state.total_spent().cost, NanoUsd(25), "it counts for the whole");
    script.run(Command::CloseLives { node: NODE, through: Epoch(1) }).expect("closed");
    assert_eq!(unsettled(&script), None);
}
