//! `GET /health/readiness/details`, `/health/backlog`, `/health/shared-status` and `/test`: more of how
//! this node does.

use axum::response::Response;
use axum::routing::get;
use dunlin_consensus::Status;
use http::Uri;
use serde_json::{Value, json};

use super::ok;
use crate::Admin;
use crate::error::{Error, answer};
use crate::health::readiness::NotReady;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/health/readiness/details", Who::Anyone, readiness)
        .get("/health/backlog", Who::Anyone, backlog)
        .get("/health/shared-status", Who::Anyone, shared)
        .open("/test", get(test))
}

async fn readiness(admin: Admin, _: Request) -> Result<Response, Error> {
    let ready = admin.ready().await;
    let revision = admin.settings().map_or(0, |published| published.revision);
    let (code, mut told) = details(ready, &admin.0.consensus.status(), revision);
    told["node"] = json!(admin.0.config.me);
    let callbacks = admin.0.callbacks.settings().all;
    let success = callbacks.iter().filter(|one| one.on.success).map(|one| &*one.name);
    told["success_callbacks"] = success.collect();
    Ok(answer(code, told.to_string()))
}

fn details(ready: Result<(), NotReady>, consensus: &Status, revision: u64) -> (u16, Value) {
    let mut told = json!({
        "status": if ready.is_ok() { "healthy" } else { "unhealthy" },
        // LiteLLM's database and cache, which this cluster does without.
        "db": "Not connected",
        "cache": null,
        "success_callbacks": [],
        "version": env!("CARGO_PKG_VERSION"),
        "cluster": consensus.cluster,
        "leader": consensus.leader,
        "config_revision": revision,
    });
    match ready {
        Ok(()) => (200, told),
        Err(reason) => {
            told["reason"] = reason.to_string().into();
            (503, told)
        }
    }
}

/// Requests that this node has at models: until their answers have ended.
async fn backlog(admin: Admin, _: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let backends = admin.0.upstream.backends(&published.catalog);
    let in_flight: u32 = backends.iter().map(|backend| backend.in_flight).sum();
    Ok(ok(&json!({"in_flight_requests": in_flight})))
}

/// Checks are made by the node that is asked.
async fn shared(_: Admin, _: Request) -> Result<Response, Error> {
    let message = "Shared health check is not enabled: each node makes the checks that it is asked \
                   for, and all find them in /health/history";
    Ok(ok(&json!({"shared_health_check_enabled": false, "message": message})))
}

async fn test(uri: Uri) -> Response {
    ok(&json!({"route": uri.path()}))
}

#[cfg(test)]
mod tests {
    use dunlin_consensus::Role;
    use dunlin_types::{ClusterId, NodeId};

    use super::*;

    #[test]
    fn readiness_is_told_with_its_circumstances_or_with_the_reason() {
        let consensus = Status {
            cluster: Some(ClusterId(7)),
            leader: Some(NodeId(2)),
            term: 1,
            applied: 1,
            role: Role::Follower,
            voters: Vec::new(),
            learners: Vec::new(),
            leader_heard: None,
            log_bytes: 0,
            snapshot_bytes: 0,
            clock_skew_ms: 0,
        };
        let (code, told) = details(Ok(()), &consensus, 3);
        assert_eq!(
            (code, &told["config_revision"], &told["db"]),
            (200, &json!(3), &json!("Not connected"))
        );
        assert!(told.get("reason").is_none());
        let (code, told) = details(Err(NotReady::NoConfig), &consensus, 0);
        assert_eq!((code, &told["status"]), (503, &json!("unhealthy")));
        assert!(told["reason"].as_str().is_some_and(|reason| reason.contains("no config")));
    }
}
