//! `GET /team/permissions_list` and `POST /team/permissions_update`: what a team's members may do with
//! its keys.

use axum::response::Response;
use dunlin_state::{Change, Command, EntityChanges, Kind, TermsChanges};
use serde_json::{Value, json};
use tracing::info;

use super::{entity_of, ok, ok_as_of, sign};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::{PERMISSIONS, check_permitted, forbidden, permissions};
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::find;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/team/permissions_list", Who::Users, list).post(
        "/team/permissions_update",
        Who::Users,
        update,
    )
}

async fn list(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let name = asked.param("team_id").unwrap_or_default();
    let team = find(&read.state, Kind::Team, name)?;
    if !asked.caller.leads(&read.state, Kind::Team, name) {
        return Err(forbidden(format!("only admins of team `{name}` may see its permissions")));
    }
    Ok(ok_as_of(&read, &answer(name, &permissions(&team))))
}

async fn update(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (name, routes) = parse(asked.body()?)?;
    let state = admin.read().await.state;
    find(&state, Kind::Team, &name)?;
    if !asked.caller.leads(&state, Kind::Team, &name) {
        return Err(forbidden(format!("only admins of team `{name}` may change it")));
    }
    let mut terms = TermsChanges::default();
    let set = Change::Set(Value::from(routes).to_string());
    terms.other.insert("team_member_permissions".to_owned(), set);
    sign(&mut terms, &asked.caller);
    let changes = Box::new(EntityChanges { terms, ..EntityChanges::default() });
    let command = Command::UpdateEntity { kind: Kind::Team, name, changes };
    let team = entity_of(admin.carry_out(&asked, command).await?.0);
    info!(team.id = team.name, "the permissions of a team's members were changed");
    Ok(ok(&answer(&team.name, &permissions(&team))))
}

fn answer(team: &str, permitted: &[String]) -> Value {
    json!({
        "team_id": team,
        "team_member_permissions": permitted,
        "all_available_permissions": PERMISSIONS,
    })
}

fn parse(mut body: Body) -> Result<(String, Vec<String>), Error> {
    let name = body.require("team_id", values::text);
    let routes = body.require("team_member_permissions", values::texts);
    check_permitted(&mut body, &routes);
    body.finish(["team_id", "team_member_permissions"].into_iter())?;
    Ok((name, routes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_exists_is_permitted() {
        let of = |route: &str| {
            let body = json!({"team_id": "t", "team_member_permissions": [route]}).to_string();
            parse(Body::parse(body.as_bytes()).expect("an object"))
        };
        assert_eq!(of("/key/generate").expect("a route").1, ["/key/generate"]);
        assert!(of("/team/delete").is_err());
    }
}
