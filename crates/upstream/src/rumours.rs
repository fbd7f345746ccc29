//! What peers tell of backends that asked to be left alone. When it ends is fixed as it arrives:
//! a peer says "for so long", once.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_gossip::{Reported, View};
use dunlin_router::BackendId;
use dunlin_types::{MonoMillis, NodeId};
use tokio_util::sync::CancellationToken;

use crate::Upstream;

/// Keeps [`Rumours`] up to date with gossip.
pub(crate) async fn run(upstream: Upstream, stop: CancellationToken) {
    let shared = &upstream.0;
    let mut changed = shared.gossip.changed();
    loop {
        let heard = shared.rumours.load().hear(&shared.gossip.view(), shared.clock.mono());
        shared.rumours.store(heard.into());
        match stop.run_until_cancelled(changed.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// The peers' words that stand.
#[derive(Default)]
pub(crate) struct Rumours(BTreeMap<BackendId, BTreeMap<NodeId, Rumour>>);

#[derive(Clone, Copy)]
struct Rumour {
    for_ms: u64,
    until: MonoMillis,
}

impl Rumours {
    /// Until when a backend is to be left alone, if any live peer says so.
    pub(crate) fn limited_until(&self, id: &BackendId, now: MonoMillis) -> Option<MonoMillis> {
        let ends = self.0.get(id)?.values().map(|rumour| rumour.until);
        ends.filter(|until| *until > now).max()
    }

    /// What peers say now. A word that stood before ends when it was to end.
    fn hear(&self, view: &View, now: MonoMillis) -> Self {
        let mut heard = Self::default();
        for (node, peer) in view.peers.iter().filter(|(_, peer)| peer.alive) {
            for (backend, reported) in &peer.health.backends {
                let Reported::RateLimited { for_ms } = *reported else { continue };
                let before = self.0.get(backend).and_then(|told| told.get(node));
                let same = before.filter(|before| before.for_ms == for_ms).copied();
                let until = now.plus(Duration::from_millis(for_ms));
                let told = heard.0.entry(backend.clone()).or_default();
                told.insert(*node, same.unwrap_or(Rumour { for_ms, until }));
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use dunlin_gossip::{HealthFact, LoadFact, Peer};
    use dunlin_types::Epoch;

    use super::*;

    fn view(alive: bool, health: &[(&BackendId, Reported)]) -> View {
        let backends = health.iter().map(|(id, reported)| ((*id).clone(), *reported)).collect();
        let peer = Peer {
            epoch: Epoch(1),
            alive,
            heard: MonoMillis(0),
            node: None,
            load: LoadFact::default(),
            health: HealthFact { backends },
        };
        View { me: NodeId(1), peers: [(NodeId(2), peer)].into() }
    }

    #[test]
    fn a_rumour_ends_when_it_was_to_end() {
        let backend = BackendId::new("http://b/v1", "m");
        let limited = |for_ms| [(&backend, Reported::RateLimited { for_ms })];
        let at = MonoMillis;
        let first = Rumours::default().hear(&view(true, &limited(5_000)), at(1_000));
        let until = |rumours: &Rumours, now| rumours.limited_until(&backend, at(now));
        assert_eq!(until(&first, 1_000), Some(at(6_000)));
        let again = first.hear(&view(true, &limited(5_000)), at(4_000));
        assert_eq!(until(&again, 4_000), Some(at(6_000)), "the same word");
        assert_eq!(until(&again, 6_000), None);
        let longer = again.hear(&view(true, &limited(9_000)), at(4_000));
        assert_eq!(until(&longer, 4_000), Some(at(13_000)), "another word");
        assert_eq!(until(&longer.hear(&view(true, &[]), at(4_000)), 4_000), None, "taken back");
        assert_eq!(until(&longer.hear(&view(false, &[]), at(4_000)), 4_000), None, "a dead peer");
    }
}
