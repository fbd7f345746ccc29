//! `/v1/chat/completions`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{CREATED, KEYS, error_frame, refuse, responses, tier, usage, with_usage};
use crate::answer::{Answer, Called, Part, Text};
use crate::ask::{Ask, Last, MustCall, Tool, text_of};
use crate::dialects::azure;
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::script::{Framing, Script, event};
use crate::settings::Habit;

const ROLES: [&str; 6] = ["developer", "system", "user", "assistant", "tool", "function"];
const FINISHES: [&str; 4] = ["stop", "length", "tool_calls", "content_filter"];
/// The most answers to one request.
const MAX_N: u64 = 128;

#[derive(Clone, Copy)]
pub(in crate::dialects) struct Chat {
    /// Azure names the model in the path, and says what its filters found.
    pub(in crate::dialects) azure: bool,
}

impl Route for Chat {
    fn keys(&self) -> Keys {
        if self.azure { azure::KEYS } else { KEYS }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let mut ask = azure::model(self.azure, request)?;
        if responses::are_all(&ask.model) {
            let message = "This model is only supported in v1/responses and not in \
                           v1/chat/completions.";
            return Err(Failure { status: 404, ..Failure::parameter("model", message) });
        }
        check_stream(mock, &ask)?;
        for (at, message) in ask.list("messages")?.iter().enumerate() {
            check_message(at, message)?;
        }
        ask.last = last(ask.list("messages")?.last());
        let tools = ask.body["tools"].as_array().into_iter().flatten();
        ask.tools = tools.filter_map(|tool| offered(&tool["function"])).collect();
        ask.must_call = must_call(&ask.body["tool_choice"]);
        ask.one_call = ask.body["parallel_tool_calls"] == false;
        ask.schema = schema(&ask.body["response_format"]);
        if let Some(max) = ask.body["max_completion_tokens"].as_u64() {
            ask.max_tokens = Some(u32::try_from(max).unwrap_or(u32::MAX));
        }
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let writer = Writer { ask, answer, azure: self.azure, n: n(ask) };
        if ask.stream { Reply::Stream(writer.script()) } else { Reply::Said(writer.whole()) }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        if self.azure { azure::refuse(failure) } else { refuse(mock, failure) }
    }
}

/// Checks `stream_options`, which is for streams only.
pub(super) fn check_stream(mock: &Mock, ask: &Ask) -> Result<(), Failure> {
    let options = &ask.body["stream_options"];
    if options.is_null() {
        return Ok(());
    }
    if mock.settings.has(Habit::NoStreamOptions) {
        return Err(Failure::bad("Unrecognized request argument supplied: stream_options"));
    }
    if !ask.stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Failure::parameter("stream_options", message));
    }
    Ok(())
}

/// How many answers are wanted.
pub(super) fn n(ask: &Ask) -> u64 {
    ask.body["n"].as_u64().unwrap_or(1).clamp(1, MAX_N)
}

fn check_message(at: usize, message: &Value) -> Result<(), Failure> {
    let role = message["role"].as_str().unwrap_or_default();
    if !ROLES.contains(&role) {
        let supported = ROLES.map(|role| format!("'{role}'")).join(", ");
        let text = format!("Invalid value: '{role}'. Supported values are: {supported}.");
        return Err(Failure::parameter(&format!("messages[{at}].role"), text));
    }
    if role == "tool" && !message["tool_call_id"].is_string() {
        return Err(Failure::missing(&format!("messages[{at}].tool_call_id")));
    }
    Ok(())
}

fn last(message: Option<&Value>) -> Last {
    let Some(message) = message else { return Last::Other };
    let text = text_of(&message["content"]);
    match message["role"].as_str() {
        Some("user") => Last::User(text),
        Some("tool" | "function") => Last::Tool(text),
        _ => Last::Other,
    }
}

fn offered(function: &Value) -> Option<Tool> {
    let name = function["name"].as_str()?.to_owned();
    Some(Tool { name, schema: function["parameters"].clone() })
}

fn must_call(choice: &Value) -> MustCall {
    match choice.as_str() {
        Some("required") => MustCall::Any,
        Some("none") => MustCall::Never,
        Some(_) => MustCall::No,
        None => match choice["function"]["name"].as_str() {
            Some(name) => MustCall::Named(name.to_owned()),
            None => MustCall::No,
        },
    }
}

fn schema(format: &Value) -> Option<Value> {
    match format["type"].as_str()? {
        "json_schema" => Some(format["json_schema"]["schema"].clone()),
        "json_object" => Some(json!(true)),
        _ => None,
    }
}

struct Writer<'a> {
    ask: &'a Ask,
    answer: &'a Answer,
    azure: bool,
    n: u64,
}

impl Writer<'_> {
    fn whole(&self) -> Value {
        let answer = self.answer;
        let calls: Vec<Value> =
            answer.calls().map(|called| call(called, &called.arguments.to_string())).collect();
        let silent = !answer.parts.iter().any(|part| matches!(part, Part::Text(_)));
        let text = if silent { Value::Null } else { json!(answer.text()) };
        let refusal = answer.refusal();
        let refusal = if refusal.is_empty() { Value::Null } else { json!(refusal) };
        let mut message = json!({"role": "assistant", "content": text, "refusal": refusal});
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        let thought = answer.thought();
        if !thought.is_empty() {
            message["reasoning_content"] = json!(thought);
        }
        let logprobs = self.ask.flag("logprobs").then(|| {
            let tokens: Vec<Value> = texts(answer)
                .flat_map(|text| text.runs())
                .flat_map(|(token, times)| (0..times).map(move |_| logprob(token)))
                .collect();
            json!({"content": tokens, "refusal": null})
        });
        let choices: Vec<Value> = (0..self.n)
            .map(|index| {
                self.filtered(json!({"index": index, "message": message, "logprobs": logprobs,
                    "finish_reason": self.finish()}))
            })
            .collect();
        let usage = answer.usage.map(|some| usage(some, self.n));
        let whole = with_usage(self.object("chat.completion", &json!(choices)), usage);
        if self.azure { azure::with_prompt_filter(whole) } else { whole }
    }

    fn script(&self) -> Script {
        let mut script = Script::new(Framing::Events, error_frame());
        if self.azure {
            script.note(event(&azure::with_prompt_filter(json!({"id": "", "object": "",
                "created": 0, "model": "", "choices": []}))));
        }
        script
            .note(self.frames(&json!({"role": "assistant", "content": "", "refusal": null}), None));
        let mut calls = 0;
        for part in &self.answer.parts {
            match part {
                Part::Thought(text) => {
                    script
                        .say(text, |token| self.frames(&json!({"reasoning_content": token}), None));
                }
                Part::Text(text) => {
                    script.say(text, |token| self.frames(&json!({"content": token}), Some(token)))
                }
                Part::Refusal(text) => {
                    script.say(text, |token| self.frames(&json!({"refusal": token}), None));
                }
                Part::Call(called) => {
                    let mut opening = call(called, "");
                    opening["index"] = json!(calls);
                    script.note(self.frames(&json!({"tool_calls": [opening]}), None));
                    script.say(&called.json, |token| {
                        let piece = json!({"index": calls, "function": {"arguments": token}});
                        self.frames(&json!({"tool_calls": [piece]}), None)
                    });
                    calls += 1;
                }
            }
        }
        script.note(self.every_choice(|index| {
            json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": self.finish()})
        }));
        if let Some(used) = self.answer.usage.filter(|_| self.wants_usage()) {
            let last = self.object("chat.completion.chunk", &json!([]));
            script.note(event(&with_usage(last, Some(usage(used, self.n)))));
        }
        script.note(Bytes::from_static(b"data: [DONE]\n\n"));
        script
    }

    fn wants_usage(&self) -> bool {
        self.ask.body["stream_options"]["include_usage"] == true
    }

    fn finish(&self) -> &str {
        self.answer.finish.word(FINISHES)
    }

    /// The frames in which every choice gets this `delta`.
    fn frames(&self, delta: &Value, token: Option<&str>) -> Bytes {
        self.every_choice(|index| {
            let logprobs = token.filter(|_| self.ask.flag("logprobs"));
            let logprobs =
                logprobs.map(|token| json!({"content": [logprob(token)], "refusal": null}));
            json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null})
        })
    }

    fn every_choice(&self, choice: impl Fn(u64) -> Value) -> Bytes {
        let frames = (0..self.n).map(|index| {
            let choices = json!([self.filtered(choice(index))]);
            let mut chunk = self.object("chat.completion.chunk", &choices);
            if self.wants_usage() && self.answer.usage.is_some() {
                chunk["usage"] = Value::Null;
            }
            event(&chunk)
        });
        Bytes::from(frames.collect::<Vec<_>>().concat())
    }

    fn filtered(&self, choice: Value) -> Value {
        if self.azure { azure::with_filter(choice) } else { choice }
    }

    fn object(&self, object: &str, choices: &Value) -> Value {
        json!({"id": format!("chatcmpl-{}", self.answer.id), "object": object, "created": CREATED,
            "model": self.ask.model, "system_fingerprint": "fp_mock", "service_tier": tier(self.ask),
            "choices": choices})
    }
}

fn call(called: &Called, arguments: &str) -> Value {
    json!({"id": format!("call_{}", called.id), "type": "function",
        "function": {"name": called.name, "arguments": arguments}})
}

fn texts(answer: &Answer) -> impl Iterator<Item = &Text> {
    answer.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text),
        Part::Thought(_) | Part::Refusal(_) | Part::Call(_) => None,
    })
}

pub(super) fn logprob(token: &str) -> Value {
    json!({"token": token, "logprob": -0.25, "bytes": token.as_bytes(), "top_logprobs": []})
}
