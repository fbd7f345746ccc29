//! What a deployment costs: by its own rates, else by the published ones, less the discount of its
//! provider and with the margin on it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dunlin_ledger::{Adjustment, AdjustmentError, Pricing, Rate, Sheet, Tier};
use dunlin_prices::{Asked, Mode, Table, is_self_hosted};
use dunlin_router::{Deployment, tells_costs};
use dunlin_types::{PicoUsd, Tokens};
use http::Uri;

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::keys;
use crate::report::Report;
use crate::tree::{Map, Node};

const TIERS: &str = "tiered_pricing";
/// The margin of providers that have none of their own.
const GLOBAL: &str = "global";

/// `cost_discount_config` and `cost_margin_config`, by provider.
#[derive(Default)]
pub(crate) struct Adjustments {
    discounts: BTreeMap<String, f64>,
    margins: BTreeMap<String, (f64, PicoUsd)>,
}

/// What a deployment's own rates and the published facts make of it.
pub(crate) struct Terms {
    pub(crate) price: Pricing,
    /// For one that serves many models: the price of each that has one.
    pub(crate) prices: Arc<BTreeMap<Arc<str>, Pricing>>,
    /// The most tokens of an answer, as published.
    pub(crate) max_output: Option<Tokens>,
    /// The most that it takes.
    pub(crate) max_input: Option<Tokens>,
}

impl Adjustments {
    /// Reads `litellm_settings`.
    pub(crate) fn of(root: &Map, report: &mut Report) -> Self {
        let empty = Map::default();
        let settings = root.get("litellm_settings").and_then(Node::as_map).unwrap_or(&empty);
        let mut found = Self::default();
        let what = "litellm_settings.cost_discount_config";
        let discounts = report.map(what, settings.get("cost_discount_config"));
        for (key, node) in discounts.into_iter().flat_map(|map| &map.entries) {
            let what = format!("{what}.{}", key.text);
            let Some(share) = report.amount(&what, Some(node)) else { continue };
            let checked = Adjustment::default().with_discount(share);
            if is_an_adjustment(&what, node, checked, report) {
                found.discounts.insert(key.text.clone(), share);
            }
        }
        let what = "litellm_settings.cost_margin_config";
        let margins = report.map(what, settings.get("cost_margin_config"));
        for (key, node) in margins.into_iter().flat_map(|map| &map.entries) {
            let margin = margin(&format!("{what}.{}", key.text), node, report);
            found.margins.extend(margin.map(|margin| (key.text.clone(), margin)));
        }
        found
    }

    pub(crate) fn of_provider(&self, provider: &str) -> Adjustment {
        let discount = self.discounts.get(provider).copied().unwrap_or_default();
        let margin = self.margins.get(provider).or_else(|| self.margins.get(GLOBAL));
        let (share, fixed) = margin.copied().unwrap_or_default();
        let adjustment = Adjustment::default().with_discount(discount);
        let adjustment = adjustment.and_then(|adjustment| adjustment.with_margin(share));
        adjustment.expect("both were checked when they were read").with_fixed_margin(fixed)
    }
}

/// A share, or `{percentage, fixed_amount}`.
fn margin(what: &str, node: &Node, report: &mut Report) -> Option<(f64, PicoUsd)> {
    let (share, fixed) = match node.as_map() {
        None => (report.amount(what, Some(node))?, None),
        Some(map) => (
            report.amount(&format!("{what}.percentage"), map.get("percentage")).unwrap_or(0.0),
            map.get("fixed_amount"),
        ),
    };
    let fixed = fixed.and_then(|fixed| price(&format!("{what}.fixed_amount"), fixed, report));
    let checked = Adjustment::default().with_margin(share);
    is_an_adjustment(what, node, checked, report).then(|| (share, fixed.unwrap_or_default()))
}

fn is_an_adjustment(
    what: &str,
    node: &Node,
    checked: Result<Adjustment, AdjustmentError>,
    report: &mut Report,
) -> bool {
    if let Err(error) = &checked {
        let message = format!("{what}: {error}");
        report.push(Diagnostic::error(Code::WrongValue, message).at(node.place, ""));
    }
    checked.is_ok()
}

/// True for keys that set a rate, in `litellm_params` as in `model_info`.
pub(crate) fn is_rate(key: &str) -> bool {
    key == TIERS || Rate::from_key(key).is_some()
}

/// The rates that an entry sets. Those of `litellm_params` go before those of `model_info`.
pub(crate) fn own_rates(params: &Map, info: &Map, report: &mut Report) -> Sheet {
    let mut sheet = Sheet::default();
    for (section, map) in [("model_info", info), ("litellm_params", params)] {
        let what = format!("{section}.{TIERS}");
        for tier in report.list(&what, map.get(TIERS)) {
            if let Some(tier) = self::tier(&what, tier, report) {
                sheet.set_tier(&tier);
            }
        }
        let rates = map.entries.iter().filter_map(|(key, node)| {
            Some((key, Rate::from_key(&key.text)?, node)).filter(|_| node.value_is_there())
        });
        for (key, rate, node) in rates {
            if let Some(price) = price(&format!("{section}.{}", key.text), node, report) {
                sheet.set(rate, price);
            }
        }
    }
    sheet
}

/// `{range: [FROM, TO], input_cost_per_token: …}`.
fn tier(what: &str, node: &Node, report: &mut Report) -> Option<Tier> {
    let map = report.map(what, Some(node))?;
    let range = report.list(&format!("{what}.range"), map.get("range"));
    let Some(from) = range.first() else {
        return report.wrong_value(what, node, "needs a range, as in range: [0, 256000]");
    };
    let above = report.count(&format!("{what}.range"), Some(from))?;
    let mut rates = Vec::new();
    for (key, node) in &map.entries {
        let rate = Rate::from_key(&key.text).filter(|rate| *rate == Rate::of(rate.kind));
        let Some(rate) = rate else { continue };
        let price = price(&format!("{what}.{}", key.text), node, report);
        rates.extend(price.map(|price| (rate.kind, price)));
    }
    Some(Tier { above, rates })
}

fn price(what: &str, node: &Node, report: &mut Report) -> Option<PicoUsd> {
    let usd = report.amount(what, Some(node))?;
    let price = PicoUsd::from_usd(usd);
    if let Err(error) = &price {
        let message = format!("{what}: {error}");
        report.push(Diagnostic::error(Code::WrongValue, message).at(node.place, ""));
    }
    price.ok()
}

/// The terms of a deployment at `base`, whose model may have stars in it.
pub(crate) fn of(
    table: &Table,
    (provider, model, base): (&str, &str, &str),
    base_model: Option<&str>,
    own: &Sheet,
    adjustments: &Adjustments,
) -> Terms {
    let own_address = is_openais_dialect(provider) && is_own(base);
    let asked = Asked { provider, model, base_model, own_address };
    let adjustment = adjustments.of_provider(provider);
    let mut price = table.pricing(&asked, own, adjustment);
    let mut each = BTreeMap::new();
    if model.contains('*') && base_model.is_none() {
        for (model, _) in table.models_of(provider) {
            let asked = Asked { model, ..asked };
            each.insert(Arc::from(model), table.pricing(&asked, own, adjustment));
        }
    }
    if own.is_empty() && makes_pictures(table, &asked) {
        let name = base_model.unwrap_or(model);
        for size in table.pictures_of(provider, name) {
            let name = format!("{size}/{name}");
            let asked = Asked { model: &name, base_model: None, ..asked };
            each.insert(Arc::from(size), table.pricing(&asked, own, adjustment));
        }
        let usual = USUAL_PICTURES.iter().find_map(|usual| each.get(*usual));
        if let (Pricing::Unpriced, Some(usual)) = (&price, usual) {
            price = usual.clone();
        }
    }
    if tells_costs(provider) && own.is_empty() {
        price = price.or_as_reported();
        let all = each.into_iter();
        each = all.map(|(name, price): (_, Pricing)| (name, price.or_as_reported())).collect();
    }
    let facts = table.find(&asked);
    let max_output = facts.as_ref().and_then(|facts| facts.max_output).map(Tokens);
    let max_input = facts.as_ref().and_then(|facts| facts.max_input).map(Tokens);
    Terms { price, prices: Arc::new(each), max_output, max_input }
}

/// What a picture is that is asked for without a word about it.
const USUAL_PICTURES: &[&str] = &["standard/1024-x-1024", "medium/1024-x-1024", "1024-x-1024"];

/// Whether a model may make pictures, as far as is known.
fn makes_pictures(table: &Table, asked: &Asked<'_>) -> bool {
    let known = table.find(asked);
    known.is_none_or(|facts| matches!(facts.mode, Some(Mode::ImageGeneration | Mode::ImageEdit)))
        && !is_self_hosted(asked.provider)
        && !asked.own_address
}

/// Providers whose name says how the server is spoken to, not who runs it.
fn is_openais_dialect(provider: &str) -> bool {
    matches!(provider, "openai" | "custom_openai" | "text-completion-openai")
}

/// True for addresses that no public cloud has: without TLS, or without a public name.
fn is_own(base: &str) -> bool {
    let Ok(uri) = base.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("http") || !host.contains('.') || host.parse::<IpAddr>().is_ok()
}

/// So many of the models whose price nobody knows are shown where they stand.
const MOST_SHOWN: usize = 5;

/// One warning for all models that take traffic and whose price nobody knows. `place` is where one
/// stands, if that is in a file.
pub(crate) fn warn_of_unpriced<'d>(
    deployments: impl Iterator<Item = &'d Arc<Deployment>>,
    place: impl Fn(&Deployment) -> Option<Place>,
    report: &mut Report,
) {
    let unpriced = deployments.filter(|deployment| {
        let many = deployment.target.model.contains('*');
        deployment.price == Pricing::Unpriced && deployment.parked.is_none() && !many
    });
    let mut names = BTreeMap::new();
    for found in unpriced {
        let name = format!("{}/{}", found.provider, found.target.model);
        names.entry(name).or_insert_with(|| place(found));
    }
    if names.is_empty() {
        return;
    }
    let all = names.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let them = if names.len() == 1 { "it" } else { "them" };
    let message = format!("the price of {all} is unknown: using {them} costs nothing");
    let way_out = "set input_cost_per_token and output_cost_per_token (0 if that is free), or \
                   model_info.base_model";
    let mut warning = Diagnostic::warning(Code::Unpriced, message).note(way_out);
    let mut places: Vec<_> = names.iter().filter_map(|(name, at)| Some(((*at)?, name))).collect();
    places.sort_unstable_by_key(|(at, _)| (at.file, at.start));
    for (at, name) in places.into_iter().take(MOST_SHOWN) {
        warning = match warning.place {
            None => warning.at(at, name.as_str()),
            Some(_) => warning.related(at, name.as_str()),
        };
    }
    report.push(warning);
}

/// LiteLLM fetches its prices at boot; a node needs no network to start.
pub(crate) fn refuse_fetching(variable: Option<&str>, report: &mut Report) {
    if variable.is_some_and(|url| !url.is_empty()) {
        let message = "LITELLM_MODEL_COST_MAP_URL is refused";
        report.push(Diagnostic::error(Code::Refused, message).note(keys::FETCHED));
    }
}

#[cfg(test)]
mod tests {
    use dunlin_ledger::{Context, Kind};
    use dunlin_types::Usage;

    use super::*;

    #[test]
    fn what_a_provider_says_an_answer_cost_goes_before_the_list_but_not_before_an_operator() {
        let cost = |provider, model, own: &Sheet| {
            let terms =
                of(&Table::embedded(), (provider, model, ""), None, own, &Adjustments::default());
            let reported = Some(PicoUsd(16_500_000_000));
            let usage = Usage { prompt: Tokens(1000), reported, ..Usage::default() };
            terms.price.cost(&usage, &Context::default()).total.0
        };
        let mut own = Sheet::default();
        assert_eq!(cost("perplexity", "sonar-pro", &own), 16_500_000);
        assert_eq!(cost("openrouter", "openai/gpt-4o", &own), 16_500_000);
        assert_eq!(cost("xai", "grok-4", &own), 16_500_000);
        assert_eq!(cost("openai", "gpt-4o", &own), 2_500_000);
        own.set(Rate::of(Kind::Input), PicoUsd(1_000_000));
        assert_eq!(cost("perplexity", "sonar-pro", &own), 1_000_000);
    }

    #[test]
    fn addresses_of_ones_own_are_told_from_clouds() {
        let cases = [
            ("http://gpu.example.com:8000/v1", true),
            ("https://vllm/v1", true),
            ("https://10.0.0.7/v1", true),
            ("https://[fd00::1]:8443/v1", true),
            ("https://api.openai.com/v1", false),
            ("https://openrouter.ai/api/v1", false),
            ("", false),
        ];
        for (base, own) in cases {
            assert_eq!(is_own(base), own, "{base}");
        }
    }
}
