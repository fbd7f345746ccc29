//! `GET /spend/keys` and `/spend/users`: the rows of keys and of users, those that spent most first.

use std::cmp::Reverse;

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::Kind;

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::pages::Pages;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

/// Rows in one answer, unless the query asks for others: of more, LiteLLM's clients know no next page.
const MOST: usize = 1_000;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/spend/keys", Who::Anyone, keys).get("/spend/users", Who::Anyone, users)
}

async fn keys(admin: Admin, asked: Request) -> Result<Response, Error> {
    let pages = Pages::read(&asked, "page_size", MOST, MOST)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &key_rows(&view, &asked, pages)))
}

async fn users(admin: Admin, asked: Request) -> Result<Response, Error> {
    let pages = Pages::read(&asked, "page_size", MOST, MOST)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &user_rows(&view, &asked, pages)?))
}

fn key_rows(view: &View, asked: &Request, pages: Pages) -> Vec<Row> {
    let seen = view.state.keys().filter(|key| asked.caller.sees_key(&view.state, key));
    let mut keys: Vec<_> = seen.map(|key| (view.key_spend(key), key)).collect();
    keys.sort_by_key(|(spend, key)| (Reverse(*spend), key.token));
    pages.cut(&keys).iter().map(|(_, key)| view.key(key)).collect()
}

fn user_rows(view: &View, asked: &Request, pages: Pages) -> Result<Vec<Row>, Error> {
    let wanted = asked.param("user_id");
    if let Some(name) = wanted.filter(|name| !asked.caller.sees_user(name)) {
        return Err(forbidden(format!("this key may not see user `{name}`")));
    }
    let seen = view.state.entities(Kind::User).filter(|user| {
        asked.caller.sees_user(&user.name) && wanted.is_none_or(|name| user.name == name)
    });
    let mut users: Vec<_> = seen.map(|user| (view.spent(user), user)).collect();
    users.sort_by(|(one, left), (other, right)| other.cmp(one).then(left.name.cmp(&right.name)));
    Ok(pages.cut(&users).iter().map(|(_, user)| view.user(user)).collect())
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, Spender};
    use dunlin_types::{KeyDigest, NanoUsd, UnixMillis};

    use super::*;
    use crate::request::span::tests::asked_as;
    use crate::rights::caller::Caller;
    use crate::rights::tests::{bearer, world_and};
    use crate::rows::row::tests::view_of;

    const PAGES: Pages = Pages { page: 1, size: 3 };

    fn world() -> View {
        let spend = |whose, to| {
            let (period, to) = (UnixMillis(0), NanoUsd(to));
            Command::SetSpendOf { whose, period, to }
        };
        let key = |clear: &str| Spender::Key(KeyDigest::of(clear));
        let user = |name: &str| Spender::Entity(Kind::User, name.to_owned());
        view_of(world_and([
            spend(key("sk-dev"), 5),
            spend(key("sk-team"), 9),
            spend(user("lead"), 7),
        ]))
    }

    #[test]
    fn who_spent_most_comes_first_among_those_that_are_seen() {
        let view = world();
        let told = |row: &Row, name: &str| row[name].get().trim_matches('"').to_owned();
        let keys = |caller| {
            let rows = key_rows(&view, &asked_as(caller, ""), PAGES);
            rows.iter().map(|row| told(row, "spend")).collect::<Vec<_>>()
        };
        assert_eq!(keys(Caller::Master), ["9e-9", "5e-9", "0.0"]);
        assert_eq!(keys(bearer(&view.state, "sk-dev")), ["5e-9"]);
        let users = |caller, query| {
            let rows = user_rows(&view, &asked_as(caller, query), PAGES).expect("may see");
            rows.iter().map(|row| told(row, "user_id")).collect::<Vec<_>>()
        };
        assert_eq!(users(Caller::Master, ""), ["lead", "auditor", "boss"]);
        assert_eq!(users(Caller::Master, "user_id=dev"), ["dev"]);
        assert_eq!(users(bearer(&view.state, "sk-dev"), ""), ["dev"]);
        let asked = asked_as(bearer(&view.state, "sk-dev"), "user_id=lead");
        assert!(user_rows(&view, &asked, PAGES).is_err());
    }
}
