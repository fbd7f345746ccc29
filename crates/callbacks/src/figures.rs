//! The figures of a record as LiteLLM names them: in what receivers are told, and in rows of the
//! request log.

use dunlin_journal::SpendRecord;
use serde_json::{Value, json};

/// What was counted.
#[must_use]
pub fn usage(record: &SpendRecord) -> Value {
    json!({
        "prompt_tokens": record.prompt.0,
        "completion_tokens": record.completion.0,
        "total_tokens": (record.prompt + record.completion).0,
        "prompt_tokens_details": {
            "cached_tokens": record.cached.0,
            "cache_creation_tokens": record.kinds.cache_write.0,
        },
        "completion_tokens_details": {"reasoning_tokens": record.kinds.reasoning.0},
    })
}

/// What it cost, in dollars.
#[must_use]
pub fn costs(record: &SpendRecord) -> Value {
    let parts = &record.parts;
    let original = parts.input + parts.output + parts.tools;
    json!({
        "input_cost": parts.input.as_usd(),
        "output_cost": parts.output.as_usd(),
        "tool_usage_cost": parts.tools.as_usd(),
        "cache_read_cost": parts.cache_read.as_usd(),
        "cache_creation_cost": parts.cache_write.as_usd(),
        "reasoning_cost": parts.reasoning.as_usd(),
        "original_cost": original.as_usd(),
        "discount_amount": parts.discount.as_usd(),
        "margin_total_amount": parts.margin.as_usd(),
        "total_cost": record.cost.as_usd(),
    })
}
