//! `GET /config/list` and `/router/settings`: the settings that are in force in this version, what each
//! does and what it is set to.

use axum::response::Response;
use dunlin_config::{Document, GENERAL_FIELDS, ROUTER_FIELDS, SettingField};
use serde_json::{Map, Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Request, Routes, Who};

const GENERAL: &str = "general_settings";

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/config/list", Who::Viewers, list).get("/router/settings", Who::Viewers, router)
}

async fn list(admin: Admin, asked: Request) -> Result<Response, Error> {
    if let Some(other) = asked.param("config_type").filter(|other| *other != GENERAL) {
        let reason = format!("config_type is `{other}`, not `{GENERAL}`");
        return Err(Error::BadField { name: "config_type", reason });
    }
    let read = admin.read().await;
    let set = dunlin_config::shown_section(&admin.newest_config(&read.state)?, GENERAL);
    let rows: Vec<_> = GENERAL_FIELDS.iter().map(|field| row(field, set.get(field.name))).collect();
    Ok(ok_as_of(&read, &rows))
}

fn row(field: &SettingField, set: Option<&Value>) -> Value {
    json!({
        "field_name": field.name,
        "field_type": field.kind.name(),
        "field_description": field.about,
        "field_value": set,
        "stored_in_db": set.map(|_| true),
        "field_default_value": default(field),
        "premium_field": false,
        "nested_fields": null,
        "field_options": options(field),
        "source": if set.is_some() { "db" } else { "unset" },
        "editable": field.of_files().is_none(),
    })
}

async fn router(admin: Admin, _: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let set = router_values(&admin.newest_config(&read.state)?);
    let fields: Vec<_> =
        ROUTER_FIELDS.iter().map(|field| form(field, set.get(field.name))).collect();
    let told = json!({
        "fields": fields,
        "current_values": set,
        "routing_strategy_descriptions": strategies(),
    });
    Ok(ok_as_of(&read, &told))
}

/// What the router is told: `litellm_settings` may say it too, and `router_settings` wins.
pub(super) fn router_values(document: &Document) -> Map<String, Value> {
    let elsewhere = dunlin_config::shown_section(document, "litellm_settings");
    let known = |name: &String| ROUTER_FIELDS.iter().any(|field| field.name == name);
    let mut set: Map<_, _> =
        elsewhere.into_iter().filter(|(name, value)| known(name) && !value.is_null()).collect();
    let own = dunlin_config::shown_section(document, "router_settings");
    set.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
    set
}

fn form(field: &SettingField, set: Option<&Value>) -> Value {
    json!({
        "field_name": field.name,
        "field_type": field.kind.name(),
        "field_value": set,
        "field_description": field.about,
        "field_default": default(field),
        "options": options(field),
        "ui_field_name": title(field.name),
        "link": null,
    })
}

fn default(field: &SettingField) -> Value {
    serde_json::from_str(field.default).expect("defaults are JSON")
}

fn options(field: &SettingField) -> Option<&'static [&'static str]> {
    Some(field.options).filter(|options| !options.is_empty())
}

/// `num_retries` as `Num Retries`.
fn title(name: &str) -> String {
    let word = |word: &str| {
        let (head, tail) = word.split_at(usize::from(!word.is_empty()));
        head.to_uppercase() + tail
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

/// How each strategy picks here.
fn strategies() -> Value {
    json!({
        "cost-based-routing": "The deployment whose tokens cost least.",
        "latency-based-routing": "The deployment that has answered fastest of late.",
        "least-busy": "The deployment with the fewest requests in flight on all nodes together.",
        "simple-shuffle": "Any deployment, by weight if weights are set.",
        "usage-based-routing": "The deployment that has used least of its limits.",
        "usage-based-routing-v2": "The deployment that has used least of its limits.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_as_forms_show_them() {
        let text = "router_settings: {num_retries: 3}\nlitellm_settings: {num_retries: 9, fallbacks: [], drop_params: true}\n";
        let (document, _) = dunlin_config::gather("c.yaml", &mut |_| Ok(text.to_owned()));
        let set = router_values(&document);
        assert_eq!(Value::Object(set), json!({"num_retries": 3, "fallbacks": []}));
        let field = ROUTER_FIELDS.iter().find(|field| field.name == "num_retries").expect("known");
        let told = form(field, Some(&json!(3)));
        let shown = (&told["ui_field_name"], &told["field_value"], &told["field_default"]);
        assert_eq!(shown, (&json!("Num Retries"), &json!(3), &json!(2)));
        let master = GENERAL_FIELDS.iter().find(|field| field.name == "master_key").expect("known");
        let told = row(master, None);
        assert_eq!((&told["stored_in_db"], &told["editable"]), (&Value::Null, &json!(false)));
    }
}
