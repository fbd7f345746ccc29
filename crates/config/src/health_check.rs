//! `model_info.health_check_*`: how a deployment is called to see whether it lives.

use std::sync::Arc;
use std::time::Duration;

use dunlin_router::{About, HealthCheck};
use serde_json::Value;

use crate::report::Report;
use crate::tree::Map;

/// A model that thinks before it writes may write nothing within fewer tokens, and OpenAI's
/// responses take no smaller bound.
const MAX_OUTPUT_THINKING: u64 = 16;
/// Of a model that a pattern stands for little is known: LiteLLM's default.
const MAX_OUTPUT_PATTERN: u64 = 10;
/// Nobody waits longer for one answer of `GET /health`.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) fn of(info: &Map, provider: &str, about: &About, report: &mut Report) -> HealthCheck {
    let usual = HealthCheck::default();
    let name = |name: &str| format!("model_info.health_check_{name}");
    let get = |name: &str| info.get(&format!("health_check_{name}"));
    let model = report.text(&name("model"), get("model"));
    let model = model.map(|model| {
        let below = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
        Arc::from(below.unwrap_or(model))
    });
    let timeout = report.bound(&name("timeout"), get("timeout"));
    if let (Some(long), Some(node)) = (timeout.filter(|it| *it > MAX_TIMEOUT), get("timeout")) {
        let must =
            format!("must be at most {} seconds, not {}", MAX_TIMEOUT.as_secs(), long.as_secs());
        report.wrong_value::<()>(&name("timeout"), node, &must);
    }
    let mut most = |word: &str| {
        let most: Option<u64> = report.count(&name(word), get(word));
        match (most, get(word)) {
            (Some(0), Some(node)) => report.wrong_value(&name(word), node, "must be at least 1"),
            (most, _) => most,
        }
    };
    let (written, when_thinking) = (most("max_tokens"), most("max_tokens_reasoning"));
    let thinks = thinks(about);
    let otherwise = if thinks || &*about.mode == "responses" {
        MAX_OUTPUT_THINKING
    } else if model.is_some() {
        MAX_OUTPUT_PATTERN
    } else {
        usual.max_output
    };
    let max_output = written.or(when_thinking.filter(|_| thinks)).unwrap_or(otherwise);
    let mut text = |word: &str| report.text(&name(word), get(word)).map(Arc::from);
    HealthCheck {
        model,
        timeout: timeout.unwrap_or(usual.timeout),
        max_output,
        voice: text("voice").unwrap_or(usual.voice),
        effort: text("reasoning_effort"),
    }
}

fn thinks(about: &About) -> bool {
    let info: Value = serde_json::from_str(about.info.get()).unwrap_or_default();
    info["supports_reasoning"] == true
}
