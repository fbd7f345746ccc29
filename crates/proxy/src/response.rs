//! What a client gets: an answer in its own words, whole or as it comes, its headers, or why there is
//! none.

pub(crate) mod budget;
pub(crate) mod cut;
pub(crate) mod delivery;
pub(crate) mod error;
pub(crate) mod figure;
pub(crate) mod framing;
pub(crate) mod headers;
pub(crate) mod keepalive;
pub(crate) mod length;
pub(crate) mod limits;
pub(crate) mod lines;
pub(crate) mod long;
pub(crate) mod names;
pub(crate) mod passing;
pub(crate) mod prefixed;
pub(crate) mod stream;
pub(crate) mod told;
pub(crate) mod words;
