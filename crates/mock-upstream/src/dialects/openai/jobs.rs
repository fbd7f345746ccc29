//! `/v1/fine_tuning/jobs`. A job runs when it is first looked at and is done when it is next.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::responses::created_at;
use super::{CREATED, KEYS, files, refuse};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{get, post};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/fine_tuning/jobs", post(Jobs::Create).merge(get(Jobs::List)))
        .route("/v1/fine_tuning/jobs/{id}", get(Jobs::Show))
        .route("/v1/fine_tuning/jobs/{id}/cancel", post(Jobs::Become("cancelled")))
        .route("/v1/fine_tuning/jobs/{id}/pause", post(Jobs::Become("paused")))
        .route("/v1/fine_tuning/jobs/{id}/resume", post(Jobs::Become("running")))
        .route("/v1/fine_tuning/jobs/{id}/events", get(Jobs::Events))
        .route("/v1/fine_tuning/jobs/{id}/checkpoints", get(Jobs::Checkpoints))
}

#[derive(Clone, Copy)]
enum Jobs {
    Create,
    List,
    Show,
    Become(&'static str),
    Events,
    Checkpoints,
}

impl Route for Jobs {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let Self::Create = self else {
            return Ok(Ask { id: request.segment(3), ..Ask::default() });
        };
        let ask = Ask::json(&request.body)?;
        for needed in ["model", "training_file"] {
            if !ask.body[needed].is_string() {
                return Err(Failure::missing(needed));
            }
        }
        Ok(ask)
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        match self {
            Self::Create => return create(mock, ask, answer),
            Self::List => {
                let data = mock.shelf.all("ftjob-");
                return Reply::Json(json!({"object": "list", "data": data, "has_more": false}));
            }
            Self::Show | Self::Become(_) | Self::Events | Self::Checkpoints => {}
        }
        let Some(mut job) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("fine-tuning job", &ask.id));
        };
        match self {
            Self::Become(status) => job.value["status"] = json!(status),
            Self::Show => go_on(&mut job.value),
            Self::Events => return Reply::Json(list(&events(&job.value))),
            Self::Checkpoints => return Reply::Json(list(&checkpoints(&job.value))),
            Self::Create | Self::List => {}
        }
        mock.shelf.put(job.clone());
        Reply::Json(job.value)
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

fn create(mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
    for name in ["training_file", "validation_file"] {
        let Some(id) = ask.body[name].as_str() else { continue };
        if mock.shelf.find(id).is_none() {
            return Reply::Failed(Failure::absent("file", id));
        }
    }
    let id = format!("ftjob-{}", answer.id);
    let value = json!({"id": id, "object": "fine_tuning.job", "created_at": created_at(&ask.body),
        "error": null, "fine_tuned_model": null, "finished_at": null,
        "hyperparameters": {"n_epochs": "auto", "batch_size": "auto",
            "learning_rate_multiplier": "auto"},
        "model": ask.body["model"], "organization_id": "org-mock", "result_files": [],
        "seed": ask.body["seed"].as_u64().unwrap_or(0), "status": "validating_files",
        "trained_tokens": null, "training_file": ask.body["training_file"],
        "validation_file": ask.body["validation_file"], "metadata": ask.body["metadata"]});
    mock.shelf.put(Thing { id, value: value.clone(), content: Bytes::new() });
    Reply::Json(value)
}

fn go_on(job: &mut Value) {
    match job["status"].as_str() {
        Some("validating_files") => job["status"] = json!("running"),
        Some("running") => {
            job["status"] = json!("succeeded");
            job["finished_at"] = json!(CREATED);
            job["trained_tokens"] = json!(1000);
            let model = job["model"].as_str().unwrap_or_default();
            job["fine_tuned_model"] = json!(format!("ft:{model}:org-mock::1"));
            job["result_files"] = json!(["file-result"]);
        }
        _ => {}
    }
}

fn events(job: &Value) -> Vec<Value> {
    vec![json!({"id": "ftevent-1", "object": "fine_tuning.job.event", "created_at": CREATED,
        "level": "info", "type": "message", "data": {},
        "message": format!("The job is {}.", job["status"].as_str().unwrap_or_default())})]
}

fn checkpoints(job: &Value) -> Vec<Value> {
    vec![json!({"id": "ftckpt_1", "object": "fine_tuning.job.checkpoint", "created_at": CREATED,
        "fine_tuned_model_checkpoint": "ft:mock:ckpt-step-10", "step_number": 10,
        "fine_tuning_job_id": job["id"], "metrics": {"step": 10, "train_loss": 0.5}})]
}

fn list(data: &[Value]) -> Value {
    files::list(data.to_vec())
}
