//! Config revisions: a file is a proposal, and every accepted one is kept.

use std::sync::Arc;

use dunlin_types::NodeId;

use super::{Rejected, Reply};
use crate::state::{ConfigRevision, State};

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
    let revision = newest + 1;
    Arc::make_mut(&mut state.config).push(ConfigRevision {
        revision,
        hash: proposal.hash.to_owned(),
        sealed: proposal.sealed.into(),
        source: proposal.source.to_owned(),
        at: state.at,
        by: proposal.by,
    });
    Ok(Reply::Revision(revision))
}
