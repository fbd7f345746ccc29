//! The request log is one log, whichever node served a request, is asked for it, or is gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{self, FORMED, SOON, Setup};

/// All days that a log can have.
const DAYS: &str = "start_date=2000-01-01&end_date=2199-12-31";

/// What one node answers at a path of the log.
async fn ask(setup: &Setup, node: usize, caller: &Client, path: &str) -> anyhow::Result<Reply> {
    let reply = caller.get(&setup.cluster.url(node, path)).await?;
    ensure!(reply.ok(), "GET {path} on node {node}: {} {}", reply.status, reply.body);
    Ok(reply)
}

/// All rows that the caller may see, by pages and their cursors.
async fn rows(
    setup: &Setup,
    node: usize,
    caller: &Client,
    filter: &str,
) -> anyhow::Result<Vec<Value>> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/spend/logs/v2?{DAYS}&page_size=100&count=false{filter}{cursor}");
        let mut page: Value = ask(setup, node, caller, &path).await?.json()?;
        rows.append(page["data"].as_array_mut().context("rows")?);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(rows),
        }
    }
}

fn calls(rows: &[Value]) -> BTreeSet<String> {
    let ids = rows.iter().map(|row| row["litellm_call_id"].as_str().expect("an id").to_owned());
    ids.collect()
}

/// In nano-dollars, to the last one.
fn sum(rows: &[Value]) -> u64 {
    let costs = rows.iter().map(|row| row["metadata"]["dunlin"]["nano_usd"].as_u64());
    costs.map(|cost| cost.expect("an amount")).sum()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small amounts")]
fn nano(usd: &Value) -> u64 {
    (usd.as_f64().expect("an amount") * 1e9).round() as u64
}

fn call_id(reply: &Reply) -> String {
    reply.header("x-litellm-call-id").expect("every answer has one").to_owned()
}

/// Asks `nodes` in turn, all at once. `None` where a node did not answer.
fn rush(setup: &Setup, nodes: &[usize], caller: &Client, count: usize) -> JoinSet<Option<Reply>> {
    let mut sent = JoinSet::new();
    for number in 0..count {
        let url = setup.cluster.url(nodes[number % nodes.len()], "/v1/chat/completions");
        let caller = caller.clone();
        let mut body = harness::chat_body();
        body["max_tokens"] = json!(1 + number % 20);
        sent.spawn(async move { caller.post(&url, &body).await.ok() });
    }
    sent
}

async fn settled(setup: &Setup, caller: &Client, spend: u64) -> anyhow::Result<()> {
    for node in 0..setup.cluster.nodes().len() {
        wait_until(&format!("{spend} are settled, as node {node} sees it"), SOON, async || {
            let info = setup.key_info(node, caller).await;
            info.is_ok_and(|info| nano(&info["spend"]) == spend)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_all_nodes_are_seen_from_each_and_cost_what_is_settled() -> anyhow::Result<()>
{
    let setup = harness::start(3).await?;
    let fields = json!({"key_alias": "logged", "user_id": "ann", "team_id": null});
    let caller = setup.make_key(0, fields).await?;
    let other = setup.make_key(1, json!({"key_alias": "other"})).await?;
    let replies = rush(&setup, &[0, 1, 2], &caller, 240).join_all().await;
    let replies: Vec<_> = replies.into_iter().flatten().collect();
    assert!(replies.iter().all(Reply::ok));
    let sent: BTreeSet<_> = replies.iter().map(call_id).collect();
    let refused = setup.ask(1, &caller, &json!({"model": "none", "messages": []})).await?;
    assert_eq!(refused.status, 400, "{}", refused.body);
    setup.chat(2, &other).await?;

    let admin = setup.cluster.client();
    for node in 0..3 {
        let all = rows(&setup, node, admin, "&key_alias=logged&status_filter=success").await?;
        assert_eq!(all.len(), sent.len(), "as many rows as answers, on node {node}");
        assert_eq!(calls(&all), sent);
        settled(&setup, &caller, sum(&all)).await?;
        let own = rows(&setup, node, &caller, "").await?;
        assert_eq!(own.len(), sent.len() + 1, "a key sees its own requests and no others");
        let failed = rows(&setup, node, admin, "&status_filter=failure").await?;
        assert_eq!(calls(&failed), BTreeSet::from([call_id(&refused)]));
        let told = &failed[0]["metadata"]["error_information"];
        assert_eq!(
            (&told["error_code"], &failed[0]["model_group"]),
            (&json!("400"), &json!("none"))
        );

        let path = format!("/spend/logs/v2?{DAYS}&key_alias=logged&page=3&page_size=100");
        let reply = ask(&setup, node, admin, &path).await?;
        assert_eq!(reply.header("x-dunlin-complete"), Some("true"));
        let page: Value = reply.json()?;
        assert_eq!((&page["total"], &page["total_pages"]), (&json!(241), &json!(3)));
        assert_eq!(page["data"].as_array().map(Vec::len), Some(41));

        // LiteLLM's older path: a row by its id, and the sums of a day.
        let row = &all[0];
        let id = row["request_id"].as_str().expect("an id");
        let path = format!("/spend/logs?request_id={id}&user_id=ann");
        let found: Vec<Value> = ask(&setup, node, admin, &path).await?.json()?;
        assert!(found.iter().any(|found| found["litellm_call_id"] == row["litellm_call_id"]));
        assert_eq!((&found[0]["user"], &found[0]["messages"]), (&json!("ann"), &json!({})));
        let path = format!("/spend/logs?start_date={0}&end_date={0}&user_id=ann", day(row));
        let days: Value = ask(&setup, node, admin, &path).await?.json()?;
        assert_eq!(nano(&days[0]["users"]["ann"]), sum(&all), "{days}");
        assert_eq!(days[0]["startTime"], day(row));
    }
    Ok(())
}

fn day(row: &Value) -> &str {
    &row["startTime"].as_str().expect("a time")[..10]
}

/// The segments under the folder of a node's own journal, or under that of copies of it.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let logs = entries.filter(|entry| entry.path().extension() == Some("log".as_ref()));
    logs.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}

fn find(folder: &Path, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    let below = |path: PathBuf| {
        if path.ends_with(name) { vec![path] } else { find(&path, name) }
    };
    folders.flat_map(below).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nodes_requests_are_there_from_a_copy_when_its_disk_is_gone() -> anyhow::Result<()>
{
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "logged"})).await?;
    let id = setup.cluster.status(2).await?.node.to_string();
    let replies = rush(&setup, &[0, 1, 2, 2, 2], &caller, 100).join_all().await;
    // A node that was cut off for a moment may have refused some.
    let sent: BTreeSet<_> = replies.iter().flatten().filter(|it| it.ok()).map(call_id).collect();
    assert!(sent.len() > 50, "{} of 100 were answered", sent.len());
    let home = setup.home(2);
    let copy = format!("copies/{id}");
    wait_until("node 2's records are copied", SOON, async || {
        let own: u64 = find(&home, "journal").iter().map(|folder| bytes(folder)).sum();
        let copied = [0, 1].iter().flat_map(|node| find(&setup.home(*node), &copy));
        own > 0 && copied.map(|folder| bytes(&folder)).max() == Some(own)
    })
    .await?;
    settled(&setup, &caller, sum(&rows(&setup, 0, setup.cluster.client(), "").await?)).await?;

    setup.cluster.kill(2).await?;
    std::fs::remove_dir_all(&home)?;
    let filter = "&key_alias=logged&status_filter=success";
    for node in [0, 1] {
        let path = format!("/spend/logs/v2?{DAYS}{filter}");
        let mut last = Value::Null;
        wait_until(&format!("node {node} misses node 2 and has all rows"), SOON, async || {
            let Ok(reply) = ask(&setup, node, setup.cluster.client(), &path).await else {
                return false;
            };
            last = reply.json().unwrap_or_default();
            reply.header("x-dunlin-missing-nodes") == Some(&*id)
                && reply.header("x-dunlin-complete") == Some("true")
                && last["missing_nodes"] == missing(&id, true, false)
        })
        .await?;
        assert_eq!(last["total"], sent.len(), "counted once each");
        let all = rows(&setup, node, setup.cluster.client(), filter).await?;
        assert_eq!(calls(&all), sent, "on node {node}");
        let spent = setup.key_info(node, &caller).await?;
        assert_eq!(sum(&all), nano(&spent["spend"]), "to the nano-dollar");
    }
    Ok(())
}

/// One node that is missed, and for which no money is withheld.
fn missing(node: &str, covered: bool, removed: bool) -> Value {
    json!([{"node": node, "covered": covered, "withheld_usd": 0.0, "removed": removed}])
}

/// Waits until node `of`'s log is on another node in full, and its spend is settled.
async fn copied(setup: &Setup, caller: &Client, of: usize) -> anyhow::Result<()> {
    let id = setup.cluster.status(of).await?.node.to_string();
    let copy = format!("copies/{id}");
    wait_until("its records are copied", SOON, async || {
        let own: u64 = find(&setup.home(of), "journal").iter().map(|folder| bytes(folder)).sum();
        let others = (0..3).filter(|node| *node != of);
        let copied = others.flat_map(|node| find(&setup.home(node), &copy));
        own > 0 && copied.map(|folder| bytes(&folder)).max() == Some(own)
    })
    .await?;
    settled(setup, caller, sum(&rows(setup, 0, setup.cluster.client(), "").await?)).await
}

/// What node 0 tells of the whole log once it answers so.
async fn told(setup: &Setup, what: &str, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    wait_until(what, FORMED, async || {
        let path = format!("/spend/logs/v2?{DAYS}&status_filter=success");
        let Ok(reply) = ask(setup, 0, setup.cluster.client(), &path).await else { return false };
        last = reply.json().unwrap_or_default();
        let complete = reply.header("x-dunlin-complete").map(str::to_owned);
        assert_eq!(complete, Some(last["complete"].to_string()));
        is_so(&last)
    })
    .await
    .with_context(|| last.to_string())?;
    Ok(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_makes_no_missing_row_complete() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "logged"})).await?;
    let id = setup.cluster.status(2).await?.node.to_string();
    let replies = rush(&setup, &[0, 1, 2], &caller, 60).join_all().await;
    assert!(replies.iter().flatten().all(Reply::ok));
    copied(&setup, &caller, 2).await?;
    setup.cluster.kill_all().await?;
    for lost in [0, 1].iter().flat_map(|node| find(&setup.home(*node), &format!("copies/{id}"))) {
        std::fs::remove_dir_all(lost)?;
    }
    std::fs::remove_dir_all(setup.home(2))?;
    setup.cluster.restart(0)?;
    setup.cluster.restart(1)?;
    let is_missed = |page: &Value, removed| page["missing_nodes"] == missing(&id, false, removed);
    let away = told(&setup, "node 2 is missed", |page| is_missed(page, false));
    assert_eq!(away.await?["total_is_exact"], false);
    wait_until("node 2 is removed", FORMED, async || {
        let removal = json!({"node": id});
        setup.admin(0, "/cluster/remove", removal).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    let after = told(&setup, "it is no member", |page| is_missed(page, true));
    let after = after.await?;
    assert_eq!((&after["complete"], &after["total_is_exact"]), (&json!(false), &json!(false)));
    assert!(after["total"].as_u64().is_some_and(|total| total < replies.len() as u64), "{after}");
    // What was settled since is all there.
    let later = "/spend/logs/v2?start_date=2198-12-31&end_date=2199-12-31";
    let reply = ask(&setup, 0, setup.cluster.client(), later).await?;
    assert_eq!(reply.header("x-dunlin-complete"), Some("true"), "{}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_lacks_what_a_killed_node_may_have_spent_and_not_what_a_stopped_one_gave_back()
-> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "logged", "max_budget": 10})).await?;
    let id = setup.cluster.status(2).await?.node.to_string();
    let replies = rush(&setup, &[2], &caller, 20).join_all().await;
    assert!(replies.iter().flatten().all(Reply::ok));
    copied(&setup, &caller, 2).await?;
    setup.cluster.kill(2).await?;
    // It may have answered more, in the moments before; as far as it had settled, all is there.
    let killed = told(&setup, "node 2 is missed", |page| page["missing_nodes"][0]["node"] == *id);
    let killed = killed.await?;
    assert_eq!((&killed["complete"], &killed["total_is_exact"]), (&json!(false), &json!(false)));
    let node = &killed["missing_nodes"][0];
    assert_eq!((&node["covered"], &node["removed"]), (&json!(true), &json!(false)));
    assert!(node["withheld_usd"].as_f64().is_some_and(|usd| usd > 0.0), "{killed}");
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    told(&setup, "node 2 is back", |page| page["complete"] == true).await?;
    let replies = rush(&setup, &[2], &caller, 20).join_all().await;
    assert!(replies.iter().flatten().all(Reply::ok));
    copied(&setup, &caller, 2).await?;
    setup.cluster.stop(2).await?;
    let stopped =
        told(&setup, "node 2 is away", |page| page["missing_nodes"] == missing(&id, true, false));
    let stopped = stopped.await?;
    assert_eq!((&stopped["complete"], &stopped["total"]), (&json!(true), &json!(40)), "{stopped}");
    Ok(())
}

/// A minute after the first, and as long as it takes to copy on.
#[tokio::test(flavor = "multi_thread")]
async fn one_disk_after_the_other_is_lost_and_no_row_with_them() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "logged"})).await?;
    let id = setup.cluster.status(2).await?.node.to_string();
    let replies = rush(&setup, &[0, 1, 2], &caller, 60).join_all().await;
    assert!(replies.iter().flatten().all(Reply::ok));
    for node in 0..3 {
        copied(&setup, &caller, node).await?;
    }
    setup.cluster.kill(2).await?;
    std::fs::remove_dir_all(setup.home(2))?;
    let held = |node: usize, of: &str| -> u64 {
        let folders = find(&setup.home(node), of);
        folders.iter().map(|folder| bytes(folder)).sum()
    };
    let copy = format!("copies/{id}");
    let other = setup.cluster.status(1).await?.node.to_string();
    wait_until("the rest is on both that are left", Duration::from_secs(120), async || {
        let both = [0, 1].map(|node| held(node, &copy));
        let own = [held(1, "journal"), held(0, &format!("copies/{other}"))];
        both[0] > 0 && both[0] == both[1] && own[0] == own[1]
    })
    .await?;
    setup.cluster.kill(1).await?;
    std::fs::remove_dir_all(setup.home(1))?;
    let all = told(&setup, "both are missed", |page| {
        page["missing_nodes"].as_array().is_some_and(|missing| missing.len() == 2)
    });
    let all = all.await?;
    assert_eq!((&all["complete"], &all["total"]), (&json!(true), &json!(60)), "{all}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_in_the_midst_loses_no_row_of_a_request_that_it_answered()
-> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "logged"})).await?;
    let sent = rush(&setup, &[0, 1, 2], &caller, 600);
    wait_until("a third is under way or done", SOON, async || setup.mock.stats().requests >= 200)
        .await?;
    setup.cluster.kill(2).await?;
    let replies = sent.join_all().await;
    let answered: BTreeSet<_> =
        replies.iter().flatten().filter(|reply| reply.ok()).map(call_id).collect();
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    let filter = "&key_alias=logged&status_filter=success";
    let mut all = Vec::new();
    for node in 0..3 {
        wait_until(&format!("node {node} has all rows"), SOON, async || {
            all = rows(&setup, node, setup.cluster.client(), filter).await.unwrap_or_default();
            calls(&all).is_superset(&answered)
        })
        .await?;
        let open = replies.len() - answered.len();
        assert!(
            all.len() <= answered.len() + open,
            "{} rows of {} answers",
            all.len(),
            answered.len()
        );
        assert_eq!(all.len(), calls(&all).len(), "each once");
    }
    settled(&setup, &caller, sum(&all)).await?;
    eprintln!("killed: {} answered, {} on record", answered.len(), all.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_kept_only_if_it_is_asked_for_and_never_against_a_clients_wish()
-> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = harness::chat_config(&mock.api_base())
        + "general_settings:\n  store_prompts_in_spend_logs: true\n";
    let setup = harness::start_with(1, mock, config).await?;
    let admin = setup.cluster.client();
    let whole = setup.chat(0, admin).await?;
    let mut body = harness::chat_body();
    body["stream"] = json!(true);
    let stream = setup.ask(0, admin, &body).await?;
    let http = dunlin_cluster::http_client()?;
    let secret = http
        .post(setup.cluster.url(0, "/v1/chat/completions"))
        .bearer_auth(admin.key())
        .header("x-litellm-enable-message-redaction", "true")
        .json(&harness::chat_body())
        .send()
        .await?;
    let secret = secret.headers()["x-litellm-call-id"].to_str()?.to_owned();
    let said = async |id: &str| -> anyhow::Result<Value> {
        ask(&setup, 0, admin, &format!("/spend/logs/ui/{id}")).await?.json()
    };
    let told = said(&call_id(&whole)).await?;
    assert_eq!(told["messages"], harness::chat_body()["messages"]);
    let answer: Value = whole.json()?;
    assert_eq!(told["response"]["choices"], answer["choices"]);
    let told = said(&call_id(&stream)).await?;
    assert_eq!(told["proxy_server_request"], body);
    assert!(told["response"].as_str().is_some_and(|words| !words.is_empty()), "{told}");
    assert_eq!(
        said(&secret).await?,
        json!({"messages": {}, "response": {}, "proxy_server_request": {}})
    );
    let none = admin.get(&setup.cluster.url(0, "/spend/logs/ui/none")).await?;
    assert_eq!(none.status, 404, "{}", none.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_does_not_fill_the_log() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({"key_alias": "flood"})).await?;
    let body = json!({"model": "none", "messages": []});
    for _ in 0..200 {
        assert_eq!(setup.ask(0, &caller, &body).await?.status, 400);
    }
    let rows = rows(&setup, 0, setup.cluster.client(), "&key_alias=flood").await?;
    assert!(!rows.is_empty() && rows.len() < 200, "{} rows", rows.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_is_calculated_without_being_charged() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let admin = setup.cluster.client();
    let url = setup.cluster.url(0, "/spend/calculate");
    let response = json!({"model": "chat", "usage": {"prompt_tokens": 9, "completion_tokens": 3}});
    let body = json!({"completion_response": response});
    let answer: Value = admin.post(&url, &body).await?.json()?;
    assert_eq!(answer, json!({"cost": 1.5e-5}));
    let body = json!({"model": "chat", "messages": [{"role": "user", "content": "hi"}]});
    let answer: Value = admin.post(&url, &body).await?.json()?;
    assert!(answer["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{answer}");
    // Served here or not: 0.5 and 1.5 dollars a million are published.
    let response = json!({"model": "gpt-3.5-turbo-0125", "usage": response["usage"]});
    for model in [json!({}), json!({"model": "openai/gpt-3.5-turbo-0125"})] {
        let mut body = model;
        body["completion_response"] = response.clone();
        let answer: Value = admin.post(&url, &body).await?.json()?;
        assert_eq!(answer, json!({"cost": 9e-6}), "{body}");
    }
    for wrong in [
        json!({}),
        json!({"model": "chat"}),
        json!({"model": "none", "messages": []}),
        json!({"model": "chat", "messages": [], "completion_response": {}}),
        json!({"model": "chat", "completion_response": {"usage": null}}),
    ] {
        let reply = admin.post(&url, &wrong).await?;
        assert_eq!(reply.status, 400, "{wrong}: {}", reply.body);
    }
    Ok(())
}
