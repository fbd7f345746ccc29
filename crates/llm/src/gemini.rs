//! Google's dialect: `generateContent` of Gemini on AI Studio and on Vertex AI, both ways.
//!
//! Names are read in both [spellings](spelling) that Google takes, `fileData` and `file_data`, and
//! written in the first. The model, and whether the answer streams, stand in the path, not in the body.

mod count;
mod error;
mod fields;
mod grounding;
mod media;
mod partial;
mod read;
mod reply;
mod schema;
mod spelling;
mod stream;
mod usage;
mod vectors;
mod wire;
mod write;
mod writer;

pub use count::{count_estimate, count_json, counted_request};
pub use reply::{pass_reply, read_reply};
pub use stream::{StreamReader, frames_of_reply};
pub use vectors::{Embedded, read_batch, read_predictions, write_batch, write_instances};
pub use write::{ChatStyle, Thinking, hosts, runs, write_chat};

pub(crate) use error::{error_body, error_frame};
pub(crate) use grounding::Searches;
pub(crate) use read::read_chat;
pub(crate) use reply::{output_bytes, output_text, searches_in, write_reply};
pub(crate) use usage::{Wire as WireUsage, usage_json};
pub(crate) use vectors::{pictures_of_predictions, tokens_of_predictions};
pub(crate) use writer::Writer;

#[cfg(test)]
mod tests;
