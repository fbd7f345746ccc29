//! The right to one request: holds what its limits gave, and ends in one settlement or void.

use std::sync::Arc;

use dunlin_journal::SpendRecord;
use dunlin_state::Key;
use dunlin_types::{NanoUsd, PotId, Tokens, UnixMillis};

use crate::Admission;
use crate::limits::Reservation;
use crate::refusal::{Error, LimitStatus};

/// An admitted request. Dropped, it is void: what was reserved comes back, nothing is charged.
#[must_use = "a permit that is dropped is void"]
pub struct Permit {
    pub(crate) admission: Admission,
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) reservation: Option<Reservation>,
    /// Where its cost goes.
    pub(crate) charged: Vec<(PotId, UnixMillis)>,
}

impl Permit {
    /// How far the limits are used with this request.
    #[must_use]
    pub fn limits(&self) -> &[LimitStatus] {
        self.reservation.as_ref().map_or(&[], Reservation::status)
    }

    /// Puts the request on record and gives back what it did not use. The record survives a kill of
    /// this process from here on. Returns what its key has spent with it.
    ///
    /// # Errors
    /// The record could not be written; the limits are settled all the same.
    pub fn settle(self, record: &mut SpendRecord) -> Result<Option<NanoUsd>, Error> {
        let Self { admission, key, reservation, charged } = self;
        record.charged = charged;
        if let Some(reservation) = reservation {
            let used = record.prompt + record.completion;
            let cached = Tokens(record.cached.0.min(used.0));
            reservation.settle(Tokens(used.0 - cached.0));
        }
        let shared = &admission.0;
        let number = shared.journal.append(record)?;
        shared.unsettled.add(number, record);
        Ok(key.map(|key| admission.key_spend(&key)))
    }
}
