//! What former lives of this node held for things that nobody waits for: it is held again by this one.
//! All that those lives were granted stays set aside until one entry of the log ends that and grants
//! this life what it holds of it, so that nobody else has it in between.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dunlin_ledger::Held;
use dunlin_state::{Command, Grant, State};
use dunlin_types::{Epoch, NanoUsd, PotId, UnixMillis};
use tokio::sync::oneshot;

use super::Money;
use crate::Found;

/// A thing that is charged when it is `found`, and what is held for it.
#[derive(Clone, Debug)]
pub struct Awaited {
    /// What it is charged as.
    pub found: Found,
    /// What is held.
    pub held: Vec<Held>,
}

/// Former lives that are about to end.
pub(super) struct Closing {
    through: Epoch,
    awaited: Vec<Awaited>,
    closed: oneshot::Sender<()>,
}

/// Those that the teller has not taken up.
#[derive(Default)]
pub(super) struct ToClose(Mutex<Option<Closing>>);

impl ToClose {
    pub(super) fn take(&self) -> Option<Closing> {
        self.0.lock().expect("no code panics while it holds it").take()
    }
}

impl Closing {
    /// The end of those lives, and what of it this one is granted.
    pub(super) fn command(&self, money: &Money, mut lease: Command) -> Command {
        let (state, rules) = (money.0.consensus.state(), money.0.rules.load_full());
        let mut sums: BTreeMap<(&PotId, UnixMillis), NanoUsd> = BTreeMap::new();
        for held in self.awaited.iter().filter(|one| one.is_open(&state)).flat_map(|one| &one.held)
        {
            *sums.entry((&held.pot, held.period)).or_default() += held.amount;
        }
        let grant = |((pot, period), least): ((&PotId, _), _)| Grant {
            pot: pot.clone(),
            period,
            least,
            amount: least,
            limit: rules.told_limit(&state, pot),
            window: rules.config_window(pot),
            carries: None,
        };
        if let Command::Lease { grants, .. } = &mut lease {
            grants.splice(0..0, sums.into_iter().map(grant));
        }
        let close = Command::CloseLives { node: money.0.me, through: self.through };
        Command::All { commands: vec![close, lease] }
    }

    /// They have ended.
    pub(super) fn closed(self, money: &Money) {
        for awaited in self.awaited {
            money.hold_again(awaited);
        }
        // Who waited for it may be gone with the node.
        let _is_heard = self.closed.send(());
    }
}

impl Awaited {
    fn is_open(&self, state: &State) -> bool {
        let Found { request, made, .. } = self.found;
        !state.is_claimed(request, made) || state.is_claim_unsettled(request)
    }
}

impl Money {
    /// Ends lives of this node of which all is settled: what they were granted and did not spend is
    /// free, but for what they held for these things.
    pub(crate) async fn close_lives(&self, through: Epoch, awaited: Vec<Awaited>) {
        let (closed, is_closed) = oneshot::channel();
        let closing = Closing { through, awaited, closed };
        *self.0.to_close.0.lock().expect("no code panics while it holds it") = Some(closing);
        self.0.wake.notify_one();
        // The teller ends with the node.
        drop(is_closed.await);
    }

    /// Holds for a thing what a former life did.
    fn hold_again(&self, Awaited { found, held }: Awaited) {
        self.purses().hold_again(found.request, &held, self.0.clock.mono());
        let pots = held.into_iter().map(|held| (held.pot, held.period)).collect();
        self.await_held(found, pots);
    }
}
