//! On whose behalf else than its maker's a batch is: its requests name end users and tags, each of
//! whom must be let in, and is charged what its own requests have cost.

use dunlin_admission::{Demand, Refusal};
use dunlin_journal::{Origin, SpendRecord};
use dunlin_llm::batch::{LabelSet, LineLabels};
use dunlin_router::Deployment;
use dunlin_types::{PotId, RequestId, Served, Tokens, UnixMillis};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::Asking;
use crate::attempts::{entry, hold, not_afforded};
use crate::request::caller::Caller;
use crate::response::error::{Failed, Place, Refused};
use crate::response::words;

/// New end users that one batch introduces to the cluster at the same time.
const MAX_MET_AT_ONCE: usize = 64;

/// An end user and tags, and where the cost of their requests goes.
#[derive(Clone, Serialize, Deserialize)]
struct Share {
    end_user: Option<String>,
    tags: Vec<String>,
    charged: Vec<(PotId, UnixMillis)>,
}

/// All of a batch, in the order of its sets of labels.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Shares {
    /// By which it is noted whose its requests are.
    pub(super) input: String,
    all: Vec<Share>,
}

impl Shares {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What the provider calls the thing that its input is noted of.
    pub(crate) fn of(self, input: &str) -> Self {
        Self { input: input.to_owned(), ..self }
    }

    /// The records of its parts: the first is the batch's own, which `whole` is.
    pub(super) fn records(&self, whole: &SpendRecord) -> impl Iterator<Item = SpendRecord> {
        let shared = (1..).zip(&self.all).map(|(number, share)| {
            let mut record = whole.clone();
            record.request = RequestId(whole.request.0.wrapping_add(number));
            record.origin.end_user.clone_from(&share.end_user);
            record.origin.tags.clone_from(&share.tags);
            record.charged.clone_from(&share.charged);
            record
        });
        std::iter::once(whole.clone()).chain(shared)
    }
}

/// Who asks on behalf of a set of labels.
struct Counted<'s> {
    set: &'s LabelSet,
    caller: Caller,
    origin: Origin,
}

impl Asking<'_> {
    /// Refuses a batch that is also for somebody who is blocked.
    pub(super) async fn check_labels(
        &self,
        labels: &LineLabels,
        noun: &'static str,
    ) -> Result<(), Failed> {
        self.counted(labels, noun).await.map(drop)
    }

    /// Whom `by` is asked for beside its maker: all must be let in, and have something to spend left.
    pub(crate) async fn shares(
        &self,
        labels: &LineLabels,
        (by, served): (&Deployment, &Served),
        noun: &'static str,
    ) -> Result<Shares, Failed> {
        let (proxy, cost) = (self.proxy, hold::unknown(&by.price));
        // It holds nothing beyond this, and beside what its call holds.
        let request = RequestId(!self.call.id.0);
        let demand = Demand { request, ..self.demand(served.clone(), Tokens(0), cost) };
        let mut all = Vec::with_capacity(labels.sets.len());
        for Counted { set, caller, origin } in self.counted(labels, noun).await? {
            let at = Place { noun, number: set.line };
            let may_call = caller.check_end_user(&self.serving.catalog, &by.group);
            may_call.map_err(|refused| Failed::from(refused).at(at))?;
            let afforded = proxy.0.admission.afford(caller.key(), demand.clone()).await;
            let refused = |no: Refusal| Refused::admission(no, &caller, self.call.started);
            let charged = afforded.map_err(|no| Failed::from(refused(no)).at(at))?;
            let called =
                entry::afford(proxy, &self.serving.catalog, by, &origin.tags, &demand).await;
            called.map_err(|why| not_afforded(proxy, by, why).at(at))?;
            let Origin { end_user, tags, .. } = origin;
            all.push(Share { end_user, tags, charged });
        }
        Ok(Shares { input: String::new(), all })
    }

    async fn counted<'s>(
        &self,
        labels: &'s LineLabels,
        noun: &'static str,
    ) -> Result<Vec<Counted<'s>>, Failed> {
        if labels.sets.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.call.client.origin(&self.serving.settings, self.headers, self.labels)?;
        let counting = (0..labels.sets.len()).map(|number| {
            let (set, own) = (&labels.sets[number], own.clone());
            async move {
                let at = Place { noun, number: set.line };
                self.count(set, own).await.map_err(|refused| Failed::from(refused).at(at))
            }
        });
        futures::stream::iter(counting).buffered(MAX_MET_AT_ONCE).try_collect().await
    }

    /// What a request says of itself, completed by what its batch does.
    async fn count<'s>(&self, set: &'s LabelSet, own: Origin) -> Result<Counted<'s>, Refused> {
        if self.serving.settings.demands.no_tags && !set.tags.is_empty() {
            return Err(Refused::Unfit { param: "metadata.tags", message: words::NO_TAGS.into() });
        }
        let (mut caller, mut origin) = (self.caller.clone(), own);
        origin.end_user = set.end_user.clone().or(origin.end_user);
        for tag in &set.tags {
            if !origin.tags.contains(tag) {
                origin.tags.push(tag.clone());
            }
        }
        caller.count_for(self.proxy, &mut origin).await?;
        Ok(Counted { set, caller, origin })
    }
}
