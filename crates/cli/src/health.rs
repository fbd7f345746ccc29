//! `dunlin health`: whether nodes are ready, for container health checks and scripts.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::session::Session;
use crate::target::{self, Nodes};

/// How often a node is asked that is waited for.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The nodes to ask, and how the answer is shown.
#[derive(Args, Debug)]
pub struct HealthArgs {
    #[command(flatten)]
    nodes: Nodes,
    /// How long to wait until all of them are ready: `30s`, `2m` [default: not at all].
    #[arg(long, value_name = "TIME", value_parser = target::timeout)]
    wait: Option<Duration>,
    #[command(flatten)]
    output: Output,
}

/// Asks every node: that one node is ready says nothing about another.
pub(crate) async fn run(args: &HealthArgs) -> Result<Exit> {
    let session = Session::new(&args.nodes, None)?;
    let unwritten = |error| Failure::here(format!("cannot write the output: {error}"));
    if let Some(wait) = args.wait {
        let _asked_once_more_below = tokio::time::timeout(wait, all_ready(&session, args)).await;
    }
    let (mut exit, mut told) = (Exit::Done, Vec::new());
    for url in &args.nodes.url {
        let why = session.ask(url, "/health/readiness", &[], None).await.err();
        let line = match &why {
            None => format!("{url} is ready\n"),
            Some(failure) => {
                exit = Exit::Failed;
                format!("not ready: {}\n", failure.message)
            }
        };
        let why = why.map(|failure| failure.message);
        told.push(json!({"url": url, "ready": why.is_none(), "why": why}));
        if !args.output.is_json() {
            crate::print(&line).map_err(unwritten)?;
        }
    }
    let json = json!({"ready": exit == Exit::Done, "nodes": Value::Array(told)});
    args.output.show("dunlin.health/1", json, "").map_err(unwritten)?;
    Ok(exit)
}

async fn all_ready(session: &Session, args: &HealthArgs) {
    for url in &args.nodes.url {
        while session.ask(url, "/health/readiness", &[], None).await.is_err() {
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}
