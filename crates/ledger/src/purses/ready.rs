//! Who of those that wait should look again. A thousand that wait cost one walk over them, not a look
//! each.

use std::collections::BTreeMap;

use dunlin_types::{MonoMillis, RequestId};

use super::{Purses, Views};
use crate::purse::{Moment, Outlook};

impl Purses {
    /// Those that wait and should look again ([`Purses::hold`]): there is enough for all of them, or
    /// for one there cannot be. Whoever waits may also look by itself, for what only time brings about.
    #[must_use]
    pub fn ready(&mut self, view: Views<'_>, now: MonoMillis) -> Vec<RequestId> {
        self.now = self.now.max(now);
        let mut moments: BTreeMap<usize, Moment> = BTreeMap::new();
        let mut ready = Vec::new();
        for (request, (_, numbers)) in &self.waiting {
            let mut takes = Vec::with_capacity(numbers.len());
            let mut is_refused = false;
            for &number in numbers {
                let purse = self.purse(number);
                let moment = moments
                    .entry(number)
                    .or_insert_with(|| purse.moment(view(&purse.pot), self.now));
                match purse.outlook(*request, moment) {
                    Outlook::Served(amount) => takes.push((number, amount)),
                    Outlook::Refused => is_refused = true,
                    Outlook::Waits => {}
                }
            }
            let is_served = takes.len() == numbers.len();
            if is_served {
                for (number, amount) in takes {
                    moments.get_mut(&number).expect("it was looked at").give(amount);
                }
            }
            // What one holds already and would extend is not reckoned with.
            if is_served || is_refused || self.holds.contains_key(request) {
                ready.push(*request);
            }
        }
        ready
    }
}
