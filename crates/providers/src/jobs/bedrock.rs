//! Bedrock's model invocation jobs, and the records of their objects: those of Converse, as chats are,
//! and those of InvokeModel, as vectors are.

use dunlin_llm::edit;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Answer, Found, Outcome};
use super::shown::{Batch, Counts, Status};
use super::{Address, Asks, Job, Jobs};
use crate::bucket::seconds;
use crate::encode::EncodeError;
use crate::sigv4::path_segment;

pub(super) const JOBS: &str = "model-invocation-job";
/// A page of jobs has no more than this.
const PAGE: usize = 100;
/// The hours after which a job gives up are between these.
const HOURS: (u32, u32) = (24, 168);

/// The record for a request.
pub(super) fn record(custom_id: &str, body: &[u8]) -> Vec<u8> {
    let mut record =
        format!("{{\"recordId\":{},\"modelInput\":", Value::from(custom_id)).into_bytes();
    record.extend_from_slice(body);
    record.push(b'}');
    record
}

/// The jobs stand beside the one.
pub(super) fn listing(after: Option<&str>) -> (&'static str, String) {
    let after = after.map(|after| format!("&nextToken={}", path_segment(after)));
    let after = after.unwrap_or_default();
    ("s", format!("maxResults={PAGE}&sortBy=CreationTime&sortOrder=Descending{after}"))
}

/// What makes a job.
pub(super) fn job(
    jobs: &Jobs<'_>,
    Job { model, name, input, hours, asks }: &Job,
) -> Result<Value, EncodeError> {
    let needed = "a role for its jobs: set aws_batch_role_arn, or the variable AWS_BATCH_ROLE_ARN";
    let none = EncodeError::WrongCredential { provider: jobs.provider.id(), needed };
    let role = jobs.buckets.role.as_deref().ok_or(none)?;
    let output = jobs.output().below(&format!("{name}/"));
    let mut output = json!({"s3Uri": jobs.id(&output)});
    if let Some(key) = jobs.buckets.encryption_key.as_deref() {
        output["s3EncryptionKeyId"] = json!(key);
    }
    Ok(json!({
        "jobName": name,
        "clientRequestToken": name,
        "modelId": model,
        "modelInvocationType": match asks {
            Asks::Chats => "Converse",
            Asks::Embeddings => "InvokeModel",
        },
        "roleArn": role,
        "timeoutDurationInHours": (*hours).clamp(HOURS.0, HOURS.1),
        "inputDataConfig": {
            "s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": jobs.id(input)},
        },
        "outputDataConfig": {"s3OutputDataConfig": output},
    }))
}

/// A job.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire {
    job_arn: String,
    /// Not said of one that has just been made.
    #[serde(default)]
    status: String,
    message: Option<String>,
    #[serde(default)]
    input_data_config: Input,
    #[serde(default)]
    output_data_config: Output,
    submit_time: Option<String>,
    end_time: Option<String>,
    job_expiration_time: Option<String>,
    total_record_count: Option<u64>,
    success_record_count: Option<u64>,
    error_record_count: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Input {
    s3_input_data_config: Place,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Output {
    s3_output_data_config: Place,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Place {
    s3_uri: String,
}

impl From<Wire> for Batch {
    fn from(wire: Wire) -> Self {
        let time = |text: Option<String>| seconds(&text?);
        let id = wire.job_arn.rsplit('/').next().unwrap_or_default().to_owned();
        let output = wire.output_data_config.s3_output_data_config.s3_uri;
        let place = output.strip_prefix("s3://").map(|place| place.trim_end_matches('/'));
        let (bucket, name) =
            place.map_or(("", ""), |place| place.split_once('/').unwrap_or((place, "")));
        let name = if name.is_empty() { format!("{id}/") } else { format!("{name}/{id}/") };
        let failed = wire.error_record_count.unwrap_or(0);
        let counts = wire.success_record_count.map(|completed| Counts {
            total: wire.total_record_count.unwrap_or(completed + failed),
            completed,
            failed,
        });
        Self {
            status: status(&wire.status),
            input: wire.input_data_config.s3_input_data_config.s3_uri,
            answers: Address::new(bucket, &name),
            created: time(wire.submit_time),
            started: None,
            ended: time(wire.end_time),
            expires: time(wire.job_expiration_time),
            counts,
            error: wire.message,
            id,
        }
    }
}

/// LiteLLM's reading of Bedrock's states.
fn status(status: &str) -> Status {
    match status {
        "Scheduled" | "InProgress" => Status::InProgress,
        "Completed" | "PartiallyCompleted" => Status::Completed,
        "Failed" => Status::Failed,
        "Stopping" => Status::Cancelling,
        "Stopped" => Status::Cancelled,
        "Expired" => Status::Expired,
        _ => Status::Validating,
    }
}

/// What a line of a job's output says.
pub(super) fn answered(line: &[u8]) -> Option<Found<'_>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        error_code: Option<Value>,
        error_message: Option<String>,
    }
    let id = edit::member(line, "recordId");
    let custom_id = id.and_then(|id| serde_json::from_str(id).ok());
    let failure = edit::member(line, "error").filter(|error| *error != "null");
    let outcome = match failure {
        Some(failure) => {
            let failure: Failure = serde_json::from_str(failure).ok()?;
            let code = failure.error_code.map(|code| code.to_string()).unwrap_or_default();
            let message = format!("{code} {}", failure.error_message.unwrap_or_default());
            Outcome::Refused { code: "bedrock_error", message: message.trim().to_owned() }
        }
        None => Outcome::Answered(Box::new(answer(line)?)),
    };
    Some(Found { custom_id, outcome })
}

/// Vectors have a name of their own in each model's answers, and are of the texts that are repeated.
fn answer(line: &[u8]) -> Option<Answer<'_>> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Input {
        input_text: Option<String>,
        texts: Vec<String>,
    }
    let answer = edit::member(line, "modelOutput")?;
    let model = match ["embedding", "embeddings"].map(|name| edit::member(answer.as_bytes(), name))
    {
        [Some(_), _] => "amazon.titan-embed",
        [None, Some(_)] => "cohere.embed",
        [None, None] => {
            return Some(Answer::chat(answer, "", edit::member(line, "modelInput")));
        }
    };
    let asked = edit::member(line, "modelInput").and_then(|input| serde_json::from_str(input).ok());
    let Input { input_text, texts } = asked.unwrap_or_default();
    Answer::vectors(answer, model, &input_text.into_iter().chain(texts).collect::<Vec<_>>())
}
