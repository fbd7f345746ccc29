//! `otel`: a span for each request, by OTLP over HTTP in its JSON form, with the names of the
//! OpenTelemetry semantic conventions for generative AI. These are still in development: what is
//! called otherwise by then changes here.

use std::io::Write as _;

use bytes::Bytes;
use dunlin_config::Otel;
use dunlin_journal::SpendRecord;
use dunlin_types::UnixMillis;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};
use serde_json::{Value, json};

use crate::asked::Talk;
use crate::event::Event;
use crate::payload::metadata;
use crate::post::{Post, insert_all};

/// A request for somebody else, in OTLP.
const CLIENT: u32 = 3;
/// The status of a span that failed, in OTLP.
const ERROR: u32 = 2;
/// A shorter body is sent as it is.
const MIN_GZIP_BYTES: usize = 1 << 10;

/// The request that tells `events`.
pub(crate) fn post(to: &Otel, events: &[&Event], messages: bool) -> Post {
    let mut resource = Attributes::default();
    resource.text("service.name", &*to.service);
    resource.maybe("deployment.environment.name", to.environment.as_deref());
    let spans: Vec<Value> = events.iter().map(|event| span(event, messages)).collect();
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": resource.0},
        "scopeSpans": [{
            "scope": {"name": "dunlin", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans,
        }],
    }]});
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let plain = body.to_string();
    let body = if plain.len() < MIN_GZIP_BYTES {
        Bytes::from(plain)
    } else {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        gzipped(plain.as_bytes())
    };
    insert_all(&mut headers, &to.headers);
    Post { to: to.endpoint.clone(), headers, body, count: events.len() }
}

fn gzipped(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory is no file");
    Bytes::from(encoder.finish().expect("memory is no file"))
}

fn span(event: &Event, messages: bool) -> Value {
    let record = &*event.record;
    let (trace, parent) = trace(event);
    let operation = operation(&record.course.call_type);
    let mut span = json!({
        "traceId": trace,
        "spanId": span_id(record),
        "name": format!("{operation} {}", record.model).trim_end(),
        "kind": CLIENT,
        "startTimeUnixNano": nanoseconds(record.started),
        "endTimeUnixNano": nanoseconds(record.ended),
        "attributes": attributes(event, operation, messages),
        "status": {},
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = parent.into();
    }
    if event.failed() {
        let why = record.fault.as_ref().map_or("no answer", |fault| &fault.message);
        span["status"] = json!({"code": ERROR, "message": why});
    }
    span
}

/// The trace, and the span that the request is part of: `traceparent` of the W3C's Trace Context, else
/// a trace of its own.
fn trace(event: &Event) -> (String, Option<String>) {
    let own = || (format!("{:032x}", event.record.request.0.max(1)), None);
    let Some(parent) = event.parent() else { return own() };
    let parts: Vec<&str> = parent.trim().split('-').collect();
    let is_hex = |text: &str, length: usize| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == length && text.bytes().all(hex) && text.bytes().any(|byte| byte != b'0')
    };
    match parts[..] {
        [version, trace, span, _, ..]
            if version.len() == 2 && version != "ff" && is_hex(trace, 32) && is_hex(span, 16) =>
        {
            (trace.to_owned(), Some(span.to_owned()))
        }
        _ => own(),
    }
}

/// The part of a request's id that is random: the rest is a time.
fn span_id(record: &SpendRecord) -> String {
    let random = record.request.0 & u128::from(u64::MAX);
    format!("{:016x}", random.max(1))
}

fn attributes(event: &Event, operation: &str, messages: bool) -> Vec<Value> {
    let record = &*event.record;
    let (course, origin) = (&record.course, &record.origin);
    let talk = Talk::of(event, messages);
    let mut all = Attributes::default();
    all.text("gen_ai.operation.name", operation);
    all.maybe("gen_ai.provider.name", course.provider.as_deref().map(provider));
    all.text("gen_ai.request.model", &*record.model);
    if record.deployment.is_some() {
        all.text("gen_ai.response.model", event.model());
    }
    all.maybe("gen_ai.response.id", record.answer_id.as_deref());
    all.maybe("gen_ai.conversation.id", origin.session.as_deref());
    for (name, field) in PARAMETERS {
        all.json(name, talk.parameters.get(field));
    }
    all.json("gen_ai.response.finish_reasons", finish_reasons(&talk.response).as_ref());
    if !event.failed() {
        all.number("gen_ai.usage.input_tokens", record.prompt.0);
        all.number("gen_ai.usage.output_tokens", record.completion.0);
        all.number("gen_ai.usage.cache_read.input_tokens", record.cached.0);
        all.number("gen_ai.usage.cache_creation.input_tokens", record.kinds.cache_write.0);
        all.number("gen_ai.usage.reasoning.output_tokens", record.kinds.reasoning.0);
    }
    if let Some(first) = course.first_token {
        let wait = first.0.saturating_sub(record.started.0);
        all.float("gen_ai.response.time_to_first_chunk", seconds(wait));
    }
    server(event.names.api_base.as_deref(), &mut all);
    if event.failed() {
        all.text("error.type", event.status().to_string());
    }
    all.float("gen_ai.cost.input_cost", record.parts.input.as_usd());
    all.float("gen_ai.cost.output_cost", record.parts.output.as_usd());
    all.float("gen_ai.cost.total_cost", record.cost.as_usd());
    all.text("litellm.call_id", &*record.call_id);
    all.text("litellm.call_type", &*course.call_type);
    all.json("litellm.request_tags", Some(&json!(origin.tags)).filter(|_| !origin.tags.is_empty()));
    all.flag("llm.is_streaming", record.stream);
    for (name, value) in metadata(event, event.metadata()) {
        all.json(&format!("metadata.{name}"), Some(&value));
    }
    if matches!(event.said(messages), crate::event::Said::Words(_)) {
        all.maybe("gen_ai.input.messages", spoken(&talk.messages).as_deref());
        all.maybe("gen_ai.output.messages", answered(&talk.response).as_deref());
    }
    all.0
}

/// Attributes that are fields of a request.
const PARAMETERS: [(&str, &str); 9] = [
    ("gen_ai.request.choice.count", "n"),
    ("gen_ai.request.frequency_penalty", "frequency_penalty"),
    ("gen_ai.request.max_tokens", "max_tokens"),
    ("gen_ai.request.presence_penalty", "presence_penalty"),
    ("gen_ai.request.seed", "seed"),
    ("gen_ai.request.stop_sequences", "stop"),
    ("gen_ai.request.temperature", "temperature"),
    ("gen_ai.request.top_k", "top_k"),
    ("gen_ai.request.top_p", "top_p"),
];

/// The operation that a call is, as the conventions name it.
fn operation(call_type: &str) -> &str {
    match call_type {
        "acompletion" | "anthropic_messages" | "aresponses" => "chat",
        "atext_completion" => "text_completion",
        "aembedding" => "embeddings",
        "agenerate_content" | "agenerate_content_stream" => "generate_content",
        other => other,
    }
}

/// The provider's name in the conventions.
fn provider(name: &str) -> &str {
    match name {
        "azure" => "azure.ai.openai",
        "azure_ai" => "azure.ai.inference",
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "vertex_ai" => "gcp.vertex_ai",
        "watsonx" => "ibm.watsonx.ai",
        "xai" => "x_ai",
        other => other,
    }
}

fn server(api_base: Option<&str>, all: &mut Attributes) {
    let Some(uri) = api_base.and_then(|base| base.parse::<Uri>().ok()) else { return };
    let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    if let Some(host) = uri.host() {
        all.text("server.address", host);
        all.number("server.port", uri.port_u16().unwrap_or(usual).into());
    }
}

fn finish_reasons(response: &Value) -> Option<Value> {
    let choices = response.get("choices")?.as_array()?;
    let reasons = choices.iter().filter_map(|choice| choice.get("finish_reason")?.as_str());
    let reasons: Vec<&str> = reasons.collect();
    (!reasons.is_empty()).then(|| json!(reasons))
}

/// Messages in the conventions' form, as JSON text: `role` and `parts`.
fn spoken(messages: &Value) -> Option<String> {
    let told = match messages {
        Value::Null => return None,
        Value::Array(all) if all.iter().all(|one| one.get("role").is_some()) => {
            all.iter().map(message).collect()
        }
        Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            vec![json!({"role": "user", "parts": parts(messages)})]
        }
    };
    Some(Value::Array(told).to_string())
}

fn answered(response: &Value) -> Option<String> {
    let choices = response.get("choices").and_then(Value::as_array);
    let told: Vec<Value> = match choices {
        Some(choices) => choices
            .iter()
            .map(|choice| {
                let said = choice.get("message").or(choice.get("text")).unwrap_or(&Value::Null);
                let mut told = message(said);
                told["role"] = json!("assistant");
                told["finish_reason"] = choice.get("finish_reason").cloned().unwrap_or_default();
                told
            })
            .collect(),
        None if response.is_null() => return None,
        None => vec![json!({"role": "assistant", "parts": parts(response)})],
    };
    Some(Value::Array(told).to_string())
}

fn message(message: &Value) -> Value {
    let mut told = parts(message.get("content").unwrap_or(message));
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let function = &call["function"];
        told.push(json!({
            "type": "tool_call",
            "id": call.get("id"),
            "name": function.get("name"),
            "arguments": function.get("arguments"),
        }));
    }
    json!({"role": message.get("role").and_then(Value::as_str).unwrap_or("user"), "parts": told})
}

/// Texts as the conventions have them; pictures, sounds and tools as they are.
fn parts(content: &Value) -> Vec<Value> {
    match content {
        Value::Null => Vec::new(),
        Value::String(text) => vec![json!({"type": "text", "content": text})],
        Value::Array(all) => all
            .iter()
            .map(|part| match part.get("text").and_then(Value::as_str) {
                Some(text) => json!({"type": "text", "content": text}),
                None => part.clone(),
            })
            .collect(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![content.clone()],
    }
}

/// What an answer says was not taken.
pub(crate) fn rejected(answer: &[u8]) -> Option<(usize, String)> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let partial = answer.get("partialSuccess")?;
    let count = partial.get("rejectedSpans")?;
    // A 64-bit number is a text in protobuf's JSON.
    let count =
        count.as_u64().or_else(|| count.as_str()?.parse().ok()).filter(|count| *count > 0)?;
    let why = partial.get("errorMessage").and_then(Value::as_str).unwrap_or("it gave no reason");
    Some((usize::try_from(count).unwrap_or(usize::MAX), why.to_owned()))
}

/// Attributes of OTLP, in its JSON form.
#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn put(&mut self, name: &str, value: Value) {
        self.0.push(json!({"key": name, "value": value}));
    }

    fn text(&mut self, name: &str, value: impl Into<String>) {
        self.put(name, json!({"stringValue": value.into()}));
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        self.put(name, json!({"intValue": value.to_string()}));
    }

    fn float(&mut self, name: &str, value: f64) {
        self.put(name, json!({"doubleValue": value}));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.put(name, json!({"boolValue": value}));
    }

    /// What is an object is told as a text: attributes are flat.
    fn json(&mut self, name: &str, value: Option<&Value>) {
        if let Some(value) = value.and_then(flat) {
            self.put(name, value);
        }
    }
}

fn flat(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) => json!({"boolValue": yes}),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => json!({"intValue": whole.to_string()}),
            None => json!({"doubleValue": number}),
        },
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            json!({"arrayValue": {"values": items.iter().filter_map(flat).collect::<Vec<_>>()}})
        }
        Value::Array(_) | Value::Object(_) => json!({"stringValue": value.to_string()}),
    })
}

/// Nanoseconds since 1970: a 64-bit number is a text in protobuf's JSON.
fn nanoseconds(at: UnixMillis) -> String {
    at.0.saturating_mul(1_000_000).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "no request takes so long")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests;
