//! Bodies that are JSON for who only looks and none for who takes them apart: half of a character,
//! or lists in lists without an end. Every endpoint answers, and none breaks off.

use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;

use crate::harness::{self, deployment};

/// Bodies with a place for a value, and their paths.
const PLACES: &[(&str, &str)] = &[
    ("/v1/chat/completions", r#"{"model":"M","messages":[{"role":"user","content":V}]}"#),
    (
        "/v1/chat/completions",
        r#"{"model":"M","messages":[{"role":"user","content":"a"}],"tools":[
        {"type":"function","function":{"name":"f","parameters":{"x":V}}}]}"#,
    ),
    (
        "/v1/chat/completions",
        r#"{"model":"M","messages":[{"role":"user","content":"a"}],
        "response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"x":V}}}}"#,
    ),
    (
        "/v1/chat/completions",
        r#"{"model":"M","messages":[{"role":"user","content":"a"}],"metadata":{"x":V}}"#,
    ),
    (
        "/v1/chat/completions",
        r#"{"model":"M","messages":[{"role":"user","content":"a"}],"other":V}"#,
    ),
    (
        "/v1/messages",
        r#"{"model":"M","max_tokens":5,"messages":[{"role":"user","content":"a"}],
        "tools":[{"name":"f","input_schema":{"x":V}}]}"#,
    ),
    (
        "/v1/messages",
        r#"{"model":"M","max_tokens":5,"messages":[{"role":"assistant","content":[
        {"type":"tool_use","id":"a","name":"f","input":{"x":V}}]}]}"#,
    ),
    (
        "/v1/responses",
        r#"{"model":"M","input":"a","tools":[{"type":"function","name":"f",
        "parameters":{"x":V}}]}"#,
    ),
    ("/v1/responses", r#"{"model":"M","input":"a","metadata":{"x":V}}"#),
    ("/v1/responses", r#"{"model":"M","input":"a","user":V,"truncation":V}"#),
    ("/v1/responses", r#"{"model":"M","input":[{"role":"user","content":V}]}"#),
    ("/v1/responses/compact", r#"{"model":"M","input":[{"role":"user","content":V}]}"#),
    (
        "/v1beta/models/M:generateContent",
        r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}],
        "generationConfig":{"x":V},"tools":[{"functionDeclarations":[{"name":"f","parameters":{"x":V}}]}]}"#,
    ),
    ("/v1/embeddings", r#"{"model":"M","input":V}"#),
    ("/v1/rerank", r#"{"model":"M","query":"a","documents":[V]}"#),
    ("/v1/fine_tuning/jobs", r#"{"model":"M","training_file":V}"#),
    ("/v1/batches", r#"{"input_file_id":V}"#),
    ("/key/generate", r#"{"metadata":{"x":V}}"#),
    ("/key/generate", r#"{"models":[V],"user_id":V}"#),
    ("/team/new", r#"{"team_alias":V,"metadata":V}"#),
    ("/user/new", r#"{"metadata":V}"#),
    ("/utils/token_counter", r#"{"model":"M","messages":[{"role":"user","content":V}]}"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_like_json_is_answered_everywhere() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let root = base.trim_end_matches("/v1").to_owned();
    let config = format!(
        "model_list:\n{}{}{}{}",
        deployment("chat", "openai/up", &base),
        deployment("claude", "anthropic/claude-x", &root),
        deployment("gem", "gemini/gemini-x", &root),
        deployment("own", "openai/up", &base) + "    model_info: {mode: responses}\n",
    );
    let setup = harness::start_with(1, mock, config).await?;
    let http = dunlin_cluster::http_client()?;
    let deep = "[".repeat(300) + &"]".repeat(300);
    for value in [r#""\ud800""#, r#""\udc00x""#, r#"{"\ud83d":1}"#, deep.as_str(), "1e999"] {
        for model in ["chat", "claude", "gem", "own"] {
            for (path, body) in PLACES {
                let (path, body) =
                    (path.replace('M', model), body.replace("\"M\"", &format!("\"{model}\"")));
                let request = http.post(setup.cluster.url(0, &path));
                let request = request.bearer_auth(setup.cluster.master_key());
                let request = request.header("content-type", "application/json");
                let answer = request.body(body.replace('V', value)).send().await;
                let shown = &value[..value.len().min(20)];
                let answer =
                    answer.map_err(|error| anyhow::anyhow!("{path} {body} {shown}: {error}"))?;
                let status = answer.status().as_u16();
                // Where nobody takes it apart it passes.
                assert!(status < 500, "{path} {body} {shown}: {status} {}", answer.text().await?);
            }
        }
    }
    let caller = setup.make_key(0, json!({})).await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200, "the node is well");
    Ok(())
}
