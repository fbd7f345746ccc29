//! `POST /fallback`, `GET` and `DELETE /fallback` and `/fallback/{model}`: the models that are
//! tried when one fails. Each change is a new config revision.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::Response;
use dunlin_config::{Document, Edit};
use dunlin_router::Catalog;
use serde_json::{Value, json};

use super::{ok, ok_as_of};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{DELETE, Request, Routes, Who};

/// LiteLLM's types and the settings that hold them.
const TYPES: [(&str, &str); 3] = [
    ("general", "fallbacks"),
    ("context_window", "context_window_fallbacks"),
    ("content_policy", "content_policy_fallbacks"),
];
/// Stands for every model.
const ANY: &str = "*";

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/fallback", Who::Admins, set)
        .get("/fallback", Who::Viewers, show)
        .get("/fallback/{model}", Who::Viewers, show)
        .add(DELETE, "/fallback", Who::Admins, delete)
        .add(DELETE, "/fallback/{model}", Who::Admins, delete)
}

/// What a request says.
#[derive(Debug, PartialEq)]
struct Sent {
    model: String,
    models: Vec<String>,
    kind: &'static str,
}

async fn set(admin: Admin, asked: Request) -> Result<Response, Error> {
    let Sent { model, models, kind } = parse(asked.body()?)?;
    let published = admin.storing().await?;
    check(&published.catalog, &model, &models)?;
    let known = AtomicBool::new(false);
    let changed = admin.change_config(&asked, |document| {
        let (section, mut rules) = rules(document, kind);
        let old = rules.iter_mut().find(|rule| rule.get(&model).is_some());
        known.store(old.is_some(), Ordering::Relaxed);
        let rule = json!({ model.as_str(): models });
        match old {
            Some(old) => *old = rule,
            None => rules.push(rule),
        }
        Ok(vec![edit(section, kind, rules)])
    });
    let changed = changed.await?;
    let done = if known.load(Ordering::Relaxed) { "updated" } else { "created" };
    Ok(ok(&changed.told(json!({
        "model": model, "fallback_models": models, "fallback_type": kind,
        "message": format!("Fallback configuration {done} successfully"),
    }))))
}

async fn show(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (model, kind) = named(&asked)?;
    let read = admin.read().await;
    let document = admin.newest_config(&read.state)?;
    let Some(model) = model else {
        let kinds = TYPES
            .iter()
            .filter(|(known, _)| asked.param("fallback_type").is_none_or(|it| it == *known));
        let rows = kinds.flat_map(|(kind, _)| {
            let rules = rules(&document, kind).1;
            let rows = rules.iter().filter_map(Value::as_object).flatten();
            rows.map(|(model, targets)| told(model, targets, kind)).collect::<Vec<_>>()
        });
        return Ok(ok_as_of(&read, &json!({"fallbacks": rows.collect::<Vec<_>>()})));
    };
    let rules = rules(&document, kind).1;
    let targets = rules.iter().find_map(|rule| rule.get(&model));
    let targets = targets.ok_or_else(|| none(&model, kind))?;
    Ok(ok_as_of(&read, &told(&model, targets, kind)))
}

async fn delete(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (model, kind) = named(&asked)?;
    let missing =
        || Error::BadField { name: "model", reason: "name the model: /fallback/MODEL".to_owned() };
    let model = model.ok_or_else(missing)?;
    let changed = admin.change_config(&asked, |document| {
        let (section, mut rules) = rules(document, kind);
        let before = rules.len();
        rules.retain(|rule| rule.get(&model).is_none());
        if rules.len() == before {
            return Err(none(&model, kind));
        }
        Ok(vec![edit(section, kind, rules)])
    });
    Ok(ok(&changed.await?.told(json!({
        "model": model, "fallback_type": kind,
        "message": "Fallback configuration deleted successfully",
    }))))
}

fn told(model: &str, targets: &Value, kind: &str) -> Value {
    // A target may be a map that overrides more than the model.
    let name = |target: &Value| target.get("model").unwrap_or(target).clone();
    let models: Vec<_> = targets.as_array().into_iter().flatten().map(name).collect();
    json!({"model": model, "fallback_models": models, "fallback_type": kind})
}

fn none(model: &str, kind: &str) -> Error {
    Error::NotFound { reason: format!("No {kind} fallbacks configured for model '{model}'") }
}

fn setting(kind: &str) -> &'static str {
    TYPES.iter().find(|(known, _)| *known == kind).map_or(TYPES[0].1, |(_, setting)| setting)
}

/// The rules of a type, and the section that holds them.
fn rules(document: &Document, kind: &str) -> (&'static str, Vec<Value>) {
    let of = |section| {
        let found = dunlin_config::setting(document, &[section, setting(kind)]);
        found.and_then(|found| found.as_array().cloned()).map(|rules| (section, rules))
    };
    of("router_settings")
        .or_else(|| of("litellm_settings"))
        .unwrap_or(("router_settings", Vec::new()))
}

fn edit(section: &str, kind: &str, rules: Vec<Value>) -> Edit {
    let path = vec![section.to_owned(), setting(kind).to_owned()];
    Edit { path, value: Some(Value::from(rules)).filter(|rules| *rules != json!([])) }
}

fn parse(mut body: Body) -> Result<Sent, Error> {
    let model = body.require("model", values::text).trim().to_owned();
    let models = body.require("fallback_models", values::texts);
    let kind = body.take("fallback_type", values::text).value();
    let kind = kind.unwrap_or_else(|| TYPES[0].0.to_owned());
    let known = TYPES.iter().find(|(known, _)| *known == kind).map(|(known, _)| *known);
    if known.is_none() {
        let known = TYPES.map(|(known, _)| known).join(", ");
        body.fault("fallback_type", values::senseless(format!("`{kind}` is none of {known}")));
    }
    let mut unique = models.clone();
    unique.sort_unstable();
    unique.dedup();
    if body.has("model") && model.is_empty() {
        body.fault("model", values::senseless("model must be a non-empty string".to_owned()));
    }
    if models.len() != unique.len() {
        let told = "fallback_models must not contain duplicates".to_owned();
        body.fault("fallback_models", values::senseless(told));
    }
    body.finish(["model", "fallback_models", "fallback_type"].into_iter())?;
    if models.is_empty() {
        let reason =
            "fallback_models must contain at least one model; DELETE /fallback/MODEL removes all";
        return Err(Error::BadField { name: "fallback_models", reason: reason.to_owned() });
    }
    Ok(Sent { model, models, kind: known.unwrap_or(TYPES[0].0) })
}

/// The model and the type that path and query name.
fn named(asked: &Request) -> Result<(Option<String>, &'static str), Error> {
    let kind = asked.param("fallback_type").unwrap_or(TYPES[0].0);
    let known = TYPES.iter().find(|(known, _)| *known == kind);
    let (kind, _) = known.ok_or_else(|| Error::BadField {
        name: "fallback_type",
        reason: format!("`{kind}` is none of {}", TYPES.map(|(known, _)| known).join(", ")),
    })?;
    let model = asked.named.clone().or_else(|| asked.param("model").map(str::to_owned));
    Ok((model, kind))
}

/// Refuses models that there are not.
fn check(catalog: &Catalog, model: &str, models: &[String]) -> Result<(), Error> {
    let is_known =
        |name: &str| catalog.groups.contains_key(name) || catalog.aliases.contains_key(name);
    let meant = |name: &str| {
        let near =
            catalog.groups.keys().map(|known| (strsim::osa_distance(name, known), known)).min();
        let near = near.filter(|(distance, _)| *distance <= 2);
        near.map_or(String::new(), |(_, known)| format!("; did you mean `{known}`?"))
    };
    if model != ANY && !is_known(model) {
        let reason = format!("Model '{model}' not found in router{}", meant(model));
        return Err(Error::NotFound { reason });
    }
    let unknown: Vec<_> = models.iter().filter(|name| !is_known(name)).collect();
    if let Some(first) = unknown.first() {
        let reason = format!("Invalid fallback models: {unknown:?}{}", meant(first));
        return Err(Error::BadField { name: "fallback_models", reason });
    }
    if models.iter().any(|name| name == model) {
        let reason = format!("Model '{model}' cannot be its own fallback");
        return Err(Error::BadField { name: "fallback_models", reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_a_model_and_others_once() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        let sent =
            of(r#"{"model": " a ", "fallback_models": ["b"], "fallback_type": "context_window"}"#);
        let models = vec!["b".to_owned()];
        assert_eq!(
            sent.expect("a rule"),
            Sent { model: "a".to_owned(), models, kind: "context_window" }
        );
        for text in [
            r#"{"model": "a"}"#,
            r#"{"model": "a", "fallback_models": ["b", "b"]}"#,
            r#"{"model": "a", "fallback_models": ["b"], "fallback_type": "x"}"#,
        ] {
            assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
        }
        assert!(matches!(
            of(r#"{"model": "a", "fallback_models": []}"#),
            Err(Error::BadField { .. })
        ));
    }

    #[test]
    fn rules_are_changed_where_they_stand() {
        let of = |text: &str| {
            let (document, _) = dunlin_config::gather("c.yaml", &mut |_| Ok(text.to_owned()));
            rules(&document, "general")
        };
        let rule = || vec![json!({"a": ["b"]})];
        assert_eq!(of("litellm_settings: {fallbacks: [{a: [b]}]}"), ("litellm_settings", rule()));
        assert_eq!(of("router_settings: {fallbacks: [{a: [b]}]}"), ("router_settings", rule()));
        assert_eq!(of("{}"), ("router_settings", Vec::new()));
        assert_eq!(
            edit("router_settings", "general", Vec::new()).value,
            None,
            "the last one clears"
        );
        let shown = told("a", &json!(["b", {"model": "c", "temperature": 0}]), "general");
        assert_eq!(shown["fallback_models"], json!(["b", "c"]));
    }
}
