//! What a look at a purse would bring to a request that waits: who has nothing to expect of it need
//! not be called for it.

use dunlin_types::{MonoMillis, NanoUsd, RequestId};

use super::{Purse, less};
use crate::view::View;

/// How a waiting request would fare if it looked now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outlook {
    /// There is enough for it, and so much of it it takes.
    Served(NanoUsd),
    /// There cannot be enough.
    Refused,
    Waits,
}

/// A purse while those that wait for it are gone through, in the order of their ids.
pub(crate) struct Moment {
    view: View,
    /// What those take that were gone through.
    given: NanoUsd,
    /// What is owed to those that were gone through, and to all.
    owed_before: NanoUsd,
    owed: NanoUsd,
    /// Somebody elsewhere that is owed more than is free.
    owed_there: Option<RequestId>,
}

impl Moment {
    /// It is certain that a request takes so much.
    pub(crate) fn give(&mut self, amount: NanoUsd) {
        self.given += amount;
    }
}

impl Purse {
    pub(crate) fn moment(&self, view: View, now: MonoMillis) -> Moment {
        Moment {
            view,
            given: NanoUsd::ZERO,
            owed_before: NanoUsd::ZERO,
            owed: self.owed.values().copied().sum(),
            owed_there: self.yields.owed(view.free, now),
        }
    }

    /// How the next request would fare that waits and holds nothing yet.
    pub(crate) fn outlook(&self, request: RequestId, moment: &mut Moment) -> Outlook {
        let view = &moment.view;
        let (Some(waiting), Some(limit)) = (self.waiting.get(&request), view.limit) else {
            return Outlook::Served(NanoUsd::ZERO);
        };
        let own = self.owed.get(&request).copied();
        let is_left_there = moment.owed_there.is_some_and(|first| own.is_none() || first < request);
        let before = if own.is_some() { moment.owed_before } else { moment.owed };
        moment.owed_before += own.unwrap_or_default();
        let period = waiting.period.max(view.period);
        let available = if is_left_there {
            NanoUsd::ZERO
        } else {
            less(self.available(view, limit, period), before.max(moment.given))
        };
        if waiting.need <= available {
            return Outlook::Served(waiting.need);
        }
        let reach = self.reach((request, NanoUsd::ZERO), view, limit, period);
        if !waiting.strict && available > NanoUsd::ZERO && reach.is_all(available) {
            return Outlook::Served(available);
        }
        if reach.most < waiting.least() { Outlook::Refused } else { Outlook::Waits }
    }
}
