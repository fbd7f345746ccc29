//! What of a request's facts goes on record, and in which form.

use dunlin_journal::{Kinds, Parts, SpendRecord, Whose};
use dunlin_ledger::Cost;
use dunlin_state::{Caller, Key, Payer, Rank};
use dunlin_types::Usage;

/// The owner of the key. `None` is the master key, which has no owner.
#[must_use]
pub fn whose(caller: Option<&Caller>) -> Whose {
    caller.map(|caller| owners(&caller.key, &caller.payers)).unwrap_or_default()
}

/// The owners of a key: its organization, or its team's.
pub(crate) fn owners(key: &Key, payers: &[Payer]) -> Whose {
    let organization = payers.iter().find(|payer| payer.rank == Rank::Organization);
    Whose {
        user: key.user.clone(),
        team: key.team.clone(),
        organization: organization.map(Payer::name),
    }
}

/// Writes what a request used and cost, with what other models did for it.
pub fn reckon(record: &mut SpendRecord, used: &Usage, cost: &Cost) {
    let used = used.in_all();
    record.prompt = used.prompt;
    record.cached = used.cached;
    record.completion = used.completion;
    record.kinds = Kinds {
        cache_write: used.cache_write,
        reasoning: used.reasoning,
        audio: used.prompt_audio + used.completion_audio,
        image: used.prompt_image + used.completion_image,
    };
    record.cost = cost.total;
    record.parts = Parts {
        input: cost.input,
        output: cost.output,
        tools: cost.tools,
        cache_read: cost.cache_read,
        cache_write: cost.cache_creation,
        reasoning: cost.reasoning,
        discount: cost.discount,
        margin: cost.margin,
    };
}
