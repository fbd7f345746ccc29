//! The OpenAI dialect, with LiteLLM's error shapes: what a client sends, and what it gets when
//! something is wrong. Replies and streams of providers are read here too, as they speak it.

mod annotations;
mod calls;
mod chat;
mod choice;
mod content;
mod deltas;
mod details;
mod embeddings;
mod error;
mod frame;
mod likely;
mod media;
mod merge;
mod reply;
mod roles;
mod sources;
mod whole;
mod write;
mod writer;

pub use calls::function_of_custom;
pub use deltas::{Choices, DeltaReader};
pub use error::{Entity, ErrorBody, UpstreamError};
pub use frame::read_frame;
pub use merge::{Merger, merged_reply};
pub use reply::read_reply;
pub use roles::without_developers;
pub use whole::frames_of_reply;
pub use write::{ChatStyle, Thoughts, write_chat};

pub(crate) use chat::{read_chat, read_defaults, read_text_prompt};
pub(crate) use embeddings::{read_embed, read_encoding, write_vectors};
pub(crate) use error::error_frame;
pub(crate) use reply::{write_reply, write_text_reply};
pub(crate) use writer::{ChatWriter, TextWriter, usage_frame};

#[cfg(test)]
pub(crate) mod tests;
