//! `GET /team/info` and its like: all of one, with what hangs on it. `POST` where LiteLLM asks so.

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Entity, Key, Kind};
use serde_json::{Value, json};

use super::{ok, ok_as_of};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{find, may_see, row, unknown};
use crate::rows::row::{View, put};

/// Where a kind is shown, and the parameter that names one.
#[derive(Clone, Copy)]
struct Way {
    path: &'static str,
    kind: Kind,
    param: &'static str,
}

/// Where one is shown, and the parameter that names it.
const PATHS: &[Way] = &[
    Way { path: "/team/info", kind: Kind::Team, param: "team_id" },
    Way { path: "/organization/info", kind: Kind::Organization, param: "organization_id" },
    Way { path: "/customer/info", kind: Kind::EndUser, param: "end_user_id" },
    Way { path: "/end_user/info", kind: Kind::EndUser, param: "end_user_id" },
];

pub(super) fn add(routes: Routes) -> Routes {
    let routes = PATHS.iter().fold(routes, |routes, &Way { path, kind, param }| {
        routes.get(path, Who::Anyone, move |admin, asked| handle(admin, asked, kind, param))
    });
    routes
        .post("/budget/info", Who::Viewers, |admin, asked| several(admin, asked, Kind::Budget))
        .post("/tag/info", Who::Viewers, |admin, asked| several(admin, asked, Kind::Tag))
}

async fn handle(
    admin: Admin,
    asked: Request,
    kind: Kind,
    param: &'static str,
) -> Result<Response, Error> {
    let name = asked.param(param).ok_or_else(|| {
        let reason = format!("{param}: name the {} that is to be shown", kind.name());
        Error::BadField { name: param, reason }
    })?;
    let read = admin.read().await;
    if !may_see(&asked, &read.state, kind, name) {
        // Who may not see it learns nothing about whether it is there.
        return Err(forbidden(format!("this key may not see {} `{name}`", kind.name())));
    }
    let entity = find(&read.state, kind, name)?;
    let view = admin.view(read.state.clone());
    Ok(match kind {
        Kind::Team => ok_as_of(&read, &team(&view, &entity)),
        Kind::User
        | Kind::EndUser
        | Kind::Organization
        | Kind::Budget
        | Kind::Tag
        | Kind::AccessGroup => ok_as_of(&read, &row(&view, &entity)),
    })
}

fn team(view: &View, team: &Entity) -> Value {
    let keys = keys_of(view, |key| key.team.as_ref() == Some(&team.name));
    let members = view.state.members(Kind::Team, &team.name);
    let memberships: Vec<_> = members.map(|member| view.membership(team, member)).collect();
    json!({
        "team_id": team.name,
        "team_info": view.team_in_force(team),
        "keys": keys,
        "team_memberships": memberships,
    })
}

/// The rows of keys, with their hashes.
pub(super) fn keys_of(view: &View, whose: impl Fn(&Key) -> bool) -> Vec<Row> {
    view.state.keys().filter(|key| whose(key)).map(|key| view.key(key)).collect()
}

/// Those that are named, as far as they exist.
async fn several(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    let names = parse(asked.body()?, kind)?;
    let read = admin.read().await;
    let view = admin.view(read.state);
    let found: Vec<_> = names.iter().filter_map(|name| view.state.entity(kind, name)).collect();
    if found.is_empty() {
        return Err(unknown(kind, &names.join(", ")));
    }
    let rows = found.iter().map(|entity| row(&view, entity));
    Ok(match kind {
        Kind::Tag => {
            let named = rows.zip(&found).map(|(mut row, entity)| {
                put(&mut row, "name", &entity.name);
                (entity.name.clone(), json!(row))
            });
            ok(&named.collect::<serde_json::Map<_, _>>())
        }
        Kind::Team
        | Kind::User
        | Kind::EndUser
        | Kind::Organization
        | Kind::Budget
        | Kind::AccessGroup => ok(&rows.collect::<Vec<_>>()),
    })
}

fn parse(mut body: Body, kind: Kind) -> Result<Vec<String>, Error> {
    let field = if kind == Kind::Tag { "names" } else { "budgets" };
    let names = body.require(field, values::texts);
    body.finish([field].into_iter())?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::tests::world;
    use crate::rows::row::tests::view_of;

    #[test]
    fn a_team_is_shown_with_its_keys_and_members() {
        let view = view_of(world());
        let entity = view.state.entity(Kind::Team, "t").expect("the team");
        let told = team(&view, entity);
        assert_eq!(told["team_id"], "t");
        assert_eq!(told["keys"].as_array().map(Vec::len), Some(1));
        let members = told["team_info"]["members_with_roles"].as_array().expect("a list");
        assert_eq!(members.len(), 3);
        assert_eq!(told["team_memberships"][1]["user_id"], "lead");
        assert_eq!(told["team_info"]["admins"], json!(["lead"]));
    }
}
