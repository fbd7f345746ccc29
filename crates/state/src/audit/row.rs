//! One row of the audit log, and who did what it tells. Its text is what is hashed: what a version
//! adds must leave the text of older rows as it is.

use std::net::IpAddr;

use dunlin_types::{KeyDigest, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::command::{Kind, ResourceKind};

/// Who asks for a change, and from where. What a cluster does by itself has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Actor {
    /// The user whose key asks; `default_user_id` for the master key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The key that asks; none: the master key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyDigest>,
    /// The name in which an admin says that it acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The client's program, as it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The path that it calls.
    pub route: String,
}

/// What became of a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was made.
    Created,
    /// It was changed.
    #[default]
    Updated,
    /// It is gone.
    Deleted,
    /// It is refused from here on.
    Blocked,
    /// It is let in again.
    Unblocked,
    /// A key got another clear text.
    Rotated,
}

impl Action {
    /// As LiteLLM names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::Rotated => "rotated",
        }
    }
}

/// What kind of thing it is, under LiteLLM's name where LiteLLM has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Table {
    /// Virtual keys; the object is the hash.
    #[default]
    Key,
    /// Teams, users and the like; the object is the name.
    Entity(Kind),
    /// Who belongs to a team or an organization; the object is `group:user`.
    Member(Kind),
    /// Models and credentials that are set over the API; the object is the id.
    Resource(ResourceKind),
    /// The config file.
    Config,
    /// The cluster's nodes.
    Node,
    /// The cluster itself.
    Cluster,
    /// What a command changed beyond the rows that one command may leave.
    More,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Key,
        Self::Entity(Kind::Team),
        Self::Entity(Kind::User),
        Self::Entity(Kind::EndUser),
        Self::Entity(Kind::Organization),
        Self::Entity(Kind::Budget),
        Self::Entity(Kind::Tag),
        Self::Entity(Kind::AccessGroup),
        Self::Member(Kind::Team),
        Self::Member(Kind::Organization),
        Self::Resource(ResourceKind::Model),
        Self::Resource(ResourceKind::Credential),
        Self::Resource(ResourceKind::AccessGroup),
        Self::Config,
        Self::Node,
        Self::Cluster,
        Self::More,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "LiteLLM_VerificationToken",
            Self::Entity(Kind::Team) => "LiteLLM_TeamTable",
            Self::Entity(Kind::User) => "LiteLLM_UserTable",
            Self::Entity(Kind::EndUser) => "LiteLLM_EndUserTable",
            Self::Entity(Kind::Organization) => "LiteLLM_OrganizationTable",
            Self::Entity(Kind::Budget) => "LiteLLM_BudgetTable",
            Self::Entity(Kind::Tag) => "LiteLLM_TagTable",
            Self::Entity(Kind::AccessGroup) => "LiteLLM_AccessGroupTable",
            Self::Member(Kind::Organization) => "LiteLLM_OrganizationMembership",
            Self::Member(
                Kind::Team
                | Kind::User
                | Kind::EndUser
                | Kind::Budget
                | Kind::Tag
                | Kind::AccessGroup,
            ) => "LiteLLM_TeamMembership",
            Self::Resource(ResourceKind::Model) => "LiteLLM_ProxyModelTable",
            Self::Resource(ResourceKind::Credential) => "LiteLLM_CredentialsTable",
            Self::Resource(ResourceKind::AccessGroup) => "Dunlin_ModelAccessGroup",
            Self::Config => "LiteLLM_Config",
            Self::Node => "Dunlin_Node",
            Self::Cluster => "Dunlin_Cluster",
            Self::More => "Dunlin_More",
        }
    }
}

impl From<Table> for &'static str {
    fn from(table: Table) -> Self {
        table.name()
    }
}

impl TryFrom<String> for Table {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|table| table.name() == name).ok_or(format!("no table is called `{name}`"))
    }
}

/// One change of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRow {
    /// From 1, without gaps.
    pub number: u64,
    /// The log's entry that made it.
    pub index: u64,
    /// When it was made.
    pub at: UnixMillis,
    /// The node that was asked.
    pub node: NodeId,
    /// Who asked; none if the node itself did.
    pub actor: Option<Actor>,
    /// What was done.
    pub action: Action,
    /// To what kind of thing.
    pub table: Table,
    /// To which one.
    pub object: String,
    /// The changed fields as they were: a JSON object as text. Money is in US dollars, times are in
    /// milliseconds since 1970, secrets are masked.
    pub before: String,
    /// The changed fields as they are now, in the same form.
    pub after: String,
}

impl AuditRow {
    /// What is hashed.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a row is plain data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_found_by_its_name_and_no_two_have_the_same() {
        for table in Table::ALL {
            assert_eq!(Table::try_from(table.name().to_owned()), Ok(table));
        }
        assert!(Table::try_from("LiteLLM_Nothing".to_owned()).is_err());
    }

    #[test]
    fn the_text_of_a_row_is_for_ever() {
        let row = AuditRow {
            number: 7,
            node: NodeId(1),
            actor: Some(Actor {
                key: Some(KeyDigest::of("sk-a")),
                address: Some(IpAddr::from([10, 0, 0, 9])),
                route: "/key/update".to_owned(),
                ..Actor::default()
            }),
            before: r#"{"rpm_limit":1}"#.to_owned(),
            after: r#"{"rpm_limit":2}"#.to_owned(),
            ..AuditRow::default()
        };
        let text = concat!(
            r#"{"number":7,"index":0,"at":0,"node":"0000000000000001","actor":{"key":"#,
            r#""a4a6d307ad00fa67176e1099fdbc4f4a09bb527a7f24718a5030f2f173d11f7f","#,
            r#""address":"10.0.0.9","route":"/key/update"},"action":"updated","#,
            r#""table":"LiteLLM_VerificationToken","object":"","before":"{\"rpm_limit\":1}","#,
            r#""after":"{\"rpm_limit\":2}"}"#
        );
        assert_eq!(row.text(), text);
    }
}
