//! OpenAI's responses: passed on to a provider that has them, bridged to one that has only chats.
//! An id works on every node, for its owner only, and after a restart.

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, SOON, Setup, assert_error, send};

/// `own` has responses and `bridged` has not; both are one mock.
pub(crate) async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let own = harness::deployment("own", "openai/upstream-name", &mock.api_base());
    let bridged = harness::deployment("bridged", "openai/upstream-name", &mock.api_base());
    let config = format!("model_list:\n{own}    model_info: {{mode: responses}}\n{bridged}");
    harness::start_with(nodes, mock, config).await
}

async fn respond(
    setup: &Setup,
    node: usize,
    caller: &Client,
    body: &Value,
) -> anyhow::Result<Reply> {
    Ok(caller.post(&setup.cluster.url(node, "/v1/responses"), body).await?)
}

/// The data of a stream's events.
fn events(reply: &Reply) -> Vec<Value> {
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("an event is JSON")).collect()
}

/// The body of the last request that the upstream got.
fn sent(setup: &Setup) -> (String, Value) {
    let request = setup.mock.last_request().expect("there was one");
    let body = serde_json::from_slice(&request.body).unwrap_or_default();
    (request.path, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_passes_to_who_has_them_and_is_a_chat_elsewhere() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.cluster.client();
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    for (model, path) in [("own", "/v1/responses"), ("bridged", "/v1/chat/completions")] {
        let ask = json!({"model": model, "input": "hi"});
        let reply = respond(&setup, 0, caller, &ask).await?;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        let response: Value = reply.json()?;
        assert_eq!((&response["model"], &response["status"]), (&json!(model), &json!("completed")));
        assert!(reply.header("x-litellm-response-cost").is_some_and(|cost| cost != "0.0"));
        assert_eq!(sent(&setup).0, path);

        let called =
            json!({"model": model, "input": "hi", "tools": tools, "tool_choice": "required"});
        let called: Value = respond(&setup, 0, caller, &called).await?.json()?;
        let items = called["output"].as_array().expect("a list");
        assert!(items.iter().any(|item| item["type"] == "function_call"), "{called}");

        let ask = json!({"model": model, "input": "hi", "stream": true});
        let streamed = events(&respond(&setup, 0, caller, &ask).await?);
        let last = streamed.last().expect("an event");
        assert_eq!(last["type"], "response.completed");
        let created = &streamed[0]["response"];
        for key in ["id", "model"] {
            assert_eq!(created[key], last["response"][key], "{key} stays the same");
        }
        assert_eq!(last["response"]["model"], model);
    }
    let foreign = json!({"model": "own", "input": "hi", "previous_response_id": "resp_0123"});
    let refused = respond(&setup, 0, caller, &foreign).await?;
    let message = "No response found with id 'resp_0123': the id was not made by this gateway";
    assert_error(&refused, 404, json!("invalid_request_error"), message);
    let foreign = json!({"model": "bridged", "input": "hi", "previous_response_id": "resp_0123"});
    assert_error(
        &respond(&setup, 0, caller, &foreign).await?,
        404,
        json!("invalid_request_error"),
        message,
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_on_any_node_for_its_owner_only() -> anyhow::Result<()> {
    let mut setup = start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let other = setup.make_key(1, json!({})).await?;
    let ask = json!({"model": "own", "input": "hi"});
    let first: Value = respond(&setup, 0, &owner, &ask).await?.json()?;
    let id = first["id"].as_str().expect("an id").to_owned();
    let go_on = json!({"model": "own", "input": "and?", "previous_response_id": id});

    let second = respond(&setup, 1, &owner, &go_on).await?;
    assert_eq!(second.status, 200, "{}", second.body);
    let second: Value = second.json()?;
    assert_eq!(second["previous_response_id"], json!(id), "the client's own id");
    let upstream = sent(&setup).1["previous_response_id"].as_str().expect("an id").to_owned();
    assert_ne!(upstream, id, "the provider gets the id that it gave");

    let refused = respond(&setup, 2, &other, &go_on).await?;
    assert_error(&refused, 404, json!("invalid_request_error"), "No response found with id");
    assert_eq!(respond(&setup, 2, setup.cluster.client(), &go_on).await?.status, 200, "the master");
    let elsewhere = json!({"model": "bridged", "input": "and?", "previous_response_id": id});
    assert_eq!(respond(&setup, 2, &owner, &elsewhere).await?.status, 400);
    let mut damaged = id.clone().into_bytes();
    damaged[40] ^= 1;
    let damaged = String::from_utf8(damaged)?;
    let broken = json!({"model": "own", "input": "and?", "previous_response_id": damaged});
    assert_eq!(respond(&setup, 1, &owner, &broken).await?.status, 404);

    setup.cluster.stop(0).await?;
    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(FORMED).await?;
    let third = respond(&setup, 0, &owner, &go_on).await?;
    assert_eq!(third.status, 200, "{}", third.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_response_is_read_and_deleted_from_any_node() -> anyhow::Result<()> {
    let setup = start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let other = setup.make_key(1, json!({})).await?;
    let ask = json!({"model": "own", "input": "hi"});
    let made: Value = respond(&setup, 0, &owner, &ask).await?.json()?;
    let path = format!("/v1/responses/{}", made["id"].as_str().expect("an id"));
    for caller in [&owner, setup.cluster.client()] {
        let (status, body) = send(&setup, 1, caller, "GET", &path).await?;
        assert_eq!(status, 200, "{body}");
        assert_eq!(serde_json::from_str::<Value>(&body)?, made, "it is what was answered");
    }
    let (status, items) = send(&setup, 2, &owner, "GET", &format!("{path}/input_items")).await?;
    assert_eq!(status, 200, "{items}");
    assert_eq!(serde_json::from_str::<Value>(&items)?["data"][0]["content"][0]["text"], "hi");
    for method in ["GET", "DELETE"] {
        assert_eq!(send(&setup, 2, &other, method, &path).await?.0, 404);
    }
    let (status, deleted) = send(&setup, 2, &owner, "DELETE", &path).await?;
    assert_eq!(status, 200, "{deleted}");
    assert_eq!(serde_json::from_str::<Value>(&deleted)?["id"], made["id"]);
    assert_eq!(send(&setup, 0, &owner, "GET", &path).await?.0, 404, "the provider has it no more");
    let (status, body) = send(&setup, 0, &owner, "GET", "/v1/responses/resp_0123").await?;
    assert!(status == 404 && body.contains("was not made by this gateway"), "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_knows_a_response_by_the_id_that_its_client_got() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.cluster.client();
    for (model, more) in [
        ("own", json!({})),
        ("own", json!({"stream": true})),
        ("bridged", json!({})),
        ("bridged", json!({"stream": true})),
        ("bridged", json!({"store": false})),
        ("bridged", json!({"background": true})),
    ] {
        let mut ask = more.clone();
        (ask["model"], ask["input"]) = (model.into(), "hi".into());
        let reply = respond(&setup, 0, caller, &ask).await?;
        let is_stream = ask["stream"] == true;
        let response = if is_stream {
            events(&reply).swap_remove(0)["response"].take()
        } else {
            reply.json()?
        };
        let id = response["id"].as_str().expect("an id");
        let url = setup.cluster.url(0, &format!("/spend/logs?request_id={id}"));
        wait_until(&format!("the row of {model} {more}"), SOON, async || {
            let rows = caller.get(&url).await.ok().and_then(|rows| rows.json::<Value>().ok());
            rows.is_some_and(|rows| rows[0]["request_id"] == *id && rows[0]["model"] != Value::Null)
        })
        .await?;
    }
    Ok(())
}

/// One line of a batch.
pub(crate) fn line(model: &str) -> String {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    let line =
        json!({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body});
    line.to_string()
}

/// Uploads the lines of a batch to the first node.
pub(crate) async fn upload(
    setup: &Setup,
    owner: &Client,
    lines: String,
) -> anyhow::Result<(u16, Value)> {
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--B\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n{lines}\r\n--B--\r\n"
    );
    let request = dunlin_cluster::http_client()?.post(setup.cluster.url(0, "/v1/files"));
    let request = request.bearer_auth(owner.key());
    let request = request.header("content-type", "multipart/form-data; boundary=B");
    let answer = request.body(body).send().await?;
    Ok((answer.status().as_u16(), serde_json::from_str(&answer.text().await?)?))
}

/// What the lines of a batch's output come to.
fn cost_of_lines(output: &str) -> f64 {
    let line: Value = serde_json::from_str(output.lines().next().expect("a line")).expect("JSON");
    let usage = &line["response"]["body"]["usage"];
    let tokens = |name: &str| usage[name].as_f64().expect("a count");
    tokens("prompt_tokens") * harness::INPUT_COST
        + tokens("completion_tokens") * harness::OUTPUT_COST
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_tuned_where_its_files_are_and_the_job_is_its_owners() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let owner = setup.make_key(0, json!({"models": ["own"]})).await?;
    let other = setup.make_key(1, json!({})).await?;
    let (status, file) = upload(&setup, &owner, line("own")).await?;
    assert_eq!(status, 200, "{file}");
    let tune = async |node: usize, caller: &Client, change: Value| {
        let mut body = json!({"model": "own", "training_file": file["id"], "suffix": "x"});
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        anyhow::Ok(caller.post(&setup.cluster.url(node, "/v1/fine_tuning/jobs"), &body).await?)
    };
    assert_eq!(tune(1, &other, json!({})).await?.status, 404, "the file is another's");
    for (change, status) in [
        (json!({"model": "bridged"}), 403),
        (json!({"model": null}), 400),
        (json!({"training_file": null}), 400),
        (json!({"validation_file": "file-1"}), 404),
    ] {
        assert_eq!(tune(1, &owner, change.clone()).await?.status, status, "{change}");
    }
    let reply = tune(1, &owner, json!({"validation_file": file["id"]})).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("x-dunlin-unpriced"), Some("true"));
    let made: Value = reply.json()?;
    assert_eq!((&made["model"], &made["training_file"]), (&json!("own"), &file["id"]));
    assert_eq!(made["validation_file"], file["id"]);
    let sent = sent(&setup).1;
    assert_eq!((&sent["model"], &sent["suffix"]), (&json!("upstream-name"), &json!("x")));

    let id = made["id"].as_str().expect("an id");
    let path = format!("/v1/fine_tuning/jobs/{id}");
    let show = async |node: usize, caller: &Client, suffix: &str| {
        let (status, body) = send(&setup, node, caller, "GET", &format!("{path}{suffix}")).await?;
        anyhow::Ok((status, serde_json::from_str::<Value>(&body)?))
    };
    assert_eq!(show(0, &other, "").await?.0, 404);
    assert_eq!(show(0, &owner, "").await?.1["status"], "running");
    let (_, done) = show(1, &owner, "").await?;
    assert_eq!((&done["status"], &done["id"]), (&json!("succeeded"), &made["id"]));
    assert!(
        done["result_files"][0].as_str().is_some_and(|id| id.starts_with("file-dn1")),
        "{done}"
    );
    assert_eq!(show(0, &owner, "/events").await?.1["data"][0]["level"], "info");
    let (_, checkpoints) = show(1, &owner, "/checkpoints").await?;
    assert_eq!(checkpoints["data"][0]["fine_tuning_job_id"], made["id"]);
    let (_, paused) = send(&setup, 0, &owner, "POST", &format!("{path}/pause")).await?;
    assert!(paused.contains("paused"), "{paused}");
    let (_, cancelled) = send(&setup, 0, &owner, "POST", &format!("{path}/cancel")).await?;
    assert_eq!(serde_json::from_str::<Value>(&cancelled)?["status"], "cancelled");
    for (caller, jobs) in [(&owner, 1), (&other, 0), (setup.cluster.client(), 1)] {
        let (status, list) = send(&setup, 0, caller, "GET", "/fine_tuning/jobs").await?;
        let list: Value = serde_json::from_str(&list)?;
        assert_eq!((status, list["data"].as_array().map(Vec::len)), (200, Some(jobs)), "{list}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_runs_where_its_file_is_and_its_output_is_read_anywhere() -> anyhow::Result<()> {
    let setup = start(3).await?;
    let owner = setup.make_key(0, json!({"models": ["own"]})).await?;
    let other = setup.make_key(1, json!({})).await?;
    let upload = async |lines: String| upload(&setup, &owner, lines).await;
    assert_eq!(upload(line("bridged")).await?.0, 403, "the key may not call that model");
    let other_line = line("x").replace("\"1\"", "\"2\"");
    assert_eq!(upload(line("own") + "\n" + &other_line).await?.0, 400, "one model a file");
    let (status, file) = upload(line("own")).await?;
    assert_eq!(status, 200, "{file}");

    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"created_at": now()}});
    assert_eq!(other.post(&setup.cluster.url(1, "/v1/batches"), &body).await?.status, 404);
    let made = owner.post(&setup.cluster.url(1, "/v1/batches"), &body).await?;
    assert_eq!(made.status, 200, "{}", made.body);
    let made: Value = made.json()?;
    assert_eq!(made["input_file_id"], file["id"]);

    let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
    assert_eq!(send(&setup, 2, &other, "GET", &path).await?.0, 404);
    let (_, batch) = send(&setup, 2, &owner, "GET", &path).await?;
    let batch: Value = serde_json::from_str(&batch)?;
    assert_eq!((&batch["status"], &batch["id"]), (&json!("completed"), &made["id"]));
    let output = batch["output_file_id"].as_str().expect("an id");
    let path = format!("/v1/files/{output}/content");
    let (status, content) = send(&setup, 0, &owner, "GET", &path).await?;
    assert!(status == 200 && content.contains("upstream-name"), "{content}");
    let cost = cost_of_lines(&content);
    let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
    let looks = [0, 1, 2].map(|node| send(&setup, node, &owner, "GET", &path));
    futures::future::try_join_all(looks).await?;
    spends(&setup, &owner, cost).await?;
    let path = format!("/v1/files/{output}/content");
    assert_eq!(send(&setup, 0, &other, "GET", &path).await?.0, 404);

    for (kind, id) in [("files", &file["id"]), ("batches", &made["id"])] {
        let path = format!("/v1/{kind}?limit=5");
        let (status, list) = send(&setup, 1, &owner, "GET", &path).await?;
        let listed: Value = serde_json::from_str(&list)?;
        let data = listed["data"].as_array().expect("a list");
        assert_eq!((status, data.len(), &data[0]["id"]), (200, 1, id), "{list}");
        let (_, others) = send(&setup, 1, &other, "GET", &path).await?;
        assert_eq!(serde_json::from_str::<Value>(&others)?["data"], json!([]), "{kind}");
    }
    let master = setup.cluster.client();
    let (status, files) = send(&setup, 1, master, "GET", "/v1/files?model=own").await?;
    let files: Value = serde_json::from_str(&files)?;
    assert_eq!(status, 200, "{files}");
    let first = files["data"][0]["id"].as_str().expect("an id");
    let (status, shown) = send(&setup, 2, master, "GET", &format!("/v1/files/{first}")).await?;
    assert!(status == 200 && shown.contains(first), "{shown}");

    // Whichever model of the account the list is asked of, an id is the one that was given.
    for model in ["own", "bridged"] {
        let (status, made) = self::upload(&setup, master, line(model)).await?;
        assert_eq!(status, 200, "{made}");
        for asked in ["?model=own", "?model=bridged", ""] {
            let (_, files) = send(&setup, 2, master, "GET", &format!("/v1/files{asked}")).await?;
            let files: Value = serde_json::from_str(&files)?;
            let mut listed = files["data"].as_array().expect("a list").iter();
            assert!(listed.any(|file| file["id"] == made["id"]), "{asked}: {made} in {files}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_fails_says_so_in_the_providers_own_words() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.cluster.client();
    let ask = json!({"model": "own", "input": "[[fault:error 3]][[tokens:9]]", "stream": true,
        "metadata": {"breaks": "failed"}});
    let reply = respond(&setup, 0, caller, &ask).await?;
    let streamed = events(&reply);
    let (first, last) = (&streamed[0]["response"], streamed.last().expect("an event"));
    assert_eq!(last["type"], "response.failed", "{}", reply.body);
    assert_eq!(last["response"]["error"]["code"], "server_error");
    assert_eq!(
        (&last["response"]["id"], &last["response"]["model"]),
        (&first["id"], &json!("own"))
    );
    assert!(first["id"].as_str().is_some_and(|id| id.starts_with("resp_dn1")), "{first}");
    Ok(())
}

/// The moment in seconds, as a provider that works now would give it.
pub(crate) fn now() -> String {
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    since.as_secs().to_string()
}

/// Waits until a node knows that a key has spent so much.
async fn spends(setup: &Setup, caller: &Client, expected: f64) -> anyhow::Result<()> {
    let what = format!("the key has spent {expected}");
    wait_until(&what, harness::SOON, async || {
        let info = setup.key_info(2, caller).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
    })
    .await
}

fn cost(usage: &Value) -> f64 {
    let tokens = |name: &str| usage[name].as_f64().expect("a count");
    tokens("input_tokens") * harness::INPUT_COST + tokens("output_tokens") * harness::OUTPUT_COST
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_charged_once_when_it_is_found() -> anyhow::Result<()> {
    let setup = start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let ask = |stream: bool| {
        json!({"model": "own", "input": "hi", "background": true, "stream": stream,
            "metadata": {"created_at": now()}})
    };
    let made: Value = respond(&setup, 0, &owner, &ask(false)).await?.json()?;
    assert_eq!((&made["status"], &made["usage"]), (&json!("queued"), &Value::Null));
    let path = format!("/v1/responses/{}", made["id"].as_str().expect("an id"));
    // Who has the master key sees it, and pays nothing.
    assert_eq!(send(&setup, 1, setup.cluster.client(), "GET", &path).await?.0, 200);

    let finds = [0, 1, 2, 1, 0].map(|node| send(&setup, node, &owner, "GET", &path));
    let found = futures::future::try_join_all(finds).await?;
    let first: Value = serde_json::from_str(&found[0].1)?;
    assert_eq!(first["status"], "completed");
    let once = cost(&first["usage"]);
    spends(&setup, &owner, once).await?;

    // A stream that is read to its end is charged there, and not again.
    let streamed = events(&respond(&setup, 1, &owner, &ask(true)).await?);
    let last = &streamed.last().expect("an event")["response"];
    spends(&setup, &owner, once + cost(&last["usage"])).await?;
    let path = format!("/v1/responses/{}", last["id"].as_str().expect("an id"));
    let (status, again) = send(&setup, 0, &owner, "GET", &path).await?;
    assert_eq!(status, 200, "{again}");
    // Settled after all that came before it on that node.
    let plain = json!({"model": "own", "input": "hi"});
    let plain: Value = respond(&setup, 0, &owner, &plain).await?.json()?;
    spends(&setup, &owner, once + cost(&last["usage"]) + cost(&plain["usage"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_charged_though_nobody_reads_it() -> anyhow::Result<()> {
    let mut setup = start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let ask = |stream: bool| {
        json!({"model": "own", "input": "hi", "background": true, "stream": stream,
            "metadata": {"created_at": now()}})
    };
    let master = setup.cluster.client().clone();
    let read = async |setup: &Setup, id: &str| -> anyhow::Result<f64> {
        let (_, read) = send(setup, 1, &master, "GET", &format!("/v1/responses/{id}")).await?;
        Ok(cost(&serde_json::from_str::<Value>(&read)?["usage"]))
    };
    let first: Value = respond(&setup, 1, &owner, &ask(false)).await?.json()?;
    let expected = read(&setup, first["id"].as_str().expect("an id")).await?;
    spends(&setup, &owner, expected).await?;

    // The node that made the next one is dead before it could ask.
    let second: Value = respond(&setup, 0, &owner, &ask(false)).await?.json()?;
    setup.cluster.kill(0).await?;
    let expected = expected + read(&setup, second["id"].as_str().expect("an id")).await?;
    let what = format!("the key has spent {expected}");
    wait_until(&what, 2 * harness::SOON, async || {
        let info = setup.key_info(2, &owner).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_maker_dies_is_charged_once_and_read_on_the_other_nodes() -> anyhow::Result<()>
{
    let mut setup = start(3).await?;
    let owner = setup.make_key(1, json!({})).await?;
    let (status, file) = upload(&setup, &owner, line("own")).await?;
    assert_eq!(status, 200, "{file}");
    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"created_at": now()}});
    let made = owner.post(&setup.cluster.url(0, "/v1/batches"), &body).await?;
    assert_eq!(made.status, 200, "{}", made.body);
    let made: Value = made.json()?;
    setup.cluster.kill(0).await?;

    // The master key sees it, and pays nothing; its owner does not look.
    let master = setup.cluster.client().clone();
    let batch_path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
    let (_, batch) = send(&setup, 1, &master, "GET", &batch_path).await?;
    let batch: Value = serde_json::from_str(&batch)?;
    let output = batch["output_file_id"].as_str().expect("an id");
    let output_path = format!("/v1/files/{output}/content");
    let (status, content) = send(&setup, 2, &owner, "GET", &output_path).await?;
    assert_eq!(status, 200, "{content}");
    let expected = cost_of_lines(&content);
    let what = format!("the key has spent {expected}");
    wait_until(&what, 2 * harness::SOON, async || {
        let info = setup.key_info(2, &owner).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
    })
    .await?;

    let file_path = format!("/v1/files/{}", file["id"].as_str().expect("an id"));
    for node in [1, 2] {
        for path in [&batch_path, &file_path] {
            assert_eq!(send(&setup, node, &owner, "GET", path).await?.0, 200, "{path}");
        }
        let (status, list) = send(&setup, node, &owner, "GET", "/v1/batches").await?;
        let list: Value = serde_json::from_str(&list)?;
        assert_eq!((status, &list["data"][0]["id"]), (200, &made["id"]), "node {node}");
    }
    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(FORMED).await?;
    assert_eq!(send(&setup, 0, &owner, "GET", &batch_path).await?.0, 200);
    // Settled after all that came before it on that node.
    let plain = json!({"model": "own", "input": "hi"});
    let plain: Value = respond(&setup, 0, &owner, &plain).await?.json()?;
    spends(&setup, &owner, expected + cost(&plain["usage"])).await
}
