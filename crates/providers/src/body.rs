//! Bodies as they are put together, for providers whose dialect no client speaks.

use bytes::Bytes;
use dunlin_llm::form::{Chat, Json};
use dunlin_llm::{BadRequest, Dialect};
use serde_json::{Map, Value};

/// An object in the making.
#[derive(Default)]
pub(crate) struct Body(pub(crate) Map<String, Value>);

impl Body {
    pub(crate) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Unless there is nothing in it.
    pub(crate) fn put_object(&mut self, name: &str, object: Self) {
        if !object.0.is_empty() {
            self.put(name, object.0);
        }
    }

    pub(crate) fn finish(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(&self.0).expect("values are always JSON"))
    }
}

/// The fields without a word in the form that are for the provider: the operator's own, and those
/// of clients whose dialect it is that providers' extensions are written in.
pub(crate) fn own_fields(chat: &Chat) -> impl Iterator<Item = &(String, Json)> {
    let other = chat.other.iter().filter(|_| chat.from == Dialect::OpenAi);
    chat.extra.iter().chain(other)
}

/// The arguments of a call for a provider that wants them as an object.
///
/// # Errors
/// They are none: models err, and clients send back what they wrote.
pub(crate) fn arguments(text: &str) -> Result<Map<String, Value>, BadRequest> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|_| wrong_messages("arguments of calls as JSON objects"))
}

/// The provider takes only `expected` in messages.
pub(crate) fn wrong_messages(expected: &'static str) -> BadRequest {
    BadRequest::Unsayable { expected }
}
