//! Something that a provider keeps, read for the gateway's own ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::Deployment;
use dunlin_types::Tokens;
use dunlin_upstream::Relayed;

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
    let reading = async {
        let mut relayed = get(proxy, serving, by, path).await?;
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
    let (upstream, catalog) = (&proxy.0.upstream, &serving.catalog);
    let nobody = BTreeSet::new();
    let attempt = upstream.start_attempt(&alone(by), catalog.strategy, &nobody, Tokens(0)).ok()?;
    upstream.relay_kept(attempt, ask(method, path), by.timeout, catalog.retry).await.ok()
}
