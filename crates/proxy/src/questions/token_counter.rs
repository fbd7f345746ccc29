//! `/utils/token_counter`: how many tokens a prompt has, in LiteLLM's words, for every model. Counted
//! here: no provider is asked, nothing is charged and no limit is touched.

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use dunlin_llm::{Endpoint, parse};
use dunlin_types::Tokens;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::questions::count::counted;
use crate::questions::question::{Question, answer, refusal};
use crate::response::error::{Failed, Refused};
use crate::{Proxy, gemini};

const EXPECTED: &str = "the body is not a request to count: an object is needed with a text for \
    `model`, and `messages`, a text for `prompt`, or `contents`";

#[derive(Deserialize)]
struct CountBody<'a> {
    model: String,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    prompt: Option<String>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
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
        Err(_) => return Ok(refusal(EXPECTED)),
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
    let Some(counted) = count(&proxy, model, &asked).await else {
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
async fn count(proxy: &Proxy, model: &str, asked: &CountBody<'_>) -> Option<Counted> {
    let tokenizer = &proxy.0.tokenizer;
    let by = tokenizer.count_text(model, "").tokenizer;
    if asked.messages.is_some() {
        let body = asked.members(model);
        // Anthropic's clients have instructions beside their messages, and schemas under a name of
        // their own.
        let schemas = asked.tools.is_some_and(|tools| tools.get().contains("\"input_schema\""));
        if asked.system.is_some() || schemas {
            let chat = parse(Endpoint::Messages, body.into(), None).ok()?;
            return Some(Counted { tokens: counted(proxy, &chat, model).ok()?, tokenizer: by });
        }
        let count = tokenizer.count_chat(model, body.as_bytes()).ok()?;
        return Some(Counted { tokens: count.tokens, tokenizer: count.tokenizer });
    }
    if let Some(prompt) = &asked.prompt {
        let count = tokenizer.count_text(model, prompt);
        return Some(Counted { tokens: count.tokens, tokenizer: count.tokenizer });
    }
    asked.contents?;
    let tokens = gemini::counted(proxy, model, &asked.members(model).into()).await.ok()?;
    Some(Counted { tokens, tokenizer: by })
}

impl CountBody<'_> {
    /// A body with what is to be counted in it.
    fn members(&self, model: &str) -> String {
        let said = [
            ("messages", self.messages),
            ("contents", self.contents),
            ("system", self.system),
            ("tools", self.tools),
        ];
        let said = said.into_iter().filter_map(|(name, value)| Some((name, value?.get())));
        let said: String = said.map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        format!("{{\"model\":{},\"max_tokens\":1{said}}}", json!(model))
    }
}
