//! Random walks: long ones, with many requests of random size.

use proptest::prelude::*;

use crate::cluster::{Cluster, Plan};
use crate::promises::{loses_nothing, serves_whoever_can_be, settles_once};

fn plans() -> impl Strategy<Value = Plan> {
    let asks = prop::collection::vec(prop::collection::vec(1u64..40, 0..12), 3);
    let costs = prop::collection::vec(0u64..40, 1..3);
    let limits = prop::collection::vec(0u64..200, 0..3);
    let faults = (any::<bool>(), 0u8..3, 0u8..3, 0u8..2, 0u8..2, 0u8..20);
    (0u64..150, 1u64..3, asks, costs, limits, faults).prop_map(
        |(
            limit,
            pots,
            asks,
            costs,
            limits,
            (lenient, crashes, cuts, midnights, deletions, ticks),
        )| Plan {
            name: "a walk",
            limit,
            pots,
            lenient,
            asks,
            costs,
            crashes,
            cuts,
            midnights,
            deletions,
            ticks,
            limits,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn no_walk_breaks_a_promise(
        plan in plans(),
        steps in prop::collection::vec(0usize..1_000, 1..150),
    ) {
        let mut cluster = Cluster::new(&plan);
        let mut trail = Vec::new();
        for step in steps {
            let actions = cluster.actions(&plan);
            if actions.is_empty() {
                break;
            }
            let action = actions[step % actions.len()];
            trail.push(action);
            cluster.step(&plan, action);
            prop_assert_eq!(&cluster.broken, &None, "{:?}", trail);
            prop_assert_eq!(settles_once(&cluster), Ok(()), "{:?}", trail);
            if trail.len() % 8 == 0 {
                prop_assert_eq!(serves_whoever_can_be(&cluster, &plan), Ok(()), "{:?}", trail);
            }
        }
        prop_assert_eq!(serves_whoever_can_be(&cluster, &plan), Ok(()), "{:?}", trail);
        prop_assert_eq!(loses_nothing(&cluster, &plan), Ok(()), "{:?}", trail);
    }
}
