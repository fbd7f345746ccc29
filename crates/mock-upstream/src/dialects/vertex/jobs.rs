//! `batchPredictionJobs`: requests and answers are objects in buckets. A job is over when it is looked
//! at for the first time.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Claude, Gemini, gemini};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{delete, get, post};
use crate::exchange::{Keys, Mock, Place, Refusal, Reply, Route, within};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

/// A job is called by the number of its project, however it was made.
const JOBS: &str = "projects/123456789012/locations/us-central1/batchPredictionJobs";

pub(super) fn router() -> Router<Arc<Mock>> {
    let jobs = "/v1/projects/{project}/locations/{location}/batchPredictionJobs";
    let one = get(Jobs::Show).merge(delete(Jobs::Delete)).merge(post(Jobs::Cancel));
    let all = post(Jobs::Create).merge(get(Jobs::List));
    Router::new().route(jobs, all).route(&format!("{jobs}/{{id}}"), one)
}

#[derive(Clone, Copy)]
enum Jobs {
    Create,
    List,
    Show,
    Cancel,
    Delete,
}

impl Route for Jobs {
    fn keys(&self) -> Keys {
        Keys { needed: true, places: &[Place::Bearer] }
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let Self::Create = self else {
            let named = request.segment(6);
            let id = named.strip_suffix(":cancel").unwrap_or(&named);
            if (id != named) != matches!(self, Self::Cancel) {
                return Err(Failure::absent("call", &named));
            }
            return Ok(Ask { id: format!("{JOBS}/{id}"), ..Ask::default() });
        };
        let ask = Ask::json(&request.body)?;
        let input = &ask.body["inputConfig"]["gcsSource"]["uris"];
        if !(ask.model.starts_with("publishers/") && input.is_array()) {
            return Err(Failure::bad("Invalid resource name, or no inputConfig.gcsSource.uris"));
        }
        Ok(ask)
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if let Self::Create = self {
            let name = format!("{JOBS}/{}", answer.id);
            let mut job = ask.body.clone();
            (job["name"], job["state"]) = (json!(name), json!("JOB_STATE_PENDING"));
            job["createTime"] = json!("2026-11-20T01:00:00.123456Z");
            mock.shelf.put(Thing { id: name, value: job.clone(), content: Bytes::new() });
            return Reply::Json(job);
        }
        if let Self::List = self {
            return Reply::Json(json!({"batchPredictionJobs": mock.shelf.all(JOBS)}));
        }
        let Some(mut job) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("job", &ask.id));
        };
        if let Self::Delete = self {
            mock.shelf.remove(&ask.id);
            return Reply::Json(json!({"done": true}));
        }
        if let Self::Cancel = self {
            if job.value["state"] == "JOB_STATE_PENDING" {
                job.value["state"] = json!("JOB_STATE_CANCELLING");
                mock.shelf.put(job);
            }
            return Reply::Json(json!({}));
        }
        if job.value["state"] == "JOB_STATE_CANCELLING" {
            job.value["state"] = json!("JOB_STATE_CANCELLED");
            mock.shelf.put(job.clone());
        }
        if job.value["state"] == "JOB_STATE_PENDING" {
            run(mock, &mut job.value, answer);
            mock.shelf.put(job.clone());
        }
        Reply::Json(job.value)
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        gemini::refuse(failure, true)
    }
}

/// Answers every line of every input. What is to go into a table goes nowhere.
fn run(mock: &Mock, job: &mut Value, answer: &Answer) {
    let model = job["model"].as_str().unwrap_or_default().to_owned();
    let (mut lines, mut done, mut failed) = (String::new(), 0, 0);
    for uri in job["inputConfig"]["gcsSource"]["uris"].as_array().into_iter().flatten() {
        let Some(input) = mock.shelf.find(uri.as_str().unwrap_or_default()) else { continue };
        for line in String::from_utf8_lossy(&input.content).lines() {
            let mut line: Value = serde_json::from_str(line).unwrap_or_default();
            let (status, body) = ask(mock, &model, &line["request"], answer);
            (line["status"], line["response"]) = match status {
                200 => (json!(""), body),
                _ => (json!(format!("Bad Request: {body}")), json!({})),
            };
            done += u64::from(status == 200);
            line["processed_time"] = json!("2026-11-20T01:30:00.000000+00:00");
            lines += &format!("{line}\n");
            failed += u64::from(status != 200);
        }
    }
    job["endTime"] = json!("2026-11-20T02:00:00.654321Z");
    job["state"] = json!("JOB_STATE_SUCCEEDED");
    job["completionStats"] =
        json!({"successfulCount": done.to_string(), "failedCount": failed.to_string()});
    let output = &job["outputConfig"];
    job["outputInfo"] = match output["gcsDestination"]["outputUriPrefix"].as_str() {
        Some(prefix) => {
            let id = job["name"].as_str().and_then(|name| name.rsplit('/').next());
            let folder =
                format!("{}/prediction-model-{}", prefix.trim_end_matches('/'), id.unwrap_or(""));
            mock.shelf.put_object(&format!("{folder}/predictions.jsonl"), lines.into());
            json!({ "gcsOutputDirectory": folder })
        }
        None => json!({"bigqueryOutputTable": output["bigqueryDestination"]["outputUri"]}),
    };
}

fn ask(mock: &Mock, model: &str, request: &Value, answer: &Answer) -> (u16, Value) {
    let path = |verb: &str| format!("/v1/projects/p/locations/l/{model}:{verb}");
    if model.starts_with("publishers/anthropic/") {
        within(mock, &Recorded::within(&path("rawPredict"), request), &Claude, answer)
    } else {
        let asked = Recorded::within(&path("generateContent"), request);
        within(mock, &asked, &Gemini { vertex: true }, answer)
    }
}
