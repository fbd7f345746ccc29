//! Which model a moderation is of that names none.

use dunlin_router::group;

use crate::Serving;
use crate::questions::model_info::callable;
use crate::request::caller::Caller;

/// What OpenAI takes then: who serves it under its name wants it.
const USUAL: &str = "omni-moderation-latest";
const MODERATION: &str = "moderation";

/// The only model for moderations that the caller may call, where [`USUAL`] is not served.
pub(crate) fn of(serving: &Serving, caller: &Caller) -> Option<String> {
    if group(&serving.catalog, caller.access(), USUAL).is_ok() {
        return None;
    }
    let callable = callable(serving, caller.access());
    let mut moderators = callable.filter(|(name, group)| {
        let mut modes = group.deployments.iter().map(|by| &*by.about.mode);
        !name.contains('*') && modes.any(|mode| mode == MODERATION)
    });
    let (name, _) = moderators.next()?;
    moderators.next().is_none().then(|| (*name).to_owned())
}
