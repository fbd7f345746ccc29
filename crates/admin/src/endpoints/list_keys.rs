//! `GET /key/list`: keys, filtered, ordered and in pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use dunlin_admin_api::{KeyList, ListedKey};
use dunlin_state::Key;

use super::{Routes, ok_as_of, query};
use crate::body::Fault;
use crate::error::Error;
use crate::{Admin, naming, row};

const PATH: &str = "/key/list";
const MAX_SIZE: usize = 100;

pub(super) fn add(routes: Routes) -> Routes {
    routes.route(PATH, get(handle))
}

async fn handle(State(admin): State<Admin>, request: Request) -> Result<Response, Error> {
    admin.admit(request.headers(), PATH).await?;
    let asked = parse(query(&request))?;
    let read = admin.read().await;
    Ok(ok_as_of(&read, &answer(&read.state, &asked)))
}

/// Which keys, and how.
#[derive(Debug)]
struct Asked {
    page: usize,
    size: usize,
    /// A stored field and the JSON text it must have.
    fields: Vec<(&'static str, String)>,
    key_hash: Option<String>,
    key_alias: Option<String>,
    /// Lower case; part of the alias, or the beginning of the hash.
    search: Option<String>,
    full: bool,
    order: Order,
    ascending: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Order {
    #[default]
    CreatedAt,
    UpdatedAt,
    Spend,
    Alias,
    Token,
}

/// Stored fields that keys are filtered by.
const FIELDS: &[&str] = &["user_id", "team_id", "organization_id"];

fn parse(query: Vec<(String, String)>) -> Result<Asked, Error> {
    // Of a parameter that is given twice, the last one counts.
    let mut query: BTreeMap<String, String> = query.into_iter().collect();
    let field = |name: &&'static str| Some((*name, quoted(query.get(*name)?)));
    let fields = FIELDS.iter().filter_map(field).collect();
    let mut faults = Vec::new();
    let asked = Asked {
        page: read(&query, "page", number, &mut faults).unwrap_or(1),
        size: read(&query, "size", size, &mut faults).unwrap_or(10),
        full: read(&query, "return_full_object", flag, &mut faults).unwrap_or_default(),
        order: read(&query, "sort_by", order, &mut faults).unwrap_or_default(),
        ascending: read(&query, "sort_order", ascending, &mut faults).unwrap_or_default(),
        fields,
        key_hash: query.remove("key_hash"),
        key_alias: query.remove("key_alias"),
        search: query.remove("search").map(|part| part.to_lowercase()),
    };
    if query.get("status").is_some_and(|status| !status.is_empty()) {
        let msg = "Input should be absent: deleted keys are not kept";
        faults.push(Fault::of("query", "status", "value_error", msg));
    }
    if faults.is_empty() { Ok(asked) } else { Err(Error::Invalid(faults)) }
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
    crate::body::flag(&as_json).map_err(|_| "Input should be a valid boolean")
}

fn ascending(value: &str) -> Result<bool, &'static str> {
    match value {
        "asc" => Ok(true),
        "desc" => Ok(false),
        _ => Err("Input should be 'asc' or 'desc'"),
    }
}

/// A text as fields are stored.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn order(name: &str) -> Result<Order, &'static str> {
    match name {
        "created_at" => Ok(Order::CreatedAt),
        "updated_at" => Ok(Order::UpdatedAt),
        "spend" => Ok(Order::Spend),
        "key_alias" => Ok(Order::Alias),
        "token" => Ok(Order::Token),
        _ => Err("Input should be created_at, updated_at, spend, key_alias or token"),
    }
}

fn answer(state: &dunlin_state::State, asked: &Asked) -> KeyList {
    let mut keys: Vec<&Arc<Key>> = state.keys().filter(|key| asked.wants(key)).collect();
    match asked.order {
        Order::CreatedAt => keys.sort_by_key(|key| key.created_at),
        Order::UpdatedAt => keys.sort_by_key(|key| key.updated_at),
        Order::Spend => keys.sort_by_key(|key| state.key_spend(&key.token)),
        Order::Alias => keys.sort_by(|one, other| one.alias.cmp(&other.alias)),
        Order::Token => {}
    }
    if !asked.ascending {
        keys.reverse();
    }
    let page = keys.iter().skip((asked.page - 1).saturating_mul(asked.size)).take(asked.size);
    let listed = page.map(|key| {
        if asked.full {
            ListedKey::Row(Box::new(row::of(key, state.key_spend(&key.token))))
        } else {
            ListedKey::Token(key.token)
        }
    });
    KeyList {
        keys: listed.collect(),
        total_count: keys.len(),
        current_page: asked.page,
        total_pages: keys.len().div_ceil(asked.size),
    }
}

impl Asked {
    fn wants(&self, key: &Key) -> bool {
        let alias = key.alias.as_deref();
        self.fields.iter().all(|(name, value)| key.terms.other.get(*name) == Some(value))
            && self.key_hash.as_ref().is_none_or(|it| naming::digest_of(it) == Some(key.token))
            && self.key_alias.as_ref().is_none_or(|wanted| alias == Some(wanted))
            && self.search.as_ref().is_none_or(|part| {
                alias.is_some_and(|alias| alias.to_lowercase().contains(part))
                    || key.token.to_string().starts_with(part)
            })
    }
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, CommandId, Entry};
    use dunlin_types::{Epoch, KeyDigest, NodeId, UnixMillis};

    use super::*;

    /// Five keys, `key-0` to `key-4`, made in this order; the odd ones are Ann's.
    fn five() -> dunlin_state::State {
        let mut state = dunlin_state::State::new();
        for number in 0..5 {
            let mut key = row::tests::bare(&format!("sk-key-{number}"));
            key.alias = Some(format!("Key-{number}"));
            if number % 2 == 1 {
                key.terms.other.insert("user_id".to_owned(), "\"ann\"".to_owned());
            }
            let seq = number + 1;
            let id = CommandId { node: NodeId(1), epoch: Epoch(1), seq };
            let entry = Entry { id, command: Command::CreateKey { key: Box::new(key) } };
            state.apply(seq, UnixMillis(1000 * seq), &entry).expect("a new key");
        }
        state
    }

    fn list(query: &str) -> (Vec<String>, [usize; 3]) {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let asked = parse(query).expect("a query");
        let list = answer(&five(), &Asked { full: true, ..asked });
        let alias = |key: &ListedKey| match key {
            ListedKey::Row(row) => row.key_alias.clone().expect("an alias"),
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
            ("team_id=t", vec![], [0, 1, 0]),
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
        let list = answer(&five(), &parse(Vec::new()).expect("a query"));
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
            let refused = parse(vec![(name.to_owned(), value.to_owned())]);
            assert!(matches!(refused, Err(Error::Invalid(_))), "{name}={value}");
        }
    }
}
