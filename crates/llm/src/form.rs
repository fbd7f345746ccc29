//! The common form: what a chat asks and answers, free of any dialect. A request is read into it
//! only when its client and its provider speak different dialects; then each dialect is read and
//! written by its own module, and none knows another.
//!
//! What the form has no word for is kept as JSON text beside it, and goes only to where the same
//! dialect is spoken. Schemas and arguments are JSON text, never taken apart: the order of a
//! schema's properties is part of the prompt.

mod aside;
mod cache_points;
mod chat;
mod citation;
mod delta;
mod embed;
mod extent;
mod format;
mod json;
mod media_types;
mod mend;
mod names;
mod one_by_one;
mod params;
mod reply;
mod seal;
mod search;
mod spoken;
mod tool;

pub use cache_points::{CachePlace, CachePoint};
pub use chat::{Cache, Chat, Effort, Message, Part, PartKind, Reasoning, Role, Source, ToolCall};
pub use citation::Citation;
pub use delta::Delta;
pub use embed::{Embed, Encoding, Input, Vectors};
pub use format::Format;
pub use json::Json;
pub use names::{NameRule, ToolNames};
pub use reply::{Choice, Finish, Reply};
pub use seal::without_seal;
pub use search::is_web_search;
pub use tool::{Tool, ToolChoice};

pub(crate) use chat::short;
pub(crate) use citation::{bytes, characters};
pub(crate) use extent::Extent;
pub(crate) use json::is_too_deep;
pub(crate) use media_types::by_name;
pub(crate) use one_by_one::OneByOne;
pub(crate) use seal::{
    DETAIL, REDACTED, in_base64, is_claudes_seal, of_base64, of_openais_seal, openais_seal,
    seal_of_redacted, think_on, unsealed,
};
pub(crate) use search::WebSearch;
pub(crate) use spoken::{SoundForm, joined_sound, sound_format};
pub(crate) use tool::{Grammar, custom_arguments, custom_input};
