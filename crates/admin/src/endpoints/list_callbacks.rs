//! `GET /callbacks/list`, `/callbacks/configs`, `/active/callbacks` and `/get/config/callbacks`: who is
//! told of all requests, and what may be.

use axum::response::Response;
use dunlin_config::{Callback, CallbackKind, Callbacks, Variable};
use serde_json::{Map, Value, json};

use super::list_settings::router_values;
use super::{ok, ok_as_of};
use crate::Admin;
use crate::error::Error;
use crate::routes::{Request, Routes, Who};

/// LiteLLM's `request_timeout`, in seconds, unless it is said.
const REQUEST_TIMEOUT: u64 = 6_000;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/callbacks/list", Who::Viewers, list)
        .get("/callbacks/configs", Who::Viewers, configs)
        .get("/active/callbacks", Who::Viewers, active)
        .get("/get/config/callbacks", Who::Viewers, config)
}

async fn list(admin: Admin, _: Request) -> Result<Response, Error> {
    Ok(ok(&by_type(&admin.0.callbacks.settings())))
}

fn by_type(callbacks: &Callbacks) -> Value {
    let of = |wanted: &str| -> Vec<&str> {
        let those = callbacks.all.iter().filter(|one| one.on.name() == wanted);
        those.map(|one| &*one.name).collect()
    };
    json!({
        "success": of("success"),
        "failure": of("failure"),
        "success_and_failure": of("success_and_failure"),
    })
}

async fn configs(_: Admin, _: Request) -> Result<Response, Error> {
    Ok(ok(&CallbackKind::ALL.map(form)))
}

/// What a form asks for to set a callback for a key or a team.
fn form(kind: CallbackKind) -> Value {
    let field = |variable: &Variable| {
        let told = json!({
            "type": if variable.secret { "password" } else { "text" },
            "ui_name": title(variable.name),
            "description": variable.about,
            "required": variable.needed,
        });
        (variable.name.to_ascii_lowercase(), told)
    };
    json!({
        "id": kind.name(),
        "displayName": kind.title(),
        "logo": format!("{}.png", kind.name()),
        "supports_key_team_logging": true,
        "dynamic_params": kind.variables().iter().map(field).collect::<Map<_, _>>(),
        "description": format!("Sends the records of requests to {}.", kind.title()),
    })
}

/// `LANGFUSE_PUBLIC_KEY` as `Langfuse Public Key`.
fn title(name: &str) -> String {
    let word = |word: &str| {
        let (head, tail) = word.split_at(usize::from(!word.is_empty()));
        head.to_owned() + &tail.to_ascii_lowercase()
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

async fn active(admin: Admin, _: Request) -> Result<Response, Error> {
    Ok(ok(&in_force(&admin.0.callbacks.settings())))
}

/// In LiteLLM's lists, of which its Python objects are left out.
fn in_force(callbacks: &Callbacks) -> Value {
    let names = |these: &dyn Fn(&&Callback) -> bool| -> Vec<&str> {
        callbacks.all.iter().filter(these).map(|one| &*one.name).collect()
    };
    let both = names(&|one| one.on.success && one.on.failure);
    let success = names(&|one| one.on.success && !one.on.failure);
    let failure = names(&|one| one.on.failure && !one.on.success);
    json!({
        "alerting": "None",
        "litellm.callbacks": both,
        "litellm.input_callback": [],
        "litellm.failure_callback": failure,
        "litellm.success_callback": success,
        "litellm._async_success_callback": [],
        "litellm._async_failure_callback": [],
        "litellm._async_input_callback": [],
        "all_litellm_callbacks": names(&|_| true),
        "num_callbacks": callbacks.all.len(),
        "num_alerting": 0,
        "litellm.request_timeout": REQUEST_TIMEOUT,
    })
}

async fn config(admin: Admin, _: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let router = router_values(&admin.newest_config(&read.state)?);
    let callbacks = admin.0.callbacks.settings();
    let told: Vec<Value> = callbacks.all.iter().map(shown).collect();
    Ok(ok_as_of(
        &read,
        &json!({
            "status": "success",
            "callbacks": told,
            "alerts": [],
            "router_settings": router,
            "available_callbacks": available(),
        }),
    ))
}

/// A callback and its variables; secrets are starred out.
fn shown(callback: &Callback) -> Value {
    json!({
        "name": callback.name,
        "variables": callback.receiver.shown().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "type": callback.on.name(),
    })
}

fn available() -> Value {
    let one = |kind: CallbackKind| {
        let names: Vec<_> = kind.variables().iter().map(|variable| variable.name).collect();
        let told = json!({
            "litellm_callback_name": kind.name(),
            "litellm_callback_params": names,
            "ui_callback_name": kind.title(),
        });
        (kind.name().to_owned(), told)
    };
    Value::Object(CallbackKind::ALL.into_iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dunlin_config::Outcomes;

    use super::*;

    fn callbacks() -> Callbacks {
        let variables = [("langfuse_public_key", "pk-1"), ("langfuse_secret_key", "xyzzy")];
        let variables: BTreeMap<_, _> =
            variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let receiver = CallbackKind::Langfuse.receiver_of(&variables).expect("a receiver");
        let on = |success, failure| Outcomes { success, failure };
        let one = |name: &str, on| Callback {
            name: name.into(),
            receiver: receiver.clone(),
            on,
            messages: true,
        };
        let all = vec![one("langfuse", on(true, true)), one("mine", on(true, false))];
        Callbacks { all, ..Callbacks::default() }
    }

    #[test]
    fn callbacks_are_told_in_litellms_lists() {
        assert_eq!(
            by_type(&callbacks()),
            json!({"success": ["mine"], "failure": [], "success_and_failure": ["langfuse"]})
        );
        let active = in_force(&callbacks());
        assert_eq!(active["litellm.callbacks"], json!(["langfuse"]));
        assert_eq!(active["litellm.success_callback"], json!(["mine"]));
        assert_eq!((&active["num_callbacks"], &active["alerting"]), (&json!(2), &json!("None")));
    }

    #[test]
    fn variables_are_told_and_secrets_are_not() {
        let told = shown(&callbacks().all[0]);
        assert_eq!(told["type"], "success_and_failure");
        assert_eq!(told["variables"]["LANGFUSE_PUBLIC_KEY"], "pk-1");
        assert_eq!(told["variables"]["LANGFUSE_SECRET_KEY"], "***");
        assert!(!told.to_string().contains("xyzzy"));
    }

    #[test]
    fn a_form_says_what_is_needed() {
        let told = form(CallbackKind::Langfuse);
        assert_eq!(told["supports_key_team_logging"], true);
        let secret = &told["dynamic_params"]["langfuse_secret_key"];
        assert_eq!((&secret["type"], &secret["required"]), (&json!("password"), &json!(true)));
        assert_eq!(secret["ui_name"], "Langfuse Secret Key");
    }
}
