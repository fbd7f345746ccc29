//! What counts requests that are being served is back at nothing when nobody is served any more.

use super::{Invariant, Verdict};
use crate::history::History;

pub(super) const INVARIANT: Invariant =
    Invariant { name: "counts", promise: "counts of open requests return to zero", check };

fn check(history: &History) -> Verdict {
    let calls = history.calls();
    let open = calls.iter().filter(|traced| traced.ended.is_none());
    let mut broken: Vec<_> = open.map(|traced| format!("{} never ended", traced.name())).collect();
    let (mut looked_at, mut left) = (0, 0);
    for (node, sight) in history.sights() {
        looked_at += 1;
        left += sight.in_flight;
        if sight.in_flight > 0 {
            broken.push(format!("n{} still counts {} requests", node + 1, sight.in_flight));
        }
    }
    let figure = format!("{left} left on {looked_at} nodes after {} calls", calls.len());
    Verdict { looked_at, figure, broken }
}
