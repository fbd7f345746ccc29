//! Batches of Bedrock and of Vertex AI: jobs whose requests and answers are objects in buckets.

use dunlin_types::{Tokens, Usage};

use super::{Answers, OVER, Passed, is_name, text};
use crate::edit::member;
use crate::fields::is_spelled;
use crate::gemini::read_predictions;
use crate::json::{members, string};
use crate::lenient::count;

const S3: &str = "s3://";
const GOOGLE: &str = "gs://";
/// What says in a body which of Vertex AI's models is asked, before its name.
const PUBLISHERS: &str = "publishers/";
/// What Vertex AI writes while a job runs: where the whole is there, it repeats that.
const PARTIAL: &str = "incremental_";

/// A place in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The bucket.
    pub bucket: String,
    /// How the names of the objects begin that are there.
    pub prefix: String,
}

impl Folder {
    fn read(scheme: &str, uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix(scheme)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        is_name(bucket).then(|| Self { bucket: bucket.to_owned(), prefix })
    }

    fn below(self, name: &str) -> Self {
        Self { prefix: format!("{}{name}/", self.prefix), ..self }
    }
}

/// The objects that a job has left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left<'n> {
    /// Those with an answer in each line.
    pub answers: Vec<&'n str>,
    /// The one that says what all of them used.
    pub sum: Option<&'n str>,
}

/// Which of these objects are Bedrock's answers.
pub(super) fn left_by_bedrock(names: &[String]) -> Left<'_> {
    let names = || names.iter().map(String::as_str);
    Left {
        answers: names().filter(|name| name.ends_with(".jsonl.out")).collect(),
        sum: names().find(|name| name.ends_with("/manifest.json.out")),
    }
}

/// Which of these objects are Vertex AI's answers.
pub(super) fn left_by_vertex(names: &[String]) -> Left<'_> {
    let last = |name: &&str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let holds =
        |name: &&str| name.ends_with(".jsonl") || last(name).starts_with("prediction.results");
    let mut answers: Vec<&str> = names.iter().map(String::as_str).filter(holds).collect();
    if answers.iter().any(|name| !last(name).starts_with(PARTIAL)) {
        answers.retain(|name| !last(name).starts_with(PARTIAL));
    }
    Left { answers, sum: None }
}

/// Where the answers of a job of Bedrock's are to be, by what it is made with, or by itself.
pub(super) fn place_of_bedrock(job: &[u8]) -> Option<Folder> {
    let config = only(job, "outputDataConfig")?;
    let config = only(config.as_bytes(), "s3OutputDataConfig")?;
    Folder::read(S3, &string(only(config.as_bytes(), "s3Uri")?)?)
}

/// The same of Vertex AI's. It may also write to a table.
pub(super) fn place_of_vertex(job: &[u8]) -> Option<Folder> {
    let config = only(job, "outputConfig")?;
    let bucket = only(config.as_bytes(), "gcsDestination")?;
    Folder::read(GOOGLE, &string(only(bucket.as_bytes(), "outputUriPrefix")?)?)
}

/// A job as Bedrock shows it; when it has just been made, that is only its name.
pub(super) fn read_bedrock(job: &[u8]) -> Option<Passed> {
    let id = last_segment(&text(job, "jobArn")?);
    let status = text(job, "status").unwrap_or_default();
    let is_done = matches!(&*status, "Completed" | "PartiallyCompleted");
    let finished = is_done || matches!(&*status, "Failed" | "Stopped" | "Expired");
    let expected = number(job, "successRecordCount").map_or(is_done, |count| count > 0);
    let folder = place_of_bedrock(job).map(|folder| folder.below(&id));
    let answers = if finished { found(folder, expected) } else { Answers::None };
    Some(Passed { id, finished, answers })
}

/// A job as Vertex AI shows it.
pub(super) fn read_vertex(job: &[u8]) -> Option<Passed> {
    let id = last_segment(&text(job, "name")?);
    let state = text(job, "state").unwrap_or_default();
    let finished = OVER.iter().any(|over| state.ends_with(over));
    let stats = member(job, "completionStats").unwrap_or_default();
    let answered = number(stats.as_bytes(), "successfulCount");
    let expected = answered.map_or(state.ends_with("_SUCCEEDED"), |count| count > 0);
    let info = member(job, "outputInfo").unwrap_or_default();
    let folder = text(info.as_bytes(), "gcsOutputDirectory");
    let folder = folder.and_then(|uri| Folder::read(GOOGLE, &uri));
    let answers = if finished { found(folder, expected) } else { Answers::None };
    Some(Passed { id, finished, answers })
}

fn found(folder: Option<Folder>, expected: bool) -> Answers {
    match folder {
        Some(folder) => Answers::Below { folder, expected },
        None if expected => Answers::Elsewhere,
        None => Answers::None,
    }
}

/// What Bedrock says in the sum of a job.
pub(super) fn summed(sum: &[u8]) -> Option<Usage> {
    let [prompt, completion] =
        ["inputTokenCount", "outputTokenCount"].map(|name| number(sum, name).map(Tokens));
    Usage { prompt: prompt?, completion: completion?, ..Usage::default() }.if_credible()
}

/// What an answer of Vertex AI's vectors used.
pub(super) fn vectors(line: &[u8]) -> Option<Usage> {
    member(line, "predictions")?;
    read_predictions(line).ok()?.usage?.if_credible()
}

/// The name of a model as a job gives it: `publishers/google/models/gemini`, or an ARN.
pub(super) fn model_of(named: &str) -> &str {
    if named.starts_with(PUBLISHERS) || named.starts_with("arn:") {
        named.rsplit('/').next().unwrap_or(named)
    } else {
        named
    }
}

/// The same name for another model. Vertex AI wants to know whose it is.
pub(super) fn named_at_vertex(model: &str) -> String {
    let publisher = if model.starts_with("claude") { "anthropic" } else { "google" };
    format!("{PUBLISHERS}{publisher}/models/{model}")
}

pub(super) fn last_segment(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The member of that name, which Google also spells with underscores. `None`: there are two, and the
/// provider may read the other one.
fn only<'b>(body: &'b [u8], name: &str) -> Option<&'b str> {
    let members = members(std::str::from_utf8(body).ok()?).ok()?;
    let mut found = members.into_iter().filter(|member| is_spelled(&member.name, name));
    let first = found.next()?;
    found.next().is_none().then_some(first.value)
}

/// A count, which Google writes as a text.
fn number(body: &[u8], name: &str) -> Option<u64> {
    count(&mut serde_json::Deserializer::from_str(member(body, name)?)).ok()?
}

#[cfg(test)]
mod tests;
