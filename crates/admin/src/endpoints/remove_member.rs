//! `POST /team/member_delete` and `DELETE /organization/member_delete`: a user leaves. Its keys of that
//! team go with it.

use axum::response::Response;
use dunlin_state::{Command, Kind};
use tracing::info;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::routes::{DELETE, Request, Routes, Who};
use crate::rows::entities::{find, row};
use crate::terms::entity_fields::id_name;
use crate::terms::members::{NAMED_BY, OfGroup};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/team/member_delete", Who::Users, |admin, asked| handle(admin, asked, Kind::Team))
        .add(DELETE, "/organization/member_delete", Who::Users, |admin, asked| {
            handle(admin, asked, Kind::Organization)
        })
}

async fn handle(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    let one = parse(asked.body()?, kind)?;
    let (view, user) = one.for_leader(&admin, &asked).await?;
    let left = view.membership(&*find(&view.state, kind, &one.group)?, one.find(&view.state)?);
    info!(entity.kind = kind.name(), entity.name = one.group, user, "a member left");
    let leave = Command::RemoveMembers { kind, name: one.group.clone(), users: vec![user] };
    let (_, view) = admin.carry_out(&asked, leave).await?;
    Ok(match kind {
        Kind::Organization => ok(&left),
        Kind::Team | Kind::User | Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => {
            ok(&row(&view, &*find(&view.state, kind, &one.group)?))
        }
    })
}

fn parse(mut body: Body, kind: Kind) -> Result<OfGroup, Error> {
    let one = OfGroup::read(&mut body, kind);
    body.finish([id_name(kind)].into_iter().chain(NAMED_BY.iter().copied()))?;
    Ok(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_named() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"), Kind::Team);
        assert!(of(r#"{"team_id": "t", "user_id": "ann"}"#).is_ok());
        assert!(of(r#"{"team_id": "t"}"#).is_err());
    }
}
