//! What is said to the gateway beside a batch, a file, or in a line; how lists are asked for; and ways
//! around what bounds a batch, which are none.

use serde_json::{Value, json};

use super::lines::{ANTHROPIC, messages, start};
use crate::cloud_batches::{of, upload};
use crate::harness::{Setup, send_json};
use crate::responses::line;

const BATCHES: &str = "/v1/batches";
const MESSAGES: &str = "/v1/messages/batches";

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

/// What the upstream got last.
fn sent(setup: &Setup) -> String {
    String::from_utf8_lossy(&setup.mock.last_request().expect("a request").body).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_gateways_beside_a_batch_is_carried_out_or_refused() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let batch = ("purpose", "batch");
    let (_, file) = upload(&setup, &caller, &[batch], &line("own")).await?;
    let lines = messages(&[json!({})]);
    let asked = [(BATCHES, of(&file)), (MESSAGES, lines.clone()), (ANTHROPIC, lines)];
    for (said, told) in [
        (json!({"api_key": "sk-x"}), "'api_key' is not allowed"),
        (json!({"api_base": "http://127.0.0.1"}), "'api_base' is not allowed"),
        (json!({"guardrails": ["pii"]}), "'guardrails' is not enforced"),
        (json!({"policies": ["p"]}), "'policies' is not enforced"),
        (json!({"fallbacks": ["own"]}), "'fallbacks' is not carried out"),
        (json!({"num_retries": 2}), "'num_retries' is not carried out"),
        (json!({"timeout": "soon"}), "'timeout': expected"),
    ] {
        for (path, body) in &asked {
            let refused =
                caller.post(&setup.cluster.url(0, path), &with(body.clone(), &said)).await?;
            let is_told = refused.body.contains(told);
            assert!(refused.status == 400 && is_told, "{path} {said}: {}", refused.body);
        }
        let (name, value) = said.as_object().and_then(|said| said.iter().next()).expect("one");
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (status, refused) =
            upload(&setup, &caller, &[batch, (name, &text)], &line("own")).await?;
        assert!(status == 400 && refused.to_string().contains(told), "{name}: {refused}");
    }
    let ours = json!({"mock_response": "hi", "timeout": 30, "num_retries": 0, "tags": ["night"],
        "user": "ann", "litellm_call_id": "7", "litellm_metadata": {"a": "b"}, "api_key": null,
        "no-log": false, "disable_fallbacks": true});
    for (path, body) in &asked {
        let made = caller.post(&setup.cluster.url(0, path), &with(body.clone(), &ours)).await?;
        assert_eq!(made.status, 200, "{path}: {}", made.body);
        let sent: Value = serde_json::from_str(&sent(&setup))?;
        let names: Vec<&String> = sent.as_object().expect("an object").keys().collect();
        let expected: Vec<&String> = body.as_object().expect("an object").keys().collect();
        assert_eq!(names, expected, "{path}");
    }
    let fields = [
        batch,
        ("timeout", "30"),
        ("tags[]", "night"),
        ("litellm_call_id", "7"),
        ("mock_response", "hi"),
        ("expires_after[seconds]", "3600"),
    ];
    let said = json!({"mock_response": "hi", "num_retries": 0, "metadata": {"tags": ["night"]}});
    let mut asked: Value = serde_json::from_str(&line("own"))?;
    asked["body"] = with(asked["body"].clone(), &said);
    let (status, file) = upload(&setup, &caller, &fields, &asked.to_string()).await?;
    assert_eq!(status, 200, "{file}");
    let sent = sent(&setup);
    for gone in ["timeout", "night", "litellm", "mock_response", "num_retries", "\"metadata\""] {
        assert!(!sent.contains(gone), "{gone}: {sent}");
    }
    assert!(sent.contains("expires_after[seconds]") && sent.contains("upstream-name"), "{sent}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_as_long_as_its_vendor_has_it_and_leads_both_ways() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let (caller, master) = (setup.make_key(0, json!({})).await?, setup.cluster.client());
    for (path, most) in [(MESSAGES, 1_000), (BATCHES, 100), ("/v1/files", 10_000)] {
        for who in [&caller, master] {
            for limit in ["1", &most.to_string()] {
                let (status, page) =
                    send_json(&setup, 0, who, "GET", &format!("{path}?limit={limit}")).await?;
                assert_eq!(status, 200, "{path} {limit}: {page}");
            }
            for limit in ["0", "-1", "abc", &(most + 1).to_string()] {
                let (status, refused) =
                    send_json(&setup, 0, who, "GET", &format!("{path}?limit={limit}")).await?;
                assert_eq!(status, 400, "{path} {limit}: {refused}");
                let message = refused["error"]["message"].as_str().unwrap_or_default();
                assert!(message.contains(&format!("from 1 to {most}")), "{message}");
                assert_eq!(refused["type"] == "error", path == MESSAGES, "{refused}");
            }
        }
    }
    let mut made = Vec::new();
    for _ in 0..3 {
        let batch = caller.post(&setup.cluster.url(0, MESSAGES), &messages(&[json!({})])).await?;
        let batch: Value = batch.json()?;
        made.push(batch["id"].as_str().expect("an id").to_owned());
    }
    let [oldest, middle, newest] = &made[..] else { panic!("three were made") };
    let list = async |query: &str| {
        let (status, page) =
            send_json(&setup, 0, &caller, "GET", &format!("{MESSAGES}?{query}")).await?;
        let ids = page["data"].as_array().into_iter().flatten().map(|one| one["id"].clone());
        anyhow::Ok((status, ids.collect::<Vec<_>>(), page["has_more"] == true))
    };
    for (query, ids, has_more) in [
        (format!("limit=1&after_id={newest}"), vec![middle], true),
        (format!("limit=1&before_id={oldest}"), vec![middle], true),
        (format!("limit=2&before_id={oldest}"), vec![newest, middle], false),
        (format!("before_id={newest}"), vec![], false),
    ] {
        let expected: Vec<Value> = ids.into_iter().map(|id| json!(id)).collect();
        assert_eq!(list(&query).await?, (200, expected, has_more), "{query}");
    }
    for (query, status) in [
        (format!("before_id={oldest}&after_id={newest}"), 400),
        ("before_id=msgbatch_01".to_owned(), 404),
        ("after_id=msgbatch_01".to_owned(), 404),
    ] {
        assert_eq!(list(&query).await?.0, status, "{query}");
    }
    let (status, refused) = send_json(&setup, 0, &caller, "GET", "/v1/files?order=up").await?;
    assert_eq!(status, 400, "{refused}");

    // What is gone leaves no gap.
    let mut files = Vec::new();
    for _ in 0..3 {
        files.push(upload(&setup, &caller, &[("purpose", "batch")], &line("own")).await?.1);
    }
    for gone in &files[1..] {
        let path = format!("/v1/files/{}", gone["id"].as_str().expect("an id"));
        assert_eq!(send_json(&setup, 0, &caller, "DELETE", &path).await?.0, 200);
    }
    let (_, page) = send_json(&setup, 0, &caller, "GET", "/v1/files?limit=1").await?;
    let page_is = (&page["data"][0]["id"], &page["has_more"]);
    assert_eq!(page_is, (&files[0]["id"], &json!(false)), "{page}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_around_what_bounds_the_lines_of_a_batch() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.make_key(0, json!({"models": ["own"]})).await?;
    let batches = setup.cluster.url(0, BATCHES);
    let good = line("own");
    let twice = good.replace("\"body\":", "\"body\":{\"model\":\"own\",\"messages\":[]},\"body\":");
    for (lines, told) in [
        (format!("\u{feff}{good}"), "line 1: Invalid JSON"),
        (format!("{good}\r{good}"), "line 1: Invalid JSON"),
        (twice, "line 1: Invalid JSON payload: duplicate field 'body'"),
        (good.replace("\"own\"", "\"claude\""), "line 1: "),
        (
            good.replace("/v1/chat/completions", "/v1/chat%2Fcompletions")
                .replace("hi", "x")
                .replace("\"messages\"", "\"api_base\":\"x\",\"messages\""),
            "line 1: ",
        ),
    ] {
        let (status, refused) = upload(&setup, &caller, &[("purpose", "batch")], &lines).await?;
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!((400..404).contains(&status) && message.starts_with(told), "{told}: {refused}");
    }
    let (status, file) = upload(&setup, &caller, &[("purpose", "batch")], &good).await?;
    assert_eq!(status, 200, "{file}");
    for (model, status) in [("own", 200), ("upstream-name", 200), ("claude", 403), ("x", 403)] {
        let asked = with(of(&file), &json!({"model": model}));
        let made = caller.post(&batches, &asked).await?;
        assert_eq!(made.status, status, "{model}: {}", made.body);
    }

    // A file that is said to be for something else is heard when a batch is made of it.
    let anyone = setup.make_key(0, json!({})).await?;
    let other = ("purpose", "user_data");
    for (lines, told) in [
        (good.replace("\"own\"", "\"claude\""), "'claude'"),
        (good.replace("\"own\"", "\"nobody's\""), "line 1: "),
        (good.replace("\"messages\"", "\"guardrails\":[\"pii\"],\"messages\""), "line 1: "),
        (good.replace("\"messages\"", "\"mock_response\":\"hi\",\"messages\""), "upload it again"),
        (format!("{good}\n{}", good.replace("hi", &"hi".repeat(5 << 20))), "line 2: "),
    ] {
        let (status, file) = upload(&setup, &anyone, &[other, ("model", "own")], &lines).await?;
        assert_eq!(status, 200, "{file}");
        let refused = anyone.post(&batches, &of(&file)).await?;
        let is_told = refused.body.contains(told);
        assert!(refused.status == 400 && is_told, "{told}: {}", refused.body);
    }
    // A key may call less than when its file came in.
    let change = json!({"key": caller.key(), "models": ["claude"]});
    setup.admin(0, "/key/update", change).await?;
    let refused = caller.post(&batches, &of(&file)).await?;
    assert_eq!(refused.status, 403, "{}", refused.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lists_a_batch_that_is_over_is_told_after_it_was_charged() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let (_, file) = upload(&setup, &owner, &[("purpose", "batch")], &line("own")).await?;
    let mut other = of(&file);
    other["endpoint"] = json!("/v1/embeddings");
    let refused = owner.post(&setup.cluster.url(0, BATCHES), &other).await?;
    let told =
        "line 1: its `url` is '/v1/chat/completions', and the batch's `endpoint` is '/v1/emb";
    assert!(refused.status == 400 && refused.body.contains(told), "{}", refused.body);
    let made = owner.post(&setup.cluster.url(0, BATCHES), &of(&file)).await?;
    assert_eq!(made.status, 200, "{}", made.body);
    let (_, page) = send_json(&setup, 0, &owner, "GET", BATCHES).await?;
    let batch = &page["data"][0];
    assert_eq!(batch["status"], "completed", "{page}");
    let output = format!("/v1/files/{}", batch["output_file_id"].as_str().expect("an id"));
    let (status, gone) = send_json(&setup, 0, &owner, "DELETE", &output).await?;
    assert_eq!(status, 200, "{gone}");
    let rows = setup.cluster.url(0, "/spend/logs?summarize=false");
    let rows: Vec<Value> = owner.get(&rows).await?.json()?;
    let spent = rows.iter().filter(|row| row["spend"].as_f64().is_some_and(|spend| spend > 0.0));
    assert_eq!(spent.count(), 1, "{rows:?}");
    Ok(())
}
