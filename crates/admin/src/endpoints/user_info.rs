//! `GET /user/info` and `/v2/user/info`: one user; the caller's own if none is named.

use axum::response::Response;
use dunlin_state::{Entity, Kind};
use serde_json::{Value, json};

use super::entity_info::keys_of;
use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{row, unknown};
use crate::rows::row::View;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/user/info", Who::Anyone, |admin, asked| handle(admin, asked, true)).get(
        "/v2/user/info",
        Who::Anyone,
        |admin, asked| handle(admin, asked, false),
    )
}

async fn handle(admin: Admin, asked: Request, whole: bool) -> Result<Response, Error> {
    let name = asked.param("user_id").or(asked.caller.user()).ok_or_else(|| {
        let reason = "user_id: name the user that is to be shown; this key is no user's".to_owned();
        Error::BadField { name: "user_id", reason }
    })?;
    if !asked.caller.sees_user(name) {
        return Err(forbidden(format!("this key may not see user `{name}`")));
    }
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let user = view.state.entity(Kind::User, name).ok_or_else(|| unknown(Kind::User, name))?;
    Ok(if whole {
        ok_as_of(&read, &answer(&view, user))
    } else {
        ok_as_of(&read, &row(&view, user))
    })
}

fn answer(view: &View, user: &Entity) -> Value {
    let teams = view.state.memberships(Kind::Team, &user.name);
    let teams = teams.filter_map(|(team, _)| view.state.entity(Kind::Team, team));
    json!({
        "user_id": user.name,
        "user_info": row(view, user),
        "keys": keys_of(view, |key| key.user.as_ref() == Some(&user.name)),
        "teams": teams.map(|team| row(view, team)).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::tests::world;
    use crate::rows::row::tests::view_of;

    #[test]
    fn a_user_is_shown_with_keys_and_teams() {
        let view = view_of(world());
        let told = answer(&view, view.state.entity(Kind::User, "dev").expect("the user"));
        assert_eq!(told["user_info"]["user_role"], "internal_user");
        assert_eq!(told["user_info"]["teams"], json!(["t"]));
        assert_eq!(told["keys"].as_array().map(Vec::len), Some(1));
        assert_eq!(told["teams"][0]["team_id"], "t");
    }
}
