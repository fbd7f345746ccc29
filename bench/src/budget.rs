//! `budget`: one budget and a rush of requests, all at once, over all nodes, each at a random cost.
//! What was spent is counted by the clients, by the upstream, by the request log and by the settled
//! spend, and each difference is named by its requests.

mod judge;
mod rush;
mod witnesses;

use std::time::Duration;

use clap::{Args, ValueEnum};
use dunlin_cluster::{Launcher, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;

use crate::report::{self, line};
use crate::spend::{self, nano};
use crate::target::{self, Gateway, Measured, READY_WITHIN};
use crate::{process, say};

use rush::{Asked, Outcome, Rush};
use witnesses::Witnesses;

const ALIAS: &str = "rush";
const MODEL: &str = "chat";
/// No answer is longer, and no request may name more.
const LONGEST: u64 = 1_500;
/// Spend is settled and all nodes have it by then.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// A node that is killed is marked down by then.
const MISSED_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The last money admits one request.
    Soft,
    /// Never overspent.
    Strict,
}

#[derive(Args)]
pub(crate) struct BudgetArgs {
    /// What the budget is.
    #[arg(long, value_enum, default_value = "strict")]
    mode: Mode,
    /// Dollars.
    #[arg(long, default_value_t = 1.0)]
    usd: f64,
    /// Requests, all at once.
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// Nodes of dunlin; requests go to them by turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Kills the last node (-9) so many seconds after the rush began, and starts it again after it.
    #[arg(long, value_name = "SECONDS")]
    kill: Option<f64>,
    /// How long the upstream takes for an answer: from nothing to twice this.
    #[arg(long, default_value_t = 1000)]
    answer_ms: u64,
    /// Costs and times are drawn from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    measured: Measured,
}

pub(crate) async fn run(args: BudgetArgs) -> anyhow::Result<String> {
    process::raise_open_files();
    let binary = args.measured.binary().await?;
    let dir = tempfile::Builder::new().prefix("dunlin-bench-").tempdir()?;
    let mock = MockUpstream::start(Settings {
        first_byte: Duration::from_millis(args.answer_ms),
        jitter: 1.0,
        seed: args.seed,
        accounts: args.requests,
        ..Settings::default()
    })
    .await?;
    let launcher = Launcher::new(binary, dir.path().to_owned(), config(&mock));
    let launcher = Launcher { nodes: usize::from(args.nodes), ..launcher };
    let mut gateway = Gateway::launch(launcher).await?;
    let strict = args.mode == Mode::Strict;
    let fields = json!({"key_alias": ALIAS, "max_budget": args.usd, "strict_budget": strict});
    let key = gateway.known_key(&fields).await?;

    say(&format!("{} requests at once\n", args.requests));
    let rush = Rush { requests: args.requests, seed: args.seed };
    let sent = rush.send(&gateway.cluster, &key)?;
    let dead = match args.kill {
        Some(seconds) => {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            let last = usize::from(args.nodes) - 1;
            gateway.cluster.kill(last).await?;
            Some(last)
        }
        None => None,
    };
    let asked = sent.join_all().await;
    let mut text = report::heading() + "\n";
    text += &line("budget", &terms(&args));
    text += &answers(&asked);
    let withheld = match dead {
        Some(dead) => Some(come_back(&mut gateway, dead, &key).await?),
        None => None,
    };
    let settled = settle(&gateway, &key).await?;
    let rows = spend::rows(&gateway.cluster, 0, ALIAS).await?;
    let witnesses = Witnesses::hear(&asked, &mock.accounts(), rows);
    text += &witnesses.sums(settled);
    text += &bounds(&asked, nano(args.usd), settled, withheld.unwrap_or_default());
    if let Some((dead, withheld)) = dead.zip(withheld) {
        text += &line("withheld", &format!("{withheld} nano-dollars while a node was away"));
        text += &in_flight(&asked, dead, &args);
    }
    text += &witnesses.differences();
    gateway.stop().await?;
    Ok(text)
}

/// Each request reaches the upstream once at most, so that counts can be compared.
fn config(mock: &MockUpstream) -> String {
    let deployment = target::deployment(MODEL, mock.address());
    format!(
        "model_list:\n{deployment}    model_info: {{max_output_tokens: {LONGEST}}}\n\
         router_settings:\n  num_retries: 0\n"
    )
}

fn terms(args: &BudgetArgs) -> String {
    let BudgetArgs { requests, nodes, seed, usd, .. } = args;
    let mode = if args.mode == Mode::Strict { "strict" } else { "soft" };
    format!("{mode}, ${usd}; {requests} requests at once over {nodes} nodes, seed {seed}")
}

fn answers(asked: &[Asked]) -> String {
    let of = |which: fn(&Outcome) -> bool| asked.iter().filter(|a| which(&a.outcome)).count();
    let answered = of(|outcome| matches!(outcome, Outcome::Answered(_)));
    let by_budget = of(|outcome| matches!(outcome, Outcome::Refused { status: 422, .. }));
    let by_limit = of(|outcome| matches!(outcome, Outcome::Refused { status: 429, .. }));
    let undecided = of(|outcome| matches!(outcome, Outcome::Undecided(_)));
    let failed = asked.len() - answered - by_budget - by_limit - undecided;
    let mut text = line(
        "answers",
        &format!(
            "{answered} 200, {by_budget} 422, {by_limit} 429, {undecided} 503, {failed} failed"
        ),
    );
    if let Some(words) = asked.iter().find_map(|asked| asked.outcome.trouble()) {
        text += &line("", &format!("one of the 503 and failed: {words}"));
    }
    text
}

/// Starts a killed node again once the others have missed it; gives what it withheld meanwhile.
async fn come_back(gateway: &mut Gateway, dead: usize, key: &str) -> anyhow::Result<u64> {
    let cluster = &gateway.cluster;
    wait_until("the others miss the node", MISSED_WITHIN, async || {
        let status = cluster.status(0).await;
        status.is_ok_and(|status| status.members.iter().any(|member| member.down))
    })
    .await?;
    let withheld = spend::of_key(cluster, 0, key, "withheld").await?;
    gateway.cluster.restart(dead)?;
    gateway.cluster.wait_ready(READY_WITHIN).await?;
    Ok(withheld)
}

/// What is settled once nothing is left to settle, the same on all nodes.
async fn settle(gateway: &Gateway, key: &str) -> anyhow::Result<u64> {
    let cluster = &gateway.cluster;
    let mut settled = 0;
    wait_until("all that was recorded is settled", SETTLED_WITHIN, async || {
        let mut seen = Vec::new();
        for node in 0..cluster.nodes().len() {
            let unsettled = spend::metric(cluster, node, "dunlin_spend_unsettled_records").await;
            if unsettled.is_ok_and(|left| left > 0.0) {
                return false;
            }
            seen.push(spend::of_key(cluster, node, key, "spend").await.ok());
        }
        settled = seen[0].unwrap_or_default();
        seen.iter().all(|one| *one == Some(settled))
    })
    .await?;
    Ok(settled)
}

fn bounds(asked: &[Asked], limit: u64, settled: u64, withheld: u64) -> String {
    let over = match settled.checked_sub(limit) {
        Some(over) if over > 0 => format!("{over} nano-dollars"),
        _ => format!("none, {} nano-dollars are left", limit - settled),
    };
    let refusals = judge::judge(asked, limit, withheld);
    line("overspent", &over) + &line("refusals", &refusals)
}

fn in_flight(asked: &[Asked], dead: usize, args: &BudgetArgs) -> String {
    let open = asked.iter().filter(|asked| asked.node == dead);
    let open = open.filter(|asked| matches!(asked.outcome, Outcome::Broken(_))).count();
    let seconds = args.kill.unwrap_or_default();
    line("killed", &format!("n{} after {seconds} s, with {open} requests in flight", dead + 1))
}
