//! `GET /credentials`, `/credentials/by_name/{name}` and `/credentials/by_model/{id}`: what there is,
//! without the secrets.

use axum::response::Response;
use dunlin_state::{Resource, ResourceKind};
use serde_json::{Map, Value, json};

use super::{ok, ok_as_of};
use crate::changes::stored::{CredentialContent, ModelContent, masked};
use crate::error::Error;
use crate::routes::{Request, Routes, Who};
use crate::{Admin, Published};

/// The parameters of a model that make up a credential, as LiteLLM has it.
const CREDENTIAL_FIELDS: [&str; 18] = [
    "api_base",
    "api_key",
    "api_version",
    "aws_access_key_id",
    "aws_bedrock_runtime_endpoint",
    "aws_region_name",
    "aws_role_name",
    "aws_secret_access_key",
    "aws_session_name",
    "aws_session_token",
    "azure_ad_token",
    "client_id",
    "client_secret",
    "region_name",
    "tenant_id",
    "vertex_credentials",
    "vertex_location",
    "vertex_project",
];

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/credentials", Who::Admins, list)
        .get("/credentials/by_name/{*name}", Who::Admins, by_name)
        .get("/credentials/by_model/{id}", Who::Admins, by_model)
}

async fn list(admin: Admin, _: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let all = read.state.resources(ResourceKind::Credential);
    let rows =
        all.map(|one| Ok(shown(one, &admin.open(one)?))).collect::<Result<Vec<_>, Error>>()?;
    Ok(ok_as_of(&read, &json!({"success": true, "credentials": rows})))
}

async fn by_name(admin: Admin, asked: Request) -> Result<Response, Error> {
    let name = asked.named.unwrap_or_default();
    let read = admin.read().await;
    let unknown =
        || Error::NotFound { reason: format!("Credential not found. Got credential name: {name}") };
    let found = read.state.resource(ResourceKind::Credential, &name).ok_or_else(unknown)?;
    Ok(ok_as_of(&read, &shown(found, &admin.open(found)?)))
}

async fn by_model(admin: Admin, asked: Request) -> Result<Response, Error> {
    let id = asked.named.unwrap_or_default();
    let (name, values) = of_model(&admin, &*admin.settings()?, &id).await?;
    Ok(ok(&json!({
        "credential_name": format!("{name}-credential-{id}"),
        "credential_values": masked(&values),
        "credential_info": {},
    })))
}

/// The public name of a model set over the API, and the values by which it is called.
pub(super) async fn of_model(
    admin: &Admin,
    published: &Published,
    id: &str,
) -> Result<(String, Map<String, Value>), Error> {
    let state = admin.read().await.state;
    let Some(model) = state.resource(ResourceKind::Model, id) else {
        let in_file = super::create_model::is_in_file(published, id);
        let why = if in_file { ": it and its values are in the config file" } else { "" };
        return Err(Error::NotFound { reason: format!("Model not found{why}") });
    };
    let content: ModelContent = admin.open(model)?;
    Ok((model.name.clone(), values_of(&content)))
}

fn values_of(content: &ModelContent) -> Map<String, Value> {
    let is_part = |(name, _): &(&String, &Value)| CREDENTIAL_FIELDS.contains(&name.as_str());
    let parts = content.params.iter().filter(is_part);
    parts.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn shown(credential: &Resource, content: &CredentialContent) -> Value {
    json!({
        "credential_name": credential.name,
        "credential_values": masked(&content.values),
        "credential_info": content.info,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_shown_without_its_secret_and_a_models_is_what_calls_need() {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let values = object(json!({"api_key": "sk-0123456789", "api_base": "http://h"}));
        let content = CredentialContent { values, info: Map::new() };
        let told = shown(&Resource { name: "c".to_owned(), ..Resource::default() }, &content);
        assert_eq!(
            told["credential_values"],
            json!({"api_key": "sk****89", "api_base": "http://h"})
        );
        let params = object(json!({"model": "openai/a", "api_key": "k", "rpm": 5}));
        let content = ModelContent { params, info: Map::new() };
        assert_eq!(Value::Object(values_of(&content)), json!({"api_key": "k"}));
    }
}
