//! When a node is killed and when it comes back. Decides only; `demo.rs` does it.

use std::time::Duration;

use dunlin_types::MonoMillis;

const KILL_EVERY: Duration = Duration::from_secs(20);
/// Long enough to see a new leader and the requests going on without the node.
const DOWN_FOR: Duration = Duration::from_secs(6);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Kill(usize),
    Restart(usize),
}

/// One node at a time, each in turn.
pub(super) struct Chaos {
    nodes: usize,
    victim: usize,
    next: MonoMillis,
    down: bool,
}

impl Chaos {
    pub(super) fn new(nodes: usize, now: MonoMillis) -> Self {
        Self { nodes, victim: 0, next: now.plus(KILL_EVERY), down: false }
    }

    /// What is due at `now`; to be asked again soon.
    pub(super) fn due(&mut self, now: MonoMillis) -> Option<Act> {
        if now < self.next {
            return None;
        }
        let act = if self.down { Act::Restart(self.victim) } else { Act::Kill(self.victim) };
        if self.down {
            self.victim = (self.victim + 1) % self.nodes;
            self.next = now.plus(KILL_EVERY - DOWN_FOR);
        } else {
            self.next = now.plus(DOWN_FOR);
        }
        self.down = !self.down;
        Some(act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_die_in_turn_every_20_seconds_and_only_one_is_down() {
        let mut chaos = Chaos::new(3, MonoMillis(0));
        let acts: Vec<(u64, Act)> = (0..80)
            .filter_map(|second| Some((second, chaos.due(MonoMillis(second * 1000))?)))
            .collect();
        let expected = [
            (20, Act::Kill(0)),
            (26, Act::Restart(0)),
            (40, Act::Kill(1)),
            (46, Act::Restart(1)),
            (60, Act::Kill(2)),
            (66, Act::Restart(2)),
        ];
        assert_eq!(acts, expected);
    }
}
