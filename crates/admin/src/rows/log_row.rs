//! A record of the request log as a row of LiteLLM's `LiteLLM_SpendLogs`.

use dunlin_callbacks::{costs, usage};
use dunlin_journal::{Row, SpendRecord};
use dunlin_router::{Catalog, Deployment};
use dunlin_state::{Kind, State};
use dunlin_types::{DeploymentId, NanoUsd};
use serde_json::{Map, Value, json};

use crate::reports::log_query::MASTER;
use crate::request::moment::iso;
use crate::rights::caller::MASTER_USER;

/// The row, without what was said.
pub(crate) fn row(state: &State, catalog: Option<&Catalog>, row: &Row) -> Map<String, Value> {
    let record = &row.record;
    let asked = asked(record);
    let deployment = asked.and_then(|id| find(catalog?, id));
    let origin = &record.origin;
    let ip = origin.ip.map(|ip| ip.to_string());
    let told = json!({
        "request_id": request_id(record),
        "call_type": record.course.call_type,
        "api_key": payer(record),
        "spend": record.cost.as_usd(),
        "total_tokens": (record.prompt + record.completion).0,
        "prompt_tokens": record.prompt.0,
        "completion_tokens": record.completion.0,
        "startTime": iso(record.started),
        "endTime": iso(record.ended),
        "completionStartTime": iso(record.course.first_token.unwrap_or(record.ended)),
        "request_duration_ms": record.ended.0.saturating_sub(record.started.0),
        "model": model(record),
        "model_id": asked.map(|id| &*id.0).unwrap_or_default(),
        "model_group": group(record),
        "custom_llm_provider": provider(record, deployment),
        "api_base": deployment.map(|known| known.backend.api_base()).unwrap_or_default(),
        "user": user(record),
        "metadata": metadata(state, row),
        "cache_hit": "False",
        "cache_key": "Cache OFF",
        "request_tags": origin.tags,
        "team_id": record.whose.team,
        "organization_id": record.whose.organization,
        "end_user": origin.end_user.as_deref().unwrap_or_default(),
        "requester_ip_address": ip,
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        "session_id": origin.session,
        "status": status(record),
        "mcp_namespaced_tool_name": null,
        "agent_id": null,
        "litellm_call_id": record.call_id,
        "created_at": iso(record.ended),
        "updated_at": iso(record.ended),
    });
    object(told)
}

/// The row with what was said, where that is on record.
pub(crate) fn whole(state: &State, catalog: Option<&Catalog>, found: &Row) -> Map<String, Value> {
    let mut told = row(state, catalog, found);
    told.extend(said(&found.record));
    told
}

/// What was said: `messages`, `response`, `proxy_server_request`; empty objects if it is not on
/// record. What was cut, or came in pieces, is a text.
pub(crate) fn said(record: &SpendRecord) -> Map<String, Value> {
    let nothing = || json!({});
    let read = |text: &str| match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) if text.is_empty() => nothing(),
        Err(_) => Value::from(text),
    };
    let (mut request, mut response) = (nothing(), nothing());
    if let Some(said) = &record.said {
        (request, response) = (read(&said.request), read(&said.answer));
    }
    let asked = ["messages", "input", "prompt", "contents"];
    let messages = asked.iter().find_map(|name| request.get(*name).cloned());
    let messages = messages.unwrap_or_else(nothing);
    object(json!({"messages": messages, "response": response, "proxy_server_request": request}))
}

/// As LiteLLM names a row: the answer's id, else that of the call.
fn request_id(record: &SpendRecord) -> &str {
    record.answer_id.as_deref().unwrap_or(&record.call_id)
}

/// Who paid: a key's hash, or a name for the master key.
pub(crate) fn payer(record: &SpendRecord) -> String {
    record.key.map_or_else(|| MASTER.to_owned(), |key| key.to_string())
}

/// Whose key it was.
pub(crate) fn user(record: &SpendRecord) -> &str {
    let nobody = if record.key.is_none() { MASTER_USER } else { "" };
    record.whose.user.as_deref().unwrap_or(nobody)
}

/// The model's name upstream; as it was asked for, if nobody answered.
pub(crate) fn model(record: &SpendRecord) -> &str {
    if record.upstream_model.is_empty() { &record.model } else { &record.upstream_model }
}

fn group(record: &SpendRecord) -> &str {
    record.course.group.as_deref().unwrap_or(&record.model)
}

fn status(record: &SpendRecord) -> &'static str {
    if record.failed() { "failure" } else { "success" }
}

fn metadata(state: &State, row: &Row) -> Value {
    let record = &row.record;
    let (whose, origin) = (&record.whose, &record.origin);
    let key = record.key.and_then(|token| state.key(&token));
    let team = whose.team.as_deref().and_then(|team| state.entity(Kind::Team, team));
    let spend_metadata = origin.spend_metadata.as_deref();
    let spend_metadata = spend_metadata.and_then(|text| serde_json::from_str(text).ok());
    json!({
        "user_api_key": payer(record),
        "user_api_key_alias": key.and_then(|key| key.alias.as_ref()),
        "user_api_key_user_id": user(record),
        "user_api_key_team_id": whose.team,
        "user_api_key_team_alias": team.and_then(|team| team.alias.as_ref()),
        "user_api_key_org_id": whose.organization,
        "spend_logs_metadata": spend_metadata.unwrap_or(Value::Null),
        "requester_ip_address": origin.ip.map(|ip| ip.to_string()),
        "user_agent": origin.user_agent,
        "litellm_call_id": record.call_id,
        "status": status(record),
        "error_information": fault(record),
        "usage_object": usage(record),
        "cost_breakdown": costs(record),
        "attempted_retries": record.course.retries,
        "attempted_fallbacks": record.course.fallbacks,
        "dunlin": own(row),
    })
}

fn fault(record: &SpendRecord) -> Value {
    let Some(fault) = &record.fault else { return Value::Null };
    json!({
        "error_code": fault.status.to_string(),
        "error_class": fault.class(),
        "error_message": fault.message,
        "llm_provider": record.course.provider,
        "traceback": "",
    })
}

/// What LiteLLM's rows have no name for.
fn own(row: &Row) -> Value {
    let (record, at) = (&row.record, &row.at);
    let attempts = record.course.attempts.iter().map(|attempt| {
        json!({
            "model_id": &*attempt.deployment.0,
            "status": attempt.status,
            "duration_ms": attempt.duration_ms,
        })
    });
    json!({
        "node": at.node,
        "epoch": at.epoch,
        "number": at.number,
        "outcome": record.outcome,
        "stream": record.stream,
        "estimated": record.estimated,
        "unpriced": record.unpriced,
        "attempts": attempts.collect::<Vec<_>>(),
        "nano_usd": exact(record.cost),
    })
}

/// A float of dollars cannot hold every amount.
fn exact(cost: NanoUsd) -> u64 {
    cost.0
}

/// Who answered, or who was asked last in vain.
fn asked(record: &SpendRecord) -> Option<&DeploymentId> {
    let last = record.course.attempts.last().map(|attempt| &attempt.deployment);
    record.deployment.as_ref().or(last)
}

fn provider<'r>(record: &'r SpendRecord, asked: Option<&'r Deployment>) -> &'r str {
    let known = asked.map(|asked| &*asked.provider);
    record.course.provider.as_deref().or(known).unwrap_or_default()
}

fn find<'c>(catalog: &'c Catalog, id: &DeploymentId) -> Option<&'c Deployment> {
    let deployments = catalog.deployments();
    deployments.map(AsRef::as_ref).find(|known| known.id == *id)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("it was written as an object")
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_journal::{Fault, Outcome, Position, Said, Whose};
    use dunlin_types::{Epoch, NodeId, Tokens, UnixMillis};

    use super::*;
    use crate::rows::row::tests::state_after;

    fn told(record: SpendRecord) -> Map<String, Value> {
        let at = Position { started: record.started, node: NodeId(1), epoch: Epoch(2), number: 3 };
        whole(&state_after([]), None, &Row { at, record })
    }

    #[test]
    fn a_row_has_every_column_and_its_id_is_that_of_the_answer() {
        let record = SpendRecord {
            answer_id: Some("chatcmpl-1".to_owned()),
            call_id: "call".to_owned(),
            model: "chat".to_owned(),
            upstream_model: "gpt".to_owned(),
            prompt: Tokens(9),
            completion: Tokens(3),
            cost: NanoUsd(15_000),
            started: UnixMillis(0),
            ended: UnixMillis(250),
            outcome: Outcome::Success,
            ..SpendRecord::default()
        };
        let row = told(record.clone());
        for (name, value) in [
            ("request_id", json!("chatcmpl-1")),
            ("litellm_call_id", json!("call")),
            ("api_key", json!(MASTER)),
            ("user", json!(MASTER_USER)),
            ("model", json!("gpt")),
            ("model_group", json!("chat")),
            ("spend", json!(1.5e-5)),
            ("total_tokens", json!(12)),
            ("startTime", json!("1970-01-01T00:00:00.000000Z")),
            ("request_duration_ms", json!(250)),
            ("status", json!("success")),
            ("cache_hit", json!("False")),
            ("messages", json!({})),
        ] {
            assert_eq!(row[name], value, "{name}");
        }
        let row = told(SpendRecord { answer_id: None, ..record });
        assert_eq!(row["request_id"], "call");
    }

    #[test]
    fn a_failure_says_what_the_client_was_told() {
        let fault = Fault {
            status: 429,
            kind: Some("throttling_error".to_owned()),
            message: "Rate limit exceeded".to_owned(),
        };
        let whose = Whose { user: Some("ann".to_owned()), ..Whose::default() };
        let fault = Some(Box::new(fault));
        let row = told(SpendRecord { fault, whose, ..SpendRecord::default() });
        assert_eq!((&row["status"], &row["user"]), (&json!("failure"), &json!("ann")));
        let told = &row["metadata"]["error_information"];
        assert_eq!(told["error_code"], "429");
        assert_eq!(told["error_class"], "RateLimitError");
        assert_eq!(told["error_message"], "Rate limit exceeded");
    }

    #[test]
    fn what_was_said_is_json_unless_it_was_cut_or_came_in_pieces() {
        let said = Said {
            request: r#"{"model":"chat","messages":[{"role":"user","content":"hi"}]}"#.to_owned(),
            answer: "Hello wor".to_owned(),
        };
        let row = told(SpendRecord { said: Some(Box::new(said)), ..SpendRecord::default() });
        assert_eq!(row["messages"][0]["content"], "hi");
        assert_eq!(row["response"], "Hello wor");
        assert_eq!(row["proxy_server_request"]["model"], "chat");
    }
}
