//! `/v1/messages/batches`. A batch has ended when it is looked at for the first time.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{KEYS, Messages, check_version, refuse};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{delete, get, post};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route, within};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

pub(super) fn router() -> Router<Arc<Mock>> {
    let one = get(Batches::Show).merge(delete(Batches::Delete));
    Router::new()
        .route("/v1/messages/batches", post(Batches::Create))
        .route("/v1/messages/batches/{id}", one)
        .route("/v1/messages/batches/{id}/cancel", post(Batches::Cancel))
        .route("/v1/messages/batches/{id}/results", get(Batches::Results))
}

#[derive(Clone, Copy)]
enum Batches {
    Create,
    Show,
    Cancel,
    Results,
    Delete,
}

impl Route for Batches {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        check_version(request)?;
        let Self::Create = self else {
            return Ok(Ask { id: request.segment(3), ..Ask::default() });
        };
        let ask = Ask::json(&request.body)?;
        ask.list("requests")?;
        Ok(ask)
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if let Self::Create = self {
            return create(mock, ask, answer);
        }
        let Some(mut batch) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("message batch", &ask.id));
        };
        match self {
            Self::Results if batch.value["processing_status"] != "ended" => {
                Reply::Failed(Failure::bad("The batch has not ended."))
            }
            Self::Results => Reply::Bytes("application/x-jsonl", batch.content),
            Self::Delete => {
                mock.shelf.remove(&ask.id);
                Reply::Json(json!({"id": ask.id, "type": "message_batch_deleted"}))
            }
            Self::Cancel => {
                batch.value["processing_status"] = json!("canceling");
                mock.shelf.put(batch.clone());
                Reply::Json(batch.value)
            }
            Self::Create | Self::Show => {
                if batch.value["processing_status"] == "in_progress" {
                    run(mock, &mut batch, answer);
                    mock.shelf.put(batch.clone());
                }
                Reply::Json(batch.value)
            }
        }
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }

    fn id_header(&self) -> &'static str {
        "request-id"
    }
}

fn create(mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
    let id = format!("msgbatch_{}", answer.id);
    let counts = json!({"processing": ask.body["requests"].as_array().map_or(0, Vec::len),
        "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0});
    let value = json!({"id": id, "type": "message_batch", "processing_status": "in_progress",
        "request_counts": counts, "created_at": "2026-01-01T00:00:00Z", "ended_at": null,
        "expires_at": "2026-01-02T00:00:00Z", "archived_at": null, "cancel_initiated_at": null,
        "results_url": null});
    let content = Bytes::from(ask.body["requests"].to_string());
    mock.shelf.put(Thing { id, value: value.clone(), content });
    Reply::Json(value)
}

/// Answers every request: its content becomes the results.
fn run(mock: &Mock, batch: &mut Thing, answer: &Answer) {
    let requests: Vec<Value> = serde_json::from_slice(&batch.content).unwrap_or_default();
    let (mut results, mut errored) = (String::new(), 0);
    for request in &requests {
        let mut asked = Recorded::within("/v1/messages", &request["params"]);
        asked.headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        let (status, body) = within(mock, &asked, &Messages, answer);
        errored += u64::from(status != 200);
        let result = match status {
            200 => json!({"type": "succeeded", "message": body}),
            _ => json!({"type": "errored", "error": body}),
        };
        let line = json!({"custom_id": request["custom_id"], "result": result});
        results += &format!("{line}\n");
    }
    let id = &batch.id;
    let succeeded = requests.len() as u64 - errored;
    batch.value["request_counts"] = json!({"processing": 0, "succeeded": succeeded,
        "errored": errored, "canceled": 0, "expired": 0});
    batch.value["processing_status"] = json!("ended");
    batch.value["results_url"] = json!(format!("https://mock/v1/messages/batches/{id}/results"));
    batch.content = results.into();
}
