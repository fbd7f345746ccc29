//! A budget is one budget, however its traffic is spread over the nodes, and whoever dies.

use std::collections::BTreeSet;
use std::time::Duration;

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{self, INPUT_COST, OUTPUT_COST, SOON, Setup, assert_error};

/// Asks all nodes in turn, all at once, for answers of different lengths: which request it was, and
/// `None` where a node did not answer.
fn rush(setup: &Setup, caller: &Client, count: usize) -> JoinSet<(usize, Option<Reply>)> {
    let nodes = setup.cluster.nodes().len();
    let mut sent = JoinSet::new();
    for number in 0..count {
        let url = setup.cluster.url(number % nodes, "/v1/chat/completions");
        let caller = caller.clone();
        let mut body = harness::chat_body();
        body["max_tokens"] = json!(most_tokens(number));
        sent.spawn(async move { (number, caller.post(&url, &body).await.ok()) });
    }
    sent
}

/// Requests at once.
const RUSH: usize = 1_000;
/// One dollar, which lasts for about three quarters of them.
const LIMIT: u64 = 1_000_000_000;
/// Answers are no longer than this, whatever is asked for.
const LONGEST: u32 = 1_000;
/// What a prompt is thought to have at most, in tokens.
const PROMPT: usize = 100;

/// The longest answer that a request asks for: as good as random.
fn most_tokens(number: usize) -> usize {
    1 + number * 7_919 % 1_500
}

async fn start_rush(settings: Settings) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(settings).await?;
    let config = harness::chat_config(&mock.api_base());
    harness::start_with(3, mock, config).await
}

/// Answers at once.
fn at_once() -> Settings {
    Settings { tokens: LONGEST, ..Settings::default() }
}

/// What a strict budget must have left for a request, at most.
fn most_held(most_tokens: usize) -> u64 {
    nano(PROMPT as f64 * INPUT_COST + most_tokens as f64 * OUTPUT_COST)
}

/// What a refusal says was spent and held when it was made.
fn told_cost(refused: &Reply) -> u64 {
    let told = refused.body.split_once("Current cost: ");
    let told = told.and_then(|(_, rest)| rest.split_once(", Max budget: "));
    let (cost, rest) = told.unwrap_or_else(|| panic!("no refusal for a budget: {}", refused.body));
    let held = rest.split_once(" is held by").and_then(|(before, _)| before.rsplit('$').next());
    let usd = |text: &str| nano(text.parse().expect("dollars"));
    usd(cost) + held.map_or(0, usd)
}

/// In nano-dollars.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small amounts")]
fn nano(dollars: f64) -> u64 {
    (dollars * 1e9).round() as u64
}

fn cost(reply: &Reply) -> u64 {
    let usage = &reply.json::<Value>().expect("JSON")["usage"];
    let tokens = |name: &str| usage[name].as_f64().expect("a count of tokens");
    nano(tokens("prompt_tokens") * INPUT_COST + tokens("completion_tokens") * OUTPUT_COST)
}

async fn settled(setup: &Setup, node: usize, caller: &Client) -> Option<u64> {
    let info = setup.key_info(node, caller).await.ok()?;
    info["spend"].as_f64().map(nano)
}

/// The answers to a rush in which every node answered every request.
async fn answered(sent: JoinSet<(usize, Option<Reply>)>) -> Vec<(usize, Reply)> {
    let replies = sent.join_all().await.into_iter();
    let replies = replies.map(|(number, reply)| Some((number, reply?)));
    replies.collect::<Option<_>>().expect("all answer")
}

/// A 503 is no refusal: it says that nobody can tell.
fn is_refused(reply: &Reply) -> bool {
    !reply.ok() && reply.status != 503
}

/// However busy the machine, nodes that are connected know of each request what becomes of it.
fn assert_decided(replies: &[(usize, Reply)]) {
    let undecided = replies.iter().find(|(_, reply)| reply.status == 503);
    assert!(undecided.is_none(), "not decided: {undecided:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_budget_is_spent_by_three_nodes_to_the_last_and_no_further() -> anyhow::Result<()>
{
    let setup = start_rush(at_once()).await?;
    let fields = json!({"max_budget": 1.0, "strict_budget": true, "key_alias": "strict"});
    let caller = setup.make_key(0, fields).await?;
    let replies = answered(rush(&setup, &caller, RUSH)).await;
    // Each refusal had its reason: with what was spent and held, the request was more than there is.
    for (number, refused) in replies.iter().filter(|(_, reply)| is_refused(reply)) {
        let (held, told) = (most_held(most_tokens(*number)), told_cost(refused));
        assert!(told + held > LIMIT, "{held} were refused: {}", refused.body);
    }
    assert_decided(&replies);
    let mut completed: u64 =
        replies.iter().map(|(_, reply)| reply).filter(|r| r.ok()).map(cost).sum();
    assert!(completed <= LIMIT, "{completed} of {LIMIT} were spent");
    let of_rush = completed;
    // What requests that were under way had held beyond what they cost is left when nobody waits any
    // more. Wherever it lies, whoever asks for no more than that is served, on every node.
    all_see(&setup, &caller, completed).await?;
    let mut node = 0;
    while let Some(tokens) =
        (1..=LONGEST as usize).rev().find(|t| completed + most_held(*t) <= LIMIT)
    {
        node = (node + 1) % 3;
        let mut body = harness::chat_body();
        body["max_tokens"] = json!(tokens);
        let reply = setup.ask(node, &caller, &body).await?;
        assert_eq!(reply.status, 200, "{completed} are spent and {tokens} tokens: {}", reply.body);
        completed += cost(&reply);
    }
    assert!((LIMIT - most_held(1)..=LIMIT).contains(&completed), "{completed} of {LIMIT}");
    let mut body = harness::chat_body();
    body["max_tokens"] = json!(LONGEST);
    let refused = setup.ask(0, &caller, &body).await?;
    let message = "Budget has been exceeded! Key=strict (sk-...";
    assert_error(&refused, 422, json!("budget_exceeded"), message);
    all_see(&setup, &caller, completed).await?;
    eprintln!(
        "strict: {completed} of {LIMIT} nano-dollars were spent, {of_rush} of them in the rush"
    );
    Ok(())
}

/// Waits until so much is settled, as every node sees it.
async fn all_see(setup: &Setup, caller: &Client, completed: u64) -> anyhow::Result<()> {
    for node in 0..3 {
        wait_until(&format!("{completed} are settled, as node {node} sees it"), SOON, async || {
            settled(setup, node, caller).await == Some(completed)
        })
        .await?;
    }
    Ok(())
}

/// While no answer has come, what is held only grows: whoever was refused needs more than is left at
/// the end. That is judged by what was answered, and by nothing that a node says.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_while_the_money_is_there() -> anyhow::Result<()> {
    let first_byte = Duration::from_secs(6);
    let mock = MockUpstream::start(Settings { first_byte, ..at_once() }).await?;
    // Prompts are free, so that what is held is known to the nano-dollar.
    let config = harness::chat_config(&mock.api_base())
        .replace(&format!("input_cost_per_token: {INPUT_COST}"), "input_cost_per_token: 0");
    let setup = harness::start_with(3, mock, config).await?;
    let caller = setup.make_key(0, json!({"max_budget": 1.0, "strict_budget": true})).await?;
    let replies = answered(rush(&setup, &caller, RUSH)).await;
    let held = |number: &usize| nano(most_tokens(*number) as f64 * OUTPUT_COST);
    let of = |which: fn(&Reply) -> bool| {
        replies.iter().filter(move |(_, reply)| which(reply)).map(|(number, _)| held(number))
    };
    let admitted: u64 = of(Reply::ok).sum();
    let least = of(is_refused).min().expect("too little for all");
    assert_decided(&replies);
    eprintln!("{admitted} of {LIMIT} were held, {least} were refused");
    assert!(admitted + least > LIMIT, "{least} were refused, and {admitted} held at the end");
    Ok(())
}

/// Each prompt of a completion has an answer of its own, and each is held for.
#[tokio::test(flavor = "multi_thread")]
async fn a_strict_budget_counts_the_answers_to_all_prompts() -> anyhow::Result<()> {
    let setup = start_rush(at_once()).await?;
    let for_one_answer_and_a_half = PROMPT as f64 * INPUT_COST + 1.5 * 500.0 * OUTPUT_COST;
    let fields = json!({"max_budget": for_one_answer_and_a_half, "strict_budget": true});
    let caller = setup.make_key(0, fields).await?;
    let url = setup.cluster.url(0, "/v1/completions");
    let ask = async |prompt: Value| {
        caller.post(&url, &json!({"model": "chat", "prompt": prompt, "max_tokens": 500})).await
    };
    let refused = ask(json!(["a", "b"])).await?;
    assert!(is_refused(&refused), "{}", refused.body);
    assert_eq!(ask(json!(["a"])).await?.status, 200);
    Ok(())
}

/// What the provider fetches or holds itself is part of the prompt that is charged, and so are pictures
/// of few bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_strict_budget_holds_for_what_is_not_in_the_body() -> anyhow::Result<()> {
    let mock = MockUpstream::start(at_once()).await?;
    let longest = "    model_info: {max_input_tokens: 100000}\n";
    let model = harness::deployment("chat", "openai/upstream-name", &mock.api_base());
    let setup = harness::start_with(1, mock, format!("model_list:\n{model}{longest}")).await?;
    let shown = |url: &str| {
        let parts = json!([{"type": "image_url", "image_url": {"url": url}}]);
        json!({"model": "chat", "max_tokens": 5, "messages": [{"role": "user", "content": parts}]})
    };
    let text = json!({"model": "chat", "max_tokens": 5, "messages": [
        {"role": "user", "content": "see https://example.com/a.png"}]});
    let (fetched, sent) = (shown("https://example.com/a.png"), shown("data:image/png;base64,AA=="));
    let said = json!({"role": "assistant", "content": "hey", "audio": {"id": "audio_1"}});
    let mut heard = text.clone();
    heard["messages"].as_array_mut().expect("a list").push(said);
    // Its prompt is read once more behind the search.
    let mut searched = text.clone();
    searched["web_search_options"] = json!({});
    for path in ["/v1/chat/completions", "/openai_passthrough/v1/chat/completions"] {
        let url = setup.cluster.url(0, path);
        for (limit, body, is_let_in) in [
            (0.001, &text, true),
            (0.09, &fetched, false),
            (0.11, &fetched, true),
            (0.04, &sent, false),
            (0.06, &sent, true),
            (0.09, &heard, false),
            (0.11, &heard, true),
            (0.19, &searched, false),
            (0.21, &searched, true),
        ] {
            let fields = json!({"max_budget": limit, "strict_budget": true});
            let reply = setup.make_key(0, fields).await?.post(&url, body).await?;
            let status = if is_let_in { 200 } else { 422 };
            assert_eq!(reply.status, status, "{path} {limit}: {body} {}", reply.body);
            let tells_why = reply.body.contains("a prompt to which its provider adds nothing");
            let is_added = body != &text && body != &sent;
            assert_eq!(tells_why, !is_let_in && is_added, "{}", reply.body);
        }
        let soft = setup.make_key(0, json!({"max_budget": 0.001})).await?;
        assert_eq!(soft.post(&url, &fetched).await?.status, 200, "{path}: an estimate");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teams_budget_holds_for_all_its_keys_and_names_it() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let team = json!({"team_id": "blue", "max_budget": 0.000_1});
    setup.admin(1, "/team/new", team).await?;
    let mut callers = Vec::new();
    for maker in 0..3 {
        callers.push(setup.make_key(maker, json!({"team_id": "blue"})).await?);
    }
    for (node, caller) in callers.iter().enumerate() {
        let _spends_or_is_refused = rush(&setup, caller, 9).join_all().await;
        wait_until("the team's budget is spent", SOON, async || {
            setup.chat(node, caller).await.is_ok_and(|reply| reply.status == 422)
        })
        .await?;
        let refused = setup.chat(node, caller).await?;
        let message = "Budget has been exceeded! Team=blue Current cost: ";
        assert_error(&refused, 422, json!("budget_exceeded"), message);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_node_killed_nothing_is_overspent_and_all_that_was_answered_is_settled()
-> anyhow::Result<()> {
    let mut setup = start_rush(at_once()).await?;
    let fields = json!({"max_budget": 1.0, "strict_budget": true});
    let caller = setup.make_key(0, fields).await?;
    let sent = rush(&setup, &caller, RUSH);
    wait_until("a tenth is under way or done", SOON, async || {
        setup.mock.stats().requests as usize >= RUSH / 10
    })
    .await?;
    setup.cluster.kill(2).await?;
    let recorded = setup.records(2)?;
    let replies: Vec<_> = sent.join_all().await.into_iter().map(|(_, reply)| reply).collect();
    let broken = replies.iter().filter(|reply| reply.is_none()).count();
    let replies: Vec<_> = replies.into_iter().flatten().collect();
    let completed: u64 = replies.iter().filter(|reply| reply.ok()).map(cost).sum();
    setup.cluster.restart(2)?;
    wait_until("what was answered is settled, on all nodes alike", SOON * 2, async || {
        let seen = [0, 1, 2].map(|node| settled(&setup, node, &caller));
        let seen = join_all(seen).await;
        seen.iter().all(|one| *one == seen[0]) && seen[0].is_some_and(|spent| spent >= completed)
    })
    .await?;
    let spent = settled(&setup, 0, &caller).await.expect("just seen");
    assert!(spent <= LIMIT, "{spent} of {LIMIT} were spent");
    // What was settled and not answered is what the dead node had put on record, request by request.
    let answered: BTreeSet<_> =
        replies.iter().filter_map(|r| r.header("x-litellm-call-id")).collect();
    let cut: Vec<_> = recorded.iter().filter_map(|record| named(record, &answered)).collect();
    eprintln!(
        "killed: {completed} answered, {spent} settled; {broken} got no answer; of them {cut:?}"
    );
    assert!(cut.len() <= broken, "only what was open at the kill is not answered");
    assert_eq!(spent, completed + cut.iter().map(|(_, cost)| cost).sum::<u64>());
    wait_until("what the dead node had not spent is free again", SOON, async || {
        let seen = [0, 1, 2].map(|node| setup.key_info(node, &caller));
        let seen = join_all(seen).await;
        seen.iter().all(|info| info.as_ref().is_ok_and(|info| info["withheld"].is_null()))
    })
    .await
}

/// The id of a request that is on record and was not answered, and what it cost.
fn named<'r>(record: &'r Value, answered: &BTreeSet<&str>) -> Option<(&'r str, u64)> {
    let id = record["call_id"].as_str().filter(|id| !answered.contains(id))?;
    Some((id, record["cost"].as_u64().expect("nano-dollars")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_whose_budget_is_spent_gives_way_to_the_one_that_the_key_names()
-> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let cheap = harness::deployment("cheap", "openai/cheap-name", &mock.api_base());
    let config = harness::chat_config(&mock.api_base());
    let config = config.replace("model_list:\n", &format!("model_list:\n{cheap}"));
    let setup = harness::start_with(2, mock, config).await?;
    let caller = setup
        .make_key(
            0,
            json!({
                "model_max_budget": {"chat": {"max_budget": 0.00005, "budget_duration": "1d"}},
                "budget_fallbacks": {"chat": ["nowhere", "cheap"]},
            }),
        )
        .await?;
    let mut node = 0;
    wait_until("the model's budget is spent", SOON, async || {
        node = 1 - node;
        let reply = setup.chat(node, &caller).await.expect("an answer");
        assert_eq!(reply.status, 200, "{}", reply.body);
        let body: Value = reply.json().expect("JSON");
        // As after any fallback, the client learns which model it was.
        assert!(["chat", "cheap-name"].contains(&body["model"].as_str().expect("a name")));
        body["model"] == "cheap-name"
    })
    .await?;
    let change = json!({"key": caller.key(), "budget_fallbacks": {}});
    setup.admin(0, "/key/update", change).await?;
    wait_until("nobody stands in for it", SOON, async || {
        setup.chat(node, &caller).await.is_ok_and(|reply| reply.status == 422)
    })
    .await?;
    Ok(())
}

/// What a whole stream cost, by the usage that it tells.
fn cost_of_stream(reply: &Reply) -> u64 {
    assert!(reply.body.ends_with("data: [DONE]\n\n"), "{}", reply.body);
    let frames = reply.body.split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
    let frames = frames.filter_map(|frame| serde_json::from_str::<Value>(frame).ok());
    let usage = frames.filter_map(|frame| frame["usage"].as_object().cloned()).last();
    let usage = usage.expect("it was asked for");
    let tokens = |name: &str| usage[name].as_f64().expect("a count of tokens");
    nano(tokens("prompt_tokens") * INPUT_COST + tokens("completion_tokens") * OUTPUT_COST)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_outlives_its_key_and_is_charged_to_whom_there_is() -> anyhow::Result<()> {
    let settings = Settings { tokens_per_second: Some(8.0), tokens: 24, ..Settings::default() };
    let mock = MockUpstream::start(settings).await?;
    let setup =
        harness::start_with(2, mock.clone(), harness::chat_config(&mock.api_base())).await?;
    setup.admin(0, "/team/new", json!({"team_id": "blue", "max_budget": 1.0})).await?;
    let mut body = harness::chat_body();
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let mut team = 0;
    for (path, keeps_spend) in [("/key/delete", false), ("/key/regenerate", true)] {
        let fields = json!({"team_id": "blue", "max_budget": 1.0});
        let caller = setup.make_key(0, fields).await?;
        let ends = async {
            tokio::time::timeout(SOON, setup.mock.until(|stats| stats.in_flight == 1)).await?;
            let named = match path {
                "/key/delete" => json!({"keys": [caller.key()]}),
                _ => json!({"key": caller.key()}),
            };
            setup.admin(0, path, named).await
        };
        let (streamed, changed) = tokio::join!(setup.ask(1, &caller, &body), ends);
        let (cost, changed): (_, Value) = (cost_of_stream(&streamed?), changed?.json()?);
        team += cost;
        wait_until("the team has paid for it, on both nodes", SOON, async || {
            let mut spent = Vec::new();
            for node in 0..2 {
                let url = setup.cluster.url(node, "/team/info?team_id=blue");
                let info: Value =
                    setup.cluster.client().get(&url).await.expect("it is").json().expect("JSON");
                spent.push(info["team_info"]["spend"].as_f64().map(nano));
            }
            spent == [Some(team), Some(team)]
        })
        .await?;
        let refused = setup.chat(1, &caller).await?;
        assert_eq!(refused.status, 401, "{path}: {}", refused.body);
        if keeps_spend {
            let anew = changed["key"].as_str().expect("the new key");
            let anew = setup.cluster.client().with_key(anew);
            assert_eq!(settled(&setup, 0, &anew).await, Some(cost), "{path}");
        }
    }
    Ok(())
}
