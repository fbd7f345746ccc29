//! The OpenAI dialect, with LiteLLM's error shapes: what a client sends, and what it gets when
//! something is wrong. Replies and streams of providers are read here too, as they speak it.

mod error;
mod frame;
mod request;

pub use error::{ErrorBody, UpstreamError, error_frame};
pub use frame::read_frame;
pub use request::{BadRequest, parse};
