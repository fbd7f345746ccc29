//! `POST /model/update` and `PATCH /model/{id}/update`: changes the parameters that are sent.

use std::sync::Arc;

use axum::response::Response;
use dunlin_state::{Resource, ResourceKind};
use tracing::info;

use super::create_model::{Sent, check, is_in_file, read, shown};
use super::ok;
use crate::changes::stored::{MAX_OVERTAKEN, ModelContent, merge, overtaken};
use crate::error::Error;
use crate::routes::{PATCH, Request, Routes, Who};
use crate::{Admin, Published};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/model/update", Who::Admins, |admin, asked| handle(admin, asked, false)).add(
        PATCH,
        "/model/{id}/update",
        Who::Admins,
        |admin, asked| handle(admin, asked, true),
    )
}

/// By PATCH a null clears a parameter; by the older way it is as good as not sent.
async fn handle(admin: Admin, asked: Request, null_clears: bool) -> Result<Response, Error> {
    let sent = read(asked.body()?, false)?;
    let id = asked.named.clone().or_else(|| sent.id.clone());
    let missing =
        || Error::BadField { name: "model_info", reason: "model_info.id not provided".to_owned() };
    let id = id.ok_or_else(missing)?;
    let (changed, warnings) = alter(&admin, &asked, &id, &sent, null_clears).await?;
    info!(model = changed.name, deployment.id = changed.id, "a model was changed");
    let content: ModelContent = admin.open(&changed)?;
    Ok(ok(&shown(&changed, &content, warnings)))
}

/// Adds what is sent to a model.
pub(super) async fn alter(
    admin: &Admin,
    asked: &Request,
    id: &str,
    sent: &Sent,
    null_clears: bool,
) -> Result<(Arc<Resource>, Vec<String>), Error> {
    let published = admin.storing().await?;
    refuse_those_of_files(&published, id)?;
    for _ in 0..MAX_OVERTAKEN {
        let before = admin.kept(ResourceKind::Model, id).await?;
        let mut content: ModelContent = admin.open(&before)?;
        let name = sent.name.clone().unwrap_or_else(|| before.name.clone());
        merge(&mut content.params, sent.params.clone(), null_clears);
        merge(&mut content.info, sent.info.clone(), null_clears);
        let warnings = check(admin, &published, (id, &name), &content).await?;
        if let Some(changed) = admin.replace(asked, &before, name, &content).await? {
            return Ok((changed, warnings));
        }
    }
    Err(overtaken(ResourceKind::Model, id))
}

/// A file is changed where it is.
pub(super) fn refuse_those_of_files(published: &Published, id: &str) -> Result<(), Error> {
    if !is_in_file(published, id) {
        return Ok(());
    }
    // LiteLLM's words.
    let reason = "{'error': \"Can't edit model. Model in config. Store model in db via \
                  `/model/new`. to edit.\"}";
    Err(Error::BadField { name: "model_info", reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use dunlin_config::{Document, Environment, Options, Provider};

    use super::*;

    #[test]
    fn a_model_of_a_file_is_changed_in_the_file() {
        let text = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/a}\n    \
                    model_info: {id: in-file}\n";
        let (document, _): (Document, _) =
            dunlin_config::gather("c.yaml", &mut |_| Ok(text.to_owned()));
        let provider = Provider {
            id: "openai",
            default_base: Some("https://api.openai.com/v1"),
            ..Provider::default()
        };
        let options = Options { providers: vec![provider], ..Options::default() };
        let loaded = dunlin_config::load(&document, &Environment::default(), &options);
        let loaded = loaded.loaded.expect("loaded");
        let (catalog, basis) = (loaded.catalog.into(), loaded.basis);
        let settings = crate::Settings::default();
        let published = Published { revision: 1, catalog, basis, settings };
        let refused = refuse_those_of_files(&published, "in-file").expect_err("a file's");
        assert!(refused.told().contains("Model in config"), "{refused}");
        assert!(refuse_those_of_files(&published, "another").is_ok());
    }
}
