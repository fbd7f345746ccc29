//! What a stream's first words decide: an error instead of an answer has its own status, since nothing
//! has been sent, and is tried elsewhere. And what its last words count, if that is no count.

use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, INPUT_COST, OUTPUT_COST, SOON, Scripted, Setup, deployment};

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// A provider's model, the status its error stands for, and how its stream begins.
fn failures() -> [(&'static str, u16, String); 6] {
    let openais =
        json!({"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}});
    let mistrals = json!({"object": "error", "message": "slow down", "type": "rate_limit_error", "code": 1300});
    let googles = json!({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}});
    let claudes =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    let begun = json!({"type": "message_start", "message": {"id": "m", "type": "message",
        "role": "assistant", "model": "up", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}});
    let response = |kind: &str, status: &str| {
        let error = (status == "failed")
            .then(|| json!({"code": "rate_limit_exceeded", "message": "slow down"}));
        event(&json!({"type": kind, "sequence_number": 0, "response": {
            "id": "resp_1", "model": "up", "status": status, "error": error, "output": []}}))
    };
    let response =
        response("response.created", "in_progress") + &response("response.failed", "failed");
    [
        ("openai/up", 429, format!("data: {openais}\n\n")),
        ("mistral/up", 429, format!("data: {mistrals}\n\n")),
        ("gemini/up", 503, format!("data: {googles}\n\n")),
        ("anthropic/up", 529, event(&claudes)),
        ("anthropic/begun", 529, event(&begun) + &event(&claudes)),
        ("openai/responses/up", 429, response),
    ]
}

/// A stream for a client of each dialect: where it is asked for, and with what.
fn asking(model: &str) -> [(String, Value); 4] {
    let messages = json!([{"role": "user", "content": "hi"}]);
    [
        (
            "/v1/chat/completions".to_owned(),
            json!({"model": model, "stream": true, "messages": messages}),
        ),
        (
            "/v1/messages".to_owned(),
            json!({"model": model, "stream": true, "max_tokens": 9, "messages": messages}),
        ),
        ("/v1/responses".to_owned(), json!({"model": model, "stream": true, "input": "hi"})),
        (
            format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_instead_of_a_stream_has_its_own_status_and_is_tried_elsewhere()
-> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let mut models = deployment("well", "openai/well-up", &mock.api_base());
    let (mut fallbacks, mut upstreams) = (Vec::new(), Vec::new());
    for (at, (upstream, _, frames)) in failures().into_iter().enumerate() {
        let scripted = Scripted::start("text/event-stream", vec![frames]).await?;
        let base = scripted.api_base();
        let base =
            if upstream.starts_with("anthropic") { base.trim_end_matches("/v1") } else { &base };
        models += &deployment(&format!("sick-{at}"), upstream, base);
        models += &deployment(&format!("saved-{at}"), upstream, base);
        fallbacks.push(json!({format!("saved-{at}"): ["well"]}));
        upstreams.push(scripted);
    }
    let fallbacks = Value::from(fallbacks);
    let config = format!(
        "model_list:\n{models}router_settings:\n  num_retries: 0\n  disable_cooldowns: true\n  \
         fallbacks: {fallbacks}\n"
    );
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.cluster.client();
    for (at, (upstream, status, _)) in failures().into_iter().enumerate() {
        for (path, body) in asking(&format!("sick-{at}")) {
            let reply = caller.post(&setup.cluster.url(0, &path), &body).await?;
            assert_eq!(reply.status, status, "{upstream} {path}: {}", reply.body);
        }
        for (path, body) in asking(&format!("saved-{at}")) {
            let reply = caller.post(&setup.cluster.url(0, &path), &body).await?;
            assert_eq!(reply.status, 200, "{upstream} {path}: {}", reply.body);
            assert_eq!(reply.header("x-litellm-model-group"), Some("well"), "{upstream} {path}");
            assert!(reply.body.contains("tok "), "{upstream} {path}: {}", reply.body);
        }
    }
    Ok(())
}

const WORDS: &str = "data: {\"id\":\"c1\",\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":\
    {\"content\":\"good day\"}}]}\n\n";
const STOP: &str = "data: {\"id\":\"c1\",\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{},\
    \"finish_reason\":\"stop\"}]}\n\n";

/// A stream of a compatible server that ends in that usage, and what its client is told.
async fn counting(usage: &Value) -> anyhow::Result<(Setup, Scripted, Vec<Value>)> {
    let last = json!({"id": "c1", "model": "up", "choices": [], "usage": usage});
    let frames = format!("{WORDS}{STOP}data: {last}\n\ndata: [DONE]\n\n");
    let upstream = Scripted::start("text/event-stream", vec![frames]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, harness::chat_config(&upstream.api_base())).await?;
    let mut body = harness::chat_body();
    (body["stream"], body["stream_options"]) = (json!(true), json!({"include_usage": true}));
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let frames = data.filter_map(|data| serde_json::from_str(data).ok()).collect();
    Ok((setup, upstream, frames))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_is_none_gives_way_to_what_is_charged() -> anyhow::Result<()> {
    for usage in [
        json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        json!({"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2}),
        json!({"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}),
        json!({"prompt_tokens": 7, "completion_tokens": 9_000_000_000_000_u64}),
    ] {
        let (setup, _upstream, frames) = counting(&usage).await?;
        let told: Vec<&Value> = frames.iter().filter(|frame| frame["usage"].is_object()).collect();
        let [told] = &told[..] else { panic!("{usage}: {frames:?}") };
        let count = |name: &str| told["usage"][name].as_f64().expect("a count");
        let (prompt, completion) = (count("prompt_tokens"), count("completion_tokens"));
        assert!(prompt > 0.0 && (1.0..100.0).contains(&completion), "{usage}: {told}");
        let expected = prompt * INPUT_COST + completion * OUTPUT_COST;
        let rows = setup.cluster.url(0, "/spend/logs?summarize=false");
        wait_until("it is charged as it is told", SOON, async || {
            let rows = setup.cluster.client().get(&rows).await.ok();
            let rows = rows.and_then(|reply| reply.json::<Value>().ok()).unwrap_or_default();
            rows[0]["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
        })
        .await?;
    }
    Ok(())
}
