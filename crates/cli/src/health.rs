//! `dunlin health`: whether nodes are ready, for container health checks and scripts.

use crate::failure::{Exit, Failure, Result};
use crate::session::Session;
use crate::target::Nodes;

/// Asks every node: that another one is ready says nothing about this one.
pub(crate) async fn run(nodes: &Nodes) -> Result<Exit> {
    let session = Session::new(nodes, None)?;
    let mut exit = Exit::Done;
    for url in &nodes.url {
        let line = match session.ask(url, "/health/readiness", &[], None).await {
            Ok(_) => format!("{url} is ready\n"),
            Err(failure) => {
                exit = Exit::Failed;
                format!("not ready: {}\n", failure.message)
            }
        };
        let unwritten = |error| Failure::here(format!("nothing was written: {error}"));
        crate::print(&line).map_err(unwritten)?;
    }
    Ok(exit)
}
