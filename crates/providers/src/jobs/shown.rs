//! Files and batches as OpenAI shows them.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Address, Asks, Jobs, PURPOSE, Part, Place, Wish};
use crate::bucket::Listed;

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The provider's id of it.
    pub id: String,
    pub(super) status: Status,
    /// The provider's id of its first input.
    pub(super) input: String,
    /// Where it leaves its answers, as soon as that is known.
    pub(super) answers: Option<Address>,
    pub(super) created: Option<u64>,
    pub(super) started: Option<u64>,
    pub(super) ended: Option<u64>,
    pub(super) expires: Option<u64>,
    pub(super) counts: Option<Counts>,
    /// Why it failed.
    pub(super) error: Option<String>,
}

/// OpenAI's word for how far a batch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    #[default]
    Validating,
    InProgress,
    Cancelling,
    Completed,
    Failed,
    Expired,
    Cancelled,
}

/// How many requests of a batch went how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    object: &'static str,
    endpoint: &'static str,
    errors: Option<Errors<'a>>,
    input_file_id: &'a str,
    completion_window: &'a str,
    status: Status,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    created_at: u64,
    in_progress_at: Option<u64>,
    expires_at: Option<u64>,
    finalizing_at: Option<u64>,
    completed_at: Option<u64>,
    failed_at: Option<u64>,
    expired_at: Option<u64>,
    cancelling_at: Option<u64>,
    cancelled_at: Option<u64>,
    request_counts: Option<Counts>,
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Errors<'a> {
    object: &'static str,
    data: [Error<'a>; 1],
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'static str,
    message: &'a str,
    param: Option<()>,
    line: Option<()>,
}

/// A job in a provider's form. `None`: it is none.
pub(super) fn read<W: DeserializeOwned + Into<Batch>>(job: &[u8]) -> Option<Batch> {
    serde_json::from_slice::<W>(job).ok().map(Into::into)
}

/// A page of them, and where the next begins.
pub(super) fn read_list<W: DeserializeOwned + Into<Batch>>(
    page: &[u8],
) -> Option<(Vec<Batch>, Option<String>)> {
    /// Bedrock's words for it, and Vertex AI's.
    #[derive(Deserialize)]
    struct Page<W> {
        #[serde(default = "Vec::new")]
        #[serde(alias = "invocationJobSummaries", alias = "batchPredictionJobs")]
        jobs: Vec<W>,
        #[serde(alias = "nextToken", alias = "nextPageToken")]
        next: Option<String>,
    }
    let Page { jobs, next } = serde_json::from_slice::<Page<W>>(page).ok()?;
    let batches = jobs.into_iter().map(Into::into).collect();
    Some((batches, next.filter(|next| !next.is_empty())))
}

impl Batch {
    /// Where its answers may be, but need not: it ended before its time.
    #[must_use]
    pub fn in_doubt(&self) -> Option<&Address> {
        let ended = matches!(self.status, Status::Failed | Status::Expired | Status::Cancelled);
        self.answers.as_ref().filter(|_| ended)
    }

    /// The same without answers.
    #[must_use]
    pub fn unanswered(self) -> Self {
        Self { answers: None, ..self }
    }

    /// The same, as it has been made `now`, in seconds: the provider's answer does not say all of it.
    #[must_use]
    pub fn made(self, wish: &Wish<'_>, now: u64) -> Self {
        let input = wish.input_file_id.clone().unwrap_or_default();
        Self { input, created: self.created.or(Some(now)), ..self }
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.created.unwrap_or_default()
    }

    /// As OpenAI shows it. `wish` is what it is made by just now: no provider keeps that.
    #[must_use]
    pub fn write(&self, jobs: &Jobs<'_>, wish: Option<&Wish<'_>>) -> Bytes {
        let ended = |status| self.ended.filter(|_| self.status == status);
        let is_over =
            !matches!(self.status, Status::Validating | Status::InProgress | Status::Cancelling);
        let error = self.error.as_deref().filter(|_| self.status == Status::Failed);
        let error = error.map(|message| Errors {
            object: "list",
            data: [Error { code: "batch_failed", message, param: None, line: None }],
        });
        let left = self.answers.as_ref().filter(|_| is_over);
        let part = |part| left.map(|at| jobs.file_id(&Place { at: at.clone(), part }));
        // Where it is not known how many failed, some may have.
        let [has_output, has_errors] = match self.counts {
            Some(Counts { completed, failed, .. }) => [completed > 0 || failed == 0, failed > 0],
            None => [true; 2],
        };
        let window = wish.and_then(|wish| wish.completion_window.as_deref());
        json(&Shown {
            id: &self.id,
            object: "batch",
            endpoint: Asks::of_file(&self.input).url(),
            errors: error,
            input_file_id: &self.input,
            completion_window: window.unwrap_or("24h"),
            status: self.status,
            output_file_id: part(Part::Output).filter(|_| has_output),
            error_file_id: part(Part::Errors).filter(|_| has_errors),
            created_at: self.created(),
            in_progress_at: self.started,
            expires_at: self.expires,
            finalizing_at: None,
            completed_at: ended(Status::Completed),
            failed_at: ended(Status::Failed),
            expired_at: ended(Status::Expired),
            cancelling_at: None,
            cancelled_at: ended(Status::Cancelled),
            request_counts: self.counts,
            metadata: wish.and_then(|wish| wish.metadata),
        })
    }
}

/// An object as a file of OpenAI's; of a part of a folder, all its `objects` together.
#[must_use]
pub fn file(jobs: &Jobs<'_>, place: &Place, objects: &[Listed]) -> Bytes {
    #[derive(Serialize)]
    struct Shown<'a> {
        id: String,
        object: &'static str,
        bytes: u64,
        created_at: u64,
        filename: &'a str,
        purpose: &'static str,
        status: &'static str,
    }
    json(&Shown {
        id: jobs.file_id(place),
        object: "file",
        bytes: objects.iter().map(|object| object.bytes).sum(),
        created_at: objects.iter().map(|object| object.made).max().unwrap_or_default(),
        filename: place.at.last(),
        purpose: if place.at.is_folder() { "batch_output" } else { PURPOSE },
        status: "processed",
    })
}

/// What says that a file is gone.
#[must_use]
pub fn deleted(id: &str) -> Bytes {
    #[derive(Serialize)]
    struct Shown<'a> {
        id: &'a str,
        object: &'static str,
        deleted: bool,
    }
    json(&Shown { id, object: "file", deleted: true })
}

/// A page of files or batches.
#[must_use]
pub fn list(objects: &[Bytes], has_more: bool) -> Bytes {
    #[derive(Serialize)]
    struct Shown<'a> {
        object: &'static str,
        data: Vec<&'a RawValue>,
        has_more: bool,
    }
    let data = objects.iter().map(|object| serde_json::from_slice(object).expect("it was written"));
    json(&Shown { object: "list", data: data.collect(), has_more })
}

/// What says that something is not there.
#[must_use]
pub fn absent(message: &str) -> Bytes {
    #[derive(Serialize)]
    struct Shown<'a> {
        error: Why<'a>,
    }
    #[derive(Serialize)]
    struct Why<'a> {
        message: &'a str,
        r#type: &'static str,
    }
    json(&Shown { error: Why { message, r#type: "invalid_request_error" } })
}

fn json(shown: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(shown).expect("plain data"))
}
