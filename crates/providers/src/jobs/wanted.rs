//! What is asked of files and batches, by the routes of OpenAI's.

use dunlin_llm::decoded;
use http::Method;

/// A call about files or batches, with the provider's id of the one that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A new file.
    Upload,
    /// A list of files.
    Files,
    /// A file's description.
    File(String),
    /// What is in a file.
    Content(String),
    /// That there be no such file.
    Deletion(String),
    /// A new batch.
    Creation,
    /// A list of batches.
    Batches,
    /// A batch.
    Batch(String),
    /// That a batch be stopped.
    Cancellation(String),
}

impl Wanted {
    /// `None`: there is no such route.
    #[must_use]
    pub fn read(method: &Method, path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let id = || decoded(parts[1]);
        let (get, post) = (*method == Method::GET, *method == Method::POST);
        match parts[..] {
            ["files"] if post => Some(Self::Upload),
            ["files"] if get => Some(Self::Files),
            ["files", _] if get => Some(Self::File(id())),
            ["files", _] if *method == Method::DELETE => Some(Self::Deletion(id())),
            ["files", _, "content"] if get => Some(Self::Content(id())),
            ["batches"] if post => Some(Self::Creation),
            ["batches"] if get => Some(Self::Batches),
            ["batches", _] if get => Some(Self::Batch(id())),
            ["batches", _, "cancel"] if post => Some(Self::Cancellation(id())),
            _ => None,
        }
    }
}
