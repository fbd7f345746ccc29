//! Settings that are changed over the API: what becomes of the text, and what is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Additions, Edit, EditProblem, Edited, SourceFile, setting, shown_section, shown_yaml};

const FILE: &str = "# ours\nmodel_list: # two\n  - model_name: chat\n    litellm_params: {model: openai/a, \
                    api_base: 'http://vllm:8000/v1', api_key: sk-clear}\nrouter_settings:\n  # why 2\n  \
                    num_retries: 2 # enough\n  fallbacks:\n    - chat: [chat]\n\n# last\n";

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn to(at: &str, value: Value) -> Edit {
    Edit { path: path(at), value: Some(value) }
}

fn clear(at: &str) -> Edit {
    Edit { path: path(at), value: None }
}

fn edit(text: &str, edits: &[Edit]) -> Result<Edited, Vec<EditProblem>> {
    let (document, environment) = (document(text), environment());
    let options = Options { accepted: true, ..options() };
    let loaded = load(&document, &environment, &options).loaded;
    let basis = loaded.unwrap_or_else(|| panic!("{}", said(text))).basis;
    basis.edit(&document, &Additions::default(), edits)
}

fn text(edited: Result<Edited, Vec<EditProblem>>) -> String {
    edited.expect("edited").document.files[0].text.clone()
}

fn refused(text: &str, edits: &[Edit]) -> Vec<(String, String)> {
    let problems = edit(text, edits).expect_err("refused");
    problems.into_iter().map(|EditProblem { path, told }| (path, told)).collect()
}

#[test]
fn an_edit_keeps_all_that_it_does_not_name() {
    let retries = [to("router_settings.num_retries", json!(5))];
    assert_eq!(text(edit(FILE, &retries)), FILE.replace("num_retries: 2 #", "num_retries: 5 #"));
    let fallbacks = [to("router_settings.fallbacks", json!([]))];
    let expected = FILE.replace("fallbacks:\n    - chat: [chat]", "fallbacks: []");
    assert_eq!(text(edit(FILE, &fallbacks)), expected);
    let more = [to("router_settings.timeout", json!(9.5))];
    let expected = FILE.replace("[chat]\n", "[chat]\n  timeout: 9.5\n");
    assert_eq!(text(edit(FILE, &more)), expected);
    let other = [
        to("general_settings.max_parallel_requests", json!(7)),
        clear("router_settings.fallbacks"),
    ];
    let made = text(edit(FILE, &other));
    let expected = FILE.replace("  fallbacks:\n    - chat: [chat]\n", "");
    assert!(
        made.contains("# last") && made.contains("general_settings: {max_parallel_requests: 7}\n"),
        "{made}"
    );
    assert!(made.starts_with(expected.split("\n\n").next().expect("a head")), "{made}");
    let nested = [to("router_settings.retry_policy.TimeoutErrorRetries", json!(1))];
    assert!(text(edit(FILE, &nested)).contains("  retry_policy: {TimeoutErrorRetries: 1}\n"));
}

#[test]
fn what_is_emptied_goes_and_comes_back() {
    let none = text(edit(
        FILE,
        &[clear("router_settings.fallbacks"), clear("router_settings.num_retries")],
    ));
    assert!(!none.contains("router_settings") && none.contains("# last"), "{none}");
    let back = text(edit(&none, &[to("router_settings.num_retries", json!(2))]));
    assert_eq!(setting(&document(&back), &["router_settings", "num_retries"]), Some(json!(2)));
    let same = edit(
        FILE,
        &[clear("router_settings.timeout"), to("router_settings.num_retries", json!(2))],
    );
    assert_eq!(text(same), FILE, "nothing is written that is so already");
}

#[test]
fn layouts_that_cannot_be_edited_in_place_are_written_anew() {
    let merged = format!(
        "{FILE}x-d: &d\n  drop_params: true\nlitellm_settings:\n  <<: *d\n  max_budget: 5\n"
    );
    let made = text(edit(&merged, &[clear("litellm_settings.drop_params")]));
    assert_eq!(setting(&document(&made), &["litellm_settings", "drop_params"]), None, "{made}");
    assert_eq!(setting(&document(&made), &["x-d", "drop_params"]), Some(json!(true)), "{made}");
    let made = text(edit(&merged, &[to("litellm_settings.drop_params", json!(false))]));
    assert!(
        made.contains("# enough"),
        "an own entry beats a merged one, so the text stays: {made}"
    );
    let flow = format!("{FILE}litellm_settings: {{drop_params: true, max_budget: 5}}\n");
    let made = text(edit(&flow, &[clear("litellm_settings.max_budget")]));
    assert!(
        made.contains("litellm_settings: {drop_params: true}\n") && made.contains("# enough"),
        "{made}"
    );
    let alias = format!("{FILE}x-d: &d {{drop_params: true}}\nlitellm_settings: *d\n");
    let made = text(edit(&alias, &[to("litellm_settings.max_budget", json!(1))]));
    assert_eq!(
        setting(&document(&made), &["litellm_settings"]),
        Some(json!({"drop_params": true, "max_budget": 1}))
    );
    assert_eq!(setting(&document(&made), &["x-d", "max_budget"]), None, "{made}");
}

#[test]
fn the_file_that_holds_a_section_is_edited() {
    let root = SourceFile { path: "c.yaml".to_owned(), text: format!("include: [r.yaml]\n{FILE}") };
    let more = "router_settings: {num_retries: 4}\n".to_owned();
    let document = Document {
        files: vec![root.clone(), SourceFile { path: "r.yaml".to_owned(), text: more }],
    };
    let loaded = load(&document, &environment(), &options()).loaded.expect("loaded");
    let edits = [
        to("router_settings.num_retries", json!(1)),
        to("general_settings.max_parallel_requests", json!(3)),
    ];
    let edited = loaded.basis.edit(&document, &Additions::default(), &edits).expect("edited");
    assert_eq!(edited.document.files[1].text, "router_settings: {num_retries: 1}\n");
    assert_eq!(
        edited.document.files[0].text,
        format!("{}general_settings: {{max_parallel_requests: 3}}\n", root.text)
    );
}

#[test]
fn an_edit_is_judged_like_a_file_and_all_is_told_at_once() {
    let edits = [
        to("router_settings.num_retires", json!(5)),
        to("router_settings.timeout", json!("soon")),
        to("general_settings.max_parallel_requests", json!(-1)),
        to("litellm_settings.custom_auth_x", json!(1)),
        to("router_settings.fallbacks", json!([{"chat": ["caht"]}])),
        to("litellm_settings.callbacks", json!(["my_hooks.proxy_handler_instance"])),
    ];
    let told = refused(FILE, &edits);
    for (path, words) in [
        ("router_settings.num_retires", "did you mean `num_retries`?"),
        ("router_settings.timeout", "timeout is a text, not a number"),
        ("general_settings.max_parallel_requests", "must not be negative"),
        ("litellm_settings.custom_auth_x", "unknown key"),
        ("router_settings.fallbacks.0.chat.0", "did you mean `chat`?"),
        ("litellm_settings.callbacks.0", "Python"),
    ] {
        let found = told.iter().any(|(at, told)| at == path && told.contains(words));
        assert!(found, "{path}: {words} is not in {told:#?}");
    }
    assert_eq!(told.len(), edits.len(), "{told:#?}");
}

#[test]
fn what_was_odd_before_does_not_stand_in_the_way() {
    let odd = format!(
        "{FILE}litellm_settings:\n  drop_parms_of_mine: 1\n  fallbacks: [{{chat: [gone]}}]\n"
    );
    let options = Options { accepted: true, ..options() };
    assert!(load(&document(&odd), &environment(), &options).loaded.is_some(), "{}", said(&odd));
    let edited = edit(&odd, &[to("router_settings.num_retries", json!(1))]).expect("edited");
    assert_eq!(edited.warnings, Vec::<String>::new());
    let edited = edit(FILE, &[to("router_settings.redis_host", json!("h"))]).expect("edited");
    assert!(edited.notes[0].contains("no Redis is used"), "{:?}", edited.notes);
}

#[test]
fn what_opens_the_machine_is_set_by_files_only() {
    for (at, value, words) in [
        ("environment_variables.PATH", json!("/tmp"), "where they are started"),
        ("model_list", json!([]), "POST /model/new"),
        ("credential_list", json!([]), "POST /credentials"),
        ("cluster.secret", json!("x"), "one node only"),
        ("include", json!(["/etc/passwd"]), "only a config file may name files"),
        ("general_setings.a", json!(1), "did you mean `general_settings`?"),
        ("guardrails", json!([]), "known are general_settings"),
        ("general_settings", json!({}), "name the setting"),
        (
            "general_settings.master_key",
            json!("sk-long-enough-to-be-safe"),
            "take over the cluster",
        ),
        ("general_settings.pass_through_endpoints", json!([]), "addresses that the nodes call"),
        ("general_settings.api_model_networks", json!(["anywhere"]), "widens"),
        ("general_settings.api_model_environment", json!(["*"]), "widens"),
        ("litellm_settings.ssl_verify", json!(false), "trust unknown servers"),
        ("router_settings.redis_password", json!("p"), "secret in clear"),
        (
            "general_settings.alerting_args",
            json!({"deep": [{"api_key": "sk-1"}]}),
            "secret in clear",
        ),
        (
            "router_settings.model_group_alias",
            json!({"a": "os.environ/OPENAI_API_KEY"}),
            "`OPENAI_API_KEY`",
        ),
        ("general_settings.custom_auth", json!("m.f"), "Python code cannot run"),
    ] {
        let told = refused(FILE, &[to(at, value)]);
        assert!(told.iter().any(|(_, told)| told.contains(words)), "{at}: {told:?}");
        assert!(!format!("{told:?}").contains("sk-"), "{told:?}");
    }
    let lent = format!("{FILE}general_settings: {{api_model_environment: [OPENAI_API_KEY]}}\n");
    edit(
        &lent,
        &[to("router_settings.model_group_alias", json!({"a": "os.environ/OPENAI_API_KEY"}))],
    )
    .expect_err("it is lent, and names no model");
    for (at, value) in [
        ("general_settings.forward_client_headers_to_llm_api", json!(true)),
        ("general_settings.litellm_key_header_name", json!("x-key")),
        ("router_settings.redis_password", json!("")),
    ] {
        edit(FILE, &[to(at, value)]).expect("no secret");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let text = format!(
        "{FILE}general_settings: {{master_key: sk-long-enough-to-be-safe, database_url: 'postgres://u:p@h/d'}}\n\
         environment_variables: {{PLAIN: value}}\ncluster: {{secret: s3cret}}\n"
    );
    let shown = shown_yaml(&document(&text));
    for secret in ["sk-", "u:p", "value", "s3cret"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(
        shown.contains("      api_key: \"*****\"") || shown.contains("api_key: \"*****\""),
        "{shown}"
    );
    assert_eq!(
        loaded(&shown.replace("*****", "os.environ/OPENAI_API_KEY")).catalog.groups.len(),
        1,
        "{shown}"
    );
    let section = shown_section(&document(&text), "general_settings");
    assert_eq!(Value::Object(section), json!({"master_key": "*****", "database_url": "*****"}));
}

#[test]
fn a_file_that_undoes_what_was_set_is_told_by_names() {
    let base = document("router_settings: {num_retries: 2, timeout: 5}\n");
    let now = document("router_settings: {num_retries: 3, timeout: 5}\ngeneral_settings: {a: 1}\n");
    let undone = |text: &str| crate::undone(&base, &now, &document(text));
    let both = ["general_settings.a", "router_settings.num_retries"];
    assert_eq!(undone("router_settings: {num_retries: 2, timeout: 9}\n"), both);
    assert_eq!(undone("general_settings: {a: 1}\nrouter_settings: {num_retries: 3}\n"), [""; 0]);
}

/// Texts that YAML could take for something else.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "yes", "null", "~", "1e3", "a: b", "# c", "- d", "{e", "'f", "\"g", "*h", "&i", "x\ny"
        ])
        .prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z:# ]{1,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is set stands there afterwards, and taking it away gives what was there before.
    #[test]
    fn a_value_is_read_as_it_was_set(value in value(), file in 0..5_usize) {
        let files = [
            FILE.to_owned(),
            format!("{FILE}general_settings:\n  alerting_args:\n    b: |\n      two\n      lines\n"),
            format!("{FILE}general_settings: {{alerting_args: {{a: [1]}}}}"),
            format!("{FILE}general_settings:\n    alerting_args: # here\n      a: 1\n    # then\n"),
            format!("{FILE}general_settings:\n  alerting_args:\n  alerting_threshold: 3\n"),
        ];
        let at = ["general_settings", "alerting_args"];
        let made = edit(&files[file], &[to("general_settings.alerting_args", value.clone())]);
        let made = text(made);
        prop_assert_eq!(setting(&document(&made), &at), Some(value), "{}", made);
        let gone = text(edit(&made, &[clear("general_settings.alerting_args")]));
        prop_assert_eq!(setting(&document(&gone), &at), None, "{}", gone);
        prop_assert_eq!(setting(&document(&gone), &["router_settings"]), setting(&document(FILE), &["router_settings"]));
    }
}
