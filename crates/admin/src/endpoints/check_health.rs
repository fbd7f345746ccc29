//! `GET /health`: calls the models and tells which of them answer.

use std::sync::Arc;

use axum::response::Response;
use dunlin_router::{Access, Catalog, Deployment, NoRoute};
use futures::future::join_all;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::health::checks::{Asker, Verdict};
use crate::request::moment::iso;
use crate::routes::{Request, Routes, Who};

/// What is shown of `litellm_params`: where and how a deployment is called.
const SHOWN: [&str; 10] = [
    "api_version",
    "aws_region_name",
    "custom_llm_provider",
    "model",
    "region_name",
    "rpm",
    "tpm",
    "vertex_location",
    "vertex_project",
    "watsonx_region_name",
];
/// Of these, what only those see who see everything; the address is one, too.
const HIDDEN: [&str; 1] = ["api_version"];
const NOTICE: HeaderName = HeaderName::from_static("litellm-health-field-notice");

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/health", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let caller = &asked.caller;
    let bearer = caller.bearer().filter(|_| !caller.sees_all());
    let access = bearer.map(|bearer| bearer.caller.access());
    let (model, id) = (asked.param("model"), asked.param("model_id"));
    let wanted = wanted(&published.catalog, access, model, id)?;
    let by = caller.maker();
    let asker = Asker::of(caller, &by);
    let found = join_all(wanted.iter().map(|whom| admin.check(whom, asker))).await;
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    for (whom, verdict) in wanted.iter().zip(&found) {
        let side = if verdict.fault.is_none() { &mut healthy } else { &mut unhealthy };
        side.push(row(whom, verdict, bearer.is_none()));
    }
    let mut response = ok(&json!({
        "healthy_count": healthy.len(),
        "unhealthy_count": unhealthy.len(),
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
    }));
    if bearer.is_some() {
        let notice = HeaderValue::from_static("api_base and api_version are shown to admins only");
        response.headers_mut().insert(NOTICE, notice);
    }
    Ok(response)
}

/// The deployments that are meant, of those that the caller may call.
pub(super) fn wanted(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    model: Option<&str>,
    id: Option<&str>,
) -> Result<Vec<Arc<Deployment>>, Error> {
    let groups = catalog.groups.values();
    let open = groups.filter(|group| dunlin_router::group(catalog, access, &group.name).is_ok());
    let all: Vec<_> = open.flat_map(|group| group.deployments.iter().cloned()).collect();
    if let Some(id) = id {
        let found: Vec<_> = all.into_iter().filter(|one| *one.id.0 == *id).collect();
        let none = || Error::NotFound { reason: format!("Model with ID {id} not found") };
        return if found.is_empty() { Err(none()) } else { Ok(found) };
    }
    let Some(model) = model else { return Ok(all) };
    match dunlin_router::group(catalog, access, model) {
        Ok(group) => return Ok(group.deployments.clone()),
        Err(NoRoute::NotAllowed { .. } | NoRoute::Unknown { .. } | NoRoute::OutOfRegion { .. }) => {
        }
    }
    let upstream = |one: &Deployment| {
        let below = model.strip_prefix(&*one.provider).and_then(|rest| rest.strip_prefix('/'));
        below.unwrap_or(model) == &*one.target.model
    };
    let names: Vec<Arc<str>> = all.iter().map(|one| Arc::clone(&one.group)).collect();
    let found: Vec<_> = all.into_iter().filter(|one| upstream(one)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let near = names.iter().min_by_key(|name| strsim::osa_distance(name, model));
    let near = near.filter(|name| strsim::osa_distance(name, model) <= 2);
    let hint = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Err(Error::NotFound { reason: format!("Model {model} not found{hint}") })
}

/// What is told of one deployment. No credential is in it.
pub(super) fn row(whom: &Deployment, verdict: &Verdict, sees_all: bool) -> Map<String, Value> {
    let params: Map<String, Value> =
        serde_json::from_str(whom.about.params.get()).expect("it was written as an object");
    let shown = |name: &String| {
        SHOWN.contains(&name.as_str()) && (sees_all || !HIDDEN.contains(&name.as_str()))
    };
    let mut row: Map<String, Value> = params.into_iter().filter(|(name, _)| shown(name)).collect();
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    let base = whom.backend.api_base();
    if sees_all && !base.is_empty() {
        put("api_base", base.into());
    }
    put("mode", (&*whom.about.mode).into());
    put("model_id", (&*whom.id.0).into());
    put("model_name", (&*whom.group).into());
    put("checked_at", iso(verdict.at).into());
    put("response_time_ms", json!(verdict.took.as_secs_f64() * 1000.0));
    for (name, value) in &verdict.told {
        put(name, value.as_str().into());
    }
    if let Some(fault) = &verdict.fault {
        put("error", fault.message.as_str().into());
        put("exception_status", fault.status.into());
    }
    row
}

#[cfg(test)]
mod tests {
    use dunlin_router::Group;

    use super::*;
    use crate::health::checks::tests::verdict;

    fn catalog() -> Catalog {
        let one = crate::health::checks::tests::deployment("openai/x", "");
        let group = Group { name: "m".into(), deployments: vec![one] };
        Catalog { groups: [("m".into(), group)].into(), ..Catalog::default() }
    }

    #[test]
    fn a_row_shows_no_secret_and_no_address_to_those_who_may_not_see_it() {
        let whom = crate::health::checks::tests::deployment("openai/x", "");
        let ill = verdict(Some("no answer"));
        let all = Value::Object(row(&whom, &ill, true));
        let text = all.to_string();
        assert!(!text.contains("sk-secret") && !text.contains("word"), "{text}");
        assert_eq!(all["api_base"], "http://h/v1");
        assert_eq!((&all["model"], &all["rpm"]), (&json!("openai/x"), &json!(7)));
        assert_eq!((&all["error"], &all["model_id"]), (&json!("no answer"), &json!("d")));
        let less = row(&whom, &verdict(None), false);
        assert!(!less.contains_key("api_base") && !less.contains_key("error"), "{less:?}");
    }

    #[test]
    fn models_are_meant_by_any_of_their_names_and_a_slip_is_told() {
        let catalog = catalog();
        let of = |model, id| wanted(&catalog, None, model, id).map(|found| found.len());
        for (model, id) in [
            (None, None),
            (Some("m"), None),
            (Some("x"), None),
            (Some("openai/x"), None),
            (None, Some("d")),
        ] {
            assert_eq!(of(model, id).ok(), Some(1), "{model:?} {id:?}");
        }
        let Err(Error::NotFound { reason }) = of(Some("mm"), None) else { panic!("no such model") };
        assert_eq!(reason, "Model mm not found; did you mean `m`?");
        assert!(matches!(of(None, Some("m")), Err(Error::NotFound { .. })));
    }

    #[test]
    fn a_key_has_only_those_checked_that_it_may_call() {
        let (models, none) = (vec!["other".to_owned()], std::collections::BTreeMap::new());
        let access = Some(Access::of(&models, &none));
        let catalog = catalog();
        assert_eq!(wanted(&catalog, access, None, None).map(|found| found.len()).ok(), Some(0));
        for (model, id) in [(Some("m"), None), (Some("openai/x"), None), (None, Some("d"))] {
            assert!(wanted(&catalog, access, model, id).is_err(), "{model:?} {id:?}");
        }
    }
}
