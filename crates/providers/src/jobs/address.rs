//! Where objects are.

/// As much of a client's name of its file is kept.
const MAX_FILENAME: usize = 100;
const ENDING: &str = ".jsonl";

/// An object in a bucket; all below it where the name ends in a slash, or is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The bucket.
    pub bucket: String,
    /// The object's whole name.
    pub name: String,
}

/// What OpenAI calls a file: an object, or a part of what a job has left in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The object or folder.
    pub at: Address,
    /// Of a folder.
    pub part: Part,
}

/// A part of the lines that a job has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What models have answered.
    Output,
    /// What came to nothing.
    Errors,
}

impl Part {
    /// What follows the folder in the id of such a file.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Output => "",
            Self::Errors => "#errors",
        }
    }

    pub(super) fn holds(self, failed: bool) -> bool {
        (self == Self::Errors) == failed
    }
}

impl From<Address> for Place {
    fn from(Address { bucket, name }: Address) -> Self {
        let folder = name.strip_suffix(Part::Errors.mark()).filter(|folder| folder.ends_with('/'));
        let part = if folder.is_some() { Part::Errors } else { Part::Output };
        let name = folder.map(str::to_owned).unwrap_or(name);
        Self { at: Address { bucket, name }, part }
    }
}

impl Address {
    pub(super) fn new(bucket: &str, name: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = !bucket.is_empty() && bucket.bytes().all(plain);
        is_name.then(|| Self { bucket: bucket.to_owned(), name: name.to_owned() })
    }

    /// A bucket as an operator names it, with or without a folder in it.
    pub(super) fn configured(text: &str) -> Option<Self> {
        let text =
            text.strip_prefix("gs://").or_else(|| text.strip_prefix("s3://")).unwrap_or(text);
        let (bucket, folder) = text.split_once('/').unwrap_or((text, ""));
        let folder = folder.trim_matches('/');
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Self::new(bucket, &folder)
    }

    pub(super) fn below(&self, name: &str) -> Self {
        Self { bucket: self.bucket.clone(), name: format!("{}{name}", self.name) }
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.name.is_empty() || self.name.ends_with('/')
    }

    /// What people call it.
    pub(super) fn last(&self) -> &str {
        self.name.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }
}

/// A client's name of its file, as it can stand in the name of an object: the jobs want its ending.
pub(super) fn plain(filename: &str) -> String {
    let filename = filename.strip_suffix(ENDING).unwrap_or(filename);
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let kept = filename.chars().take(MAX_FILENAME);
    let kept: String = kept.map(|letter| if plain(letter) { letter } else { '_' }).collect();
    let kept = kept.trim_start_matches('.');
    format!("{}{ENDING}", if kept.is_empty() { "file" } else { kept })
}
