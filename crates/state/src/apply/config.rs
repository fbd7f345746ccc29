//! Config revisions: a file is a proposal, and every accepted one is kept.

use std::sync::Arc;

use dunlin_types::NodeId;

use crate::command::{Rejected, Reply};
use crate::snapshot::ConfigRevision;
use crate::state::State;

/// The largest sealed config, in bytes: every revision is kept on every node.
const MAX_SEALED_BYTES: usize = 4 << 20;

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
