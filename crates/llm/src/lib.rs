//! What clients and providers say to each other: requests, replies, streams and errors, as values.
//!
//! Does not know which deployment answers, who may call it, or how bytes travel. Invariants: the
//! bytes that came in are kept, and only what must change is changed, in place; everything else
//! (unknown fields, key order, number formats) passes byte for byte. A frame or body that needs no
//! change is passed on without a copy. Read `request.rs` first, then `openai/request.rs`.

pub mod credentials;
mod estimate;
mod extras;
mod fields;
mod json;
pub mod openai;
mod reply;
mod request;
pub mod sse;
mod stream;
mod usage;

pub use dunlin_types::Usage;
pub use estimate::tokens_in;
pub use extras::Extras;
pub use reply::{BadReply, ChatReply};
pub use request::{ChatRequest, Endpoint};
pub use stream::{BadFrame, Chunk, StreamEvent};
