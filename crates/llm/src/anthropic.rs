//! Anthropic's dialect, both ways: what clients of `/v1/messages` send and get, and what providers
//! that speak it are sent and answer. Also served by Bedrock, Vertex and many others.

mod abilities;
mod answer;
mod blocks;
mod chat;
mod citations;
mod deltas;
mod error;
mod frame;
mod replayed;
mod reply;
mod schema;
mod usage;
mod whole;
mod write;
mod writer;

pub use abilities::{Abilities, Thinking};
pub use answer::{JsonAnswer, answer_in_json};
pub use deltas::DeltaReader;
pub use frame::FrameReader;
pub use replayed::without_foreign;
pub use reply::{parse_count, parse_reply, read_reply};
pub use schema::StrictTools;
pub use whole::frames_of_reply;
pub use write::{MessageStyle, answers_by_tool, hosts, write_chat, write_thought};

pub(crate) use chat::read_chat;
pub(crate) use error::{credential_body, error_body, error_frame};
pub(crate) use reply::{output_text, write_reply};
pub(crate) use usage::{Wire, usage_json};
pub(crate) use writer::MessagesWriter;

/// The tool by which a model without structured outputs is made to answer in JSON. Its call is read
/// back as the answer's text. LiteLLM's name for it.
pub const JSON_TOOL: &str = "json_tool_call";
/// What it is for, told to a model that cannot be made to call it.
pub const JSON_TOOL_USE: &str = "Gives the answer. Its arguments are the answer.";

#[cfg(test)]
mod tests;
