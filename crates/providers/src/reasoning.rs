//! OpenAI's models that think before they answer, by their names: which parameters they refuse, and
//! that they know a bound on tokens only by its new name. From OpenAI's guide on reasoning models
//! and its models' pages, read in 2026.

/// What those refuse that draw their own lots.
const OWN_LOTS: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "presence_penalty",
    "temperature",
    "top_logprobs",
    "top_p",
];

/// What `model` refuses.
pub(crate) fn refused(model: &str) -> &'static [&'static [&'static str]] {
    if draws_own_lots(family(model)) { &[OWN_LOTS] } else { &[] }
}

/// True if `model` knows `max_tokens` only as `max_completion_tokens`.
pub(crate) fn has_new_bound(model: &str) -> bool {
    let family = family(model);
    family.starts_with("gpt-5") || is_o_series(family)
}

/// Without what Azure's users and others put before it.
fn family(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// From 5.1 on, models think only if they are told to.
fn draws_own_lots(family: &str) -> bool {
    let gpt = family.strip_prefix("gpt-5");
    gpt.is_some_and(|rest| !rest.starts_with('.') && !rest.starts_with("-chat"))
        || is_o_series(family)
}

fn is_o_series(family: &str) -> bool {
    ["o1", "o3", "o4"].iter().any(|name| {
        family.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_what_it_refuses() {
        for (model, own_lots, new_bound) in [
            ("o1", true, true),
            ("o3-mini-2025-01-31", true, true),
            ("o_series/o4-mini", true, true),
            ("gpt-5", true, true),
            ("gpt-5-mini", true, true),
            ("gpt-5-chat-latest", false, true),
            ("gpt-5.1", false, true),
            ("gpt-4o", false, false),
            ("o1n", false, false),
            ("my-o3", false, false),
        ] {
            assert_eq!(!refused(model).is_empty(), own_lots, "{model}");
            assert_eq!(has_new_bound(model), new_bound, "{model}");
        }
    }
}
