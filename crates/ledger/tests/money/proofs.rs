//! When a refusal is proved, round by round: what other nodes say, when they are silent, and what
//! they say of what they have committed.

use dunlin_ledger::{Answer, Demand, Holder, Lease, Life, Place, Pot, Recall, Short, Ticket};
use dunlin_types::{Epoch, MonoMillis, NanoUsd, NodeId, PotId, RequestId, UnixMillis};

use crate::world::{Log, Node, pot};

const P: UnixMillis = UnixMillis(1);
const LIMIT: u64 = 100;
/// What a node says that it has committed all the time, and now.
const ALL: Answer = Answer { least: NanoUsd(60), present: NanoUsd(60) };
const NOTHING: Answer = Answer { least: NanoUsd::ZERO, present: NanoUsd::ZERO };
/// The lives that are asked.
const SECOND: Holder = (NodeId(2), Epoch(1));
const THIRD: Holder = (NodeId(3), Epoch(1));

/// Node 1, one of whose requests needs 50 of a pot of which others have leases.
#[derive(Clone)]
struct Asker {
    log: Log,
    node: Node,
    request: u128,
    now: u64,
}

fn demand(limit: u64, need: u64) -> [Demand; 1] {
    let (limit, amount) = (NanoUsd(limit), NanoUsd(need));
    [Demand { pot: pot(1), period: P, limit, amount, strict: true }]
}

/// Less than it needs will do.
fn lenient(need: u64) -> [Demand; 1] {
    demand(LIMIT, need).map(|demand| Demand { strict: false, ..demand })
}

impl Asker {
    fn new(leases: &[(Holder, u64)]) -> Self {
        let mut log = Log::with_pots(LIMIT, 1, P);
        let lease = |((node, epoch), granted): &(Holder, u64)| Lease {
            node: *node,
            epoch: *epoch,
            granted: NanoUsd(*granted),
            used: NanoUsd::ZERO,
        };
        let leases = leases.iter().map(lease).collect();
        let shared = Pot { period: P, leases, ..Pot::default() };
        log.pots.insert(pot(1), (NanoUsd(LIMIT), shared));
        Self { log, node: Node::new(1), request: 9, now: 0 }
    }

    /// Waits for 50, its time over.
    fn insisting(leases: &[(Holder, u64)]) -> Self {
        let mut asker = Self::new(leases);
        assert!(!asker.is_refused(), "somebody may help");
        asker.node.purses.insist(RequestId(asker.request));
        asker
    }

    fn hold(&mut self, limit: u64) -> Result<(), Short> {
        self.node.hold(&self.log, self.request, &demand(limit, 50), self.now)
    }

    /// What is told of a final refusal: what could be held at best, and what is out of reach.
    fn refused(&mut self) -> Option<(u64, u64)> {
        let short = self.hold(LIMIT).err()?;
        let of = &short.pots[0];
        short.is_final().then_some((of.reachable.0, of.withheld.0))
    }

    fn is_refused(&mut self) -> bool {
        self.refused().is_some()
    }

    /// Asks, and takes nothing of what is free.
    fn ask(&mut self) -> Recall {
        self.now += 50;
        let due = self.node.due(&self.log, self.now);
        for (pot, _) in &due.wants {
            self.node.purses.answered(pot, MonoMillis(self.now));
        }
        let [recall] = <[Recall; 1]>::try_from(due.recalls).expect("one question");
        recall
    }

    fn hears(&mut self, round: u64, from: Holder, answer: Option<Answer>) -> bool {
        let answer = answer.map(|answer| (from, answer));
        self.node.purses.heard(&pot(1), round, from.0, answer)
    }

    /// Asks everybody once, and hears these answers.
    fn round(&mut self, answers: &[(Holder, Option<Answer>)]) {
        let asked = self.ask();
        let mut is_whole = false;
        for (from, answer) in answers {
            assert!(!is_whole, "there is nobody left to be heard");
            is_whole = self.hears(asked.round, *from, *answer);
        }
        assert!(is_whole, "all have been heard");
    }
}

#[test]
fn who_says_so_twice_has_committed_it_and_who_was_silent_in_between_has_not() {
    let mut asker = Asker::insisting(&[(SECOND, 60)]);
    asker.round(&[(SECOND, Some(ALL))]);
    assert!(!asker.is_refused(), "once says nothing of one moment");
    asker.round(&[(SECOND, None)]);
    assert!(!asker.is_refused());
    asker.round(&[(SECOND, Some(ALL))]);
    assert!(!asker.is_refused(), "since the round before it did not say");
    asker.round(&[(SECOND, Some(ALL))]);
    assert_eq!(asker.refused(), Some((40, 0)), "{LIMIT} less 60");
}

#[test]
fn who_is_silent_twice_in_a_row_is_out_of_reach() {
    let mut asker = Asker::insisting(&[(SECOND, 60)]);
    for answer in [None, Some(NOTHING), None] {
        asker.round(&[(SECOND, answer)]);
        assert!(!asker.is_refused(), "it may be a broken connection");
    }
    asker.node.purses.void(RequestId(asker.request));
    assert!(!asker.is_refused(), "it waits anew");
    asker.node.purses.insist(RequestId(asker.request));
    asker.round(&[(SECOND, None)]);
    assert!(!asker.is_refused(), "what was while nobody waited says nothing of now");
    asker.round(&[(SECOND, None)]);
    assert_eq!(asker.refused(), Some((40, 60)), "and what it has is told apart");
}

#[test]
fn what_another_life_says_is_not_said_of_the_one_that_is_asked() {
    let mut asker = Asker::insisting(&[(SECOND, 60)]);
    let next = (SECOND.0, Epoch(2));
    for _ in 0..4 {
        asker.round(&[(next, Some(ALL))]);
        assert!(!asker.is_refused(), "the lease of the former one is on its way");
    }
}

#[test]
fn a_round_is_over_when_all_have_been_heard_and_each_is_heard_once() {
    let mut asker = Asker::insisting(&[(SECOND, 40), (THIRD, 40)]);
    let first = asker.ask();
    assert!(!asker.hears(first.round, SECOND, Some(NOTHING)));
    assert!(!asker.hears(first.round, SECOND, Some(ALL)), "it was heard");
    assert!(!asker.hears(first.round + 1, THIRD, Some(ALL)), "nobody was asked that");
    assert_eq!(asker.ask().round, first.round, "the same question once more");
    assert!(asker.hears(first.round, THIRD, Some(NOTHING)));
    let second = asker.ask();
    assert_eq!(second.round, first.round + 1);
    for from in [SECOND, THIRD] {
        assert!(!asker.hears(first.round, from, Some(ALL)), "late: that round is over");
    }
    assert!(!asker.hears(second.round, SECOND, Some(NOTHING)));
    assert!(!asker.hears(second.round, SECOND, Some(ALL)), "it was heard");
    assert!(asker.hears(second.round, THIRD, Some(NOTHING)));
    assert!(!asker.is_refused(), "nobody has committed anything");
}

#[test]
fn a_round_that_began_before_its_time_was_over_refuses_nobody() {
    let mut asker = Asker::new(&[(SECOND, 60)]);
    assert!(!asker.is_refused(), "it waits");
    for _ in 0..3 {
        asker.round(&[(SECOND, Some(ALL))]);
        assert!(!asker.is_refused(), "others may end while it waits");
    }
    asker.node.purses.insist(RequestId(asker.request));
    assert!(!asker.is_refused());
    asker.round(&[(SECOND, Some(ALL))]);
    assert!(asker.is_refused());
}

#[test]
fn what_was_shown_of_another_limit_or_period_refuses_nobody() {
    let mut asker = Asker::insisting(&[(SECOND, 60)]);
    asker.round(&[(SECOND, Some(ALL))]);
    asker.round(&[(SECOND, Some(ALL))]);
    let mut raised = asker.clone();
    raised.log.pots.get_mut(&pot(1)).expect("there").0 = NanoUsd(105);
    assert!(!raised.hold(105).expect_err("it waits").is_final(), "45 or more may be there");
    assert!(asker.clone().is_refused());
    let (_, shared) = asker.log.pots.get_mut(&pot(1)).expect("there");
    shared.turn(UnixMillis(2));
    shared.leases.push(Lease {
        node: NodeId(2),
        epoch: Epoch(1),
        granted: NanoUsd(60),
        used: NanoUsd::ZERO,
    });
    assert!(!asker.is_refused(), "that was of the period before");
}

#[test]
fn what_is_held_here_counts_and_what_the_request_itself_holds_does_not() {
    let mut asker = Asker::new(&[(SECOND, 30), ((NodeId(1), Epoch(1)), 70)]);
    asker.node.hold(&asker.log, 1, &demand(LIMIT, 40), 0).expect("of its own lease");
    // The request holds 30 and is about to be tried where it needs 50.
    asker.node.hold(&asker.log, asker.request, &demand(LIMIT, 30), 0).expect("the rest");
    assert!(!asker.is_refused());
    asker.node.purses.insist(RequestId(asker.request));
    let of = |amount| Answer { least: NanoUsd(amount), present: NanoUsd(amount) };
    for _ in 0..3 {
        asker.round(&[(SECOND, Some(of(10)))]);
        assert!(!asker.is_refused(), "40 and 10 are committed: 50 can be had");
    }
    for _ in 0..2 {
        asker.round(&[(SECOND, Some(of(11)))]);
    }
    assert_eq!(asker.refused(), Some((49, 0)));
}

#[test]
fn what_lies_with_nodes_that_cannot_be_asked_is_told_apart() {
    let mut asker = Asker::new(&[(SECOND, 30), (THIRD, 45)]);
    let (log, holder) = (asker.log.clone(), asker.node.holder());
    let is_there = |(node, _): Holder| node != THIRD.0;
    let view = |pot: &PotId| {
        let (limit, shared) = &log.pots[pot];
        dunlin_ledger::View::of(shared, Some(*limit), holder, is_there)
    };
    let lives = |pot: &PotId| {
        let all = log.lives(pot, holder).into_iter();
        all.filter(|life| is_there(life.holder)).collect::<Vec<Life>>()
    };
    let (request, demands) = (RequestId(asker.request), demand(LIMIT, 50));
    let purses = &mut asker.node.purses;
    let short = purses.hold(request, &demands, &view, MonoMillis(0)).expect_err("not here");
    assert!(!short.is_final(), "the second may give back 30, and 25 are free");
    purses.insist(request);
    let committed = Answer { least: NanoUsd(6), present: NanoUsd(6) };
    for turn in 1..=2 {
        let now = MonoMillis(turn * 50);
        let due = purses.due(&view, &lives, now);
        due.wants.iter().for_each(|(pot, _)| purses.answered(pot, now));
        assert_eq!(due.recalls[0].lives.len(), 1, "the third cannot be asked");
        assert!(purses.heard(&pot(1), due.recalls[0].round, SECOND.0, Some((SECOND, committed))));
    }
    let short = purses.hold(request, &demands, &view, MonoMillis(200)).expect_err("49 are left");
    assert!(short.is_final());
    assert_eq!((short.pots[0].reachable, short.pots[0].withheld), (NanoUsd(49), NanoUsd(45)));
}

#[test]
fn what_is_committed_now_refuses_nobody_and_is_owed_to_nobody() {
    let mut asker = Asker::new(&[(SECOND, 80), ((NodeId(1), Epoch(1)), 20)]);
    assert!(!asker.is_refused());
    asker.node.purses.insist(RequestId(asker.request));
    let busy = |present| Answer { least: NanoUsd::ZERO, present: NanoUsd(present) };
    let other = |asker: &mut Asker| {
        let held = asker.node.hold(&asker.log, 10, &demand(LIMIT, 5), asker.now).is_ok();
        asker.node.purses.void(RequestId(10));
        held
    };
    for _ in 0..4 {
        asker.round(&[(SECOND, Some(busy(60)))]);
        assert!(!asker.is_refused(), "it comes and goes: it was never 60 all the time");
        assert!(other(&mut asker), "40 are too few to be kept for it");
    }
    asker.round(&[(SECOND, Some(busy(40)))]);
    assert!(!asker.is_refused());
    assert!(!other(&mut asker), "60 do, and others come later");
    asker.round(&[(SECOND, Some(busy(60)))]);
    assert!(!asker.is_refused());
    assert!(other(&mut asker), "it is gone again");
}

#[test]
fn where_all_is_spent_nobody_is_asked() {
    let mut asker = Asker::new(&[(SECOND, 60)]);
    asker.log.pots.get_mut(&pot(1)).expect("there").1.settled = NanoUsd(60);
    assert_eq!(asker.refused(), Some((40, 0)), "whatever the second gives back");
    assert!(asker.node.due(&asker.log, 50).recalls.is_empty());
}

/// The last money lets in one request. What that costs beyond it nobody else knows until it is
/// settled: as long as another node has a lease, it is asked first.
#[test]
fn the_last_money_is_taken_when_all_of_it_is_here_and_others_have_not_overspent() {
    // Of 100, 60 are on the second's lease and 40 on this node's: what the second has committed, and
    // what becomes of one here that needs 50.
    for (committed, held) in [(60, Some(40)), (75, Some(40)), (55, None), (100, None), (120, None)]
    {
        let mut asker = Asker::new(&[(SECOND, 60), ((NodeId(1), Epoch(1)), 40)]);
        let hold =
            |asker: &mut Asker| asker.node.hold(&asker.log, asker.request, &lenient(50), asker.now);
        assert!(!hold(&mut asker).expect_err("more may come").is_final());
        asker.now = 400;
        assert!(!hold(&mut asker).expect_err("nobody was asked").is_final());
        asker.node.purses.insist(RequestId(asker.request));
        let of = Answer { least: NanoUsd(committed), present: NanoUsd(committed) };
        asker.round(&[(SECOND, Some(of))]);
        asker.round(&[(SECOND, Some(of))]);
        let last = asker.clone();
        let result = hold(&mut asker);
        assert_eq!(result.is_ok(), held.is_some(), "{committed}");
        assert_eq!(asker.node.purses.book(&pot(1), P).held.0, held.unwrap_or(0), "{committed}");
        let is_spent = committed >= LIMIT;
        assert_eq!(result.is_err_and(|short| short.is_final()), is_spent, "{committed}");
        // Of 45 that are left 5 do not come: it takes the 40. What all have overspent nobody takes.
        let Asker { log, mut node, request, now } = last;
        assert_eq!(node.hold_rest(&log, request, &lenient(50), now).is_ok(), !is_spent);
    }
}

/// A node that is asked: what it says in each round.
struct Asked {
    log: Log,
    node: Node,
    period: UnixMillis,
    through: u64,
}

impl Asked {
    /// With a lease of everything, of which request 1 holds 60.
    fn new() -> Self {
        let mut log = Asker::new(&[(SECOND, LIMIT)]).log;
        log.at = UnixMillis(5);
        let mut node = Node::new(2);
        node.hold(&log, 1, &demand(LIMIT, 60), 0).expect("of its lease");
        Self { log, node, period: P, through: 0 }
    }

    /// The least since the round before, and what is committed now.
    fn says(&mut self, round: u64) -> (u64, u64) {
        let life = Life { holder: SECOND, unused: NanoUsd(LIMIT), through: self.through };
        let ticket = Ticket { place: Place::Gathers, request: RequestId(7) };
        let (pot, lacks, period, lives) = (pot(1), NanoUsd(50), self.period, vec![life]);
        let recall = Recall { pot, ticket, lacks, round, period, lives };
        let (_, Answer { least, present }) = self.node.answer(NodeId(1), &recall, 0);
        (least.0, present.0)
    }

    fn holds(&mut self, request: u128, amount: u64) {
        self.node.hold(&self.log, request, &demand(LIMIT, amount), 0).expect("of its lease");
    }
}

#[test]
fn a_node_says_the_least_that_it_had_since_the_round_before() {
    let mut asked = Asked::new();
    assert_eq!(asked.says(1), (0, 60), "nothing is known of before");
    asked.holds(2, 20);
    assert_eq!(asked.says(2), (60, 80));
    assert_eq!(asked.says(3), (80, 80));
    asked.node.purses.void(RequestId(2));
    asked.holds(3, 20);
    assert_eq!(asked.says(4), (60, 80), "it was less in between");
    asked.holds(3, 5);
    asked.holds(3, 20);
    assert_eq!(asked.says(5), (65, 80), "a request that holds less for a while");
    asked.node.settle(3, NanoUsd(4));
    asked.holds(4, 16);
    assert_eq!(asked.says(6), (64, 80), "one that cost less than it held");
    asked.node.settle(4, NanoUsd(0));
    asked.holds(5, 16);
    assert_eq!(asked.says(7), (64, 80), "one that cost nothing");
}

#[test]
fn an_answer_that_may_be_lost_and_a_round_that_was_missed_leave_nothing_sure() {
    let mut asked = Asked::new();
    assert_eq!(asked.says(1), (0, 60));
    assert_eq!(asked.says(3), (0, 60), "the second round was not answered");
    assert_eq!(asked.says(4), (60, 60));
    assert_eq!(asked.says(4), (0, 60), "asked again: nobody can tell what was heard");
    asked.node.purses.void(RequestId(1));
    asked.holds(2, 60);
    assert_eq!(asked.says(4), (0, 60), "the answer may have been lost");
    assert_eq!(asked.says(5), (0, 60), "and it has had less since it was made");
    assert_eq!(asked.says(6), (60, 60));
    asked.period = UnixMillis(2);
    assert_eq!(asked.says(7), (0, 0), "of another period");
    asked.period = P;
    assert_eq!(asked.says(8), (0, 60), "and back");
    assert_eq!(asked.says(9), (60, 60));
}

/// What the asking node knows to be settled it counts itself.
#[test]
fn what_is_settled_is_said_by_nobody() {
    let mut asked = Asked::new();
    asked.node.settle(1, NanoUsd(60));
    asked.holds(2, 10);
    assert_eq!(asked.says(1), (0, 70));
    assert_eq!(asked.says(2), (70, 70), "it is on record, and nobody knows that it is settled");
    // The asking node knows before this one does.
    let after = asked.log.through(SECOND);
    let records = asked.node.journal.clone();
    asked.log.apply(SECOND, &crate::world::Command::Settle { after, records });
    asked.through = 1;
    assert_eq!(asked.says(3), (10, 10));
    asked.node.purses.settled_through(1);
    assert_eq!(asked.says(4), (10, 10));
    // A record that was settled before it was told to the purses counts for nobody.
    asked.node.purses.settled_through(2);
    asked.node.settle(2, NanoUsd(10));
    assert_eq!(asked.says(5).1, 0);
}

#[test]
fn what_is_settled_of_one_period_is_not_taken_off_another() {
    let mut asked = Asked::new();
    let later = UnixMillis(2);
    asked.node.settle(1, NanoUsd(60));
    // The next period begins: the record of the former one is still unsettled here.
    let (_, shared) = asked.log.pots.get_mut(&pot(1)).expect("there");
    shared.turn(later);
    shared.leases.push(Lease {
        node: NodeId(2),
        epoch: Epoch(1),
        granted: NanoUsd(100),
        used: NanoUsd::ZERO,
    });
    asked.holds(2, 30);
    (asked.period, asked.through) = (later, 1);
    assert_eq!(asked.says(1), (0, 30));
    assert_eq!(asked.says(2), (30, 30));
    asked.node.purses.settled_through(1);
    assert_eq!(asked.says(3), (30, 30));
}
