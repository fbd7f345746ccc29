//! What a node leaves to requests that wait on others: the first of each, as it said lately.

use std::time::Duration;

use dunlin_types::{MonoMillis, NanoUsd, NodeId, RequestId};

use crate::purse::{Place, Ticket};

/// How long: longer than it takes to ask again.
const YIELD: Duration = Duration::from_millis(100);

/// One entry for each node that asked lately.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Yields(Vec<Yield>);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Yield {
    to: NodeId,
    ticket: Ticket,
    lacks: NanoUsd,
    until: MonoMillis,
}

impl Yields {
    /// The first request of a node lacks so much. Those that are late take what suffices at once,
    /// and nothing is left to them.
    pub(crate) fn add(&mut self, to: NodeId, ticket: Ticket, lacks: NanoUsd, now: MonoMillis) {
        self.0.retain(|known| known.to != to && now < known.until);
        if ticket.place != Place::Late {
            self.0.push(Yield { to, ticket, lacks, until: now.plus(YIELD) });
        }
    }

    /// What requests lack that go before `ticket`.
    pub(crate) fn before(&self, ticket: Ticket, now: MonoMillis) -> NanoUsd {
        let ahead = self.0.iter().filter(|known| now < known.until && known.ticket < ticket);
        ahead.map(|known| known.lacks).sum()
    }

    /// The first request that is owed more than `free`.
    pub(crate) fn owed(&self, free: NanoUsd, now: MonoMillis) -> Option<RequestId> {
        let owed = self.0.iter().filter(|known| known.ticket.place == Place::Owed);
        let owed = owed.filter(|known| now < known.until && known.lacks > free);
        owed.map(|known| known.ticket.request).min()
    }
}
