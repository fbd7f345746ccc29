//! Questions that a node answers by itself: about models, prices, parameters and prompts.

pub(crate) mod calculate;
pub(crate) mod count;
pub(crate) mod input_tokens;
pub(crate) mod model_info;
pub(crate) mod models;
pub(crate) mod one_model;
pub(crate) mod openapi;
mod prompt;
pub(crate) mod published;
pub(crate) mod question;
pub(crate) mod token_counter;
pub(crate) mod transform;
