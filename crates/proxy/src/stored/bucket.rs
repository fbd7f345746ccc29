//! The answers that a provider's job has left in a bucket: found, and read line by line as they come,
//! with the credential of the deployment that made the job.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use dunlin_llm::batch::Line;
use dunlin_llm::batch::passed::{Folder, Form};
use dunlin_providers::Cause;
use dunlin_providers::bucket::{Asked, PAGE, Page, page};
use dunlin_router::Deployment;
use dunlin_types::Usage;
use dunlin_upstream::{MAX_OBJECTS, Relayed};

use super::answer::{MAX_OBJECT_BYTES, collect};
use super::output;
use crate::Proxy;

/// How long a store may take until it begins to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Why the answers of a job are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The store knows the credential not, or has no such bucket.
    #[error("the bucket `{bucket}` answers {status}")]
    Refused { bucket: String, status: StatusCode },
    /// It could not be asked.
    #[error("the bucket `{bucket}` cannot be asked: {why}")]
    Unasked { bucket: String, why: String, is_for_good: bool },
    /// An answer broke off, or is none.
    #[error("the bucket `{bucket}` does not answer in whole")]
    Broken { bucket: String },
    /// They are gone, or somewhere else.
    #[error("there are no answers below `{prefix}` in the bucket `{bucket}`")]
    Empty { bucket: String, prefix: String },
    /// There are too many to look at.
    #[error("there are more than {MAX_OBJECTS} objects below `{prefix}` in the bucket `{bucket}`")]
    Many { bucket: String, prefix: String },
    /// The job writes them to no bucket.
    #[error("they are not in a bucket")]
    Elsewhere,
    /// Nobody knows where they are.
    #[error("their job is no longer there")]
    Gone,
}

impl Unread {
    /// Whether it will be the same when it is tried again, as far as can be told.
    pub(crate) fn is_for_good(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                !status.is_server_error() && *status != StatusCode::TOO_MANY_REQUESTS
            }
            Self::Unasked { is_for_good, .. } => *is_for_good,
            Self::Broken { .. } => false,
            Self::Empty { .. } | Self::Many { .. } | Self::Elsewhere | Self::Gone => true,
        }
    }
}

/// A place in a bucket, and whose credential opens it.
pub(crate) struct Bucket<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) by: &'a Arc<Deployment>,
    pub(crate) folder: &'a Folder,
}

impl Bucket<'_> {
    /// Whether it can be seen what is there.
    pub(crate) async fn look(&self) -> Result<(), Unread> {
        self.list(None, 1).await.map(|_| ())
    }

    /// Tells every line of a job's answers, of which there must be some if they are `expected`; returns
    /// what its provider says that all of them used.
    pub(super) async fn each_line(
        &self,
        form: Form,
        expected: bool,
        mut each: impl FnMut(Line<'_>),
    ) -> Result<Option<Usage>, Unread> {
        let names = self.names().await?;
        let left = form.left(&names);
        if left.answers.is_empty() && expected {
            let Folder { bucket, prefix } = self.folder.clone();
            return Err(Unread::Empty { bucket, prefix });
        }
        for name in left.answers {
            let answers = self.ask(Asked::Object(name)).await?;
            let read = output::each_line(Some(answers), &mut each).await;
            read.ok_or_else(|| self.broken())?;
        }
        match left.sum {
            Some(name) => Ok(form.summed(&self.whole(Asked::Object(name)).await?)),
            None => Ok(None),
        }
    }

    /// The names of all objects that are there.
    async fn names(&self) -> Result<Vec<String>, Unread> {
        let (mut names, mut after) = (Vec::new(), None::<String>);
        loop {
            let Page { objects, next } = self.list(after.as_deref(), PAGE).await?;
            names.extend(objects.into_iter().map(|object| object.name));
            if names.len() > MAX_OBJECTS {
                let Folder { bucket, prefix } = self.folder.clone();
                return Err(Unread::Many { bucket, prefix });
            }
            // A page that is empty and leads on would lead on for ever.
            match next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                Some(_) | None => return Ok(names),
            }
        }
    }

    async fn list(&self, after: Option<&str>, most: usize) -> Result<Page, Unread> {
        let asked = Asked::List { prefix: &self.folder.prefix, after, most };
        let body = self.whole(asked).await?;
        page(&self.by.provider, &body).ok_or_else(|| self.broken())
    }

    async fn whole(&self, asked: Asked<'_>) -> Result<Bytes, Unread> {
        let mut relayed = self.ask(asked).await?;
        let body = collect(&mut relayed, MAX_OBJECT_BYTES).await;
        body.ok().flatten().ok_or_else(|| self.broken())
    }

    async fn ask(&self, asked: Asked<'_>) -> Result<Relayed, Unread> {
        let Self { proxy, by, folder } = self;
        let bucket = folder.bucket.clone();
        match proxy.0.upstream.ask_bucket(by, &bucket, asked, ANSWER_WITHIN).await {
            Ok(relayed) if relayed.status.is_success() => Ok(relayed),
            Ok(Relayed { status, .. }) => Err(Unread::Refused { bucket, status }),
            Err(failure) => {
                let is_for_good = failure.error.cause == Cause::Misconfigured;
                Err(Unread::Unasked { bucket, why: failure.to_string(), is_for_good })
            }
        }
    }

    fn broken(&self) -> Unread {
        Unread::Broken { bucket: self.folder.bucket.clone() }
    }
}
