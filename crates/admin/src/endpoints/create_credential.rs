//! `POST /credentials`: values that models share by naming them, sealed at rest.

use axum::response::Response;
use dunlin_state::ResourceKind;
use serde_json::{Map, Value, json};
use tracing::info;

use super::create_model::map;
use super::ok;
use super::show_credentials::of_model;
use crate::changes::stored::{CredentialContent, added_credential};
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};
use crate::{Admin, Published};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/credentials", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.storing().await?;
    let Sent { name, values, info, model } = read(asked.body()?)?;
    let values = match (model, values) {
        (Some(model), _) => of_model(&admin, &published, &model).await?.1,
        (None, Some(values)) => values,
        (None, None) => {
            let reason = "Credential values are required. Unable to infer credential values from \
                          model ID.";
            return Err(Error::BadField { name: "credential_values", reason: reason.to_owned() });
        }
    };
    let content = CredentialContent { values, info };
    check(&published, &name, &content)?;
    let (kind, id) = (ResourceKind::Credential, name.as_str());
    admin.make(&asked, (kind, id, id), &content).await?;
    info!(credential.name = name, "a credential was created");
    Ok(ok(&json!({"success": true, "message": "Credential created successfully"})))
}

/// What a request says of a credential.
#[derive(Debug, Default)]
struct Sent {
    name: String,
    values: Option<Map<String, Value>>,
    info: Map<String, Value>,
    /// The model whose values they are.
    model: Option<String>,
}

fn read(mut body: Body) -> Result<Sent, Error> {
    const FIELDS: [&str; 4] =
        ["credential_name", "credential_values", "credential_info", "model_id"];
    let name = body.require("credential_name", values::text);
    if name.trim().is_empty() {
        body.refuse("credential_name", "is empty".to_owned());
    }
    let values = body.take("credential_values", map).value();
    let info = body.take("credential_info", map).value().unwrap_or_default();
    let model = body.take("model_id", values::text).value().filter(|model| !model.is_empty());
    body.finish(FIELDS.into_iter())?;
    Ok(Sent { name, values, info, model })
}

/// Refuses what models could not use.
pub(super) fn check(
    published: &Published,
    name: &str,
    content: &CredentialContent,
) -> Result<(), Error> {
    if published.basis.has_credential(name) {
        let reason = format!("credential `{name}` is in the config file: change it there");
        return Err(Error::Conflict { reason });
    }
    let problems = published.basis.judge_credential(&added_credential(name, content));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::BadField { name: "credential_values", reason: problems.join("\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_a_name_and_maps() {
        let of = |text: &str| read(Body::parse(text.as_bytes()).expect("an object"));
        let text = r#"{"credential_name": "c", "credential_values": {"api_key": "k"}}"#;
        let sent = of(text).expect("a credential");
        assert_eq!((sent.name.as_str(), sent.values.map(|values| values.len())), ("c", Some(1)));
        for text in ["{}", r#"{"credential_name": "c", "credential_values": "k"}"#] {
            assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
        }
        assert!(matches!(of(r#"{"credential_name": " "}"#), Err(Error::BadField { .. })));
    }
}
