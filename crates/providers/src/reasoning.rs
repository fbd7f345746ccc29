//! OpenAI's models that think before they answer, by their names: which parameters they refuse, that
//! they know a bound on tokens only by its new name, and how hard each of them can be told to think.
//! From OpenAI's guide on reasoning models and its models' pages, read in 2026.

use dunlin_llm::form::{Chat, Effort, Reasoning};

/// What those refuse that draw their own lots.
pub(crate) const OWN_LOTS: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "presence_penalty",
    "temperature",
    "top_logprobs",
    "top_p",
];

/// What those refuse besides that are told in words how hard to think: Anthropic's way of saying it.
const IN_TOKENS: &[&str] = &["thinking"];
/// What those refuse that do not think.
pub(crate) const ANY_WISH: &[&str] = &["reasoning_effort", "thinking"];
/// What those refuse that call one tool at a time.
const PARALLEL: &[&str] = &["parallel_tool_calls"];
/// What no model of the fifth generation knows any more, whether it thinks or not.
const GPT_5: &[&str] = &[
    "audio",
    "frequency_penalty",
    "logit_bias",
    "modalities",
    "prediction",
    "presence_penalty",
    "stop",
];

/// What `model` refuses: nothing is known of models that are not OpenAI's.
pub(crate) fn refused(model: &str) -> &'static [&'static [&'static str]] {
    if !is_openais(model) {
        return &[];
    }
    let family = family(model);
    let thinks = !efforts(model).is_empty();
    match (is_o_series(family), draws_own_lots(family)) {
        (true, _) if thinks => &[OWN_LOTS, PARALLEL, IN_TOKENS],
        (true, _) => &[OWN_LOTS, PARALLEL, ANY_WISH],
        (false, true) => &[OWN_LOTS, GPT_5, IN_TOKENS],
        (false, false) if thinks => &[GPT_5, IN_TOKENS],
        (false, false) => &[ANY_WISH],
    }
}

/// True if `model` thinks before it answers.
pub(crate) fn thinks(model: &str) -> bool {
    // One with no word for how hard.
    !efforts(model).is_empty() || family(model).starts_with("codex-")
}

/// True if `model` draws its own lots.
pub(crate) fn has_own_lots(model: &str) -> bool {
    draws_own_lots(family(model))
}

/// True if `model` knows `max_tokens` only as `max_completion_tokens`.
pub(crate) fn has_new_bound(model: &str) -> bool {
    let family = family(model);
    family.starts_with("gpt-5") || is_o_series(family)
}

/// Without what Azure's users and others put before it. A deployment that is only said to be of a
/// series is taken for the model that the series is known by.
fn family(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    if model.starts_with("o_series/") && !is_o_series(name) {
        "o3"
    } else if model.starts_with("gpt5_series/") && !name.starts_with("gpt-5") {
        "gpt-5"
    } else {
        name
    }
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

/// True if `model` is named like OpenAI's own, whichever provider serves it.
pub(crate) fn is_openais(model: &str) -> bool {
    let family = family(model);
    let family = family.strip_prefix("ft:").unwrap_or(family);
    let names = ["gpt-3", "gpt-4", "gpt-5", "chatgpt-", "codex-", "computer-use-"];
    is_o_series(family) || names.iter().any(|start| family.starts_with(start))
}

/// What servers take whose models nobody knows: vLLM's, and those who follow it.
const ANY: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High];

/// How hard `model` can be told to think, from the least on. Empty: it cannot.
fn efforts(model: &str) -> &'static [Effort] {
    use Effort::{High, Highest, Low, Medium, Minimal, None};
    let family = family(model);
    if !is_openais(model) {
        return ANY;
    }
    if is_o_series(family) {
        let early = family.starts_with("o1-mini") || family.starts_with("o1-preview");
        return if early { &[] } else { ANY };
    }
    let Some(rest) = family.strip_prefix("gpt-5") else { return &[] };
    let (is_codex, is_pro) = (rest.contains("codex"), rest.contains("-pro"));
    if rest.contains("-chat") {
        return &[];
    }
    match (rest.starts_with('.'), is_codex, is_pro) {
        (false, false, false) => &[Minimal, Low, Medium, High],
        (false, true, _) => ANY,
        (false, false, true) => &[High],
        (true, _, true) => &[Medium, High, Highest],
        (true, false, false) if rest.starts_with(".1") => &[None, Low, Medium, High],
        (true, true, false) if rest.starts_with(".1") && !rest.contains("-max") => ANY,
        (true, true, false) => &[Low, Medium, High, Highest],
        (true, false, false) => &[None, Low, Medium, High, Highest],
    }
}

/// Expresses a chat's thinking setting in a word that `model` knows: the next harder one, or else
/// its hardest. A wish not to think is left out for models that do not know it.
pub(crate) fn fit(chat: &mut Chat, model: &str) {
    let Some(wish) = chat.reasoning.take() else { return };
    let Some(effort) = wish.effort.or(wish.budget.map(Effort::of_budget)) else { return };
    let known = efforts(model);
    if effort == Effort::None && !is_openais(model) {
        return;
    }
    let nearest = known.iter().find(|known| **known >= effort).or(known.last());
    chat.reasoning = nearest.map(|effort| Reasoning::of(Some(*effort), None));
}

#[cfg(test)]
mod tests {
    use dunlin_llm::Dialect;

    use super::*;

    #[test]
    fn thought_is_asked_for_in_a_word_that_the_model_knows() {
        let fitted = |model: &str, effort: Effort| {
            let mut chat = Chat::new(Dialect::Anthropic);
            chat.reasoning = Some(Reasoning::of(Some(effort), None));
            fit(&mut chat, model);
            chat.reasoning.and_then(|reasoning| reasoning.effort)
        };
        use Effort::{High, Highest, Low, Medium, Minimal, None as Not};
        for (model, none, minimal, highest) in [
            ("gpt-4o", None, None, None),
            ("ft:gpt-4o-mini:me", None, None, None),
            ("gpt-5-chat-latest", None, None, None),
            ("o1-mini", None, None, None),
            ("o3", Some(Low), Some(Low), Some(High)),
            ("gpt-5-mini", Some(Minimal), Some(Minimal), Some(High)),
            ("gpt-5-pro", Some(High), Some(High), Some(High)),
            ("gpt-5.1", Some(Not), Some(Low), Some(High)),
            ("gpt-5.1-codex-max", Some(Low), Some(Low), Some(Highest)),
            ("gpt-5.2", Some(Not), Some(Low), Some(Highest)),
            ("gpt-5.2-pro", Some(Medium), Some(Medium), Some(Highest)),
            ("gpt-oss-20b", None, Some(Low), Some(High)),
            ("served", None, Some(Low), Some(High)),
        ] {
            let told = [Not, Minimal, Highest].map(|effort| fitted(model, effort));
            assert_eq!(told, [none, minimal, highest], "{model}");
        }
    }

    #[test]
    fn a_models_name_tells_what_it_refuses() {
        for (model, own_lots, new_bound) in [
            ("o1", true, true),
            ("o3-mini-2025-01-31", true, true),
            ("o_series/o4-mini", true, true),
            ("o_series/mine", true, true),
            ("gpt5_series/mine", true, true),
            ("gpt5_series/gpt-5.1", false, true),
            ("gpt-5", true, true),
            ("gpt-5-mini", true, true),
            ("gpt-5-chat-latest", false, true),
            ("gpt-5.1", false, true),
            ("gpt-4o", false, false),
            ("o1n", false, false),
            ("my-o3", false, false),
        ] {
            let refuses = |param| refused(model).iter().any(|list| list.contains(&param));
            assert_eq!(refuses("temperature"), own_lots, "{model}");
            assert_eq!(has_new_bound(model), new_bound, "{model}");
        }
    }
}
