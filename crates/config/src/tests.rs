//! What the crate promises at its border: LiteLLM's files load and mean what they say, wrong ones
//! are explained as recorded in `testdata/wrong`, and nothing makes it panic.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dunlin_ledger::Context;
use dunlin_prices::Table;
use dunlin_router::{Deployment, Strategy as Routing};
use dunlin_types::{NanoUsd, Secret, Tokens, Usage};
use proptest::prelude::*;

use crate::{Document, Environment, Loaded, Options, Outcome, Provider, Severity, load};

mod additions;
mod allowances;
mod callbacks;
mod clouds;
mod documented;
mod drop_in;
mod edits;
mod grants;
mod health_checks;
mod limits;
mod metrics;
mod prices;
mod routing;

const LITELLM: &[(&str, &str)] = &[
    ("01-two-hosts", include_str!("../testdata/litellm/01-two-hosts.yaml")),
    ("02-cloud-and-home", include_str!("../testdata/litellm/02-cloud-and-home.yaml")),
    ("03-fallbacks", include_str!("../testdata/litellm/03-fallbacks-and-aliases.yaml")),
    ("04-caps-and-budget", include_str!("../testdata/litellm/04-caps-and-budget.yaml")),
    ("05-replicas", include_str!("../testdata/litellm/05-replicas.yaml")),
    ("06-secrets-in-place", include_str!("../testdata/litellm/06-secrets-in-place.yaml")),
    ("07-corners", include_str!("../testdata/litellm/07-corners.yaml")),
];

macro_rules! wrong {
    ($($name:literal),*) => {
        &[$((
            $name,
            include_str!(concat!("../testdata/wrong/", $name, ".yaml")),
            include_str!(concat!("../testdata/wrong/", $name, ".txt")),
        )),*]
    };
}

/// A file, and all that is said of it.
const WRONG: &[(&str, &str, &str)] =
    wrong!["empty", "keys", "references", "refused", "slips", "syntax", "values"];

static PRICES: LazyLock<Arc<Table>> = LazyLock::new(|| Arc::new(Table::embedded()));

fn options() -> Options {
    let openai = Provider {
        id: "openai",
        default_base: Some("https://api.openai.com/v1"),
        key_variables: &["OPENAI_API_KEY"],
        needs_key: true,
        ..Provider::default()
    };
    let ollama = Provider {
        default_base: Some("http://localhost:11434"),
        id: "ollama",
        ..Provider::default()
    };
    let ollama_chat = Provider { id: "ollama_chat", ..ollama };
    let vllm = Provider { id: "hosted_vllm", ..Provider::default() };
    let providers = vec![vllm, ollama, ollama_chat, openai];
    let unserved = &[("anthropic", "why"), ("bedrock", "why")];
    let prices = Arc::clone(&PRICES);
    Options { strict: false, accepted: false, providers, unserved, prices }
}

fn environment() -> Environment {
    let names = ["ANTHROPIC_API_KEY", "CLUSTER_SECRET", "GPU_A_KEY", "OPENAI_API_KEY"];
    let mut variables: BTreeMap<String, String> =
        names.iter().map(|name| ((*name).to_owned(), format!("value of {name}"))).collect();
    variables.insert("LITELLM_MASTER_KEY".to_owned(), "sk-long-enough-to-be-safe".to_owned());
    Environment::new(variables)
}

fn document(text: &str) -> Document {
    let (document, problems) = crate::gather("config.yaml", &mut |_| Ok(text.to_owned()));
    assert_eq!(problems, []);
    document
}

fn outcome(text: &str) -> Outcome {
    load(&document(text), &environment(), &options())
}

/// All that is said of a text, as a person sees it.
fn said(text: &str) -> String {
    let outcome = outcome(text);
    let document = document(text);
    let mut all: Vec<String> =
        outcome.diagnostics.iter().map(|found| found.render(&document, false)).collect();
    all.extend(outcome.notes.iter().map(|note| format!("note: {note}")));
    all.push(crate::summary(&outcome.diagnostics));
    all.join("\n") + "\n"
}

fn loaded(text: &str) -> Loaded {
    outcome(text).loaded.unwrap_or_else(|| panic!("{}", said(text)))
}

fn fixture(number: usize) -> Loaded {
    loaded(LITELLM[number - 1].1)
}

fn deployment(loaded: &Loaded, group: &str, index: usize) -> Deployment {
    Deployment::clone(&loaded.catalog.groups[group].deployments[index])
}

fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Vec<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

/// What is tried after `group`, with how the request changes.
fn after(config: &Loaded, group: &str) -> Vec<String> {
    let list = config.catalog.fallbacks[group].iter();
    let text =
        list.map(|next| format!("{} {}", next.model, next.changes.as_deref().unwrap_or_default()));
    text.map(|text| text.trim_end().to_owned()).collect()
}

#[test]
fn what_is_wrong_is_said_as_recorded() {
    for (name, text, expected) in WRONG {
        let said = said(text);
        assert!(!said.contains("very-secret"), "{name} shows a credential:\n{said}");
        assert!(outcome(text).loaded.is_none(), "{name}");
        assert_eq!(said, *expected, "{name}:\n{said}");
    }
}

#[test]
fn litellms_files_load() {
    for (name, text) in LITELLM {
        assert!(outcome(text).loaded.is_some(), "{name}:\n{}", said(text));
    }
}

#[test]
fn a_deployment_is_what_its_entry_says() {
    let config = fixture(1);
    let general = deployment(&config, "general", 0);
    assert_eq!(&*general.provider, "openai");
    assert_eq!(&*general.target.model, "gpt-oss-20b");
    assert_eq!(&*general.target.api_base, "http://gpu-a:8000/v1");
    assert_eq!(general.target.api_key, Some(Secret::new("value of GPU_A_KEY")));
    assert_eq!(general.timeout, Duration::from_secs(6000));
    assert_eq!(general.parked, None);
    assert_eq!(config.catalog.retry.num_retries, 1, "litellm_settings may hold it");
    assert_eq!(config.settings.master_key, Some(Secret::new("sk-long-enough-to-be-safe")));
}

#[test]
fn an_unset_variable_parks_its_deployment_and_names_itself() {
    let text = LITELLM[0].1;
    let code = deployment(&loaded(text), "code", 0);
    assert_eq!(code.parked.as_deref(), Some("environment variable `GPU_B_KEY` is not set"));
    let said = said(text);
    assert!(said.contains("config.yaml:13:16"), "{said}");
    assert!(said.contains("`GPU_B_KEY`"), "{said}");
}

#[test]
fn a_provider_that_is_not_served_parks_its_deployment() {
    let config = fixture(2);
    let claude = deployment(&config, "claude", 0);
    assert!(claude.parked.is_some_and(|why| why.contains("`anthropic`")));
    assert_eq!(config.catalog.strategy, Routing::LeastBusy);
    let mistral = deployment(&config, "mistral", 0);
    assert_eq!(&*mistral.target.model, "mistralai/Mistral-7B-Instruct-v0.3");
    assert_eq!(&*mistral.target.api_base, "http://vllm:8000/v1", "without the slash at its end");
    let small = deployment(&config, "small", 0);
    assert_eq!(small.backend.to_string(), "http://ollama:11434 llama3.2");
}

#[test]
fn prices_aliases_and_fallbacks_are_read() {
    let config = fixture(3);
    let million =
        Usage { prompt: Tokens(1_000_000), completion: Tokens(1_000_000), ..Usage::default() };
    let cost = deployment(&config, "house", 0).price.cost(&million, &Context::default());
    assert_eq!(cost.total, NanoUsd(800_000_000));
    assert_eq!(after(&config, "house"), ["claude", "mini"]);
    let alias = &config.catalog.aliases["gpt-4"];
    assert_eq!((&*alias.group, alias.hidden), ("house", true));
    assert_eq!(&*deployment(&config, "mini", 0).target.api_base, "https://api.openai.com/v1");
    assert_eq!(deployment(&config, "mini", 0).timeout, Duration::from_secs(45));
    let said = said(LITELLM[2].1);
    assert!(said.contains("note: general_settings.database_url: no Postgres is used"), "{said}");
    assert!(!said.contains("store_model_in_db"), "a setting that is off needs no note:\n{said}");
}

#[test]
fn the_flat_retry_policy_counts_and_a_misplaced_budget_is_named() {
    let config = fixture(4);
    assert_eq!(config.catalog.retry.num_retries, 4);
    assert_eq!(config.catalog.retry.retry_after, Duration::from_secs(3));
    assert_eq!(deployment(&config, "gpt-4o", 0).weight.rpm, Some(400.0));
    let said = said(LITELLM[3].1);
    assert!(said.contains("`max_budget` has no effect in general_settings"), "{said}");
    assert!(said.contains("it belongs in litellm_settings"), "{said}");
    assert!(said.contains("litellm_settings.cache_params: answers are not cached"), "{said}");
    let not_yet = "note: read but not yet in force: general_settings.alerting, \
                   general_settings.alerting_threshold, litellm_settings.cache\n";
    assert!(said.contains(not_yet), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn cooldowns_and_replicas_are_read() {
    let config = fixture(5);
    assert_eq!(config.catalog.retry.allowed_fails.count, Some(2));
    assert_eq!(config.catalog.retry.cooldown, Duration::from_secs(60));
    let bases = config.catalog.groups["llama"].deployments.iter().map(|one| &one.target.api_base);
    assert_eq!(names(bases), ["http://vllm-1:8000/v1", "http://vllm-2:8000/v1"]);
    let usual = LITELLM[4].1.replace("allowed_fails: 2", "allowed_fails: 3");
    assert!(!loaded(&usual).catalog.retry.allowed_fails.is_set(), "LiteLLM's 3 is none");
}

#[test]
fn what_is_rare_is_read_as_well() {
    let config = fixture(7);
    let bare = deployment(&config, "bare", 0);
    assert_eq!(&*bare.id.0, "7");
    assert_eq!((&*bare.provider, &*bare.target.model), ("openai", "qwen3"));
    assert_eq!(&*bare.target.api_base, "http://home:8000/v1", "exported, then referred to");
    assert_eq!(bare.target.api_key, Some(Secret::new("value of OPENAI_API_KEY")));
    assert_eq!((bare.timeout, bare.stream_timeout), (secs(90.0), secs(7.5)));
    assert_eq!((bare.order, bare.num_retries, bare.cooldown), (2, Some(0), Some(secs(0.0))));
    assert_eq!(bare.weight.weight, Some(3.0));
    let header = |(name, value): &(_, Secret)| {
        (std::sync::Arc::<str>::clone(name).to_string(), value.clone())
    };
    let headers: Vec<_> = bare.target.headers.iter().map(header).collect();
    let expected = [("OpenAI-Organization", "org-1"), ("X-Team", "blue")];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), Secret::new(value))));
    let body: Vec<String> =
        bare.target.body_defaults.iter().map(|(name, json)| format!("{name}={json}")).collect();
    let expected =
        ["temperature=0.20", "chat_template_kwargs={\"enable_thinking\":false}", "top_k=40"];
    assert_eq!(body, expected, "numbers stay as they are written");

    let inherited = deployment(&config, "inherited", 0);
    assert_eq!((inherited.order, inherited.stream_timeout), (1, secs(7.5)), "own keys win");
    assert_eq!(config.catalog.groups["many"].deployments.len(), 2, "one for each organization");
    assert_eq!(&*deployment(&config, "cloud/*", 0).target.model, "*");
    assert!(deployment(&config, "paused", 0).parked.is_some());

    assert_eq!(config.catalog.retry.num_retries, 9, "router_settings win");
    assert_eq!(after(&config, "*"), ["bare"]);
    let changed = r#"7 {"model":"7","temperature":0.10}"#;
    assert_eq!(after(&config, "bare"), ["cloud/gpt-4o", "bare", changed]);
    let hidden = |alias: &str| config.catalog.aliases[alias].hidden;
    assert_eq!((hidden("short"), hidden("quiet"), hidden("old-name")), (false, true, true));
    assert_eq!(config.settings.key_header.as_deref(), Some("X-Gateway-Key"));
    assert_eq!(config.settings.end_user_headers, ["x-openwebui-user-id", "x-user"]);
    assert!(config.settings.trusts_forwarded_for);
    let cluster = config.cluster;
    assert_eq!(cluster.join, Some(names(["n1:4100", "n2:4100"])));
    assert_eq!((cluster.bootstrap_expect, cluster.port), (Some(3), Some(4001)));
    assert_eq!(cluster.secret, Some(Secret::new("value of CLUSTER_SECRET")));
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn ids_depend_on_what_is_written_and_not_on_keys_or_the_environment() {
    let ids = |text: &str, environment: &Environment| -> Vec<String> {
        let loaded = load(&document(text), environment, &options()).loaded.expect("loads");
        let deployments = loaded.catalog.groups.values().flat_map(|group| &group.deployments);
        deployments.map(|deployment| deployment.id.to_string()).collect()
    };
    let key = [("LITELLM_MASTER_KEY".to_owned(), "sk-long-enough-to-be-safe".to_owned())];
    let bare = Environment::new(BTreeMap::from(key));
    for (name, text) in LITELLM {
        let here = ids(text, &environment());
        assert_eq!(here, ids(text, &bare), "{name}");
        let unique: std::collections::BTreeSet<_> = here.iter().collect();
        assert_eq!(unique.len(), here.len(), "{name}");
    }
    let corners = LITELLM[6].1;
    assert_eq!(ids(corners, &bare), ids(&corners.replace("api_key: two", "api_key: 2"), &bare));
    assert_ne!(ids(corners, &bare), ids(&corners.replace("http://t:1", "http://t:2"), &bare));
    let twins = fixture(7).catalog.groups["twin"].deployments.clone();
    assert_eq!(twins[1].id.to_string(), format!("{}-2", twins[0].id));
    assert_eq!(twins[0].id.to_string().len(), 64);
}

#[test]
fn strictness_turns_unknown_and_misplaced_keys_into_errors() {
    let text = LITELLM[0].1.replace("drop_params", "an_attribute_of_litellm");
    let lenient = outcome(&text);
    assert!(lenient.loaded.is_some());
    let strict = load(&document(&text), &environment(), &Options { strict: true, ..options() });
    assert!(strict.loaded.is_none());
    let severity = |outcome: &Outcome| {
        let found = outcome.diagnostics.iter().find(|found| found.message.contains("an_attribute"));
        found.map(|found| found.severity)
    };
    assert_eq!(severity(&lenient), Some(Severity::Warning));
    assert_eq!(severity(&strict), Some(Severity::Error));
}

#[test]
fn the_master_key_may_come_from_the_environment_or_be_permitted_to_be_weak() {
    let model = "model_list: [{model_name: a, litellm_params: {model: gpt-4o}}]\n";
    let expected = Some(Secret::new("sk-long-enough-to-be-safe"));
    assert_eq!(loaded(model).settings.master_key, expected);
    let weak = "general_settings: {master_key: sk-1234, \
                dangerously_permit_weak_or_unset_master_key: true}";
    let settings = loaded(&format!("{model}{weak}")).settings;
    assert_eq!(
        (settings.master_key, settings.permit_weak_master_key),
        (Some(Secret::new("sk-1234")), true)
    );
}

#[test]
fn a_file_that_expands_without_end_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert!(said(&text).contains("more than 200000 values"));
    let inside = "model_list: &list [*list]\n";
    assert!(said(inside).contains("error[DL0101]"), "{}", said(inside));
}

#[test]
fn what_becomes_of_parameters_is_read() {
    let model = "model_list: [{model_name: a, litellm_params: {model: gpt-4o, \
                 additional_drop_params: ['tools[*].function.strict', user], \
                 allowed_openai_params: [reasoning_effort]}}]\n";
    let rules = |text: &str| deployment(&loaded(text), "a", 0).target.params;
    let here = rules(model);
    assert!(!here.drop_unsupported);
    assert_eq!(names(here.always_drop), ["tools[*].function.strict", "user"]);
    assert_eq!(names(here.allow), ["reasoning_effort"]);
    assert!(rules(&format!("{model}litellm_settings: {{drop_params: true}}")).drop_unsupported);
    assert!(rules(&model.replace("gpt-4o,", "gpt-4o, drop_params: true,")).drop_unsupported);
}

#[test]
fn a_provider_that_nobody_knows_is_an_error_with_the_list_of_those_we_do() {
    let said = said("model_list: [{model_name: a, litellm_params: {model: gorq/x}}]");
    assert!(said.contains("providers: hosted_vllm, ollama, ollama_chat, openai"), "{said}");
    let forced = "model: x, api_base: 'http://x', custom_llm_provider: gorq";
    let text = format!("model_list: [{{model_name: a, litellm_params: {{{forced}}}}}]");
    let said = self::said(&text);
    assert!(said.contains("custom_llm_provider `gorq` is not known"), "{said}");
}

#[test]
fn a_key_comes_from_the_providers_variable_or_a_header_or_the_deployment_is_parked() {
    let model = |rest: &str| {
        format!("model_list: [{{model_name: a, litellm_params: {{model: openai/x{rest}}}}}]")
    };
    let environment = Environment::new(BTreeMap::from([(
        "LITELLM_MASTER_KEY".to_owned(),
        "sk-long-enough-to-be-safe".to_owned(),
    )]));
    let parked = |text: &str| {
        let loaded = load(&document(text), &environment, &options()).loaded.expect("loads");
        deployment(&loaded, "a", 0).parked
    };
    let why = "there is no api_key, and `OPENAI_API_KEY` is not set";
    assert_eq!(parked(&model("")).as_deref(), Some(why));
    assert_eq!(parked(&model(", api_base: 'http://own'")), None);
    assert_eq!(parked(&model(", extra_headers: {Authorization: Bearer x}")), None);
    let key = deployment(&loaded(&model("")), "a", 0).target.api_key;
    assert_eq!(key, Some(Secret::new("value of OPENAI_API_KEY")));
}

/// Pieces that mean something to YAML or to a config.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\n      - ",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "|\n",
    ">\n",
    "\"",
    "'",
    "#",
    "\t",
    "null",
    "-1",
    "1e999",
    "0x1F",
    "é",
    "os.environ/X",
    "os.environ/",
    "*",
    "model_list",
    "litellm_params",
    "api_key: k",
    "include: [config.yaml]",
    "---\n",
    "...\n",
    "% YAML",
    "\u{feff}",
    "\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_it_panic_and_every_finding_can_be_shown(
        file in 0..LITELLM.len() + WRONG.len(),
        edits in prop::collection::vec((any::<u16>(), 0usize..24, 0..PIECES.len()), 1..6),
    ) {
        let texts = LITELLM.iter().map(|(_, text)| *text).chain(WRONG.iter().map(|(_, text, _)| *text));
        let mut text: Vec<char> = texts.collect::<Vec<_>>()[file].chars().collect();
        for (at, cut, piece) in edits {
            let start = usize::from(at) % (text.len() + 1);
            let end = (start + cut).min(text.len());
            text.splice(start..end, PIECES[piece].chars());
        }
        let text: String = text.into_iter().collect();
        let document = Document {
            files: vec![crate::SourceFile { path: "config.yaml".to_owned(), text }],
        };
        let outcome = load(&document, &environment(), &options());
        let failed = outcome.diagnostics.iter().any(|found| found.severity == Severity::Error);
        prop_assert_eq!(outcome.loaded.is_none(), failed);
        for found in &outcome.diagnostics {
            prop_assert!(found.render(&document, true).contains(found.code.as_str()));
        }
        let again = crate::document_from(&crate::revision_bytes(&document)).expect("just made");
        prop_assert_eq!(crate::hashed_bytes(&document), crate::hashed_bytes(&again));
    }
}

#[test]
fn who_has_responses_is_said_by_its_mode_or_denied() {
    let config = loaded(
        "model_list:\n\
         - {model_name: a, model_info: {mode: responses}, litellm_params: {model: openai/a, api_base: http://a}}\n\
         - {model_name: b, litellm_params: {model: openai/b, api_base: http://b, use_chat_completions_api: true}}\n",
    );
    let said = |name| {
        let target = deployment(&config, name, 0).target;
        (target.responses, target.chat_only)
    };
    assert_eq!((said("a"), said("b")), ((true, false), (false, true)));
}

#[test]
fn a_model_that_is_published_to_have_only_responses_is_asked_for_them() {
    let config = loaded(
        "model_list:\n\
         - {model_name: pro, litellm_params: {model: openai/o3-pro, api_key: k}}\n\
         - {model_name: spelled, litellm_params: {model: openai/responses/gpt-4o, api_key: k}}\n\
         - {model_name: chat, litellm_params: {model: openai/gpt-4o, api_key: k}}\n\
         - {model_name: pinned, model_info: {mode: chat}, litellm_params: {model: openai/o3-pro, api_key: k}}\n\
         - {model_name: denied, litellm_params: {model: openai/o3-pro, api_key: k, use_chat_completions_api: true}}\n\
         - {model_name: base, model_info: {base_model: o3-pro}, litellm_params: {model: openai/mine, api_key: k}}\n\
         - {model_name: any/*, litellm_params: {model: openai/*, api_key: k}}\n",
    );
    let target = |name| deployment(&config, name, 0).target;
    for (name, only) in [
        ("pro", true),
        ("spelled", true),
        ("chat", false),
        ("pinned", true),
        ("denied", false),
        ("base", true),
        ("any/*", false),
    ] {
        assert_eq!(target(name).has_only_responses(), only, "{name}");
    }
    let any = target("any/*");
    assert!(any.filled("gpt-5-codex").has_only_responses());
    assert!(!any.filled("gpt-4o").has_only_responses());
}

const RELAYED: &str = "model_list:
  - model_name: m
    litellm_params: {model: openai/x, api_key: k, use_in_pass_through: true}
general_settings:
  pass_through_request_timeout: 9
  pass_through_endpoints:
";

#[test]
fn pass_through_endpoints_are_read_as_they_are_written() {
    let text = RELAYED.to_owned()
        + "    - {path: /plain/, target: 'https://t/'}\n"
        + "    - {path: /search, target: 'http://s:1/v2', include_subpath: true, auth: false, "
        + "methods: [post], headers: {x-key: os.environ/OPENAI_API_KEY}, cost_per_request: 0.5, "
        + "default_query_params: {page: 2}, timeout: 3}\n"
        + "    - {path: /parked, target: 'http://p', headers: {x-key: os.environ/NOWHERE}}\n"
        + "    - {path: /lost, target: os.environ/NO_TARGET}\n";
    let catalog = loaded(&text).catalog;
    assert_eq!(catalog.pass_through.len(), 1);
    let [plain, search, parked, lost] = &catalog.endpoints[..] else { panic!("four endpoints") };
    assert_eq!((&*plain.path, &*plain.target), ("/plain", "https://t"));
    assert!(plain.needs_key && !plain.with_subpaths && plain.methods.is_empty());
    assert_eq!((plain.timeout, search.timeout), (Duration::from_secs(9), Duration::from_secs(3)));
    assert!(!search.needs_key && search.with_subpaths);
    assert_eq!(search.methods, ["POST".into()]);
    assert_eq!(search.headers, [("x-key".into(), Secret::new("value of OPENAI_API_KEY"))]);
    assert_eq!(search.query, [("page".into(), "2".into())]);
    assert_eq!(search.fee, NanoUsd(500_000_000));
    assert!(parked.parked.as_deref().is_some_and(|why| why.contains("NOWHERE")));
    assert!(lost.parked.as_deref().is_some_and(|why| why.contains("`NO_TARGET` is not set")));
    let warned = said(&text);
    assert!(warned.contains("environment variable `NO_TARGET` is not set"), "{warned}");
}

#[test]
fn pass_through_endpoints_that_cannot_be_are_refused() {
    let cases = [
        ("{path: /v1/rerank, target: 'http://t'}", "is one of dunlin's own: `/v1/rerank`"),
        ("{path: /openai/x, target: 'http://t'}", "is one of dunlin's own: `/openai`"),
        ("{path: /key, target: 'http://t'}", "is one of dunlin's own: `/key`"),
        ("{path: x, target: 'http://t'}", "must be a path"),
        ("{path: '/a/{b}', target: 'http://t'}", "must be a path"),
        ("{path: /, target: 'http://t'}", "must be a path"),
        ("{path: /x}", "has no target"),
        ("{path: /x, target: 'ftp://t'}", "cannot be called"),
        ("{path: /x, target: 'http://t', guardrails: [g]}", "is refused"),
        ("{path: /x, target: 'http://t', cost_per_request: 5000}", "is not a price"),
        ("{path: /x, target: 'http://t'}\n    - {path: /x, target: 'http://t'}", "two pass_"),
    ];
    for (entry, expected) in cases {
        let text = format!("{RELAYED}    - {entry}\n");
        let said = said(&text);
        assert!(said.contains(expected), "{entry}: {said}");
        assert!(outcome(&text).loaded.is_none(), "{entry}");
    }
}
