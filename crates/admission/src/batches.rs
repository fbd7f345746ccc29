//! Tokens of batches by the day. Batches are few and large, so each is counted by the cluster as a
//! whole before it is made: for all who may make so many tokens a day, or for nobody.

use std::time::Duration;

use dunlin_consensus::ProposeError;
use dunlin_limiter::Limited;
use dunlin_state::{Caller, Command, Day, Payer, Rejected, Reply, UsedBatch};
use dunlin_types::{EntityId, RequestId, Served, Tokens, UnixMillis};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tracing::{debug, warn};

use crate::Admission;
use crate::permit::Found;
use crate::refusal::{LimitScope, Part, RateLimited, Refusal};

/// A batch that is counted. Dropped before it was [made](CountedBatch::made), it is counted no more; a
/// node that is killed in between leaves it counted until the day is over.
#[must_use = "a batch that is dropped is not counted"]
pub struct CountedBatch {
    admission: Admission,
    runtime: Handle,
    /// Nobody: there is nothing to give back.
    whose: Vec<EntityId>,
    tokens: u64,
    day: Day,
}

impl CountedBatch {
    /// It counts until it is known what it used: see [`Admission::true_up`].
    #[must_use = "else it counts as what it might have used until the day is over"]
    pub fn made(mut self) -> MadeBatch {
        let (whose, tokens, day) = (std::mem::take(&mut self.whose), self.tokens, self.day);
        MadeBatch { whose, tokens, day }
    }
}

/// What a batch was counted as when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MadeBatch {
    whose: Vec<EntityId>,
    tokens: u64,
    day: Day,
}

impl MadeBatch {
    /// Whether what it used matters still at `now`.
    #[must_use]
    pub fn matters(&self, now: UnixMillis) -> bool {
        self.day >= Day::of(now)
    }
}

impl Drop for CountedBatch {
    fn drop(&mut self) {
        let (whose, tokens, day) = (std::mem::take(&mut self.whose), self.tokens, self.day);
        if whose.is_empty() {
            return;
        }
        let (consensus, runtime) = (self.admission.0.consensus.clone(), &self.runtime);
        let give_back = async move {
            let batch = UsedBatch { whose, counted: tokens, day, ..UsedBatch::default() };
            let uncount = Command::TrueUpBatch { batch: Box::new(batch) };
            if let Err(error) = consensus.propose(uncount).await {
                warn!(%error, "a batch that was not created stays counted until the day ends");
            }
        };
        self.admission.0.tasks.spawn_on(give_back, runtime);
    }
}

/// The name of a batch's tokens among what is claimed, beside that of its cost.
fn tokens_of(RequestId(request): RequestId) -> RequestId {
    RequestId(!request)
}

/// Whether a caller spends for somebody who may make so many tokens of batches a day.
#[must_use]
pub fn counts_batches(caller: &Caller) -> bool {
    caller.payers.iter().any(|payer| payer.tpd().is_some())
}

/// Whether what a caller does that is so served is to be borne by a budget.
#[must_use]
pub fn has_budget(caller: &Caller, served: &Served, now: UnixMillis) -> bool {
    caller.payers.iter().any(|payer| !payer.budgets(served, now).is_empty())
}

impl Admission {
    /// Counts a batch of so many tokens.
    ///
    /// # Errors
    /// [`Refusal`]: it is counted for nobody.
    pub async fn count_batch(
        &self,
        caller: &Caller,
        tokens: Tokens,
    ) -> Result<CountedBatch, Refusal> {
        self.counted(self.batch_counted(caller, tokens.0).await)
    }

    /// Has what a batch used count in place of what it was counted as: once, whoever finds it finished.
    /// False if the cluster could not be asked.
    pub async fn true_up(&self, found: Found, counted: &MadeBatch, used: Tokens) -> bool {
        let MadeBatch { whose, tokens, day } = counted.clone();
        let claim = Some((tokens_of(found.request), found.made));
        let batch = UsedBatch { claim, whose, counted: tokens, used: used.0, day };
        let true_up = Command::TrueUpBatch { batch: Box::new(batch) };
        match self.0.consensus.propose(true_up).await {
            Ok(_) => true,
            Err(error) => {
                debug!(request.id = %found.request, %error, "a batch counts as what it might use");
                false
            }
        }
    }

    async fn batch_counted(&self, caller: &Caller, tokens: u64) -> Result<CountedBatch, Refusal> {
        let limited = caller.payers.iter().filter(|payer| payer.tpd().is_some());
        let whose: Vec<_> = limited.map(Payer::id).collect();
        let (admission, runtime) = (self.clone(), Handle::current());
        // Whoever waits for it may leave: then what is counted is dropped, and so given back.
        let counting = self.0.tasks.spawn(async move {
            let count = Command::CountBatch { whose: whose.clone(), tokens };
            match admission.0.consensus.propose(count).await {
                Ok(Reply::CountedOn(day)) => {
                    Ok(CountedBatch { admission, runtime, whose, tokens, day })
                }
                Ok(_) => unreachable!("a batch is counted or rejected"),
                Err(error) => Err(error),
            }
        });
        let counted = match counting.await {
            Ok(counted) => counted,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(ProposeError::Stopping),
        };
        match counted {
            Ok(counted) => Ok(counted),
            Err(ProposeError::Rejected(Rejected::TooManyTokens {
                of,
                tokens,
                limit,
                used,
                day,
            })) => {
                let payer = caller.payers.iter().find(|payer| payer.id() == of);
                let payer = payer.expect("only those are counted who were named");
                let remaining = limit.saturating_sub(used);
                Err(self.day_is_used_up(payer, (tokens, limit, remaining), day))
            }
            Err(error) => {
                let reason = format!("the tokens of the batch cannot be counted: {error}");
                Err(Refusal::CannotKnow { reason })
            }
        }
    }

    fn day_is_used_up(
        &self,
        payer: &Payer,
        (tokens, limit, remaining): (u64, u64, u64),
        day: Day,
    ) -> Refusal {
        let reset_at = Day(day.0.saturating_add(1)).start();
        let wait = |now: UnixMillis| Duration::from_millis(reset_at.0.saturating_sub(now.0));
        Refusal::RateLimited(Box::new(RateLimited {
            of: LimitScope { rank: payer.rank, part: Part::All },
            name: payer.name(),
            only: None,
            throttled: false,
            what: Limited::Tokens,
            batch: Some(tokens),
            too_large: None,
            limit,
            remaining,
            retry_after: wait(self.0.clock.unix()),
            reset_at,
        }))
    }
}
