//! What a request asks to be admitted with: which tokens, and what it may cost.

use dunlin_types::{NanoUsd, RequestId, Served, Tokens};

/// What a request asks to be admitted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The request, unique in the cluster.
    pub request: RequestId,
    /// By what it is served, for what holds for single models.
    pub served: Served,
    /// The tokens of its prompt, as far as they are known.
    pub prompt: Tokens,
    /// The most tokens it may write. `None`: it does not say, and is taken to write a few.
    pub output: Option<Tokens>,
    /// Which tokens count.
    pub counted: Counted,
    /// What it may cost at the model that is tried first.
    pub cost: Bounds,
    /// Whether a strict budget in which less is left than it may cost holds that: nobody said how long
    /// its answer may be.
    pub takes_rest: bool,
    /// Whether the model fails at the moment, or nobody can tell: then limits hold that hold only
    /// while it does.
    pub strained: bool,
}

impl Demand {
    /// What costs something, and nobody can tell how much before: a budget refuses it once it is
    /// spent.
    #[must_use]
    pub fn unpriced(
        request: RequestId,
        served: impl Into<Served>,
        prompt: Tokens,
        counted: Counted,
    ) -> Self {
        Self { cost: Bounds::UNKNOWN, ..Self::free(request, served, prompt, counted) }
    }

    /// What costs nothing: no budget is in its way.
    #[must_use]
    pub fn free(
        request: RequestId,
        served: impl Into<Served>,
        prompt: Tokens,
        counted: Counted,
    ) -> Self {
        let (served, output, cost) = (served.into(), Some(Tokens(0)), Bounds::default());
        let (takes_rest, strained) = (false, true);
        Self { request, served, prompt, output, counted, cost, takes_rest, strained }
    }
}

/// What a request may cost. Nothing: no budget is in its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// What it hardly exceeds: held of budgets that may be overspent by a little.
    pub likely: NanoUsd,
    /// What it never exceeds: held of strict ones.
    pub most: NanoUsd,
}

impl Bounds {
    /// Something, and nobody can tell how much: a budget refuses it once it is spent.
    pub const UNKNOWN: Self = Self { likely: NanoUsd(1), most: NanoUsd(1) };
}

/// Which tokens count against limits of tokens: `token_rate_limit_type`. Those that a provider had
/// in its cache never do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// Those of prompts and of answers.
    #[default]
    Total,
    /// Those of prompts.
    Input,
    /// Those of answers.
    Output,
}

impl Counted {
    /// What of a request counts.
    pub(crate) fn of(self, prompt: u64, completion: u64) -> u64 {
        match self {
            Self::Total => prompt.saturating_add(completion),
            Self::Input => prompt,
            Self::Output => completion,
        }
    }
}
