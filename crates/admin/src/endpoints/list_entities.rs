//! `GET /team/list` and its like: those that the caller may see.

use std::sync::Arc;

use axum::response::Response;
use dunlin_state::{Entity, Kind, State};
use serde_json::{Value, json};

use super::entity_info::keys_of;
use super::ok_as_of;
use crate::Admin;
use crate::body::{Fault, check_query};
use crate::caller::Role;
use crate::entities::{may_see, row};
use crate::error::Error;
use crate::pages::Pages;
use crate::routes::{Asked, Routes, Who};
use crate::row::{View, put};

/// Where all of a kind are listed, whole.
const PATHS: &[(&str, Kind, Who)] = &[
    ("/team/list", Kind::Team, Who::Anyone),
    ("/organization/list", Kind::Organization, Who::Anyone),
    ("/customer/list", Kind::EndUser, Who::Viewers),
    ("/end_user/list", Kind::EndUser, Who::Viewers),
    ("/budget/list", Kind::Budget, Who::Viewers),
    ("/tag/list", Kind::Tag, Who::Viewers),
];

pub(super) fn add(routes: Routes) -> Routes {
    let routes = PATHS.iter().fold(routes, |routes, &(path, kind, who)| {
        routes.get(path, who, move |admin, asked| whole(admin, asked, kind))
    });
    routes.get("/v2/team/list", Who::Anyone, |admin, asked| paged(admin, asked, Kind::Team)).get(
        "/user/list",
        Who::Viewers,
        |admin, asked| paged(admin, asked, Kind::User),
    )
}

/// What a query may say of each kind.
fn params(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Team => &["organization_id", "page", "page_size", "team_alias", "team_id", "user_id"],
        Kind::User => &["page", "page_size", "role", "team", "user_email", "user_ids"],
        Kind::Organization => &["org_alias", "org_id"],
        Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => &[],
    }
}

fn check(asked: &Asked, kind: Kind) -> Result<(), Error> {
    check_query(&asked.query, params(kind))?;
    match asked.param("role").filter(|_| kind == Kind::User) {
        Some(role) if !Role::NAMES.contains(&role) => {
            let msg = format!("`{role}` is none of {}", Role::NAMES.join(", "));
            Err(Error::Invalid(vec![Fault::of("query", "role", "value_error", msg)]))
        }
        Some(_) | None => Ok(()),
    }
}

async fn whole(admin: Admin, asked: Asked, kind: Kind) -> Result<Response, Error> {
    check(&asked, kind)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let rows: Vec<_> = wanted(&asked, &view.state, kind)
        .into_iter()
        .map(|entity| {
            let mut row = row(&view, entity);
            if kind == Kind::Team {
                let keys = keys_of(&view, |key| key.team.as_ref() == Some(&entity.name));
                put(&mut row, "keys", &keys);
                let members = view.state.members(kind, &entity.name);
                let members = members.map(|member| view.membership(entity, member));
                put(&mut row, "team_memberships", &members.collect::<Vec<_>>());
            }
            row
        })
        .collect();
    Ok(ok_as_of(&read, &rows))
}

async fn paged(admin: Admin, asked: Asked, kind: Kind) -> Result<Response, Error> {
    check(&asked, kind)?;
    let usual = if kind == Kind::User { 25 } else { 10 };
    let pages = Pages::read(&asked, "page_size", usual, 100)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &page(&asked, &view, kind, pages)))
}

fn page(asked: &Asked, view: &View, kind: Kind, pages: Pages) -> Value {
    let all = wanted(asked, &view.state, kind);
    let rows = pages.cut(&all).iter().map(|entity| {
        let mut row = row(view, entity);
        if kind == Kind::User {
            let keys = view.state.keys();
            let keys = keys.filter(|key| key.user.as_ref() == Some(&entity.name)).count();
            put(&mut row, "key_count", &keys);
        }
        row
    });
    let name = if kind == Kind::User { "users" } else { "teams" };
    json!({
        name: rows.collect::<Vec<_>>(),
        "total": all.len(),
        "page": pages.page,
        "page_size": pages.size,
        "total_pages": pages.of(all.len()),
    })
}

/// Those that the caller may see and the query asks for.
fn wanted<'s>(asked: &Asked, state: &'s State, kind: Kind) -> Vec<&'s Arc<Entity>> {
    let is = |param: &str, value: Option<&str>| {
        asked.param(param).is_none_or(|wanted| value == Some(wanted))
    };
    let has = |param: &str, value: Option<&str>| {
        let has = |part: &str| {
            value.is_some_and(|value| value.to_lowercase().contains(&part.to_lowercase()))
        };
        asked.param(param).is_none_or(has)
    };
    let wants = |entity: &Entity| {
        let (name, alias) = (entity.name.as_str(), entity.alias.as_deref());
        let organization = entity.organization.as_deref();
        let member = |kind, group: &str, user: &str| state.member(kind, group, user).is_some();
        match kind {
            Kind::Team => {
                let of_user = |user: &str| member(Kind::Team, name, user);
                is("team_id", Some(name))
                    && has("team_alias", alias)
                    && is("organization_id", organization)
                    && asked.param("user_id").is_none_or(of_user)
            }
            Kind::User => {
                let ids = asked.param("user_ids");
                let of_team = |team: &str| member(Kind::Team, team, name);
                ids.is_none_or(|ids| ids.split(',').any(|id| id.trim() == name))
                    && has("user_email", entity.email.as_deref())
                    && is("role", entity.role.as_deref())
                    && asked.param("team").is_none_or(of_team)
            }
            Kind::Organization => is("org_id", Some(name)) && has("org_alias", alias),
            Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => true,
        }
    };
    let all = state.entities(kind);
    all.filter(|entity| may_see(asked, state, kind, &entity.name) && wants(entity)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::rights::tests::{asked_by, bearer, world};
    use crate::row::tests::view_of;

    fn names(caller: Caller, query: &str, kind: Kind) -> String {
        let mut asked = asked_by(caller);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        asked.query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let state = world();
        let wanted = wanted(&asked, &state, kind);
        wanted.iter().map(|entity| entity.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lists_hold_what_is_asked_for_and_may_be_seen() {
        let state = world();
        for (who, query, kind, expected) in [
            (None, "", Kind::Team, "other t"),
            (None, "user_id=dev", Kind::Team, "t"),
            (None, "organization_id=o", Kind::Team, "t"),
            (Some("sk-dev"), "", Kind::Team, "t"),
            (Some("sk-bare"), "", Kind::Team, ""),
            (Some("sk-elsewhere"), "", Kind::Team, "other"),
            (None, "role=internal_user", Kind::User, "dev lead"),
            (None, "user_ids=dev,root", Kind::User, "dev root"),
            (None, "team=t", Kind::User, "dev lead reader"),
            (Some("sk-boss"), "", Kind::Organization, "o"),
            (Some("sk-dev"), "", Kind::Organization, ""),
        ] {
            let caller = who.map_or(Caller::Master, |who| bearer(&state, who));
            assert_eq!(names(caller, query, kind), expected, "{who:?} {query}");
        }
    }

    #[test]
    fn users_come_in_pages_with_the_number_of_their_keys() {
        let view = view_of(world());
        let asked = asked_by(Caller::Master);
        let told = page(&asked, &view, Kind::User, Pages { page: 2, size: 4 });
        assert_eq!(told["users"].as_array().map(Vec::len), Some(2));
        assert_eq!((&told["total"], &told["total_pages"]), (&json!(6), &json!(2)));
        assert_eq!(told["users"][0]["key_count"], json!(1));
    }

    #[test]
    fn a_slip_of_a_parameter_is_told_and_a_stranger_ignored() {
        let of = |query: &str, kind| {
            let mut asked = asked_by(Caller::Master);
            let (name, value) = query.split_once('=').expect("a pair");
            asked.query = vec![(name.to_owned(), value.to_owned())];
            check(&asked, kind).is_ok()
        };
        assert!(of("user_email=x", Kind::User) && of("my_own=x", Kind::User));
        assert!(!of("user_emial=x", Kind::User) && !of("role=root", Kind::User));
        assert!(of("role=proxy_admin", Kind::User) && !of("teamid=x", Kind::Team));
    }
}
