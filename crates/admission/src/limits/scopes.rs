//! Which limits a request is under: those of everyone it spends for, each in a scope of its own, and
//! those for the one model it asks for.

use dunlin_limiter::{Claim, Limits, ScopeId};
use dunlin_state::{Payer, Rank};

use crate::refusal::LimitScope;
use crate::{Counted, Demand};

/// What a request that names no maximum is taken to write.
const ASSUMED_OUTPUT: u64 = 256;
/// ... but no more than this part of the limit: a guess must not refuse by itself what a small limit
/// would allow.
const ASSUMED_PART: u64 = 4;

/// One scope of a request.
pub(super) struct Scope<'a> {
    pub(super) of: LimitScope,
    pub(super) payer: &'a Payer,
    /// The model it holds for, if for one alone.
    pub(super) model: Option<&'a str>,
    pub(super) claim: Claim,
}

/// The scopes of a request, in the order in which LiteLLM checks them.
/// `key_parallel` is for keys that do not say.
pub(super) fn of<'a>(
    payers: &'a [Payer],
    demand: &'a Demand,
    key_parallel: Option<u64>,
) -> Vec<Scope<'a>> {
    let all = payers.iter().flat_map(|payer| {
        let default = key_parallel.filter(|_| payer.rank == Rank::Key);
        let main = (None, payer.rpm(), payer.tpm(), payer.parallel().or(default));
        let (rpm, tpm) = payer.model_limits(&demand.model);
        let single = (Some(&*demand.model), rpm, tpm, None);
        [main, single].into_iter().filter_map(move |of| scope(payer, demand, of))
    });
    let mut scopes: Vec<_> = all.collect();
    scopes.sort_by_key(|scope| order(scope.of));
    scopes
}

type Terms<'a> = (Option<&'a str>, Option<u64>, Option<u64>, Option<u64>);

fn scope<'a>(
    payer: &'a Payer,
    demand: &Demand,
    (model, requests, tokens, parallel): Terms<'a>,
) -> Option<Scope<'a>> {
    let limits = Limits { requests, tokens, parallel, as_of: payer.as_of().0 };
    if limits.is_none() {
        return None;
    }
    let claim = Claim {
        scope: ScopeId::of(payer.id(), model),
        request: demand.request,
        tokens: expected(demand, tokens),
        limits,
    };
    let of = LimitScope { rank: payer.rank, of_model: model.is_some() };
    Some(Scope { of, payer, model, claim })
}

/// What of a request is counted against a limit of tokens, as far as can be known before it is sent.
pub(super) fn expected(demand: &Demand, limit: Option<u64>) -> u64 {
    let guess = || ASSUMED_OUTPUT.min(limit.map_or(u64::MAX, |limit| limit / ASSUMED_PART));
    let output = demand.output.map_or_else(guess, |output| output.0);
    match demand.counted {
        Counted::Total => demand.prompt.0.saturating_add(output),
        Counted::Input => demand.prompt.0,
        Counted::Output => output,
    }
}

/// The key, then those around it; after them what holds for single models; tags last.
fn order(of: LimitScope) -> (bool, bool, u8) {
    let place = match of.rank {
        Rank::Key => 0,
        Rank::User => 1,
        Rank::Team => 2,
        Rank::Member => 3,
        Rank::EndUser => 4,
        Rank::Organization => 5,
        Rank::Tag => 6,
    };
    (of.rank == Rank::Tag, of.of_model, place)
}
