//! What a request says before anything is done for it: who asks, from where, its body, the model that
//! it names, and the kept things that it speaks of.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod caller;
pub(crate) mod kept;
pub(crate) mod moderator;
pub(crate) mod named_path;
pub(crate) mod origin;
pub(crate) mod pass;
pub(crate) mod posted;
pub(crate) mod received;
pub(crate) mod said;
pub(crate) mod worded;
