//! Tells the peers, when it changed, how busy and how well this node finds its backends.

use std::time::Duration;

use dunlin_gossip::{Fact, HealthFact, LoadFact, Reported};
use tokio_util::sync::CancellationToken;

use crate::Upstream;

/// Half a gossip interval: no change waits for a whole one.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run(upstream: Upstream, stop: CancellationToken) {
    let mut told = (LoadFact::default(), Vec::new());
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let (busy, ill) = upstream.0.table.facts(upstream.0.clock.mono());
        let load = LoadFact { backends: busy };
        if load != told.0 {
            upstream.0.gossip.publish(Fact::Load(load.clone()));
            told.0 = load;
        }
        // The time left shrinks by itself at the peers' next look: only a new kind is news.
        let kinds: Vec<_> = ill
            .iter()
            .map(|(id, reported)| (id.clone(), matches!(reported, Reported::Unreachable)))
            .collect();
        if kinds != told.1 {
            upstream.0.gossip.publish(Fact::Health(HealthFact { backends: ill }));
            told.1 = kinds;
        }
    }
}
