//! `GET /team/list` and its like: those that the caller may see.

use std::sync::Arc;

use axum::response::Response;
use dunlin_state::{Entity, Kind, State};
use serde_json::{Value, json};

use super::entity_info::keys_of;
use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::fault::Fault;
use crate::request::pages::Pages;
use crate::rights::caller::Role;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{may_see, row};
use crate::rows::row::{View, put};

/// Where all of a kind are listed, whole, and who may see that.
#[derive(Clone, Copy)]
struct Way {
    path: &'static str,
    kind: Kind,
    who: Who,
}

const PATHS: &[Way] = &[
    Way { path: "/team/list", kind: Kind::Team, who: Who::Anyone },
    Way { path: "/organization/list", kind: Kind::Organization, who: Who::Anyone },
    Way { path: "/customer/list", kind: Kind::EndUser, who: Who::Viewers },
    Way { path: "/end_user/list", kind: Kind::EndUser, who: Who::Viewers },
    Way { path: "/budget/list", kind: Kind::Budget, who: Who::Viewers },
    Way { path: "/tag/list", kind: Kind::Tag, who: Who::Viewers },
];

pub(super) fn add(routes: Routes) -> Routes {
    let routes = PATHS.iter().fold(routes, |routes, &Way { path, kind, who }| {
        routes.get(path, who, move |admin, asked| whole(admin, asked, kind))
    });
    routes.get("/v2/team/list", Who::Anyone, |admin, asked| paged(admin, asked, Kind::Team)).get(
        "/user/list",
        Who::Viewers,
        |admin, asked| paged(admin, asked, Kind::User),
    )
}

/// By what each kind is ordered, if it is not by name.
fn orders(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Team => &["created_at", "team_alias", "team_id"],
        Kind::User => &["created_at", "spend", "user_alias", "user_email", "user_id", "user_role"],
        Kind::Organization | Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => &[],
    }
}

fn check(asked: &Request, kind: Kind) -> Result<(), Error> {
    let roles: &[_] = if kind == Kind::User { &[("role", Role::NAMES)] } else { &[] };
    let order = [("sort_by", orders(kind)), ("sort_order", ["asc", "desc"].as_slice())];
    let ordered = order.into_iter().filter(|_| !orders(kind).is_empty());
    let strange = roles.iter().copied().chain(ordered).filter_map(|(name, known)| {
        let value = asked.param(name).filter(|value| !known.contains(value))?;
        let msg = format!("`{value}` is none of {}", known.join(", "));
        Some(Fault::of("query", name, "value_error", msg))
    });
    let mut faults: Vec<_> = strange.collect();
    if kind == Kind::Team && asked.param("status").is_some() {
        let msg = "Input should be absent: deleted teams are not kept";
        faults.push(Fault::of("query", "status", "value_error", msg));
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

async fn whole(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
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

async fn paged(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    check(&asked, kind)?;
    let usual = if kind == Kind::User { 25 } else { 10 };
    let pages = Pages::read(&asked, "page_size", usual, 100)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &page(&asked, &view, kind, pages)))
}

fn page(asked: &Request, view: &View, kind: Kind, pages: Pages) -> Value {
    let mut all = wanted(asked, &view.state, kind);
    sort(asked, view, &mut all);
    let rows = pages.cut(&all).iter().map(|entity| {
        let mut row = row(view, entity);
        if kind == Kind::User {
            let keys = view.state.keys();
            let keys = keys.filter(|key| key.user.as_ref() == Some(&entity.name)).count();
            put(&mut row, "key_count", &keys);
        } else {
            let members = view.state.members(kind, &entity.name).count();
            put(&mut row, "members_count", &members);
            let keys = view.state.keys();
            let keys = keys.filter(|key| key.team.as_ref() == Some(&entity.name)).count();
            put(&mut row, "keys_count", &keys);
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

/// They come by name.
fn sort(asked: &Request, view: &View, all: &mut [&Arc<Entity>]) {
    match asked.param("sort_by") {
        Some("created_at") => all.sort_by_key(|one| one.created_at),
        Some("spend") => all.sort_by_cached_key(|one| view.spent(one)),
        Some("team_alias" | "user_alias") => all.sort_by(|one, two| one.alias.cmp(&two.alias)),
        Some("user_email") => all.sort_by(|one, two| one.email.cmp(&two.email)),
        Some("user_role") => all.sort_by(|one, two| one.role.cmp(&two.role)),
        Some(_) | None => {}
    }
    if asked.param("sort_order") == Some("desc") {
        all.reverse();
    }
}

/// Those that the caller may see and the query asks for.
fn wanted<'s>(asked: &Request, state: &'s State, kind: Kind) -> Vec<&'s Arc<Entity>> {
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
                    && (has("search", alias) || is("search", Some(name)))
                    && is("organization_id", organization)
                    && asked.param("user_id").is_none_or(of_user)
            }
            Kind::User => {
                let one_of = |param: &str, is: &dyn Fn(&str) -> bool| {
                    asked.param(param).is_none_or(|ids| ids.split(',').any(|id| is(id.trim())))
                };
                let of_team = |team: &str| member(Kind::Team, team, name);
                let signs_in_as = entity.terms.other.get("sso_user_id");
                let signs_in_as =
                    |id: &str| signs_in_as.is_some_and(|it| it.trim_matches('"') == id);
                one_of("user_ids", &|id| id == name)
                    && one_of("sso_user_ids", &signs_in_as)
                    && one_of("organization_ids", &|id| member(Kind::Organization, id, name))
                    && (has("search", Some(name)) || has("search", entity.email.as_deref()))
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
    use crate::rights::caller::Caller;
    use crate::rights::tests::{asked_by, bearer, world};
    use crate::rows::row::tests::view_of;

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
            (None, "organization_ids=none,o", Kind::User, "boss"),
            (None, "search=EAD", Kind::User, "lead reader"),
            (None, "search=t", Kind::Team, "t"),
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
        let mut asked = asked_by(Caller::Master);
        let sorted = [("sort_by", "user_role"), ("sort_order", "desc")];
        asked.query = sorted.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let told = page(&asked, &view, Kind::User, Pages { page: 1, size: 1 });
        assert_eq!(told["users"][0]["user_id"], "auditor");
        let told = page(&asked, &view, Kind::Team, Pages { page: 1, size: 9 });
        assert_eq!(
            (&told["teams"][0]["team_id"], &told["teams"][0]["members_count"]),
            (&json!("t"), &json!(3))
        );
        assert_eq!(told["teams"][0]["keys_count"], json!(1));
    }

    #[test]
    fn what_a_parameter_cannot_be_is_told() {
        let of = |query: &str, kind| {
            let mut asked = asked_by(Caller::Master);
            let (name, value) = query.split_once('=').expect("a pair");
            asked.query = vec![(name.to_owned(), value.to_owned())];
            check(&asked, kind).is_ok()
        };
        assert!(of("role=proxy_admin", Kind::User) && !of("role=root", Kind::User));
        assert!(of("sort_by=spend", Kind::User) && !of("sort_by=spend", Kind::Team));
        assert!(!of("sort_order=up", Kind::Team) && !of("status=deleted", Kind::Team));
    }
}
