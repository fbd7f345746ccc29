//! A fallback is bound as a request for it is: the config's and the client's own, for any failure, for
//! a prompt that is too long, and for what a filter stops.

use super::*;
use crate::harness::Scripted;

/// The models that fail, each in its own way, and what comes after each of them.
const FAILING: [(&str, &str); 3] = [
    ("fails", "fallbacks"),
    ("is-short", "context_window_fallbacks"),
    ("filters", "content_policy_fallbacks"),
];

fn text(model: &str, words: usize) -> Value {
    let content = "word ".repeat(words);
    json!({"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 9})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_is_bound_whoever_names_it_and_whatever_failed() -> anyhow::Result<()> {
    let settings = Settings { context: Some(50), ..Settings::default() };
    let (sick, short) =
        (MockUpstream::start(Settings::default()).await?, MockUpstream::start(settings).await?);
    sick.set_fault(Fault::Status { code: 500, retry_after: None }).await;
    let stopped = json!({"error": {"message": "The response was filtered.", "param": "prompt",
        "code": "content_filter", "type": "invalid_request_error"}});
    let filter = Scripted::start_with(400, "application/json", vec![stopped.to_string()]).await?;
    for rows in [Rows::Exact, Rows::Pattern] {
        for by_config in [true, false] {
            let ours = rows.ours("openai");
            let mut more = String::new();
            let bases = [sick.api_base(), short.api_base(), filter.api_base()];
            for ((model, _), base) in FAILING.iter().zip(&bases) {
                more += &deployment(model, &format!("openai/{model}-up"), base);
            }
            more += "router_settings:\n  num_retries: 0\n";
            for (model, kind) in FAILING.iter().filter(|_| by_config) {
                more += &format!("  {kind}: [{{{model}: [{ours}]}}]\n");
            }
            let setup = rows.start_with(&more).await?;
            let mut keys = barred(&setup, &ours).await?.to_vec();
            keys.push(setup.make_key(0, json!({})).await?);
            for (model, kind) in FAILING {
                let mut body = text(model, 400);
                if !by_config {
                    body[kind] = json!([{model: [ours]}]);
                }
                let before = setup.mock.stats().requests;
                for (at, key) in keys.iter().enumerate() {
                    let reply = setup.ask(0, key, &body).await?;
                    let told = format!("{kind} {by_config}: {} {}", reply.status, reply.body);
                    assert_eq!(reply.ok(), at == 2, "{told}");
                    let asked = setup.mock.stats().requests - before;
                    assert_eq!(asked, u64::from(at == 2), "{told}");
                }
            }
        }
    }
    Ok(())
}
