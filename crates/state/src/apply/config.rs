//! Config revisions: a file is a proposal, settings are changed over the API, and every accepted
//! revision is kept.

use std::sync::Arc;

use dunlin_types::NodeId;

use crate::audit::Actor;
use crate::command::{Rejected, Reply};
use crate::snapshot::ConfigRevision;
use crate::state::State;

/// The largest sealed config, in bytes.
const MAX_SEALED_BYTES: usize = 4 << 20;
/// So many revisions are known: a node that is restarted with the file of one of them proposes
/// nothing. Those that are no file are forgotten first.
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
    check_size(&proposal)?;
    add(state, revision(state, &proposal, newest))
}

/// Changes settings of the newest revision. What it says then may have been said before.
pub(super) fn edit(state: &mut State, proposal: Proposal<'_>) -> Result<Reply, Rejected> {
    let newest = state.config.last().filter(|config| config.revision == proposal.after);
    let newest = newest.ok_or_else(|| Rejected::StaleRevision {
        newest: state.config.last().map_or(0, |config| config.revision),
    })?;
    if newest.hash == proposal.hash {
        return Ok(Reply::Revision(newest.revision));
    }
    check_size(&proposal)?;
    let same = state.config.iter().find(|known| known.hash == proposal.hash);
    let copy_of = same.map(|known| known.copy_of.unwrap_or(known.revision));
    let made = revision(state, &proposal, newest.revision);
    add(state, ConfigRevision { copy_of, edited: true, ..made })
}

fn check_size(proposal: &Proposal<'_>) -> Result<(), Rejected> {
    if proposal.sealed.len() <= MAX_SEALED_BYTES {
        return Ok(());
    }
    Err(Rejected::TooLarge {
        what: "config".to_owned(),
        bytes: proposal.sealed.len() as u64,
        most: MAX_SEALED_BYTES as u64,
    })
}

fn revision(state: &State, proposal: &Proposal<'_>, newest: u64) -> ConfigRevision {
    ConfigRevision {
        revision: newest + 1,
        hash: proposal.hash.to_owned(),
        sealed: proposal.sealed.into(),
        copy_of: None,
        source: proposal.source.to_owned(),
        edited: false,
        at: state.at,
        by: proposal.by,
        author: None,
    }
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
    let source = format!("rollback to revision {to}");
    add(
        state,
        ConfigRevision { revision: newest + 1, copy_of, source, at, by, author: None, ..old },
    )
}

/// The author of the newest revision, if there was none of that number `before`.
pub(super) fn sign(before: &State, state: &mut State, actor: Option<&Actor>) {
    let newest = |state: &State| state.config.last().map_or(0, |config| config.revision);
    let author = actor.and_then(|actor| actor.on_behalf_of.as_ref().or(actor.user.as_ref()));
    if let Some(author) = author
        && newest(state) > newest(before)
        && let Some(made) = Arc::make_mut(&mut state.config).last_mut()
    {
        made.author = Some(author.clone());
    }
}

/// Adds a revision and forgets what is too old to be kept: first its content, then the row.
fn add(state: &mut State, config: ConfigRevision) -> Result<Reply, Rejected> {
    let revision = config.revision;
    let history = Arc::make_mut(&mut state.config);
    history.push(config);
    if history.len() > MAX_REVISIONS {
        // The files of nodes must be known as old for as long as can be.
        let last = history.len() - 1;
        let surplus = history[..last].iter().position(|known| known.edited).unwrap_or(0);
        history.remove(surplus);
    }
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
