//! Something that a provider keeps, read for the gateway's own ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::Deployment;
use dunlin_types::Tokens;
use dunlin_upstream::{Attempt, Relay, Relayed};

use super::answer::{MAX_OBJECT_BYTES, collect};
use super::{alone, ask};
use crate::ids::Kind;
use crate::{Proxy, Serving};

/// What became of it.
pub(super) enum Fetched {
    Object(Bytes),
    /// Its provider has it no more.
    Gone,
    /// Nobody knows.
    Unknown,
}

/// Reads one object, within that time.
pub(super) async fn object(
    proxy: &Proxy,
    serving: &Serving,
    by: &Arc<Deployment>,
    (kind, id): (Kind, &str),
    within: Duration,
) -> Fetched {
    let path = format!("/{}/{}", kind.collection(), path_segment(id));
    whole(get(proxy, serving, by, path), within).await
}

/// Waits for an object, for that time.
pub(super) async fn whole(
    asking: impl Future<Output = Option<Relayed>>,
    within: Duration,
) -> Fetched {
    let reading = async {
        let mut relayed = asking.await?;
        match relayed.status {
            StatusCode::NOT_FOUND => Some(Fetched::Gone),
            status if status.is_success() => {
                let body = collect(&mut relayed, MAX_OBJECT_BYTES).await.ok()??;
                Some(Fetched::Object(body))
            }
            _ => None,
        }
    };
    tokio::time::timeout(within, reading).await.ok().flatten().unwrap_or(Fetched::Unknown)
}

/// The answer to a GET of `path`. `None`: there is none.
pub(super) async fn get(
    proxy: &Proxy,
    serving: &Serving,
    by: &Arc<Deployment>,
    path: String,
) -> Option<Relayed> {
    ask_for(proxy, serving, by, (Method::GET, path)).await
}

/// The answer to a call without a body. `None`: there is none.
pub(crate) async fn ask_for(
    proxy: &Proxy,
    serving: &Serving,
    by: &Arc<Deployment>,
    (method, path): (Method, String),
) -> Option<Relayed> {
    let attempt = attempt(proxy, serving, by)?;
    let (asked, retry) = (ask(method, path), serving.catalog.retry);
    proxy.0.upstream.relay_kept(attempt, asked, by.timeout, retry).await.ok()
}

/// The answer to a call of the provider's own API. `None`: there is none.
pub(super) async fn passed(
    proxy: &Proxy,
    serving: &Serving,
    by: &Arc<Deployment>,
    asked: Relay,
) -> Option<Relayed> {
    let attempt = attempt(proxy, serving, by)?;
    proxy.0.upstream.relay(attempt, (asked, None), by.timeout, serving.catalog.retry).await.ok()
}

fn attempt(proxy: &Proxy, serving: &Serving, by: &Arc<Deployment>) -> Option<Attempt> {
    let strategy = serving.catalog.strategy;
    let picked = proxy.0.upstream.start_attempt(&alone(by), strategy, &BTreeSet::new(), Tokens(0));
    picked.ok()
}
