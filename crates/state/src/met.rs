//! How many end users are kept that requests named and nobody made, and for how long.

use dunlin_types::UnixMillis;

use crate::command::Kind;
use crate::state::State;

/// Rows of them; who comes later counts as [`OTHER`], all together.
pub const MOST: usize = 100_000;
/// One that no request named for so long is forgotten, and what it spent with it.
pub(crate) const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Being seen again within this is not news.
const FRESH_MS: u64 = 24 * 60 * 60 * 1000;
/// The end user as whom those count that there is no room for.
pub const OTHER: &str = "other";

/// An end user that a request names, as far as the state knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// It has a row.
    Known,
    /// It has one, and it is time to note that it was seen.
    Seen,
    /// It has none, and there is room for one.
    New,
    /// It has none, and counts as [`OTHER`].
    Other,
}

impl State {
    /// What is known of an end user that a request names at `now`.
    #[must_use]
    pub fn acquaintance(&self, name: &str, now: UnixMillis) -> Acquaintance {
        match self.entity(Kind::EndUser, name).map(|known| known.met) {
            Some(Some(seen)) if now.0 >= seen.0.saturating_add(FRESH_MS) => Acquaintance::Seen,
            Some(_) => Acquaintance::Known,
            None => {
                let may_go = |(seen, _): &(UnixMillis, String)| now.0 >= seen.0 + KEPT_MS;
                let has_room = self.met.len() < MOST || self.met.get_min().is_some_and(may_go);
                let has_other = self.entity(Kind::EndUser, OTHER).is_some();
                if has_room || !has_other { Acquaintance::New } else { Acquaintance::Other }
            }
        }
    }
}
