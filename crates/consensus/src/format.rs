//! Which format the log has, and what its members know. A format is raised when every member is known
//! to know it, which is hearsay: one that comes to read what it does not know stays behind, or does not
//! start, until it runs a newer version.

use std::collections::BTreeSet;
use std::fmt;

use dunlin_gossip::View;
use dunlin_state::Format;
use dunlin_types::NodeId;

use crate::node::Node;

/// The format of the log, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatStatus {
    /// The one in force.
    pub format: Format,
    /// The newest that this node knows.
    pub newest: Format,
    /// Whether it is raised only when somebody says so.
    pub held: bool,
    /// Members that do not know the one that is wanted, and what each knows; none: it is not heard.
    pub waits_for: Vec<(NodeId, Option<Format>)>,
}

/// What is newer than the log can hold. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsFormat {
    /// What it needs.
    pub needs: Format,
    /// What there is.
    pub status: FormatStatus,
}

impl std::error::Error for NeedsFormat {}

impl fmt::Display for NeedsFormat {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needs, status: FormatStatus { format, waits_for, held, newest: _ } } = self;
        write!(
            to,
            "this change needs format {needs} of the replicated log, which has format {format}: "
        )?;
        for (node, known) in waits_for {
            match known {
                Some(known) => write!(to, "node {node} knows format {known} at most; ")?,
                None => write!(to, "node {node} is not heard; ")?,
            }
        }
        to.write_str(match (waits_for.is_empty(), held) {
            (_, true) => "it is held back until `dunlin cluster format --raise`",
            (false, false) => "it is raised when all members run a version that knows it",
            (true, false) => "it is about to be raised, try again",
        })
    }
}

/// The newest format that a member is known to know; none: it is not heard.
pub(crate) fn known_to(node: &Node, view: &View, id: NodeId) -> Option<Format> {
    if id == node.me {
        return Some(node.format);
    }
    let peer = view.peers.get(&id).filter(|peer| peer.alive)?;
    peer.node.as_ref().map(|fact| Format(fact.format))
}

/// How it is with the format, for who wants `wanted`.
pub(crate) fn status(node: &Node, wanted: Format) -> FormatStatus {
    let state = node.published.state();
    let (format, view) = (state.format(), node.gossip.view());
    let mut members: BTreeSet<NodeId> = state.nodes().into_keys().collect();
    if let Some(running) = node.running() {
        let metrics = running.metrics();
        let membership = metrics.membership_config.membership();
        members.extend(membership.nodes().map(|(id, _)| NodeId(*id)));
    }
    members.retain(|id| state.removed_node(*id).is_none());
    let known = members.into_iter().map(|id| (id, known_to(node, &view, id)));
    let lacks = |known: Option<Format>| format < wanted && known.is_none_or(|it| it < wanted);
    let waits_for = known.filter(|(_, known)| lacks(*known)).collect();
    FormatStatus { format, newest: node.format, held: state.format_is_held(), waits_for }
}

/// Why a node whose version knows no more than `known` cannot become a member; none: it can.
pub(crate) fn refusal(in_force: Format, known: Format) -> Option<String> {
    (known < in_force).then(|| {
        format!(
            "the cluster's log has format {in_force}, and this node's version of dunlin knows format \
             {known} at most: start it with the version that the members run"
        )
    })
}
