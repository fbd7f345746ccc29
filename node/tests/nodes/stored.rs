//! Responses of a provider that keeps none: the cluster stores them, on two nodes, for a day.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, Setup, assert_error, send_json as send};

async fn respond(
    setup: &Setup,
    node: usize,
    caller: &Client,
    body: &Value,
) -> anyhow::Result<Reply> {
    Ok(caller.post(&setup.cluster.url(node, "/v1/responses"), body).await?)
}

/// What the model was sent last: who spoke, and what.
fn sent(setup: &Setup) -> Vec<(String, String)> {
    let request = setup.mock.last_request().expect("there was one");
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let text = |content: &Value| {
        let text = content.as_str().or(content[0]["text"].as_str());
        text.unwrap_or_default().to_owned()
    };
    let messages = body["messages"].as_array().expect("messages");
    let said = |message: &Value| {
        (message["role"].as_str().unwrap_or_default().to_owned(), text(&message["content"]))
    };
    messages.iter().map(said).collect()
}

fn turns(said: &[(&str, &str)]) -> Vec<(String, String)> {
    said.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

fn id(response: &Value) -> String {
    response["id"].as_str().expect("an id").to_owned()
}

const FIRST: &str = "[[say:good day]] one";
const SECOND: &str = "[[say:so it is]] two";

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_on_every_node_and_after_the_death_of_the_one_that_began_it()
-> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let first: Value =
        respond(&setup, 0, &owner, &json!({"model": "chat", "input": FIRST})).await?.json()?;
    assert_eq!((&first["store"], &first["previous_response_id"]), (&json!(true), &Value::Null));
    assert!(id(&first).starts_with("resp_dn1"), "{first}");

    let next = json!({"model": "chat", "input": SECOND, "previous_response_id": id(&first),
        "instructions": "be brief", "stream": true});
    let streamed = respond(&setup, 1, &owner, &next).await?;
    assert_eq!(streamed.status, 200, "{}", streamed.body);
    let expected = [("system", "be brief"), ("user", FIRST), ("assistant", "good day")];
    assert_eq!(sent(&setup), turns(&[&expected[..], &[("user", SECOND)]].concat()));
    let data = streamed.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = data.map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let (begun, second) = (&events[0]["response"], &events.last().expect("events")["response"]);
    assert_eq!((id(begun), &second["status"]), (id(second), &json!("completed")));
    assert_eq!(second["previous_response_id"], first["id"]);
    // Who has the last event goes on at once, wherever.
    for node in [2, 0] {
        let third = json!({"model": "chat", "input": "three", "previous_response_id": id(second)});
        let third = respond(&setup, node, &owner, &third).await?;
        assert_eq!(third.status, 200, "{}", third.body);
        let said = sent(&setup);
        assert_eq!(said.len(), 5, "the instructions of a turn are its own: {said:?}");
        assert_eq!(said[3], ("assistant".to_owned(), "so it is".to_owned()));
    }

    setup.cluster.kill(0).await?;
    for node in [1, 2] {
        let path = format!("/v1/responses/{}", id(&first));
        let (status, read) = send(&setup, node, &owner, "GET", &path).await?;
        assert_eq!((status, &read), (200, &first), "from node {node}");
        let again = json!({"model": "chat", "input": "four", "previous_response_id": id(&first)});
        let again = respond(&setup, node, &owner, &again).await?;
        assert_eq!(again.status, 200, "{}", again.body);
        assert_eq!(sent(&setup).len(), 3);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_response_is_read_and_deleted_by_its_owner_only() -> anyhow::Result<()> {
    let setup = harness::start(2).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let other = setup.make_key(0, json!({})).await?;
    let input = json!([{"role": "user", "content": FIRST}, {"role": "user", "content": "and"}]);
    let made: Value =
        respond(&setup, 0, &owner, &json!({"model": "chat", "input": input})).await?.json()?;
    let path = format!("/v1/responses/{}", id(&made));
    for caller in [&owner, setup.cluster.client()] {
        assert_eq!(send(&setup, 1, caller, "GET", &path).await?, (200, made.clone()));
    }
    let items = format!("{path}/input_items?order=asc&limit=1");
    let (status, page) = send(&setup, 1, &owner, "GET", &items).await?;
    assert_eq!((status, &page["has_more"]), (200, &json!(true)), "{page}");
    assert_eq!(page["data"][0]["content"][0], json!({"type": "input_text", "text": FIRST}));
    for (query, told) in [
        ("limit=0", "'0' is not a whole number from 1 to 100"),
        ("limit=101", "'101' is not a whole number from 1 to 100"),
        ("limit=-1", "'-1' is not a whole number from 1 to 100"),
        ("order=x", "'x' is not asc or desc"),
        ("after=nope", "'nope' is not an input item of this response"),
    ] {
        let items = format!("{path}/input_items?{query}");
        let (status, refused) = send(&setup, 1, &owner, "GET", &items).await?;
        assert!(status == 400 && refused.to_string().contains(told), "{query}: {refused}");
    }
    let streamed = format!("{path}?stream=true");
    assert_eq!(send(&setup, 1, &owner, "GET", &streamed).await?.0, 400, "it is over");
    let cancel = format!("{path}/cancel");
    assert_eq!(send(&setup, 1, &owner, "POST", &cancel).await?.0, 400, "nobody else waits for it");

    let next = |model: &str, id: &str| json!({"model": model, "input": "more", "previous_response_id": id});
    let refused = respond(&setup, 1, &other, &next("chat", &id(&made))).await?;
    assert_error(&refused, 404, json!("invalid_request_error"), "No response found with id");
    for method in ["GET", "DELETE"] {
        assert_eq!(send(&setup, 1, &other, method, &path).await?.0, 404);
    }
    let (status, deleted) = send(&setup, 1, &owner, "DELETE", &path).await?;
    assert_eq!((status, &deleted["deleted"]), (200, &json!(true)), "{deleted}");
    for node in [0, 1] {
        assert_eq!(send(&setup, node, &owner, "GET", &path).await?.0, 404);
        let refused = respond(&setup, node, &owner, &next("chat", &id(&made))).await?;
        assert_eq!(refused.status, 404, "{}", refused.body);
        assert!(refused.body.contains("': it was deleted. Send"), "{}", refused.body);
    }

    let private = json!({"model": "chat", "input": "hi", "store": false});
    let private: Value = respond(&setup, 0, &owner, &private).await?.json()?;
    assert_eq!(private["store"], json!(false));
    let refused = respond(&setup, 0, &owner, &next("chat", &id(&private))).await?;
    assert_eq!(refused.status, 404, "{}", refused.body);
    assert!(refused.body.contains("was not made by this gateway"), "{}", refused.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_hears_what_was_deleted() -> anyhow::Result<()> {
    let mut setup = harness::start(2).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let ask = json!({"model": "chat", "input": FIRST});
    let made: Value = respond(&setup, 0, &owner, &ask).await?.json()?;
    let path = format!("/v1/responses/{}", id(&made));
    setup.cluster.kill(1).await?;
    assert_eq!(send(&setup, 0, &owner, "DELETE", &path).await?.0, 200);
    setup.cluster.restart(1)?;
    setup.cluster.wait_ready(FORMED).await?;
    for node in [1, 0] {
        assert_eq!(send(&setup, node, &owner, "GET", &path).await?.0, 404, "node {node}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_made_shorter_by_its_own_model() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let first: Value =
        respond(&setup, 0, &owner, &json!({"model": "chat", "input": FIRST})).await?.json()?;
    let ask = json!({"model": "chat", "input": SECOND, "previous_response_id": id(&first)});
    let short = owner.post(&setup.cluster.url(0, "/v1/responses/compact"), &ask).await?;
    assert_eq!(short.status, 200, "{}", short.body);
    assert!(short.header("x-litellm-response-cost").is_some_and(|cost| cost != "0.0"));
    let wish = sent(&setup);
    assert_eq!(wish[..3], turns(&[("user", FIRST), ("assistant", "good day"), ("user", SECOND)]));
    assert!(wish[3].1.starts_with("Write a summary of this conversation"), "{wish:?}");

    let short: Value = short.json()?;
    assert_eq!(short["object"], "response.compaction");
    let mut input = short["output"].as_array().expect("items").clone();
    assert_eq!(input.len(), 3, "what the user said, and the summary: {short}");
    assert_eq!(input[2]["type"], "compaction");
    input.push(json!({"role": "user", "content": "and now?"}));
    let next = respond(&setup, 0, &owner, &json!({"model": "chat", "input": input})).await?;
    assert_eq!(next.status, 200, "{}", next.body);
    let said = sent(&setup);
    assert!(said[2].1.starts_with("Summary of the conversation before this point:"), "{said:?}");

    let silent = json!({"model": "chat", "store": false});
    let refused = owner.post(&setup.cluster.url(0, "/v1/responses/compact"), &silent).await?;
    assert_eq!(refused.status, 400, "{}", refused.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_stored_is_on_no_disk() -> anyhow::Result<()> {
    let setup = harness::start(2).await?;
    let owner = setup.make_key(0, json!({})).await?;
    for (store, expected) in [(true, 2), (false, 0)] {
        let secret = format!("a secret of the test {store}");
        let ask = json!({"model": "chat", "input": secret, "store": store});
        assert_eq!(respond(&setup, 0, &owner, &ask).await?.status, 200);
        let holding = (0..2).filter(|node| holds(&setup, *node, secret.as_bytes()));
        assert_eq!(holding.count(), expected, "store: {store}");
    }
    Ok(())
}

/// Whether a file of a node has these bytes in it.
fn holds(setup: &Setup, node: usize, bytes: &[u8]) -> bool {
    let mut folders = vec![setup.home(node)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let file = std::fs::read(&path).unwrap_or_default();
            if file.windows(bytes.len()).any(|window| window == bytes) {
                return true;
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    false
}

/// Whether any file below holds that text.
fn is_on_disk(dir: &std::path::Path, text: &str) -> anyhow::Result<bool> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            is_on_disk(&path, text)?
        } else {
            std::fs::read(&path)?.windows(text.len()).any(|part| part == text.as_bytes())
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_redacted_is_on_no_disk() -> anyhow::Result<()> {
    for everywhere in [false, true] {
        let mock = MockUpstream::start(Settings::default()).await?;
        let config = harness::chat_config(&mock.api_base());
        let off = "litellm_settings: {turn_off_message_logging: true}\n";
        let config = if everywhere { config + off } else { config };
        let setup = harness::start_with(2, mock, config).await?;
        let ask = async |word: &str, redacted: bool, background: bool| {
            let body = json!({"model": "chat", "input": word, "background": background});
            let request =
                dunlin_cluster::http_client()?.post(setup.cluster.url(0, "/v1/responses"));
            let request = request.bearer_auth(setup.cluster.master_key()).json(&body);
            let request =
                request.header("x-litellm-enable-message-redaction", redacted.to_string());
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            anyhow::Ok((status, serde_json::from_str::<Value>(&answer.text().await?)?))
        };
        let (status, plain) = ask("kingfisher", false, false).await?;
        assert_eq!((status, &plain["store"]), (200, &json!(!everywhere)), "{plain}");
        assert_eq!(is_on_disk(setup.dir(), "kingfisher")?, !everywhere);
        let (status, secret) = ask("nightjar", true, false).await?;
        assert_eq!((status, &secret["store"]), (200, &json!(false)), "{secret}");
        let (status, refused) = ask("nightjar", true, true).await?;
        assert!(status == 400 && refused.to_string().contains("redaction"), "{refused}");
        assert!(!is_on_disk(setup.dir(), "nightjar")?, "the words of a redacted turn");
    }
    Ok(())
}

/// As Vercel's AI SDK does, which sends what was said before by its ids.
#[tokio::test(flavor = "multi_thread")]
async fn items_may_be_named_instead_of_repeated() -> anyhow::Result<()> {
    let setup = harness::start(2).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let other = setup.make_key(0, json!({})).await?;
    for streamed in [false, true] {
        let first = json!({"model": "chat", "input": FIRST, "stream": streamed});
        let told = respond(&setup, 0, &owner, &first).await?;
        let last = told.body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
        let whole = match last {
            Some(event) => serde_json::from_str::<Value>(event)?["response"].clone(),
            None => told.json()?,
        };
        let item = json!({"type": "item_reference", "id": whole["output"][0]["id"]});
        let user = |text: &str| json!({"role": "user", "content": text});
        let next = json!({"model": "chat", "input": [user("one"), item, user("two")]});
        let reply = respond(&setup, 1, &owner, &next).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let expected = [("user", "one"), ("assistant", "good day"), ("user", "two")];
        assert_eq!(sent(&setup), turns(&expected), "streamed: {streamed}");

        let refused = respond(&setup, 1, &other, &next).await?;
        assert_error(&refused, 404, json!("invalid_request_error"), "No response found with id");
    }
    let theirs = json!([{"type": "item_reference", "id": "msg_67ccd2be"}]);
    let refused = respond(&setup, 0, &owner, &json!({"model": "chat", "input": theirs})).await?;
    assert!(refused.status == 400 && refused.body.contains("input[0]"), "{}", refused.body);
    Ok(())
}
