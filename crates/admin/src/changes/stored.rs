//! Models, credentials and access groups that are kept in the replicated state: sealed there,
//! opened here for those who serve, show and change them.

use std::sync::Arc;
use std::time::Duration;

use dunlin_callbacks::{FIELD, OwnCallback};
use dunlin_config::{AddedCredential, AddedGroup, AddedModel, Additions, LeftOut};
use dunlin_consensus::ProposeError;
use dunlin_seal::{CannotOpen, Sealer};
use dunlin_state::{Command, Kind, Rejected, Reply, Resource, ResourceChange, ResourceKind, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tracing::warn;

use crate::error::Error;
use crate::request::moment::iso;
use crate::routes::Request;
use crate::rows::content;
use crate::{Admin, Published};

/// How long an answer waits until its own node serves what it tells of.
const IN_FORCE_PATIENCE: Duration = Duration::from_secs(2);
/// How often a change is made that others overtake, before that is told.
pub(crate) const MAX_OVERTAKEN: usize = 8;

/// What is sealed of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelContent {
    pub(crate) params: Map<String, Value>,
    pub(crate) info: Map<String, Value>,
}

/// What is sealed of a credential.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CredentialContent {
    pub(crate) values: Map<String, Value>,
    pub(crate) info: Map<String, Value>,
}

/// What is sealed of an access group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupContent {
    /// Public names.
    pub(crate) models: Vec<String>,
}

/// So many config revisions, models, credentials and access groups are sealed under another secret
/// than the current one.
pub(crate) fn sealed_under_others(state: &State, sealer: &Sealer) -> u64 {
    let revisions = state.config_history().map(|known| &known.sealed);
    let resources = ResourceKind::ALL.into_iter().flat_map(|kind| state.resources(kind));
    let sealed = revisions.chain(resources.map(|known| &known.sealed));
    let others = sealed.filter(|sealed| !sealed.is_empty() && !sealer.is_current(sealed));
    (others.count() + callbacks_under_others(state, sealer)) as u64
}

/// Keys and teams with callbacks whose secrets are so. Nobody looks through all keys for the sake of it
/// unless the secret is being changed.
fn callbacks_under_others(state: &State, sealer: &Sealer) -> usize {
    if sealer.known().count() < 2 {
        return 0;
    }
    let keys = state.keys().map(|key| &key.terms);
    let all = keys.chain(state.entities(Kind::Team).map(|team| &team.terms));
    let texts = all.filter_map(|terms| terms.other.get(FIELD));
    texts.filter(|text| OwnCallback::resealed(text, sealer).is_some()).count()
}

/// Opens what is set over the API. What cannot be opened is left out and told.
#[must_use]
pub fn additions(state: &State, sealer: &Sealer) -> (Additions, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let mut unreadable = |resource: &Resource, why: &CannotOpen| {
        let what = format!("{} `{}`", resource.kind.name(), resource.id);
        left_out.push(LeftOut { what, why: vec![why.to_string()] });
    };
    let mut additions = Additions::default();
    for resource in state.resources(ResourceKind::Credential) {
        match open::<CredentialContent>(sealer, resource) {
            Ok(content) => additions.credentials.push(added_credential(&resource.id, &content)),
            Err(why) => unreadable(resource, &why),
        }
    }
    for resource in state.resources(ResourceKind::AccessGroup) {
        match open::<GroupContent>(sealer, resource) {
            Ok(GroupContent { models }) => {
                additions.access_groups.push(AddedGroup { name: resource.id.clone(), models });
            }
            Err(why) => unreadable(resource, &why),
        }
    }
    let mut models: Vec<_> = state.resources(ResourceKind::Model).collect();
    models.sort_by_key(|model| (model.created_at, &model.id));
    for resource in models {
        match open::<ModelContent>(sealer, resource) {
            Ok(content) => additions.models.push(added_model(resource, &content)),
            Err(why) => unreadable(resource, &why),
        }
    }
    (additions, left_out)
}

/// A model as the config's reader takes it, with when and by whom it was created.
pub(crate) fn added_model(resource: &Resource, content: &ModelContent) -> AddedModel {
    let mut info = content.info.clone();
    let made = [
        ("created_at", Value::from(iso(resource.created_at))),
        ("created_by", Value::from(resource.created_by.as_str())),
        ("updated_at", Value::from(iso(resource.updated_at))),
        ("updated_by", Value::from(resource.updated_by.as_str())),
    ];
    info.extend(made.map(|(name, value)| (name.to_owned(), value)));
    let (id, name) = (resource.id.clone(), resource.name.clone());
    AddedModel { id, name, params: content.params.clone(), info }
}

pub(crate) fn added_credential(name: &str, content: &CredentialContent) -> AddedCredential {
    AddedCredential { name: name.to_owned(), values: content.values.clone() }
}

fn open<T: for<'de> Deserialize<'de>>(
    sealer: &Sealer,
    resource: &Resource,
) -> Result<T, CannotOpen> {
    let plain = sealer.open(&resource.sealed)?;
    serde_json::from_slice(&plain).map_err(|_| CannotOpen)
}

impl Admin {
    /// The config in force, if it lets models be set over the API: with all that was acknowledged
    /// before, on whichever node.
    /// Where nobody leads, nothing can be set, which is said before anything else is waited for.
    pub(crate) async fn storing(&self) -> Result<Arc<Published>, Error> {
        self.catch_up().await?;
        self.until_in_force(self.0.consensus.state().resources_version()).await;
        let published = self.settings()?;
        if published.settings.stores_models { Ok(published) } else { Err(Error::StoresNone) }
    }

    /// Waits until this node knows all that was acknowledged before.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        let caught_up = self.0.consensus.barrier().await;
        caught_up.map_err(|nobody| ProposeError::NoQuorum(nobody).into())
    }

    /// Opens a resource.
    pub(crate) fn open<T: for<'de> Deserialize<'de>>(&self, of: &Resource) -> Result<T, Error> {
        open(&self.0.config.sealer, of).map_err(|why| {
            let reason = format!("{} `{}` cannot be read: {why}", of.kind.name(), of.id);
            Error::Unreadable { reason }
        })
    }

    pub(crate) fn seal(&self, content: &impl Serialize) -> Arc<[u8]> {
        let plain = serde_json::to_vec(content).expect("plain data with text keys");
        self.0.config.sealer.seal(&plain).into()
    }

    /// Makes a resource, and waits until this node serves it.
    pub(crate) async fn make(
        &self,
        asked: &Request,
        (kind, id, name): (ResourceKind, &str, &str),
        content: &impl Serialize,
    ) -> Result<Arc<Resource>, Error> {
        let by = asked.caller.maker();
        let plain = serde_json::to_value(content).expect("plain data with text keys");
        let resource = Resource {
            kind,
            id: id.to_owned(),
            name: name.to_owned(),
            sealed: self.seal(&plain),
            shown: content::shown(&self.0.config.sealer, &plain, None),
            created_by: by.clone(),
            updated_by: by,
            ..Resource::default()
        };
        let command = Command::CreateResource { resource: Box::new(resource) };
        let (reply, _) = self.carry_out(asked, command).await?;
        let made = resource_of(reply);
        self.until_in_force(made.version).await;
        Ok(made)
    }

    /// A resource as it is now.
    pub(crate) async fn kept(&self, kind: ResourceKind, id: &str) -> Result<Arc<Resource>, Error> {
        let state = self.read().await.state;
        let unknown = || {
            let rejected = Rejected::UnknownResource { kind, id: id.to_owned() };
            ProposeError::Rejected(rejected)
        };
        Ok(Arc::clone(state.resource(kind, id).ok_or_else(unknown)?))
    }

    /// Replaces `before`, and waits until this node serves the new value. `None`: other changes
    /// came in between, so it must be made again from the current value.
    pub(crate) async fn replace(
        &self,
        asked: &Request,
        before: &Resource,
        name: String,
        content: &impl Serialize,
    ) -> Result<Option<Arc<Resource>>, Error> {
        let plain = serde_json::to_value(content).expect("plain data with text keys");
        let former: Value = self.open(before)?;
        let change = ResourceChange {
            kind: before.kind,
            id: before.id.clone(),
            seen: before.version,
            name,
            sealed: self.seal(&plain),
            shown: content::shown(&self.0.config.sealer, &plain, Some((before, &former))),
            by: asked.caller.maker(),
        };
        let command = Command::UpdateResource { change: Box::new(change) };
        match self.carry_out(asked, command).await {
            Ok((reply, _)) => {
                let changed = resource_of(reply);
                self.until_in_force(changed.version).await;
                Ok(Some(changed))
            }
            Err(Error::Propose(ProposeError::Rejected(Rejected::ResourceChanged { .. }))) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a resource, and waits until this node serves it no more.
    pub(crate) async fn unmake(
        &self,
        asked: &Request,
        kind: ResourceKind,
        id: &str,
    ) -> Result<(), Error> {
        let command = Command::DeleteResources { kind, ids: vec![id.to_owned()] };
        let (_, view) = self.carry_out(asked, command).await?;
        self.until_in_force(view.state.resources_version()).await;
        Ok(())
    }

    /// Waits until this node works by what the state held at `version`.
    async fn until_in_force(&self, version: u64) {
        until(&self.0.resources, version, "a change of a model").await;
    }

    /// Waits until this node works by a config revision.
    pub(crate) async fn until_revision(&self, revision: u64) {
        until(&self.0.revision, revision, "a config revision").await;
    }
}

/// Waits until what is in force has reached `version`. A node that cannot reach it, because its config
/// does not load, still answers: what was asked for is done.
async fn until(in_force: &watch::Sender<u64>, version: u64, what: &str) {
    let mut in_force = in_force.subscribe();
    let reached = in_force.wait_for(|known| *known >= version);
    if tokio::time::timeout(IN_FORCE_PATIENCE, reached).await.is_err() {
        warn!("{what} is committed, but not yet in force on this node");
    }
}

/// Others always came in between.
pub(crate) fn overtaken(kind: ResourceKind, id: &str) -> Error {
    ProposeError::Rejected(Rejected::ResourceChanged { kind, id: id.to_owned() }).into()
}

fn resource_of(reply: Reply) -> Arc<Resource> {
    let Reply::Resource(resource) = reply else {
        unreachable!("a command about one resource answers with it")
    };
    resource
}

/// Adds what is sent to what is there. A null takes a field away, or is as good as not sent.
pub(crate) fn merge(into: &mut Map<String, Value>, sent: Map<String, Value>, null_clears: bool) {
    for (name, value) in sent {
        if !value.is_null() {
            into.insert(name, value);
        } else if null_clears {
            into.remove(&name);
        }
    }
}

/// Values as they are shown: what may be a secret is starred out, but for its ends.
pub(crate) fn masked(values: &Map<String, Value>) -> Map<String, Value> {
    let shown = |(name, value): (&String, &Value)| {
        let secret = dunlin_types::is_secret(name);
        let value = match value {
            Value::Object(inner) if !secret => Value::Object(masked(inner)),
            Value::String(text) if secret && text.starts_with("os.environ/") => value.clone(),
            Value::String(text) if secret => Value::from(starred(text)),
            Value::Array(_) | Value::Object(_) if secret => Value::from("*****"),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::String(_) => value.clone(),
        };
        (name.clone(), value)
    };
    values.iter().map(shown).collect()
}

/// Shorter texts are starred out whole.
const MIN_SHOWN: usize = 8;

/// LiteLLM's form: two letters at each end.
fn starred(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    match letters.as_slice() {
        [a, b, .., c, d] if letters.len() >= MIN_SHOWN => format!("{a}{b}****{c}{d}"),
        _ => "*****".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::Secret;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    #[test]
    fn secrets_are_starred_out_wherever_they_stand() {
        let shown = masked(&object(json!({
            "api_key": "sk-0123456789", "api_base": "http://h", "client_secret": "short",
            "extra_headers": {"x": "y"}, "nested": {"my_token": "0123456789", "rpm": 5},
            "vertex_credentials": "{}", "aws_access_key_id": "os.environ/ID", "max_tokens": 5,
        })));
        let expected = json!({
            "api_key": "sk****89", "api_base": "http://h", "client_secret": "*****",
            "extra_headers": "*****", "nested": {"my_token": "01****89", "rpm": 5},
            "vertex_credentials": "*****", "aws_access_key_id": "os.environ/ID",
            "max_tokens": 5,
        });
        assert_eq!(Value::Object(shown), expected);
    }

    #[test]
    fn what_is_sent_is_added_and_null_clears_where_it_may() {
        let merged = |null_clears| {
            let mut there = object(json!({"a": 1, "b": 2}));
            merge(&mut there, object(json!({"a": 3, "b": null, "c": 4})), null_clears);
            Value::Object(there)
        };
        assert_eq!(merged(false), json!({"a": 3, "b": 2, "c": 4}));
        assert_eq!(merged(true), json!({"a": 3, "c": 4}));
    }

    #[test]
    fn what_another_secret_sealed_is_left_out_and_told() {
        let [ours, theirs] = ["a secret of ours", "a secret of others"]
            .map(|secret| Sealer::new(&Secret::new(secret).into()));
        let content = serde_json::to_vec(&ModelContent::default()).expect("JSON");
        let made = [("good", &ours), ("bad", &theirs)].map(|(id, sealer)| {
            let sealed = sealer.seal(&content).into();
            let resource = Resource { id: id.to_owned(), sealed, ..Resource::default() };
            Command::CreateResource { resource: Box::new(resource) }
        });
        let state = crate::rows::row::tests::state_after(made);
        let (additions, left_out) = additions(&state, &ours);
        assert_eq!(additions.models.len(), 1);
        assert_eq!(left_out[0].what, "model `bad`");
    }
}
