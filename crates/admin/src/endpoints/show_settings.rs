//! `GET /settings` and `/health/license`: what LiteLLM tells of its callbacks, timeouts and licence.

use axum::response::Response;
use dunlin_config::Document;
use serde_json::{Value, json};

use super::list_settings::router_values;
use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/settings", Who::Viewers, settings).get("/health/license", Who::Anyone, license)
}

async fn settings(admin: Admin, _: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    Ok(ok_as_of(&read, &told(&admin.newest_config(&read.state)?)))
}

fn told(document: &Document) -> Value {
    let general = dunlin_config::shown_section(document, "general_settings");
    let litellm = dunlin_config::shown_section(document, "litellm_settings");
    let router = router_values(document);
    let names = |setting: &str| match litellm.get(setting) {
        Some(Value::Array(names)) => names.clone(),
        Some(Value::String(name)) => vec![Value::from(name.as_str())],
        Some(_) | None => Vec::new(),
    };
    let own = ["callbacks", "input_callback", "failure_callback", "success_callback"].map(names);
    let all = own.concat();
    let [callbacks, input, failure, success] = own;
    let alerting = general.get("alerting");
    let alerts = alerting.and_then(Value::as_array).map_or(0, Vec::len);
    json!({
        "alerting": alerting,
        "litellm.callbacks": callbacks,
        "litellm.input_callback": input,
        "litellm.failure_callback": failure,
        "litellm.success_callback": success,
        "litellm._async_success_callback": [],
        "litellm._async_failure_callback": [],
        "litellm._async_input_callback": [],
        "num_callbacks": all.len(),
        "all_litellm_callbacks": all,
        "num_alerting": alerts,
        "litellm.request_timeout": router.get("request_timeout").cloned().unwrap_or(json!(6000.0)),
    })
}

/// Nothing is behind a licence; one that is set is kept and changes nothing.
async fn license(admin: Admin, _: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let document = admin.newest_config(&read.state)?;
    let is_set = dunlin_config::setting(&document, &["general_settings", "litellm_license"]);
    let told = json!({
        "has_license": is_set.is_some_and(|it| !it.is_null()),
        "license_type": "community",
        "expiration_date": null,
        "allowed_features": [],
        "limits": {"max_users": null, "max_teams": null},
    });
    Ok(ok_as_of(&read, &told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_told_as_the_config_names_them() {
        let text = "general_settings: {alerting: [slack]}\nlitellm_settings: {callbacks: [prometheus, otel], \
                    success_callback: langfuse, request_timeout: 60}\n";
        let (document, _) = dunlin_config::gather("c.yaml", &mut |_| Ok(text.to_owned()));
        let told = told(&document);
        for (name, value) in [
            ("litellm.callbacks", json!(["prometheus", "otel"])),
            ("litellm.success_callback", json!(["langfuse"])),
            ("num_callbacks", json!(3)),
            ("num_alerting", json!(1)),
            ("litellm.request_timeout", json!(60)),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
    }
}
