//! What was made while nobody waited for it, and is charged when it is found finished: responses
//! made in the background, and batches.

use dunlin_admission::Found;
use dunlin_llm::Tier;
use dunlin_llm::responses::KeptResponse;
use dunlin_router::Deployment;
use dunlin_types::{RequestId, UnixMillis, Usage};
use sha2::{Digest, Sha256};
use tracing::warn;

/// What is to be charged if nobody has been.
pub(crate) struct Finished {
    pub(crate) found: Found,
    pub(crate) usage: Usage,
    pub(crate) tier: Option<Tier>,
}

/// A response that is finished and says what it used; `None` for one that somebody waited for.
pub(crate) fn response(
    by: &Deployment,
    kept: Option<KeptResponse>,
    now: UnixMillis,
) -> Option<Finished> {
    let kept = kept.filter(|kept| kept.background && kept.finished)?;
    let found = found(by, &kept.id, kept.created_at, now);
    let usage = kept.usage?.if_credible();
    if usage.is_none() {
        warn!(request.id = %found.request, "a background response reports impossible usage: it is not charged");
    }
    Some(Finished { found, usage: usage?, tier: kept.service_tier })
}

impl Finished {
    /// It was made at `made` by our own clock, whatever its provider says.
    pub(crate) fn made_at(self, made: UnixMillis) -> Self {
        Self { found: Found { made, ..self.found }, ..self }
    }
}

/// How far a provider's clock may be ahead.
const MOST_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// What its provider calls `id` and made at `created_at`, in seconds since 1970; if it does not
/// say, or means another unit, then now.
pub(crate) fn found(by: &Deployment, id: &str, created_at: Option<u64>, now: UnixMillis) -> Found {
    let made = created_at.map_or(now, |seconds| UnixMillis(seconds.saturating_mul(1000)));
    let made = if made.0 > now.0.saturating_add(MOST_AHEAD_MS) { now } else { made };
    let (provider, base) = (by.provider.as_bytes(), by.target.api_base.as_bytes());
    let mut hash = Sha256::new();
    for part in [provider, base, id.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let half: [u8; 16] = *hash.first_chunk().expect("a hash is longer");
    Found { request: RequestId(u128::from_be_bytes(half)), made, limited: true }
}
