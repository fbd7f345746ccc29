//! `GET /health/services`: sends a test record to a callback of the config, and tells what became
//! of it.

use axum::response::Response;
use dunlin_callbacks::Untaken;
use dunlin_config::{CallbackKind, nearest_callback};
use serde_json::json;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::fault::Fault;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/health/services", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let none = |code, reason| Error::NoService { code, reason };
    let missing = || vec![Fault::of("query", "service", "missing", "Field required")];
    let name = asked.param("service").ok_or_else(|| Error::Invalid(missing()))?;
    match admin.0.callbacks.try_out(name).await {
        Ok(()) => {
            let message = format!("A test record was taken - check {name}.");
            Ok(ok(&json!({"status": "success", "message": message})))
        }
        Err(Untaken::Unset) if ALERTS.contains(&name) => Err(none(422, alert(name))),
        Err(Untaken::Unset) => Err(none(400, unset(name))),
        Err(untaken @ Untaken::Refused { .. }) => {
            Err(Error::Unreadable { reason: untaken.to_string() })
        }
    }
}

/// What LiteLLM sends alerts to.
const ALERTS: [&str; 4] = ["email", "slack", "slack_budget_alerts", "webhook"];

fn alert(name: &str) -> String {
    format!(
        "\"{name}\" not in proxy config: general_settings. Unable to test this. No alerts are sent: \
         Prometheus rules on /metrics take their place"
    )
}

/// Why there is nobody to send to, and what to do.
fn unset(name: &str) -> String {
    let Some(kind) = CallbackKind::named(name) else {
        let near = nearest_callback(name).map(|near| format!(" Did you mean `{near}`?"));
        let served = CallbackKind::ALL.map(CallbackKind::name).join(", ");
        return format!(
            "Service must be in list. Service={name} not in {served}, nor in callback_settings.{}",
            near.unwrap_or_default()
        );
    };
    let needed = kind.variables().iter().filter(|variable| variable.needed);
    let needed: Vec<_> = needed.map(|variable| variable.name).collect();
    format!("the address of {name} is not set: set {} on the nodes", needed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_there_is_told_how_to_be() {
        assert!(unset("langfuse").contains("set LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY"));
        assert!(unset("langfus").contains("Did you mean `langfuse`?"));
        assert!(unset("arize").contains("Service=arize not in generic_api, langfuse, otel"));
    }
}
