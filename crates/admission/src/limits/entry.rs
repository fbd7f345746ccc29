//! The limits of a deployment: what the whole cluster may send there.

use dunlin_limiter::{Claim, ScopeId};
use dunlin_state::DEPLOYMENTS;
use dunlin_types::{DeploymentId, OnLoss};
use futures::future::join_all;

use super::reservation::Reservation;
use super::{Limits, NotTaken, scopes};
use crate::refusal::{Full, NotEntered};
use crate::{Counted, Demand, Room};

/// Keep the scopes of prompts and of answers apart from that of all.
const INPUT: &str = "\0input";
const OUTPUT: &str = "\0output";

/// What one scope of a deployment bounds: the tokens that alone count there, if not all do.
type Part = (Option<Counted>, Claim);

impl Limits {
    /// Takes what a request demands of a deployment, of all its limits or of none.
    pub(crate) async fn enter(
        &self,
        deployment: &DeploymentId,
        (room, on_loss): (Room, OnLoss),
        demand: &Demand,
    ) -> Result<Reservation, NotEntered> {
        if let Room { input: None, output: None, .. } = room {
            let (only, claim) = whole(deployment, (room, on_loss), demand);
            let decision = self.limiter().admit(&claim, self.now());
            let taken = self.claim(&claim, decision).await;
            let taken = taken.map_err(|why| refused(only, &claim, why))?;
            return Ok(Reservation::untold(vec![(demand.counted, taken)]));
        }
        let parts: Vec<Part> = [whole(deployment, (room, on_loss), demand)]
            .into_iter()
            .chain(sides(deployment, (room, on_loss), demand))
            .filter(|(_, claim)| !claim.limits.is_none())
            .collect();
        let begun = self.begin(parts.iter().map(|(_, claim)| claim));
        let taken = parts.iter().zip(begun).map(|((_, claim), begun)| self.go_on(claim, begun));
        let taken = parts.iter().zip(join_all(taken).await).map(|((only, claim), taken)| {
            let taken = taken.map_err(|why| refused(*only, claim, why))?;
            Ok((only.unwrap_or(demand.counted), taken))
        });
        // What a refused one leaves of the others is dropped, and so undone.
        Ok(Reservation::untold(taken.collect::<Result<_, NotEntered>>()?))
    }
}

fn refused(only: Option<Counted>, claim: &Claim, why: NotTaken) -> NotEntered {
    match why {
        NotTaken::Short(short) => NotEntered::Full(Full {
            what: short.what,
            only,
            too_large: short.too_large(claim),
            limit: short.limit,
            remaining: short.remaining,
            retry_after: short.retry_after,
        }),
        NotTaken::Refusal(refusal) => NotEntered::Refused(refusal),
    }
}

/// Requests, tokens of all kinds, and requests at once.
fn whole(deployment: &DeploymentId, (room, on_loss): (Room, OnLoss), demand: &Demand) -> Part {
    let Room { requests, tokens, parallel, as_of, input: _, output: _ } = room;
    let claim = Claim {
        scope: ScopeId::of(DEPLOYMENTS, Some(&deployment.0)),
        request: demand.request,
        tokens: scopes::expected(demand, demand.counted, tokens, None),
        limits: dunlin_limiter::Limits { requests, tokens, parallel, on_loss, as_of },
    };
    (None, claim)
}

/// Tokens of prompts, and those of answers.
fn sides(deployment: &DeploymentId, (room, on_loss): (Room, OnLoss), demand: &Demand) -> [Part; 2] {
    let as_of = room.as_of;
    let sides = [(Counted::Input, INPUT, room.input), (Counted::Output, OUTPUT, room.output)];
    sides.map(|(counted, part, tokens)| {
        let claim = Claim {
            scope: part_of(deployment, part),
            request: demand.request,
            tokens: scopes::expected(demand, counted, tokens, None),
            limits: dunlin_limiter::Limits { tokens, on_loss, as_of, ..Default::default() },
        };
        (Some(counted), claim)
    })
}

fn part_of(deployment: &DeploymentId, part: &str) -> ScopeId {
    ScopeId::of(DEPLOYMENTS, Some(&format!("{}{part}", deployment.0)))
}
