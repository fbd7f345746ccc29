//! Why a request is refused, before a dialect puts it into its own words.

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) why: Why,
    pub(crate) message: String,
    /// The `retry-after` header.
    pub(crate) retry_after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The request makes no sense; the parameter that is to blame.
    Bad(Option<String>),
    /// There is no key.
    NoKey,
    /// There is another key, or a signature that another key has made.
    WrongKey,
    /// There is no such model.
    Unknown,
    /// The prompt has so many tokens where so many are allowed.
    TooLong { prompt: u64, limit: u64 },
    /// The model is being loaded.
    Loading,
    /// A fault or a wish.
    Told,
}

impl Failure {
    fn new(status: u16, why: Why, message: impl Into<String>) -> Self {
        Self { status, why, message: message.into(), retry_after: None }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, Why::Bad(None), message)
    }

    /// A bad request, by the fault of one parameter.
    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        Self::new(400, Why::Bad(Some(name.to_owned())), message)
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::parameter(name, format!("Missing required parameter: '{name}'."))
    }

    pub(crate) fn no_key(message: impl Into<String>) -> Self {
        Self::new(401, Why::NoKey, message)
    }

    pub(crate) fn wrong_key(message: impl Into<String>) -> Self {
        Self::new(401, Why::WrongKey, message)
    }

    pub(crate) fn no_model(name: &str) -> Self {
        Self::new(404, Why::Unknown, format!("The model `{name}` does not exist."))
    }

    /// There is no such file, batch or response.
    pub(crate) fn absent(what: &str, id: &str) -> Self {
        Self { status: 404, ..Self::bad(format!("No {what} found with id '{id}'.")) }
    }

    pub(crate) fn too_long(prompt: u64, limit: u64) -> Self {
        let message = format!(
            "This model's maximum context length is {limit} tokens. However, your messages \
             resulted in {prompt} tokens. Please reduce the length of the messages."
        );
        Self::new(400, Why::TooLong { prompt, limit }, message)
    }

    pub(crate) fn loading() -> Self {
        Self::new(503, Why::Loading, "Loading model")
    }

    pub(crate) fn told(status: u16, message: &str) -> Self {
        Self::new(status, Why::Told, message)
    }
}
