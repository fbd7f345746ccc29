//! Which parameters of a chat a provider is sent: those it has, or a refusal that names the others.

use dunlin_llm::form::Chat;
use dunlin_llm::{ChatRequest, Target};

use crate::EncodeError;
use crate::Provider;

/// The request in the common form, with the deployment's defaults, without what is dropped.
///
/// # Errors
/// The body cannot be read, or it has parameters that the provider does not have and that are not
/// to be dropped.
pub(crate) fn form(
    provider: &dyn Provider,
    request: &ChatRequest,
    to: &Target,
) -> Result<Chat, EncodeError> {
    let mut chat = request.form_with(&to.body_defaults)?;
    for path in &to.params.always_drop {
        chat.forget(path);
    }
    let Some(supported) = provider.params(&to.model) else { return Ok(chat) };
    let allowed = |param: &str| {
        supported.contains(&param) || to.params.allow.iter().any(|allow| **allow == *param)
    };
    let said = chat.params().into_iter().filter(|param| !allowed(param));
    let unsupported: Vec<String> = said.map(str::to_owned).collect();
    if !unsupported.is_empty() && !to.params.drop_unsupported {
        let (provider, model) = (provider.id(), to.model.to_string());
        return Err(EncodeError::UnsupportedParams { provider, params: unsupported, model });
    }
    for param in &unsupported {
        chat.forget(param);
    }
    Ok(chat)
}
