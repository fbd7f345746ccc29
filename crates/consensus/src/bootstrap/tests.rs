//! Two clusters never form, whatever is cut, late, killed or impatient; and one does form when
//! enough nodes hear each other. The worlds below run the real decisions of every node.

use std::collections::VecDeque;

use super::*;

/// Nodes 1..=n; the first `seeds` of them are the configured seeds of all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    standing: BTreeMap<NodeId, Standing>,
    granted: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// What a node saw when it last looked, which may be long ago.
    looked: BTreeMap<NodeId, Seen>,
    formed: BTreeSet<ClusterId>,
    /// Every ballot that was initialised.
    ballots: Vec<Ballot>,
    drawn: u128,
    seeds: usize,
    expect: usize,
}

type View = BTreeSet<NodeId>;

impl World {
    fn new(nodes: u64, seeds: usize, expect: usize) -> Self {
        let ids = || (1..=nodes).map(NodeId);
        Self {
            standing: ids().map(|id| (id, Standing::default())).collect(),
            granted: ids().map(|id| (id, BTreeSet::new())).collect(),
            looked: ids().map(|id| (id, Seen::default())).collect(),
            formed: BTreeSet::new(),
            ballots: Vec::new(),
            drawn: 0,
            seeds,
            expect,
        }
    }

    fn plan(&self, me: NodeId) -> Plan {
        Plan { me, address: format!("node-{}", me.0), expect: self.expect, seeds: self.seeds }
    }

    fn see(&self, me: NodeId, view: &View) -> Seen {
        let introduce = |id: &NodeId| {
            let standing = self.standing[id].clone();
            let formed = standing.cluster.is_some_and(|cluster| self.formed.contains(&cluster));
            (*id, Introduction { address: format!("node-{}", id.0), standing, formed })
        };
        let seed = |id: &NodeId| id.0 <= self.seeds as u64 && (*id == me || view.contains(id));
        Seen {
            seeds: self.standing.keys().copied().filter(seed).collect(),
            nodes: view.iter().filter(|id| **id != me).map(introduce).collect(),
        }
    }

    /// The node acts on what it saw when it last looked. Promises are asked of `view`.
    fn act(&mut self, me: NodeId, view: &View, impatient: bool) {
        let (plan, seen, standing) =
            (self.plan(me), self.looked[&me].clone(), self.standing[&me].clone());
        if standing.cluster.is_some() {
            if let Some(standing) = abandon(&plan, &standing, &seen) {
                self.standing.insert(me, standing);
            }
            return;
        }
        let drawn = ClusterId(self.drawn + 1);
        match next(&plan, &standing, &seen, &self.granted[&me], impatient, drawn) {
            Step::Wait(_) => {}
            Step::Propose(ballot) => {
                self.drawn += 1;
                self.granted.insert(me, BTreeSet::new());
                self.standing.insert(me, Standing { promise: Some(ballot), ..standing });
            }
            Step::Collect(ballot) => {
                let mut hearing = view.clone();
                hearing.insert(me);
                for id in ballot.members.keys().filter(|id| view.contains(id)) {
                    let theirs = &self.standing[id];
                    let seen = self.see(*id, &hearing);
                    if let Ok(standing) = grant(&self.plan(*id), theirs, &seen, &ballot) {
                        self.standing.insert(*id, standing);
                        self.granted.get_mut(&me).expect("every node").insert(*id);
                    }
                }
            }
            Step::Initialise(ballot) => {
                self.standing.insert(me, Standing { cluster: Some(ballot.cluster), ..standing });
                self.ballots.push(ballot);
            }
            Step::Become(standing) => {
                self.standing.insert(me, standing);
            }
        }
    }

    /// A cluster commits its first entry once a majority of its voters has entered it.
    fn commit(&mut self) {
        for ballot in &self.ballots {
            let entered = |id: &&NodeId| self.standing[*id].cluster == Some(ballot.cluster);
            if ballot.members.keys().filter(entered).count() >= ballot.majority() {
                self.formed.insert(ballot.cluster);
            }
        }
        assert!(self.formed.len() <= 1, "two clusters formed: {self:#?}");
    }

    fn look_and_act(&mut self, me: NodeId, view: &View, impatient: bool) {
        let seen = self.see(me, view);
        self.looked.insert(me, seen);
        self.act(me, view, impatient);
    }

    /// Every node of `view` acts once, seeing all of `view`.
    fn round(&mut self, view: &View, impatient: bool) {
        for me in view.clone() {
            self.look_and_act(me, view, impatient);
            self.commit();
        }
    }

    fn entered(&self, cluster: ClusterId) -> usize {
        self.standing.values().filter(|s| s.cluster == Some(cluster)).count()
    }
}

fn view(ids: impl IntoIterator<Item = u64>) -> View {
    ids.into_iter().map(NodeId).collect()
}

fn only_cluster(world: &World) -> ClusterId {
    *world.formed.first().expect("a cluster has formed")
}

/// Walks through every world that any order of cuts, sights and impatience can lead to.
fn walk_all(nodes: u64, seeds: usize, expect: usize, ballots: u128) -> BTreeSet<World> {
    let start = World::new(nodes, seeds, expect);
    // What was seen is used up at once here; decisions on old sights are walked at random below.
    let forgotten = start.looked.clone();
    let mut known = BTreeSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    while let Some(world) = open.pop_front() {
        for me in 1..=nodes {
            for mask in (0..1_u64 << nodes).filter(|mask| mask & (1 << (me - 1)) == 0) {
                let seen = view((1..=nodes).filter(|id| mask & (1 << (id - 1)) != 0));
                for impatient in [false, true] {
                    let mut then = world.clone();
                    then.look_and_act(NodeId(me), &seen, impatient);
                    then.looked = forgotten.clone();
                    then.commit();
                    if then.drawn <= ballots && known.insert(then.clone()) {
                        open.push_back(then);
                    }
                }
            }
        }
    }
    known
}

#[test]
fn every_order_of_every_cut_forms_at_most_one_cluster() {
    for (nodes, seeds, expect, ballots) in [(3, 3, 2, 2), (3, 3, 3, 3), (4, 3, 3, 2)] {
        let worlds = walk_all(nodes, seeds, expect, ballots);
        assert!(worlds.iter().any(|world| !world.formed.is_empty()));
        assert!(worlds.len() > 100, "only {} worlds of {nodes} nodes", worlds.len());
    }
}

/// A small generator with a seed: the walks must be the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

#[test]
fn late_decisions_on_old_sights_form_at_most_one_cluster() {
    let mut formed = 0;
    for seed in 1..=1500 {
        let mut chance = Chance(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let nodes = 3 + chance.below(3);
        let (seeds, expect) = [(3, 2), (3, 3), (2, 2), (nodes as usize, nodes as usize / 2 + 1)]
            [chance.below(4) as usize];
        let mut world = World::new(nodes, seeds, expect);
        for _ in 0..80 {
            let me = NodeId(1 + chance.below(nodes));
            let mask = chance.below(1 << nodes);
            let mut seen = view((1..=nodes).filter(|id| mask & (1 << (id - 1)) != 0));
            seen.remove(&me);
            match chance.below(8) {
                0 => drop(world.granted.insert(me, BTreeSet::new())),
                1 | 2 => drop(world.looked.insert(me, world.see(me, &seen))),
                3 => world.act(me, &seen, true),
                4 => world.act(me, &seen, false),
                kind => world.look_and_act(me, &seen, kind == 5),
            }
            world.commit();
        }
        formed += world.formed.len();
    }
    assert!(formed > 300, "the walks must reach a formed cluster often, not {formed} times");
}

#[test]
fn one_dns_name_for_all_forms_once_when_expect_exceeds_half() {
    // Five nodes, two halves that cannot hear each other: only three together may form.
    let mut world = World::new(5, 1, 3);
    world.round(&view(1..=2), false);
    world.round(&view(3..=5), false);
    for _ in 0..6 {
        world.round(&view(1..=2), true);
    }
    assert!(world.formed.is_empty() && world.ballots.is_empty());
}

#[test]
fn nodes_that_hear_each_other_form_at_once_and_the_rest_join() {
    let mut world = World::new(4, 3, 3);
    for _ in 0..4 {
        world.round(&view(1..=4), false);
    }
    let cluster = only_cluster(&world);
    assert_eq!(world.entered(cluster), 4);
    let ballot = world.ballots.first().expect("initialised");
    assert_eq!(ballot.members.keys().copied().collect::<View>(), view(1..=3));
}

#[test]
fn a_majority_voids_the_ballot_of_a_member_that_never_comes_back() {
    let mut world = World::new(4, 3, 3);
    world.look_and_act(NodeId(1), &view(1..=3), false);
    world.look_and_act(NodeId(1), &view(1..=3), false);
    assert!(world.standing[&NodeId(2)].promise.is_some(), "all three are promised");
    // Node 1 held every promise, initialised, and died before it told anyone.
    world.look_and_act(NodeId(1), &view(1..=3), false);
    let void = world.ballots.first().expect("initialised").cluster;
    let rest = view(2..=4);
    world.round(&rest, false);
    assert!(world.standing[&NodeId(2)].promise.is_some(), "patience first");
    for _ in 0..6 {
        world.round(&rest, true);
    }
    let cluster = only_cluster(&world);
    assert_ne!(cluster, void);
    assert_eq!(world.entered(cluster), 3);
    // It comes back, gives its own cluster up, and joins.
    for _ in 0..3 {
        world.round(&view(1..=4), false);
    }
    assert_eq!(world.entered(cluster), 4);
}

#[test]
fn two_proposers_settle_on_the_lower_one() {
    let mut world = World::new(4, 4, 3);
    world.look_and_act(NodeId(2), &view(3..=4), false);
    world.look_and_act(NodeId(1), &view(2..=3), false);
    world.act(NodeId(2), &view([4]), false);
    for _ in 0..8 {
        world.round(&view(1..=4), false);
    }
    assert_eq!(world.entered(only_cluster(&world)), 4);
}

#[test]
fn the_node_that_both_halves_see_promises_itself_once() {
    let mut world = World::new(5, 5, 3);
    let (one, other) = (view([1, 2, 5]), view([3, 4, 5]));
    // Node 3 decides on what it saw before node 5 was promised to node 1.
    let seen = world.see(NodeId(3), &other);
    world.looked.insert(NodeId(3), seen);
    world.look_and_act(NodeId(1), &one, false);
    world.act(NodeId(3), &other, false);
    for _ in 0..5 {
        world.look_and_act(NodeId(1), &one, false);
        world.act(NodeId(3), &other, false);
        world.look_and_act(NodeId(2), &view([1]), false);
        world.look_and_act(NodeId(4), &view([3]), false);
        world.commit();
    }
    assert_eq!(world.formed.len(), 1);
}

#[test]
fn what_was_configured_decides_what_is_said() {
    let lonely = World::new(3, 3, 2);
    let plan = lonely.plan(NodeId(1));
    let step = |plan: &Plan, seen: &Seen| {
        next(plan, &Standing::default(), seen, &BTreeSet::new(), false, ClusterId(1))
    };
    let alone = lonely.see(NodeId(1), &view([]));
    assert_eq!(step(&plan, &alone), Step::Wait(Waiting::ForNodes { seen: 1, expect: 2 }));
    let single = Plan { seeds: 0, ..plan.clone() };
    let alone = step(&single, &Seen::default());
    assert!(matches!(alone, Step::Propose(ballot) if ballot.members.len() == 1));

    // One DNS name and enough nodes for two clusters.
    let crowd = World::new(4, 1, 2);
    let seen = crowd.see(NodeId(1), &view(2..=4));
    let waiting = step(&crowd.plan(NodeId(1)), &seen);
    assert_eq!(waiting, Step::Wait(Waiting::TooMany { seen: 4, expect: 2 }));

    // Another bootstrap_expect than the proposer's.
    let ballot = Ballot {
        cluster: ClusterId(9),
        members: (1..=3).map(|id| (NodeId(id), String::new())).collect(),
    };
    let all = lonely.see(NodeId(2), &view([1, 3]));
    let withheld = grant(&lonely.plan(NodeId(2)), &Standing::default(), &all, &ballot);
    assert_eq!(withheld, Err(Withheld::OtherExpect(2)));
}
