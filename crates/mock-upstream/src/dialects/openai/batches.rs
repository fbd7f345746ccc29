//! `/v1/batches`. A batch is done when it is looked at for the first time.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::responses::created_at;
use super::{CREATED, Chat, Completions, Embeddings, KEYS, files, refuse};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{get, post};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route, within};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/batches", post(Batches::Create).merge(get(Batches::List)))
        .route("/v1/batches/{id}", get(Batches::Show))
        .route("/v1/batches/{id}/cancel", post(Batches::Cancel))
}

#[derive(Clone, Copy)]
enum Batches {
    Create,
    List,
    Show,
    Cancel,
}

impl Route for Batches {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let Self::Create = self else {
            return Ok(Ask { id: request.segment(2), ..Ask::default() });
        };
        let ask = Ask::json(&request.body)?;
        for needed in ["input_file_id", "endpoint", "completion_window"] {
            if !ask.body[needed].is_string() {
                return Err(Failure::missing(needed));
            }
        }
        Ok(ask)
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        match self {
            Self::Create => create(mock, ask, answer),
            Self::List => Reply::Json(files::list(mock.shelf.all("batch_"))),
            Self::Show => with(mock, ask, |batch| match batch["status"].as_str() {
                Some("validating") => run(mock, batch, answer),
                Some("cancelling") => batch["status"] = json!("cancelled"),
                _ => {}
            }),
            Self::Cancel => with(mock, ask, |batch| {
                if batch["status"] == "validating" {
                    batch["status"] = json!("cancelling");
                    batch["cancelling_at"] = json!(CREATED);
                }
            }),
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

fn create(mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
    let input = ask.body["input_file_id"].as_str().unwrap_or_default();
    if mock.shelf.find(input).is_none() {
        return Reply::Failed(Failure::absent("file", input));
    }
    let id = format!("batch_{}", answer.id);
    let value = json!({"id": id, "object": "batch", "endpoint": ask.body["endpoint"],
        "errors": null, "input_file_id": input, "completion_window": ask.body["completion_window"],
        "status": "validating", "output_file_id": null, "error_file_id": null,
        "created_at": created_at(&ask.body), "in_progress_at": null, "completed_at": null,
        "cancelling_at": null, "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": ask.body["metadata"]});
    mock.shelf.put(Thing { id, value: value.clone(), content: Bytes::new() });
    Reply::Json(value)
}

/// Changes a batch and shows it.
fn with(mock: &Mock, ask: &Ask, change: impl FnOnce(&mut Value)) -> Reply {
    let Some(mut batch) = mock.shelf.find(&ask.id) else {
        return Reply::Failed(Failure::absent("batch", &ask.id));
    };
    change(&mut batch.value);
    mock.shelf.put(batch.clone());
    Reply::Json(batch.value)
}

/// Answers every line of the input file, in one file or in another.
fn run(mock: &Mock, batch: &mut Value, answer: &Answer) {
    let input = mock.shelf.find(batch["input_file_id"].as_str().unwrap_or_default());
    let lines = input.map(|file| String::from_utf8_lossy(&file.content).into_owned());
    let lines = lines.unwrap_or_default();
    let [mut output, mut errors] = [String::new(), String::new()];
    let (mut total, mut failed) = (0, 0);
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let (status, body) = answered(mock, line, answer);
        let file = if status == 200 { &mut output } else { &mut errors };
        *file += &json!({"id": format!("batch_req_{}x{total}", answer.id),
            "custom_id": serde_json::from_str::<Value>(line).unwrap_or_default()["custom_id"],
            "response": {"status_code": status, "request_id": format!("req_{total}"), "body": body},
            "error": null})
        .to_string();
        file.push('\n');
        total += 1;
        failed += u64::from(status != 200);
    }
    batch["status"] = json!("completed");
    for (kind, lines) in [("output", output), ("error", errors)] {
        if lines.is_empty() {
            continue;
        }
        let id = format!("file-{}{kind}", answer.id);
        let name = json!(format!("{kind}.jsonl"));
        let value = files::described(&id, lines.len(), &name, &json!("batch_output"));
        mock.shelf.put(Thing { id: id.clone(), value, content: lines.into() });
        batch[format!("{kind}_file_id")] = json!(id);
    }
    batch["completed_at"] = json!(CREATED);
    batch["request_counts"] =
        json!({"total": total, "completed": total - failed, "failed": failed});
}

fn answered(mock: &Mock, line: &str, batch: &Answer) -> (u16, Value) {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let url = line["url"].as_str().unwrap_or_default();
    let request = Recorded::within(url, &line["body"]);
    match url {
        "/v1/chat/completions" => within(mock, &request, &Chat { azure: false }, batch),
        "/v1/completions" => within(mock, &request, &Completions { azure: false }, batch),
        "/v1/embeddings" => within(mock, &request, &Embeddings { azure: false }, batch),
        _ => {
            let refusal = refuse(mock, &Failure::absent("endpoint", url));
            (refusal.status, refusal.body)
        }
    }
}
