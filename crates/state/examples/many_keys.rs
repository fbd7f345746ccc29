//! What keys cost a node: bytes of memory for each, nanoseconds to find one, seconds to write the
//! state as a snapshot and to read it back.
//! `cargo run --release -p dunlin-state --example many_keys -- 1000000`.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use dunlin_state::{Command, CommandId, Entry, Key, State, Terms};
use dunlin_types::{ClusterId, Epoch, KeyDigest, NanoUsd, NodeId, UnixMillis};

const NODE: NodeId = NodeId(1);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const LOOK_UPS: u64 = 1_000_000;

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = std::env::args().nth(1).map_or(Ok(1_000_000), |number| number.parse())?;
    let mut out = std::io::stdout();
    let empty = resident_bytes();
    let mut state = State::new();
    let began = Instant::now();
    apply(&mut state, 0, Command::FormCluster { cluster: ClusterId(7) });
    for number in 1..=keys {
        apply(&mut state, number, Command::CreateKey { key: Box::new(key(number)) });
    }
    let micros = began.elapsed().as_micros() / u128::from(keys);
    let bytes = resident_bytes().saturating_sub(empty) / keys;
    writeln!(out, "{keys} keys: {bytes} bytes of memory each, {micros} us to apply one")?;

    let began = Instant::now();
    for number in 0..LOOK_UPS {
        let token = token(number.wrapping_mul(2_654_435_761) % keys + 1);
        black_box(state.authenticate(token, &["/v1/chat/completions"], NOW).is_ok());
    }
    let nanos = began.elapsed().as_nanos() / u128::from(LOOK_UPS);
    writeln!(out, "{nanos} ns to find one and who pays for it, its hash made included")?;

    let began = Instant::now();
    let snapshot = state.snapshot();
    let (wrote, bytes) = (began.elapsed().as_secs_f64(), snapshot.len());
    let began = Instant::now();
    let restored = State::restore(&snapshot)?;
    let read = began.elapsed().as_secs_f64();
    assert_eq!(restored.keys().count(), state.keys().count(), "nothing is lost");
    writeln!(out, "snapshot: {bytes} bytes, {wrote:.1} s to write, {read:.1} s to read")?;
    Ok(())
}

fn apply(state: &mut State, number: u64, command: Command) {
    let id = CommandId { node: NODE, epoch: Epoch(1), seq: number + 1 };
    let applied = state.apply(number + 1, NOW, &Entry { id, actor: None, command });
    applied.expect("what is made here is not refused");
}

/// A key as a platform team makes it: a name, limits and a budget.
fn key(number: u64) -> Key {
    Key {
        token: token(number),
        name: format!("sk-...{:04}", number % 10_000),
        alias: Some(format!("application-{number}")),
        terms: Terms {
            max_budget: Some(NanoUsd(50_000_000_000)),
            budget_duration: Some("30d".to_owned()),
            rpm: Some(600),
            tpm: Some(100_000),
            ..Terms::default()
        },
        created_at: NOW,
        updated_at: NOW,
        created_by: "admin".to_owned(),
        ..Key::default()
    }
}

fn token(number: u64) -> KeyDigest {
    KeyDigest::of(&format!("sk-{number}"))
}

/// Memory of this process, from `/proc`.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}
