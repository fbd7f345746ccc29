//! `DELETE /credentials/{name}`. One that a model needs stays.

use axum::response::Response;
use dunlin_state::{ResourceKind, State};
use serde_json::json;
use tracing::info;

use super::ok;
use crate::Admin;
use crate::changes::stored::ModelContent;
use crate::error::Error;
use crate::routes::{DELETE, Request, Routes, Who};

/// So many of those who need a credential are named.
const MAX_NAMED: usize = 5;

pub(super) fn add(routes: Routes) -> Routes {
    routes.add(DELETE, "/credentials/{*name}", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    admin.storing().await?;
    let name = asked.named.clone().unwrap_or_default();
    let state = admin.read().await.state;
    let users = users(&state, &name, |resource| admin.open(resource))?;
    if !users.is_empty() {
        let named = users[..users.len().min(MAX_NAMED)].join(", ");
        let reason = format!(
            "credential `{name}` is in use by {} model(s): {named}; change or delete them first",
            users.len()
        );
        return Err(Error::Conflict { reason });
    }
    admin.unmake(&asked, ResourceKind::Credential, &name).await?;
    info!(credential.name = name, "a credential was deleted");
    Ok(ok(&json!({"success": true, "message": "Credential deleted successfully"})))
}

/// The models set over the API that name a credential.
fn users(
    state: &State,
    name: &str,
    open: impl Fn(&dunlin_state::Resource) -> Result<ModelContent, Error>,
) -> Result<Vec<String>, Error> {
    let mut users = Vec::new();
    for model in state.resources(ResourceKind::Model) {
        let named = open(model)?.params.remove("litellm_credential_name");
        if named.as_ref().and_then(serde_json::Value::as_str) == Some(name) {
            users.push(format!("`{}` ({})", model.name, model.id));
        }
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, Resource};
    use serde_json::Map;

    use super::*;

    #[test]
    fn those_who_need_it_are_found() {
        let model = |id: &str| Resource {
            id: id.to_owned(),
            name: "chat".to_owned(),
            ..Resource::default()
        };
        let made = ["a", "b"].map(|id| Command::CreateResource { resource: Box::new(model(id)) });
        let state = crate::rows::row::tests::state_after(made);
        let open = |resource: &Resource| {
            let name = if resource.id == "a" { "c" } else { "other" };
            let params = Map::from_iter([("litellm_credential_name".to_owned(), name.into())]);
            Ok(ModelContent { params, info: Map::new() })
        };
        assert_eq!(users(&state, "c", open).expect("opened"), ["`chat` (a)"]);
    }
}
