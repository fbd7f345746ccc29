//! `POST /cluster/remove`: a node is no member any more, for good.

use axum::response::Response;
use dunlin_admin_api::RemovedMember;
use dunlin_consensus::{ProposeError, RemoveError};
use dunlin_state::{Change, Command, RemovedNode, State};
use dunlin_types::NodeId;
use serde_json::json;
use tracing::warn;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::moment::iso;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/cluster/remove", Who::Admins, remove)
}

/// What `/cluster/remove` is asked for.
#[derive(Debug, PartialEq)]
struct Removal {
    node: NodeId,
    force: bool,
    reclaim: bool,
}

async fn remove(admin: Admin, asked: Request) -> Result<Response, Error> {
    let Removal { node, force, reclaim } = parse(asked.body()?)?;
    let consensus = &admin.0.consensus;
    let state = admin.read().await.state;
    let before = state.removed_node(node).is_some();
    if !before && !state.nodes().contains_key(&node) {
        return Err(unknown(node));
    }
    let by = asked.caller.maker();
    let out = consensus.remove(asked.actor.clone(), by, node, force).await?;
    if !before {
        warn!(node.id = %node, forced = force, "an admin removed a node from the cluster");
    }
    if reclaim {
        admin.carry_out(&asked, Command::Reclaim { node }).await?;
    }
    let state = consensus.state();
    let removed = state.removed_node(node).ok_or_else(|| unknown(node))?;
    let row = row(&state, node, removed);
    Ok(ok(&json!({"removed": row, "was_removed_before": before, "left_the_consensus": out})))
}

/// No node has the id, nor had it.
pub(super) fn unknown(node: NodeId) -> Error {
    let reason = format!(
        "node {node} is not and was not a member; `dunlin status` lists the \
                          members"
    );
    Error::NotFound { reason }
}

/// A removed node as answers show it.
pub(super) fn row(state: &State, node: NodeId, removed: &RemovedNode) -> RemovedMember {
    RemovedMember {
        id: node,
        address: removed.address.clone(),
        at: iso(removed.at),
        by: removed.by.clone(),
        withheld_usd: state.granted_to(node).as_usd(),
        reclaimed: removed.reclaimed.is_some(),
    }
}

fn parse(mut body: Body) -> Result<Removal, Error> {
    let node = body.require("node", values::text);
    let force = matches!(body.take("force", values::flag), Change::Set(true));
    let reclaim = matches!(body.take("reclaim", values::flag), Change::Set(true));
    body.finish(["node", "force", "reclaim"].into_iter())?;
    Ok(Removal { node: id(&node)?, force, reclaim })
}

/// A node's id as requests write it.
pub(super) fn id(text: &str) -> Result<NodeId, Error> {
    text.parse().map_err(|_| Error::BadField {
        name: "node",
        reason: format!("`{text}` is not a node id: those have 16 hex digits"),
    })
}

impl From<RemoveError> for Error {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Refused(refused) => Self::Conflict { reason: refused.to_string() },
            RemoveError::NoQuorum(no_quorum) => ProposeError::NoQuorum(no_quorum).into(),
            RemoveError::Propose(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_its_id_and_removed_gently_unless_asked_otherwise() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        let node = NodeId(42);
        let gentle = Removal { node, force: false, reclaim: false };
        assert_eq!(of(r#"{"node": "000000000000002a"}"#).expect("an id"), gentle);
        let rough = of(r#"{"node": "000000000000002a", "force": true, "reclaim": true}"#);
        assert_eq!(rough.expect("an id"), Removal { node, force: true, reclaim: true });
        assert!(matches!(of("{}"), Err(Error::Invalid(_))));
        assert!(matches!(of(r#"{"node": "n2:4100"}"#), Err(Error::BadField { name: "node", .. })));
    }
}
