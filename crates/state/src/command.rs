//! The log format, one half (the other is `snapshot.rs`): flat values with their field names kept,
//! as JSON. A variant, once released, is frozen: a new meaning is a new variant.
//!
//! What this version does not know, a variant or a field, a newer one wrote. A node that met it and
//! went on would drift from the others: it must stop.

mod batch;
mod change;
mod day;
mod entity;
mod key;
mod money;
mod outcome;
mod resource;
mod seen;
mod terms;

use dunlin_types::{
    ClusterId, EntityId, Epoch, KeyDigest, NanoUsd, NodeId, PotId, RequestId, UnixMillis,
};
use serde::{Deserialize, Serialize};

use crate::audit::Actor;
use crate::format::Format;
pub use batch::UsedBatch;
pub use change::Change;
pub(crate) use day::beginning;
pub use day::{Day, DaySums, Facets, MAX_DAY_NAME_BYTES, Totals};
pub use entity::{Entity, EntityChanges, Kind, Member, MemberChanges};
pub use key::{Key, KeyChanges};
pub use money::{Charge, Grant, Return};
pub use outcome::{Rejected, Reply};
pub use resource::{
    ResealedField, ResealedResource, ResealedRevision, Resource, ResourceChange, ResourceKind,
    SealedFor, SettingChange,
};
pub use seen::Seen;
pub use terms::{ModelBudget, Renewal, Temporary, Terms, TermsChanges};

/// Who proposed a command, and which of its proposals it was: a repeated proposal is known by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandId {
    /// The proposing node.
    pub node: NodeId,
    /// Its life.
    pub epoch: Epoch,
    /// From 1 within that life.
    pub seq: u64,
}

/// A command under its id, as it is forwarded to the leader and logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Whose it is.
    pub id: CommandId,
    /// Who asks for it; none: the node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Box<Actor>>,
    /// What is to be done.
    pub command: Command,
}

/// Every change that replicated state can undergo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Command {
    /// The first entry of a cluster's log.
    FormCluster {
        /// Its name for ever.
        cluster: ClusterId,
    },
    /// What came with a format may be in the log, and is applied, from here on. Every member knows it.
    RaiseFormat {
        /// The format.
        to: Format,
    },
    /// The format stays as it is until somebody says otherwise: the members can go back to a version
    /// that knows no newer one.
    HoldFormat {
        /// False: it is raised again when every member knows a newer one.
        held: bool,
    },
    /// A node is a member from here on.
    AddNode {
        /// The node.
        node: NodeId,
        /// Where others reach it, `host:port`.
        address: String,
    },
    /// A member is reached elsewhere.
    SetAddress {
        /// The node.
        node: NodeId,
        /// Where others reach it, `host:port`.
        address: String,
    },
    /// A node is no member any more, for good. What it was granted and has not settled stays with it
    /// until it is reclaimed or its budget's period ends.
    RemoveNode {
        /// The node.
        node: NodeId,
        /// Who removes it, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        by: String,
    },
    /// Whatever a removed node was granted and has not settled is free: nobody will settle it.
    Reclaim {
        /// The node.
        node: NodeId,
    },
    /// What a node that is down or removed was granted of one budget and has not settled is free,
    /// at the risk that it is spent there too.
    ReclaimOf {
        /// The node.
        node: NodeId,
        /// Whose budgets.
        whose: Spender,
    },
    /// A member has been silent: it owns nothing until it is marked up.
    MarkDown {
        /// The node.
        node: NodeId,
    },
    /// A member drains: the others own the limits that it owned, as long as there are any that do not.
    Rest {
        /// The node.
        node: NodeId,
        /// False: it owns some again.
        resting: bool,
    },
    /// Someone has a member drain, or serve again. It changes nothing but the audit log: that it drains
    /// is the node's own doing.
    Drain {
        /// The node.
        node: NodeId,
        /// False: it serves its clients again.
        draining: bool,
    },
    /// A silent member is back.
    MarkUp {
        /// The node.
        node: NodeId,
    },
    /// A new key.
    CreateKey {
        /// The key; its times are set when it is applied.
        key: Box<Key>,
    },
    /// Some fields of a key.
    UpdateKey {
        /// Which key.
        token: KeyDigest,
        /// What changes; absent fields stay.
        changes: Box<KeyChanges>,
    },
    /// Keys are no longer accepted.
    DeleteKeys {
        /// Which keys. Unknown ones are skipped.
        tokens: Vec<KeyDigest>,
    },
    /// A key is refused, or accepted again.
    SetBlocked {
        /// Which key.
        token: KeyDigest,
        /// True: refused.
        blocked: bool,
    },
    /// A key gets another clear text. Its number, and so its spend, stays.
    RegenerateKey {
        /// Which key.
        token: KeyDigest,
        /// Its new hash.
        new: KeyDigest,
        /// How it is shown from now on.
        name: String,
        /// The old text works until then.
        grace: Option<UnixMillis>,
        /// What changes beside.
        changes: Box<KeyChanges>,
    },
    /// A new team, user, organization, ...
    CreateEntity {
        /// The entity; its number and times are set when it is applied.
        entity: Box<Entity>,
        /// Who belongs to it from the beginning.
        members: Vec<Member>,
    },
    /// Some fields of an entity.
    UpdateEntity {
        /// What it is.
        kind: Kind,
        /// Which one.
        name: String,
        /// What changes; absent fields stay.
        changes: Box<EntityChanges>,
    },
    /// Entities are gone, and what hangs on them: a team's or a user's keys and memberships.
    DeleteEntities {
        /// What they are.
        kind: Kind,
        /// Which ones. Unknown ones are skipped.
        names: Vec<String>,
    },
    /// Users join a team or an organization.
    AddMembers {
        /// What they join.
        kind: Kind,
        /// Which one.
        name: String,
        /// Who; their numbers are set when it is applied.
        members: Vec<Member>,
    },
    /// Some fields of a membership.
    UpdateMember {
        /// Of what.
        kind: Kind,
        /// Of which one.
        name: String,
        /// Whose.
        user: String,
        /// What changes; absent fields stay.
        changes: Box<MemberChanges>,
    },
    /// A key from elsewhere, of an age of its own.
    PutKey {
        /// The key. One without an age is made when it is applied.
        key: Box<Key>,
        /// The number of the key with its hash, whose place it takes; none if it is new.
        over: Option<EntityId>,
    },
    /// An entity from elsewhere, of an age of its own. Members are put apart.
    PutEntity {
        /// The entity. One without an age is made when it is applied.
        entity: Box<Entity>,
        /// The number of its namesake, whose place it takes; none if it is new.
        over: Option<EntityId>,
    },
    /// A membership from elsewhere.
    PutMember {
        /// Of what.
        kind: Kind,
        /// Of which one.
        name: String,
        /// Who, and on which terms.
        member: Box<Member>,
        /// The number of the user's membership, whose place it takes; none if it is new.
        over: Option<EntityId>,
    },
    /// Users leave a team or an organization, and their keys of it go with them.
    RemoveMembers {
        /// What they leave.
        kind: Kind,
        /// Which one.
        name: String,
        /// Who. Others are skipped.
        users: Vec<String>,
    },
    /// Requests named these end users, for whom default terms hold.
    MeetEndUsers {
        /// As the requests named them.
        names: Vec<String>,
    },
    /// All of them, or none if one is rejected.
    All {
        /// In this order.
        commands: Vec<Command>,
    },
    /// What was decided by what these were, as long as they still are. Else nothing.
    IfUnchanged {
        /// As they were.
        seen: Vec<Seen>,
        /// What was decided.
        command: Box<Command>,
    },
    /// What a node's journal holds between two of its records, summed.
    Settle {
        /// The node.
        node: NodeId,
        /// The life of the node that wrote the records.
        epoch: Epoch,
        /// The last record settled before; 0 for none of this life.
        from: u64,
        /// The last record in here.
        to: u64,
        /// Sums by pot and period.
        charges: Vec<Charge>,
        /// Sums by day and by who used what.
        #[serde(default, skip_serializing_if = "DaySums::is_empty")]
        days: DaySums,
        /// What of this was claimed ([`Command::Claim`]): nobody need hold for it any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        claimed: Vec<RequestId>,
    },
    /// A node asks for money to spend, and gives back what it does not need.
    Lease {
        /// The node.
        node: NodeId,
        /// Its life.
        epoch: Epoch,
        /// From 1 within that life: each takes effect once, however often it is proposed.
        number: u64,
        /// What it gives back. First, so that it can be granted at once.
        returns: Vec<Return>,
        /// What it asks for.
        grants: Vec<Grant>,
    },
    /// Lives of a node are over and all they recorded is settled: what they had not spent is free.
    CloseLives {
        /// The node.
        node: NodeId,
        /// The last of those lives.
        through: Epoch,
    },
    /// What was spent from a pot in a period is this from now on.
    SetSpend {
        /// Which pot.
        pot: PotId,
        /// The start of the period. One later than the pot's begins with this entry; one that has
        /// run out is ignored. 0 where there are no periods: the pot's own.
        period: UnixMillis,
        /// How much.
        to: NanoUsd,
    },
    /// Something that a provider made while nobody waited for it is about to be charged by who
    /// found it finished. Done once for each request, and for the same claimant who asks again, for
    /// the first answer may have been lost; to whoever else comes later it is unchanged.
    Claim {
        /// Names the thing.
        request: RequestId,
        /// When it was made. Long after that it is not charged any more.
        made: UnixMillis,
        /// A number that no other claimant has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<u64>,
    },
    /// A batch is about to be made: its tokens count on the present day for all of these who may make
    /// so many a day, or for nobody.
    CountBatch {
        /// Who.
        whose: Vec<EntityId>,
        /// How many.
        tokens: u64,
    },
    /// What a batch used is known, or that it was not made: on the day on which it was counted,
    /// that counts in place of what it might have used. To whoever claims the same batch later it
    /// is unchanged.
    TrueUpBatch {
        /// The batch.
        batch: Box<UsedBatch>,
    },
    /// The same as [`Command::SetSpend`] for the main pot of a key or an entity. It is named, so
    /// that it may be made just before.
    SetSpendOf {
        /// Whose spend.
        whose: Spender,
        /// As in [`Command::SetSpend`].
        period: UnixMillis,
        /// How much.
        to: NanoUsd,
    },
    /// All keys and teams have spent nothing in their present periods. Daily totals stay.
    ResetSpend {},
    /// A new model or credential, set over the API.
    CreateResource {
        /// Its version and times are set when it is applied.
        resource: Box<Resource>,
    },
    /// A model or a credential becomes another.
    UpdateResource {
        /// What it becomes.
        change: Box<ResourceChange>,
    },
    /// Models or credentials are gone.
    DeleteResources {
        /// What they are.
        kind: ResourceKind,
        /// Which ones. Unknown ones are skipped, unless all of them are.
        ids: Vec<String>,
    },
    /// A config file, sealed under the cluster secret.
    ProposeConfig {
        /// Names the content.
        hash: String,
        /// The content. Hex in the log, half the size of a list of numbers.
        #[serde(with = "hex::serde")]
        sealed: Vec<u8>,
        /// The file's name, for people.
        source: String,
        /// The newest revision the proposer had seen; 0 for none.
        after: u64,
    },
    /// The config in force with some settings changed, sealed under the cluster secret. Unlike a
    /// file it may say what an older revision said.
    EditConfig {
        /// Names the content.
        hash: String,
        /// The content.
        #[serde(with = "hex::serde")]
        sealed: Vec<u8>,
        /// What was changed and by which route, for people.
        source: String,
        /// The revision that was changed.
        after: u64,
        /// What became of each setting, for the audit log.
        #[serde(default)]
        changes: Vec<SettingChange>,
    },
    /// What was sealed under another cluster secret is sealed under this one: its content is the same.
    /// What was changed or forgotten in between is left alone.
    Reseal {
        /// The name of the secret under which all is sealed from now on.
        secret: String,
        /// Config revisions.
        revisions: Vec<ResealedRevision>,
        /// Models and credentials.
        resources: Vec<ResealedResource>,
        /// Fields of keys and teams in which something is sealed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fields: Vec<ResealedField>,
    },
    /// An older config revision's content is in force again, as a new revision.
    RollBackConfig {
        /// Which one.
        to: u64,
        /// The newest revision the proposer had seen.
        after: u64,
    },
}

/// Who spends, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Spender {
    /// By its hash.
    Key(KeyDigest),
    /// By what it is and its name.
    Entity(Kind, String),
    /// By what it belongs to, its name, and the user.
    Member(Kind, String, String),
}

/// Why bytes of the log are no entry.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A newer version wrote it. A node that cannot read the log must not guess.
    #[error("the log holds what this version does not know: {0}")]
    Unknown(#[source] serde_json::Error),
    /// It is no entry of any version.
    #[error("a log entry is damaged: {0}")]
    Damaged(#[source] serde_json::Error),
}

impl Entry {
    /// The bytes of the log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry is plain data")
    }

    /// Reads the bytes of the log.
    ///
    /// # Errors
    /// Sound JSON of another meaning is unknown; all else is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(bytes).map_err(|error| {
            if error.is_data() { DecodeError::Unknown(error) } else { DecodeError::Damaged(error) }
        })
    }
}
