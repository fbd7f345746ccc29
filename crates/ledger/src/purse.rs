//! One node's side of one pot: what of its lease is free to be held.

mod outlook;

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_types::{MonoMillis, NanoUsd, NodeId, PotId, RequestId, UnixMillis};

use crate::demand::{Answer, Life, Recall};
use crate::pot::{Holder, Want, less};
use crate::proof::Proof;
use crate::recent::Recent;
use crate::view::View;
use crate::watch::Watches;
use crate::yields::Yields;

pub(crate) use outlook::{Moment, Outlook};

/// A lease that nothing was held of for this long goes back.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// How long a waiting request may gather money that is not enough for it. From then on it takes
/// what suffices, so that who needs less is not kept waiting.
const COLLECT: Duration = Duration::from_millis(200);
/// How often others are asked again while a request waits.
const RECALL_EVERY: Duration = Duration::from_millis(20);
/// How long after another node was short a node asks for no more than its requests lack.
const SCARCE: Duration = Duration::from_secs(1);
/// A lease this many times larger than what does for a while is cut to that.
const EXCESS: u64 = 4;
/// Of what is free, a node keeps ready one part of this many, or what its largest request holds: all
/// that it has is out of reach should it die. It gives back what exceeds twice as much.
const AMPLE_PART: u64 = 8;

/// How a waiting request comes to its money.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// It has waited its time, and there is enough for it somewhere: everyone leaves it to it.
    Owed,
    /// It gathers what comes free.
    Gathers,
    /// Its time to gather is over: it takes what suffices at once.
    Late,
}

/// The place of a waiting request among all that wait, on every node: the lesser goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket {
    /// How it comes to its money.
    pub place: Place,
    /// The request. Ids that grow with time make it first come, first served.
    pub request: RequestId,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Purse {
    pub(crate) pot: PotId,
    /// One for each period in which something is open: one in most, two after a period's end.
    books: Vec<Book>,
    /// Holds and unsettled costs: it is kept while there are any.
    pub(crate) uses: u32,
    pub(crate) waiting: BTreeMap<RequestId, Waiting>,
    pub(crate) recent: Recent,
    pub(crate) touched: MonoMillis,
    pub(crate) wants: bool,
    pub(crate) queued: bool,
    recalled: Option<Ticket>,
    yields: Yields,
    scarce_until: MonoMillis,
    asked: Option<MonoMillis>,
    /// Waiting requests for which there is enough, and what each needs.
    owed: BTreeMap<RequestId, NanoUsd>,
    /// What other nodes have said, while somebody here waits.
    proof: Option<Box<Proof>>,
    /// What this node says to others while somebody waits there.
    watches: Watches,
}

/// What is taken of the lease of one period.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Book {
    period: UnixMillis,
    /// Held by live requests.
    pub held: NanoUsd,
    /// Recorded, and not yet used in the state.
    pub unsettled: NanoUsd,
    /// Proposed to be given back.
    pub(crate) returning: NanoUsd,
}

impl Book {
    fn taken(&self) -> NanoUsd {
        self.committed() + self.returning
    }

    /// What is spent or may be.
    fn committed(&self) -> NanoUsd {
        self.held + self.unsettled
    }
}

/// What a request may hold at best.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reach {
    pub(crate) most: NanoUsd,
    /// What lies on nodes that cannot be reached.
    pub(crate) withheld: NanoUsd,
    /// All nodes with a lease have said what they have committed.
    is_shown: bool,
}

impl Reach {
    /// Whether it is certain that all that is left, and something is, is `available` here.
    pub(crate) fn is_all(&self, available: NanoUsd) -> bool {
        self.is_shown && self.most > NanoUsd::ZERO && self.most <= available
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Waiting {
    pub(crate) need: NanoUsd,
    pub(crate) period: UnixMillis,
    pub(crate) since: MonoMillis,
    /// Less than the need will not do.
    pub(crate) strict: bool,
    /// Its time is over: an answer to a question of a later round decides.
    pub(crate) insists: Option<u64>,
}

impl Waiting {
    /// With less than this it is refused.
    fn least(&self) -> NanoUsd {
        if self.strict { self.need } else { self.need.min(NanoUsd(1)) }
    }
}

impl Purse {
    pub(crate) fn new(pot: PotId, now: MonoMillis) -> Self {
        Self {
            pot,
            books: Vec::with_capacity(1),
            uses: 0,
            waiting: BTreeMap::new(),
            recent: Recent::default(),
            touched: now,
            wants: false,
            queued: false,
            recalled: None,
            yields: Yields::default(),
            scarce_until: MonoMillis(0),
            asked: None,
            owed: BTreeMap::new(),
            proof: None,
            watches: Watches::default(),
        }
    }

    pub(crate) fn book(&self, period: UnixMillis) -> Book {
        let book = self.books.iter().find(|book| book.period == period);
        book.copied().unwrap_or(Book { period, ..Book::default() })
    }

    pub(crate) fn change(&mut self, period: UnixMillis, change: impl FnOnce(&mut Book)) {
        let mut book = self.book(period);
        change(&mut book);
        self.books.retain(|other| other.period != period);
        if book.taken() > NanoUsd::ZERO {
            self.books.push(book);
        }
    }

    /// What may still be held.
    pub(crate) fn available(&self, view: &View, limit: NanoUsd, period: UnixMillis) -> NanoUsd {
        let within = less(own(view, period), over(view, limit));
        less(within, self.book(period).taken())
    }

    /// What a request may hold at best, of which it holds so much already.
    pub(crate) fn reach(
        &self,
        (request, own): (RequestId, NanoUsd),
        view: &View,
        limit: NanoUsd,
        period: UnixMillis,
    ) -> Reach {
        let most = self.reachable(view, limit, period);
        match self.proved(request, limit, period) {
            Some((proved, withheld)) => {
                Reach { most: most.min(proved + own), withheld, is_shown: true }
            }
            None => {
                // Where nobody else has a lease, nobody is asked.
                let is_shown = view.period == period && view.others == NanoUsd::ZERO;
                Reach { most, withheld: view.withheld, is_shown }
            }
        }
    }

    /// What may be available at best, after all other nodes gave up all they have.
    fn reachable(&self, view: &View, limit: NanoUsd, period: UnixMillis) -> NanoUsd {
        let book = self.book(period);
        if view.period == period {
            let elsewhere = view.free + view.others + book.returning;
            (self.available(view, limit, period) + elsewhere)
                .min(less(limit, view.settled + view.withheld))
        } else {
            less(limit, book.taken())
        }
    }

    pub(crate) fn recall(&mut self, by: NodeId, recall: &Recall, now: MonoMillis) {
        let Recall { ticket, lacks, .. } = *recall;
        self.recalled = Some(self.recalled.map_or(ticket, |known| known.min(ticket)));
        self.yields.add(by, ticket, lacks, now);
        self.scarce_until = now.plus(SCARCE);
    }

    /// What this node has committed, for another that asks. `settled` of it is known to that one.
    pub(crate) fn answer(
        &mut self,
        by: NodeId,
        recall: &Recall,
        settled: NanoUsd,
        now: MonoMillis,
    ) -> Answer {
        let committed = self.book(recall.period).committed();
        let least = self.watches.answer(by, recall, committed, now);
        Answer { least: less(least, settled), present: less(committed, settled) }
    }

    /// Less may be committed than before.
    pub(crate) fn note(&mut self) {
        let Self { watches, books, .. } = self;
        watches.note(|period| {
            let book = books.iter().find(|book| book.period == period);
            book.map_or(NanoUsd::ZERO, Book::committed)
        });
    }

    /// What was recorded is settled: it is told of no more.
    pub(crate) fn settled(&mut self, period: UnixMillis, cost: NanoUsd) {
        self.watches.settled(period, cost);
        self.change(period, |book| book.unsettled = less(book.unsettled, cost));
    }

    /// What a request may hold at best, as a round of answers showed that began after its time was
    /// over; and what lies on nodes that did not answer.
    fn proved(
        &self,
        request: RequestId,
        limit: NanoUsd,
        period: UnixMillis,
    ) -> Option<(NanoUsd, NanoUsd)> {
        let insists = self.waiting.get(&request)?.insists?;
        let shown = self.proof.as_ref()?.shown(insists, period, limit)?;
        Some((less(limit, shown.least), shown.silent))
    }

    /// The number of the last round of questions.
    pub(crate) fn rounds(&self) -> u64 {
        self.proof.as_ref().map_or(0, |proof| proof.rounds())
    }

    /// A node said what it has committed, or nothing. True if all have.
    pub(crate) fn heard(
        &mut self,
        round: u64,
        from: NodeId,
        answer: Option<(Holder, Answer)>,
    ) -> bool {
        let Some(proof) = self.proof.as_mut() else { return false };
        let is_whole = proof.heard(round, from, answer);
        if is_whole {
            self.owe();
        }
        is_whole
    }

    /// Who has waited its time, and has enough, gets it before all others.
    fn owe(&mut self) {
        self.owed.clear();
        let Some(mut room) = self.proof.as_ref().and_then(|proof| proof.room()) else { return };
        for (request, waiting) in self.waiting.iter().filter(|(_, of)| of.insists.is_some()) {
            if waiting.least() <= room {
                room = less(room, waiting.need);
                self.owed.insert(*request, waiting.need);
            }
        }
    }

    /// It waits, as before if it did.
    pub(crate) fn wait(&mut self, request: RequestId, waiting: Waiting) {
        let insists = self.waiting.get(&request).and_then(|known| known.insists);
        self.waiting.insert(request, Waiting { insists, ..waiting });
    }

    pub(crate) fn stop_waiting(&mut self, request: RequestId) {
        self.waiting.remove(&request);
        self.owed.remove(&request);
        if self.waiting.is_empty() {
            self.proof = None;
        }
    }

    /// What is left to others that are owed something and come first: to those that wait here what
    /// they need; to one elsewhere that needs more than is `free`, all.
    pub(crate) fn left_before(
        &self,
        request: RequestId,
        free: NanoUsd,
        now: MonoMillis,
    ) -> NanoUsd {
        let is_owed = self.owed.contains_key(&request);
        let comes_first = |first: RequestId| !is_owed || first < request;
        if self.yields.owed(free, now).is_some_and(comes_first) {
            return NanoUsd(u64::MAX);
        }
        let before = self.owed.iter().take_while(|(first, _)| comes_first(**first));
        before.map(|(_, need)| *need).sum()
    }

    fn ticket(&self, request: RequestId, waiting: &Waiting, now: MonoMillis) -> Ticket {
        let place = if self.owed.contains_key(&request) {
            Place::Owed
        } else if now.since(waiting.since) >= COLLECT {
            Place::Late
        } else {
            Place::Gathers
        };
        Ticket { place, request }
    }

    /// True while there is more to do about it than to wait for time to pass.
    pub(crate) fn is_pressing(&self) -> bool {
        self.recalled.is_some() || !self.waiting.is_empty()
    }

    pub(crate) fn is_low(&self, view: &View, available: NanoUsd) -> bool {
        available < NanoUsd(self.recent.spent().min(self.ample(view)).0 / 2)
    }

    /// What a node keeps beside what is held, so that the next requests need not wait: what does for
    /// a while, but little of what is left, so that little of it lies on a node that dies.
    fn ample(&self, view: &View) -> NanoUsd {
        self.recent.need().min(NanoUsd(view.free.0 / AMPLE_PART)).max(self.recent.largest())
    }

    /// What goes back: what exceeds a lowered limit, what another node's request is in greater
    /// need of, what has lain idle, and what is far more than needed; all of it on a node that leaves.
    pub(crate) fn spare(&mut self, view: &View, now: MonoMillis, leaving: bool) -> NanoUsd {
        let unheld = less(own(view, view.period), self.book(view.period).taken());
        // What is granted after this is asked for, too.
        let recalled = self.recalled.take();
        let Some(limit) = view.limit else { return unheld };
        self.recalled = recalled.filter(|_| self.wants);
        let over = over(view, limit).min(unheld);
        let available = less(unheld, over);
        if let Some(ticket) = recalled {
            return over + less(available, self.kept_from(ticket, available, now));
        }
        if !self.waiting.is_empty() {
            return over;
        }
        if leaving || now.since(self.touched) >= IDLE {
            return unheld;
        }
        let (need, ample) = (self.recent.need(), self.ample(view));
        let is_idle = need > NanoUsd::ZERO && available.0 / EXCESS > need.0;
        let is_scarce = available > ample && available.0 / 2 > view.free.0 / AMPLE_PART;
        over + if is_idle || is_scarce { less(available, ample) } else { NanoUsd::ZERO }
    }

    /// What own requests keep that go before `ticket`. Those whose time to gather is over keep
    /// nothing that does not suffice.
    fn kept_from(&self, ticket: Ticket, available: NanoUsd, now: MonoMillis) -> NanoUsd {
        let mut kept = NanoUsd::ZERO;
        for (request, waiting) in &self.waiting {
            let own = self.ticket(*request, waiting, now);
            if own < ticket && (own.place != Place::Late || kept + waiting.need <= available) {
                kept += waiting.need;
            }
        }
        kept
    }

    /// Those that wait, in the order in which they are served.
    fn in_order(&self, now: MonoMillis) -> impl Iterator<Item = (Ticket, Waiting)> {
        let of = move |place| {
            let all = self.waiting.iter();
            let all = all.map(move |(id, waiting)| (self.ticket(*id, waiting, now), *waiting));
            all.filter(move |(ticket, _)| ticket.place == place)
        };
        of(Place::Owed).chain(of(Place::Gathers)).chain(of(Place::Late))
    }

    /// What to ask of the pot, if anything: what waiting requests lack, and otherwise more before
    /// it runs out.
    pub(crate) fn want(&self, view: &View, now: MonoMillis) -> Option<Want> {
        let limit = view.limit.filter(|_| !self.wants)?;
        let Some((_, first)) = self.in_order(now).next() else { return self.prefetch(view, now) };
        let period = first.period.max(view.period);
        let available = self.available(view, limit, period);
        let is_turned = view.period == period;
        let mut all = NanoUsd::ZERO;
        let (ticket, least) = self.in_order(now).find_map(|(ticket, waiting)| {
            let lacks = less(all + waiting.need, available);
            let takes = ticket.place == Place::Late;
            if waiting.strict && takes && is_turned && lacks > view.free {
                return None;
            }
            all += waiting.need;
            (lacks > NanoUsd::ZERO).then_some((ticket, lacks))
        })?;
        let left_to_others = self.yields.before(ticket, now);
        let is_left_to_others =
            left_to_others > NanoUsd::ZERO && left_to_others + least > view.free;
        if is_turned && (is_left_to_others || view.free == NanoUsd::ZERO) {
            return None;
        }
        let ample = if now < self.scarce_until { NanoUsd::ZERO } else { self.ample(view) };
        Some(Want { period, least, amount: less(self.waited_for(), available).max(ample) })
    }

    /// More before it runs out, unless what is free would not do for one more request: the last
    /// money is left where all can get at it.
    fn prefetch(&self, view: &View, now: MonoMillis) -> Option<Want> {
        let available = self.available(view, view.limit?, view.period);
        let is_scarce = now < self.scarce_until || view.free.0 / 2 <= self.recent.largest().0;
        if is_scarce || !self.is_low(view, available) {
            return None;
        }
        let amount = less(self.ample(view), available);
        Some(Want { period: view.period, least: NanoUsd::ZERO, amount })
    }

    fn waited_for(&self) -> NanoUsd {
        self.waiting.values().map(|waiting| waiting.need).sum()
    }

    /// What to ask the other nodes: to give back what they do not need, in the name of the first
    /// request that lacks something, and to say what they have committed.
    pub(crate) fn ask(
        &mut self,
        view: &View,
        lives: impl FnOnce() -> Vec<Life>,
        now: MonoMillis,
    ) -> Option<Recall> {
        let (_, first) = self.in_order(now).next()?;
        let limit = view.limit.filter(|_| view.period >= first.period)?;
        let available = self.available(view, limit, view.period);
        let is_whole = self.proof.as_ref().is_some_and(|proof| proof.is_whole());
        let hurries = is_whole && self.waiting.values().any(|waiting| waiting.insists.is_some());
        let is_asked = self.asked.is_some_and(|at| now.since(at) < RECALL_EVERY);
        let is_in_vain = view.others == NanoUsd::ZERO;
        if (is_asked && !hurries) || is_in_vain || less(self.waited_for(), available) <= view.free {
            return None;
        }
        let mut all = NanoUsd::ZERO;
        let (ticket, _) = self.in_order(now).find(|(_, waiting)| {
            all += waiting.need;
            all > available
        })?;
        let lacks = less(all, available);
        self.asked = Some(now);
        let own = self.book(view.period).committed();
        let proof = self.proof.get_or_insert_default();
        let (round, is_whole) = proof.ask(view, limit, own, lives());
        let (pot, period, lives) = (self.pot.clone(), view.period, proof.lives());
        let recall = Recall { pot, ticket, lacks, round, period, lives };
        if is_whole {
            self.owe();
        }
        Some(recall)
    }

    /// True when nothing is lost by forgetting it.
    pub(crate) fn is_idle(&self, view: &View, now: MonoMillis) -> bool {
        let open = self.uses > 0 || self.wants || !self.books.is_empty();
        let quiet = !open && !self.is_pressing() && now.since(self.touched) >= IDLE;
        quiet && own(view, view.period) == NanoUsd::ZERO
    }
}

/// The lease's unused part as the state shows it; nothing until it is of the period.
fn own(view: &View, period: UnixMillis) -> NanoUsd {
    if view.period == period { less(view.granted, view.used) } else { NanoUsd::ZERO }
}

/// What all leases and what is settled exceed the limit by, since it was lowered.
fn over(view: &View, limit: NanoUsd) -> NanoUsd {
    less(view.settled + less(view.granted, view.used) + view.others + view.withheld, limit)
}
