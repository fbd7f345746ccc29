//! Who is asked: a deployment that is picked, and has room. One that is full is passed over; only
//! where all are, the request is refused.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dunlin_admission::{Demand, Entry, Full, Limited, NotEntered, Refusal, Room};
use dunlin_router::{DeploymentLimits, Group, NonePicked, Strategy};
use dunlin_types::{DeploymentId, Tokens};
use dunlin_upstream::Attempt;

use crate::Proxy;

/// Who can be asked, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) strategy: Strategy,
    pub(crate) demand: &'a Demand,
    /// The number of the config revision.
    pub(crate) revision: u64,
    /// Tokens that it loads a backend with.
    pub(crate) load: Tokens,
}

/// Why nobody is asked.
pub(crate) enum NotAsked {
    None(NonePicked),
    /// Every deployment that could be asked is full; the one that is the first to have room again.
    Full(Full),
    Refused(Refusal),
}

/// Picks a deployment of `group` that has room, one of `tried` only if no other is ready. Where it
/// has no limits, nothing is waited for.
pub(crate) async fn pick(
    asking: Asking<'_>,
    group: &Group,
    tried: &BTreeSet<DeploymentId>,
) -> Result<(Attempt, Option<Entry>), NotAsked> {
    let Asking { proxy, strategy, demand, revision, load } = asking;
    let mut group = Cow::Borrowed(group);
    let mut full: Option<Full> = None;
    loop {
        let picked = proxy.0.upstream.start_attempt(&group, strategy, tried, load);
        let attempt = picked.map_err(|none| full.map_or(NotAsked::None(none), NotAsked::Full))?;
        let deployment = attempt.deployment();
        if deployment.limits == DeploymentLimits::default() {
            return Ok((attempt, None));
        }
        let DeploymentLimits { requests, tokens, parallel } = deployment.limits;
        let room = Room { requests, tokens, parallel, as_of: revision };
        match proxy.0.admission.enter(&deployment.id, room, demand).await {
            Ok(mut entry) => {
                entry.begin();
                return Ok((attempt, Some(entry)));
            }
            Err(NotEntered::Full(this)) => {
                let sooner = full.is_none_or(|other| this.retry_after < other.retry_after);
                full = if sooner { Some(this) } else { full };
                group.to_mut().deployments.retain(|other| other.id != deployment.id);
            }
            Err(NotEntered::Refused(refusal)) => return Err(NotAsked::Refused(refusal)),
        }
        if let (true, Some(full)) = (group.deployments.is_empty(), full) {
            return Err(NotAsked::Full(full));
        }
    }
}

/// What the client of a group is told that is full.
pub(crate) fn message(group: &str, full: &Full) -> String {
    let Full { what, limit, .. } = full;
    match what {
        Limited::MaxParallelRequests => format!(
            "Deployment has all max_parallel_requests slots in use. Deployment \
             model_group={group}, max_parallel_requests={limit}"
        ),
        Limited::Requests | Limited::Tokens => format!(
            "Deployment over user-defined ratelimit. Deployment model_group={group}, {} limit={limit}",
            if *what == Limited::Requests { "rpm" } else { "tpm" }
        ),
    }
}
