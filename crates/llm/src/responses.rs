//! OpenAI's Responses dialect: what Codex, n8n and the newer SDKs speak. Bodies are read into the
//! common form and answers are written from it, for providers that have only chats; there, what only
//! a server that keeps responses could carry out is refused. Where the provider has responses itself,
//! bodies pass; where it has nothing else, chats of other dialects are written as such a body, and the
//! answer is read.

mod calls;
mod compaction;
mod deltas;
mod items;
mod kept;
mod native;
mod output;
mod read;
mod references;
mod reply;
pub mod socket;
mod standing;
mod tools;
mod turn;
mod write;
mod writer;

pub use compaction::{compacted, to_compact};
pub use deltas::StreamReader;
pub use kept::KeptResponse;
pub use native::{parse_reply, read_frame};
pub use output::{frames_of_reply, read_reply};
pub use references::{named_items, named_responses, with_items};
pub use standing::{Standing, announced, as_standing, broke_off, end_event, is_end, standing};
pub use tools::tools_of;
pub use turn::{
    ItemPage, MAX_ITEMS, NoItems, Turn, continue_from, input_items, last_response, may_be_stored,
    restored, store_turn, stored_model, stored_response,
};
pub use write::write_chat;

pub(crate) use kept::asks_for_background;
pub(crate) use read::read_chat;
pub(crate) use reply::{usage_json, write_reply};
pub(crate) use writer::{EventWriter, error_frame};

#[cfg(test)]
mod tests;
