//! How many tokens a prompt has, in Anthropic's words, for every model: asked of a provider that
//! counts, else counted here. It costs nothing, takes nothing of a limit, and how it goes says nothing
//! of a deployment.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use dunlin_llm::form::Input;
use dunlin_llm::openai::{ChatStyle, write_chat};
use dunlin_llm::{ChatRequest, Endpoint};
use dunlin_tokens::Tokenizer;
use dunlin_types::Tokens;
use serde::Serialize;

use crate::Proxy;
use crate::questions::prompt::Prompt;
use crate::request::call::Call;
use crate::response::error::{Failed, Refused};
use crate::response::headers;

/// A provider that takes longer is not waited for: clients ask before each turn.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Counted {
    input_tokens: u64,
    litellm_count_source: &'static str,
}

/// POST /v1/messages/count_tokens
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let call = Call::begin(&proxy, Endpoint::CountTokens, &request);
    match conduct(&proxy, &call, request).await {
        Ok(response) => response,
        Err(failed) => failed.response(&call),
    }
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let prompt = Prompt::read(proxy, call, request).await?;
    let told = prompt.told(proxy, call);
    let Prompt { serving, caller, chat, .. } = prompt;
    let group = dunlin_router::group(&serving.catalog, caller.access(), chat.model())
        .map_err(|no_route| Refused::no_route(no_route, call.endpoint, &caller))?;

    let (upstream, nobody) = (&proxy.0.upstream, BTreeSet::new());
    // Where all are at rest the count is still made, here.
    let attempt = upstream.start_attempt(&group, serving.catalog.strategy, &nobody, Tokens(0)).ok();
    let deployment = attempt.as_ref().map(|attempt| attempt.deployment().clone());
    let asked = match attempt {
        Some(attempt) => upstream.count(attempt, &chat, PROVIDER_TIMEOUT).await,
        None => None,
    };
    let (tokens, source) = match asked {
        Some(tokens) => (tokens, "provider"),
        None => {
            let model = deployment.as_ref().map_or(chat.model(), |by| &by.target.model);
            proxy.0.tokenizer.warm(model).await;
            (counted(proxy, &chat, model)?, "local")
        }
    };
    let told = match &deployment {
        Some(deployment) => told.answered(proxy, call, deployment, &HeaderMap::new()),
        None => told,
    };
    let counted = Counted { input_tokens: tokens.0, litellm_count_source: source };
    let json = serde_json::to_vec(&counted).expect("numbers and texts are always JSON");
    Ok(headers::json(told, Bytes::from(json)))
}

/// The count made here, of the chat as an OpenAI-compatible server would be sent it, or of texts for
/// vectors or completions.
pub(crate) fn counted(proxy: &Proxy, chat: &ChatRequest, model: &str) -> Result<Tokens, Refused> {
    counted_by(&proxy.0.tokenizer, chat, model)
}

fn counted_by(by: &Tokenizer, chat: &ChatRequest, model: &str) -> Result<Tokens, Refused> {
    let suffix = chat.suffix().map_or(Tokens(0), |text| by.count_text(model, &text).tokens);
    if let Some(lists) = chat.token_lists() {
        return Ok(Tokens(lists.iter().map(|ids| ids.len() as u64).sum()) + suffix);
    }
    if chat.endpoint() == Endpoint::Embeddings {
        let embed = chat.embed_with(&[]).map_err(Refused::BadRequest)?;
        let counts = embed.inputs.iter().map(|input| match input {
            Input::Text(text) => by.count_text(model, text).tokens,
            Input::Tokens(ids) => Tokens(ids.len() as u64),
        });
        return Ok(counts.fold(Tokens(0), |sum, tokens| sum + tokens));
    }
    let form = chat.form_with(&[]).map_err(Refused::BadRequest)?;
    let body = write_chat(&form, model, ChatStyle::COMPATIBLE);
    let count = by.count_chat(model, &body);
    Ok(count.map_or_else(|_| chat.prompt_estimate(), |count| count.tokens + suffix))
}

#[cfg(test)]
mod tests {
    use dunlin_llm::parse;
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn ids_of_tokens_are_counted_one_by_one_and_what_is_to_follow_too() {
        let by = Tokenizer::new(&TaskTracker::new());
        by.warm("gpt-4o").await;
        let count = |endpoint, rest: &str| {
            let body = format!(r#"{{"model":"gpt-4o",{rest}}}"#);
            let chat = parse(endpoint, Bytes::from(body), None).expect("a request");
            counted_by(&by, &chat, "gpt-4o").ok().expect("it can be counted").0
        };
        let completions = Endpoint::Completions;
        assert_eq!(count(completions, r#""prompt":[1,1,1,1,1]"#), 5);
        assert_eq!(count(completions, r#""prompt":[[1,2],[3]]"#), 3);
        assert_eq!(count(Endpoint::Embeddings, r#""input":[[1,2],[3]]"#), 3);
        let alone = count(completions, r#""prompt":"a""#);
        assert_eq!(count(completions, r#""prompt":"a","suffix":"one two three""#), alone + 3);
    }
}
