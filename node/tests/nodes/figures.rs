//! The commands that make dunlin's figures, at a scale at which they show only that they still can,
//! and the counts that are exact at any scale.

use anyhow::Context;
use clap::Parser;
use dunlin_bench::Cli;
use dunlin_cluster::alone;

use crate::harness;

/// The report of one command line.
async fn figures(arguments: &str) -> anyhow::Result<String> {
    let binary = harness::binary();
    let binary = binary.to_str().context("a path that is text")?;
    let words = ["dunlin-bench"].into_iter().chain(arguments.split(' '));
    let cli = Cli::try_parse_from(words.chain(["--binary", binary]))?;
    let report = dunlin_bench::run(cli).await?;
    eprintln!("{report}");
    Ok(report)
}

#[track_caller]
fn assert_told(report: &str, told: &[&str]) {
    for words in told {
        assert!(report.contains(words), "`{words}` is not in:\n{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_counted_by_all_witnesses_alike() -> anyhow::Result<()> {
    let report = figures("budget --requests 40 --usd 0.03 --answer-ms 50").await?;
    let exact = "nano-dollars of the same requests: exact";
    assert_told(&report, &[exact, "overspent  none", "differing  0 requests"]);
    assert_told(&report, &["request log: exact", "/key/info has it: exact"]);
    assert_told(&report, &["false by what clients saw: 0, by their own words: 0"]);
    let soft = "budget --mode soft --requests 30 --usd 0.03 --answer-ms 600 --kill 0.3";
    let report = figures(soft).await?;
    assert_told(&report, &["soft, $0.03", "/key/info has it: exact", "killed     n3 after 0.3 s"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worst_minute_of_a_limit_is_counted_at_the_upstream() -> anyhow::Result<()> {
    let scale = "--nodes 3 --rpm 20 --rate 20 --seconds 3";
    let report = figures(&format!("limits {scale}")).await?;
    assert_told(&report, &["happened   nothing", "20 of 20: exact", "by shares  0 decisions"]);
    let report = figures(&format!("limits --mode kill {scale}")).await?;
    assert_told(&report, &["was killed (-9) after 1.5 s", "worst 60 s ", "its own "]);
    Ok(())
}

/// Nodes are cut off in a network of their own, in which this test starts itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_limits_owner_is_cut_off_from_the_other_nodes() -> anyhow::Result<()> {
    const ALONE: &str = "in-a-network-of-its-own";
    if std::env::args().any(|argument| argument == ALONE) {
        let scale = "--nodes 3 --rpm 30 --rate 20 --seconds 8 --away 3";
        let report = figures(&format!("limits --mode cut --alone {scale}")).await?;
        assert_told(&report, &["cut off from the others for 3 s", "worst 60 s "]);
        return Ok(());
    }
    let possible = alone("true".as_ref(), &[]).status().await;
    if !possible.is_ok_and(|ended| ended.success()) {
        eprintln!("this machine lets nobody have a network of its own: nothing was cut off");
        return Ok(());
    }
    let test = "figures::a_limits_owner_is_cut_off_from_the_other_nodes";
    // A filter that no test matches.
    let arguments = ["--exact", test, "--nocapture", ALONE].map(Into::into);
    let ended = alone(&std::env::current_exe()?, &arguments).status().await?;
    anyhow::ensure!(ended.success(), "{ended}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_imported_beside_a_load() -> anyhow::Result<()> {
    let report = figures("keys --keys 1000 --nodes 3 --rate 20 --seconds 1").await?;
    assert_told(&report, &["import     1000 keys in", "snapshots  none was written", "restart "]);
    for load in report.lines().filter(|line| line.starts_with("  ")) {
        assert!(load.ends_with(" 0"), "{load}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_dies_under_load_and_nothing_acknowledged_is_lost() -> anyhow::Result<()> {
    let report = figures("failover --rate 30 --seconds 6").await?;
    assert_told(&report, &["survivors  0 failed of", "lost       0 of", "accepted again after"]);
    Ok(())
}
