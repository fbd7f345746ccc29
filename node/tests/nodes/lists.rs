//! What the master key lists of files and batches: that of all accounts, one after the other.

use dunlin_cluster::Client;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, assert_error};
use crate::responses::{line, upload};

/// `one` and `two` are of two accounts, each a mock; nobody answers for `away`, and `plain` has chats
/// alone.
async fn start(away: bool) -> anyhow::Result<(Setup, MockUpstream)> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let other = MockUpstream::start(Settings::default()).await?;
    let mut models = harness::deployment("one", "openai/upstream-name", &mock.api_base());
    models += &harness::deployment("again", "openai/upstream-other", &mock.api_base());
    models += &harness::deployment("two", "openai/upstream-name", &other.api_base());
    let nowhere = format!("{}/nothing/here", mock.api_base());
    models += &harness::deployment("plain", "hosted_vllm/upstream-name", &nowhere);
    if away {
        let closed = harness::deployment("away", "openai/upstream-name", "http://127.0.0.1:9/v1");
        models += &format!("{closed}    model_info: {{id: the-one-away}}\n");
    }
    let config = format!("model_list:\n{models}");
    Ok((harness::start_with(2, mock, config).await?, other))
}

async fn list(setup: &Setup, caller: &Client, path: &str) -> anyhow::Result<(Vec<Value>, bool)> {
    let reply = caller.get(&setup.cluster.url(1, path)).await?;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    assert_eq!(reply.header("x-dunlin-complete"), None, "{path}");
    let listed: Value = reply.json()?;
    let ids: Vec<Value> =
        listed["data"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect();
    assert_eq!(&listed["last_id"], ids.last().unwrap_or(&Value::Null), "{listed}");
    Ok((ids, listed["has_more"] == true))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_lists_what_all_accounts_have_page_by_page() -> anyhow::Result<()> {
    let (setup, _other) = start(false).await?;
    let master = setup.cluster.client();
    let mut made = Vec::new();
    for model in ["one", "two", "two"] {
        let (status, file) = upload(&setup, master, line(model)).await?;
        assert_eq!(status, 200, "{file}");
        made.push(file["id"].clone());
    }
    let (all, has_more) = list(&setup, master, "/v1/files").await?;
    assert!(!has_more);
    assert_eq!(all.len(), made.len(), "an account is asked once: {all:?}");
    assert!(made.iter().all(|id| all.contains(id)), "{made:?} in {all:?}");
    for (asked, count) in [
        ("?model=one", 1),
        ("?model=again", 1),
        ("?model=two", 2),
        ("?custom_llm_provider=openai", 3),
    ] {
        let (some, _) = list(&setup, master, &format!("/v1/files{asked}")).await?;
        assert_eq!(some.len(), count, "{asked}: {some:?}");
        assert!(some.iter().all(|id| made.contains(id)), "{asked}");
    }

    // One after the other, each once, as SDKs page: behind the last that they have.
    let (mut paged, mut path) = (Vec::new(), "/v1/files?limit=1".to_owned());
    loop {
        let (page, has_more) = list(&setup, master, &path).await?;
        assert_eq!(page.len(), 1, "{path}");
        paged.extend(page);
        if !has_more {
            break;
        }
        let last = paged.last().and_then(Value::as_str).expect("an id");
        path = format!("/v1/files?limit=1&after={last}");
    }
    assert_eq!(paged, all);

    for file in &made {
        let batch = json!({"input_file_id": file, "endpoint": "/v1/chat/completions",
            "completion_window": "24h"});
        let batch = master.post(&setup.cluster.url(0, "/v1/batches"), &batch).await?;
        assert_eq!(batch.status, 200, "{}", batch.body);
        let batch: Value = batch.json()?;
        let (batches, _) = list(&setup, master, "/v1/batches?limit=20").await?;
        assert!(batches.contains(&batch["id"]), "{batch} in {batches:?}");
    }
    let unknown = setup.cluster.url(0, "/v1/files?after=file-other");
    assert_error(
        &master.get(&unknown).await?,
        404,
        json!("invalid_request_error"),
        "No file found with id 'file-other'",
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_does_not_answer_is_named() -> anyhow::Result<()> {
    let (setup, _other) = start(true).await?;
    let master = setup.cluster.client();
    let (status, file) = upload(&setup, master, line("two")).await?;
    assert_eq!(status, 200, "{file}");
    let reply = master.get(&setup.cluster.url(0, "/v1/files")).await?;
    let listed: Value = reply.json()?;
    assert_eq!((reply.status, &listed["data"][0]["id"]), (200, &file["id"]), "{listed}");
    assert_eq!(reply.header("x-dunlin-complete"), Some("false"));
    assert_eq!(reply.header("x-dunlin-missing-deployments"), Some("the-one-away"));
    // Where nobody else answers, it is the failure.
    let alone = master.get(&setup.cluster.url(0, "/v1/files?model=away")).await?;
    assert_eq!(alone.status, 500, "{}", alone.body);
    Ok(())
}
