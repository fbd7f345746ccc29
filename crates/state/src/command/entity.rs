//! Spenders other than keys: teams, users, organizations and the like, and their memberships.

use std::collections::BTreeMap;

use dunlin_types::{EntityId, UnixMillis};
use serde::{Deserialize, Serialize};

use super::change::{Change, unset};
use super::terms::{Terms, TermsChanges};

/// What an entity is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Users who share keys, models and budgets.
    #[default]
    Team,
    /// Someone who has keys.
    User,
    /// A customer's customer, named in requests.
    EndUser,
    /// Teams under one roof.
    Organization,
    /// Terms that others share. The pot is each one's own.
    Budget,
    /// A word on requests.
    Tag,
    /// A named set of models.
    AccessGroup,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Team,
        Self::User,
        Self::EndUser,
        Self::Organization,
        Self::Budget,
        Self::Tag,
        Self::AccessGroup,
    ];

    /// As errors name one: `Team=...`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Team => "Team",
            Self::User => "User",
            Self::EndUser => "Customer",
            Self::Organization => "Organization",
            Self::Budget => "Budget",
            Self::Tag => "Tag",
            Self::AccessGroup => "Access_group",
        }
    }

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::User => "user",
            Self::EndUser => "end user",
            Self::Organization => "organization",
            Self::Budget => "budget",
            Self::Tag => "tag",
            Self::AccessGroup => "access group",
        }
    }
}

/// One of them. Its kind and name are for ever; a namesake that comes later has another id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entity {
    /// Its number; set when it is made.
    pub id: EntityId,
    /// What it is.
    pub kind: Kind,
    /// As requests name it: `team_id`, `user_id`, ...
    pub name: String,
    /// As people know it.
    #[serde(skip_serializing_if = "unset")]
    pub alias: Option<String>,
    /// A user's address, unique among users.
    #[serde(skip_serializing_if = "unset")]
    pub email: Option<String>,
    /// What a user may do: `proxy_admin`, `internal_user`, ...
    #[serde(skip_serializing_if = "unset")]
    pub role: Option<String>,
    /// The organization whose team it is.
    #[serde(skip_serializing_if = "unset")]
    pub organization: Option<String>,
    /// Names that its keys may use instead of a model's.
    #[serde(skip_serializing_if = "unset")]
    pub aliases: BTreeMap<String, String>,
    /// What holds for it.
    pub terms: Terms,
    /// What holds for a member that has no terms of its own.
    #[serde(skip_serializing_if = "unset")]
    pub member: Terms,
    /// When a request last named it, if nobody made it.
    #[serde(skip_serializing_if = "unset")]
    pub met: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Who made it.
    pub created_by: String,
}

/// What changes of an entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntityChanges {
    /// See [`Entity::alias`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub alias: Change<String>,
    /// See [`Entity::email`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub email: Change<String>,
    /// See [`Entity::role`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub role: Change<String>,
    /// See [`Entity::organization`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub organization: Change<String>,
    /// See [`Entity::aliases`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub aliases: Change<BTreeMap<String, String>>,
    /// See [`Entity::terms`].
    #[serde(skip_serializing_if = "unset")]
    pub terms: TermsChanges,
    /// See [`Entity::member`].
    #[serde(skip_serializing_if = "unset")]
    pub member: TermsChanges,
}

impl Entity {
    /// This entity with `changes` made to it.
    #[must_use]
    pub fn changed(mut self, changes: EntityChanges) -> Self {
        changes.alias.on(&mut self.alias);
        changes.email.on(&mut self.email);
        changes.role.on(&mut self.role);
        changes.organization.on(&mut self.organization);
        changes.aliases.on_plain(&mut self.aliases);
        self.terms.change(changes.terms);
        self.member.change(changes.member);
        self
    }

    /// How much text it holds, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        let named = [&self.alias, &self.email, &self.role, &self.organization];
        let named: usize = named.into_iter().flatten().map(String::len).sum();
        let aliases: usize = self.aliases.iter().map(|(name, to)| name.len() + to.len()).sum();
        let terms = self.terms.text_bytes() + self.member.text_bytes();
        self.name.len() + self.created_by.len() + named + aliases + terms
    }
}

/// That a user belongs to a team or an organization. A member spends from a pot of its own, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Member {
    /// Its number; set when it joins.
    pub id: EntityId,
    /// The `user_id`.
    pub user: String,
    /// What it may do there: `admin`, `user`, ...
    pub role: String,
    /// What holds for it there.
    pub terms: Terms,
}

/// What changes of a membership.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberChanges {
    /// See [`Member::role`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub role: Change<String>,
    /// See [`Member::terms`].
    pub terms: TermsChanges,
}

impl Member {
    /// This membership with `changes` made to it.
    #[must_use]
    pub fn changed(mut self, changes: MemberChanges) -> Self {
        changes.role.on_plain(&mut self.role);
        self.terms.change(changes.terms);
        self
    }
}
