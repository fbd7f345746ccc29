//! What deployments cost, and what is said where nobody knows.

use dunlin_ledger::{Context, Pricing, Rate, Sheet};
use dunlin_types::{PicoUsd, Tokens, Usage};

use super::{PRICES, deployment, loaded, outcome, said};
use crate::pricing::{self, Adjustments};

/// What a million prompt and a million completion tokens cost by the first deployment of `m`, in
/// thousandths of a dollar.
fn cost_of(params: &str, info: &str, settings: &str) -> Option<u64> {
    let text = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{{params}}}\n    model_info: {{{info}}}\n\
         litellm_settings: {{{settings}}}\n"
    );
    let used = Tokens(1_000_000);
    let usage =
        Usage { prompt: used, cached: Tokens(500_000), completion: used, ..Usage::default() };
    let pricing = deployment(&loaded(&text), "m", 0).price;
    let known = pricing != Pricing::Unpriced;
    known.then(|| pricing.cost(&usage, &Context::default()).total.0 / 1_000_000)
}

#[test]
fn a_deployment_costs_what_it_says_or_what_is_published() {
    let gpt = "model: openai/gpt-4o";
    let cases = [
        // gpt-4o: 2.50, cached 1.25 and 10 dollars a million tokens.
        (gpt, "", "", Some(1_875 + 10_000)),
        ("model: gpt-4o", "", "", Some(1_875 + 10_000)),
        ("model: openai/gpt-4o, input_cost_per_token: 1e-6", "", "", Some(1_000 + 10_000)),
        (gpt, "output_cost_per_token: 1e-6", "", Some(1_875 + 1_000)),
        (
            "model: openai/gpt-4o, output_cost_per_token: 2e-6",
            "output_cost_per_token: 1e-6",
            "",
            Some(1_875 + 2_000),
        ),
        ("model: openai/gpt-4o, cache_read_input_token_cost: 0", "", "", Some(1_250 + 10_000)),
        ("model: openai/mine, input_cost_per_token_above_200k_tokens: 3e-6", "", "", Some(3_000)),
        (
            "model: openai/mine, tiered_pricing: [{range: [0, 1000], input_cost_per_token: 1e-6}, \
             {range: [1000, 9000], input_cost_per_token: 4e-6}]",
            "",
            "",
            Some(4_000),
        ),
        ("model: openai/my-deployment", "base_model: azure/gpt-4o", "", Some(1_875 + 10_000)),
        ("model: anthropic/nobody-knows", "", "", None),
        ("model: openai/mine", "", "", None),
        ("model: openai/mine, api_base: 'https://llm.example.com/v1'", "", "", None),
        ("model: openai/mine, api_base: 'http://gpu:8000/v1'", "", "", Some(0)),
        ("model: hosted_vllm/mine, api_base: 'http://gpu:8000/v1'", "", "", Some(0)),
        ("model: openai/mine, input_cost_per_token: 0", "", "", Some(0)),
        (gpt, "", "cost_discount_config: {openai: 0.2}", Some(9_500)),
        (gpt, "", "cost_margin_config: {global: 0.1, azure: 0.9}", Some(13_062)),
        (
            gpt,
            "",
            "cost_discount_config: {openai: 0.2}, \
             cost_margin_config: {openai: {percentage: 0.1, fixed_amount: 0.05}}",
            Some(10_500),
        ),
    ];
    for (params, info, settings, expected) in cases {
        assert_eq!(cost_of(params, info, settings), expected, "{params} {info} {settings}");
    }
}

#[test]
fn an_answers_bound_is_the_deployments_or_the_published_one() {
    let most = |info: &str| {
        let entry = format!("litellm_params: {{model: openai/gpt-4o}}, model_info: {{{info}}}");
        let config = loaded(&format!("model_list: [{{model_name: m, {entry}}}]"));
        deployment(&config, "m", 0).target.max_output
    };
    assert_eq!(most(""), Some(Tokens(16_384)));
    assert_eq!(most("max_output_tokens: 99"), Some(Tokens(99)));
}

#[test]
fn a_target_with_stars_knows_the_price_of_each_model() {
    let config =
        loaded("model_list:\n  - {model_name: 'openai/*', litellm_params: {model: 'openai/*'}}\n");
    let wild = deployment(&config, "openai/*", 0);
    assert_eq!(wild.price, Pricing::Unpriced);
    let known = deployment(
        &loaded("model_list:\n  - {model_name: m, litellm_params: {model: openai/gpt-4o}}\n"),
        "m",
        0,
    );
    assert_eq!(wild.prices.get("gpt-4o"), Some(&known.price));
    assert_eq!(wild.prices.get("gpt-nobody-knows"), None);
    assert!(wild.prices.len() > 100, "{}", wild.prices.len());
}

#[test]
fn a_picture_costs_by_its_size_and_quality() {
    let of = |own: &Sheet| {
        let model = ("azure", "dall-e-3", "https://x.openai.azure.com");
        pricing::of(&PRICES, model, None, own, &Adjustments::default())
    };
    let published = of(&Sheet::default());
    assert_ne!(published.price, Pricing::Unpriced);
    let usual = published.prices.get("standard/1024-x-1024");
    assert_eq!(usual, Some(&published.price), "what is asked for without a word");
    let larger = published.prices.get("hd/1024-x-1792").expect("a price of its own");
    assert_ne!(larger, &published.price);
    let mut own = Sheet::default();
    own.set(Rate::from_key("output_cost_per_image").expect("a rate"), PicoUsd(1));
    assert!(of(&own).prices.is_empty(), "the operator's price is for all");
}

#[test]
fn models_without_a_known_price_are_named_in_one_line() {
    let entry = |model| format!("  - {{model_name: m, litellm_params: {{model: {model}}}}}\n");
    let models = ["openai/b", "openai/gpt-4o", "openai/a", "bedrock/parked"].map(entry).concat();
    let said = said(&format!("model_list:\n{models}"));
    let line =
        "warning[DL0122]: the price of openai/a, openai/b is unknown: using them costs nothing";
    assert!(said.contains(line), "{said}");
    assert!(said.contains("--> config.yaml:2:45"), "the first of them: {said}");
    assert!(said.contains("::: config.yaml:4:45"), "the other: {said}");
    let one = self::said("model_list:\n  - {model_name: m, litellm_params: {model: openai/a}}\n");
    assert!(one.contains("the price of openai/a is unknown: using it costs nothing"), "{one}");
}

#[test]
fn what_is_no_price_is_refused_where_it_stands() {
    let model = "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/gpt-4o\n";
    let cases = [
        ("      input_cost_per_token_flex: -1\n", "config.yaml:5:34"),
        ("      tiered_pricing: [{input_cost_per_token: 1}]\n", "needs a range"),
        ("litellm_settings: {cost_discount_config: {openai: 5}}\n", "5 is not a discount"),
        ("litellm_settings: {cost_margin_config: {openai: 500}}\n", "500 is not a margin"),
        ("litellm_settings: {model_cost_map_url: 'https://x/y'}\n", "cluster.prices"),
        ("environment_variables: {LITELLM_MODEL_COST_MAP_URL: 'https://x/y'}\n", "cluster.prices"),
    ];
    for (wrong, expected) in cases {
        let text = format!("{model}{wrong}");
        assert!(outcome(&text).loaded.is_none(), "{text}");
        assert!(said(&text).contains(expected), "{text}:\n{}", said(&text));
    }
}
