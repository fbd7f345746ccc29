//! Where request records are sent, as files say it.

use std::collections::BTreeMap;

use dunlin_types::{Network, Networks};

use super::{document, options};
use crate::{CallbackKind, Callbacks, Environment, LogFormat, Outcome, Receiver, load};

const MODEL: &str =
    "model_list:\n- model_name: m\n  litellm_params: {model: openai/x, api_key: k}\n";
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GENERIC_LOGGER_ENDPOINT", "https://logs.example/v1"),
    ("LANGFUSE_PUBLIC_KEY", "pk-lf-1"),
    ("LANGFUSE_SECRET", "sk-lf-1"),
    ("LANGFUSE_HOST", "https://langfuse.example/"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
    ("OTEL_HEADERS", "authorization=Bearer%20x"),
    ("GENERIC_LOGGER_HEADERS", "Authorization=Bearer a=b, x-source=gateway"),
];

fn outcome(text: &str, variables: &[(&str, &str)]) -> Outcome {
    let variables: BTreeMap<_, _> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&document(&format!("{MODEL}{text}")), &Environment::new(variables), &options())
}

fn read(text: &str) -> Callbacks {
    let found = outcome(text, ENVIRONMENT);
    found.loaded.unwrap_or_else(|| panic!("{:#?}", found.diagnostics)).settings.callbacks
}

/// Name, success, failure, address, messages.
fn told(callbacks: &[crate::Callback]) -> Vec<String> {
    let one = |one: &crate::Callback| {
        let (success, failure) = (one.on.success, one.on.failure);
        let address = one.receiver.address();
        format!("{} {success} {failure} {address} {}", one.name, one.messages)
    };
    callbacks.iter().map(one).collect()
}

#[test]
fn the_lists_say_which_requests_are_told_of_and_each_receiver_is_there_once() {
    for (settings, expected) in [
        ("callbacks: [generic_api]", &["generic_api true true https://logs.example/v1 true"][..]),
        ("callbacks: generic_api", &["generic_api true true https://logs.example/v1 true"]),
        (
            "success_callback: [prometheus, generic_api]",
            &["generic_api true false https://logs.example/v1 true"],
        ),
        (
            "success_callback: [generic_api], failure_callback: [generic_api]",
            &["generic_api true true https://logs.example/v1 true"],
        ),
        (
            "callbacks: [langfuse], success_callback: [otel]",
            &[
                "langfuse true true https://langfuse.example/api/public/ingestion true",
                "otel true false http://collector:4318/v1/traces true",
            ],
        ),
        ("callbacks: []", &[]),
    ] {
        let found = read(&format!("litellm_settings: {{{settings}}}\n"));
        assert_eq!(told(&found.all), expected, "{settings}");
    }
}

#[test]
fn callback_settings_make_receivers_of_their_own() {
    let found = read(
        "litellm_settings: {callbacks: [bills, generic_api], redact_user_api_key_info: true}\n\
         general_settings: {api_callback_networks: [public, 10.0.0.0/8]}\n\
         callback_settings:\n  bills:\n    callback_type: generic_api\n    \
         endpoint: http://bills.local:8080/in\n    headers: {x-key: os.environ/GENERIC_LOGGER_HEADERS}\n    \
         event_types: [llm_api_failure]\n    log_format: ndjson\n  \
         generic_api: {message_logging: false}\n",
    );
    assert_eq!(
        told(&found.all),
        [
            "bills false true http://bills.local:8080/in true",
            "generic_api true true https://logs.example/v1 false"
        ]
    );
    let Receiver::GenericApi(bills) = &found.all[0].receiver else { panic!("it is one") };
    assert_eq!(bills.format, LogFormat::Ndjson);
    assert_eq!(bills.headers.len(), 1, "another address gets none of the environment's headers");
    let Receiver::GenericApi(shared) = &found.all[1].receiver else { panic!("it is one") };
    let headers: Vec<_> =
        shared.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("authorization", "Bearer a=b"), ("x-source", "gateway")]);
    assert!(found.hides_callers);
    let Networks::Only(networks) = found.networks else { panic!("they are listed") };
    assert_eq!((networks.len(), networks[0]), (2, Network::Public));
}

#[test]
fn a_teams_own_receiver_gets_nothing_of_the_environment() {
    let found = read(
        "litellm_settings:\n  default_team_settings:\n  - team_id: a\n    \
         success_callback: [generic_api]\n    generic_logger_endpoint: https://a.example\n  \
         - {team_id: b, callbacks: [generic_api]}\n",
    );
    assert_eq!(told(&found.teams["a"]), ["generic_api true false https://a.example/ true"]);
    let Receiver::GenericApi(own) = &found.teams["a"][0].receiver else { panic!("it is one") };
    assert!(own.headers.is_empty());
    assert_eq!(told(&found.teams["b"]), ["generic_api true true https://logs.example/v1 true"]);
}

/// Whether such settings load, and all that is said of them.
fn said_of(settings: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let found = outcome(settings, variables);
    let loads = found.loaded.is_some();
    let said = found.diagnostics.iter().map(|found| {
        let label = found.place.as_ref().map(|(_, label)| label.as_str()).unwrap_or_default();
        format!("{:?} {} {label}", found.severity, found.message)
    });
    let said = said.chain(found.notes.iter().map(ToString::to_string));
    (loads, said.collect::<Vec<_>>().join("\n"))
}

#[test]
fn what_cannot_be_sent_is_said() {
    let asks = |list: &str| format!("litellm_settings: {{callbacks: [{list}]}}\n");
    for (text, loads, words) in [
        (asks("datadog"), true, "this version cannot send to `datadog`; `generic_api`"),
        (asks("generic_ap"), false, "did you mean `generic_api`?"),
        (asks("my_sink"), false, "there is no callback `my_sink`"),
        (asks("hooks.instance"), false, "Python"),
        (
            format!(
                "{}callback_settings: {{generic_api: {{endpoint: nowhere}}}}\n",
                asks("generic_api")
            ),
            false,
            "callback_settings.generic_api.endpoint must be a URL",
        ),
        (
            format!(
                "{}callback_settings: {{generic_api: {{log_format: xml}}}}\n",
                asks("generic_api")
            ),
            false,
            "callback_settings.generic_api.log_format must be json_array",
        ),
        (
            "callback_settings: {generic_api: {endpiont: x}}\n".to_owned(),
            false,
            "did you mean `endpoint`?",
        ),
        (
            "litellm_settings: {default_team_settings: [{callbacks: [generic_api]}]}\n".to_owned(),
            false,
            "needs a team_id",
        ),
    ] {
        let (loaded, said) = said_of(&text, ENVIRONMENT);
        assert_eq!(loaded, loads, "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
    let (loads, said) = said_of(&asks("generic_api"), &[]);
    assert!(loads, "a variable that is missing is missing on this node: {said}");
    assert!(
        said.contains(
            "Warning litellm_settings.callbacks: `generic_api`: GENERIC_LOGGER_ENDPOINT is not set"
        ),
        "{said}"
    );
}

#[test]
fn what_is_missing_or_misspelt_is_named_as_it_is_written_there() {
    for (text, loads, words) in [
        (
            "litellm_settings: {default_team_settings: [{team_id: a, callbacks: [langfuse], \
             langfuse_public_key: pk, langfuse_secrt_key: sk}]}\n",
            false,
            "`langfuse_secrt_key` is not a callback variable did you mean `langfuse_secret_key`?",
        ),
        (
            "litellm_settings: {default_team_settings: [{team_id: a, callbacks: [langfuse], \
             langfuse_public_key: pk}]}\n",
            true,
            "`langfuse`: langfuse_secret_key is not set",
        ),
        (
            "litellm_settings: {callbacks: [bills]}\n\
             callback_settings: {bills: {callback_type: generic_api}}\n",
            true,
            "`bills`: callback_settings.bills.endpoint is not set",
        ),
        (
            "litellm_settings: {callbacks: [bills]}\n\
             callback_settings: {bills: {callback_type: generic_api, endpoint: 'http://b/in', \
             headers: {authorization: os.environ/NONE}}}\n",
            true,
            "`bills`: environment variable `NONE` is not set nothing is sent there",
        ),
        (
            "litellm_settings: {callbacks: [bills]}\n\
             callback_settings: {bills: {callback_type: generic_api, endpoint: os.environ/NONE}}\n",
            true,
            "`bills`: environment variable `NONE` is not set nothing is sent there",
        ),
    ] {
        let (loaded, said) = said_of(text, &[]);
        assert_eq!(loaded, loads, "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
}

#[test]
fn variables_of_the_api_are_known_and_whole() {
    let of = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CallbackKind::GenericApi.receiver_of(&pairs.collect()).map_err(|bad| bad.to_string())
    };
    let receiver = of(&[("generic_logger_endpoint", "https://x.example")]).expect("a receiver");
    assert_eq!(receiver.address().host(), Some("x.example"));
    let login = of(&[("generic_logger_endpoint", "https://me:pw@x.example:81/in?token=t")]);
    let shown = login.expect("a receiver").shown();
    assert_eq!(shown[0].1.as_deref(), Some("https://x.example:81/in?***"));
    for (pairs, words) in [
        (&[][..], "generic_logger_endpoint is not set"),
        (&[("generic_logger_endpiont", "x")], "did you mean `generic_logger_endpoint`?"),
        (&[("Generic_Logger_Endpoint", "ftp://x")], "Generic_Logger_Endpoint must be a URL"),
        (
            &[("generic_logger_endpoint", "http://x"), ("generic_logger_headers", "x")],
            "must be name=value",
        ),
    ] {
        let told = of(pairs).expect_err("it is wrong");
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn langfuse_and_otel_are_read_from_their_variables() {
    let of = |kind: CallbackKind, pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        kind.receiver_of(&pairs.collect()).map_err(|bad| bad.to_string())
    };
    let keys = [("langfuse_public_key", "pk"), ("langfuse_secret_key", "sk")];
    let found = of(CallbackKind::Langfuse, &keys).expect("a receiver");
    let Receiver::Langfuse(langfuse) = found else { panic!("it is one") };
    assert_eq!(langfuse.endpoint, "https://cloud.langfuse.com/api/public/ingestion");
    assert_eq!((&*langfuse.public_key, langfuse.secret_key.expose()), ("pk", "sk"));
    let told = of(CallbackKind::Langfuse, &keys[..1]).expect_err("no secret");
    assert!(told.contains("langfuse_secret_key is not set"), "{told}");
    let whole = [("otel_exporter_otlp_traces_endpoint", "https://o.example/x/traces")];
    let found = of(CallbackKind::Otel, &whole).expect("a receiver");
    assert_eq!(found.address(), "https://o.example/x/traces");
    let grpc = [("otel_endpoint", "http://c:4317"), ("otel_exporter", "otlp_grpc")];
    let told = of(CallbackKind::Otel, &grpc).expect_err("no gRPC");
    assert!(told.contains("over HTTP only"), "{told}");
}
