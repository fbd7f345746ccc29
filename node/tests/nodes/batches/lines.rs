//! What the requests of a batch say, each for itself: on whose behalf it is, and what it must have.

use std::collections::BTreeMap;

use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, deployment, send_json};
use crate::responses::upload;

pub(super) const ANTHROPIC: &str = "/anthropic/v1/messages/batches";

pub(super) async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let own = deployment("own", "openai/upstream-name", &base);
    let claude = deployment("claude", "anthropic/claude-up", &root);
    let elsewhere = deployment("elsewhere", "anthropic/claude-up", &format!("{root}/"));
    let elsewhere = elsewhere.replace("sk-upstream", "sk-upstream-2");
    let config =
        format!("model_list:\n{own}{claude}{elsewhere}router_settings:\n  num_retries: 0\n");
    harness::start_with(nodes, mock, config).await
}

/// Requests with what each says beside its messages, which are longer one after the other.
fn requests(model: &str, said: &[Value]) -> Vec<Value> {
    let request = |(number, said): (usize, &Value)| {
        let content = "good day ".repeat(number);
        let mut request = json!({"model": model, "max_tokens": 9,
            "messages": [{"role": "user", "content": content}]});
        for (name, value) in said.as_object().expect("an object") {
            request[name] = value.clone();
        }
        request
    };
    (1..).zip(said).map(request).collect()
}

fn lines(model: &str, said: &[Value]) -> String {
    let line = |(number, body): (usize, Value)| {
        json!({"custom_id": format!("c{number}"), "method": "POST",
            "url": "/v1/chat/completions", "body": body})
        .to_string()
    };
    let all: Vec<String> = (1..).zip(requests(model, said)).map(line).collect();
    all.join("\n")
}

pub(super) fn messages(said: &[Value]) -> Value {
    let request = |(number, params): (usize, Value)| json!({"custom_id": format!("c{number}"), "params": params});
    let all: Vec<Value> = (1..).zip(requests("claude", said)).map(request).collect();
    json!({"requests": all})
}

fn of_file(file: &Value) -> Value {
    json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"created_at": crate::responses::now()}})
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_or_has_nothing_left_is_found_in_every_line() -> anyhow::Result<()> {
    let setup = start(1).await?;
    setup.admin(0, "/customer/block", json!({"user_ids": ["cu3"]})).await?;
    setup.admin(0, "/tag/new", json!({"name": "dear", "max_budget": 0})).await?;
    let others = json!({"user_id": "kept", "models": ["another"]});
    setup.admin(0, "/customer/new", others).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let batches = setup.cluster.url(0, "/v1/batches");
    let passed = setup.cluster.url(0, ANTHROPIC);
    for (said, status) in [
        (json!({"user": "cu3"}), 401),
        (json!({"safety_identifier": "cu3"}), 401),
        (json!({"metadata": {"user_id": "cu3"}}), 401),
        (json!({"litellm_metadata": {"user": "cu3"}}), 401),
        (json!({"litellm_metadata": 7}), 400),
        (json!({"user": 7}), 400),
        (json!({"tags": "dear"}), 400),
        (json!({"guardrails": ["pii"]}), 400),
        (json!({"api_base": "http://127.0.0.1"}), 400),
        (json!({"max_tokens": "many"}), 400),
        (json!({"user": "kept"}), 403),
        (json!({"tags": ["dear"]}), 422),
        (json!({"metadata": {"tags": ["dear"]}}), 422),
        (json!({"litellm_metadata": {"tags": ["dear"]}}), 422),
    ] {
        let all = [json!({"user": "ann"}), said.clone()];
        let (uploaded, file) = upload(&setup, &caller, lines("own", &all)).await?;
        let told = if matches!(status, 403 | 422) {
            assert_eq!(uploaded, 200, "an upload costs nothing: {file}");
            let refused = caller.post(&batches, &of_file(&file)).await?;
            assert_eq!(refused.status, status, "{said}: {}", refused.body);
            let why = if status == 403 { "customer_model" } else { r#""entity_id":"dear""# };
            assert!(refused.body.contains(why), "{}", refused.body);
            refused.body
        } else {
            assert_eq!(uploaded, status, "{said}: {file}");
            file.to_string()
        };
        assert!(told.contains("line 2: "), "{said}: {told}");
        let refused = caller.post(&passed, &messages(&all)).await?;
        assert_eq!(refused.status, status, "{said}: {}", refused.body);
        assert!(refused.body.contains("request 2: "), "{said}: {}", refused.body);
    }
    // Who is blocked after a file came in is not asked for by it.
    let all = [json!({"litellm_metadata": {"user": "late"}, "tags": ["cheap"]})];
    let (status, file) = upload(&setup, &caller, lines("own", &all)).await?;
    assert_eq!(status, 200, "{file}");
    let sent = setup.mock.last_request().expect("the file");
    let sent = String::from_utf8_lossy(&sent.body).into_owned();
    assert!(sent.contains(r#""custom_id":"c1""#) && sent.contains("upstream-name"), "{sent}");
    assert!(!sent.contains("litellm_metadata") && !sent.contains("cheap"), "{sent}");
    let made = caller.post(&batches, &of_file(&file)).await?;
    assert_eq!(made.status, 200, "{}", made.body);
    setup.admin(0, "/customer/block", json!({"user_ids": ["late"]})).await?;
    let refused = caller.post(&batches, &of_file(&file)).await?;
    assert_eq!(refused.status, 401, "{}", refused.body);
    assert!(refused.body.contains("line 1: "), "{}", refused.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_must_have_what_requests_must_and_a_model_that_there_is() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let strict = setup.make_key(0, json!({"enforced_params": ["max_tokens"]})).await?;
    let passed = setup.cluster.url(0, ANTHROPIC);
    let mut lacking = messages(&[json!({}), json!({"max_tokens": null})]);
    lacking["max_tokens"] = json!(1);
    let refused = strict.post(&passed, &lacking).await?;
    let is_told = refused.body.contains("request 2: ") && refused.body.contains("param=max_tokens");
    assert!(refused.status == 400 && is_told, "{} {}", refused.status, refused.body);

    // Neither the form nor what is around the requests need have it.
    let has = [json!({"max_tokens": 7})];
    let (status, file) = upload(&setup, &strict, lines("own", &has)).await?;
    assert_eq!(status, 200, "{file}");
    let (status, refused) =
        upload(&setup, &strict, lines("own", &[json!({"max_tokens": null})])).await?;
    assert!(status == 400 && refused.to_string().contains("line 1: "), "{status} {refused}");
    let made = strict.post(&passed, &messages(&has)).await?;
    assert_eq!(made.status, 200, "{}", made.body);

    let caller = setup.make_key(0, json!({})).await?;
    for (said, told) in [
        (
            json!({"model": "claudee"}),
            &["request 2: ", "model=claudee", "Did you mean `claude`?"][..],
        ),
        (json!({"model": "own"}), &["request 2: ", "model=own", "no deployment of anthropic/"]),
        (json!({"model": "elsewhere"}), &["request 2: ", "'elsewhere'", "another account"]),
        (json!({"model": 7}), &["request 2: ", "'model'", "a string"]),
        (json!({"max_tokens": null}), &["request 2: ", "'max_tokens'"]),
    ] {
        let refused = caller.post(&passed, &messages(&[json!({}), said])).await?;
        let is_told = told.iter().all(|told| refused.body.contains(told));
        assert!(refused.status == 400 && is_told, "{told:?}: {}", refused.body);
    }
    for nonsense in [json!({}), json!({"requests": "all"}), json!({"requests": []}), json!([])] {
        let refused = caller.post(&passed, &nonsense).await?;
        assert_eq!(refused.status, 400, "{nonsense}: {}", refused.body);
    }
    for (all, told) in [
        ("no json".to_owned(), &["line 1: ", "Invalid JSON"][..]),
        (lines("own", &[json!({})]) + "\n\n{}", &["line 3: ", "'body'"]),
        (lines("ownn", &[json!({})]), &["line 1: ", "model=ownn", "Did you mean `own`?"]),
        (lines("claude", &[json!({})]), &["line 1: ", "'claude'", "keeps files"]),
        (
            lines("own", &[json!({}), json!({"model": "claude"})]),
            &["line 1 names 'own'", "line 2 names 'claude'"],
        ),
    ] {
        let (status, refused) = upload(&setup, &caller, all).await?;
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{refused}");
        assert!(told.iter().all(|told| message.contains(told)), "{told:?}: {message}");
    }
    Ok(())
}

/// What each answer cost, by the `custom_id` of its request.
fn costs(output: &str, usage: &str, names: [&str; 2]) -> BTreeMap<String, f64> {
    let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let cost = |line: Value| {
        let used = line.pointer(usage).expect("it is counted");
        let tokens = |name: &str| used[name].as_f64().expect("a count");
        let cost = tokens(names[0]) * harness::INPUT_COST + tokens(names[1]) * harness::OUTPUT_COST;
        (line["custom_id"].as_str().expect("an id").to_owned(), cost)
    };
    lines.map(cost).collect()
}

async fn spent(setup: &Setup, node: usize, end_user: &str) -> Option<f64> {
    let path = format!("/customer/info?end_user_id={end_user}");
    let info = setup.cluster.client().get(&setup.cluster.url(node, &path)).await.ok()?;
    info.json::<Value>().ok()?["spend"].as_f64()
}

/// What the records of a key say: of each that cost something, the end user, the tags and the cost.
async fn records(
    setup: &Setup,
    node: usize,
    whom: &Client,
) -> anyhow::Result<Vec<(String, Value, f64)>> {
    let rows = setup.cluster.url(node, "/spend/logs?summarize=false");
    let rows: Vec<Value> = whom.get(&rows).await?.json()?;
    let said = |row: &Value| {
        let end_user = row["end_user"].as_str().unwrap_or_default().to_owned();
        (end_user, row["request_tags"].clone(), row["spend"].as_f64().unwrap_or_default())
    };
    let mut found: Vec<_> = rows.iter().map(said).filter(|(.., cost)| *cost > 0.0).collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

async fn is_charged(
    setup: &Setup,
    owner: &Client,
    costs: &BTreeMap<String, f64>,
) -> anyhow::Result<()> {
    let ann = costs["c1"] + costs["c4"];
    let total: f64 = costs.values().sum();
    let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
    wait_until("each pays for its own lines", 2 * SOON, async || {
        let info = setup.key_info(1, owner).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| near(spend, total))
            && spent(setup, 1, "ann").await.is_some_and(|spend| near(spend, ann))
            && spent(setup, 1, "bob").await.is_some_and(|spend| near(spend, costs["c3"]))
    })
    .await?;
    let found = records(setup, 1, owner).await?;
    let expected = [
        ("", json!([]), costs["c2"]),
        ("ann", json!(["night"]), ann),
        ("bob", json!([]), costs["c3"]),
    ];
    assert_eq!(found.len(), expected.len(), "each is charged once: {found:?}");
    for ((end_user, tags, cost), expected) in found.iter().zip(expected) {
        let is_it = end_user == expected.0 && *tags == expected.1 && near(*cost, expected.2);
        assert!(is_it, "{end_user} {tags} {cost} is not {expected:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_charged_to_those_whom_its_lines_name_though_its_maker_is_dead()
-> anyhow::Result<()> {
    let mut setup = start(3).await?;
    for user in ["ann", "bob"] {
        setup.admin(0, "/customer/new", json!({"user_id": user, "max_budget": 10})).await?;
    }
    let owner = setup.make_key(1, json!({})).await?;
    let ann = json!({"user": "ann", "litellm_metadata": {"tags": ["night"]}});
    let all = [ann.clone(), json!({}), json!({"litellm_metadata": {"user": "bob"}}), ann];
    let (status, file) = upload(&setup, &owner, lines("own", &all)).await?;
    assert_eq!(status, 200, "{file}");
    let made = owner.post(&setup.cluster.url(0, "/v1/batches"), &of_file(&file)).await?;
    assert_eq!(made.status, 200, "{}", made.body);
    let made: Value = made.json()?;
    setup.cluster.kill(0).await?;
    let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
    let (status, batch) = send_json(&setup, 1, &owner, "GET", &path).await?;
    assert_eq!((status, &batch["status"]), (200, &json!("completed")), "{batch}");
    let output = batch["output_file_id"].as_str().expect("an id");
    let path = format!("/v1/files/{output}/content");
    let output = owner.get(&setup.cluster.url(2, &path)).await?.body;
    let names = ["prompt_tokens", "completion_tokens"];
    is_charged(&setup, &owner, &costs(&output, "/response/body/usage", names)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_messages_is_charged_to_those_whom_they_name() -> anyhow::Result<()> {
    let setup = start(2).await?;
    for user in ["ann", "bob"] {
        setup.admin(0, "/customer/new", json!({"user_id": user, "max_budget": 10})).await?;
    }
    let owner = setup.make_key(1, json!({})).await?;
    let ann = json!({"metadata": {"user_id": "ann"}, "tags": ["night"]});
    let all = [ann.clone(), json!({}), json!({"litellm_metadata": {"user": "bob"}}), ann];
    let made = owner.post(&setup.cluster.url(0, ANTHROPIC), &messages(&all)).await?;
    assert_eq!(made.status, 200, "{}", made.body);
    let sent = setup.mock.last_request().expect("the batch");
    let sent = String::from_utf8_lossy(&sent.body).into_owned();
    assert!(sent.contains(r#""user_id":"ann""#) && !sent.contains("night"), "{sent}");
    assert!(!sent.contains("litellm_metadata"), "{sent}");
    let made: Value = made.json()?;
    let path = format!("{ANTHROPIC}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(send_json(&setup, 1, &owner, "GET", &path).await?.0, 200);
    let results = setup.cluster.url(1, &format!("{path}/results"));
    let output = owner.get(&results).await?.body;
    let names = ["input_tokens", "output_tokens"];
    is_charged(&setup, &owner, &costs(&output, "/result/message/usage", names)).await
}
