//! Config revisions: a file is a proposal, and every accepted one is kept.

use std::sync::Arc;

use dunlin_types::NodeId;

use crate::command::{Rejected, Reply};
use crate::snapshot::ConfigRevision;
use crate::state::State;

/// The largest sealed config, in bytes.
const MAX_SEALED_BYTES: usize = 4 << 20;
/// So many revisions are known: a node that is restarted with the file of one of them proposes
/// nothing.
const MAX_REVISIONS: usize = 1_000;
/// The content of so many of the newest is kept, to be shown, compared and brought back.
const MAX_CONTENTS: usize = 100;
/// The newest contents together, in bytes: they are in every snapshot.
const MAX_CONTENT_BYTES: usize = 32 << 20;

/// A proposed config.
pub(super) struct Proposal<'a> {
    pub(super) hash: &'a str,
    pub(super) sealed: &'a [u8],
    pub(super) source: &'a str,
    pub(super) after: u64,
    pub(super) by: NodeId,
}

pub(super) fn propose(state: &mut State, proposal: Proposal<'_>) -> Result<Reply, Rejected> {
    let newest = state.config.last().map_or(0, |config| config.revision);
    if let Some(known) = state.config.iter().rev().find(|known| known.hash == proposal.hash) {
        return if known.revision == newest {
            Ok(Reply::Revision(newest))
        } else {
            Err(Rejected::OldRevision { revision: known.revision, newest })
        };
    }
    if proposal.after != newest {
        return Err(Rejected::StaleRevision { newest });
    }
    if proposal.sealed.len() > MAX_SEALED_BYTES {
        return Err(Rejected::TooLarge {
            what: "config".to_owned(),
            bytes: proposal.sealed.len() as u64,
            most: MAX_SEALED_BYTES as u64,
        });
    }
    add(
        state,
        ConfigRevision {
            revision: newest + 1,
            hash: proposal.hash.to_owned(),
            sealed: proposal.sealed.into(),
            copy_of: None,
            source: proposal.source.to_owned(),
            at: state.at,
            by: proposal.by,
        },
    )
}

/// Brings an older revision's content back as a new revision.
pub(super) fn roll_back(
    state: &mut State,
    to: u64,
    after: u64,
    by: NodeId,
) -> Result<Reply, Rejected> {
    let newest = state.config.last().map_or(0, |config| config.revision);
    if after != newest {
        return Err(Rejected::StaleRevision { newest });
    }
    let kept = state.config.iter().find(|known| known.revision == to && !known.sealed.is_empty());
    let old = kept.ok_or(Rejected::UnknownRevision { revision: to })?.clone();
    if state.config.last().is_some_and(|config| config.hash == old.hash) {
        return Ok(Reply::Revision(newest));
    }
    let (copy_of, at) = (Some(old.copy_of.unwrap_or(to)), state.at);
    add(state, ConfigRevision { revision: newest + 1, copy_of, at, by, ..old })
}

/// Adds a revision and forgets what is too old to be kept: first its content, then the row.
fn add(state: &mut State, config: ConfigRevision) -> Result<Reply, Rejected> {
    let revision = config.revision;
    let history = Arc::make_mut(&mut state.config);
    history.push(config);
    let surplus = history.len().saturating_sub(MAX_REVISIONS);
    history.drain(..surplus);
    let (mut contents, mut bytes) = (0, 0);
    for known in history.iter_mut().rev().filter(|known| !known.sealed.is_empty()) {
        contents += 1;
        bytes += known.sealed.len();
        if contents > MAX_CONTENTS || (bytes > MAX_CONTENT_BYTES && contents > 1) {
            known.sealed = Arc::new([]);
        }
    }
    Ok(Reply::Revision(revision))
}
