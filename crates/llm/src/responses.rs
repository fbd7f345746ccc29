//! OpenAI's Responses dialect: what Codex, n8n and the newer SDKs speak. Bodies are read into the
//! common form and answers are written from it, for providers that have only chats. What only the
//! server that keeps responses could carry out is refused.

mod items;
mod read;
mod reply;
mod writer;

pub(crate) use read::read_chat;
pub(crate) use reply::write_reply;
pub(crate) use writer::{EventWriter, error_frame};

#[cfg(test)]
mod tests;
