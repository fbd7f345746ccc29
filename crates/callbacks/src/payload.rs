//! LiteLLM's standard payload of a request.

use dunlin_journal::SpendRecord;
use dunlin_types::UnixMillis;
use serde_json::{Map, Value, json};

use crate::asked::Talk;
use crate::event::Event;
use crate::figures::{costs, usage};

/// The payload, with what was said if the receiver gets `messages`.
pub(crate) fn payload(event: &Event, messages: bool) -> Value {
    let record = &*event.record;
    let (origin, course) = (&record.origin, &record.course);
    let Talk { messages, response, parameters } = Talk::of(event, messages);
    let said = event.metadata();
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let session = text("session_id").or_else(|| origin.session.clone());
    let trace = text("trace_id").or_else(|| origin.session.clone());
    let first = course.first_token.unwrap_or(record.ended);
    let status = if event.failed() { "failure" } else { "success" };
    let overhead = overhead_ms(record);
    let ip = origin.ip.map(|ip| ip.to_string());
    let mut told = json!({
        "id": event.id(),
        "trace_id": trace.unwrap_or_else(|| record.call_id.clone()),
        "session_id": session,
        "litellm_call_id": record.call_id,
        "call_type": course.call_type,
        "stream": record.stream,
        "response_cost": record.cost.as_usd(),
        "cost_breakdown": costs(record),
        "response_cost_failure_debug_info": null,
        "status": status,
        "status_fields": {"llm_api_status": status, "guardrail_status": "not_run"},
        "custom_llm_provider": course.provider,
        "total_tokens": (record.prompt + record.completion).0,
        "prompt_tokens": record.prompt.0,
        "completion_tokens": record.completion.0,
        "startTime": seconds(record.started),
        "endTime": seconds(record.ended),
        "completionStartTime": seconds(first),
        "response_time": seconds(first) - seconds(record.started),
        "model_map_information": {"model_map_key": event.model(), "model_map_value": null},
        "model": event.model(),
        "model_id": record.deployment.as_ref().map(|id| &*id.0),
        "model_group": course.group.as_deref().unwrap_or(&record.model),
        "api_base": event.names.api_base.as_deref().unwrap_or_default(),
    });
    let rest = json!({
        "metadata": metadata(event, said),
        "cache_hit": false,
        "cache_key": null,
        "saved_cache_cost": 0.0,
        "request_tags": origin.tags,
        "end_user": origin.end_user.as_deref().unwrap_or_default(),
        "requester_ip_address": ip,
        "user_agent": origin.user_agent,
        "messages": messages,
        "response": response,
        "error_str": record.fault.as_ref().map(|fault| &fault.message),
        "error_information": fault(record),
        "model_parameters": parameters,
        "hidden_params": {
            "model_id": record.deployment.as_ref().map(|id| &*id.0),
            "cache_key": null,
            "api_base": event.names.api_base,
            "response_cost": record.cost.as_usd(),
            "litellm_overhead_time_ms": overhead,
            "additional_headers": null,
            "batch_models": null,
            "litellm_model_name": event.model(),
            "usage_object": usage(record),
        },
        "guardrail_information": null,
    });
    if let (Value::Object(told), Value::Object(rest)) = (&mut told, rest) {
        told.extend(rest);
    }
    told
}

/// Whose key it was and what is said of the request.
pub(crate) fn metadata(event: &Event, requester: Map<String, Value>) -> Map<String, Value> {
    let (record, names) = (&*event.record, &event.names);
    let (whose, origin) = (&record.whose, &record.origin);
    let mut told = Map::new();
    if !event.hides_caller {
        let mut caller = |name: &str, value: Option<&str>| {
            told.insert(format!("user_api_key_{name}"), value.into());
        };
        caller("hash", Some(&event.payer()));
        caller("alias", names.key.as_deref());
        caller("team_id", whose.team.as_deref());
        caller("team_alias", names.team.as_deref());
        caller("user_id", event.user());
        caller("user_email", names.email.as_deref());
        caller("org_id", whose.organization.as_deref());
        caller("org_alias", names.organization.as_deref());
        caller("end_user_id", origin.end_user.as_deref());
    }
    let spend: Option<Value> =
        origin.spend_metadata.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let requester = (!requester.is_empty()).then_some(Value::Object(requester));
    let ip = origin.ip.map(|ip| ip.to_string());
    let request = record.request.to_string();
    told.extend([
        // What is sent again after a kill has the same.
        ("dunlin_request_id".to_owned(), request.into()),
        ("spend_logs_metadata".to_owned(), spend.unwrap_or_default()),
        ("requester_ip_address".to_owned(), ip.into()),
        ("requester_metadata".to_owned(), requester.unwrap_or_default()),
        ("user_agent".to_owned(), origin.user_agent.as_deref().into()),
        ("usage_object".to_owned(), usage(record)),
        ("attempted_retries".to_owned(), record.course.retries.into()),
        ("attempted_fallbacks".to_owned(), record.course.fallbacks.into()),
    ]);
    told
}

/// What the client was told instead of an answer.
fn fault(record: &SpendRecord) -> Value {
    let Some(fault) = &record.fault else { return Value::Null };
    json!({
        "error_code": fault.status.to_string(),
        "error_class": fault.class(),
        "llm_provider": record.course.provider.as_deref().unwrap_or_default(),
        "traceback": "",
        "error_message": fault.message,
    })
}

/// What the gateway itself took of a request's time.
fn overhead_ms(record: &SpendRecord) -> Option<u64> {
    let course = &record.course;
    let asked: u64 = course.attempts.iter().map(|attempt| attempt.duration_ms).sum();
    let streamed = course.first_token.map_or(0, |first| record.ended.0.saturating_sub(first.0));
    let whole = record.ended.0.saturating_sub(record.started.0);
    let is_known = !course.attempts.is_empty();
    is_known.then(|| whole.saturating_sub(asked.saturating_add(streamed)))
}

/// Seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact")]
fn seconds(at: UnixMillis) -> f64 {
    at.0 as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// Every field that the payload has in LiteLLM.
    const FIELDS: &str = "api_base cache_hit cache_key call_type completionStartTime completion_tokens \
         cost_breakdown custom_llm_provider endTime end_user error_information error_str \
         guardrail_information hidden_params id litellm_call_id messages metadata model model_group \
         model_id model_map_information model_parameters prompt_tokens request_tags \
         requester_ip_address response response_cost response_cost_failure_debug_info response_time \
         saved_cache_cost session_id startTime status status_fields stream total_tokens trace_id \
         user_agent";

    #[test]
    fn it_has_litellms_fields_and_says_what_happened() {
        let told = payload(&samples::answered(), true);
        let mut names: Vec<_> =
            told.as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), FIELDS.split_whitespace().collect::<Vec<_>>().join(" "));
        for (at, value) in [
            ("/id", json!("chatcmpl-1")),
            ("/litellm_call_id", json!("call-1")),
            ("/trace_id", json!("my-trace")),
            ("/session_id", json!("a-session")),
            ("/call_type", json!("acompletion")),
            ("/status", json!("success")),
            ("/response_cost", json!(0.000_45)),
            ("/cost_breakdown/input_cost", json!(0.000_15)),
            ("/startTime", json!(1_790_000_000.0)),
            ("/endTime", json!(1_790_000_000.9)),
            ("/completionStartTime", json!(1_790_000_000.25)),
            ("/model", json!("gpt-4o-mini")),
            ("/model_group", json!("chat")),
            ("/model_id", json!("d-1")),
            ("/api_base", json!("https://api.openai.com/v1")),
            ("/metadata/user_api_key_hash", json!(samples::key().to_string())),
            ("/metadata/user_api_key_alias", json!("ci")),
            ("/metadata/dunlin_request_id", json!("01900000000070008000000000000001")),
            ("/metadata/user_api_key_team_alias", json!("Red")),
            ("/metadata/spend_logs_metadata/run", json!(7)),
            ("/metadata/requester_metadata/generation_name", json!("greeting")),
            ("/request_tags", json!(["a"])),
            ("/messages", json!([{"role": "user", "content": "Hi"}])),
            ("/response/choices/0/message/content", json!("Hello")),
            ("/model_parameters", json!({"temperature": 0.5, "max_tokens": 9})),
            ("/hidden_params/usage_object/total_tokens", json!(30)),
            ("/hidden_params/litellm_overhead_time_ms", json!(50)),
            ("/error_information", Value::Null),
        ] {
            assert_eq!(told.pointer(at), Some(&value), "{at}");
        }
    }

    #[test]
    fn what_may_not_be_told_is_not() {
        let text = |event: &Event, messages| payload(event, messages).to_string();
        let whole = samples::answered();
        let redacted = payload(&whole, false);
        assert_eq!(redacted["messages"][0]["content"], "redacted-by-litellm");
        assert_eq!(redacted["response"]["text"], "redacted-by-litellm");
        assert!(!redacted.to_string().contains("Hello") && text(&whole, true).contains("Hello"));
        let hidden = Event { hides_caller: true, ..samples::answered() };
        let caller = samples::key().to_string();
        assert!(!text(&hidden, true).contains("user_api_key"), "{}", text(&hidden, true));
        assert!(!text(&hidden, true).contains(&caller) && text(&whole, true).contains(&caller));
    }

    #[test]
    fn a_failure_says_why() {
        let told = payload(&samples::failed(), true);
        assert_eq!(told["status"], "failure");
        assert_eq!(told["error_str"], "slow down");
        assert_eq!(told["error_information"]["error_code"], "429");
        assert_eq!(told["response"], Value::Null);
    }

    #[test]
    fn a_streams_text_is_told_as_an_answer() {
        let told = payload(&samples::streamed(), true);
        assert_eq!(told["response"]["choices"][0]["message"]["content"], "Hello in pieces");
        assert_eq!(told["response"]["object"], "chat.completion");
    }
}
