//! Ollama's own dialect: `/api/chat`, `/api/generate`, `/api/embed` and what tells of models.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::{post, probes};
use crate::answer::{Answer, Part};
use crate::ask::{Ask, Last, Tool, text_of};
use crate::exchange::{Keys, Mock, Place, Refusal, Reply, Route, json_response};
use crate::failure::{Failure, Why};
use crate::record::Recorded;
use crate::script::{Framing, Script, line};
use crate::vector;

const FINISHES: [&str; 4] = ["stop", "length", "stop", "stop"];
const CREATED: &str = "2023-11-14T22:13:20Z";
/// Nanoseconds that everything takes.
const TOOK: u64 = 1_000_000;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/api/chat", post(Talk { chat: true }))
        .route("/api/generate", post(Talk { chat: false }))
        .route("/api/embed", post(Embed { many: true }))
        .route("/api/embeddings", post(Embed { many: false }))
        .route("/api/show", post(Show))
        .route("/api/tags", get(tags))
        .route("/api/version", get(async || json_response(200, &json!({"version": "0.12.6"}))))
}

/// Keys are for those who put a proxy before it.
const KEYS: Keys = Keys { needed: false, places: &[Place::Bearer] };

#[derive(Clone, Copy)]
struct Talk {
    /// With messages, not with a prompt.
    chat: bool,
}

impl Route for Talk {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let mut ask = named(request)?;
        ask.stream = ask.body["stream"] != false;
        let options = &ask.body["options"];
        let most = options["num_predict"].as_u64();
        ask.max_tokens = most.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        ask.thinks = !matches!(ask.body["think"], Value::Null | Value::Bool(false));
        let format = &ask.body["format"];
        ask.schema = if *format == "json" {
            Some(json!(true))
        } else {
            format.is_object().then(|| format.clone())
        };
        let tools = ask.body["tools"].as_array().into_iter().flatten();
        ask.tools = tools.filter_map(|tool| offered(&tool["function"])).collect();
        ask.last = if self.chat {
            last(ask.body["messages"].as_array().and_then(|messages| messages.last()))?
        } else {
            Last::User(text_of(&ask.body["prompt"]))
        };
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if let Some(reason) = self.errand(ask) {
            let end = json!({"done": true, "done_reason": reason});
            return Reply::Json(self.object(
                ask,
                &json!({"role": "assistant", "content": ""}),
                end,
            ));
        }
        if ask.stream {
            return Reply::Stream(self.script(ask, answer));
        }
        let mut message = json!({"role": "assistant", "content": spoken(answer)});
        if !answer.thought().is_empty() {
            message["thinking"] = json!(answer.thought());
        }
        let calls: Vec<Value> =
            answer.calls().map(|called| call(&called.name, &called.arguments)).collect();
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        Reply::Said(self.object(ask, &message, self.end(answer)))
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }
}

impl Talk {
    /// Why a request without words was sent: to load the model, or to unload it.
    fn errand(self, ask: &Ask) -> Option<&'static str> {
        let silent = if self.chat {
            ask.body["messages"].as_array().is_none_or(Vec::is_empty)
        } else {
            ask.text().is_empty()
        };
        let leaves = ask.body["keep_alive"] == 0;
        silent.then_some(if leaves { "unload" } else { "load" })
    }

    fn script(self, ask: &Ask, answer: &Answer) -> Script {
        let error = line(&json!({"error": "the mock broke"}));
        let mut script = Script::new(Framing::Lines, error);
        let partly = |message: &Value| line(&self.object(ask, message, json!({"done": false})));
        for part in &answer.parts {
            match part {
                Part::Thought(text) => script.say(text, |token| {
                    partly(&json!({"role": "assistant", "content": "", "thinking": token}))
                }),
                Part::Text(text) | Part::Refusal(text) => script
                    .say(text, |token| partly(&json!({"role": "assistant", "content": token}))),
                // Calls come whole.
                Part::Call(called) => script.note(partly(&json!({"role": "assistant",
                    "content": "", "tool_calls": [call(&called.name, &called.arguments)]}))),
            }
        }
        let silence = json!({"role": "assistant", "content": ""});
        script.note(line(&self.object(ask, &silence, self.end(answer))));
        script
    }

    /// The last words.
    fn end(self, answer: &Answer) -> Value {
        let mut end = json!({"done": true, "done_reason": answer.finish.word(FINISHES),
            "total_duration": 3 * TOOK, "load_duration": TOOK});
        if !self.chat {
            end["context"] = json!([1, 2, 3]);
        }
        if let Some(usage) = answer.usage {
            end["prompt_eval_count"] = json!(usage.prompt);
            end["prompt_eval_duration"] = json!(TOOK);
            end["eval_count"] = json!(usage.completion);
            end["eval_duration"] = json!(TOOK);
        }
        end
    }

    /// A message, or what stands for it where there are none, with the fields of `more`.
    fn object(self, ask: &Ask, message: &Value, mut more: Value) -> Value {
        more["model"] = json!(ask.model);
        more["created_at"] = json!(CREATED);
        if self.chat {
            more["message"] = message.clone();
        } else {
            more["response"] = message["content"].clone();
            if let Some(thought) = message.get("thinking") {
                more["thinking"] = thought.clone();
            }
        }
        more
    }
}

fn named(request: &Recorded) -> Result<Ask, Failure> {
    let ask = Ask::json(&request.body)?;
    if ask.model.is_empty() {
        return Err(Failure::bad("model is required"));
    }
    Ok(ask)
}

fn last(message: Option<&Value>) -> Result<Last, Failure> {
    let Some(message) = message else { return Ok(Last::Other) };
    // A list of parts is another dialect.
    let text = message["content"].as_str().map(str::to_owned);
    let wrong = || {
        Failure::bad(
            "json: cannot unmarshal array into Go struct field \
        ChatRequest.messages.content of type string",
        )
    };
    if text.is_none() && !message["content"].is_null() {
        return Err(wrong());
    }
    let text = text.unwrap_or_default();
    Ok(match message["role"].as_str() {
        Some("user") => Last::User(text),
        Some("tool") => Last::Tool(text),
        _ => Last::Other,
    })
}

fn offered(function: &Value) -> Option<Tool> {
    let name = function["name"].as_str()?.to_owned();
    Some(Tool { name, schema: function["parameters"].clone() })
}

fn spoken(answer: &Answer) -> String {
    answer.text() + &answer.refusal()
}

fn call(name: &str, arguments: &Value) -> Value {
    json!({"function": {"name": name, "arguments": arguments}})
}

fn refuse(failure: &Failure) -> Refusal {
    let message = match failure.why {
        Why::Unknown => failure
            .message
            .replace("The model `", "model '")
            .replace("` does not exist.", "' not found"),
        Why::TooLong { .. } => "the input length exceeds the context length".to_owned(),
        Why::Bad(_) | Why::NoKey | Why::WrongKey | Why::Loading | Why::Told => {
            failure.message.clone()
        }
    };
    Refusal::new(failure.status, json!({ "error": message }))
}

#[derive(Clone, Copy)]
struct Embed {
    /// The endpoint for many texts, not the old one for one.
    many: bool,
}

impl Route for Embed {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask = named(request)?;
        let input = &ask.body["input"];
        if self.many && !(input.is_string() || input.is_array()) {
            return Err(Failure::bad("invalid input type"));
        }
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if !self.many {
            let text = ask.body["prompt"].as_str().unwrap_or_default();
            return Reply::Json(json!({"embedding": vector::of(text, None)}));
        }
        let input = &ask.body["input"];
        let texts = input.as_array().map_or(std::slice::from_ref(input), Vec::as_slice);
        let size = ask.body["dimensions"].as_u64();
        let vectors: Vec<_> =
            texts.iter().map(|text| vector::of(text.as_str().unwrap_or_default(), size)).collect();
        Reply::Json(json!({"model": ask.model, "embeddings": vectors, "total_duration": TOOK,
            "load_duration": TOOK, "prompt_eval_count": answer.usage.map(|usage| usage.prompt)}))
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }
}

#[derive(Clone, Copy)]
struct Show;

impl Route for Show {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        named(request)
    }

    fn reply(&self, mock: &Mock, _: &Ask, _: &Answer) -> Reply {
        let context = mock.settings.context.unwrap_or(32_768);
        Reply::Json(json!({"modelfile": "FROM mock", "parameters": "", "template": "{{ .Prompt }}",
            "details": details(), "modified_at": CREATED,
            "model_info": {"general.architecture": "mock", "mock.context_length": context,
                "mock.embedding_length": 3},
            "capabilities": ["completion", "tools", "thinking", "vision"]}))
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }
}

async fn tags(State(mock): State<Arc<Mock>>) -> Response {
    let models = probes::names(&mock).into_iter().map(|name| {
        json!({"name": name, "model": name, "modified_at": CREATED, "size": 1,
            "digest": "0".repeat(64), "details": details()})
    });
    json_response(200, &json!({"models": models.collect::<Vec<_>>()}))
}

fn details() -> Value {
    json!({"parent_model": "", "format": "gguf", "family": "mock", "families": ["mock"],
        "parameter_size": "1B", "quantization_level": "Q4_0"})
}
