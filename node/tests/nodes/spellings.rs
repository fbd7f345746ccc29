//! Requests and models as LiteLLM's clients and operators spell them: ids of tokens for texts, slashes
//! in a model that a path names, words before and beside a model's name, moderations of no model.

use dunlin_cluster::Reply;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, deployment};

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let config = [
        "model_list:\n".to_owned(),
        deployment("org/chat", "openai/upstream-name", &base),
        deployment("vectors", "openai/vectors-up", &base),
        deployment("cohere-vectors", "cohere/vectors-up", &root),
        deployment("ollama-vectors", "ollama/vectors-up", &root),
        deployment("series", "azure/o_series/mine", &root),
        deployment("routed", "openai/responses/gpt-4.1", &base),
        deployment("judge", "openai/omni-moderation-latest", &base),
        deployment("claude", "anthropic/claude-sonnet-4-5", &root),
    ];
    harness::start_with(1, mock, config.concat()).await
}

async fn post(setup: &Setup, path: &str, body: &Value) -> anyhow::Result<Reply> {
    Ok(setup.cluster.client().post(&setup.cluster.url(0, path), body).await?)
}

fn sent(setup: &Setup) -> anyhow::Result<(String, Value)> {
    let request = setup.mock.last_request().expect("it came through");
    Ok((request.path.clone(), serde_json::from_slice(&request.body)?))
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9})
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_come_as_tokens_are_said_in_words_to_whom_reads_none() -> anyhow::Result<()> {
    let setup = start().await?;
    // As tiktoken has them: "hello world", and "tiktoken is great!".
    let tokens = json!([[15339, 1917], [83, 1609, 5963, 374, 2294, 0]]);
    let words = json!(["hello world", "tiktoken is great!"]);
    for (model, field, expected) in [
        ("vectors", "input", &tokens),
        ("ollama-vectors", "input", &words),
        ("cohere-vectors", "texts", &words),
    ] {
        let reply =
            post(&setup, "/v1/embeddings", &json!({"model": model, "input": tokens})).await?;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        let answer: Value = reply.json()?;
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(2), "{model}: {answer}");
        assert_eq!(&sent(&setup)?.1[field], expected, "{model}");
    }
    let none = json!({"model": "ollama-vectors", "input": [4_000_000_000_u32]});
    let reply = post(&setup, "/v1/embeddings", &none).await?;
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert!(reply.body.contains("cl100k_base"), "{}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_found_however_it_is_spelled() -> anyhow::Result<()> {
    let setup = start().await?;
    for before in ["/engines", "/v1/engines", "/openai/deployments"] {
        for name in ["org/chat", "org%2Fchat"] {
            let path = format!("{before}/{name}/chat/completions?api-version=v");
            let reply = post(&setup, &path, &json!({"messages": chat("")["messages"]})).await?;
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
            assert_eq!(sent(&setup)?.1["model"], "upstream-name");
        }
    }
    assert_eq!(post(&setup, "/v1/chat/completions", &chat("series")).await?.status, 200);
    let (path, body) = sent(&setup)?;
    assert_eq!(path, "/openai/deployments/mine/chat/completions");
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(9), None));
    assert_eq!(post(&setup, "/v1/chat/completions", &chat("routed")).await?.status, 200);
    assert_eq!(sent(&setup)?.1["model"], "gpt-4.1");

    let judged = post(&setup, "/v1/moderations", &json!({"input": "x"})).await?;
    assert_eq!(judged.status, 200, "{}", judged.body);
    assert_eq!(sent(&setup)?.1["model"], "omni-moderation-latest");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_takes_is_told_whether_it_is_served_or_not() -> anyhow::Result<()> {
    let setup = start().await?;
    let params = async |model: &str| -> anyhow::Result<Vec<String>> {
        let path = format!("/utils/supported_openai_params?model={model}");
        let reply = setup.cluster.client().get(&setup.cluster.url(0, &path)).await?;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        let mut told: Value = reply.json()?;
        Ok(serde_json::from_value(told["supported_openai_params"].take())?)
    };
    let claude = params("claude").await?;
    for param in ["stream", "thinking", "user", "max_completion_tokens", "functions"] {
        assert!(claude.iter().any(|known| known == param), "{param}: {claude:?}");
    }
    assert!(!claude.iter().any(|known| known == "logit_bias"), "{claude:?}");
    assert_eq!(params("anthropic/claude-sonnet-4-5").await?, claude);
    assert!(params("gpt-4o").await?.iter().any(|known| known == "logit_bias"));
    let path = "/utils/supported_openai_params?model=nobodys";
    let reply = setup.cluster.client().get(&setup.cluster.url(0, path)).await?;
    assert_eq!(reply.status, 400, "{}", reply.body);
    Ok(())
}
