//! What comes of a command. Remembered in snapshots, so part of the format.

use std::sync::Arc;

use dunlin_types::{EntityId, KeyDigest, NodeId, PotId};
use serde::{Deserialize, Serialize};

use super::{Day, Entity, Key, Kind, Member, Resource, ResourceKind};

/// What a command brought about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Reply {
    /// It is done.
    Done,
    /// It was so already, or was overtaken.
    Unchanged,
    /// The key as it is now.
    Key(Arc<Key>),
    /// The keys that were deleted.
    Deleted(Vec<KeyDigest>),
    /// The entity as it is now.
    Entity(Arc<Entity>),
    /// The entities that were deleted, and the keys that went with them.
    Gone {
        /// As requests named them.
        names: Vec<String>,
        /// Their keys.
        keys: Vec<KeyDigest>,
    },
    /// The memberships as they are now, or as they were.
    Members(Vec<Arc<Member>>),
    /// The model or the credential as it is now.
    Resource(Arc<Resource>),
    /// One for each command of [`super::Command::All`].
    All(Vec<Reply>),
    /// The config revision that holds the proposed content.
    Revision(u64),
    /// The tokens of a batch are counted on this day.
    CountedOn(Day),
    /// It is done, and what is spent from these pots has reached the soft budgets of whose they are.
    SoftBudgetsReached(Vec<PotId>),
}

/// Why a command changed nothing. A reply, not an error: all nodes reject alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
pub enum Rejected {
    /// Another key has the alias.
    #[error("a key with alias `{alias}` already exists")]
    DuplicateAlias {
        /// The alias.
        alias: String,
    },
    /// A key with the same hash exists.
    #[error("this key already exists")]
    KeyExists,
    /// An entity of the kind has the name.
    #[error("{} `{name}` already exists", kind.name())]
    EntityExists {
        /// What it is.
        kind: Kind,
        /// As requests name it.
        name: String,
    },
    /// No entity of the kind has the name.
    #[error("{} `{name}` does not exist", kind.name())]
    UnknownEntity {
        /// What it is.
        kind: Kind,
        /// As requests name it.
        name: String,
    },
    /// Another user has the address.
    #[error("a user with the email `{email}` already exists")]
    DuplicateEmail {
        /// The address.
        email: String,
    },
    /// Another user signs in by the id.
    #[error("a user with the sso_user_id `{id}` already exists")]
    DuplicateSsoId {
        /// The id.
        id: String,
    },
    /// The user belongs to it already.
    #[error("user `{user}` is already a member")]
    MemberExists {
        /// The `user_id`.
        user: String,
    },
    /// The user does not belong to it.
    #[error("user `{user}` is not a member")]
    UnknownMember {
        /// The `user_id`.
        user: String,
    },
    /// Others still refer to it.
    #[error("{} `{name}` is in use by {by}", kind.name())]
    InUse {
        /// What it is.
        kind: Kind,
        /// As requests name it.
        name: String,
        /// Who refers to it, as a noun phrase.
        by: String,
    },
    /// More of a limit would be promised than there is.
    #[error(
        "{what} would be over-committed: {} `{name}` has {has}, {promised} are guaranteed to \
         others, and {asked} more are requested (guaranteed_throughput)",
        kind.name()
    )]
    Overpromised {
        /// The limit.
        what: String,
        /// Who has it.
        kind: Kind,
        /// By name.
        name: String,
        /// How much.
        has: u64,
        /// What others are promised of it.
        promised: u64,
        /// What is asked for.
        asked: u64,
    },
    /// A model or a credential has the id.
    #[error("{} `{id}` already exists", kind.name())]
    ResourceExists {
        /// What it is.
        kind: ResourceKind,
        /// What names it.
        id: String,
    },
    /// No model or credential set over the API has the id.
    #[error("{} `{id}` does not exist", kind.name())]
    UnknownResource {
        /// What it is.
        kind: ResourceKind,
        /// What names it.
        id: String,
    },
    /// Somebody else changed what the change was decided by.
    #[error("{what} was changed by another request in between: read it again and retry")]
    ChangedInBetween {
        /// What it is, as a noun phrase.
        what: String,
    },
    /// Somebody else changed it since it was read.
    #[error("{} `{id}` was changed in between", kind.name())]
    ResourceChanged {
        /// What it is.
        kind: ResourceKind,
        /// What names it.
        id: String,
    },
    /// As many as are kept.
    #[error("there are already {most} {what}s, which is the limit")]
    TooMany {
        /// What they are: `model`, ...
        what: String,
        /// How many there may be.
        most: u64,
    },
    /// A batch has more tokens than are left of somebody's day.
    #[error("{tokens} tokens are more than is left of {limit} a day, of which {used} are used")]
    TooManyTokens {
        /// Whose day.
        of: EntityId,
        /// What the batch has.
        tokens: u64,
        /// The limit.
        limit: u64,
        /// What is used of it.
        used: u64,
        /// Which day it is.
        day: Day,
    },
    /// No key has the hash.
    #[error("the key does not exist")]
    UnknownKey,
    /// The node is no member.
    #[error("node {node} is not a member of this cluster")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The node was a member, and was removed for good.
    #[error("node {node} was removed from this cluster by {by}")]
    NodeRemoved {
        /// The node.
        node: NodeId,
        /// Who removed it.
        by: String,
    },
    /// The node is a member: it may still spend what it was granted.
    #[error(
        "node {node} is a member of this cluster: only a removed node's money can be \
             reclaimed"
    )]
    NodeIsMember {
        /// The node.
        node: NodeId,
    },
    /// The node serves: it gives back itself what others need.
    #[error(
        "node {node} is up: it returns what it does not need by itself, and may spend the rest"
    )]
    NodeIsUp {
        /// The node.
        node: NodeId,
    },
    /// The cluster has its name already.
    #[error("the cluster is formed already")]
    AlreadyFormed,
    /// The proposer had not seen the newest revision.
    #[error("config revision {newest} was accepted in between")]
    StaleRevision {
        /// The newest revision.
        newest: u64,
    },
    /// There is no such revision, or its content is not kept any more.
    #[error(
        "there is no config revision {revision}, or its content is no longer kept; `dunlin config \
         history` lists the revisions"
    )]
    UnknownRevision {
        /// The revision that was asked for.
        revision: u64,
    },
    /// The content is that of an older revision.
    #[error("this is the config of revision {revision}, and {newest} is in force")]
    OldRevision {
        /// The revision that had this content.
        revision: u64,
        /// The newest revision.
        newest: u64,
    },
    /// More text than the state may hold of one thing.
    #[error("the {what} has {bytes} bytes of text; at most {most} are kept")]
    TooLarge {
        /// What it is: `key`, `config`, ...
        what: String,
        /// How much it has.
        bytes: u64,
        /// How much it may have.
        most: u64,
    },
    /// Its id is older than any that is remembered: whether it was done before cannot be told.
    #[error("the command came too late to tell whether it was done before")]
    Forgotten,
}
