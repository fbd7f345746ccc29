//! Tells the peers, when it changed, how busy and how well this node finds its backends.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_gossip::{Fact, HealthFact, LoadFact, Reported};
use dunlin_types::MonoMillis;
use tokio_util::sync::CancellationToken;

use crate::Upstream;
use crate::table::Ill;

/// Half a gossip interval: no change waits for a whole one.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run(upstream: Upstream, stop: CancellationToken) {
    let mut told = (LoadFact::default(), BTreeMap::new());
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = upstream.0.clock.mono();
        let load = LoadFact { backends: upstream.0.table.busy() };
        if load != told.0 {
            upstream.0.gossip.publish(Fact::Load(load.clone()));
            told.0 = load;
        }
        let ill = upstream.0.table.ill(now);
        if ill != told.1 {
            let backends = ill.iter().map(|(id, ill)| (id.clone(), reported(*ill, now))).collect();
            upstream.0.gossip.publish(Fact::Health(HealthFact { backends }));
            told.1 = ill;
        }
    }
}

fn reported(ill: Ill, now: MonoMillis) -> Reported {
    match ill {
        Ill::Out => Reported::Unreachable,
        Ill::LimitedUntil(until) => {
            let for_ms = u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
            Reported::RateLimited { for_ms }
        }
    }
}
