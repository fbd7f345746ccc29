//! `POST /cluster/reclaim`: what a node that is gone had been granted of budgets is free again: all
//! that a removed one had, or what one that is down or removed had of one key, team, user, ...

use axum::response::Response;
use dunlin_state::{Command, Kind, Spender, State};
use dunlin_types::{EntityId, NanoUsd, NodeId};
use serde_json::json;
use tracing::info;

use super::remove_node::{id, row, unknown};
use super::{key_named, ok};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::find;

/// What names whose budget is meant, beside `key`.
const OF: &[(&str, Kind)] = &[
    ("team_id", Kind::Team),
    ("user_id", Kind::User),
    ("organization_id", Kind::Organization),
    ("end_user_id", Kind::EndUser),
    ("tag", Kind::Tag),
    ("access_group", Kind::AccessGroup),
];

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/cluster/reclaim", Who::Admins, handle)
}

/// Whose budget is meant: its field, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    Key(String),
    Entity(Kind, String),
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (node, of) = parse(asked.body()?)?;
    let state = admin.read().await.state;
    if state.removed_node(node).is_none() && !state.nodes().contains_key(&node) {
        return Err(unknown(node));
    }
    let (freed, command) = match of {
        None => (state.granted_to(node), Command::Reclaim { node }),
        Some(of) => {
            let (number, whose) = spender(&state, of)?;
            (state.granted_of(number, node), Command::ReclaimOf { node, whose })
        }
    };
    let (_, view) = admin.carry_out(&asked, command).await?;
    info!(node.id = %node, usd = freed.as_usd(), "budget money of a node that is gone was reclaimed");
    let removed = view.state.removed_node(node).map(|removed| row(&view.state, node, removed));
    Ok(ok(&json!({"removed": removed, "reclaimed_usd": NanoUsd::as_usd(freed)})))
}

fn spender(state: &State, of: Of) -> Result<(EntityId, Spender), Error> {
    Ok(match of {
        Of::Key(named) => {
            let key = key_named(state, &named)?;
            (key.id, Spender::Key(key.token))
        }
        Of::Entity(kind, name) => (find(state, kind, &name)?.id, Spender::Entity(kind, name)),
    })
}

fn parse(mut body: Body) -> Result<(NodeId, Option<Of>), Error> {
    let node = body.require("node", values::text);
    let key = body.take("key", values::text).value().map(Of::Key);
    let mut named: Vec<Of> = key.into_iter().collect();
    for (field, kind) in OF {
        let name = body.take(field, values::text).value();
        named.extend(name.map(|name| Of::Entity(*kind, name)));
    }
    if named.len() > 1 {
        body.refuse(
            "key",
            "only one budget can be reclaimed at a time: name one \
                            spender"
                .to_owned(),
        );
    }
    body.finish(["node", "key"].into_iter().chain(OF.iter().map(|(field, _)| *field)))?;
    Ok((id(&node)?, named.pop()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_reclaimed_or_what_one_spender_has() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        let node = NodeId(42);
        let all = of(r#"{"node": "000000000000002a"}"#).expect("an id");
        assert_eq!(all, (node, None));
        let team = of(r#"{"node": "000000000000002a", "team_id": "t"}"#).expect("a team");
        assert_eq!(team, (node, Some(Of::Entity(Kind::Team, "t".to_owned()))));
        let key = of(r#"{"node": "000000000000002a", "key": "sk-a"}"#).expect("a key");
        assert_eq!(key.1, Some(Of::Key("sk-a".to_owned())));
        let two = of(r#"{"node": "000000000000002a", "key": "sk-a", "tag": "x"}"#);
        assert!(matches!(two, Err(Error::BadField { name: "key", .. })));
        assert!(matches!(of(r#"{"node": "n2"}"#), Err(Error::BadField { name: "node", .. })));
    }
}
