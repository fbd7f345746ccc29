//! What receivers are told of: a record, whose it was by name, and what was said.

use std::sync::Arc;

use dunlin_journal::{Outcome, SpendRecord};
use dunlin_router::Catalog;
use dunlin_state::{Kind, State};
use serde_json::{Map, Value};

use crate::detail::{Held, Words};
use crate::progress::Position;

/// LiteLLM's name for the bearer of the master key.
const MASTER_USER: &str = "default_user_id";
/// LiteLLM's name for the master key.
const MASTER_KEY: &str = "litellm_proxy_master_key";

/// A request that has ended.
#[derive(Debug, Default)]
pub(crate) struct Event {
    /// Where it is on record.
    pub(crate) at: Position,
    pub(crate) record: Arc<SpendRecord>,
    pub(crate) held: Option<Arc<Held>>,
    pub(crate) names: Names,
    /// Whose key it was is not told.
    pub(crate) hides_caller: bool,
}

/// What ids stand for at the time.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) key: Option<String>,
    pub(crate) team: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) api_base: Option<String>,
}

/// What may be told of what was said.
pub(crate) enum Said<'e> {
    /// This.
    Words(&'e Words),
    /// Nothing: it must not be shown.
    Redacted,
    /// Nothing: it is not known.
    Unknown,
}

impl Names {
    pub(crate) fn of(state: &State, catalog: &Catalog, record: &SpendRecord) -> Self {
        let alias = |kind: Kind, name: Option<&String>| state.entity(kind, name?)?.alias.clone();
        let whose = &record.whose;
        let user = whose.user.as_ref().and_then(|user| state.entity(Kind::User, user));
        let deployment = record.deployment.as_ref();
        let deployment =
            deployment.and_then(|id| catalog.deployments().find(|known| known.id == *id));
        Self {
            key: record.key.and_then(|token| state.key(&token)?.alias.clone()),
            team: alias(Kind::Team, whose.team.as_ref()),
            organization: alias(Kind::Organization, whose.organization.as_ref()),
            email: user.and_then(|user| user.email.clone()),
            api_base: deployment.map(|known| known.backend.api_base().to_owned()),
        }
    }
}

impl Event {
    /// What may be told of what was said, to someone who gets `messages` or not.
    pub(crate) fn said(&self, messages: bool) -> Said<'_> {
        match &self.held {
            None => Said::Unknown,
            Some(held) if held.lost_words => Said::Unknown,
            Some(held) => match &held.detail.words {
                Some(words) if messages => Said::Words(words),
                Some(_) | None => Said::Redacted,
            },
        }
    }

    /// What the client says for receivers, in the request's `metadata`.
    pub(crate) fn metadata(&self) -> Map<String, Value> {
        let text = self.held.as_ref().and_then(|held| held.detail.metadata.as_deref());
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The span that the request is part of.
    pub(crate) fn parent(&self) -> Option<&str> {
        self.held.as_ref()?.detail.parent.as_deref()
    }

    /// Bytes that it takes to tell it, about.
    pub(crate) fn weight(&self) -> usize {
        let words = self.held.as_ref().and_then(|held| held.detail.words.as_ref());
        2_048 + words.map_or(0, |words| words.request.len() + words.answer.len())
    }

    pub(crate) fn failed(&self) -> bool {
        self.record.outcome == Outcome::Failure
    }

    /// As LiteLLM names it: the answer's id, else that of the call.
    pub(crate) fn id(&self) -> &str {
        self.record.answer_id.as_deref().unwrap_or(&self.record.call_id)
    }

    /// The model's name upstream; as it was asked for, if nobody answered.
    pub(crate) fn model(&self) -> &str {
        let upstream = &self.record.upstream_model;
        if upstream.is_empty() { &self.record.model } else { upstream }
    }

    /// Who paid: a key's hash, or a name for the master key.
    pub(crate) fn payer(&self) -> String {
        self.record.key.map_or_else(|| MASTER_KEY.to_owned(), |key| key.to_string())
    }

    /// Whose key it was.
    pub(crate) fn user(&self) -> Option<&str> {
        let nobody = self.record.key.is_none().then_some(MASTER_USER);
        self.record.whose.user.as_deref().or(nobody)
    }

    /// What the client got.
    pub(crate) fn status(&self) -> u16 {
        match (&self.record.outcome, &self.record.fault) {
            (Outcome::Failure, Some(fault)) => fault.status,
            (Outcome::Failure, None) => 500,
            (Outcome::Success | Outcome::Partial, _) => 200,
        }
    }
}
