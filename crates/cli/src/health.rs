//! `dunlin health`: whether nodes are ready, for container health checks and scripts.

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::session::Session;
use crate::target::Nodes;

/// The nodes to ask, and how the answer is shown.
#[derive(Args, Debug)]
pub struct HealthArgs {
    #[command(flatten)]
    nodes: Nodes,
    #[command(flatten)]
    output: Output,
}

/// Asks every node: that one node is ready says nothing about another.
pub(crate) async fn run(args: &HealthArgs) -> Result<Exit> {
    let session = Session::new(&args.nodes, None)?;
    let unwritten = |error| Failure::here(format!("cannot write the output: {error}"));
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
