//! The labels of a request: who asked, for what, who answered, in LiteLLM's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_journal::{Outcome, SpendRecord};
use dunlin_metrics::{Desc, Kept, OTHER, is_litellms};
use dunlin_state::routes::path_of_call;
use dunlin_state::{Kind, State};
use dunlin_types::{DeploymentId, KeyDigest};

use crate::{Custom, Serving};

/// What LiteLLM says where there is nothing to say.
const NONE: &str = "None";
/// LiteLLM's name in metrics for the owner of the master key, which has none.
const MASTER_KEY: &str = "litellm_proxy_master_key";
/// Whose keys the master key's are.
const MASTER_USER: &str = "default_user_id";

/// Where names are looked up.
pub(crate) struct Source<'a> {
    pub(crate) state: &'a State,
    pub(crate) serving: &'a Serving,
}

/// Labels by name. What is not there is told as `None`.
#[derive(Clone, Default)]
pub(crate) struct Labels {
    values: BTreeMap<&'static str, Arc<str>>,
    /// Those that the operator named, by their names.
    custom: Vec<(String, Arc<str>)>,
    kept: Option<Arc<Kept>>,
}

impl Labels {
    fn new(source: &Source<'_>) -> Self {
        Self { kept: source.serving.settings.kept.clone(), ..Self::default() }
    }

    /// Whether a metric is told at all.
    pub(crate) fn tells(&self, desc: &Desc) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.tells(desc))
    }

    /// Those of a metric, in its order. Those that are not told of it are alike for all requests.
    pub(crate) fn of(&self, desc: &Desc) -> Vec<Arc<str>> {
        let keeps = |name: &str| self.kept.as_ref().is_none_or(|kept| kept.keeps(desc, name));
        let none = || NONE.into();
        let own = desc.labels.iter().map(|name| match self.values.get(name) {
            Some(value) if keeps(name) => Arc::clone(value),
            Some(_) | None => none(),
        });
        let custom = if is_litellms(desc) { &self.custom[..] } else { &[] };
        let custom =
            custom.iter().map(|(name, value)| if keeps(name) { Arc::clone(value) } else { none() });
        own.chain(custom).collect()
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Arc<str>>) {
        self.values.insert(name, value.into());
    }

    fn set_custom(&mut self, custom: &Custom, values: Vec<Option<String>>) {
        let value = |value: Option<String>| value.map_or_else(|| NONE.into(), Arc::from);
        self.custom = custom.names().iter().cloned().zip(values.into_iter().map(value)).collect();
    }

    fn maybe(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// A request that nobody answered, and how it failed.
    pub(crate) fn failed(&mut self, status: u16, class: &str) {
        self.set("exception_status", status.to_string());
        self.set("exception_class", class);
    }

    /// A deployment, also one that has left the catalog.
    pub(crate) fn deployment(&mut self, source: &Source<'_>, id: &DeploymentId) {
        self.set("model_id", Arc::clone(&id.0));
        let mut all = source.serving.catalog.deployments();
        let known = all.find(|deployment| deployment.id == *id);
        for name in ["litellm_model_name", "api_base", "api_provider"] {
            self.values.remove(name);
        }
        if let Some(deployment) = known {
            self.set("litellm_model_name", Arc::clone(&deployment.target.model));
            self.set("api_base", Arc::clone(&deployment.target.api_base));
            self.set("api_provider", Arc::clone(&deployment.provider));
        }
    }
}

/// The group that a deployment serves.
pub(crate) fn group_of<'a>(source: &'a Source<'_>, id: &DeploymentId) -> Option<&'a Arc<str>> {
    let mut all = source.serving.catalog.deployments();
    all.find(|deployment| deployment.id == *id).map(|deployment| &deployment.group)
}

/// The labels of a record.
pub(crate) fn of(source: &Source<'_>, record: &SpendRecord) -> Labels {
    let mut labels = Labels::new(source);
    let custom = &source.serving.settings.custom;
    if !custom.is_empty() {
        labels.set_custom(custom, custom.values(source.state, record));
    }
    if let Some(deployment) = &record.deployment {
        labels.deployment(source, deployment);
    }
    caller(source, record, &mut labels);
    let course = &record.course;
    labels.set("requested_model", requested(source, record));
    if !record.upstream_model.is_empty() {
        labels.set("model", &*record.upstream_model);
        labels.set("litellm_model_name", &*record.upstream_model);
    }
    labels.maybe("model_group", course.group.as_deref());
    labels.maybe("api_provider", course.provider.as_deref());
    labels.set("call_type", &*course.call_type);
    labels.set("route", path_of_call(&course.call_type));
    labels.set(
        "outcome",
        match record.outcome {
            Outcome::Success => "success",
            Outcome::Partial => "partial",
            Outcome::Failure => "failure",
        },
    );
    let status = status(record);
    labels.set("status_code", status.to_string());
    if record.outcome == Outcome::Failure {
        let kind = record.fault.as_ref().and_then(|fault| fault.kind.as_deref());
        labels.failed(status, &class(course.provider.as_deref(), status, kind));
    }
    labels
}

/// The labels of requests that were refused and left no record.
pub(crate) fn unrecorded(source: &Source<'_>, call_type: &'static str, status: u16) -> Labels {
    let mut labels = Labels::new(source);
    let custom = &source.serving.settings.custom;
    labels.set_custom(custom, vec![None; custom.names().len()]);
    labels.set("call_type", call_type);
    labels.set("route", path_of_call(call_type));
    labels.set("outcome", "failure");
    labels.set("status_code", status.to_string());
    labels.failed(status, &class(None, status, None));
    labels
}

/// What the client got.
pub(crate) fn status(record: &SpendRecord) -> u16 {
    match (&record.outcome, &record.fault) {
        (Outcome::Failure, Some(fault)) => fault.status,
        (Outcome::Failure, None) => 500,
        (Outcome::Success | Outcome::Partial, _) => 200,
    }
}

fn caller(source: &Source<'_>, record: &SpendRecord, labels: &mut Labels) {
    let state = source.state;
    match &record.key {
        None => {
            labels.set("hashed_api_key", MASTER_KEY);
            labels.set("user", MASTER_USER);
        }
        Some(token) => key(state, token, labels),
    }
    let whose = &record.whose;
    if let Some(team) = whose.team.as_deref() {
        labels.set("team", team);
        labels.maybe("team_alias", alias(state, Kind::Team, team).as_deref());
    }
    if let Some(user) = whose.user.as_deref() {
        labels.set("user", user);
        let user = state.entity(Kind::User, user);
        labels.maybe("user_email", user.and_then(|user| user.email.as_deref()));
    }
    if let Some(organization) = whose.organization.as_deref() {
        labels.set("org_id", organization);
        labels.maybe("org_alias", alias(state, Kind::Organization, organization).as_deref());
    }
    if source.serving.settings.end_users {
        labels.maybe("end_user", record.origin.end_user.as_deref());
    }
}

/// A key that nobody has is anybody's invention: it is not told apart.
fn key(state: &State, token: &KeyDigest, labels: &mut Labels) {
    match state.key(token) {
        Some(key) => {
            labels.set("hashed_api_key", token.to_string());
            labels.maybe("api_key_alias", key.alias.as_deref());
        }
        None => labels.set("hashed_api_key", OTHER),
    }
}

fn alias(state: &State, kind: Kind, name: &str) -> Option<String> {
    state.entity(kind, name)?.alias.clone()
}

/// The model as its client named it. A name for which nobody was asked, and that the catalog does not
/// have, is anybody's invention.
fn requested(source: &Source<'_>, record: &SpendRecord) -> Arc<str> {
    let catalog = &source.serving.catalog;
    let name = &*record.model;
    let was_asked = record.deployment.is_some() || !record.course.attempts.is_empty();
    let is_known = || catalog.groups.contains_key(name) || catalog.aliases.contains_key(name);
    if name.is_empty() {
        NONE.into()
    } else if was_asked || is_known() {
        name.into()
    } else {
        OTHER.into()
    }
}

/// LiteLLM's name for what failed with a status, with the provider before it if that answered.
pub(crate) fn class(provider: Option<&str>, status: u16, kind: Option<&str>) -> String {
    let name = match status {
        _ if kind == Some("budget_exceeded") => "BudgetExceededError",
        400 => "BadRequestError",
        401 => "AuthenticationError",
        403 => "PermissionDeniedError",
        404 => "NotFoundError",
        408 => "Timeout",
        422 => "UnprocessableEntityError",
        429 => "RateLimitError",
        500 => "InternalServerError",
        502 => "BadGatewayError",
        503 => "ServiceUnavailableError",
        _ => "APIError",
    };
    let Some(provider) = provider else { return name.to_owned() };
    let mut letters = provider.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).chain(name.chars()).collect()
}
