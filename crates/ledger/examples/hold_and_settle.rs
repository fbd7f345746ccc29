//! What a request's budgets cost it on its node: nanoseconds to hold of three pots and settle.
//! `cargo run --release -p dunlin-ledger --example hold_and_settle`.

use std::io::Write;
use std::time::Instant;

use dunlin_ledger::{Demand, Purses, View};
use dunlin_types::{EntityId, Line, MonoMillis, NanoUsd, PotId, RequestId, UnixMillis};

const REQUESTS: u64 = 1_000_000;
/// A key, its team and its user.
const POTS_A_REQUEST: u64 = 3;
/// How often the settler has settled what was recorded, in requests.
const SETTLED_EVERY: u64 = 200;
const PERIOD: UnixMillis = UnixMillis(1);

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    for pots in [3, 10_000, 100_000] {
        let nanos = run(pots);
        writeln!(out, "{pots} pots: {nanos} ns to hold and settle {POTS_A_REQUEST} of them")?;
    }
    Ok(())
}

fn demand(pot: u64) -> Demand {
    Demand {
        pot: PotId { of: EntityId(pot), line: Line::Main },
        period: PERIOD,
        limit: NanoUsd(u64::MAX / 2),
        amount: NanoUsd(1_000),
        strict: true,
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn run(pots: u64) -> u128 {
    let demands: Vec<Demand> = (0..pots).map(demand).collect();
    let view = View {
        period: PERIOD,
        limit: Some(NanoUsd(u64::MAX / 2)),
        granted: NanoUsd(u64::MAX / 4),
        free: NanoUsd(u64::MAX / 4),
        ..View::default()
    };
    let view = |_: &PotId| view;
    let mut purses = Purses::new(demands.len());
    let begun = Instant::now();
    for number in 0..REQUESTS {
        // The order of a multiplicative hash, so that no two neighbours are near.
        let first = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (pots / POTS_A_REQUEST);
        let first = usize::try_from(first * POTS_A_REQUEST).expect("few");
        let demands = &demands[first..first + 3];
        let request = RequestId(u128::from(number));
        purses.hold(request, demands, &view, MonoMillis(number / 1_000)).expect("there is enough");
        let charge = |demand: &Demand| (demand.pot.clone(), PERIOD, NanoUsd(700));
        let charges = [charge(&demands[0]), charge(&demands[1]), charge(&demands[2])];
        purses.settle(request, &charges, number + 1);
        if number % SETTLED_EVERY == 0 {
            purses.settled_through(number + 1);
        }
    }
    begun.elapsed().as_nanos() / u128::from(REQUESTS)
}
