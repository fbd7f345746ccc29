//! LiteLLM's own form of the table: one JSON object, a member for each model.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dunlin_ledger::{Kind, Premiums, Rate, Sheet, Tier};
use dunlin_types::PicoUsd;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::facts::{Abilities, Mode};
use crate::table::{About, Draft, TableError, Why};

/// Explains the form; not a model.
const SAMPLE: &str = "sample_spec";
/// Providers whose dearer rate begins at the threshold, not above it.
const INCLUSIVE: &[&str] = &["xai"];
/// Who sells grounded prompts, however often one searches, unless a model says [`EACH`].
const SEARCHES_ONCE: &[&str] = &["gemini", "perplexity", "vertex_ai", "vertex_ai-language-models"];
const EACH: &str = "per_query";
/// The one of Perplexity's that has a price for each search.
const SEARCHES_EACH: &str = "perplexity/sonar-deep-research";
const SEARCH_SIZES: [(&str, Kind); 3] = [
    ("search_context_size_medium", Kind::WebSearch),
    ("search_context_size_low", Kind::WebSearchLow),
    ("search_context_size_high", Kind::WebSearchHigh),
];

/// Where factors are that are the provider's own, among others.
const PREMIUMS: &str = "provider_specific_entry";

type Model = BTreeMap<String, Value>;

pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<(), TableError> {
    let broken = |error: serde_json::Error, above: usize| TableError {
        line: above + error.line(),
        why: Why::Json(error.to_string()),
    };
    let models: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(text).map_err(|error| broken(error, 0))?;
    draft.version("LiteLLM's JSON");
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut in_order: Vec<_> = models.into_iter().collect();
    in_order.sort_by_key(|(_, raw)| raw.get().as_ptr());
    for (name, raw) in in_order {
        let line = lines.of(raw.get());
        if name == SAMPLE || name.contains(char::is_whitespace) {
            continue;
        }
        let model: Model =
            serde_json::from_str(raw.get()).map_err(|error| broken(error, line - 1))?;
        add(&name, &model, line, draft).map_err(|why| TableError { line, why })?;
    }
    Ok(())
}

/// Counts lines up to parts of a text, in their order.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, part: &str) -> usize {
        let at = part.as_ptr() as usize - self.text.as_ptr() as usize;
        self.line += self.text[self.at..at].bytes().filter(|byte| *byte == b'\n').count();
        self.at = at;
        self.line
    }
}

/// LiteLLM tells some providers apart by the kind of model, or by the dialect.
fn family(provider: &str) -> &str {
    match provider {
        "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        "fireworks_ai-embedding-models" => "fireworks_ai",
        "text-completion-codestral" => "codestral",
        "text-completion-inception" => "inception",
        "text-completion-openai" => "openai",
        vertex if vertex.starts_with("vertex_ai") => "vertex_ai",
        other => other,
    }
}

fn add(name: &str, model: &Model, line: usize, draft: &mut Draft) -> Result<(), Why> {
    let text = |key: &str| model.get(key).and_then(Value::as_str);
    let Some(provider) = text("litellm_provider").map(family) else {
        if let Some(of) = text("alias_of") {
            draft.alias(name, of, line);
        }
        return Ok(());
    };
    let mode = text("mode").map(Mode::named);
    if mode == Some(None) {
        // Video and the like, which nothing here serves.
        return Ok(());
    }
    let mut abilities = Abilities::default();
    for (key, _) in model.iter().filter(|(_, value)| **value == Value::Bool(true)) {
        abilities.add(|ability| ability.key == key);
    }
    let mut sheet = sheet(model, provider)?;
    if searches_once(name, model, &sheet) {
        sheet.charge_searches_once();
    }
    let tokens = |key: &str| model.get(key).and_then(Value::as_f64).and_then(whole);
    let about = About {
        mode: mode.flatten(),
        max_input: tokens("max_input_tokens"),
        max_output: tokens("max_output_tokens").or_else(|| tokens("max_tokens")),
        abilities,
        ends: text("deprecation_date").and_then(|day| day.parse().ok()),
        searches_once: sheet.searches_once(),
        premiums: sheet.premiums,
    };
    draft.row((name, line), provider, about, &sheet)
}

fn searches_once(name: &str, model: &Model, sheet: &Sheet) -> bool {
    let text = |key: &str| model.get(key).and_then(Value::as_str);
    let sells = text("litellm_provider").is_some_and(|by| SEARCHES_ONCE.contains(&by));
    let each = text("web_search_billing_unit") == Some(EACH) || name == SEARCHES_EACH;
    let searches = [Kind::WebSearch, Kind::MapSearch].map(Rate::of);
    sells && !each && sheet.rates().any(|(rate, _)| searches.contains(&rate))
}

/// Counts are written as `1048576` or `1048576.0`.
fn whole(number: f64) -> Option<u64> {
    format!("{number:.0}").parse().ok()
}

fn sheet(model: &Model, provider: &str) -> Result<Sheet, Why> {
    let mut sheet = Sheet::default();
    for tier in model.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let range = tier.get("range").and_then(Value::as_array).and_then(|range| range.first());
        let Some(above) = range.and_then(Value::as_f64).and_then(whole) else { continue };
        let mut rates = Vec::new();
        for (key, value) in tier.as_object().into_iter().flatten() {
            let rate = Rate::from_key(key).filter(|rate| *rate == Rate::of(rate.kind));
            let Some(rate) = rate else { continue };
            rates.extend(price(value)?.map(|price| (rate.kind, price)));
        }
        sheet.set_tier(&Tier { above, rates });
    }
    for (key, value) in model {
        let Some(mut rate) = Rate::from_key(key) else { continue };
        if INCLUSIVE.contains(&provider) {
            rate.above = rate.above.saturating_sub(1);
        }
        if let Some(price) = price(value)? {
            sheet.set(rate, price);
        }
    }
    let search = model.get(Kind::WebSearch.key());
    let sizes = SEARCH_SIZES.iter().filter_map(|(size, kind)| Some((search?.get(size)?, *kind)));
    let mut usual = None;
    for (value, kind) in sizes {
        let Some(price) = price(value)? else { continue };
        match usual {
            // Where the middle size has none, the first of the others is the usual one.
            None => sheet.set(Rate::of(Kind::WebSearch), *usual.insert(price)),
            Some(usual) if usual != price => sheet.set(Rate::of(kind), price),
            Some(_) => {}
        }
    }
    let premium = |name: &str| {
        let said = model.get(PREMIUMS)?.get(name)?.as_f64();
        said.and_then(Premiums::thousandths)
    };
    sheet.premiums = Premiums { us: premium("us"), fast: premium("fast") };
    Ok(sheet)
}

/// US dollars a unit; some write the number as a text.
fn price(value: &Value) -> Result<Option<PicoUsd>, Why> {
    let usd = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let usd = usd.ok_or_else(|| Why::value(&value.to_string(), "a price in US dollars"))?;
    Ok(Some(PicoUsd::from_usd(usd)?))
}
