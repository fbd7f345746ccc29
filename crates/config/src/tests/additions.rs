//! Models and credentials that are set over the API.

use dunlin_types::Networks;
use serde_json::{Value, json};

use super::*;
use crate::{AddedCredential, AddedGroup, AddedModel, Additions, Judged, load_with};

const FILE: &str = "model_list:\n  - model_name: chat\n    litellm_params: {model: openai/a, \
                    api_base: 'http://vllm:8000/v1'}\n    model_info: {id: in-file}\n";

fn object(value: Value) -> serde_json::Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

fn model(id: &str, params: Value) -> AddedModel {
    let (id, name) = (id.to_owned(), "added".to_owned());
    AddedModel { id, name, params: object(params), info: object(json!({"mode": "chat"})) }
}

fn credential(name: &str, values: Value) -> AddedCredential {
    AddedCredential { name: name.to_owned(), values: object(values) }
}

fn with(text: &str, additions: &Additions) -> Outcome {
    load_with(&document(text), additions, &environment(), &options())
}

fn judged(settings: &str, params: Value) -> Judged {
    let text = format!("{FILE}general_settings: {{{settings}}}\n");
    let outcome = with(&text, &Additions::default());
    outcome.loaded.expect("loaded").basis.judge(&model("id-1", params))
}

#[test]
fn what_is_added_is_served_beside_the_files() {
    let additions = Additions {
        models: vec![
            model("one", json!({"model": "openai/b", "api_base": "http://gpu:1/v1", "rpm": 6})),
            model("two", json!({"model": "openai/c", "litellm_credential_name": "c"})),
        ],
        credentials: vec![credential("c", json!({"api_key": "sk-c", "api_base": "http://gpu:2"}))],
        access_groups: vec![AddedGroup {
            name: "beta".to_owned(),
            models: vec!["added".to_owned(), "gone".to_owned()],
        }],
    };
    let text = format!("{FILE}router_settings:\n  fallbacks: [{{chat: [added]}}]\n");
    let outcome = with(&text, &additions);
    assert_eq!(outcome.left_out, []);
    let loaded = outcome.loaded.expect("loaded");
    let groups: Vec<_> = loaded.catalog.access_groups.iter().collect();
    assert_eq!(groups, [(&"added".into(), &["beta".into()].into())], "of models that there are");
    let [one, two] = [0, 1].map(|index| deployment(&loaded, "added", index));
    assert_eq!(
        (&*one.id.0, &*one.target.api_base, one.weight.rpm),
        ("one", "http://gpu:1/v1", Some(6.0))
    );
    assert_eq!(two.target.api_key, Some(Secret::new("sk-c")));
    let info: Value = serde_json::from_str(one.about.info.get()).expect("JSON");
    assert_eq!((&info["db_model"], &info["id"]), (&json!(true), &json!("one")));
    assert_eq!(deployment(&loaded, "chat", 0).target.networks, Networks::Anywhere);
    assert!(!one.target.networks.allows("127.0.0.1".parse().expect("an address")));
}

#[test]
fn one_that_is_wrong_is_left_out_and_the_rest_stays() {
    let right = || model("right", json!({"model": "openai/b", "api_base": "http://gpu"}));
    let wrong = [
        model("in-file", json!({"model": "openai/b"})),
        model("a", json!({"model": "openai/b", "rpn": 5})),
        model("b", json!({"rpm": 5})),
        model("c", json!({"model": "openai/b", "litellm_credential_name": "bad"})),
    ];
    let models = wrong.into_iter().chain([right()]).collect();
    let credentials = vec![credential("bad", json!({"api_key": "os.environ/OPENAI_API_KEY"}))];
    let outcome = with(FILE, &Additions { models, credentials, ..Additions::default() });
    let told: Vec<_> = outcome.left_out.iter().map(|out| (&*out.what, &*out.why[0])).collect();
    let expected = [
        ("credential `bad`", "`api_key` may not refer to the variable `OPENAI_API_KEY`"),
        ("model `added` (in-file)", "a deployment of the config has the id `in-file`"),
        ("model `added` (a)", "unknown key `rpn` in litellm_params (did you mean `rpm`?)"),
        ("model `added` (b)", "model `added` has no litellm_params.model"),
        ("model `added` (c)", "there is no credential `bad`"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.0 == expected.0 && told.1.starts_with(expected.1), "{told:?} {expected:?}");
    }
    let loaded = outcome.loaded.expect("the rest is in force");
    assert_eq!(loaded.catalog.groups["added"].deployments.len(), 1);
}

#[test]
fn an_address_that_only_the_nodes_reach_is_refused_with_the_way_out() {
    let at = |base: &str| json!({"model": "openai/b", "api_key": "k", "api_base": base});
    for base in [
        "http://127.0.0.1:8000/v1",
        "http://localhost:8000",
        "http://[::1]/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "http://169.254.169.254/latest",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://0.0.0.0:80",
        "http://user@169.254.169.254/",
    ] {
        let problems = judged("", at(base)).problems;
        assert!(
            problems.iter().any(|it| it.contains("api_model_networks")),
            "{base}: {problems:?}"
        );
    }
    for base in ["http://10.1.2.3:8000/v1", "https://example.com/v1", "http://vllm:8000/v1"] {
        assert_eq!(judged("", at(base)).problems, [""; 0], "{base}");
    }
    let local = "api_model_networks: [loopback, 169.254.169.254/32]";
    assert_eq!(judged(local, at("http://127.0.0.1:8000/v1")).problems, [""; 0]);
    assert_eq!(judged(local, at("http://169.254.169.254/v1")).problems, [""; 0]);
    assert!(
        !judged(local, at("http://8.8.8.8/v1")).problems.is_empty(),
        "the list is the whole list"
    );
    let wrong = with(
        &format!("{FILE}general_settings: {{api_model_networks: [lan]}}\n"),
        &Additions::default(),
    );
    assert!(wrong.loaded.is_none() && wrong.diagnostics[0].message.contains("`lan`"));
}

#[test]
fn variables_files_and_identities_of_the_nodes_are_not_lent() {
    let refused = |params: Value, word: &str| {
        let problems = judged("", params.clone()).problems;
        assert!(problems.iter().any(|it| it.contains(word)), "{params}: {problems:?}");
    };
    let chosen = "https://example.com/v1";
    let key = "os.environ/OPENAI_API_KEY";
    refused(
        json!({"model": "openai/b", "api_base": chosen, "api_key": key}),
        "api_model_environment",
    );
    refused(json!({"model": "openai/b", "extra_body": {"x": "os.environ/HOME"}}), "HOME");
    refused(json!({"model": "openai/b", "ssl_verify": "/etc/passwd"}), "ssl_verify");
    refused(json!({"model": "openai/b", "ssl_certificate": "/etc/passwd"}), "ssl_certificate");
    refused(
        json!({"model": "openai/b", "vertex_credentials": "/etc/passwd"}),
        "vertex_credentials",
    );
    refused(json!({"model": "openai/b", "aws_web_identity_token": "/etc/passwd"}), "aws_web");
    refused(json!({"model": "openai/b", "aws_sts_endpoint": "http://evil"}), "aws_sts_endpoint");
    refused(json!({"model": "openai/b", "vertex_location": "evil.com/"}), "vertex_location");
    for buckets in ["s3_endpoint_url", "gcs_endpoint_url"] {
        let evil = json!({"model": "openai/b", buckets: "https://evil.com", "api_key": key});
        refused(evil, "api_model_environment");
    }
    let key_file = json!({"type": "service_account", "token_uri": "http://evil/"});
    refused(json!({"model": "openai/b", "vertex_credentials": key_file.to_string()}), "token_uri");
    refused(json!({"model": "openai/b", "vertex_credentials": key_file}), "token_uri");
    refused(json!({"model": "bedrock/b"}), "not served");
    refused(json!({"model": "openai/b", "timeout": -1}), "must not be negative");

    let own = judged("", json!({"model": "openai/b", "api_key": key}));
    assert_eq!(own.problems, [""; 0], "OpenAI's key goes to OpenAI");
    assert!(own.deployments[0].target.api_key.is_some());
    let lent = judged(
        "api_model_environment: [OPENAI_*]",
        json!({"model": "openai/b", "api_base": chosen, "api_key": key}),
    );
    assert_eq!(lent.problems, [""; 0]);
}

#[test]
fn names_may_dangle_where_models_come_over_the_api() {
    let text = "model_list: []\nrouter_settings:\n  fallbacks: [{chat: [gone]}]\n";
    assert!(with(text, &Additions::default()).loaded.is_none());
    let text = format!("{text}general_settings: {{store_model_in_db: true}}\n");
    let loaded = with(&text, &Additions::default()).loaded.expect("with warnings");
    assert_eq!(loaded.settings.stores_models, Some(true));
    let accepted = Options { accepted: true, ..options() };
    let text = format!("{FILE}router_settings:\n  model_group_alias: {{short: gone}}\n");
    assert!(load(&document(&text), &environment(), &options()).loaded.is_none());
    assert!(load(&document(&text), &environment(), &accepted).loaded.is_some());
}

#[test]
fn a_file_that_names_a_credential_set_over_the_api_is_parked_without_it() {
    let text = "model_list:\n  - model_name: chat\n    litellm_params: {model: openai/a, \
                litellm_credential_name: c}\ngeneral_settings: {store_model_in_db: true}\n";
    let parked = with(text, &Additions::default()).loaded.expect("with a warning");
    assert!(deployment(&parked, "chat", 0).parked.is_some());
    let of =
        |values| Additions { credentials: vec![credential("c", values)], ..Additions::default() };
    let served = with(text, &of(json!({"api_key": "sk-c"}))).loaded.expect("loaded");
    let served = deployment(&served, "chat", 0);
    assert!(served.parked.is_none() && served.target.networks != Networks::Anywhere);
}

#[test]
fn what_is_published_costs_what_the_config_makes_of_it() {
    let cost = |settings: &str, model: &str| {
        let text = format!("{FILE}litellm_settings: {{{settings}}}\n");
        let basis = with(&text, &Additions::default()).loaded.expect("loaded").basis;
        let (price, info) = basis.published(model)?;
        let usage = dunlin_types::Usage {
            prompt: dunlin_types::Tokens(1_000_000),
            ..dunlin_types::Usage::default()
        };
        let cost = price.cost(&usage, &dunlin_ledger::Context::default()).total;
        Some((cost, info["litellm_provider"].as_str()?.to_owned()))
    };
    let openai = || "openai".to_owned();
    let (whole, provider) = cost("", "gpt-4o").expect("it is published");
    assert_eq!((whole, provider), (dunlin_types::NanoUsd(2_500_000_000), openai()));
    let half = cost("cost_discount_config: {openai: 0.5}", "gpt-4o").expect("it is published");
    assert_eq!(half, (dunlin_types::NanoUsd(1_250_000_000), openai()));
    let elsewhere = cost("", "cerebras/llama-3.3-70b").expect("it is published");
    assert_eq!(elsewhere.0, dunlin_types::NanoUsd(850_000_000));
    assert_eq!(cost("", "no-such-model"), None);
}
