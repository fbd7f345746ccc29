//! A request inside a batch, which its provider works through alone.

use super::{BadRequest, Reader, check_length, object, read, refuse_duplicates, text};
use crate::endpoint::{Dialect, Endpoint};
use crate::fields::{Role, is_met_alone, role};
use crate::json::Member;
use crate::labels::Labels;
use crate::tool_models::ToolModels;

/// What is heard of a request inside a batch.
pub(crate) struct Heard {
    /// On whose behalf it is.
    pub(crate) labels: Labels,
    pub(crate) tool_models: ToolModels,
}

/// Hears a request inside a batch. It is refused for what it would be refused for if
/// it came alone, and for wishes of how it is asked, which its provider does alone; of one whose
/// `endpoint` nobody here knows, only what is the gateway's is looked at.
pub(crate) fn heard(endpoint: Option<Endpoint>, body: &[u8]) -> Result<Heard, BadRequest> {
    let members = object(body)?;
    let heard = match endpoint {
        Some(endpoint) => {
            // A batch of files may name its model elsewhere.
            let named_elsewhere = endpoint.dialect() != Dialect::Anthropic;
            let facts = read(endpoint, text(body)?, named_elsewhere.then_some("batch"))?;
            check_length(endpoint, &facts.model)?;
            Heard { labels: facts.labels, tool_models: facts.tool_models }
        }
        None => {
            refuse_duplicates(&members)?;
            let reader = Reader::of(Endpoint::ChatCompletions, text(body)?, &members)?;
            Heard { labels: reader.labels.finish(), tool_models: reader.tool_models }
        }
    };
    let endpoint = endpoint.unwrap_or(Endpoint::ChatCompletions);
    let is_unmet = |member: &&Member<'_>| {
        role(endpoint, &member.name) == Role::Extra && !is_met_alone(&member.name, member.value)
    };
    match members.iter().find(is_unmet) {
        Some(member) => {
            let name = member.name.to_string();
            Err(BadRequest::NotCarriedOut { route: endpoint.route(), name })
        }
        None => Ok(heard),
    }
}
