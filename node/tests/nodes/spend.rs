//! Reports of spend: every node tells what all nodes spent, to the nano-dollar.

use dunlin_cluster::{Client, wait_until};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, assert_error};

/// In nano-dollars.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small amounts")]
fn nano(dollars: &Value) -> u64 {
    (dollars.as_f64().unwrap_or_default() * 1e9).round() as u64
}

/// Asks one node and gives what the answer cost, as it says itself.
async fn spend(setup: &Setup, node: usize, caller: &Client, more: &Value) -> anyhow::Result<u64> {
    let mut body = harness::chat_body();
    let fields = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    let reply = setup.ask(node, caller, &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let cost: f64 = reply.header("x-litellm-response-cost").expect("a cost").parse()?;
    Ok(nano(&json!(cost)))
}

async fn get(setup: &Setup, node: usize, path: &str) -> anyhow::Result<Value> {
    let reply = setup.cluster.client().get(&setup.cluster.url(node, path)).await?;
    anyhow::ensure!(reply.ok(), "GET {path} on node {node}: {} {}", reply.status, reply.body);
    reply.json()
}

/// Sums one figure of a part of a breakdown over the days of a report; a test may see midnight.
fn sum(report: &Value, part: &str, name: &str) -> u64 {
    let days = report["results"].as_array().expect("days");
    days.iter().map(|day| nano(&day["breakdown"][part][name]["metrics"]["spend"])).sum()
}

const TODAY: &str = "last_days=2";

async fn until_settled(setup: &Setup, nodes: &[usize], spent: u64) -> anyhow::Result<()> {
    for &node in nodes {
        wait_until(&format!("node {node} reports a spend of {spent}"), SOON * 2, async || {
            let path = format!("/user/daily/activity/aggregated?{TODAY}");
            let report = get(setup, node, &path).await;
            report.is_ok_and(|report| nano(&report["metadata"]["total_spend"]) == spent)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_reports_what_was_spent_on_all_by_whom_and_on_what() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    setup.admin(0, "/team/new", json!({"team_id": "blue", "team_alias": "Blue"})).await?;
    setup.admin(0, "/user/new", json!({"user_id": "ann", "auto_create_key": false})).await?;
    let of_team = setup.make_key(1, json!({"team_id": "blue", "key_alias": "app"})).await?;
    let of_user = setup.make_key(2, json!({"user_id": "ann", "max_budget": 1})).await?;
    let (mut team, mut user, mut tagged) = (0, 0, 0);
    for turn in 0..12 {
        let (node, max_tokens) = (turn % 3, 1 + turn % 5);
        let plain = json!({"max_tokens": max_tokens});
        let labelled = json!({
            "max_tokens": max_tokens, "user": "cust", "metadata": {"tags": ["prod"]},
        });
        if turn % 2 == 0 {
            let cost = spend(&setup, node, &of_team, &labelled).await?;
            (team, tagged) = (team + cost, tagged + cost);
        } else {
            user += spend(&setup, node, &of_user, &plain).await?;
        }
    }
    let whole = team + user;
    assert!(team > 0 && user > 0);
    until_settled(&setup, &[0, 1, 2], whole).await?;
    let hash = hash_of(&setup, "app").await?;
    for node in 0..3 {
        let of = async |path: &str| get(&setup, node, path).await;
        let teams = of(&format!("/team/daily/activity?{TODAY}")).await?;
        assert_eq!(sum(&teams, "entities", "blue"), team, "node {node}");
        assert!(teams["results"][0]["breakdown"]["entities"]["Unassigned"].is_null(), "{teams}");
        let others = of(&format!("/team/daily/activity?{TODAY}&team_ids=Unassigned")).await?;
        assert_eq!(sum(&others, "entities", "Unassigned"), user, "node {node}");
        assert_eq!(sum(&teams, "api_keys", &hash), team, "node {node}");
        let day = &teams["results"][0];
        assert_eq!(day["breakdown"]["entities"]["blue"]["metadata"]["team_alias"], "Blue");
        assert_eq!(day["breakdown"]["api_keys"][&hash]["metadata"]["key_alias"], "app");
        let users = of(&format!("/user/daily/activity?{TODAY}&user_id=ann")).await?;
        assert_eq!(nano(&users["metadata"]["total_spend"]), user, "node {node}");
        for (part, name) in [
            ("models", "upstream-name"),
            ("model_groups", "chat"),
            ("providers", "openai"),
            ("endpoints", "/chat/completions"),
        ] {
            assert_eq!(sum(&users, part, name), user, "node {node}: {part}");
        }
        let tags = of(&format!("/tag/daily/activity?{TODAY}&tags=prod")).await?;
        assert_eq!(sum(&tags, "entities", "prod"), tagged, "node {node}");
        let customers = of(&format!("/customer/daily/activity?{TODAY}")).await?;
        assert_eq!(sum(&customers, "entities", "cust"), tagged, "node {node}");

        assert_eq!(nano(&of("/global/spend").await?["spend"]), whole);
        let keys = of("/global/spend/keys?limit=5").await?;
        let spends: u64 =
            keys.as_array().expect("rows").iter().map(|key| nano(&key["total_spend"])).sum();
        assert_eq!(spends, whole, "{keys}");
        assert_eq!(nano(&of("/global/spend/models").await?[0]["total_spend"]), whole);
        assert_eq!(nano(&of("/spend/tags").await?[0]["total_spend"]), tagged);
        let rows = of("/spend/keys").await?;
        assert_eq!(rows.as_array().map(Vec::len), Some(2));
        let report = of(&format!("/global/spend/report?{TODAY}&group_by=team")).await?;
        let days = report.as_array().expect("days").iter();
        let teams = days.flat_map(|day| day["teams"].as_array().expect("teams"));
        let spent: u64 = teams.map(|team| nano(&team["total_spend"])).sum();
        assert_eq!(spent, whole, "node {node}: {report}");
    }
    Ok(())
}

async fn hash_of(setup: &Setup, alias: &str) -> anyhow::Result<String> {
    let list = get(setup, 0, &format!("/key/list?key_alias={alias}")).await?;
    Ok(list["keys"][0].as_str().expect("a hash").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_and_a_deleted_key_take_nothing_out_of_the_reports() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "short-lived"})).await?;
    let hash = hash_of(&setup, "short-lived").await?;
    let mut spent = 0;
    for turn in 0..6 {
        spent += spend(&setup, turn % 3, &caller, &json!({})).await?;
    }
    spent += spend(&setup, 2, &caller, &json!({})).await?;
    setup.cluster.kill(2).await?;
    spent += spend(&setup, 0, &caller, &json!({})).await?;
    setup.cluster.restart(2)?;
    until_settled(&setup, &[0, 1, 2], spent).await?;

    spent += spend(&setup, 1, &caller, &json!({})).await?;
    setup.admin(0, "/key/delete", json!({"keys": [caller.key()]})).await?;
    until_settled(&setup, &[0, 1, 2], spent).await?;
    for node in 0..3 {
        let path = format!("/user/daily/activity?{TODAY}&api_key={hash}");
        let report = get(&setup, node, &path).await?;
        assert_eq!(sum(&report, "api_keys", &hash), spent, "node {node}");
        let about = &report["results"][0]["breakdown"]["api_keys"][&hash]["metadata"];
        assert_eq!(about["key_alias"], json!("short-lived"), "its last name, on node {node}");
        assert_eq!(about["key_exists"], json!(false));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_what_it_may_not_see_or_for_no_days_is_told_so() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let spent = spend(&setup, 0, &caller, &json!({})).await?;
    let master = setup.cluster.client();
    spend(&setup, 0, master, &json!({})).await?;
    let get = async |caller: &Client, path: &str| caller.get(&setup.cluster.url(0, path)).await;
    let own = format!("/user/daily/activity?{TODAY}");
    wait_until("the key sees its own spend and no more", SOON, async || {
        let reply = get(&caller, &own).await;
        let report = reply.ok().and_then(|reply| reply.json::<Value>().ok());
        report.is_some_and(|report| nano(&report["metadata"]["total_spend"]) == spent)
    })
    .await?;
    let refused = get(&caller, "/global/spend").await?;
    assert_error(&refused, 401, json!("auth_error"), "Authentication Error, Only proxy admin");
    for (path, words) in [
        ("/user/daily/activity", "Please provide start_date and end_date"),
        ("/global/spend/report?start_date=2026-02-30&end_date=2026-03-01", "start_date: `2026-02"),
    ] {
        let refused = get(master, path).await?;
        assert_error(&refused, 400, json!("bad_request_error"), words);
    }
    assert_eq!(get(master, &format!("{own}&page=0")).await?.status, 422);
    let reset = caller.post(&setup.cluster.url(0, "/global/spend/reset"), &json!({})).await?;
    assert_eq!(reset.status, 401, "{}", reset.body);
    setup.admin(0, "/global/spend/reset", json!({})).await?;
    assert_eq!(setup.key_info(0, &caller).await?["spend"], json!(0.0));
    Ok(())
}
