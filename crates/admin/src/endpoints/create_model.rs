//! `POST /model/new`: one more deployment of a public model, on every node at once.

use std::sync::Arc;

use axum::response::Response;
use dunlin_config::{AddedModel, Judged};
use dunlin_router::Deployment;
use dunlin_state::{Kind, Resource, ResourceKind};
use serde_json::{Map, Value, json};
use tracing::info;

use super::ok;
use crate::changes::stored::{ModelContent, masked};
use crate::error::Error;
use crate::request::body::Body;
use crate::request::moment::iso;
use crate::request::naming;
use crate::request::values::{self, Wrong};
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::find;
use crate::{Admin, Published};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/model/new", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.storing().await?;
    let Sent { id, name, params, info, .. } = read(asked.body()?, true)?;
    let (id, name) = (id.unwrap_or_else(naming::draw_id), name.unwrap_or_default());
    refuse_if_in_file(&published, &id)?;
    let content = ModelContent { params, info };
    let warnings = check(&admin, &published, (&id, &name), &content).await?;
    let made = admin.make(&asked, (ResourceKind::Model, &id, &name), &content).await?;
    info!(model = made.name, deployment.id = made.id, "a model was created");
    Ok(ok(&shown(&made, &content, warnings)))
}

/// What a request says of a model.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sent {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) params: Map<String, Value>,
    pub(super) info: Map<String, Value>,
}

/// Reads a body; a new model needs a name and parameters.
pub(super) fn read(mut body: Body, is_new: bool) -> Result<Sent, Error> {
    const FIELDS: [&str; 3] = ["model_name", "litellm_params", "model_info"];
    let (name, params) = if is_new {
        let name = body.require("model_name", named);
        (Some(name), body.require("litellm_params", map))
    } else {
        let name = body.take("model_name", named).value();
        (name, body.take("litellm_params", map).value().unwrap_or_default())
    };
    let mut info = body.take("model_info", map).value().unwrap_or_default();
    for name in MADE_HERE {
        info.remove(name);
    }
    let id = match info.remove("id") {
        Some(Value::String(id)) if !id.is_empty() => Some(id),
        Some(Value::Number(id)) => Some(id.to_string()),
        None | Some(Value::Null) => None,
        Some(_) => {
            body.fault("model_info", values::senseless("`id` must be a text".to_owned()));
            None
        }
    };
    body.finish(FIELDS.into_iter())?;
    Ok(Sent { id, name, params, info })
}

/// Fields of `model_info` that are told by this node, and come back in what clients send.
const MADE_HERE: [&str; 5] = ["db_model", "created_at", "created_by", "updated_at", "updated_by"];

pub(super) fn map(value: &Value) -> Result<Map<String, Value>, Wrong> {
    values::object(value).cloned()
}

fn named(value: &Value) -> Result<String, Wrong> {
    let name = values::text(value)?;
    if name.trim().is_empty() { Err(values::senseless("is empty".to_owned())) } else { Ok(name) }
}

/// Refuses an id that a config file has taken.
pub(super) fn refuse_if_in_file(published: &Published, id: &str) -> Result<(), Error> {
    if is_in_file(published, id) {
        let reason = format!("a model of the config file has the id `{id}`");
        return Err(Error::Conflict { reason });
    }
    Ok(())
}

/// Whether a config file has a deployment of that id.
pub(super) fn is_in_file(published: &Published, id: &str) -> bool {
    let mut all = published.catalog.deployments();
    all.any(|known| *known.id.0 == *id && !known.about.added)
}

/// Refuses a model of a team that there is not.
fn check_team(admin: &Admin, info: &Map<String, Value>) -> Result<(), Error> {
    let team = info.get("team_id").and_then(Value::as_str).filter(|team| !team.is_empty());
    match team {
        Some(team) => find(&admin.0.consensus.state(), Kind::Team, team).map(drop),
        None => Ok(()),
    }
}

/// Judges a model by the config's rules, and asks where its calls would go. Gives what is odd.
pub(super) async fn check(
    admin: &Admin,
    published: &Published,
    (id, name): (&str, &str),
    content: &ModelContent,
) -> Result<Vec<String>, Error> {
    check_team(admin, &content.info)?;
    let (id, name) = (id.to_owned(), name.to_owned());
    let (params, info) = (content.params.clone(), content.info.clone());
    let judged = published.basis.judge(&AddedModel { id, name, params, info });
    let Judged { deployments, problems, warnings } = judged;
    if !problems.is_empty() {
        return Err(Error::BadField { name: "litellm_params", reason: problems.join("\n") });
    }
    refuse_addresses(admin, &deployments).await?;
    Ok(warnings)
}

/// Refuses deployments whose calls may not go where they would.
pub(super) async fn refuse_addresses(
    admin: &Admin,
    deployments: &[Arc<Deployment>],
) -> Result<(), Error> {
    for deployment in deployments {
        if let Err(refused) = admin.0.upstream.could_go(&deployment.target).await {
            let reason = format!(
                "api_base: {refused}; to allow more, list networks in \
                 general_settings.api_model_networks, or set the model in a config file [DL0123]"
            );
            return Err(Error::BadField { name: "litellm_params", reason });
        }
    }
    Ok(())
}

/// A model as answers show it.
pub(super) fn shown(model: &Resource, content: &ModelContent, warnings: Vec<String>) -> Value {
    let mut info = content.info.clone();
    info.insert("id".to_owned(), model.id.as_str().into());
    info.insert("db_model".to_owned(), true.into());
    let mut row = json!({
        "model_id": model.id,
        "model_name": model.name,
        "litellm_params": masked(&content.params),
        "model_info": info,
        "created_at": iso(model.created_at),
        "created_by": model.created_by,
        "updated_at": iso(model.updated_at),
        "updated_by": model.updated_by,
    });
    if !warnings.is_empty() {
        row["warnings"] = warnings.into();
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str, is_new: bool) -> Result<Sent, Error> {
        read(Body::parse(text.as_bytes())?, is_new)
    }

    #[test]
    fn a_new_model_needs_a_name_and_parameters_and_may_name_its_id() {
        let text = r#"{"model_name": "m", "litellm_params": {"model": "openai/a"},
            "model_info": {"id": 7, "mode": "chat", "db_model": true, "created_at": "x"}}"#;
        let read = sent(text, true).expect("a model");
        assert_eq!((read.id.as_deref(), read.name.as_deref()), (Some("7"), Some("m")));
        assert_eq!(Value::Object(read.info), json!({"mode": "chat"}), "the rest is told here");
        for text in [
            "{}",
            r#"{"model_name": "m"}"#,
            r#"{"model_name": " ", "litellm_params": {}}"#,
            r#"{"model_name": "m", "litellm_params": []}"#,
            r#"{"model_name": "m", "litellm_params": {}, "model_info": {"id": []}}"#,
            r#"{"model_name": "m", "litellm_params": {}, "modle_info": {}}"#,
        ] {
            assert!(matches!(sent(text, true), Err(Error::Invalid(_))), "{text}");
        }
        assert_eq!(sent("{}", false).expect("nothing is changed"), Sent::default());
    }

    #[test]
    fn a_row_shows_no_secret() {
        let params = map(&json!({"model": "openai/a", "api_key": "sk-0123456789"}));
        let Ok(params) = params else { panic!("an object") };
        let content = ModelContent { params, info: Map::new() };
        let row = shown(&Resource::default(), &content, vec!["odd".to_owned()]);
        assert!(!row.to_string().contains("0123456789"), "{row}");
        assert_eq!(
            (&row["model_info"]["db_model"], &row["warnings"]),
            (&json!(true), &json!(["odd"]))
        );
    }
}
