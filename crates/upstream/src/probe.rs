//! Brings backends back: of the nodes that find a backend out, one asks it now and then for its
//! models. When that node has got an answer it no longer says so, and the next one asks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_gossip::{Reported, View};
use dunlin_router::BackendId;
use futures::future::join_all;
use http::Request;
use http_body_util::Full;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::Upstream;
use crate::table::Backend;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A backend that takes longer to list its models is not well yet.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn run(upstream: Upstream, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = upstream.0.clock.mono();
        let view = upstream.0.gossip.view();
        let due = upstream
            .0
            .table
            .out()
            .into_iter()
            .filter(|(id, backend)| backend.reach().probe_is_due(now) && is_elected(&view, id));
        let probes = due.map(|(id, backend)| probe(&upstream, id, backend));
        stop.run_until_cancelled(join_all(probes)).await;
    }
}

/// The lowest id of those that find the backend out.
fn is_elected(view: &View, backend: &BackendId) -> bool {
    view.peers.iter().filter(|(_, peer)| peer.alive).all(|(node, peer)| {
        let finds_it_out = peer.health.backends.get(backend) == Some(&Reported::Unreachable);
        !finds_it_out || view.me < *node
    })
}

async fn probe(upstream: &Upstream, id: BackendId, backend: Arc<Backend>) {
    let asked = tokio::time::timeout(PROBE_TIMEOUT, answers(upstream, &id)).await;
    let success = asked.unwrap_or(false);
    backend.probed(success, upstream.0.clock.mono());
    if success {
        info!(backend.id = %id, "the backend answers again");
    }
}

/// Any answer but a failure of the server's own: one that asks for a key is there, and well.
async fn answers(upstream: &Upstream, id: &BackendId) -> bool {
    let url = format!("{}/models", id.api_base());
    let Ok(request) = Request::get(url).body(Full::<Bytes>::default()) else { return false };
    let answer = upstream.0.client.request(request).await;
    answer.is_ok_and(|answer| !answer.status().is_server_error())
}
