//! The seal of a thought, carried in the id of the call it led to. Gemini wants it back beside the
//! call, and most dialects have no place for it: LiteLLM puts it behind the id, where every client
//! keeps it.

use crate::form::ToolCall;

const SEPARATOR: &str = "__thought__";

impl ToolCall {
    /// The id for a client, with the seal behind it if there is one.
    pub(crate) fn sealed_id(&self) -> String {
        let seal = self.signature.as_ref();
        seal.map_or_else(|| self.id.clone(), |seal| format!("{}{SEPARATOR}{seal}", self.id))
    }
}

/// The provider's id and the seal, from an id that a client sent back.
pub(crate) fn unsealed(id: &str) -> (String, Option<String>) {
    match id.split_once(SEPARATOR) {
        Some((id, seal)) => (id.to_owned(), Some(seal.to_owned())),
        None => (id.to_owned(), None),
    }
}
