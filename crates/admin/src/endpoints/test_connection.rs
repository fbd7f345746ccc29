//! `POST /health/test_connection`: whether a model that is configured, or that might be, answers.

use std::sync::Arc;

use axum::response::Response;
use dunlin_config::{AddedModel, Judged};
use dunlin_router::{Catalog, Deployment};
use serde_json::{Value, json};

use super::check_health::row;
use super::create_model::{map, refuse_addresses};
use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::health::checks::Asker;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/health/test_connection", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let sent = read(asked.body()?)?;
    let whom = match configured(&published.catalog, &sent) {
        Some(whom) => whom,
        None => {
            let Judged { deployments, problems, .. } = published.basis.judge(&sent);
            if !problems.is_empty() {
                let reason = problems.join("\n");
                return Err(Error::BadField { name: "litellm_params", reason });
            }
            refuse_addresses(&admin, &deployments).await?;
            let first = deployments.into_iter().next();
            first.expect("a model without problems has a deployment")
        }
    };
    let by = asked.caller.maker();
    let verdict = admin.check_now(&whom, Asker::of(&asked.caller, &by)).await;
    let status = if verdict.fault.is_none() { "success" } else { "error" };
    Ok(ok(&json!({"status": status, "result": row(&whom, &verdict, true)})))
}

/// The model that is to be tested, as if it was to be made.
fn read(mut body: Body) -> Result<AddedModel, Error> {
    let params = body.require("litellm_params", map);
    let mut info = body.take("model_info", map).value().unwrap_or_default();
    if let Some(mode) = body.take("mode", values::text).value() {
        info.insert("mode".to_owned(), mode.into());
    }
    let name = params.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.is_empty() {
        let needed = values::senseless("`model` must be a text".to_owned());
        body.fault("litellm_params", needed);
    }
    body.finish(["litellm_params", "mode", "model_info"].into_iter())?;
    Ok(AddedModel { id: naming::draw_id(), name, params, info })
}

/// The configured deployment, if the request names only a model and it exists. Its credential goes
/// only to its own address: a request that says more about a model must say everything.
fn configured(catalog: &Catalog, sent: &AddedModel) -> Option<Arc<Deployment>> {
    if sent.params.len() > 1 {
        return None;
    }
    let mut found = super::check_health::wanted(catalog, None, Some(&sent.name), None).ok()?;
    found.truncate(1);
    let mut whom = found.pop()?;
    if let Some(mode) = sent.info.get("mode").and_then(Value::as_str) {
        let changed = Arc::make_mut(&mut whom);
        Arc::make_mut(&mut changed.about).mode = mode.into();
    }
    Some(whom)
}

#[cfg(test)]
mod tests {
    use dunlin_router::Group;

    use super::*;

    fn sent(text: &str) -> Result<AddedModel, Error> {
        read(Body::parse(text.as_bytes())?)
    }

    #[test]
    fn a_configured_model_is_tested_as_it_is_and_lends_its_key_to_no_other_address() {
        let one = crate::health::checks::tests::deployment("openai/x", "");
        let group = Group { name: "m".into(), deployments: vec![one] };
        let catalog = Catalog { groups: [("m".into(), group)].into(), ..Catalog::default() };
        let of = |text: &str| configured(&catalog, &sent(text).expect("a model"));
        for name in ["m", "openai/x"] {
            let found = of(&format!(r#"{{"litellm_params": {{"model": "{name}"}}}}"#));
            assert!(found.is_some_and(|one| one.target.api_key.is_some()), "{name}");
        }
        let asked = r#"{"litellm_params": {"model": "m"}, "mode": "embedding"}"#;
        assert!(of(asked).is_some_and(|one| &*one.about.mode == "embedding"));
        let elsewhere = r#"{"litellm_params": {"model": "m", "api_base": "http://evil"}}"#;
        assert!(of(elsewhere).is_none());
        assert!(of(r#"{"litellm_params": {"model": "other"}}"#).is_none());
    }

    #[test]
    fn a_test_needs_a_model() {
        for text in ["{}", r#"{"litellm_params": {}}"#, r#"{"litellm_params": {"model": 5}}"#] {
            assert!(matches!(sent(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
