//! `PATCH /credentials/{name}`: changes the values that are sent.

use axum::response::Response;
use dunlin_state::ResourceKind;
use serde_json::{Map, Value, json};
use tracing::info;

use super::create_credential::check;
use super::create_model::map;
use super::ok;
use crate::Admin;
use crate::changes::stored::{CredentialContent, MAX_OVERTAKEN, merge, overtaken};
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{PATCH, Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.add(PATCH, "/credentials/{*name}", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.storing().await?;
    let name = asked.named.clone().unwrap_or_default();
    let (values, info) = read(asked.body()?, &name)?;
    for _ in 0..MAX_OVERTAKEN {
        let before = admin.kept(ResourceKind::Credential, &name).await?;
        let mut content: CredentialContent = admin.open(&before)?;
        merge(&mut content.values, values.clone(), true);
        merge(&mut content.info, info.clone(), true);
        check(&published, &name, &content)?;
        if admin.replace(&asked, &before, name.clone(), &content).await?.is_some() {
            info!(credential.name = name, "a credential was changed");
            let message = "Credential updated successfully";
            return Ok(ok(&json!({"success": true, "message": message})));
        }
    }
    Err(overtaken(ResourceKind::Credential, &name))
}

type Values = Map<String, Value>;

fn read(mut body: Body, name: &str) -> Result<(Values, Values), Error> {
    let sent = body.take("credential_name", values::text).value();
    if sent.is_some_and(|sent| sent != name) {
        let reason = "a credential cannot be renamed: models refer to its name".to_owned();
        body.refuse("credential_name", reason);
    }
    let values = body.take("credential_values", map).value().unwrap_or_default();
    let info = body.take("credential_info", map).value().unwrap_or_default();
    body.finish(["credential_name", "credential_values", "credential_info"].into_iter())?;
    Ok((values, info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_change_and_the_name_stays() {
        let of = |text: &str| read(Body::parse(text.as_bytes()).expect("an object"), "c");
        let text = r#"{"credential_name": "c", "credential_values": {"api_key": "k"}}"#;
        assert_eq!(of(text).expect("values").0.len(), 1);
        let renamed = of(r#"{"credential_name": "d"}"#);
        assert!(matches!(renamed, Err(Error::BadField { name: "credential_name", .. })));
    }
}
