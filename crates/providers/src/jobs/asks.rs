//! What the lines of a file ask for, all the same, and how each is put into the provider's words.

use bytes::Bytes;
use dunlin_llm::{BadRequest, Endpoint, check_object, edit, parse};
use dunlin_types::{Credential, Secret, UnixMillis};

use super::{Jobs, bedrock, invalid, names, vertex};
use crate::bucket::Store;
use crate::encode::EncodeError;
use crate::params;

/// The longest name that a client can give a request: it is sent along in labels of 59 letters.
const MAX_CUSTOM_ID_BYTES: usize = 512;
const CHATS: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";
/// All that there is.
pub(super) const ALL: &str = "/v1/chat/completions or /v1/embeddings";
/// Google's answers to texts have no place for the client's name of a request.
const NO_NAMES: &str =
    "/v1/chat/completions: Vertex AI's batches of embeddings do not say which answer is whose";

/// What the lines of a batch ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// Chats.
    #[default]
    Chats,
    /// Vectors of texts.
    Embeddings,
}

impl Asks {
    /// `None`: it is nothing that batches are of here.
    pub(super) fn of(url: &str) -> Option<Self> {
        match url {
            CHATS => Some(Self::Chats),
            EMBEDDINGS => Some(Self::Embeddings),
            _ => None,
        }
    }

    /// By the name of a file that was put here.
    pub(super) fn of_file(name: &str) -> Self {
        let folder = name.rsplit('/').nth(1).unwrap_or_default();
        if folder.ends_with(Self::Embeddings.mark()) { Self::Embeddings } else { Self::Chats }
    }

    /// How the folder of such a file ends.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Chats => "",
            Self::Embeddings => "-embeddings",
        }
    }

    pub(super) fn url(self) -> &'static str {
        match self {
            Self::Chats => CHATS,
            Self::Embeddings => EMBEDDINGS,
        }
    }

    fn endpoint(self) -> Endpoint {
        match self {
            Self::Chats => Endpoint::ChatCompletions,
            Self::Embeddings => Endpoint::Embeddings,
        }
    }

    /// What a line has to ask for.
    fn as_the_first(self) -> &'static str {
        match self {
            Self::Chats => "/v1/chat/completions, as of the lines before it",
            Self::Embeddings => "/v1/embeddings, as of the lines before it",
        }
    }

    /// What a batch has to ask for.
    pub(super) fn as_its_file(self) -> &'static str {
        match self {
            Self::Chats => "/v1/chat/completions, as of the lines of its file",
            Self::Embeddings => "/v1/embeddings, as of the lines of its file",
        }
    }
}

impl Jobs<'_> {
    /// What the provider is to find in place of a line of a client's, which asks for what the lines
    /// before it do, if there are some. `None`: it is empty.
    ///
    /// # Errors
    /// It is no such request, or one that the provider cannot be put.
    pub fn request(
        &self,
        line: &Bytes,
        asks: &mut Option<Asks>,
    ) -> Result<Option<Vec<u8>>, EncodeError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        check_object(line)?;
        let text = |name| edit::member(line, name).and_then(|text| serde_json::from_str(text).ok());
        let custom_id: Option<String> = text("custom_id");
        let custom_id = custom_id
            .ok_or(BadRequest::Missing { route: "/files", name: "custom_id" })
            .map_err(EncodeError::from)?;
        if custom_id.is_empty() || custom_id.len() > MAX_CUSTOM_ID_BYTES {
            return Err(invalid("/files", "custom_id", "a text of 1 to 512 bytes"));
        }
        let asked = self.asked(text("url").as_deref(), *asks)?;
        *asks = Some(asked);
        let body = edit::member(line, "body");
        let body = body.ok_or(BadRequest::Missing { route: "/files", name: "body" })?;
        let form = edit::member(body.as_bytes(), "encoding_format");
        if form.is_some_and(|form| !matches!(form, "null" | "\"float\"")) {
            let expected = "float: the provider does not keep another wish";
            return Err(invalid("/files", "encoding_format", expected));
        }
        let body = line.slice_ref(body.as_bytes());
        let body = match asked {
            Asks::Chats => names::told(body, params::tool_names(self.provider.dialect(self.to))),
            Asks::Embeddings => body,
        };
        let request = parse(asked.endpoint(), body, Some(&self.to.model))?;
        if request.stream() {
            return Err(invalid("/files", "stream", "false: a batch has no streams"));
        }
        // Only the body is taken, in which no credential is.
        let nobodys = Credential::Key(Secret::new("none"));
        let call = self.provider.encode(&request, self.to, &nobodys, UnixMillis(0));
        let call = call.map_err(|error| error.at(request.endpoint()))?;
        Ok(Some(match self.store {
            Store::S3 => bedrock::record(&custom_id, call.body()),
            Store::Google => vertex::line(&custom_id, call.into_body()),
        }))
    }

    /// What a line of that URL asks for; without one, what those before it do.
    fn asked(&self, url: Option<&str>, before: Option<Asks>) -> Result<Asks, EncodeError> {
        let Some(url) = url else { return Ok(before.unwrap_or_default()) };
        let asked = Asks::of(url).ok_or_else(|| invalid("/files", "url", ALL))?;
        if asked == Asks::Embeddings && self.store == Store::Google {
            return Err(invalid("/files", "url", NO_NAMES));
        }
        match before.filter(|before| *before != asked) {
            Some(before) => Err(invalid("/files", "url", before.as_the_first())),
            None => Ok(asked),
        }
    }
}
