//! Another model instead: after a prompt that is too long, after any other failure.

use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::json;

use crate::harness::{self, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_too_long_goes_to_the_model_kept_for_it() -> anyhow::Result<()> {
    let small = MockUpstream::start(Settings { context: Some(50), ..Settings::default() }).await?;
    let big = MockUpstream::start(Settings::default()).await?;
    let other = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n{}{}{}router_settings:\n  num_retries: 0\n  fallbacks: [{{small: [other]}}]\n  \
         context_window_fallbacks: [{{small: [big]}}]\n",
        deployment("small", "openai/small", &small.api_base()),
        deployment("big", "openai/big", &big.api_base()),
        deployment("other", "openai/other", &other.api_base()),
    );
    let setup = harness::start_with(1, small.clone(), config).await?;
    let ask = async |text: String| {
        let body = json!({"model": "small", "messages": [{"role": "user", "content": text}]});
        setup.ask(0, setup.cluster.client(), &body).await
    };
    let reply = ask("word ".repeat(400)).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!((big.stats().requests, other.stats().requests), (1, 0));
    small.set_fault(Fault::Status { code: 500, retry_after: None }).await;
    let reply = ask("hi".to_owned()).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!((big.stats().requests, other.stats().requests), (1, 1));
    let mut body = json!({"model": "small", "messages": [{"role": "user", "content": "hi"}]});
    body["disable_fallbacks"] = true.into();
    assert_eq!(setup.ask(0, setup.cluster.client(), &body).await?.status, 500);
    Ok(())
}
