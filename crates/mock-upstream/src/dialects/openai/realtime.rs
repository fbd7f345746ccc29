//! `/v1/realtime`: a conversation over a WebSocket, in text.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::{calls, refuse};
use crate::answer::{Answer, Called, Part};
use crate::ask::{Ask, Last, Tool, text_of};
use crate::exchange::{self, Keys, Mock, Place, json_response};
use crate::failure::Failure;
use crate::fault::Fault;
use crate::record::{InFlight, Recorded};
use crate::wish::Wishes;

const KEYS: Keys = Keys { needed: false, places: &[Place::Bearer, Place::Header("api-key")] };
/// How soon a call that was hung up is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a client that cannot send headers must offer, and gets.
const PROTOCOL: &str = "realtime";

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new().route("/v1/realtime", get(connect))
}

async fn connect(
    State(mock): State<Arc<Mock>>,
    upgrade: WebSocketUpgrade,
    request: Recorded,
) -> Response {
    let mut in_flight = mock.record.begin(request.clone());
    let fault = mock.plan.take();
    if fault == Fault::Hang {
        return std::future::pending().await;
    }
    let model = request.parameter("model").unwrap_or_default().to_owned();
    let ask = Ask { model, ..Ask::default() };
    let call = request.parameter("call_id").map(str::to_owned);
    let begun = match &call {
        Some(call) => mock.shelf.find(call).map(|call| call.value),
        None => calls::session_of_secret(&mock, &request),
    };
    let is_let_in = match (&call, &begun) {
        (Some(call), None) => Err(Failure::absent("call", call)),
        (None, Some(_)) => Ok(()),
        (_, _) => mock.check_key(&request, &KEYS),
    };
    let checked = is_let_in.and_then(|()| {
        let wishes = Wishes::read(&request.headers, &Value::Null, "").map_err(Failure::bad)?;
        exchange::refusal(&mock, &fault, &ask, &wishes).map_or(Ok(()), Err)
    });
    if let Err(failure) = checked {
        in_flight.finish();
        let refusal = refuse(&mock, &failure);
        return json_response(refusal.status, &refusal.body);
    }
    upgrade.protocols([PROTOCOL]).on_upgrade(async move |socket| {
        let mut session = json!({"id": format!("sess_{}", mock.id()), "object": "realtime.session",
            "type": "realtime", "model": ask.model, "output_modalities": ["text"],
            "instructions": "", "tools": [], "tool_choice": "auto"});
        for (field, value) in begun.iter().filter_map(Value::as_object).flatten() {
            session[field] = value.clone();
        }
        let talk = Talk { mock, fault, socket, in_flight, session, last: Last::Other, events: 0 };
        match call {
            Some(call) => talk.tell(&call).await,
            None => talk.run().await,
        }
    })
}

/// One conversation.
struct Talk {
    mock: Arc<Mock>,
    fault: Fault,
    socket: WebSocket,
    in_flight: InFlight,
    session: Value,
    last: Last,
    /// How many were sent.
    events: u64,
}

/// The other side is gone, or a fault says that this one is.
struct Over;

impl Talk {
    async fn run(mut self) {
        let created = json!({"type": "session.created", "session": self.session});
        let mut going = self.send(created).await;
        while going.is_ok() {
            going = match self.socket.recv().await {
                Some(Ok(Message::Text(text))) => self.hear(&text).await,
                Some(Ok(Message::Close(_))) | None => {
                    self.in_flight.finish();
                    return;
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Ok(()),
                Some(Err(_)) => Err(Over),
            };
        }
    }

    /// Tells what is said in a call, until it is hung up.
    async fn tell(mut self, call: &str) {
        let lines = self.session["instructions"].as_str().unwrap_or_default().to_owned();
        for line in lines.lines() {
            self.last = Last::User(line.to_owned());
            if self.respond(&Value::Null).await.is_err() {
                return;
            }
        }
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while self.mock.shelf.find(call).is_some() {
            tokio::select! {
                _ = looks.tick() => {}
                heard = self.socket.recv() => {
                    if !matches!(heard, Some(Ok(Message::Ping(_) | Message::Pong(_)))) {
                        break;
                    }
                }
            }
        }
        self.in_flight.finish();
        // A receiver that is gone need not be told.
        drop(self.socket.send(Message::Close(None)).await);
    }

    async fn send(&mut self, mut event: Value) -> Result<(), Over> {
        event["event_id"] = json!(format!("event_{}", self.events));
        self.events += 1;
        self.socket.send(Message::Text(event.to_string().into())).await.map_err(|_| Over)
    }

    async fn hear(&mut self, text: &str) -> Result<(), Over> {
        let Ok(event) = serde_json::from_str::<Value>(text) else {
            return self.complain("The event is no JSON.", &Value::Null).await;
        };
        match event["type"].as_str() {
            Some("session.update") => {
                for (field, value) in event["session"].as_object().into_iter().flatten() {
                    self.session[field] = value.clone();
                }
                self.send(json!({"type": "session.updated", "session": self.session})).await
            }
            Some("conversation.item.create") => self.add(&event["item"]).await,
            Some("input_audio_buffer.append" | "response.cancel") => Ok(()),
            Some("input_audio_buffer.commit") => {
                self.last = Last::Other;
                let id = format!("item_{}", self.mock.id());
                self.send(json!({"type": "input_audio_buffer.committed", "item_id": id})).await
            }
            Some("response.create") => self.respond(&event["response"]).await,
            _ => {
                let kind = &event["type"];
                let message = format!("Invalid value: {kind}.");
                self.complain(&message, &event["event_id"]).await
            }
        }
    }

    async fn complain(&mut self, message: &str, event: &Value) -> Result<(), Over> {
        let error = json!({"type": "invalid_request_error", "code": "invalid_value",
            "message": message, "param": null, "event_id": event});
        self.send(json!({"type": "error", "error": error})).await
    }

    async fn add(&mut self, item: &Value) -> Result<(), Over> {
        self.last = match (item["type"].as_str(), item["role"].as_str()) {
            (Some("function_call_output"), _) => Last::Tool(text_of(&item["output"])),
            (_, Some("user")) => Last::User(text_of(&item["content"])),
            _ => Last::Other,
        };
        let mut item = item.clone();
        if item["id"].is_null() {
            item["id"] = json!(format!("item_{}", self.mock.id()));
        }
        item["object"] = json!("realtime.item");
        item["status"] = json!("completed");
        for kind in ["added", "done"] {
            let kind = format!("conversation.item.{kind}");
            self.send(json!({"type": kind, "previous_item_id": null, "item": item})).await?;
        }
        Ok(())
    }

    async fn respond(&mut self, wanted: &Value) -> Result<(), Over> {
        let tools = [&wanted["tools"], &self.session["tools"]];
        let tools = tools.into_iter().find_map(Value::as_array).into_iter().flatten();
        let tools = tools.filter_map(|tool| {
            let name = tool["name"].as_str()?.to_owned();
            Some(Tool { name, schema: tool["parameters"].clone() })
        });
        let ask = Ask {
            model: self.session["model"].as_str().unwrap_or_default().to_owned(),
            tools: tools.collect(),
            last: std::mem::take(&mut self.last),
            prompt_tokens: self.session.to_string().len() as u64 / 4,
            ..Ask::default()
        };
        let wishes = Wishes::read(&axum::http::HeaderMap::new(), &Value::Null, ask.text());
        let wishes = match wishes {
            Ok(wishes) => wishes,
            Err(message) => return self.complain(&message, &Value::Null).await,
        };
        let id = self.mock.id();
        let answer = Answer::compose(&ask, &wishes, &self.mock.settings, &self.fault, id);
        let mut response = json!({"id": format!("resp_{}", answer.id), "object":
            "realtime.response", "status": "in_progress", "output": [], "usage": null});
        self.send(json!({"type": "response.created", "response": response})).await?;
        let mut output = Vec::new();
        let spoken = answer.parts.iter().filter(|part| !matches!(part, Part::Thought(_)));
        for (index, part) in spoken.enumerate() {
            output.push(self.item(&answer, index, part).await?);
        }
        response["status"] = json!("completed");
        response["output"] = json!(output);
        response["usage"] = answer.usage.map_or(Value::Null, |usage| {
            json!({"input_tokens": usage.prompt, "output_tokens": usage.completion,
                "total_tokens": usage.prompt + usage.completion,
                "input_token_details": {"text_tokens": usage.prompt, "audio_tokens": 0,
                    "cached_tokens": usage.cached},
                "output_token_details": {"text_tokens": usage.completion, "audio_tokens": 0}})
        });
        self.send(json!({"type": "response.done", "response": response})).await
    }

    /// Says one part; returns its item.
    async fn item(&mut self, answer: &Answer, index: usize, part: &Part) -> Result<Value, Over> {
        let id = format!("item_{}i{index}", answer.id);
        let place = json!({"response_id": format!("resp_{}", answer.id), "output_index": index});
        let (item, text) = match part {
            Part::Thought(text) | Part::Text(text) | Part::Refusal(text) => (message(&id), text),
            Part::Call(called) => (function_call(&id, called), &called.json),
        };
        self.send(at(&place, json!({"type": "response.output_item.added", "item": item}))).await?;
        let place = at(&place, json!({"item_id": id}));
        let whole = text.whole();
        let mut item = item;
        let (kind, place) = if let Part::Call(called) = part {
            item["arguments"] = json!(whole);
            let place = at(&place, json!({"call_id": format!("call_{}", called.id)}));
            ("response.function_call_arguments", place)
        } else {
            item["content"] = json!([{"type": "output_text", "text": whole}]);
            let place = at(&place, json!({"content_index": 0}));
            let part = json!({"type": "text", "text": ""});
            let added = json!({"type": "response.content_part.added", "part": part});
            self.send(at(&place, added)).await?;
            ("response.output_text", place)
        };
        self.deltas(kind, &place, text).await?;
        let field = if matches!(part, Part::Call(_)) { "arguments" } else { "text" };
        self.send(at(&place, json!({"type": format!("{kind}.done"), field: whole}))).await?;
        if field == "text" {
            let part = json!({"type": "text", "text": whole});
            let done = json!({"type": "response.content_part.done", "part": part});
            self.send(at(&place, done)).await?;
        }
        item["status"] = json!("completed");
        self.send(at(&place, json!({"type": "response.output_item.done", "item": item}))).await?;
        Ok(item)
    }

    async fn deltas(
        &mut self,
        kind: &str,
        place: &Value,
        text: &crate::answer::Text,
    ) -> Result<(), Over> {
        let rate = self.mock.settings.tokens_per_second;
        let mut ticks = rate.map(|rate| tokio::time::interval(Duration::from_secs_f64(1.0 / rate)));
        let mut sent = 0;
        for (token, times) in text.runs() {
            for _ in 0..times {
                self.perhaps_break(sent).await?;
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                let delta = json!({"type": format!("{kind}.delta"), "delta": token});
                self.send(at(place, delta)).await?;
                sent += 1;
            }
        }
        Ok(())
    }

    /// Ends the conversation if a fault says so: with a close, with an error, or with nothing.
    async fn perhaps_break(&mut self, sent: u32) -> Result<(), Over> {
        if self.fault == Fault::ErrorMidStream(sent) {
            let error = json!({"type": "server_error", "code": "server_error",
                "message": "the mock broke", "param": null, "event_id": null});
            self.send(json!({"type": "error", "error": error})).await?;
        } else if self.fault == Fault::CutMidStream(sent) {
            self.socket.send(Message::Close(None)).await.map_err(|_| Over)?;
        } else if self.fault != Fault::ResetMidStream(sent) {
            return Ok(());
        }
        Err(Over)
    }
}

fn message(id: &str) -> Value {
    json!({"id": id, "object": "realtime.item", "type": "message", "status": "in_progress",
        "role": "assistant", "content": []})
}

fn function_call(id: &str, called: &Called) -> Value {
    json!({"id": id, "object": "realtime.item", "type": "function_call",
        "status": "in_progress", "name": called.name, "call_id": format!("call_{}", called.id),
        "arguments": ""})
}

/// An event with the fields of its place.
fn at(place: &Value, mut event: Value) -> Value {
    for (field, value) in place.as_object().into_iter().flatten() {
        event[field] = value.clone();
    }
    event
}
