//! Finds out whether backends answer: each node asks those that it finds suspect or out for their
//! models, and believes itself alone. Another node may be cut off from what this one reaches.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_router::{BackendId, Outcome};
use dunlin_types::NoConnection;
use futures::future::join_all;
use http::Request;
use http_body_util::Full;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Upstream;
use crate::table::Backend;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A backend that takes longer to list its models is not well yet.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// One that took longer.
const TOO_LATE: Outcome = Outcome::Status { code: 408, retry_after: None };

pub(crate) async fn run(upstream: Upstream, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let due = upstream.0.table.probes_due(upstream.0.clock.mono());
        let probes = due.into_iter().map(|(id, backend)| probe(&upstream, id, backend));
        stop.run_until_cancelled(join_all(probes)).await;
    }
}

async fn probe(upstream: &Upstream, id: BackendId, backend: Arc<Backend>) {
    let asked = tokio::time::timeout(PROBE_TIMEOUT, ask(upstream, &id, &backend)).await;
    let seen = asked.unwrap_or(TOO_LATE);
    let was_out = backend.reach().is_out();
    backend.probed(seen, upstream.0.clock.mono());
    match (was_out, backend.reach().is_out()) {
        (true, false) => info!(backend.id = %id, "the backend answers again"),
        (false, true) => {
            warn!(backend.id = %id, "a backend gets no requests until a probe succeeds: {seen}")
        }
        (true, true) | (false, false) => {}
    }
}

/// Any answer but a failure of the server's own: one that asks for a key is there, and well.
async fn ask(upstream: &Upstream, id: &BackendId, backend: &Backend) -> Outcome {
    let url = format!("{}/models", id.api_base());
    let Ok(request) = Request::get(url).body(Full::<Bytes>::default()) else {
        return Outcome::Refused(NoConnection::Other);
    };
    let (tls, networks) = backend.way();
    let Ok(client) = upstream.0.egress.client(&tls, &networks) else {
        return Outcome::Refused(NoConnection::Other);
    };
    match client.request(request).await {
        Ok(answer) if answer.status().is_server_error() => {
            Outcome::Status { code: answer.status().as_u16(), retry_after: None }
        }
        Ok(_) => Outcome::Success,
        Err(failure) => failure.no_connection().map_or(Outcome::Broken, Outcome::Refused),
    }
}
