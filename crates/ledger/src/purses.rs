//! One node's side of all its pots: what its requests hold, what they cost, and what it asks of
//! the replicated state. Behind one short lock on the path of every request.
//!
//! For each pot: held + recorded and not yet settled + being given back <= the unused part of this
//! life's lease. A request holds of all its pots or of none.

use std::collections::{BTreeMap, VecDeque};

use dunlin_types::{MonoMillis, NanoUsd, NodeId, PotId, RequestId, UnixMillis};

use crate::demand::{Answer, Demand, Due, Held, Life, Recall, Short, Shortage};
use crate::figures::Figures;
use crate::pot::{Holder, less};
use crate::purse::{Book, Purse};
use crate::view::View;

mod ready;
mod waiting;

pub use waiting::MAX_WAITING;

/// Numbers from here on are no record's: what was charged under one waits for its record.
pub const UNRECORDED: u64 = 1 << 63;
/// Pots looked at each time for what only time brings about.
const LOOKED_AT: usize = 512;

/// All of a node's purses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Purses {
    most: usize,
    numbers: BTreeMap<PotId, usize>,
    purses: Vec<Option<Purse>>,
    vacant: Vec<usize>,
    holds: BTreeMap<RequestId, Vec<Hold>>,
    waiting: BTreeMap<RequestId, (MonoMillis, Vec<usize>)>,
    /// By the number in the journal, and by purse.
    unsettled: BTreeMap<(u64, usize), (UnixMillis, NanoUsd)>,
    through: u64,
    pressing: VecDeque<usize>,
    next: usize,
    now: MonoMillis,
    leaving: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Hold {
    purse: usize,
    period: UnixMillis,
    amount: NanoUsd,
}

type Views<'a> = &'a dyn Fn(&PotId) -> View;
/// Whom to ask about a pot: see [`Purses::due`].
type Lives<'a> = &'a dyn Fn(&PotId) -> Vec<Life>;

impl Purses {
    /// Empty ones, for a new life of the node. It keeps books on `most` pots: of more, nothing can be
    /// held until idle ones are dropped.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            numbers: BTreeMap::new(),
            purses: Vec::new(),
            vacant: Vec::new(),
            holds: BTreeMap::new(),
            waiting: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            through: 0,
            pressing: VecDeque::new(),
            next: 0,
            now: MonoMillis(0),
            leaving: false,
        }
    }

    /// Holds of all the pots, or of none. A request that holds already, holds this instead; if it
    /// cannot, it keeps what it held. One that is refused waits until it holds, gives up
    /// ([`Purses::hold_rest`]) or ends ([`Purses::void`]), and [`Purses::due`] asks in its name.
    /// A demand that is not strict takes what there is, if anything, once all that is left is here:
    /// what it costs beyond that is known to nobody else until it is settled.
    ///
    /// # Errors
    /// [`Short`].
    pub fn hold(
        &mut self,
        request: RequestId,
        demands: &[Demand],
        view: Views<'_>,
        now: MonoMillis,
    ) -> Result<(), Short> {
        self.now = self.now.max(now);
        let short = match self.take(request, demands, view, false) {
            Ok(()) => return Ok(()),
            Err(short) => short,
        };
        if short.is_final() {
            self.stop_waiting(request);
        } else {
            self.wait(request, demands, &short);
        }
        Err(short)
    }

    /// The same for the last time: a demand that is not strict takes what there is, if anything,
    /// unless it was shown that all is committed. The request waits no longer.
    ///
    /// # Errors
    /// [`Short`].
    pub fn hold_rest(
        &mut self,
        request: RequestId,
        demands: &[Demand],
        view: Views<'_>,
        now: MonoMillis,
    ) -> Result<(), Short> {
        self.now = self.now.max(now);
        let taken = self.take(request, demands, view, true);
        self.stop_waiting(request);
        taken
    }

    /// Holds what a former life did, and this one was granted: whoever waits, it was held before.
    pub fn hold_again(&mut self, request: RequestId, held: &[Held], now: MonoMillis) {
        self.now = self.now.max(now);
        self.void(request);
        let mut holds = Vec::with_capacity(held.len());
        for Held { pot, period, amount } in held {
            let Some(number) = self.number(pot) else { continue };
            let purse = self.purse_mut(number);
            purse.touched = now;
            purse.uses += 1;
            purse.change(*period, |book| book.held += *amount);
            holds.push(Hold { purse: number, period: *period, amount: *amount });
        }
        self.holds.insert(request, holds);
    }

    /// What a request holds: what its cost is to be charged to, and in which periods.
    #[must_use]
    pub fn held(&self, request: RequestId) -> Vec<Held> {
        let holds = self.holds.get(&request).into_iter().flatten();
        let held = holds.map(|hold| Held {
            pot: self.purse(hold.purse).pot.clone(),
            period: hold.period,
            amount: hold.amount,
        });
        held.collect()
    }

    /// What the request holds becomes what it cost, recorded as number `seq` of this life. Charges
    /// to pots that it holds nothing of are not counted here. Nothing to do for a request that
    /// holds nothing, such as one that was settled before.
    pub fn settle(
        &mut self,
        request: RequestId,
        charges: &[(PotId, UnixMillis, NanoUsd)],
        seq: u64,
    ) {
        self.stop_waiting(request);
        for hold in self.release(request).unwrap_or_default() {
            let (now, through) = (self.now, self.through);
            let purse = self.purse_mut(hold.purse);
            let charge = charges.iter().find(|(pot, ..)| *pot == purse.pot);
            let Some(&(_, period, cost)) = charge else {
                purse.note();
                continue;
            };
            purse.recent.spend(cost, now);
            if seq <= through || cost == NanoUsd::ZERO {
                purse.note();
                continue;
            }
            purse.uses += 1;
            purse.change(period, |book| book.unsettled += cost);
            purse.note();
            let former = self.unsettled.insert((seq, hold.purse), (period, cost));
            assert!(former.is_none(), "a record has a number of its own");
        }
    }

    /// What was charged under number `before`, one of [`UNRECORDED`], is on record now, as number
    /// `seq`.
    pub fn recorded(&mut self, before: u64, seq: u64) {
        let charged = self.unsettled.range((before, 0)..=(before, usize::MAX));
        let charged: Vec<_> = charged.map(|(&(_, number), &cost)| (number, cost)).collect();
        for (number, cost) in charged {
            self.unsettled.remove(&(before, number));
            self.unsettled.insert((seq, number), cost);
        }
        self.settled_through(self.through);
    }

    /// Frees what the request holds and waits for, if anything.
    pub fn void(&mut self, request: RequestId) {
        self.stop_waiting(request);
        for hold in self.release(request).unwrap_or_default() {
            self.purse_mut(hold.purse).note();
        }
    }

    /// What was recorded up to number `seq` is used in the state that [`View`]s are read from.
    pub fn settled_through(&mut self, seq: u64) {
        self.through = self.through.max(seq);
        while let Some(first) = self.unsettled.first_entry()
            && first.key().0 <= seq
        {
            let ((_, number), (period, cost)) = first.remove_entry();
            let purse = self.purse_mut(number);
            purse.uses -= 1;
            purse.settled(period, cost);
        }
    }

    /// Another node's request waits for money of a pot. What is not held goes back with the next
    /// [`Purses::due`], but for what own requests wait for that go before it. The asking node knows
    /// that this life's records are settled up to number `through`.
    pub fn recall(&mut self, by: NodeId, recall: &Recall, through: u64, now: MonoMillis) -> Answer {
        self.now = self.now.max(now);
        let Some(&number) = self.numbers.get(&recall.pot) else { return Answer::default() };
        // Settled as far as it knows, and not yet as far as this node does.
        let ahead = self.unsettled.range(..(through.saturating_add(1), 0));
        let ahead =
            ahead.filter(|((_, of), (period, _))| (*of, *period) == (number, recall.period));
        let settled = ahead.map(|(_, (_, cost))| *cost).sum();
        let purse = self.purse_mut(number);
        purse.recall(by, recall, now);
        let answer = purse.answer(by, recall, settled, now);
        self.press(number);
        answer
    }

    /// A node answered a round's question about a pot, in which life of it; or it did not.
    pub fn heard(
        &mut self,
        pot: &PotId,
        round: u64,
        from: NodeId,
        answer: Option<(Holder, Answer)>,
    ) -> bool {
        let Some(&number) = self.numbers.get(pot) else { return false };
        let is_whole = self.purse_mut(number).heard(round, from, answer);
        if is_whole {
            self.press(number);
        }
        is_whole
    }

    /// The want of that pot was decided, and the state that [`View`]s are read from shows it; or
    /// it is certain that it never will be.
    pub fn answered(&mut self, pot: &PotId, now: MonoMillis) {
        self.now = self.now.max(now);
        if let Some(&number) = self.numbers.get(pot) {
            let purse = self.purse_mut(number);
            purse.wants = false;
            if purse.is_pressing() {
                self.press(number);
            }
        }
    }

    /// The state that [`View`]s are read from shows what was given back; or it is certain that it
    /// never will.
    pub fn returned(&mut self, pot: &PotId, period: UnixMillis, amount: NanoUsd) {
        if let Some(&number) = self.numbers.get(pot) {
            let purse = self.purse_mut(number);
            purse.change(period, |book| book.returning = less(book.returning, amount));
        }
    }

    /// Whether this node leaves its clients to others: then all that no request holds or waits for goes
    /// back at once, and nothing is fetched ahead of need.
    pub fn leave(&mut self, leaving: bool) {
        self.leaving = leaving;
    }

    /// What to propose and ask for: what pots that are short lack, at once; what runs low or has
    /// lain idle, a stretch of the pots at a time. To be called every 50 to 200 ms, and a few
    /// milliseconds after a shortage. `lives` are those that [`View::others`] counts, but for former
    /// ones of this node.
    pub fn due(&mut self, view: Views<'_>, lives: Lives<'_>, now: MonoMillis) -> Due {
        self.now = self.now.max(now);
        let mut due = Due::default();
        for _ in 0..self.pressing.len() {
            if due.is_full() {
                return due;
            }
            let Some(number) = self.pressing.pop_front() else { break };
            self.purse_mut(number).queued = false;
            self.look(number, (view, lives), &mut due);
        }
        for _ in 0..LOOKED_AT.min(self.purses.len()) {
            if due.is_full() {
                return due;
            }
            self.next = (self.next + 1) % self.purses.len();
            if self.purses[self.next].as_ref().is_some_and(|purse| !purse.queued) {
                self.look(self.next, (view, lives), &mut due);
            }
        }
        due
    }

    /// Counts, for metrics.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            pots: self.numbers.len(),
            holding: self.holds.len(),
            waiting: self.waiting.len(),
            unsettled: self.unsettled.len(),
        }
    }

    /// What is taken of a pot here in a period.
    #[must_use]
    pub fn book(&self, pot: &PotId, period: UnixMillis) -> Book {
        let purse = self.numbers.get(pot).map(|&number| self.purse(number));
        purse.map_or_else(Book::default, |purse| purse.book(period))
    }

    fn look(&mut self, number: usize, (view, lives): (Views<'_>, Lives<'_>), due: &mut Due) {
        let (now, leaving) = (self.now, self.leaving);
        let purse = self.purse_mut(number);
        let pot = purse.pot.clone();
        let view = view(&pot);
        purse.recent.roll(now);
        let spare = purse.spare(&view, now, leaving);
        let may_want = !leaving || purse.is_pressing();
        if spare > NanoUsd::ZERO {
            purse.change(view.period, |book| book.returning += spare);
            due.returns.push((purse.pot.clone(), view.period, spare));
        } else if let Some(want) = purse.want(&view, now).filter(|_| may_want) {
            purse.wants = true;
            due.wants.push((purse.pot.clone(), want));
        }
        due.recalls.extend(purse.ask(&view, || lives(&pot), now));
        if purse.is_pressing() {
            self.press(number);
        } else if purse.is_idle(&view, now) {
            self.numbers.remove(&pot);
            self.purses[number] = None;
            self.vacant.push(number);
        }
    }

    fn take(
        &mut self,
        request: RequestId,
        demands: &[Demand],
        view: Views<'_>,
        is_last: bool,
    ) -> Result<(), Short> {
        let former = self.release(request);
        let mut holds = Vec::with_capacity(demands.len());
        let mut short = Short::default();
        for demand in demands {
            let Some(number) = self.number(&demand.pot) else {
                short.lacks_room = true;
                continue;
            };
            let former = former.as_deref().unwrap_or_default();
            match self.take_one((request, number), demand, former, (&view(&demand.pot), is_last)) {
                Ok(hold) => holds.push(hold),
                Err(shortage) => short.pots.push(shortage),
            }
        }
        if short == Short::default() {
            self.stop_waiting(request);
            self.holds.insert(request, holds);
            for hold in former.into_iter().flatten() {
                self.purse_mut(hold.purse).note();
            }
            return Ok(());
        }
        holds.iter().for_each(|hold| self.free(hold));
        if let Some(former) = former {
            for hold in &former {
                let purse = self.purse_mut(hold.purse);
                purse.uses += 1;
                purse.change(hold.period, |book| book.held += hold.amount);
            }
            self.holds.insert(request, former);
        }
        Err(short)
    }

    fn take_one(
        &mut self,
        (request, number): (RequestId, usize),
        demand: &Demand,
        former: &[Hold],
        (view, is_last): (&View, bool),
    ) -> Result<Hold, Shortage> {
        let (now, period) = (self.now, demand.period.max(view.period));
        let shortage = |available, reachable, withheld| Shortage {
            pot: demand.pot.clone(),
            period,
            need: demand.amount,
            available,
            reachable,
            withheld,
            strict: demand.strict,
        };
        let purse = self.purse_mut(number);
        purse.touched = now;
        let before = purse.left_before(request, view.free, now);
        let available = less(purse.available(view, demand.limit, period), before);
        let mut amount = demand.amount;
        if amount > available {
            let own = former.iter().filter(|hold| hold.purse == number && hold.period == period);
            let own = own.map(|hold| hold.amount).sum();
            let reach = purse.reach((request, own), view, demand.limit, period);
            let takes_rest =
                if is_last { reach.most > NanoUsd::ZERO } else { reach.is_all(available) };
            if demand.strict || !takes_rest || available == NanoUsd::ZERO {
                return Err(shortage(available, reach.most, reach.withheld));
            }
            amount = available;
        }
        purse.change(period, |book| book.held += amount);
        purse.uses += 1;
        purse.recent.hold(demand.amount, now);
        if purse.is_low(view, less(available, amount)) {
            self.press(number);
        }
        Ok(Hold { purse: number, period, amount })
    }

    fn free(&mut self, hold: &Hold) {
        let purse = self.purse_mut(hold.purse);
        purse.uses -= 1;
        purse.change(hold.period, |book| book.held = less(book.held, hold.amount));
    }

    fn release(&mut self, request: RequestId) -> Option<Vec<Hold>> {
        let holds = self.holds.remove(&request)?;
        holds.iter().for_each(|hold| self.free(hold));
        Some(holds)
    }

    fn press(&mut self, number: usize) {
        let purse = self.purse_mut(number);
        if !purse.queued {
            purse.queued = true;
            self.pressing.push_back(number);
        }
    }

    /// The number of a pot's purse, a new one if there is room.
    fn number(&mut self, pot: &PotId) -> Option<usize> {
        if let Some(&number) = self.numbers.get(pot) {
            return Some(number);
        }
        if self.numbers.len() >= self.most {
            return None;
        }
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.purses.push(None);
            self.purses.len() - 1
        });
        self.purses[number] = Some(Purse::new(pot.clone(), self.now));
        self.numbers.insert(pot.clone(), number);
        Some(number)
    }

    fn purse(&self, number: usize) -> &Purse {
        self.purses[number].as_ref().expect("a numbered purse is kept while it is in use")
    }

    fn purse_mut(&mut self, number: usize) -> &mut Purse {
        self.purses[number].as_mut().expect("a numbered purse is kept while it is in use")
    }
}
