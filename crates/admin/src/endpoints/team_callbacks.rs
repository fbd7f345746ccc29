//! `POST` and `GET /team/{team_id}/callback`, and `POST /team/{team_id}/disable_logging`: who is told
//! of the requests of a team's keys.

use axum::response::Response;
use dunlin_callbacks::{FIELD, OwnCallback};
use dunlin_state::{Change, Command, Entity, EntityChanges, Kind, State, TermsChanges};
use serde_json::{Map, Value, json};
use tracing::info;

use super::{entity_of, ok, ok_as_of, sign};
use crate::Admin;
use crate::error::Error;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{find, row};
use crate::rows::row::View;
use crate::terms::edit::{Decided, with_organization};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/team/{team_id}/callback", Who::Users, show)
        .post("/team/{team_id}/callback", Who::Users, set)
        .post("/team/{team_id}/disable_logging", Who::Users, disable)
}

/// The team that the path names, if the caller leads it.
fn led(asked: &Request, state: &State) -> Result<std::sync::Arc<Entity>, Error> {
    let name = asked.named.as_deref().unwrap_or_default();
    if !asked.caller.leads(state, Kind::Team, name) {
        return Err(forbidden("You do not have access to this team".to_owned()));
    }
    find(state, Kind::Team, name)
}

async fn show(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let team = led(&asked, &read.state)?;
    let own = team.terms.other.get(FIELD).map_or(Value::Null, |text| OwnCallback::shown(text));
    Ok(ok_as_of(&read, &json!({"status": "success", "data": told(&team.name, &own)})))
}

/// LiteLLM's flat form of a list.
fn told(team: &str, own: &Value) -> Value {
    let (mut success, mut failure) = (Vec::new(), Vec::new());
    let mut variables = Map::new();
    for one in own.as_array().into_iter().flatten() {
        let (name, on) = (&one["callback_name"], one["callback_type"].as_str());
        if on != Some("failure") && !success.contains(name) {
            success.push(name.clone());
        }
        if on != Some("success") && !failure.contains(name) {
            failure.push(name.clone());
        }
        variables.extend(one["callback_vars"].as_object().cloned().unwrap_or_default());
    }
    json!({
        "team_id": team,
        "success_callbacks": success,
        "failure_callbacks": failure,
        "callback_vars": variables,
    })
}

async fn set(admin: Admin, asked: Request) -> Result<Response, Error> {
    let bad = |reason| Error::BadField { name: "callback_name", reason };
    let state = admin.read().await.state;
    led(&asked, &state)?;
    let body: Value = serde_json::from_slice(&asked.bytes).unwrap_or_default();
    let new = OwnCallback::read(&body).map_err(bad)?;
    new.check().map_err(bad)?;
    let one_more = |view: &View| {
        let team = led(&asked, &view.state)?;
        let mut all = admin.callbacks_of(&team.terms).unwrap_or_default();
        if all.iter().any(|known| known.kind == new.kind && known.on == new.on) {
            return Err(bad(format!(
                "callback_name = {} already exists in team_callback_settings, for team_id = {} and event = {}",
                new.kind.name(),
                team.name,
                new.on
            )));
        }
        all.push(new.clone());
        let seen = with_organization(&view.state, &team);
        Ok(Decided { seen, command: put(&asked, &team.name, &all) })
    };
    let (reply, view) = admin.edit(&asked, state, one_more).await?;
    let team = entity_of(reply);
    info!(team.id = team.name, "a callback was added to a team");
    Ok(ok(&json!({"status": "success", "data": row(&view, &team)})))
}

async fn disable(admin: Admin, asked: Request) -> Result<Response, Error> {
    let state = admin.read().await.state;
    let team = led(&asked, &state)?;
    admin.carry_out(&asked, put(&asked, &team.name, &[])).await?;
    info!(team.id = team.name, "all callbacks of a team were removed");
    Ok(ok(&json!({
        "status": "success",
        "message": format!("Logging disabled for team {}", team.name),
        "data": {"team_id": team.name, "success_callbacks": [], "failure_callbacks": []},
    })))
}

/// Gives a team these callbacks.
fn put(asked: &Request, team: &str, all: &[OwnCallback]) -> Command {
    let mut terms = TermsChanges::default();
    terms.other.insert(FIELD.to_owned(), Change::Set(OwnCallback::plain(all)));
    sign(&mut terms, &asked.caller);
    let changes = Box::new(EntityChanges { terms, ..EntityChanges::default() });
    Command::UpdateEntity { kind: Kind::Team, name: team.to_owned(), changes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_told_in_litellms_flat_form() {
        let own = json!([
            {"callback_name": "langfuse", "callback_type": "success",
             "callback_vars": {"langfuse_host": "h", "langfuse_secret_key": "***"}},
            {"callback_name": "otel", "callback_type": "success_and_failure", "callback_vars": {}},
        ]);
        assert_eq!(
            told("t", &own),
            json!({
                "team_id": "t",
                "success_callbacks": ["langfuse", "otel"],
                "failure_callbacks": ["otel"],
                "callback_vars": {"langfuse_host": "h", "langfuse_secret_key": "***"},
            })
        );
        assert_eq!(told("t", &Value::Null)["success_callbacks"], json!([]));
    }
}
