//! Which limits a request is under: those of everyone it spends for, each in a scope of its own,
//! those for the one model it asks for, and those of its key for the words on it.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use dunlin_limiter::{Claim, Limits, ScopeId};
use dunlin_state::{Payer, Rank};
use dunlin_types::{OnLoss, Served};

use crate::refusal::{LimitScope, Part};
use crate::{Counted, Demand, Rules};

/// What a request that names no maximum is taken to write.
const ASSUMED_OUTPUT: u64 = 256;
/// ... but no more than this part of the limit: a guess must not refuse by itself what a small limit
/// would allow.
const ASSUMED_PART: u64 = 4;

/// Keeps the scope of a word apart from that of a model with the same name.
const TAGGED: &str = "tag\0";

/// Requests and tokens of one model in any 60 s.
type OfModel = (Option<u64>, Option<u64>);

/// One scope of a request.
pub(super) struct Scope<'a> {
    pub(super) of: LimitScope,
    pub(super) payer: &'a Payer,
    /// The model or the word it holds for, if for one alone.
    pub(super) name: Option<&'a str>,
    pub(super) claim: Claim,
}

/// Who and what limits a request.
#[derive(Clone, Copy)]
pub(crate) struct Under<'a> {
    pub(crate) payers: &'a [Payer],
    /// Words on it that its key may use so often.
    pub(crate) tags: &'a [(String, u64)],
    /// Requests at once of a key that does not say.
    pub(crate) key_parallel: Option<u64>,
    /// Requests and tokens of single models in any 60 s, of a key that does not say.
    pub(crate) key_limits: &'a BTreeMap<Arc<str>, OfModel>,
    /// What limits do while nodes are lost whose payer does not say.
    pub(crate) on_loss: OnLoss,
    /// Only what holds for the model alone.
    pub(crate) only_model: bool,
}

impl<'a> Under<'a> {
    /// Who and what limits a request for its model alone.
    pub(crate) fn model(payers: &'a [Payer], rules: &'a Rules) -> Self {
        let (tags, on_loss, key_limits) = (&[][..], rules.on_loss, &rules.key_limits);
        Self { payers, tags, key_parallel: None, key_limits, on_loss, only_model: true }
    }
}

/// The scopes of a request, in the order in which LiteLLM checks them.
pub(super) fn of<'a>(under: Under<'a>, demand: &'a Demand) -> Vec<Scope<'a>> {
    let terms = (under.on_loss, assumed_output(under.payers, demand));
    let all = under.payers.iter().flat_map(|payer| {
        let default = under.key_parallel.filter(|_| payer.rank == Rank::Key);
        let (rpm, tpm) = unless_dynamic(payer, demand, (payer.rpm(), payer.tpm()));
        let main = (Part::All, None, (rpm, tpm, payer.parallel().or(default)));
        let own = payer.ruled(&demand.served).into_iter();
        let own = own.map(|name| (name, payer.model_limits(name)));
        let own: Vec<_> = own.filter(|(_, limits)| *limits != (None, None)).collect();
        let default = defaults(under, payer, &demand.served, &own);
        let singles = own.into_iter().chain(default).map(|(name, of_model)| {
            let (rpm, tpm) = unless_dynamic(payer, demand, of_model);
            (Part::Model, Some(name), (rpm, tpm, None))
        });
        let all = iter::once(main).chain(singles);
        all.filter_map(move |of| scope(payer, demand, terms, of))
    });
    let key = under.payers.iter().find(|payer| payer.rank == Rank::Key);
    let tagged = key.into_iter().flat_map(|key| {
        let limits = under.tags.iter();
        limits.filter_map(move |(tag, limit)| {
            scope(key, demand, terms, (Part::Tag, Some(tag), (Some(*limit), None, None)))
        })
    });
    let all = all.chain(tagged).filter(|scope| !under.only_model || is_of_model(scope.of));
    let mut scopes: Vec<_> = all.collect();
    scopes.sort_by_key(|scope| order(scope.of));
    scopes
}

/// What holds for single models that a key has no limits of its own for.
fn defaults<'a>(
    under: Under<'a>,
    payer: &Payer,
    served: &'a Served,
    own: &[(&str, OfModel)],
) -> Vec<(&'a str, OfModel)> {
    if payer.rank != Rank::Key || under.key_limits.is_empty() {
        return Vec::new();
    }
    let says = |name: &str| own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let unsaid = served.all().filter(|name| !says(name));
    unsaid.filter_map(|name| Some((&**name, *under.key_limits.get(name)?))).collect()
}

/// Whether a scope holds for a model alone.
pub(super) fn is_of_model(of: LimitScope) -> bool {
    of.part == Part::Model || of.rank == Rank::AccessGroup
}

/// Limits of a minute, without those that hold only while the model fails, if it does not.
fn unless_dynamic(
    payer: &Payer,
    demand: &Demand,
    (rpm, tpm): (Option<u64>, Option<u64>),
) -> (Option<u64>, Option<u64>) {
    if demand.strained || rpm.or(tpm).is_none() {
        return (rpm, tpm);
    }
    let (requests, tokens) = payer.dynamic();
    (rpm.filter(|_| !requests), tpm.filter(|_| !tokens))
}

/// For what it holds, and the limits of requests, tokens, and requests at once.
type Terms<'a> = (Part, Option<&'a str>, (Option<u64>, Option<u64>, Option<u64>));

fn scope<'a>(
    payer: &'a Payer,
    demand: &Demand,
    (on_loss, assumed): (OnLoss, Option<u64>),
    (part, name, (requests, tokens, parallel)): Terms<'a>,
) -> Option<Scope<'a>> {
    let on_loss = payer.on_loss().unwrap_or(on_loss);
    let limits = Limits { requests, tokens, parallel, on_loss, as_of: payer.as_of().0 };
    if limits.is_none() {
        return None;
    }
    let tag = name.filter(|_| part == Part::Tag).map(|tag| format!("{TAGGED}{tag}"));
    let claim = Claim {
        scope: ScopeId::of(payer.id(), tag.as_deref().or(name)),
        request: demand.request,
        tokens: expected(demand, demand.counted, tokens, assumed),
        limits,
    };
    let of = LimitScope { rank: payer.rank, part };
    Some(Scope { of, payer, name, claim })
}

/// What the key says of how long an answer is, or else its team.
fn assumed_output(payers: &[Payer], demand: &Demand) -> Option<u64> {
    if demand.output.is_some() {
        return None;
    }
    let of = |rank| payers.iter().find(|payer| payer.rank == rank);
    let said = [Rank::Key, Rank::Team].into_iter().filter_map(of);
    said.filter_map(|payer| payer.estimated_output(&demand.served.row)).next()
}

/// What of a request is counted against a limit of tokens, as far as can be known before it is sent.
/// `assumed` is how long whoever set the limit says that answers are. A guess of how long one is takes
/// no more than what the prompt leaves of the limit: by itself it makes no request too large.
pub(super) fn expected(
    demand: &Demand,
    counted: Counted,
    limit: Option<u64>,
    assumed: Option<u64>,
) -> u64 {
    let most = limit.unwrap_or(u64::MAX);
    let prompt = demand.prompt.0;
    if let Some(output) = demand.output {
        return counted.of(prompt, output.0);
    }
    let guess = assumed.unwrap_or(ASSUMED_OUTPUT.min(most / ASSUMED_PART));
    counted.of(prompt, guess).min(most).max(counted.of(prompt, 0))
}

/// The key, then those around it; after them what holds for single models; tags last.
fn order(of: LimitScope) -> (bool, Part, u8) {
    let place = match of.rank {
        Rank::Key => 0,
        Rank::User => 1,
        Rank::Team => 2,
        Rank::Member => 3,
        Rank::EndUser => 4,
        Rank::Organization => 5,
        Rank::OrganizationMember => 6,
        Rank::AccessGroup => 7,
        Rank::Tag => 8,
    };
    (of.rank == Rank::Tag || of.part == Part::Tag, of.part, place)
}
