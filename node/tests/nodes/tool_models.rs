//! Models that tools of a provider's ask for a request, OpenAI's for pictures and Anthropic's advisor:
//! they are charged at their own prices, held for in advance, and bound by what is for them alone.

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Scripted, Setup};

/// What a request used, in nano-dollars: 100 tokens at 1000 and 50 at 3000 of the model itself.
const OWN: u64 = 100 * 1_000 + 50 * 3_000;
/// Of the painter, 10 tokens of words at 5000, and 4160 of a picture at 40000.
const DRAWN: u64 = 10 * 5_000 + 4_160 * 40_000;
/// Of the advisor, 823 tokens at 5000 and 1612 at 25000.
const ADVISED: u64 = 823 * 5_000 + 1_612 * 25_000;
/// To compact the conversation, 900 tokens at 1000 and 20 at 3000.
const COMPACTED: u64 = 900 * 1_000 + 20 * 3_000;

fn response() -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "model": "up", "tools": [{"type": "image_generation", "model": "gpt-image-1"}],
        "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "hey", "annotations": []}]}],
        "usage": {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150},
        "tool_usage": {"image_gen": {"input_tokens": 10, "output_tokens": 4160,
            "total_tokens": 4170, "input_tokens_details": {"image_tokens": 0, "text_tokens": 10},
            "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0}},
            "web_search": {"num_requests": 0}}})
}

fn message() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
        "content": [{"type": "text", "text": "hey"}], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 100, "output_tokens": 50, "iterations": [
            {"type": "compaction", "input_tokens": 900, "output_tokens": 20},
            {"type": "message", "input_tokens": 100, "output_tokens": 50},
            {"type": "advisor_message", "model": "opus-up", "input_tokens": 823,
             "output_tokens": 1612}]}})
}

/// An SVG: 5 tokens of a prompt and 100 of its picture, and what was used to write it.
fn picture() -> Value {
    json!({"created": 1, "data": [{"b64_json": "AAAA"}],
        "usage": {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105,
            "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}},
        "svg_usage": {"model": "author-up", "input_tokens": 30, "output_tokens": 2_000,
            "reasoning_tokens": 900, "total_tokens": 2_030}})
}

fn chat() -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "routes-up",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hey"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

fn events(events: &[Value]) -> String {
    let event = |event: &Value| {
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    };
    events.iter().map(event).collect()
}

fn streamed_response() -> String {
    events(&[json!({"type": "response.completed", "sequence_number": 1, "response": response()})])
}

fn streamed_message() -> String {
    let whole = message();
    let mut begun = whole.clone();
    begun["content"] = json!([]);
    begun["usage"] = json!({"input_tokens": 100, "output_tokens": 1});
    let delta = json!({"type": "text_delta", "text": "hey"});
    events(&[
        json!({"type": "message_start", "message": begun}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "usage": whole["usage"],
            "delta": {"stop_reason": "end_turn", "stop_sequence": null}}),
        json!({"type": "message_stop"}),
    ])
}

struct World {
    setup: Setup,
    /// Responses whole and streamed, messages whole and streamed, a chat, and a picture.
    upstreams: [Scripted; 6],
}

fn row(name: &str, upstream: &str, base: &str, rates: &[(&str, &str)]) -> String {
    let rates = rates.iter().map(|(rate, usd)| format!("      {rate}: {usd}\n"));
    format!(
        "  - model_name: {name}\n    litellm_params:\n      model: {upstream}\n      \
         api_base: {base}\n      api_key: sk-upstream\n{}",
        rates.collect::<String>()
    )
}

async fn start() -> anyhow::Result<World> {
    const JSON: &str = "application/json";
    const SSE: &str = "text/event-stream";
    let upstreams = [
        Scripted::start(JSON, vec![response().to_string()]).await?,
        Scripted::start(SSE, vec![streamed_response()]).await?,
        Scripted::start(JSON, vec![message().to_string()]).await?,
        Scripted::start(SSE, vec![streamed_message()]).await?,
        Scripted::start(JSON, vec![chat().to_string()]).await?,
        Scripted::start(JSON, vec![picture().to_string()]).await?,
    ];
    let own = [("input_cost_per_token", "1.0e-6"), ("output_cost_per_token", "3.0e-6")];
    let painter = [
        ("input_cost_per_token", "5.0e-6"),
        ("input_cost_per_image_token", "1.0e-5"),
        ("output_cost_per_image_token", "4.0e-5"),
    ];
    let opus = [("input_cost_per_token", "5.0e-6"), ("output_cost_per_token", "2.5e-5")];
    let of = |at: usize| upstreams[at].api_base();
    let root = |at: usize| of(at).trim_end_matches("/v1").to_owned();
    let config = [
        "model_list:\n".to_owned(),
        row("draws", "openai/responses/draws-up", &of(0), &own),
        row("draws-stream", "openai/responses/draws-stream-up", &of(1), &own),
        row("painter", "openai/gpt-image-1", &of(0), &painter),
        row("asks", "anthropic/asks-up", &root(2), &own),
        row("asks-stream", "anthropic/asks-stream-up", &root(3), &own),
        row("opus", "anthropic/opus-up", &root(2), &opus),
        row("pictures", "openai/gpt-image-1", &of(5), &painter),
        row("author", "openai/author-up", &of(5), &opus),
        row("routes", "openrouter/routes-up", &of(4), &own),
        row("gone", "openrouter/gone-up", "http://127.0.0.1:9/v1", &own),
        "router_settings:\n  num_retries: 0\n".to_owned(),
    ];
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, config.concat()).await?;
    Ok(World { setup, upstreams })
}

fn draw(model: &str, stream: bool) -> Value {
    json!({"model": model, "input": "draw", "max_output_tokens": 50, "stream": stream,
        "tools": [{"type": "image_generation", "quality": "high", "size": "1024x1024"}]})
}

fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 100, "stream": stream,
        "messages": [{"role": "user", "content": "hi"}],
        "context_management": {"edits": [{"type": "compact_20260112"}]},
        "tools": [{"type": "advisor_20260301", "name": "advisor", "model": "opus-up"}]})
}

/// Each way to ask: its path, the body, the other model's row, and what it costs in nano-dollars.
fn ways() -> Vec<(&'static str, Value, &'static str, u64)> {
    let mut ways = Vec::new();
    for (suffix, stream) in [("", false), ("-stream", true)] {
        for (path, model) in [
            ("/v1/responses", format!("draws{suffix}")),
            ("/openai/v1/responses", format!("draws{suffix}")),
            ("/openai_passthrough/v1/responses", format!("draws{suffix}-up")),
        ] {
            ways.push((path, draw(&model, stream), "painter", OWN + DRAWN));
        }
        for (path, model) in [
            ("/v1/messages", format!("asks{suffix}")),
            ("/anthropic/v1/messages", format!("asks{suffix}-up")),
        ] {
            ways.push((path, ask(&model, stream), "opus", OWN + COMPACTED + ADVISED));
        }
    }
    ways
}

async fn send(world: &World, whom: &Client, path: &str, body: &Value) -> anyhow::Result<Reply> {
    Ok(whom.post(&world.setup.cluster.url(0, path), body).await?)
}

async fn spent(world: &World, whom: &Client) -> Option<u64> {
    let dollars = world.setup.key_info(0, whom).await.ok()?["spend"].as_f64()?;
    format!("{:.0}", dollars * 1e9).parse().ok()
}

/// OpenRouter may answer by any of `models`.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_answer_instead_must_be_allowed_too() -> anyhow::Result<()> {
    let world = start().await?;
    for (models, others, status) in [
        (json!(["routes"]), json!(["elsewhere/opus"]), 403),
        (json!(["routes"]), json!(["routes-up"]), 200),
        (json!(["routes", "elsewhere/opus"]), json!(["elsewhere/opus"]), 200),
        (json!([]), json!(["elsewhere/opus"]), 200),
    ] {
        let key = world.setup.make_key(0, json!({"models": models})).await?;
        let body = json!({"model": "routes", "models": others,
            "messages": [{"role": "user", "content": "hi"}]});
        let reply = send(&world, &key, "/v1/chat/completions", &body).await?;
        assert_eq!(reply.status, status, "{models} {others}: {}", reply.body);
    }
    Ok(())
}

/// What is drawn by two would be charged as if one had drawn it.
#[tokio::test(flavor = "multi_thread")]
async fn two_models_that_draw_are_refused() -> anyhow::Result<()> {
    let world = start().await?;
    let key = world.setup.make_key(0, json!({})).await?;
    for path in ["/v1/responses", "/openai_passthrough/v1/responses"] {
        let mut body = draw("draws", false);
        let other = json!({"type": "image_generation", "model": "gpt-image-1-mini"});
        body["tools"].as_array_mut().expect("a list").push(other);
        let reply = send(&world, &key, path, &body).await?;
        assert_eq!(reply.status, 400, "{path}: {}", reply.body);
        assert!(reply.body.contains("`image_generation` of one model"), "{path}: {}", reply.body);
    }
    Ok(())
}

/// Anthropic's own fallbacks are Anthropic's to carry out, by models that the key may call.
#[tokio::test(flavor = "multi_thread")]
async fn whom_anthropic_falls_back_on_must_be_allowed() -> anyhow::Result<()> {
    let world = start().await?;
    let claude = &world.upstreams[2];
    let (named, changed) =
        (json!([{"model": "opus-up"}]), json!([{"model": "opus-up", "max_tokens": 9}]));
    let default = json!("default");
    for (models, fallbacks, status) in [
        (json!(["asks"]), &named, 403),
        (json!(["asks"]), &changed, 403),
        (json!(["asks"]), &default, 403),
        (json!(["asks", "opus"]), &named, 200),
        (json!(["asks", "opus"]), &changed, 200),
        (json!(["asks", "default"]), &default, 200),
        (json!([]), &default, 200),
        (json!([]), &json!([{"model": "unheard-of"}]), 200),
    ] {
        let key = world.setup.make_key(0, json!({"models": models})).await?;
        for (path, model) in [("/v1/messages", "asks"), ("/anthropic/v1/messages", "asks-up")] {
            let body = json!({"model": model, "max_tokens": 9, "fallbacks": fallbacks,
                "messages": [{"role": "user", "content": "hi"}]});
            let reply = send(&world, &key, path, &body).await?;
            let what = format!("{path} {models} {fallbacks}");
            assert_eq!(reply.status, status, "{what}: {}", reply.body);
            if status == 200 {
                let sent: Value = serde_json::from_str(&claude.last_body())?;
                assert_eq!(&sent["fallbacks"], fallbacks, "{what}");
            }
        }
    }
    let spent = json!({"opus": {"max_budget": 0.0, "budget_duration": "1d"}});
    let key = world.setup.make_key(0, json!({"model_max_budget": spent})).await?;
    let body = json!({"model": "asks", "max_tokens": 9, "fallbacks": named,
        "messages": [{"role": "user", "content": "hi"}]});
    let reply = send(&world, &key, "/v1/messages", &body).await?;
    assert!(!reply.ok() && reply.body.contains("udget"), "{}", reply.body);
    Ok(())
}

/// Fallbacks in any other form, or of another provider's model, are ours, as LiteLLM has them.
#[tokio::test(flavor = "multi_thread")]
async fn fallbacks_that_are_not_anthropics_are_ours() -> anyhow::Result<()> {
    let world = start().await?;
    let key = world.setup.make_key(0, json!({"models": ["asks", "routes", "gone"]})).await?;
    let [.., claude, _, routes, _] = &world.upstreams;
    for (model, fallbacks, by) in [
        ("asks", json!(["routes"]), claude),
        ("asks", json!([{"model": "routes", "temperature": 0}]), claude),
        ("routes", json!([{"model": "asks"}]), routes),
        ("routes", json!("default"), routes),
        ("gone", json!(["asks"]), claude),
        ("gone", json!([{"model": "asks"}]), claude),
        ("gone", json!([{"model": "asks", "max_tokens": 9}]), claude),
    ] {
        let body = json!({"model": model, "max_tokens": 7, "fallbacks": fallbacks,
            "messages": [{"role": "user", "content": "hi"}]});
        let reply = send(&world, &key, "/v1/messages", &body).await?;
        assert_eq!(reply.status, 200, "{body}: {}", reply.body);
        let sent = by.last_body();
        assert!(!sent.contains("fallbacks"), "{body}: {sent}");
    }
    let named = json!({"model": "routes", "max_tokens": 7, "fallbacks": [{"model": "opus"}],
        "messages": [{"role": "user", "content": "hi"}]});
    let reply = send(&world, &key, "/v1/messages", &named).await?;
    assert_eq!(reply.status, 403, "{}", reply.body);
    Ok(())
}

/// A picture that is written as SVG costs what its author does, who must be allowed.
#[tokio::test(flavor = "multi_thread")]
async fn who_writes_a_picture_as_svg_is_charged_and_must_be_allowed() -> anyhow::Result<()> {
    const COST: u64 = 5 * 5_000 + 100 * 40_000 + 30 * 5_000 + 2_000 * 25_000;
    let world = start().await?;
    let path = "/v1/images/generations";
    let body = json!({"model": "pictures", "prompt": "p", "output_format": "svg",
        "svg": {"model": "author-up"}});
    let narrow = world.setup.make_key(0, json!({"models": ["pictures"]})).await?;
    let reply = send(&world, &narrow, path, &body).await?;
    assert_eq!(reply.status, 403, "{}", reply.body);
    let key = world.setup.make_key(0, json!({"models": ["pictures", "author"]})).await?;
    let reply = send(&world, &key, path, &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let charged = async || spent(&world, &key).await == Some(COST);
    if wait_until("the author is charged", SOON, charged).await.is_err() {
        panic!("{:?}, not {COST}", spent(&world, &key).await);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tools_model_is_charged_at_its_own_price() -> anyhow::Result<()> {
    let world = start().await?;
    for (path, body, _, cost) in ways() {
        let what = format!("{path} {body}");
        let key = world.setup.make_key(0, json!({})).await?;
        let reply = send(&world, &key, path, &body).await?;
        assert_eq!(reply.status, 200, "{what}: {}", reply.body);
        let told = reply.header("x-litellm-response-cost").and_then(|told| told.parse().ok());
        let told = told.map(|usd: f64| format!("{:.0}", usd * 1e9));
        assert!(
            told.is_none_or(|told| told == cost.to_string()),
            "{what}: is told {:?}",
            reply.headers
        );
        let charged = async || spent(&world, &key).await == Some(cost);
        if wait_until(&what, SOON, charged).await.is_err() {
            panic!("{what}: {:?}, not {cost}", spent(&world, &key).await);
        }
        let record = world.setup.records(0)?.pop().expect("it is on record");
        let tokens = record["prompt"].as_u64().zip(record["completion"].as_u64());
        let all = if path.ends_with("responses") { (110, 4_210) } else { (1_823, 1_682) };
        assert_eq!(tokens, Some(all), "{what}: {record}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tools_model_is_one_that_the_key_may_call_and_is_bound_by_what_is_for_it()
-> anyhow::Result<()> {
    let world = start().await?;
    let spent = json!({"max_budget": 0.0, "budget_duration": "1d"});
    for (path, body, other, _) in ways() {
        let what = format!("{path} {body}");
        let own = body["model"].as_str().unwrap_or_default().trim_end_matches("-up");
        let key = world.setup.make_key(0, json!({"models": [own]})).await?;
        let reply = send(&world, &key, path, &body).await?;
        assert_eq!(reply.status, 403, "{what}: {}", reply.body);
        let key = world.setup.make_key(0, json!({"models": [own, other]})).await?;
        assert_eq!(send(&world, &key, path, &body).await?.status, 200, "{what}");
        let key = world.setup.make_key(0, json!({"model_rpm_limit": {other: 1}})).await?;
        assert_eq!(send(&world, &key, path, &body).await?.status, 200, "{what}");
        let reply = send(&world, &key, path, &body).await?;
        assert_eq!(reply.status, 429, "{what}: {}", reply.body);
        let key = world.setup.make_key(0, json!({"model_max_budget": {other: spent}})).await?;
        let reply = send(&world, &key, path, &body).await?;
        assert!(!reply.ok() && reply.body.contains("udget"), "{what}: {}", reply.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tools_model_may_cost_is_held() -> anyhow::Result<()> {
    let world = start().await?;
    for (path, body, _, cost) in ways() {
        let what = format!("{path} {body}");
        // More than the model itself can cost, and less than the other.
        let tight = json!({"max_budget": 0.01, "strict_budget": true});
        let key = world.setup.make_key(0, tight).await?;
        let reply = send(&world, &key, path, &body).await?;
        assert!(!reply.ok() && reply.body.contains("udget"), "{what}: {}", reply.body);
        let mut bounded = body.clone();
        if path.ends_with("responses") {
            bounded["max_tool_calls"] = json!(1);
        } else {
            bounded["tools"][0]["max_uses"] = json!(1);
            bounded["tools"][0]["max_tokens"] = json!(2_048);
        }
        let wide = json!({"max_budget": 10.0, "strict_budget": true});
        let key = world.setup.make_key(0, wide).await?;
        let reply = send(&world, &key, path, &bounded).await?;
        assert_eq!(reply.status, 200, "{what}: {}", reply.body);
        let charged = async || spent(&world, &key).await == Some(cost);
        wait_until(&what, SOON, charged).await?;
    }
    Ok(())
}
