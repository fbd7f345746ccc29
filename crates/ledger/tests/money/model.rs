//! Every order of everything that can happen, in small clusters with one kind of fault each.

use stateright::{Checker, Model, Property};

use crate::cluster::{Action, Cluster, Plan};
use crate::promises::{loses_nothing, serves_whoever_can_be, settles_once};

impl Model for Plan {
    type State = Cluster;
    type Action = Action;

    fn init_states(&self) -> Vec<Cluster> {
        vec![Cluster::new(self)]
    }

    fn actions(&self, cluster: &Cluster, actions: &mut Vec<Action>) {
        actions.extend(cluster.actions(self));
    }

    fn next_state(&self, cluster: &Cluster, action: Action) -> Option<Cluster> {
        let mut next = cluster.clone();
        next.step(self, action);
        (next != *cluster).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no more is held and spent than the limit", |_, cluster: &Cluster| {
                cluster.broken.is_none()
            }),
            Property::always("each record settles once", |_, cluster: &Cluster| {
                settles_once(cluster).is_ok()
            }),
            Property::always("who can be served is", |plan: &Plan, cluster: &Cluster| {
                serves_whoever_can_be(cluster, plan).is_ok()
            }),
            Property::always("no money is lost", |plan: &Plan, cluster: &Cluster| {
                loses_nothing(cluster, plan).is_ok()
            }),
        ]
    }
}

/// The most states of one plan that are looked at, breadth first.
const MOST_STATES: usize = 12_000;

fn plans() -> Vec<Plan> {
    let small = Plan { limit: 4, pots: 1, costs: vec![1], ..Plan::default() };
    let of = |asks: &[&[u64]]| asks.iter().map(|asks| asks.to_vec()).collect::<Vec<_>>();
    let plain = Plan { name: "nothing fails", asks: of(&[&[2], &[2], &[2]]), ..small.clone() };
    let two = Plan { asks: of(&[&[2, 2], &[3]]), ..small.clone() };
    vec![
        Plan { name: "two pots, and too little for two", pots: 2, limit: 3, ..plain.clone() },
        Plan { name: "a crash", crashes: 1, ..two.clone() },
        Plan { name: "the last money lets in", lenient: true, costs: vec![3], ..two.clone() },
        Plan { name: "a partition", cuts: 1, ..two.clone() },
        Plan { name: "a limit lowered and raised", limits: vec![2, 5], ..two.clone() },
        Plan { name: "a period ends", midnights: 1, ..plain.clone() },
        Plan { name: "a pot is deleted", deletions: 1, ..two.clone() },
        Plan { name: "requests wait long", ticks: 2, ..two.clone() },
        Plan { asks: of(&[&[2], &[2], &[2], &[3]]), name: "four nodes", ..small },
        plain,
    ]
}

#[test]
fn no_order_of_events_breaks_a_promise() {
    let mut all = 0;
    for plan in plans() {
        let name = plan.name;
        let checker = plan.checker().threads(2).target_state_count(MOST_STATES).spawn_bfs().join();
        let (states, depth) = (checker.unique_state_count(), checker.max_depth());
        eprintln!("{name}: {states} states, up to {depth} steps");
        checker.assert_properties();
        all += states;
    }
    eprintln!("{all} states");
}
