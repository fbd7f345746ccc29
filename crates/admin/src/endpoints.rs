//! All endpoints. To add one: a file in `endpoints/`, and its name here, twice.

use std::sync::Arc;

use axum::response::Response;
use dunlin_state::{Change, Entity, Key, KeyChanges, Reply, State, TermsChanges};
use dunlin_types::KeyDigest;
use http::HeaderValue;
use serde::Serialize;

use crate::error::{Error, answer};
use crate::request::naming;
use crate::rights::caller::Caller;
use crate::routes::{Request, Routes};
use crate::{Admin, Read};

mod access_group_budget;
mod access_groups;
mod add_members;
mod audit_row;
mod available_teams;
mod block_entity;
mod block_key;
mod block_model;
mod budget_settings;
mod bulk_add_members;
mod bulk_update_keys;
mod bulk_update_team_keys;
mod bulk_update_users;
mod cache;
mod check_health;
mod cluster_format;
mod cluster_status;
mod config_field;
mod config_revisions;
mod config_text;
mod create_credential;
mod create_entity;
mod create_key;
mod create_model;
mod create_service_account;
mod create_user;
mod daily_activity;
mod delete_credential;
mod delete_entities;
mod delete_keys;
mod delete_model;
mod drain;
mod end_user_spend;
mod entity_info;
mod estimate_cost;
mod fallbacks;
mod global_activity;
mod global_spend;
mod health_details;
mod health_history;
mod health_liveliness;
mod health_readiness;
mod health_services;
mod import_rows;
mod key_aliases;
mod key_health;
mod key_info;
mod keys_info;
mod list_audit;
mod list_callbacks;
mod list_entities;
mod list_keys;
mod list_settings;
mod metrics;
pub(crate) mod no_ui;
mod provider_budgets;
mod rate_limited;
mod reclaim;
mod regenerate_key;
mod remove_member;
mod remove_node;
mod reset_key_spend;
mod reset_spend;
mod reset_team_spend;
mod roll_back_config;
mod root;
mod set_access_group;
mod show_credentials;
mod show_settings;
mod spend_log_said;
mod spend_logs;
mod spend_logs_page;
mod spend_report;
mod spend_rows;
mod tag_spend;
mod team_callbacks;
mod team_models;
mod team_permissions;
mod team_spend;
mod test_connection;
mod top_spenders;
mod unblock_key;
mod update_config;
mod update_credential;
mod update_entity;
mod update_key;
mod update_member;
mod update_model;
mod user_info;
mod verify_audit;

pub use cluster_status::unaware;

static ALL: &[fn(Routes) -> Routes] = &[
    access_group_budget::add,
    access_groups::add,
    add_members::add,
    audit_row::add,
    available_teams::add,
    block_entity::add,
    block_key::add,
    block_model::add,
    budget_settings::add,
    bulk_add_members::add,
    bulk_update_keys::add,
    bulk_update_team_keys::add,
    bulk_update_users::add,
    cache::add,
    check_health::add,
    cluster_format::add,
    cluster_status::add,
    config_field::add,
    config_revisions::add,
    config_text::add,
    create_credential::add,
    create_entity::add,
    create_key::add,
    create_model::add,
    create_service_account::add,
    create_user::add,
    daily_activity::add,
    delete_credential::add,
    delete_entities::add,
    delete_keys::add,
    delete_model::add,
    drain::add,
    end_user_spend::add,
    entity_info::add,
    estimate_cost::add,
    fallbacks::add,
    global_activity::add,
    global_spend::add,
    health_details::add,
    health_history::add,
    health_liveliness::add,
    health_readiness::add,
    health_services::add,
    import_rows::add,
    key_aliases::add,
    key_health::add,
    key_info::add,
    keys_info::add,
    list_audit::add,
    list_callbacks::add,
    list_entities::add,
    list_keys::add,
    list_settings::add,
    metrics::add,
    no_ui::add,
    provider_budgets::add,
    rate_limited::add,
    reclaim::add,
    regenerate_key::add,
    remove_member::add,
    remove_node::add,
    reset_key_spend::add,
    reset_spend::add,
    reset_team_spend::add,
    roll_back_config::add,
    root::add,
    set_access_group::add,
    show_credentials::add,
    show_settings::add,
    spend_log_said::add,
    spend_logs::add,
    spend_logs_page::add,
    spend_report::add,
    spend_rows::add,
    tag_spend::add,
    team_callbacks::add,
    team_models::add,
    team_permissions::add,
    team_spend::add,
    test_connection::add,
    top_spenders::add,
    unblock_key::add,
    update_config::add,
    update_credential::add,
    update_entity::add,
    update_key::add,
    update_member::add,
    update_model::add,
    user_info::add,
    verify_audit::add,
];

/// The routes of all endpoints.
pub(crate) fn all() -> Routes {
    ALL.iter().fold(Routes::default(), |routes, add| add(routes))
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

/// The key that a command about one key answers with, or several of which that is the first.
fn key_of(reply: Reply) -> Arc<Key> {
    match reply {
        Reply::Key(key) => key,
        Reply::All(replies) => key_of(replies.into_iter().next().expect("the key's comes first")),
        Reply::Done
        | Reply::Unchanged
        | Reply::Deleted(_)
        | Reply::Entity(_)
        | Reply::Gone { .. }
        | Reply::Members(_)
        | Reply::Resource(_)
        | Reply::Revision(_)
        | Reply::CountedOn(_)
        | Reply::SoftBudgetsReached(_) => {
            unreachable!("a command about one key answers with the key")
        }
    }
}

/// The entity that a command about one answers with, or several of which that is the first.
fn entity_of(reply: Reply) -> Arc<Entity> {
    match reply {
        Reply::Entity(entity) => entity,
        Reply::All(replies) => entity_of(replies.into_iter().next().expect("its comes first")),
        Reply::Key(_)
        | Reply::Done
        | Reply::Unchanged
        | Reply::Deleted(_)
        | Reply::Gone { .. }
        | Reply::Members(_)
        | Reply::Resource(_)
        | Reply::Revision(_)
        | Reply::CountedOn(_)
        | Reply::SoftBudgetsReached(_) => {
            unreachable!("a command about one entity answers with it")
        }
    }
}

/// The key that a request names, as it is in `state`.
fn key_named(state: &State, named: &str) -> Result<Arc<Key>, Error> {
    let token: KeyDigest = naming::digest_of(named).ok_or(Error::NoSuchKey { name: "key" })?;
    state.key_named(&token).cloned().ok_or(Error::NoSuchKey { name: "key" })
}

/// Refuses to let a caller change a key that is neither its own nor its team's.
fn check_changes(asked: &Request, state: &State, key: &Key) -> Result<(), Error> {
    if asked.caller.changes_key(state, key) { Ok(()) } else { Err(Error::NotYours) }
}

/// Notes who makes the changes.
fn sign(terms: &mut TermsChanges, caller: &Caller) {
    let by = serde_json::Value::from(caller.maker()).to_string();
    terms.other.insert("updated_by".to_owned(), Change::Set(by));
}

/// Notes who changes a key, and for good if that is not who made it: what others put on a key, its
/// maker does not take off.
fn sign_key(changes: &mut KeyChanges, caller: &Caller, before: Option<&Key>) {
    sign(&mut changes.terms, caller);
    if before.is_none_or(|before| before.created_by != caller.maker()) {
        changes.limited_by = Change::Set(caller.maker());
    }
}

impl Admin {
    /// The state to judge a change by. A caller who may do everything is not judged, so that a node
    /// without a leader can still tell what is wrong with a request.
    async fn judging(&self, asked: &Request) -> Arc<State> {
        if asked.caller.is_admin() { self.0.consensus.state() } else { self.read().await.state }
    }
}
