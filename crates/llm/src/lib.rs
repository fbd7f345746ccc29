//! What clients and providers say to each other: requests, replies, streams and errors, as values.
//!
//! Does not know which deployment answers, who may call it, or how bytes travel. Invariants: the
//! bytes that came in are kept, and only what must change is changed, in place; everything else
//! (unknown fields, key order, number formats) passes byte for byte. A frame or body that needs no
//! change is passed on without a copy. Where client and provider speak different dialects, a body
//! goes through the common form of `form.rs`. Read `endpoint.rs` first, then `request.rs` and
//! `parse.rs`.

mod answers;
pub mod anthropic;
pub mod batch;
mod bound;
pub mod client;
mod client_auth;
pub mod credentials;
mod details;
pub mod edit;
mod endpoint;
mod estimate;
mod extras;
mod fallbacks;
mod fields;
pub mod form;
pub mod gemini;
mod ids;
mod json;
mod labels;
pub mod lenient;
mod media;
mod meter;
mod multipart;
mod named;
pub mod openai;
mod parse;
mod ranks;
pub mod realtime;
mod reply;
mod request;
pub mod responses;
mod said;
pub mod sound;
pub mod sse;
mod stream;
mod target;
mod tier;
mod token_input;
mod told;
mod tool_models;
mod tools;
mod unseen;
mod usage;
mod uses;
mod word;

pub use bound::Bound;
pub use client_auth::{ClientAuth, ClientCredential, Pattern};
pub use details::Details;
pub use dunlin_types::Usage;
pub use endpoint::{Dialect, Endpoint, Stamp, StreamWriter};
pub use estimate::tokens_in;
pub use extras::Extras;
pub use fallbacks::{Fallback, FallbackMap, MAX_FALLBACKS};
pub use fields::is_gateways_own;
pub use ids::{Place, Rename, rename_ids, rename_ids_in_frame};
pub use labels::{Labels, MAX_ID_BYTES, MAX_SPEND_METADATA_BYTES, MAX_TAG_BYTES, MAX_TAGS};
pub use media::{Media, MostMedia, Picture};
pub use meter::{MAX_METERED_BYTES, Meter};
pub use multipart::Upload;
pub use named::{Named, UnclearModel, decoded, precedes_name};
pub use parse::{BadRequest, MAX_MODEL_BYTES, check_object, parse, parse_upload};
pub use ranks::{RETURN_DOCUMENTS, in_coheres_form};
pub use reply::{BadReply, ChatReply};
pub use request::ChatRequest;
pub use said::{Required, Said, lacking};
pub use stream::{BadFrame, Chunk, StreamEvent};
pub use target::{Buckets, ParamRules, Target};
pub use tier::Tier;
pub use tool_models::{DEFAULT_PAINTER, ToolModel, ToolModels};
pub use tools::Tools;
pub use unseen::Unseen;
pub use uses::Uses;
pub use word::Word;
