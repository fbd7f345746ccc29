//! What Prometheus is told of gossip.

use dunlin_metrics::{Desc, Page};

use crate::{Dropped, Gossip};

static PEERS: Desc = Desc::gauge(
    "dunlin_gossip_peers",
    "Other nodes seen in the last 15 minutes, by whether they are `alive` or `dead` now.",
    &["state"],
);
static DROPPED: Desc = Desc::counter(
    "dunlin_gossip_dropped_total",
    "Datagrams and facts that were dropped, by reason. `foreign` ones are sealed with another \
     cluster's secret.",
    &["reason"],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[&PEERS, &DROPPED];

impl Gossip {
    /// Writes what is known now on a page.
    pub fn report(&self, page: &mut Page) {
        let view = self.view();
        let alive = view.peers.values().filter(|peer| peer.alive).count();
        page.level(&PEERS, &["alive"], alive);
        page.level(&PEERS, &["dead"], view.peers.len() - alive);
        let Dropped {
            malformed,
            foreign,
            replayed,
            own,
            unreadable,
            unknown_facts,
            too_large,
            unsent,
        } = self.dropped();
        for (reason, times) in [
            ("foreign", foreign),
            ("malformed", malformed),
            ("own", own),
            ("replayed", replayed),
            ("too_large", too_large),
            ("unknown_fact", unknown_facts),
            ("unreadable", unreadable),
            ("unsent", unsent),
        ] {
            page.count(&DROPPED, &[reason], times);
        }
    }
}
