//! All endpoints. To add one: a file in `endpoints/`, and its name here, twice.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::MethodRouter;
use dunlin_state::{Key, Reply};
use http::HeaderValue;
use serde::Serialize;
use std::sync::Arc;

use crate::error::answer;
use crate::{Admin, Read};

mod block_key;
mod cluster_status;
mod create_key;
mod delete_keys;
mod health_liveliness;
mod health_readiness;
mod key_info;
mod list_keys;
mod unblock_key;
mod update_key;

/// Routes, and the list of their paths.
#[derive(Default)]
struct Routes {
    routes: Router<Admin>,
    paths: Vec<String>,
}

impl Routes {
    fn route(mut self, path: &str, methods: MethodRouter<Admin>) -> Self {
        self.paths.push(path.to_owned());
        Self { routes: self.routes.route(path, methods), ..self }
    }
}

static ALL: &[fn(Routes) -> Routes] = &[
    block_key::add,
    cluster_status::add,
    create_key::add,
    delete_keys::add,
    health_liveliness::add,
    health_readiness::add,
    key_info::add,
    list_keys::add,
    unblock_key::add,
    update_key::add,
];

/// The routes of all endpoints, and their paths.
pub(crate) fn all() -> (Router<Admin>, Vec<String>) {
    let all = ALL.iter().fold(Routes::default(), |routes, add| add(routes));
    (all.routes, all.paths)
}

/// A 200 with a JSON body.
fn ok(body: &impl Serialize) -> Response {
    answer(200, serde_json::to_vec(body).expect("answers are plain data"))
}

/// The answer to a read, which says how old it may be.
fn ok_as_of(read: &Read, body: &impl Serialize) -> Response {
    let mut response = ok(body);
    if let Some(stale) = &read.stale {
        let age = stale.age.map(|age| HeaderValue::from_str(&age.as_millis().to_string()));
        let age = age.and_then(Result::ok).unwrap_or(HeaderValue::from_static("unknown"));
        response.headers_mut().insert("x-dunlin-stale-ms", age);
    }
    response
}

/// The key that a command about one key answers with.
fn key_of(reply: Reply) -> Arc<Key> {
    match reply {
        Reply::Key(key) => key,
        Reply::Done
        | Reply::Unchanged
        | Reply::Deleted(_)
        | Reply::Entity(_)
        | Reply::Gone { .. }
        | Reply::Members(_)
        | Reply::All(_)
        | Reply::Revision(_) => {
            unreachable!("a command about one key answers with the key")
        }
    }
}

/// The query's parameters, in order.
fn query(request: &Request) -> Vec<(String, String)> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    // What is not in the form of a query holds no parameters.
    query.map(|query| query.0).unwrap_or_default()
}
