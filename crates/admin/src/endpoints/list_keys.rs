//! `GET /key/list`: keys, filtered, ordered and in pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use dunlin_admin_api::{KeyList, ListedKey, Row};
use dunlin_state::{Key, Kind, State};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::fault::Fault;
use crate::request::naming;
use crate::rights::caller::Caller;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::{View, put};

const MAX_SIZE: usize = 100;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/key/list", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let wanted = parse(&asked.query)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &answer(&view, &asked.caller, &wanted)))
}

/// Which keys, and how.
#[derive(Debug)]
struct Wanted {
    page: usize,
    size: usize,
    user: Option<String>,
    team: Option<String>,
    organization: Option<String>,
    /// With the keys of the teams that the user leads.
    teams_too: bool,
    /// With the keys that the user made.
    made_too: bool,
    key_hash: Option<String>,
    key_alias: Option<String>,
    /// Lower case; part of the alias, or the beginning of the hash.
    search: Option<String>,
    full: bool,
    /// Each row with that of its user.
    users: bool,
    order: Order,
    ascending: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Order {
    #[default]
    CreatedAt,
    UpdatedAt,
    Spend,
    MaxBudget,
    Alias,
    Token,
}

fn parse(query: &[(String, String)]) -> Result<Wanted, Error> {
    // Of a parameter that is given twice, the last one counts; an empty one is none.
    let given = query.iter().filter(|(_, value)| !value.is_empty());
    let mut query: BTreeMap<String, String> = given.cloned().collect();
    let mut faults = Vec::new();
    let wanted = Wanted {
        page: read(&query, "page", number, &mut faults).unwrap_or(1),
        size: read(&query, "size", size, &mut faults).unwrap_or(10),
        full: read(&query, "return_full_object", flag, &mut faults).unwrap_or_default(),
        order: read(&query, "sort_by", order, &mut faults).unwrap_or_default(),
        ascending: read(&query, "sort_order", ascending, &mut faults).unwrap_or_default(),
        teams_too: read(&query, "include_team_keys", flag, &mut faults).unwrap_or_default(),
        made_too: read(&query, "include_created_by_keys", flag, &mut faults).unwrap_or_default(),
        user: query.remove("user_id"),
        team: query.remove("team_id"),
        organization: query.remove("organization_id"),
        key_hash: query.remove("key_hash"),
        key_alias: query.remove("key_alias"),
        search: query.remove("search").map(|part| part.to_lowercase()),
        users: query.remove("expand").is_some_and(|expand| expand == "user"),
    };
    if query.contains_key("status") {
        let msg = "Input should be absent: deleted keys are not kept";
        faults.push(Fault::of("query", "status", "value_error", msg));
    }
    if faults.is_empty() { Ok(wanted) } else { Err(Error::Invalid(faults)) }
}

/// A parameter that may be absent; what is wrong with it goes to `faults`.
fn read<T>(
    query: &BTreeMap<String, String>,
    name: &str,
    read: fn(&str) -> Result<T, &'static str>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    match read(query.get(name)?) {
        Ok(value) => Some(value),
        Err(msg) => {
            faults.push(Fault::of("query", name, "value_error", msg));
            None
        }
    }
}

fn number(value: &str) -> Result<usize, &'static str> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or("Input should be a valid integer greater than 0")
}

fn size(value: &str) -> Result<usize, &'static str> {
    let size = number(value)?;
    if size <= MAX_SIZE { Ok(size) } else { Err("Input should be less than or equal to 100") }
}

fn flag(value: &str) -> Result<bool, &'static str> {
    let as_json = serde_json::Value::String(value.to_owned());
    crate::request::values::flag(&as_json).map_err(|_| "Input should be a valid boolean")
}

fn ascending(value: &str) -> Result<bool, &'static str> {
    match value {
        "asc" => Ok(true),
        "desc" => Ok(false),
        _ => Err("Input should be 'asc' or 'desc'"),
    }
}

fn order(name: &str) -> Result<Order, &'static str> {
    match name {
        "created_at" => Ok(Order::CreatedAt),
        "updated_at" => Ok(Order::UpdatedAt),
        "spend" => Ok(Order::Spend),
        "max_budget" => Ok(Order::MaxBudget),
        "key_alias" => Ok(Order::Alias),
        "token" => Ok(Order::Token),
        _ => Err("Input should be created_at, updated_at, spend, max_budget, key_alias or token"),
    }
}

fn answer(view: &View, caller: &Caller, wanted: &Wanted) -> KeyList {
    let state = &view.state;
    let seen = state.keys().filter(|key| caller.sees_key(state, key));
    let mut keys: Vec<&Arc<Key>> = seen.filter(|key| wanted.wants(state, key)).collect();
    match wanted.order {
        Order::CreatedAt => keys.sort_by_key(|key| key.created_at),
        Order::UpdatedAt => keys.sort_by_key(|key| key.updated_at),
        Order::Spend => keys.sort_by_cached_key(|key| view.key_spend(key)),
        Order::MaxBudget => keys.sort_by_key(|key| key.terms.max_budget),
        Order::Alias => keys.sort_by(|one, other| one.alias.cmp(&other.alias)),
        Order::Token => {}
    }
    if !wanted.ascending {
        keys.reverse();
    }
    let page = keys.iter().skip((wanted.page - 1).saturating_mul(wanted.size)).take(wanted.size);
    let listed = page.map(|key| {
        if wanted.full {
            ListedKey::Row(row(view, key, wanted.users))
        } else {
            ListedKey::Token(key.token)
        }
    });
    KeyList {
        keys: listed.collect(),
        total_count: keys.len(),
        current_page: wanted.page,
        total_pages: keys.len().div_ceil(wanted.size),
    }
}

fn row(view: &View, key: &Key, users: bool) -> Row {
    let mut row = view.key(key);
    if users {
        let user = key.user.as_ref().and_then(|user| view.state.entity(Kind::User, user));
        put(&mut row, "user", &user.map(|user| view.user(user)));
    }
    row
}

impl Wanted {
    fn wants(&self, state: &State, key: &Key) -> bool {
        let is = |wanted: &Option<String>, has: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| has.as_ref() == Some(wanted))
        };
        let alias = key.alias.as_deref();
        (is(&self.user, &key.user) || self.wants_beside(state, key))
            && is(&self.team, &key.team)
            && is(&self.organization, &key.organization)
            && self.key_hash.as_ref().is_none_or(|it| naming::digest_of(it) == Some(key.token))
            && self.key_alias.as_ref().is_none_or(|wanted| alias == Some(wanted))
            && self.search.as_ref().is_none_or(|part| {
                alias.is_some_and(|alias| alias.to_lowercase().contains(part))
                    || key.token.to_string().starts_with(part)
            })
    }

    /// Whether it is listed for the user though it is not the user's.
    fn wants_beside(&self, state: &State, key: &Key) -> bool {
        let Some(user) = &self.user else { return true };
        let leads = |team: &String| {
            state.member(Kind::Team, team, user).is_some_and(|member| member.role == "admin")
        };
        let of_team = self.teams_too && key.team.as_ref().is_some_and(leads);
        of_team || (self.made_too && key.created_by == *user)
    }
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, Entity, Member};
    use dunlin_types::KeyDigest;

    use super::*;
    use crate::rows::row::tests::{bare, state_after, view_of};

    /// Five keys, `key-0` to `key-4`, made in this order; the odd ones are Ann's, the last one is the
    /// team's that she leads.
    fn five() -> View {
        let team = Entity { kind: Kind::Team, name: "t".to_owned(), ..Entity::default() };
        let (user, role) = ("ann".to_owned(), "admin".to_owned());
        let members = vec![Member { user, role, ..Member::default() }];
        let team = Command::CreateEntity { entity: Box::new(team), members };
        let keys = (0..5).map(|number| {
            let mut key = bare(&format!("sk-key-{number}"));
            key.alias = Some(format!("Key-{number}"));
            key.user = (number % 2 == 1).then(|| "ann".to_owned());
            key.team = (number == 4).then(|| "t".to_owned());
            if number == 0 {
                key.created_by = "ann".to_owned();
            }
            Command::CreateKey { key: Box::new(key) }
        });
        view_of(state_after([team].into_iter().chain(keys)))
    }

    fn list(query: &str) -> (Vec<String>, [usize; 3]) {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: Vec<_> =
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let wanted = Wanted { full: true, ..parse(&query).expect("a query") };
        let list = answer(&five(), &Caller::Master, &wanted);
        let alias = |key: &ListedKey| match key {
            ListedKey::Row(row) => row["key_alias"].get().trim_matches('"').to_owned(),
            ListedKey::Token(token) => panic!("{token} is no row"),
        };
        let counts = [list.total_count, list.current_page, list.total_pages];
        (list.keys.iter().map(alias).collect(), counts)
    }

    #[test]
    fn keys_are_filtered_ordered_and_cut_into_pages() {
        let hash = KeyDigest::of("sk-key-4");
        let cases = [
            ("", vec![4, 3, 2, 1, 0], [5, 1, 1]),
            ("size=2", vec![4, 3], [5, 1, 3]),
            ("size=2&page=3", vec![0], [5, 3, 3]),
            ("size=2&page=4", vec![], [5, 4, 3]),
            ("sort_order=asc&size=2", vec![0, 1], [5, 1, 3]),
            ("sort_by=key_alias&sort_order=asc", vec![0, 1, 2, 3, 4], [5, 1, 1]),
            ("user_id=ann", vec![3, 1], [2, 1, 1]),
            ("user_id=ann&include_team_keys=true", vec![4, 3, 1], [3, 1, 1]),
            ("user_id=ann&include_created_by_keys=true", vec![3, 1, 0], [3, 1, 1]),
            ("team_id=t", vec![4], [1, 1, 1]),
            ("team_id=none", vec![], [0, 1, 0]),
            ("key_alias=Key-2", vec![2], [1, 1, 1]),
            ("key_alias=key-2", vec![], [0, 1, 0]),
            ("search=kEy-2", vec![2], [1, 1, 1]),
            (&format!("key_hash={hash}"), vec![4], [1, 1, 1]),
            ("expand=user&include_team_keys=true", vec![4, 3, 2, 1, 0], [5, 1, 1]),
        ];
        for (query, keys, counts) in cases {
            let keys: Vec<_> = keys.iter().map(|number| format!("Key-{number}")).collect();
            assert_eq!(list(query), (keys, counts), "{query}");
        }
    }

    #[test]
    fn hashes_are_listed_unless_rows_are_asked_for() {
        let list = answer(&five(), &Caller::Master, &parse(&[]).expect("a query"));
        let told = serde_json::to_value(list).expect("JSON");
        assert_eq!(told["keys"][0], KeyDigest::of("sk-key-4").to_string());
    }

    #[test]
    fn a_query_that_cannot_be_meant_is_refused() {
        for (name, value) in [
            ("page", "0"),
            ("size", "101"),
            ("size", "ten"),
            ("sort_by", "colour"),
            ("sort_order", "up"),
            ("status", "deleted"),
            ("return_full_object", "maybe"),
        ] {
            let refused = parse(&[(name.to_owned(), value.to_owned())]);
            assert!(matches!(refused, Err(Error::Invalid(_))), "{name}={value}");
        }
    }
}
