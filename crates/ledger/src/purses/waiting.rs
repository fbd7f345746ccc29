//! Requests that wait for money: from their first refusal on, until they hold, give up or end.

use dunlin_types::{MonoMillis, NanoUsd, RequestId, UnixMillis};

use super::Purses;
use crate::demand::{Demand, Short};
use crate::pot::less;
use crate::purse::Waiting;

/// Requests that wait for money. Those beyond get what is there, but nothing is asked for them.
pub const MAX_WAITING: usize = 65_536;

impl Purses {
    /// The time of a waiting request is over. From here on it is refused as soon as a round of
    /// answers that begins now shows that what is settled and committed leaves too little for it
    /// ([`Purses::hold`] then returns a final [`Short`]), and served before all others where there
    /// is enough.
    pub fn insist(&mut self, request: RequestId) {
        let Some((_, numbers)) = self.waiting.get(&request) else { return };
        for number in numbers.clone() {
            let purse = self.purse_mut(number);
            let rounds = purse.rounds();
            if let Some(waiting) = purse.waiting.get_mut(&request) {
                waiting.insists.get_or_insert(rounds);
            }
            self.press(number);
        }
    }

    /// Waits from the first refusal on, for what it was refused the last time and does not hold.
    pub(super) fn wait(&mut self, request: RequestId, demands: &[Demand], short: &Short) {
        let (since, former) = self.waiting.remove(&request).unwrap_or((self.now, Vec::new()));
        let mut numbers = Vec::with_capacity(demands.len());
        if self.waiting.len() < MAX_WAITING {
            for demand in demands {
                let Some(&number) = self.numbers.get(&demand.pot) else { continue };
                let lacking = short.pots.iter().find(|shortage| shortage.pot == demand.pot);
                let period = lacking.map_or(demand.period, |shortage| shortage.period);
                let need = less(demand.amount, self.held_of(request, number, period));
                let waiting = Waiting { need, period, since, strict: demand.strict, insists: None };
                self.purse_mut(number).wait(request, waiting);
                self.press(number);
                numbers.push(number);
            }
        }
        for number in former.into_iter().filter(|former| !numbers.contains(former)) {
            self.purse_mut(number).stop_waiting(request);
        }
        if !numbers.is_empty() {
            self.waiting.insert(request, (since, numbers));
        }
    }

    fn held_of(&self, request: RequestId, purse: usize, period: UnixMillis) -> NanoUsd {
        let holds = self.holds.get(&request).into_iter().flatten();
        let of = holds.filter(|hold| hold.purse == purse && hold.period == period);
        of.map(|hold| hold.amount).sum()
    }

    pub(super) fn stop_waiting(&mut self, request: RequestId) -> Option<MonoMillis> {
        let (since, numbers) = self.waiting.remove(&request)?;
        for number in numbers {
            self.purse_mut(number).stop_waiting(request);
        }
        Some(since)
    }
}
