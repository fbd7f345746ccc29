//! `POST /team/delete` and its like. What hangs on them goes too: a team's and a user's keys.

use axum::response::Response;
use dunlin_state::{Command, Kind, Reply};
use serde_json::{Value, json};
use tracing::info;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{DELETE, OfKind, POST, Request, Routes};
use crate::rows::entities::{find, row};

const PATHS: &[OfKind] = &[
    OfKind { method: POST, path: "/team/delete", kind: Kind::Team },
    OfKind { method: POST, path: "/user/delete", kind: Kind::User },
    OfKind { method: POST, path: "/customer/delete", kind: Kind::EndUser },
    OfKind { method: POST, path: "/end_user/delete", kind: Kind::EndUser },
    OfKind { method: DELETE, path: "/organization/delete", kind: Kind::Organization },
    OfKind { method: POST, path: "/budget/delete", kind: Kind::Budget },
    OfKind { method: POST, path: "/tag/delete", kind: Kind::Tag },
];

pub(super) fn add(routes: Routes) -> Routes {
    routes.changing(PATHS, handle)
}

/// The field that names those of a kind.
fn field_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Team => "team_ids",
        Kind::User | Kind::EndUser => "user_ids",
        Kind::Organization => "organization_ids",
        Kind::Budget => "id",
        Kind::Tag | Kind::AccessGroup => "name",
    }
}

async fn handle(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    let names = parse(asked.body()?, field_of(kind))?;
    let read = admin.read().await;
    for name in &names {
        find(&read.state, kind, name)?;
        if !asked.caller.leads(&read.state, kind, name) {
            return Err(forbidden(format!(
                "only admins of {} `{name}` may delete it",
                kind.name()
            )));
        }
    }
    let before = admin.view(read.state);
    let (reply, _) = admin.carry_out(&asked, Command::DeleteEntities { kind, names }).await?;
    let Reply::Gone { names, keys } = reply else { unreachable!("a deletion tells who is gone") };
    info!(entity.kind = kind.name(), entity.names = ?names, keys = keys.len(), "deleted");
    let rows = names.iter().filter_map(|name| before.state.entity(kind, name));
    let rows: Vec<_> = rows.map(|entity| row(&before, entity)).collect();
    let count = names.len();
    Ok(match kind {
        Kind::User => ok(&count),
        Kind::Team => ok(&json!({"deleted_teams": names, "deleted_keys": keys})),
        Kind::EndUser => ok(&json!({
            "deleted_customers": count,
            "message": format!("Successfully deleted customers with ids: {names:?}"),
        })),
        Kind::Organization => ok(&rows),
        Kind::Budget => ok(&rows.first()),
        Kind::Tag | Kind::AccessGroup => {
            ok(&json!({"message": format!("Tag {} deleted successfully", names.join(", "))}))
        }
    })
}

/// One name, or a list of them.
fn parse(mut body: Body, field: &'static str) -> Result<Vec<String>, Error> {
    let names = body.require(field, |value| match value {
        Value::String(name) => Ok(vec![name.clone()]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            values::texts(value)
        }
    });
    if names.is_empty() {
        body.refuse(field, format!("name at least one in `{field}`"));
    }
    body.finish([field].into_iter())?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_is_named() {
        let of = |text: &str, field| parse(Body::parse(text.as_bytes()).expect("an object"), field);
        assert_eq!(of(r#"{"team_ids": ["a", "b"]}"#, "team_ids").expect("names"), ["a", "b"]);
        assert_eq!(of(r#"{"id": "a"}"#, "id").expect("a name"), ["a"]);
        assert!(matches!(of("{}", "team_ids"), Err(Error::Invalid(_))));
        let none = of(r#"{"team_ids": []}"#, "team_ids");
        assert!(matches!(none, Err(Error::BadField { name: "team_ids", .. })));
    }
}
