//! After more than half of the voters are lost for good: what one survivor holds becomes a cluster of
//! its own, under another id, by hand and while the node does not run.
//!
//! What it holds is the snapshot and all of its log, also what it does not know to be decided: an
//! entry that a lost majority had acknowledged may be among it. It is written as a snapshot of the new
//! cluster, beside the old files; the certificate then says that it holds, in one step, and the files
//! change places. A start that finds them half way goes on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dunlin_state::{Actor, RECOVERED_BY, State};
use dunlin_types::{Clock, ClusterId, NodeId};
use openraft::BasicNode;

use crate::certificate::{Certificate, Floor, Standing};
use crate::durable;
use crate::error::Error;
use crate::identity::{Identity, LOG};
use crate::log_store::{Offline, Owner};
use crate::machine::Core;
use crate::node::SNAPSHOTS;
use crate::raft::{LogId, Membership, Vote};
use crate::removal::utc;
use crate::snapshot::Snapshots;

/// What the survivor holds is written under these names first.
const NEW: &str = "new";
/// The files of the cluster that was lost are kept here, with its id behind.
const BEFORE: &str = "before-recovery-of";

/// A data directory that may become a cluster of its own. Held until this value is dropped.
pub struct Recovery {
    identity: Identity,
    clock: Clock,
    core: Core,
    vote: Option<Vote>,
    undecided: u64,
}

/// How far a log reaches: of two, the later one holds more that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The Raft term of the last entry.
    pub term: u64,
    /// Its index.
    pub index: u64,
}

/// A member of the cluster, as the survivor knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub node: NodeId,
    /// Where others reach it.
    pub address: String,
    /// Whether it votes.
    pub votes: bool,
    /// Whether it is the survivor.
    pub survives: bool,
}

impl Recovery {
    /// Reads all that a data directory holds, and changes none of it.
    ///
    /// # Errors
    /// It is in use, damaged, or not a member's.
    pub fn open(data_dir: &Path, clock: Clock) -> Result<Self, Error> {
        if !data_dir.join(LOG).exists() && !data_dir.join(format!("{LOG}.{NEW}")).exists() {
            return Err(Error::NoMember { path: data_dir.to_owned() });
        }
        let identity = Identity::open(data_dir)?;
        let certificate = identity.certificate().clone();
        let cluster = certificate.standing.cluster.filter(|_| certificate.stored);
        let Some(cluster) = cluster else {
            return Err(Error::NoMember { path: data_dir.to_owned() });
        };
        let owner = Owner { node: identity.node, cluster };
        let offline = Offline::open(&data_dir.join(LOG), owner)?;
        let snapshots = Snapshots::open(data_dir.join(SNAPSHOTS), cluster, clock.clone())?;
        let mut core = match snapshots.read()? {
            Some(file) => snapshots.parse(&file).map_err(|why| snapshots.unread(why))?,
            None => Core { state: State::new(), last: None, membership: Membership::default() },
        };
        let next = core.last.map_or(0, |last| last.index + 1);
        offline.check(certificate.floor, next)?;
        for entry in offline.entries_from(next) {
            let entry = entry?;
            core.apply(entry.log_id, entry.payload);
        }
        let (vote, committed) = (offline.vote(), offline.committed());
        let last = core.last.map_or(0, |last| last.index);
        let undecided = last.saturating_sub(committed.map_or(0, |committed| committed.index));
        let recovery = Self { identity, clock, core, vote, undecided };
        if recovery.core.last.is_none() || recovery.state().cluster().is_none() {
            return Err(Error::NoMember { path: data_dir.to_owned() });
        }
        Ok(recovery)
    }

    /// The survivor.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The cluster that it is of.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.state().cluster().expect("checked when it was opened")
    }

    /// All that it holds.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.core.state
    }

    /// How far its log reaches.
    #[must_use]
    pub fn position(&self) -> Position {
        let last = self.core.last.expect("checked when it was opened");
        Position { term: last.committed_leader_id().term, index: last.index }
    }

    /// When its last command was written, as people read it.
    #[must_use]
    pub fn written(&self) -> String {
        utc(self.state().at())
    }

    /// When it last knew all that was decided, to 10 s, as people read it; none if it never did.
    #[must_use]
    pub fn heard(&self) -> Option<String> {
        self.identity.certificate().heard.map(utc)
    }

    /// So many of its last entries it does not know to be decided.
    #[must_use]
    pub fn undecided(&self) -> u64 {
        self.undecided
    }

    /// All members, by id.
    #[must_use]
    pub fn members(&self) -> Vec<Known> {
        let membership = self.core.membership.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let known = membership.nodes().map(|(id, node)| Known {
            node: NodeId(*id),
            address: node.addr.clone(),
            votes: voters.contains(id),
            survives: *id == self.identity.node.0,
        });
        known.collect()
    }

    /// Makes the survivor a cluster of its own, with all that it holds, and gives that one's id. Those
    /// of the old cluster are refused from then on. After a crash in the midst of it, the directory is
    /// the one or the other.
    ///
    /// # Errors
    /// The disk failed, or the survivor needs no recovery because nobody else votes.
    pub fn carry_out(mut self) -> Result<ClusterId, Error> {
        self.check_needed()?;
        let old = self.cluster();
        let cluster = ClusterId(uuid::Uuid::new_v4().as_u128());
        let (me, epoch) = (self.identity.node, self.identity.epoch);
        let Position { term, index } = self.position();
        let term = self.vote.map_or(term, |vote| vote.leader_id.term.max(term)) + 1;
        let vote = Vote::new(term, me.0);
        let last: LogId = log_id(&vote, index + 1);
        let at = self.clock.unix();
        let actor = Actor { route: RECOVERED_BY.to_owned(), ..Actor::default() };
        self.core.state.recover(last.index, at, (me, epoch), cluster, actor);
        self.core.last = Some(last);
        let voters = BTreeSet::from([me.0]);
        let address = self.state().nodes().get(&me).map(|known| known.address.clone());
        let own = BasicNode { addr: address.unwrap_or_default() };
        let membership = openraft::Membership::new(vec![voters], BTreeMap::from([(me.0, own)]))
            .map_err(|error| Error::Raft { reason: error.to_string() })?;
        self.core.membership = Membership::new(Some(last), membership);

        let dir = self.identity.data_dir().to_owned();
        let beside = |name: &str| dir.join(format!("{name}.{NEW}"));
        for name in [LOG, SNAPSHOTS] {
            remove(&beside(name))?;
        }
        let snapshots = Snapshots::open(beside(SNAPSHOTS), cluster, self.clock.clone())?;
        snapshots.write(&self.core).map_err(Error::file("write", beside(SNAPSHOTS)))?;
        Offline::begin(&beside(LOG), Owner { node: me, cluster }, vote, last)?;
        durable::sync(&dir).map_err(Error::file("sync", &dir))?;
        self.identity.amend(|certificate| {
            certificate.standing = Standing { cluster: Some(cluster), ..Standing::default() };
            certificate.floor = Floor { term, committed: last.index + 1 };
            certificate.recovering = Some(old);
            certificate.member = true;
        })?;
        let mut certificate = self.identity.certificate().clone();
        finish(&dir, &mut certificate)?;
        self.identity.amend(|known| *known = certificate)?;
        Ok(cluster)
    }

    fn check_needed(&self) -> Result<(), Error> {
        let others = self.members().iter().any(|known| known.votes && !known.survives);
        if others { Ok(()) } else { Err(Error::NothingLost { node: self.identity.node }) }
    }
}

/// Lets the files that a recovery wrote take the places of the old ones, if that is still to be done.
pub(crate) fn finish(dir: &Path, certificate: &mut Certificate) -> Result<(), Error> {
    let Some(old) = certificate.recovering else { return Ok(()) };
    let before = dir.join(format!("{BEFORE}-{old}"));
    durable::make_dir(&before).map_err(Error::file("make", &before))?;
    for name in [LOG, SNAPSHOTS] {
        let (new, place) = (dir.join(format!("{name}.{NEW}")), dir.join(name));
        if !new.exists() {
            continue;
        }
        if place.exists() {
            move_to(&place, &before.join(name))?;
        }
        move_to(&new, &place)?;
    }
    for dir in [&before, dir] {
        durable::sync(dir).map_err(Error::file("sync", dir))?;
    }
    certificate.recovering = None;
    certificate.write(dir)
}

fn move_to(from: &Path, to: &PathBuf) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::file("move", from))
}

fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", dir)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn log_id(vote: &Vote, index: u64) -> LogId {
    use openraft::vote::RaftLeaderId;
    LogId::new(vote.leader_id.to_committed(), index)
}
