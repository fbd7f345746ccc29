//! What was used, day by day, in the shape of LiteLLM's `/.../daily/activity`. An answer has a bound:
//! what is told one by one is what cost most in all the days asked for, and the rest is told together.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_state::routes::path_of_call;
use dunlin_state::{Day, Facets, Kind, Symbol, Totals};
use serde_json::{Map, Value, json};

use crate::reports::usage::{Used, part, ranked};
use crate::request::pages::Pages;
use crate::request::span;
use crate::rows::row::View;

/// Keys told one by one. The others are in all sums, and in no list of keys.
const MAX_KEYS: usize = 100;
/// Teams, users, ... told one by one; the others are one, `other`.
const MAX_ENTITIES: usize = 1_000;
/// Models told one by one; the others are one, `other`.
const MAX_MODELS: usize = 200;

/// What was used on the days asked for.
pub(crate) struct Activity {
    /// Whose activity it is.
    kind: Kind,
    days: BTreeMap<Day, Sums>,
    /// A row of each key that is told.
    keys: BTreeMap<Symbol, Facets<Symbol>>,
    /// How many keys there are.
    key_count: usize,
}

/// What was used on one day.
#[derive(Default)]
struct Sums {
    totals: Totals,
    models: Parts,
    groups: Parts,
    providers: Parts,
    calls: Parts,
    entities: Parts,
    keys: BTreeMap<Symbol, Totals>,
}

/// What was used of several things, and with which keys.
type Parts = BTreeMap<Symbol, (Totals, BTreeMap<Symbol, Totals>)>;

impl Activity {
    /// Sums rows, which are gone through several times, by what is told of them.
    pub(crate) fn of<'a, R: Iterator<Item = Used<'a>>>(kind: Kind, rows: impl Fn() -> R) -> Self {
        let first = |most, part: &dyn Fn(&Facets<Symbol>) -> Symbol| {
            let ranked = ranked(rows(), part);
            let first = ranked.iter().take(most).map(|(symbol, _)| *symbol);
            (first.collect::<BTreeSet<_>>(), ranked.len())
        };
        let (keys, key_count) = first(MAX_KEYS, &|of| of.key);
        let (entities, _) = first(MAX_ENTITIES, &|of| part(kind, of));
        let (models, _) = first(MAX_MODELS, &|of| of.model);
        let (groups, _) = first(MAX_MODELS, &|of| of.group);
        let one = |told: &BTreeSet<Symbol>, symbol| {
            if told.contains(&symbol) { symbol } else { Symbol::OTHER }
        };
        let mut activity = Self { kind, days: BTreeMap::new(), keys: BTreeMap::new(), key_count };
        for (day, of, totals) in rows() {
            let key = keys.contains(&of.key).then_some(of.key);
            let sums = activity.days.entry(day).or_default();
            sums.totals.add(totals);
            add(&mut sums.models, one(&models, of.model), key, totals);
            add(&mut sums.groups, one(&groups, of.group), key, totals);
            add(&mut sums.providers, of.provider, key, totals);
            add(&mut sums.calls, of.call, key, totals);
            add(&mut sums.entities, one(&entities, part(kind, of)), key, totals);
            if let Some(key) = key {
                sums.keys.entry(key).or_default().add(totals);
                activity.keys.insert(key, *of);
            }
        }
        activity
    }

    /// A page of days, the newest first; without `pages`, all of them.
    pub(crate) fn told(&self, view: &View, pages: Option<Pages>) -> Value {
        let days: Vec<_> = self.days.iter().rev().collect();
        let shown = pages.map_or(&days[..], |pages| pages.cut(&days));
        let mut sum = Totals::default();
        shown.iter().for_each(|(_, sums)| sum.add(&sums.totals));
        let keys = self.keys.iter().map(|(key, of)| (*key, view.key_metadata(of))).collect();
        let results: Vec<_> =
            shown.iter().map(|(day, sums)| self.day(view, &keys, **day, sums)).collect();
        let mut metadata: Map<String, Value> = Map::new();
        for (name, value) in figures(&sum) {
            let prefix = if name.starts_with("total_") { "" } else { "total_" };
            metadata.insert(format!("{prefix}{name}"), value);
        }
        let (page, last) = pages.map_or((1, 1), |it| (it.page, it.of(days.len()).max(1)));
        metadata.insert("page".to_owned(), json!(page));
        metadata.insert("total_pages".to_owned(), json!(last));
        metadata.insert("has_more".to_owned(), json!(page < last));
        metadata.insert("api_key_limit".to_owned(), json!(MAX_KEYS));
        metadata.insert("total_api_keys".to_owned(), json!(self.key_count));
        json!({ "results": results, "metadata": metadata })
    }

    fn day(&self, view: &View, keys: &BTreeMap<Symbol, Value>, day: Day, sums: &Sums) -> Value {
        let name = |symbol: Symbol| view.state.days().name(symbol);
        let parts = |parts, name: &dyn Fn(Symbol) -> Option<String>| {
            told_parts(view, keys, parts, name, &|_| json!({}))
        };
        let model = |symbol| name(symbol).map(str::to_owned);
        let provider = |symbol| Some(name(symbol).unwrap_or("unknown").to_owned());
        let endpoint = |symbol| name(symbol).map(|call| path_of_call(call).to_owned());
        let entity = |symbol| Some(view.used_by(symbol));
        let about = |symbol| view.entity_metadata(self.kind, symbol);
        json!({
            "date": span::text(day),
            "metrics": metrics(&sums.totals),
            "breakdown": {
                "models": parts(&sums.models, &model),
                "model_groups": parts(&sums.groups, &model),
                "providers": parts(&sums.providers, &provider),
                "endpoints": parts(&sums.calls, &endpoint),
                "mcp_servers": {},
                "api_keys": told_keys(view, keys, &sums.keys),
                "entities": told_parts(view, keys, &sums.entities, &entity, &about),
            },
        })
    }
}

fn add(parts: &mut Parts, part: Symbol, key: Option<Symbol>, totals: &Totals) {
    let (sum, keys) = parts.entry(part).or_default();
    sum.add(totals);
    if let Some(key) = key {
        keys.entry(key).or_default().add(totals);
    }
}

/// Parts by their names; those without one are not told.
fn told_parts(
    view: &View,
    keys: &BTreeMap<Symbol, Value>,
    parts: &Parts,
    name: &dyn Fn(Symbol) -> Option<String>,
    about: &dyn Fn(Symbol) -> Value,
) -> Value {
    let told = parts.iter().filter_map(|(symbol, (totals, own))| {
        let told = json!({
            "metrics": metrics(totals),
            "metadata": about(*symbol),
            "api_key_breakdown": told_keys(view, keys, own),
        });
        Some((name(*symbol)?, told))
    });
    Value::Object(told.collect())
}

fn told_keys(
    view: &View,
    about: &BTreeMap<Symbol, Value>,
    keys: &BTreeMap<Symbol, Totals>,
) -> Value {
    let told = keys.iter().map(|(key, totals)| {
        let told = json!({ "metrics": metrics(totals), "metadata": about.get(key) });
        (view.used_with(*key), told)
    });
    Value::Object(told.collect())
}

fn metrics(totals: &Totals) -> Value {
    Value::Object(figures(totals).map(|(name, value)| (name.to_owned(), value)).collect())
}

fn figures(totals: &Totals) -> impl Iterator<Item = (&'static str, Value)> {
    let counts = [
        ("prompt_tokens", totals.prompt.0),
        ("completion_tokens", totals.completion.0),
        ("cache_read_input_tokens", totals.cached.0),
        ("cache_creation_input_tokens", totals.cache_write.0),
        ("total_tokens", totals.tokens().0),
        ("successful_requests", totals.successful),
        ("failed_requests", totals.failed),
        ("api_requests", totals.requests()),
    ];
    let counts = counts.into_iter().map(|(name, count)| (name, json!(count)));
    [("spend", json!(totals.cost.as_usd()))].into_iter().chain(counts)
}

#[cfg(test)]
mod tests {
    use dunlin_state::Book;
    use dunlin_types::KeyDigest;

    use super::*;
    use crate::reports::usage::rows;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::rights::caller::Caller;
    use crate::rows::row::tests::view_of;

    fn told(kind: Kind, book: Book, pages: Option<Pages>) -> Value {
        let view = view_of(used_world());
        let activity = Activity::of(kind, || rows(&view.state, &Caller::Master, book, SPAN));
        activity.told(&view, pages)
    }

    #[test]
    fn a_day_is_told_whole_and_by_all_that_it_is_made_of() {
        let told = told(Kind::Team, Book::Keys, None);
        let day = &told["results"][0];
        assert_eq!(day["date"], "1970-01-01");
        let spend =
            |at: &Value| (at["metrics"]["spend"].clone(), at["metrics"]["api_requests"].clone());
        assert_eq!(spend(day), (json!(3.158), json!(5)));
        let parts = &day["breakdown"];
        for (part, name, cost, requests) in [
            ("models", "gpt", 0.151, 3),
            ("model_groups", "claude", 3.007, 2),
            ("providers", "anthropic", 3.007, 2),
            ("endpoints", "/chat/completions", 3.158, 5),
            ("entities", "t", 0.057, 2),
            ("entities", "other", 3.0, 1),
            ("entities", "Unassigned", 0.101, 2),
            ("api_keys", "litellm_proxy_master_key", 0.001, 1),
        ] {
            assert_eq!(spend(&parts[part][name]), (json!(cost), json!(requests)), "{part} {name}");
        }
        let gone = KeyDigest::of("sk-gone").to_string();
        let about = &parts["api_keys"][&gone]["metadata"];
        assert_eq!((&about["team_id"], &about["user_id"]), (&json!("t"), &json!("dev")));
        assert_eq!(about["key_exists"], json!(false));
        let of_team = &parts["entities"]["t"];
        assert_eq!(spend(&of_team["api_key_breakdown"][&gone]), (json!(0.007), json!(1)));
        assert_eq!(of_team["metadata"]["budget"]["max_budget"], json!(1e-7));
        let sums = &told["metadata"];
        assert_eq!((&sums["total_spend"], &sums["total_tokens"]), (&json!(3.158), &json!(3_208)));
        assert_eq!((&sums["total_pages"], &sums["has_more"]), (&json!(1), &json!(false)));
        assert_eq!(sums["total_api_keys"], json!(5));
    }

    #[test]
    fn labels_are_entities_of_their_own_books() {
        let tags = told(Kind::Tag, Book::Tags, None);
        assert_eq!(tags["results"][0]["breakdown"]["entities"]["prod"]["metrics"]["spend"], 0.1);
        let customers = told(Kind::EndUser, Book::EndUsers, None);
        let entities = &customers["results"][0]["breakdown"]["entities"];
        assert_eq!(entities["cust"]["metrics"]["prompt_tokens"], 50);
        assert!(entities.get("Unassigned").is_none(), "a request for nobody is nobody's");
    }

    #[test]
    fn beyond_the_last_page_there_is_nothing() {
        let told = told(Kind::User, Book::Keys, Some(Pages { page: 2, size: 50 }));
        assert_eq!(told["results"], json!([]));
        let sums = &told["metadata"];
        assert_eq!((&sums["total_spend"], &sums["page"]), (&json!(0.0), &json!(2)));
        assert_eq!((&sums["total_pages"], &sums["has_more"]), (&json!(1), &json!(false)));
    }

    #[test]
    fn what_is_too_much_to_be_told_one_by_one_is_told_together() {
        let totals = |cost| Totals { cost: dunlin_types::NanoUsd(cost), ..Totals::default() };
        let state =
            crate::reports::usage::tests::settled((0..MAX_ENTITIES as u64 + 5).map(|number| {
                let name = format!("u{number}");
                let of = Facets { user: Some(name.clone()), key: Some(name), ..Facets::default() };
                (Day(0), of, totals(1_000_000_000 + number))
            }));
        let view = view_of(state);
        let activity =
            Activity::of(Kind::User, || rows(&view.state, &Caller::Master, Book::Keys, SPAN));
        let told = activity.told(&view, None);
        let parts = &told["results"][0]["breakdown"];
        let count = |part: &str| parts[part].as_object().map(Map::len);
        assert_eq!(
            (count("entities"), count("api_keys")),
            (Some(MAX_ENTITIES + 1), Some(MAX_KEYS))
        );
        assert_eq!(parts["entities"]["other"]["metrics"]["spend"], json!(5.00000001));
        assert_eq!(told["metadata"]["total_spend"], json!(1005.000504510));
    }
}
