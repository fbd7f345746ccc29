//! Which row a deployment's model is, and what that makes it cost.

use std::cmp::Ordering;

use dunlin_ledger::{Adjustment, Kind, Pricing, Rate, Sheet};
use dunlin_types::PicoUsd;

use crate::facts::{Facts, Mode};
use crate::table::Table;

/// Providers whose models run on one's own machines and cost nothing a token, sorted.
const SELF_HOSTED: &[&str] = &[
    "docker_model_runner",
    "hosted_vllm",
    "infinity",
    "lemonade",
    "llamafile",
    "lm_studio",
    "ollama",
    "ollama_chat",
    "oobabooga",
    "openai_like",
    "petals",
    "triton",
    "vllm",
    "xinference",
];

/// What one call of a provider's own tool costs, which LiteLLM has beside its table and in the rows
/// `openai/container` and `azure/container`: 0.0025, 0.03 and 0.033 dollars. Azure's files are paid by
/// their storage.
const TOOLS: &[(&str, Kind, PicoUsd)] = &[
    ("openai", Kind::FileSearch, PicoUsd(2_500_000_000)),
    ("openai", Kind::CodeSession, PicoUsd(30_000_000_000)),
    ("azure", Kind::CodeSession, PicoUsd(33_000_000_000)),
];

/// Who charges half for what was cached, where a model has no price for that.
const HALF_WHERE_CACHED: &str = "fireworks_ai";

/// A model as a deployment names it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The prefix of `litellm_params.model`.
    pub provider: &'a str,
    /// The rest of it.
    pub model: &'a str,
    /// `model_info.base_model`: the name of the model that it really is.
    pub base_model: Option<&'a str>,
    /// It is called at an address of one's own, not at the provider's.
    pub own_address: bool,
}

/// True for providers whose models run on one's own machines.
#[must_use]
pub fn is_self_hosted(provider: &str) -> bool {
    SELF_HOSTED.binary_search(&provider).is_ok()
}

impl Table {
    /// The row of a model: of its base model, else of its name under its provider, else of its
    /// name alone where its provider serves the model of that name.
    #[must_use]
    pub fn find(&self, asked: &Asked<'_>) -> Option<Facts<'_>> {
        let Asked { provider, model, base_model, .. } = *asked;
        let base = base_model.and_then(|base| self.named(base).or(self.under(provider, base)));
        base.or_else(|| self.of_provider(provider, model)).or_else(|| {
            let bare = bare(provider, model);
            if bare == model { None } else { self.of_provider(provider, bare) }
        })
    }

    /// The row of this very name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Facts<'_>> {
        self.search(|row| row.cmp(name))
    }

    /// What a deployment costs: by an operator's own rates, which go before the published ones;
    /// nothing on one's own machines; else nobody knows.
    #[must_use]
    pub fn pricing(&self, asked: &Asked<'_>, own: &Sheet, adjustment: Adjustment) -> Pricing {
        let published = self.find(asked).map(|facts| published(asked.provider, facts.sheet()));
        let published = published.unwrap_or_default();
        let sheet = published.overridden_by(own);
        if !sheet.is_empty() {
            Pricing::from(sheet.price(adjustment))
        } else if asked.own_address || is_self_hosted(asked.provider) {
            Pricing::Free
        } else {
            Pricing::Unpriced
        }
    }

    /// The models of a provider, by the names it knows them by.
    pub fn models_of<'t>(&'t self, provider: &str) -> impl Iterator<Item = (&'t str, Facts<'t>)> {
        self.iter().filter_map(move |facts| {
            let under = facts.name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
            let bare = || serves(provider, facts.provider) && !facts.name.contains('/');
            under.or_else(|| bare().then_some(facts.name)).map(|model| (model, facts))
        })
    }

    /// The sizes and qualities of pictures that a model is priced by, such as `hd/1024-x-1024`; none
    /// for what makes no pictures.
    pub fn pictures_of<'t>(&'t self, provider: &str, model: &str) -> impl Iterator<Item = &'t str> {
        self.iter().filter_map(move |facts| {
            if !matches!(facts.mode, Some(Mode::ImageGeneration | Mode::ImageEdit)) {
                return None;
            }
            let rest = facts.name.strip_suffix(model)?.strip_suffix('/')?;
            let under = rest.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
            let key = under.or_else(|| serves(provider, facts.provider).then_some(rest))?;
            key.rsplit('/').next()?.contains("-x-").then_some(key)
        })
    }

    fn of_provider(&self, provider: &str, model: &str) -> Option<Facts<'_>> {
        self.under(provider, model)
            .or_else(|| self.named(model).filter(|facts| serves(provider, facts.provider)))
    }

    /// The row named `provider/model`.
    fn under(&self, provider: &str, model: &str) -> Option<Facts<'_>> {
        let name = || provider.bytes().chain([b'/']).chain(model.bytes());
        self.search(|row| -> Ordering { row.bytes().cmp(name()) })
    }
}

/// What a provider publishes of a model and of all its models, and what its own tools cost.
fn published(provider: &str, mut sheet: Sheet) -> Sheet {
    let cached = Rate::of(Kind::CacheRead);
    if provider == HALF_WHERE_CACHED && sheet.get(cached).is_none() {
        let half = sheet.get(Rate::of(Kind::Input)).map(|input| PicoUsd(input.0 / 2));
        half.into_iter().for_each(|half| sheet.set(cached, half));
    }
    if !sheet.is_empty() {
        let tools = TOOLS.iter().filter(|(of, ..)| *of == provider);
        tools.for_each(|(_, kind, price)| sheet.set(Rate::of(*kind), *price));
    }
    sheet
}

/// True if models of a provider may be priced by a bare name of another's.
fn serves(provider: &str, of: &str) -> bool {
    let family = match provider {
        "bedrock_converse" => "bedrock",
        "azure_text" => "azure",
        "cohere_chat" => "cohere",
        "text-completion-codestral" => "codestral",
        "text-completion-openai" => "openai",
        "vertex_ai_beta" => "vertex_ai",
        other => other,
    };
    family == of
        || match family {
            // They resell the models under their makers' names.
            "azure_ai" => matches!(of, "azure" | "openai"),
            "github" | "litellm_proxy" => true,
            _ => false,
        }
}

/// A model's name without what says how it is called: the account's part of a fine-tuned one, and
/// the API and place that serve one of Bedrock's.
fn bare<'m>(provider: &str, model: &'m str) -> &'m str {
    if model.starts_with("ft:") {
        let end = model.match_indices(':').nth(1).map_or(model.len(), |(at, _)| at);
        return &model[..end];
    }
    if !matches!(provider, "bedrock" | "bedrock_converse") {
        return model;
    }
    let routes = ["converse/", "invoke/", "converse_like/"];
    routes.iter().find_map(|route| model.strip_prefix(route)).unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use dunlin_ledger::{Context, Units};
    use dunlin_types::{NanoUsd, SearchSize, Tokens, Usage};

    use super::*;

    #[test]
    fn pictures_are_priced_by_their_size_and_quality() {
        let table = Table::embedded();
        let of = |provider, model| -> Vec<&str> { table.pictures_of(provider, model).collect() };
        let azure = of("azure", "dall-e-3");
        assert!(azure.contains(&"hd/1024-x-1792") && azure.contains(&"standard/1024-x-1024"));
        assert!(of("openai", "gpt-image-1.5").contains(&"1024-x-1024"));
        assert_eq!(of("openai", "gpt-4o"), Vec::<&str>::new());
    }

    #[test]
    fn a_providers_own_tools_cost_what_they_do_unless_an_operator_says_otherwise() {
        let table = Table::embedded();
        let cost = |provider, own: &Sheet| {
            let asked = Asked { provider, model: "gpt-4o", base_model: None, own_address: false };
            let usage = Usage { file_searches: 2, code_sessions: 1, ..Usage::default() };
            let pricing = table.pricing(&asked, own, Adjustment::default());
            pricing.cost(&usage, &Context::default()).tools
        };
        let mut own = Sheet::default();
        assert_eq!(cost("openai", &own), NanoUsd(35_000_000));
        assert_eq!(cost("azure", &own), NanoUsd(33_000_000));
        assert_eq!(cost("hosted_vllm", &own), NanoUsd::ZERO);
        own.set(Rate::of(Kind::FileSearch), PicoUsd(1_000_000_000));
        assert_eq!(cost("openai", &own), NanoUsd(32_000_000));
    }

    #[test]
    fn a_search_costs_by_how_much_is_looked_at() {
        let table = Table::embedded();
        let cost = |(provider, model), search_size| {
            let asked = Asked { provider, model, base_model: None, own_address: false };
            let units = Units { web_searches: 1, search_size, ..Units::default() };
            let context = Context { units, ..Context::default() };
            let pricing = table.pricing(&asked, &Sheet::default(), Adjustment::default());
            pricing.cost(&Usage::default(), &context).tools.0
        };
        let all = [SearchSize::Low, SearchSize::Medium, SearchSize::High];
        let sonar = all.map(|size| cost(("perplexity", "sonar"), size));
        assert_eq!(sonar, [5_000_000, 8_000_000, 12_000_000]);
        assert_eq!(all.map(|size| cost(("openai", "gpt-5"), size)), [10_000_000; 3]);
    }

    #[test]
    fn whose_grounded_prompts_are_sold_charges_one_search() {
        let table = Table::embedded();
        let cost = |provider, model| {
            let asked = Asked { provider, model, base_model: None, own_address: false };
            let usage = Usage { web_searches: 3, ..Usage::default() };
            let pricing = table.pricing(&asked, &Sheet::default(), Adjustment::default());
            pricing.cost(&usage, &Context::default()).tools.0
        };
        for (provider, model, nano) in [
            ("gemini", "gemini-2.5-flash", 35_000_000),
            ("vertex_ai", "gemini-2.5-flash", 35_000_000),
            ("gemini", "gemini-3.5-flash", 3 * 14_000_000),
            ("vertex_ai", "gemini-3.5-flash", 3 * 14_000_000),
            ("vertex_ai", "claude-sonnet-4-5", 3 * 10_000_000),
            ("perplexity", "sonar-pro", 10_000_000),
            ("perplexity", "sonar-deep-research", 3 * 5_000_000),
            ("anthropic", "claude-sonnet-4-5", 3 * 10_000_000),
        ] {
            assert_eq!(cost(provider, model), nano, "{provider}/{model}");
        }
    }

    #[test]
    fn what_fireworks_has_cached_costs_half_unless_it_says_otherwise() {
        let table = Table::embedded();
        let cost = |model, own: &Sheet| {
            let asked =
                Asked { provider: "fireworks_ai", model, base_model: None, own_address: false };
            let usage = Usage { prompt: Tokens(1000), cached: Tokens(400), ..Usage::default() };
            let pricing = table.pricing(&asked, own, Adjustment::default());
            pricing.cost(&usage, &Context::default()).total.0
        };
        let mut own = Sheet::default();
        let silent = "accounts/fireworks/models/llama-v3p1-8b-instruct";
        assert_eq!(cost(silent, &own), 600 * 100 + 400 * 50);
        own.set(Rate::of(Kind::Input), PicoUsd(300_000));
        assert_eq!(cost(silent, &own), 1000 * 300, "an operator's own rate is for all of it");
    }

    #[test]
    fn self_hosted_providers_can_be_searched() {
        assert!(SELF_HOSTED.is_sorted());
    }
}
