//! Google's Gemini: `/v1/models/{model}:{verb}`, and the same below `/v1beta`. Vertex has the same
//! bodies at other paths.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{post, probes};
use crate::answer::{Answer, Called, Finish, Part, Usage};
use crate::ask::{Ask, Last, MustCall, Tool, text_of};
use crate::exchange::{Keys, Mock, Place, Refusal, Reply, Route, json_response};
use crate::failure::{Failure, Why};
use crate::record::Recorded;
use crate::script::{Framing, Script, event};
use crate::vector;

mod batches;

const FINISHES: [&str; 4] = ["STOP", "MAX_TOKENS", "STOP", "SAFETY"];
/// All that a request for content may have; Google refuses what it does not know.
const FIELDS: [&str; 10] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "model",
    "serviceTier",
];
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1beta/models/{call}", post(Gemini { vertex: false }))
        .route("/v1/models/{*call}", post(Gemini { vertex: false }))
        .route("/v1beta/models", get(models))
        .merge(batches::router())
}

#[derive(Clone, Copy)]
pub(super) struct Gemini {
    pub(super) vertex: bool,
}

impl Route for Gemini {
    fn keys(&self) -> Keys {
        let places = &[Place::Header("x-goog-api-key"), Place::Query("key"), Place::Bearer];
        Keys { needed: true, places }
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let (model, verb) = called(request)?;
        let ask = Ask { model, id: verb, ..Ask::json(&request.body)? };
        match ask.id.as_str() {
            "generateContent" => understand(ask),
            "streamGenerateContent" => {
                let mut ask = understand(ask)?;
                ask.stream = true;
                if request.parameter("alt") != Some("sse") {
                    "array".clone_into(&mut ask.id);
                }
                Ok(ask)
            }
            "countTokens" => Ok(ask),
            "embedContent" if ask.body["content"].is_object() => Ok(ask),
            "batchGenerateContent" if ask.body["batch"].is_object() && !self.vertex => Ok(ask),
            "batchEmbedContents" if ask.body["requests"].is_array() => Ok(ask),
            "predict" if ask.body["instances"].is_array() && self.vertex => Ok(ask),
            "embedContent" | "batchEmbedContents" | "predict" => {
                Err(Failure::bad("* content: content is not specified"))
            }
            verb => Err(Failure::no_model(verb)),
        }
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let embed = |content: &Value, size: &Value| json!({"values": vector::of(&text_of(&content["parts"]), size.as_u64())});
        let body = &ask.body;
        match ask.id.as_str() {
            "countTokens" => Reply::Json(json!({"totalTokens": ask.prompt_tokens,
                "promptTokensDetails": details(ask.prompt_tokens)})),
            "embedContent" => Reply::Json(json!({
                "embedding": embed(&body["content"], &body["outputDimensionality"])})),
            "batchEmbedContents" => {
                let requests = body["requests"].as_array().into_iter().flatten();
                let vectors =
                    requests.map(|one| embed(&one["content"], &one["outputDimensionality"]));
                Reply::Json(json!({"embeddings": vectors.collect::<Vec<_>>()}))
            }
            "predict" => Reply::Json(predictions(ask)),
            "batchGenerateContent" => batches::create(mock, ask, answer),
            _ if ask.stream => Reply::Stream(script(ask, answer)),
            _ => Reply::Said(whole(ask, answer)),
        }
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure, self.vertex)
    }
}

/// The model and the verb that the path ends in.
pub(super) fn called(request: &Recorded) -> Result<(String, String), Failure> {
    let last = request.segment(request.path.split('/').count() - 2);
    let (model, verb) = last.rsplit_once(':').ok_or_else(|| Failure::no_model(&last))?;
    Ok((model.to_owned(), verb.to_owned()))
}

fn understand(mut ask: Ask) -> Result<Ask, Failure> {
    check_fields(&ask.body)?;
    let contents = ask.body["contents"].as_array().filter(|contents| !contents.is_empty());
    let contents = contents.ok_or_else(|| {
        Failure::bad("* GenerateContentRequest.contents: contents is not specified")
    })?;
    let mut calls = 0;
    for content in contents {
        calls = check_content(content, calls)?;
    }
    ask.last = contents.last().map_or(Last::Other, said);
    let tools = ask.body["tools"].as_array().into_iter().flatten();
    let functions =
        tools.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten());
    ask.tools = functions.filter_map(offered).collect();
    let calling = &ask.body["toolConfig"]["functionCallingConfig"];
    ask.must_call = match (calling["mode"].as_str(), calling["allowedFunctionNames"][0].as_str()) {
        (Some("NONE"), _) => MustCall::Never,
        (Some("ANY"), Some(name)) => MustCall::Named(name.to_owned()),
        (Some("ANY"), None) => MustCall::Any,
        _ => MustCall::No,
    };
    let config = &ask.body["generationConfig"];
    let most = config["maxOutputTokens"].as_u64();
    ask.max_tokens = most.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
    ask.thinks = config["thinkingConfig"]["includeThoughts"] == true;
    let schema = config.get("responseSchema").or_else(|| config.get("responseJsonSchema"));
    let json = config["responseMimeType"] == "application/json";
    ask.schema = schema.cloned().or_else(|| json.then_some(json!(true)));
    Ok(ask)
}

fn check_fields(body: &Value) -> Result<(), Failure> {
    let names = body.as_object().into_iter().flatten().map(|(name, _)| name);
    match names.into_iter().find(|name| !FIELDS.contains(&name.as_str())) {
        Some(name) => Err(Failure::bad(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        ))),
        None => Ok(()),
    }
}

/// Checks a turn against the number of calls of the one before; returns its own.
fn check_content(content: &Value, called: usize) -> Result<usize, Failure> {
    if !matches!(content["role"].as_str(), None | Some("user" | "model" | "function")) {
        return Err(Failure::bad("Please use a valid role: user, model."));
    }
    let parts = content["parts"].as_array().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| {
        Failure::bad(
            "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.",
        )
    })?;
    let count = |kind: &str| parts.iter().filter(|part| part.get(kind).is_some()).count();
    if count("functionResponse") != called {
        return Err(Failure::bad(
            "Please ensure that the number of function response parts is equal to the number of \
             function call parts of the function call turn.",
        ));
    }
    Ok(count("functionCall"))
}

fn said(content: &Value) -> Last {
    let parts = content["parts"].as_array().into_iter().flatten();
    let mut results = parts.filter_map(|part| part.get("functionResponse")).peekable();
    if results.peek().is_some() {
        return Last::Tool(results.map(|result| result["response"].to_string()).collect());
    }
    if content["role"] == "model" { Last::Other } else { Last::User(text_of(&content["parts"])) }
}

fn offered(function: &Value) -> Option<Tool> {
    let schema = function.get("parameters").or_else(|| function.get("parametersJsonSchema"));
    let schema = schema.cloned().unwrap_or_default();
    Some(Tool { name: function["name"].as_str()?.to_owned(), schema })
}

fn whole(ask: &Ask, answer: &Answer) -> Value {
    if answer.finish == Finish::Refusal {
        return blocked(ask, answer);
    }
    let parts: Vec<Value> = answer
        .parts
        .iter()
        .map(|part| match part {
            Part::Thought(text) => thought(&text.whole()),
            Part::Text(text) | Part::Refusal(text) => json!({"text": text.whole()}),
            Part::Call(called) => call(called),
        })
        .collect();
    chunk(ask, answer, &parts, Some(answer.finish.word(FINISHES)))
}

fn script(ask: &Ask, answer: &Answer) -> Script {
    let array = ask.id == "array";
    let framing = if array { Framing::Array } else { Framing::Events };
    let error = json!({"error": {"code": 500, "message": "the mock broke", "status": "INTERNAL"}});
    let error = if array { Bytes::from(format!(",\r\n{error}\r\n]")) } else { event(&error) };
    let mut script = Script::new(framing, error);
    let frame = |value: &Value| {
        if array { Bytes::from(format!(",\r\n{value}")) } else { event(value) }
    };
    if answer.finish == Finish::Refusal {
        script.note(frame(&blocked(ask, answer)));
    } else {
        for part in &answer.parts {
            let piece = |part: Value| frame(&chunk(ask, answer, &[part], None));
            match part {
                Part::Thought(text) => script.say(text, |token| piece(thought(token))),
                Part::Text(text) | Part::Refusal(text) => {
                    script.say(text, |token| piece(json!({"text": token})));
                }
                Part::Call(called) => script.note(piece(call(called))),
            }
        }
        let end = Some(answer.finish.word(FINISHES));
        script.note(frame(&chunk(ask, answer, &[json!({"text": ""})], end)));
    }
    if array {
        script.open_with(b',', b'[');
        script.note(Bytes::from_static(b"\r\n]"));
    }
    script
}

fn thought(text: &str) -> Value {
    json!({"text": text, "thought": true})
}

fn call(called: &Called) -> Value {
    json!({"functionCall": {"id": called.id, "name": called.name, "args": called.arguments},
        "thoughtSignature": SIGNATURE})
}

fn chunk(ask: &Ask, answer: &Answer, parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    with_usage(
        json!({"candidates": [candidate], "modelVersion": ask.model,
        "responseId": answer.id}),
        answer.usage,
    )
}

/// The prompt itself was refused: there is no candidate.
fn blocked(ask: &Ask, answer: &Answer) -> Value {
    with_usage(
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": ask.model,
        "responseId": answer.id}),
        answer.usage,
    )
}

/// Here, thoughts do not count as part of the candidate.
fn with_usage(mut value: Value, usage: Option<Usage>) -> Value {
    let Some(usage) = usage else { return value };
    let mut counts = json!({
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.completion - usage.thought,
        "totalTokenCount": usage.prompt + usage.completion,
        "promptTokensDetails": details(usage.prompt),
    });
    if usage.thought > 0 {
        counts["thoughtsTokenCount"] = json!(usage.thought);
    }
    if usage.cached > 0 {
        counts["cachedContentTokenCount"] = json!(usage.cached);
    }
    value["usageMetadata"] = counts;
    value
}

fn details(tokens: u64) -> Value {
    json!([{"modality": "TEXT", "tokenCount": tokens}])
}

fn predictions(ask: &Ask) -> Value {
    let size = ask.body["parameters"]["outputDimensionality"].as_u64();
    let instances = ask.body["instances"].as_array().into_iter().flatten();
    let predictions = instances.map(|instance| {
        let text = instance["content"].as_str().unwrap_or_default();
        json!({"embeddings": {"values": vector::of(text, size),
            "statistics": {"token_count": text.len() / 4, "truncated": false}}})
    });
    json!({"predictions": predictions.collect::<Vec<_>>(),
        "metadata": {"billableCharacterCount": ask.prompt_tokens * 4}})
}

pub(super) fn refuse(failure: &Failure, vertex: bool) -> Refusal {
    let mut details = Vec::new();
    let status = match failure.why {
        Why::NoKey if !vertex => 403,
        Why::WrongKey if !vertex => {
            details.push(json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com"}));
            400
        }
        Why::NoKey
        | Why::WrongKey
        | Why::Bad(_)
        | Why::TooLong { .. }
        | Why::Unknown
        | Why::Loading
        | Why::Told => failure.status,
    };
    if let Some(wait) = &failure.retry_after {
        details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{wait}s")}));
    }
    let message = match failure.why {
        Why::TooLong { prompt, limit } => format!(
            "The input token count ({prompt}) exceeds the maximum number of tokens allowed \
             ({limit})."
        ),
        Why::NoKey | Why::WrongKey | Why::Bad(_) | Why::Unknown | Why::Loading | Why::Told => {
            failure.message.clone()
        }
    };
    let word = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ if status < 500 => "FAILED_PRECONDITION",
        _ => "INTERNAL",
    };
    let error = json!({"code": status, "message": message, "status": word, "details": details});
    Refusal::new(status, json!({ "error": error }))
}

async fn models(State(mock): State<Arc<Mock>>) -> Response {
    let models = probes::names(&mock).into_iter().map(|name| {
        json!({"name": format!("models/{name}"), "displayName": name, "version": "001",
            "inputTokenLimit": mock.settings.context.unwrap_or(1_048_576),
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"]})
    });
    json_response(200, &json!({"models": models.collect::<Vec<_>>()}))
}
