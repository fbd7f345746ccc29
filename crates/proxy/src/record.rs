//! What of a request's facts goes on record, and in which form.

use dunlin_journal::{Fault, Kinds, MAX_FAULT_BYTES, Parts, Whose, bounded};
use dunlin_ledger::Cost;
use dunlin_llm::Usage;
use dunlin_llm::openai::ErrorBody;
use dunlin_state::Rank;

use crate::caller::Caller;

/// Whose key it is.
pub(crate) fn whose(caller: &Caller) -> Whose {
    let Some(caller) = caller.key() else { return Whose::default() };
    let organization = caller.payers.iter().find(|payer| payer.rank == Rank::Organization);
    Whose {
        user: caller.key.user.clone(),
        team: caller.key.team.clone(),
        organization: organization.map(dunlin_state::Payer::name),
    }
}

/// Tokens that have prices of their own.
pub(crate) fn kinds(used: &Usage) -> Kinds {
    Kinds {
        cache_write: used.cache_write,
        reasoning: used.reasoning,
        audio: used.prompt_audio + used.completion_audio,
        image: used.prompt_image + used.completion_image,
    }
}

/// What a cost is made of.
pub(crate) fn parts(cost: &Cost) -> Parts {
    Parts {
        input: cost.input,
        output: cost.output,
        tools: cost.tools,
        cache_read: cost.cache_read,
        cache_write: cost.cache_creation,
        reasoning: cost.reasoning,
        discount: cost.discount,
        margin: cost.margin,
    }
}

/// What the client is told instead of an answer.
pub(crate) fn fault(body: ErrorBody) -> Fault {
    let ErrorBody { message, kind, code, .. } = body;
    Fault { status: code, kind, message: bounded(&message, MAX_FAULT_BYTES) }
}
