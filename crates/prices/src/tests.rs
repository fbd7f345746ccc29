//! What the crate promises at its border: the embedded table is whole, both forms of a table mean
//! the same, wrong ones are refused by line, and a model is found by the names people use.

use dunlin_ledger::{Adjustment, Context, Kind, Premiums, Pricing, Rate, Service, Sheet};
use dunlin_types::{PicoUsd, Tokens, Usage};

use crate::{Asked, Mode, Table, TableError};

const OURS: &str = include_str!("../testdata/table.txt");
const LITELLMS: &str = include_str!("../testdata/litellm.json");

fn asked<'a>(provider: &'a str, model: &'a str) -> Asked<'a> {
    Asked { provider, model, base_model: None, own_address: false }
}

fn found<'t>(table: &'t Table, provider: &str, model: &str) -> Option<&'t str> {
    table.find(&asked(provider, model)).map(|facts| facts.name)
}

#[test]
fn the_embedded_table_is_whole() {
    let table = Table::embedded();
    assert!(table.version().starts_with("litellm-"), "{}", table.version());
    assert!(table.iter().len() > 4000, "{} models", table.iter().len());
    assert!(include_str!("../table.txt").len() < 700_000, "the binary carries it");
    for mode in [Mode::Chat, Mode::Completion, Mode::Embedding, Mode::Rerank, Mode::Moderation] {
        assert!(table.iter().any(|facts| facts.mode == Some(mode)), "{mode:?}");
    }
    let names: Vec<&str> = table.iter().map(|facts| facts.name).collect();
    assert!(names.is_sorted(), "a look-up is a binary search");
    for (name, kind, price) in [
        ("gpt-6-astra", Kind::CacheWrite12h, 25_000_000),
        ("gemini/gemini-2.5-flash", Kind::MapSearch, 25_000_000_000),
    ] {
        let facts = table.named(name).expect("a model");
        assert!(facts.rates.contains(&(Rate::of(kind), PicoUsd(price))), "{name}");
    }
}

#[test]
fn both_forms_of_a_table_mean_the_same() {
    let ours = Table::parse(OURS).expect("our form");
    let theirs = Table::parse(LITELLMS).expect("LiteLLM's form");
    let names = |table: &Table| table.iter().map(|f| f.name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for (ours, theirs) in ours.iter().zip(theirs.iter()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.iter().len(), 18, "a sample and a video are no models of ours");
}

#[test]
fn what_is_dearer_where_or_when_it_is_made_sooner_is_known() {
    let table = Table::parse(LITELLMS).expect("LiteLLM's form");
    let premiums = |name: &str| table.named(name).expect("a model").sheet().premiums;
    let claude = Premiums { us: Some(1100), fast: Some(2000) };
    assert_eq!(premiums("claude-opus-5-5"), claude);
    assert_eq!(premiums("gpt-4o"), Premiums::default());
    let sol = table.named("gpt-6-astra").expect("a model");
    assert!(sol.rates.iter().any(|(rate, _)| rate.service == Service::Ultrafast));
    let odd = OURS.replace("times-us=1.1", "times-us=0.1");
    assert!(odd != OURS && Table::parse(&odd).is_err(), "a factor makes nothing cheaper");
}

#[test]
fn litellm_says_which_model_sells_each_search() {
    let row = |unit: &str| {
        let rates = r#""search_context_cost_per_query": {"search_context_size_medium": 0.014}"#;
        format!(r#"{{"gemini/g": {{"litellm_provider": "gemini", {unit} {rates}}}}}"#)
    };
    for (unit, once) in [(r#""web_search_billing_unit": "per_query","#, false), ("", true)] {
        let table = Table::parse(&row(unit)).expect("LiteLLM's form");
        assert_eq!(table.named("gemini/g").map(|facts| facts.searches_once), Some(once));
    }
}

#[test]
fn what_is_written_is_what_is_found() {
    let table = Table::parse(OURS).expect("our form");
    let facts = table.named("claude-sonnet-4-5-20250929").expect("a model");
    assert_eq!((facts.provider, facts.mode), ("anthropic", Some(Mode::Chat)));
    assert_eq!((facts.max_input, facts.max_output), (Some(200_000), Some(64_000)));
    assert_eq!(facts.ends.map(|day| day.to_string()).as_deref(), Some("2026-11-30"));
    let abilities: Vec<&str> = facts.abilities().map(|ability| ability.key).collect();
    assert!(abilities.contains(&"supports_vision") && abilities.contains(&"supports_pdf_input"));
    assert!(!abilities.contains(&"supports_audio_input"));
    assert!(facts.rates.contains(&(Rate::of(Kind::CacheWrite1h), PicoUsd(6_000_000))));
}

#[test]
fn a_model_is_found_by_the_names_people_use() {
    let table = Table::parse(OURS).expect("our form");
    let cases = [
        ("openai", "gpt-4o", Some("gpt-4o")),
        ("azure", "gpt-4o", Some("azure/gpt-4o")),
        ("azure_ai", "gpt-4o", Some("gpt-4o")),
        ("gemini", "gemini-2.5-pro", Some("gemini/gemini-2.5-pro")),
        ("cohere", "rerank-v3.5", Some("rerank-v3.5")),
        ("bedrock", "claude-opus-latest", Some("bedrock/claude-opus-latest")),
        (
            "bedrock",
            "converse/global.anthropic.claude-opus-5-5",
            Some("global.anthropic.claude-opus-5-5"),
        ),
        ("hosted_vllm", "gpt-4o", None),
        ("openai", "rerank-v3.5", None),
        ("openai", "gpt-4", None),
        ("", "", None),
    ];
    for (provider, model, name) in cases {
        assert_eq!(found(&table, provider, model), name, "{provider}/{model}");
    }
    let based = |base| Asked { base_model: Some(base), ..asked("azure", "my-deployment") };
    assert_eq!(table.find(&based("azure/gpt-4o")).map(|f| f.name), Some("azure/gpt-4o"));
    assert_eq!(table.find(&based("gpt-4o")).map(|f| f.name), Some("gpt-4o"));
    assert_eq!(table.find(&based("gpt-x")).map(|f| f.name), None);
    let tuned = "ft:gpt-4o-2024-08-06:org::id";
    assert_eq!(found(&Table::embedded(), "openai", tuned), Some("ft:gpt-4o-2024-08-06"));
}

#[test]
fn an_unknown_price_is_not_a_price_of_nothing() {
    let table = Table::parse(OURS).expect("our form");
    let pricing =
        |asked: &Asked<'_>| table.pricing(asked, &Sheet::default(), Adjustment::default());
    assert_eq!(pricing(&asked("openai", "gpt-9")), Pricing::Unpriced);
    assert_eq!(pricing(&asked("hosted_vllm", "qwen")), Pricing::Free);
    assert_eq!(pricing(&asked("ollama", "llama3")), Pricing::Free);
    let own_address = Asked { own_address: true, ..asked("openai", "qwen") };
    assert_eq!(pricing(&own_address), Pricing::Free);
    let usage = Usage { prompt: Tokens(1_000_000), ..Usage::default() };
    let cost = |pricing: Pricing| pricing.cost(&usage, &Context::default()).total.0;
    assert_eq!(cost(pricing(&asked("openai", "gpt-4o"))), 2_500_000_000);
    assert_eq!(
        cost(pricing(&Asked { own_address: true, ..asked("openai", "gpt-4o") })),
        2_500_000_000
    );

    let mut own = Sheet::default();
    own.set(Rate::of(Kind::Input), PicoUsd(1_000_000));
    for asked in [asked("openai", "gpt-4o"), asked("hosted_vllm", "qwen"), asked("openai", "x")] {
        let pricing = table.pricing(&asked, &own, Adjustment::default());
        assert_eq!(cost(pricing), 1_000_000_000, "{asked:?}");
    }
}

#[test]
fn a_wrong_table_is_refused_by_its_line() {
    let ours = |lines: &str| format!("# dunlin-prices 1\n{lines}");
    let cases = [
        ("nothing".to_owned(), "line 1: this is not a price table"),
        (ours("gpt openai chat - -"), "line 2: expected: name provider mode"),
        (ours("\ngpt openai chat - - - - in=x"), "line 3: `in=x` is not a rate"),
        (ours("gpt openai chat - - - - in=0.0000001"), "is not a rate"),
        (ours("gpt openai chat - - - - in.soon=1"), "is not a rate"),
        (ours("gpt openai talk - - - -"), "`talk` is not a mode of LiteLLM's"),
        (ours("gpt openai chat many - - -"), "`many` is not a number of tokens"),
        (ours("gpt openai chat - - Z -"), "`Z` is not letters of abilities"),
        (ours("gpt openai chat - - - soon"), "`soon` is not a day"),
        (ours("gpt . chat - - - -"), "`gpt` is not a name with its provider"),
        (ours("a b chat - - - -\na b chat - - - -"), "line 3: `a` is in the table twice"),
        (ours("a = b"), "line 2: `a` is another name for a model that is not in the table"),
        ("{\n\"a\": {]\n}".to_owned(), "line 2: "),
        ("{\n\"a\": 1}".to_owned(), "line 2: "),
        (
            "{\n\n\"a\": {\"litellm_provider\": \"x\", \"input_cost_per_token\": -1}}".to_owned(),
            "line 3: -1 is not a price",
        ),
        (
            "{\"a\": {\"litellm_provider\": \"x\", \"input_cost_per_token\": \"dear\"}}".to_owned(),
            "is not a price in US dollars",
        ),
    ];
    for (text, expected) in cases {
        let error: TableError = Table::parse(&text).expect_err(&text);
        assert!(error.to_string().contains(expected), "{text}\n{error}");
    }
}
