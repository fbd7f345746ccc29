//! When all is over, all nodes hold the same.

use super::{Invariant, Verdict};
use crate::history::History;

pub(super) const INVARIANT: Invariant =
    Invariant { name: "agreement", promise: "in the end all nodes hold the same", check };

fn check(history: &History) -> Verdict {
    let sights: Vec<_> = history.sights().collect();
    let mut broken = Vec::new();
    if sights.len() != history.nodes {
        broken.push(format!("{} of {} nodes could be looked at", sights.len(), history.nodes));
    }
    let Some(((first, one), others)) = sights.split_first() else {
        return Verdict { looked_at: 0, figure: "nothing seen".to_owned(), broken };
    };
    for (node, other) in others {
        let names = format!("n{} and n{}", first + 1, node + 1);
        if (one.applied, &one.digest) != (other.applied, &other.digest) {
            broken.push(format!("{names} applied {} and {} commands", one.applied, other.applied));
        }
        for key in one.keys.keys().chain(other.keys.keys()) {
            let (here, there) = (one.keys.get(key), other.keys.get(key));
            if here != there {
                broken.push(format!("{names} differ over {key}: {here:?}, {there:?}"));
            }
        }
    }
    let figure = format!("{} nodes, {} keys, log at {}", sights.len(), one.keys.len(), one.applied);
    Verdict { looked_at: sights.len(), figure, broken }
}
