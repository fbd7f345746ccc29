//! Vertex AI's `batchPredictionJobs`, and the lines of their objects.

use std::collections::BTreeMap;

use bytes::Bytes;
use dunlin_llm::{Target, edit};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Answer, Found, Outcome};
use super::shown::{Batch, Counts, Status};
use super::{Address, Job, Jobs};
use crate::bucket::seconds;
use crate::encode::EncodeError;
use crate::google::escaped;
use crate::sigv4::path_segment;

/// A page of jobs has no more than this.
const PAGE: usize = 100;
/// LiteLLM's label for the client's name of a request, which comes back with its answer. A longer one
/// goes on in labels with a number.
const LABEL: &str = "litellm_custom_id_raw";
/// How the value of such a label begins.
const MARK: &str = "b32_";
/// The longest value of a label.
const MAX_LABEL: usize = 63;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The line for a request. Claude's have a place for the client's name, Google's have labels.
pub(super) fn line(custom_id: &str, body: Bytes) -> Vec<u8> {
    let mut line = b"{".to_vec();
    let body = if edit::member(&body, "anthropic_version").is_some() {
        line.extend_from_slice(format!("\"custom_id\":{},", Value::from(custom_id)).as_bytes());
        body
    } else {
        let own = edit::member(&body, "labels");
        let own = own.and_then(|own| serde_json::from_str::<BTreeMap<String, Value>>(own).ok());
        let mut labels = own.unwrap_or_default();
        labels.extend(labels_of(custom_id));
        edit::with(body, "labels", &json!(labels).to_string())
    };
    line.extend_from_slice(b"\"request\":");
    line.extend_from_slice(&body);
    line.push(b'}');
    line
}

fn labels_of(custom_id: &str) -> impl Iterator<Item = (String, Value)> {
    let encoded = base32(custom_id.as_bytes());
    let chunks: Vec<String> = encoded
        .as_bytes()
        .chunks(MAX_LABEL - MARK.len())
        .map(|chunk| format!("{MARK}{}", String::from_utf8_lossy(chunk)))
        .collect();
    chunks.into_iter().enumerate().map(|(at, chunk)| {
        let name = if at == 0 { LABEL.to_owned() } else { format!("{LABEL}_{at}") };
        (name, chunk.into())
    })
}

/// What [`labels_of`] has made labels of.
fn custom_id_of(labels: &BTreeMap<String, String>) -> Option<String> {
    let mut encoded = labels.get(LABEL)?.strip_prefix(MARK)?.to_owned();
    for at in 1.. {
        let Some(more) = labels.get(&format!("{LABEL}_{at}")) else { break };
        encoded += more.strip_prefix(MARK)?;
    }
    String::from_utf8(unbase32(&encoded)?).ok()
}

/// RFC 4648's, in small letters and without padding: labels have no others.
fn base32(bytes: &[u8]) -> String {
    let (mut out, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        (held, bits) = ((held << 8) | u32::from(*byte), bits + 8);
        while bits >= 5 {
            bits -= 5;
            out.push(letter(held >> bits));
        }
        held &= 31;
    }
    if bits > 0 {
        out.push(letter(held << (5 - bits)));
    }
    out
}

fn letter(five: u32) -> char {
    BASE32[(five & 31) as usize].into()
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let five = BASE32.iter().position(|known| *known == letter)?;
        (held, bits) = ((held << 5) | u32::try_from(five).ok()?, bits + 5);
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 255).ok()?);
        }
        held &= 255;
    }
    Some(out)
}

/// The path of a project's jobs.
pub(super) fn jobs(provider: &'static str, to: &Target) -> Result<String, EncodeError> {
    let needed = "a project: set vertex_project, or the variable VERTEXAI_PROJECT";
    let project = to.project.as_deref();
    let project = project.ok_or(EncodeError::WrongCredential { provider, needed })?;
    let location = to.region.as_deref().unwrap_or("us-central1");
    let (project, location) = (escaped(project), escaped(location));
    Ok(format!("v1/projects/{project}/locations/{location}/batchPredictionJobs"))
}

pub(super) fn listing(after: Option<&str>) -> (&'static str, String) {
    let after = after.map(|after| format!("&pageToken={}", path_segment(after)));
    ("", format!("pageSize={PAGE}{}", after.unwrap_or_default()))
}

/// What makes a job. Its answers are put below its model and its own name.
pub(super) fn job(jobs: &Jobs<'_>, Job { model, name, input, .. }: &Job) -> Value {
    let output = jobs.output().below(&format!("{model}/{name}"));
    json!({
        "displayName": name,
        "model": model,
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [jobs.id(input)]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": jobs.id(&output)},
        },
    })
}

/// A job.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire {
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    input_config: Input,
    #[serde(default)]
    output_info: Output,
    create_time: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    completion_stats: Option<Stats>,
    error: Option<Failure>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Input {
    gcs_source: Source,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    uris: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Output {
    gcs_output_directory: Option<String>,
}

/// Google writes counts as texts.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stats {
    successful_count: String,
    failed_count: String,
    incomplete_count: String,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: String,
}

impl From<Wire> for Batch {
    fn from(wire: Wire) -> Self {
        let time = |text: Option<String>| seconds(&text?);
        let folder = wire.output_info.gcs_output_directory.as_deref();
        let folder = folder.and_then(|uri| uri.strip_prefix("gs://")?.split_once('/'));
        let folder = folder.map(|(bucket, name)| (bucket, name.trim_end_matches('/')));
        let stats = wire.completion_stats.map(|stats| {
            let count = |text: &str| text.parse().unwrap_or(0);
            let completed: u64 = count(&stats.successful_count);
            let failed = count(&stats.failed_count) + count(&stats.incomplete_count);
            Counts { total: completed + failed, completed, failed }
        });
        Self {
            id: wire.name.rsplit('/').next().unwrap_or_default().to_owned(),
            status: status(&wire.state),
            input: wire.input_config.gcs_source.uris.into_iter().next().unwrap_or_default(),
            answers: folder.and_then(|(bucket, name)| Address::new(bucket, &format!("{name}/"))),
            created: time(wire.create_time),
            started: time(wire.start_time),
            ended: time(wire.end_time),
            expires: None,
            counts: stats,
            error: wire.error.map(|error| error.message),
        }
    }
}

/// LiteLLM's reading of Google's states.
fn status(state: &str) -> Status {
    match state.strip_prefix("JOB_STATE_").unwrap_or(state) {
        "QUEUED" | "PENDING" => Status::Validating,
        "RUNNING" | "PAUSED" | "UPDATING" => Status::InProgress,
        "SUCCEEDED" | "PARTIALLY_SUCCEEDED" => Status::Completed,
        "CANCELLING" => Status::Cancelling,
        "CANCELLED" => Status::Cancelled,
        "EXPIRED" => Status::Expired,
        "FAILED" => Status::Failed,
        _ => Status::Validating,
    }
}

/// What a line of a job's output says: of Claude's answers, and of Google's.
pub(super) fn answered(line: &[u8]) -> Option<Found<'_>> {
    #[derive(Deserialize)]
    struct Request {
        labels: Option<BTreeMap<String, String>>,
    }
    let text = |name| edit::member(line, name).and_then(|text| serde_json::from_str(text).ok());
    let labels = || {
        let request: Request = serde_json::from_str(edit::member(line, "request")?).ok()?;
        custom_id_of(&request.labels?)
    };
    let custom_id = text("custom_id").or_else(labels);
    let status: String = text("status").unwrap_or_default();
    let outcome = if status.is_empty() {
        let answer = edit::member(line, "response")?;
        let is_claude = edit::member(answer.as_bytes(), "type") == Some("\"message\"");
        let model = if is_claude { "claude" } else { "gemini" };
        Outcome::Answered(Box::new(Answer::chat(answer, model, edit::member(line, "request"))))
    } else {
        Outcome::Refused { code: "vertex_ai_error", message: status }
    };
    Some(Found { custom_id, outcome })
}
