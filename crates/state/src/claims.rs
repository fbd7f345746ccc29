//! What was charged when it was found finished, such as responses made in the background: each only
//! once, whoever finds it. None is charged twice for having been forgotten: what is older than
//! claims are remembered is not charged at all.

use dunlin_types::{RequestId, UnixMillis};
use imbl::{OrdMap, OrdSet};

/// Providers keep what they made for 30 days; a claim outlives it.
const REMEMBERED_MS: u64 = 40 * 24 * 60 * 60 * 1000;
/// How many are remembered; beyond, the oldest is forgotten early.
const MOST: usize = 100_000;

/// One claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claim {
    /// When the thing was made.
    pub(crate) made: UnixMillis,
    /// Who claimed it, if they said so.
    pub(crate) by: Option<u64>,
    /// Whether what it cost is settled, as far as this is told.
    pub(crate) settled: bool,
}

/// Claims, by request and by when the thing was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    by_request: OrdMap<RequestId, Claim>,
    by_age: OrdSet<(UnixMillis, RequestId)>,
    /// The youngest that was forgotten early.
    forgotten: UnixMillis,
}

impl Claims {
    /// Whether what was made at `made` may not be claimed at `now`.
    pub(crate) fn refuse(&self, request: RequestId, made: UnixMillis, now: UnixMillis) -> bool {
        is_over(made, now) || made <= self.forgotten || self.by_request.contains_key(&request)
    }

    /// Who claimed it.
    pub(crate) fn claimant(&self, request: RequestId) -> Option<u64> {
        self.by_request.get(&request)?.by
    }

    /// Each claim, and when its thing was made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RequestId, UnixMillis)> {
        self.by_request.iter().map(|(request, claim)| (*request, claim.made))
    }

    /// Who has which, of those who said so.
    pub(crate) fn claimants(&self) -> impl Iterator<Item = (RequestId, u64)> {
        self.by_request.iter().filter_map(|(request, claim)| Some((*request, claim.by?)))
    }

    /// Those that are not settled.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = RequestId> {
        self.by_request.iter().filter(|(_, claim)| !claim.settled).map(|(request, _)| *request)
    }

    /// Whether a claim is remembered that is not settled.
    pub(crate) fn is_unsettled(&self, request: RequestId) -> bool {
        self.by_request.get(&request).is_some_and(|claim| !claim.settled)
    }

    /// What was claimed is settled.
    pub(crate) fn settle(&mut self, request: RequestId) {
        if let Some(claim) = self.by_request.get_mut(&request) {
            claim.settled = true;
        }
    }

    /// True only if nothing was claimed, settled or forgotten between the two.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.by_request.ptr_eq(&other.by_request)
    }

    pub(crate) fn forgotten(&self) -> UnixMillis {
        self.forgotten
    }

    pub(crate) fn restore(
        claims: Vec<(RequestId, UnixMillis)>,
        claimants: Vec<(RequestId, u64)>,
        unsettled: &[RequestId],
        forgotten: UnixMillis,
    ) -> Self {
        let claimants: OrdMap<RequestId, u64> = claimants.into_iter().collect();
        let claim = |(request, made)| {
            (request, Claim { made, by: claimants.get(&request).copied(), settled: true })
        };
        let mut by_request: OrdMap<RequestId, Claim> = claims.into_iter().map(claim).collect();
        for request in unsettled {
            if let Some(claim) = by_request.get_mut(request) {
                claim.settled = false;
            }
        }
        let by_age = by_request.iter().map(|(request, claim)| (claim.made, *request)).collect();
        Self { by_request, by_age, forgotten }
    }

    /// Remembers a claim, and forgets those whose time has come at `now`.
    pub(crate) fn insert(&mut self, request: RequestId, claim: Claim, now: UnixMillis) {
        self.by_request.insert(request, claim);
        self.by_age.insert((claim.made, request));
        while let Some((made, request)) = self.by_age.get_min().copied() {
            let is_early = !is_over(made, now);
            if is_early && self.by_age.len() <= MOST {
                break;
            }
            self.by_age.remove(&(made, request));
            self.by_request.remove(&request);
            if is_early {
                self.forgotten = self.forgotten.max(made);
            }
        }
    }
}

fn is_over(made: UnixMillis, now: UnixMillis) -> bool {
    made.0.saturating_add(REMEMBERED_MS) <= now.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_forgotten_is_free_to_be_claimed_again() {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        let mut claims = Claims::default();
        let made = |number: u64| UnixMillis(number * 1000);
        let at = |made| Claim { made, by: None, settled: true };
        let most = MOST as u64;
        for number in 1..=most + 2 {
            claims.insert(RequestId(number.into()), at(made(number)), made(number));
        }
        let now = made(most + 2);
        assert_eq!((claims.iter().count(), claims.forgotten()), (MOST, made(2)));
        assert!(claims.refuse(RequestId(1), made(1), now), "forgotten, and not to be had again");
        assert!(claims.refuse(RequestId(3), made(3), now), "remembered");
        assert!(!claims.refuse(RequestId(0), made(3), now), "another of the same moment");
        claims.insert(RequestId(3), Claim { made: made(3), by: Some(9), settled: false }, now);
        let (all, by) = (claims.iter().collect(), claims.claimants().collect());
        let unsettled: Vec<_> = claims.unsettled().collect();
        let restored = Claims::restore(all, by, &unsettled, claims.forgotten());
        assert_eq!(
            (restored.by_age, &restored.by_request),
            (claims.by_age.clone(), &claims.by_request)
        );
        let late = UnixMillis(now.0 + 41 * DAY);
        claims.insert(RequestId(0), at(late), late);
        assert_eq!((claims.iter().count(), claims.forgotten()), (1, made(2)));
        assert!(claims.refuse(RequestId(7), now, late), "older than anything remembered");
    }
}
