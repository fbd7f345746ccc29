//! `POST /config/field/update` and `/config/field/delete`, `GET /config/field/info`: one setting.
//! `config_type` may name any of the three sections, and a name may lead into a setting that is a map:
//! `retry_policy.TimeoutErrorRetries`.

use axum::response::Response;
use dunlin_config::Edit;
use dunlin_state::Change;
use serde_json::{Map, Value, json};

use super::list_settings::router_values;
use super::{ok, ok_as_of};
use crate::Admin;
use crate::changes::config_change::Changed;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

const ROUTER: &str = "router_settings";
const SECTIONS: [&str; 3] = ["general_settings", "litellm_settings", ROUTER];

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/config/field/update", Who::Admins, update)
        .post("/config/field/delete", Who::Admins, delete)
        .get("/config/field/info", Who::Viewers, info)
}

async fn update(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (section, edit) = parse(asked.body()?, true)?;
    let changed = admin.change_config(&asked, |_| Ok(vec![edit.clone()])).await?;
    Ok(ok(&row(changed, &section)))
}

async fn delete(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (section, edit) = parse(asked.body()?, false)?;
    let name = edit.path[1..].join(".");
    let deleted = admin.change_config(&asked, |document| {
        let path: Vec<_> = edit.path.iter().map(String::as_str).collect();
        if dunlin_config::setting(document, &path).is_none() {
            let reason = format!("Field name={name} not in config: {section}.{name} is not set");
            return Err(Error::BadField { name: "field_name", reason });
        }
        Ok(vec![edit.clone()])
    });
    Ok(ok(&row(deleted.await?, &section)))
}

/// LiteLLM's row of the section.
fn row(changed: Changed, section: &str) -> Value {
    let value = dunlin_config::shown_section(&changed.document, section);
    changed.told(json!({"param_name": section, "param_value": value}))
}

fn parse(mut body: Body, is_set: bool) -> Result<(String, Edit), Error> {
    let section = match body.take("config_type", values::text) {
        Change::Set(section) => section,
        Change::Keep | Change::Clear => SECTIONS[0].to_owned(),
    };
    let name = body.require("field_name", values::text);
    check(&mut body, &section, &name);
    let mut value = None;
    if is_set {
        if !body.has("field_value") {
            body.require("field_value", values::text);
        }
        value = match body.take_raw("field_value") {
            Change::Set(raw) => serde_json::from_str(raw.get()).ok(),
            Change::Keep | Change::Clear => None,
        };
    }
    body.finish(["config_type", "field_name", "field_value"].into_iter())?;
    let path =
        std::iter::once(section.as_str()).chain(name.split('.')).map(str::to_owned).collect();
    Ok((section, Edit { path, value }))
}

fn check(body: &mut Body, section: &str, name: &str) {
    if !SECTIONS.contains(&section) {
        body.refuse("config_type", no_settings(section));
    }
    if name.is_empty() {
        body.refuse("field_name", "field_name is not a setting".to_owned());
    }
}

async fn info(admin: Admin, asked: Request) -> Result<Response, Error> {
    let section = asked.param("config_type").unwrap_or(SECTIONS[0]);
    let known = SECTIONS.iter().find(|known| **known == section);
    let section = *known
        .ok_or_else(|| Error::BadField { name: "config_type", reason: no_settings(section) })?;
    let read = admin.read().await;
    let document = admin.newest_config(&read.state)?;
    let shown = match section {
        ROUTER => router_values(&document),
        _ => dunlin_config::shown_section(&document, section),
    };
    let Some(name) = asked.param("field_name") else {
        let told = json!({"field_name": section, "field_value": shown});
        return Ok(ok_as_of(&read, &told));
    };
    let value = lookup(&shown, name);
    let value = value
        .ok_or_else(|| Error::BadField { name: "field_name", reason: unset(section, name) })?;
    let told = json!({
        "field_name": name, "field_value": value, "source": "db",
        "editable": dunlin_config::of_files(name).is_none(),
    });
    Ok(ok_as_of(&read, &told))
}

/// What is said of a section whose settings are not read or set one by one.
fn no_settings(section: &str) -> String {
    match dunlin_config::of_no_settings(section) {
        Some(why) => format!("`{section}` has no settings that can be read or set here: {why}"),
        None => format!("config_type is `{section}`, not one of {}", SECTIONS.join(", ")),
    }
}

fn lookup<'v>(section: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let mut names = name.split('.');
    let first = section.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// What holds for a setting that is not set, as far as it is known.
fn unset(section: &str, name: &str) -> String {
    let fields = match section {
        "general_settings" => dunlin_config::GENERAL_FIELDS,
        "router_settings" => dunlin_config::ROUTER_FIELDS,
        _ => &[],
    };
    let known = fields.iter().find(|field| field.name == name);
    if let Some(field) = known {
        return format!("Field name={name} is not set: {} holds. {}", field.default, field.about);
    }
    let near =
        fields.iter().map(|field| (strsim::osa_distance(name, field.name), field.name)).min();
    let meant = near.filter(|(distance, _)| *distance <= 2);
    let meant = meant.map_or(String::new(), |(_, known)| format!("; did you mean `{known}`?"));
    format!("Field name={name} is not set in {section}{meant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_setting_is_named_by_section_and_name() {
        let of =
            |text: &str, is_set| parse(Body::parse(text.as_bytes()).expect("an object"), is_set);
        let text = r#"{"field_name": "retry_policy.TimeoutErrorRetries", "field_value": 2, "config_type": "router_settings"}"#;
        let (section, edit) = of(text, true).expect("a setting");
        assert_eq!((section.as_str(), edit.value), ("router_settings", Some(json!(2))));
        assert_eq!(edit.path, ["router_settings", "retry_policy", "TimeoutErrorRetries"]);
        let (section, edit) =
            of(r#"{"field_name": "a", "field_value": null}"#, true).expect("cleared");
        assert_eq!((section.as_str(), edit.value), ("general_settings", None));
        assert!(matches!(of(r#"{"field_name": "a"}"#, true), Err(Error::Invalid(_))), "no value");
        assert!(of(r#"{"field_name": "a"}"#, false).is_ok());
        for text in [r#"{"field_name": "a", "config_type": "cluster"}"#, r#"{"field_name": ""}"#] {
            assert!(matches!(of(text, false), Err(Error::BadField { .. })), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_told_with_what_holds() {
        assert!(unset("router_settings", "num_retries").contains("2 holds"));
        assert!(unset("router_settings", "num_retires").ends_with("did you mean `num_retries`?"));
        let section = json!({"a": {"b": [1]}});
        let Value::Object(section) = section else { panic!("an object") };
        assert_eq!(lookup(&section, "a.b"), Some(&json!([1])));
        assert_eq!(lookup(&section, "a.c"), None);
    }
}
