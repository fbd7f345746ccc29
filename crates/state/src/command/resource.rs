//! What is set over the API beside the config: models, credentials, access groups of models. Their
//! content is sealed under the cluster secret; what names them can be read here, and what the audit
//! log may show of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_types::{KeyDigest, UnixMillis};
use serde::{Deserialize, Serialize};

use super::entity::Kind;

/// What a resource is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ResourceKind {
    /// One deployment of a public model.
    #[default]
    Model,
    /// Values that models name and share.
    Credential,
    /// Names of models that lists of models may name together.
    AccessGroup,
}

impl ResourceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Model, Self::Credential, Self::AccessGroup];

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Credential => "credential",
            Self::AccessGroup => "access group",
        }
    }
}

/// A model, a credential or an access group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Names it for ever: a deployment's id, a credential's or a group's name.
    pub id: String,
    /// The public name of a model; its own of anything else.
    pub name: String,
    /// The content, sealed under the cluster secret.
    #[serde(serialize_with = "hex::serde::serialize", deserialize_with = "from_hex")]
    pub sealed: Arc<[u8]>,
    /// What the audit log shows of the content, as [`ResourceChange::shown`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<String, String>,
    /// The log's index at its last change, set when that is applied. A change says which one it
    /// has seen.
    #[serde(default)]
    pub version: u64,
    /// Set when it is applied.
    #[serde(default)]
    pub created_at: UnixMillis,
    /// Who made it.
    pub created_by: String,
    /// Set when it is applied.
    #[serde(default)]
    pub updated_at: UnixMillis,
    /// Who changed it last.
    pub updated_by: String,
}

/// What a resource becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceChange {
    /// What it is.
    pub kind: ResourceKind,
    /// Which one.
    pub id: String,
    /// The version that the change was made from. Another one is there: it is rejected.
    pub seen: u64,
    /// The public name from now on.
    pub name: String,
    /// The content from now on, sealed.
    #[serde(serialize_with = "hex::serde::serialize", deserialize_with = "from_hex")]
    pub sealed: Arc<[u8]>,
    /// The content's fields from now on as JSON texts, without the secrets in them. Those are told
    /// from each other, and nothing more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<String, String>,
    /// Who changes it.
    pub by: String,
}

/// What became of one setting of the config, without secrets: JSON texts, none where it is not set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingChange {
    /// Section and name, such as `router_settings.num_retries`.
    pub setting: String,
    /// As it was.
    pub before: Option<String>,
    /// As it is.
    pub after: Option<String>,
}

/// A config revision under another seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResealedRevision {
    /// Which one.
    pub revision: u64,
    /// Names its content, under the new secret too.
    pub hash: String,
    /// The content, sealed.
    #[serde(serialize_with = "hex::serde::serialize", deserialize_with = "from_hex")]
    pub sealed: Arc<[u8]>,
}

/// A model or a credential under another seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResealedResource {
    /// What it is.
    pub kind: ResourceKind,
    /// Which one.
    pub id: String,
    /// The version that was resealed.
    pub version: u64,
    /// The content, sealed.
    #[serde(serialize_with = "hex::serde::serialize", deserialize_with = "from_hex")]
    pub sealed: Arc<[u8]>,
}

/// A field of a key or an entity under another seal: one of [`Terms::other`](super::Terms::other).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResealedField {
    /// Whose.
    pub of: SealedFor,
    /// Which one.
    pub name: String,
    /// The resealed text. A field that has another text by now stays as it is.
    pub before: String,
    /// The same under the new seal.
    pub after: String,
}

/// Whose field is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealedFor {
    /// A key's.
    Key(KeyDigest),
    /// An entity's.
    Entity(Kind, String),
}

fn from_hex<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
    hex::serde::deserialize::<D, Vec<u8>>(from).map(Into::into)
}
