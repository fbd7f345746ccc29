//! `/utils/token_counter`: how many tokens a prompt has, in LiteLLM's words, for every model. Counted
//! here: no provider is asked, nothing is charged and no limit is touched.

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use dunlin_llm::{Endpoint, gemini, tokens_in};
use dunlin_types::Tokens;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::Proxy;
use crate::questions::question::{Question, answer, refusal};
use crate::response::error::{Failed, Refused};

#[derive(Deserialize)]
#[serde(expecting = "an object with a model and messages, a prompt or contents")]
struct CountBody<'a> {
    model: String,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    prompt: Option<String>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
}

struct Counted {
    tokens: Tokens,
    tokenizer: &'static str,
}

/// POST /utils/token_counter
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    answer(proxy, request, conduct).await
}

async fn conduct(proxy: Proxy, asked: Question) -> Result<Response<Body>, Failed> {
    let Question { serving, caller, body } = asked;
    let asked: CountBody<'_> = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return Ok(refusal(&format!("the body is not a request to count: {error}"))),
    };
    // A model that nobody serves is counted by its name alone, as in LiteLLM.
    let group = dunlin_router::group(&serving.catalog, caller.access(), &asked.model);
    let group = match group {
        Ok(group) => Some(group),
        Err(dunlin_router::NoRoute::Unknown { .. }) => None,
        Err(refused) => {
            return Err(Refused::no_route(refused, Endpoint::ChatCompletions, &caller).into());
        }
    };
    let upstream = group.as_ref().and_then(|group| group.deployments.first());
    let model = upstream.map_or(&*asked.model, |known| &known.target.model);
    proxy.0.tokenizer.warm(model).await;
    let Some(counted) = count(&proxy, model, &asked) else {
        return Ok(refusal("one of `messages`, `prompt` or `contents` is needed, and must be one"));
    };
    let answer = json!({
        "total_tokens": counted.tokens.0,
        "request_model": asked.model,
        "model_used": model,
        "tokenizer_type": counted.tokenizer,
        "count_source": "local",
        "original_response": null,
        "error": false,
        "error_message": null,
        "status_code": null,
    });
    Ok(Json(answer).into_response())
}

/// `None`: there is nothing to count.
fn count(proxy: &Proxy, model: &str, asked: &CountBody<'_>) -> Option<Counted> {
    let tokenizer = &proxy.0.tokenizer;
    if let Some(messages) = asked.messages {
        let chat = format!("{{\"messages\":{}}}", messages.get());
        let count = tokenizer.count_chat(model, chat.as_bytes()).ok()?;
        return Some(Counted { tokens: count.tokens, tokenizer: count.tokenizer });
    }
    if let Some(prompt) = &asked.prompt {
        let count = tokenizer.count_text(model, prompt);
        return Some(Counted { tokens: count.tokens, tokenizer: count.tokenizer });
    }
    let body = format!("{{\"contents\":{}}}", asked.contents?.get());
    let tokens = gemini::count_estimate(body.as_bytes());
    let tokens = tokens.unwrap_or_else(|_| tokens_in(body.len() as u64));
    Some(Counted { tokens, tokenizer: "bytes/4" })
}
