//! A short run of `dunlin-chaos live` against this very binary: every invariant holds.

use std::time::Duration;

use dunlin_chaos::live::{self, Fault, Plan};
use dunlin_chaos::report::Judgement;

use crate::harness;

#[tokio::test(flavor = "multi_thread")]
async fn promises_hold_while_nodes_and_backends_fail() -> anyhow::Result<()> {
    let plan = Plan {
        binary: harness::binary(),
        seed: 1,
        lasts: Duration::from_secs(16),
        nodes: 3,
        faults: vec![Fault::KillLeader, Fault::Pause, Fault::Stop, Fault::BackendReset],
        progress: |what| eprintln!("{what}"),
    };
    let report = live::run(&plan).await?;
    let text = report.text();
    assert_eq!(report.verdict, Judgement::Held, "{text}");
    Ok(())
}
