//! The limits of a deployment: what the whole cluster may send there.

use dunlin_limiter::{Claim, ScopeId};
use dunlin_state::DEPLOYMENTS;
use dunlin_types::{DeploymentId, OnLoss};

use super::reservation::Reservation;
use super::{Limits, NotTaken, scopes};
use crate::refusal::{Full, NotEntered};
use crate::{Demand, Room};

impl Limits {
    /// Takes what a request demands of a deployment.
    pub(crate) async fn enter(
        &self,
        deployment: &DeploymentId,
        (room, on_loss): (Room, OnLoss),
        demand: &Demand,
    ) -> Result<Reservation, NotEntered> {
        let Room { requests, tokens, parallel, as_of } = room;
        let claim = Claim {
            scope: ScopeId::of(DEPLOYMENTS, Some(&deployment.0)),
            request: demand.request,
            tokens: scopes::expected(demand, tokens),
            limits: dunlin_limiter::Limits { requests, tokens, parallel, on_loss, as_of },
        };
        let decision = self.limiter().admit(&claim, self.now());
        match self.claim(&claim, decision).await {
            Ok(part) => Ok(Reservation::of_one(part, demand.counted)),
            Err(NotTaken::Short(short)) => Err(NotEntered::Full(Full {
                what: short.what,
                limit: short.limit,
                retry_after: short.retry_after,
            })),
            Err(NotTaken::Refusal(refusal)) => Err(NotEntered::Refused(refusal)),
        }
    }
}
