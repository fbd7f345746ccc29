//! A virtual key as it is logged and stored.

use std::collections::BTreeMap;

use dunlin_types::{EntityId, KeyDigest, UnixMillis};
use serde::{Deserialize, Serialize};

use super::change::{Change, unset};
use super::terms::{Terms, TermsChanges};

/// A virtual key. The clear key is never stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Key {
    /// Its number; set when it is made, kept when it is regenerated.
    pub id: EntityId,
    /// SHA-256 of the clear key.
    pub token: KeyDigest,
    /// `sk-...` and the last four characters.
    pub name: String,
    /// A second, unique name.
    #[serde(skip_serializing_if = "unset")]
    pub alias: Option<String>,
    /// Names it may use instead of a model's.
    #[serde(skip_serializing_if = "unset")]
    pub aliases: BTreeMap<String, String>,
    /// When it ceases to work.
    #[serde(skip_serializing_if = "unset")]
    pub expires: Option<UnixMillis>,
    /// The team whose it is.
    #[serde(skip_serializing_if = "unset")]
    pub team: Option<String>,
    /// The user whose it is.
    #[serde(skip_serializing_if = "unset")]
    pub user: Option<String>,
    /// The organization whose it is.
    #[serde(skip_serializing_if = "unset")]
    pub organization: Option<String>,
    /// The paths and classes of paths that it may call; empty means all.
    #[serde(skip_serializing_if = "unset")]
    pub routes: Vec<String>,
    /// What each of its requests must have in its body.
    #[serde(skip_serializing_if = "unset")]
    pub required: Vec<String>,
    /// What holds for it.
    pub terms: Terms,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Who made it.
    pub created_by: String,
    /// Who last changed it that did not make it: what others put on a key, its maker does not take off.
    #[serde(skip_serializing_if = "unset")]
    pub limited_by: Option<String>,
}

/// What changes of a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyChanges {
    /// See [`Key::alias`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub alias: Change<String>,
    /// See [`Key::aliases`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub aliases: Change<BTreeMap<String, String>>,
    /// See [`Key::expires`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub expires: Change<UnixMillis>,
    /// See [`Key::team`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub team: Change<String>,
    /// See [`Key::user`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub user: Change<String>,
    /// See [`Key::organization`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub organization: Change<String>,
    /// See [`Key::routes`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub routes: Change<Vec<String>>,
    /// See [`Key::required`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub required: Change<Vec<String>>,
    /// See [`Key::limited_by`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub limited_by: Change<String>,
    /// See [`Key::terms`].
    pub terms: TermsChanges,
}

impl Key {
    /// This key with `changes` made to it.
    #[must_use]
    pub fn changed(mut self, changes: KeyChanges) -> Self {
        changes.alias.on(&mut self.alias);
        changes.aliases.on_plain(&mut self.aliases);
        changes.expires.on(&mut self.expires);
        changes.team.on(&mut self.team);
        changes.user.on(&mut self.user);
        changes.organization.on(&mut self.organization);
        changes.routes.on_plain(&mut self.routes);
        changes.required.on_plain(&mut self.required);
        changes.limited_by.on(&mut self.limited_by);
        self.terms.change(changes.terms);
        self
    }

    /// How much text it holds, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        let named = [&self.alias, &self.team, &self.user, &self.organization, &self.limited_by];
        let named: usize = named.into_iter().flatten().map(String::len).sum();
        let aliases: usize = self.aliases.iter().map(|(name, to)| name.len() + to.len()).sum();
        let listed: usize = self.routes.iter().chain(&self.required).map(String::len).sum();
        let own = self.name.len() + self.created_by.len() + named + aliases + listed;
        own + self.terms.text_bytes()
    }
}
