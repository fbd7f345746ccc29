//! `/model-invocation-job`: requests and answers are objects in buckets. A job is over when it is
//! looked at for the first time.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Converse, Invoke, refuse, signature};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{get, post};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route, within};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

const ARN: &str = "arn:aws:bedrock:eu-west-1:123456789012:model-invocation-job/";

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/model-invocation-job", post(Jobs::Create))
        .route("/model-invocation-job/{id}", get(Jobs::Show))
        .route("/model-invocation-job/{id}/stop", post(Jobs::Stop))
        .route("/model-invocation-jobs", get(Jobs::List))
}

#[derive(Clone, Copy)]
enum Jobs {
    Create,
    List,
    Show,
    Stop,
}

impl Route for Jobs {
    fn keys(&self) -> Keys {
        Keys { needed: false, places: &[] }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        signature::check(mock, request)?;
        let Self::Create = self else {
            let named = request.segment(1);
            let id = named.rsplit('/').next().unwrap_or_default().to_owned();
            return Ok(Ask { id: format!("{ARN}{id}"), ..Ask::default() });
        };
        let ask = Ask::json(&request.body)?;
        for needed in ["jobName", "modelId", "roleArn"] {
            if !ask.body[needed].is_string() {
                return Err(Failure::missing(needed));
            }
        }
        let places = [&ask.body["inputDataConfig"]["s3InputDataConfig"], output(&ask.body)];
        if !places.iter().all(|place| place["s3Uri"].is_string()) {
            return Err(Failure::missing("s3Uri"));
        }
        Ok(Ask { model: ask.body["modelId"].as_str().unwrap_or_default().to_owned(), ..ask })
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if let Self::Create = self {
            let arn = format!("{ARN}{}", answer.id);
            let mut job = ask.body.clone();
            (job["jobArn"], job["status"]) = (json!(arn), json!("Submitted"));
            job["submitTime"] = json!("2026-11-20T01:00:00.123Z");
            mock.shelf.put(Thing { id: arn.clone(), value: job, content: Bytes::new() });
            return Reply::Json(json!({ "jobArn": arn }));
        }
        if let Self::List = self {
            return Reply::Json(json!({"invocationJobSummaries": mock.shelf.all(ARN)}));
        }
        let Some(mut job) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("job", &ask.id));
        };
        if let Self::Stop = self {
            if job.value["status"] == "Submitted" {
                job.value["status"] = json!("Stopping");
                mock.shelf.put(job);
            }
            return Reply::Json(json!({}));
        }
        if job.value["status"] == "Stopping" {
            job.value["status"] = json!("Stopped");
            mock.shelf.put(job.clone());
        }
        if job.value["status"] == "Submitted" {
            run(mock, &mut job.value, answer);
            mock.shelf.put(job.clone());
        }
        Reply::Json(job.value)
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }

    fn id_header(&self) -> &'static str {
        "x-amzn-requestid"
    }
}

fn output(job: &Value) -> &Value {
    &job["outputDataConfig"]["s3OutputDataConfig"]
}

/// Answers every record of every input.
fn run(mock: &Mock, job: &mut Value, answer: &Answer) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (model, arn) = (text(&job["modelId"]), text(&job["jobArn"]));
    let kind = text(&job["modelInvocationType"]);
    let input = text(&job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]);
    let id = arn.rsplit('/').next().unwrap_or_default();
    let folder = format!("{}/{id}", text(&output(job)["s3Uri"]).trim_end_matches('/'));
    let (mut total, mut done) = (0_u64, 0_u64);
    let mut tokens = [0_u64; 2];
    for object in mock.shelf.below(&input) {
        let mut lines = String::new();
        for record in String::from_utf8_lossy(&object.content).lines() {
            let record: Value = serde_json::from_str(record).unwrap_or_default();
            let (status, body) = ask(mock, (&model, &kind), &record["modelInput"], answer);
            let mut line =
                json!({"recordId": record["recordId"], "modelInput": record["modelInput"]});
            total += 1;
            if status == 200 {
                done += 1;
                count(&body["usage"], &mut tokens);
                line["modelOutput"] = body;
            } else {
                line["error"] = json!({"errorCode": status, "errorMessage": body["message"]});
            }
            lines += &format!("{line}\n");
        }
        let name = object.id.rsplit('/').next().unwrap_or_default();
        mock.shelf.put_object(&format!("{folder}/{name}.out"), lines.into());
    }
    let manifest = json!({"totalRecordCount": total, "processedRecordCount": total,
        "successRecordCount": done, "errorRecordCount": total - done,
        "inputTokenCount": tokens[0], "outputTokenCount": tokens[1]});
    mock.shelf.put_object(&format!("{folder}/manifest.json.out"), manifest.to_string().into());
    job["status"] = json!("Completed");
    job["endTime"] = json!("2026-11-20T02:00:00.654Z");
    job["totalRecordCount"] = json!(total);
    (job["successRecordCount"], job["errorRecordCount"]) = (json!(done), json!(total - done));
}

/// Claude's records, and those of models that make vectors, have the model's own words, all others
/// those of Converse, as have all of jobs that say so.
fn ask(mock: &Mock, (model, kind): (&str, &str), input: &Value, answer: &Answer) -> (u16, Value) {
    let has_own = ["anthropic.", "embed"].iter().any(|part| model.contains(part));
    if has_own && kind != "Converse" {
        let asked = Recorded::within(&format!("/model/{model}/invoke"), input);
        within(mock, &asked, &Invoke { stream: false, signed: false }, answer)
    } else {
        let asked = Recorded::within(&format!("/model/{model}/converse"), input);
        within(mock, &asked, &Converse { stream: false, signed: false }, answer)
    }
}

fn count(usage: &Value, sums: &mut [u64; 2]) {
    let of = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64()).unwrap_or(0);
    sums[0] += of(["input_tokens", "inputTokens"]);
    sums[1] += of(["output_tokens", "outputTokens"]);
}
