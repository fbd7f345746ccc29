//! `dunlin drain`: takes one node out of service without stopping it, before a restart or while its
//! machine is worked on; `--undo` puts it back.

use std::cell::Cell;
use std::time::Duration;

use clap::Args;
use dunlin_admin_api::ClusterStatus;
use serde::Deserialize;

use crate::failure::{Exit, Failure, Result};
use crate::session::Session;
use crate::target;

/// How long the node waits until it says how far it is.
const STEP: &str = "2";

#[derive(Args, Debug)]
pub struct DrainArgs {
    /// Serve clients again.
    #[arg(long)]
    undo: bool,
    /// How long to wait for open requests: `30s`, `10m`. The node keeps draining after that.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = target::timeout)]
    wait: Duration,
}

#[derive(Deserialize)]
struct Told {
    status: String,
    node: String,
    #[serde(default)]
    open_requests: u64,
    #[serde(default)]
    was_draining: bool,
    #[serde(default)]
    budgets_held_usd: f64,
    #[serde(default)]
    owns_limits: bool,
    nodes_that_take_clients: Option<u64>,
}

pub(crate) async fn run(args: &DrainArgs, session: &Session) -> Result {
    session.only_one("drain")?;
    if args.undo { undo(session).await } else { drain(args.wait, session).await }
}

async fn undo(session: &Session) -> Result {
    let answer = session.delete("/health/drain").await?;
    let told: Told = answer.read()?;
    session.say(&if told.was_draining {
        format!("node {} serves its clients again", told.node)
    } else {
        format!("node {} was not draining", told.node)
    });
    session.show("dunlin.drain/1", answer.read()?, "")
}

async fn drain(wait: Duration, session: &Session) -> Result {
    let open = Cell::new(None);
    match tokio::time::timeout(wait, until_drained(session, &open)).await {
        Ok(drained) => drained,
        Err(_elapsed) => {
            let help = "open requests continue; ask again, or stop the node, which waits for them \
                        too";
            Err(match open.get() {
                Some(open) => {
                    let message =
                        format!("the node is draining, and {open} requests are still open");
                    Failure::new(Exit::Failed, message, help)
                }
                None => Failure::new(Exit::OutcomeUnknown, unanswered(session).await, help),
            })
        }
    }
}

/// Why the node has not answered, as far as its own view of the cluster tells.
async fn unanswered(session: &Session) -> String {
    let answer = session.get("/cluster/status", &[]).await;
    let Ok(status) = answer.and_then(|answer| answer.read::<ClusterStatus>()) else {
        return "the node has not answered yet".to_owned();
    };
    let open: u32 = status.backends.iter().map(|backend| backend.in_flight).sum();
    let why = match status.no_majority {
        Some(_) => {
            ": it hears no majority, which it needs to note this and to hand over what it holds"
        }
        None => "",
    };
    format!(
        "the node has not said yet that it is drained{why}; it has {open} requests open with models"
    )
}

/// Polls until nothing is open. `open` is how much was open at the last answer.
async fn until_drained(session: &Session, open: &Cell<Option<u64>>) -> Result {
    loop {
        let answer = session.get("/health/drain", &[("wait", STEP)]).await?;
        let told: Told = answer.read()?;
        if open.get().is_none() && told.nodes_that_take_clients == Some(0) {
            session.say("note: no other node accepts clients: this node still serves them");
        }
        match told.status.as_str() {
            "drained" => {
                say_drained(session, &told);
                return session.show("dunlin.drain/1", answer.read()?, "");
            }
            "draining" => {}
            _ => {
                let message = format!("node {} was meanwhile told to serve again", told.node);
                return Err(Failure::new(Exit::Conflict, message, ""));
            }
        }
        if open.replace(Some(told.open_requests)) != Some(told.open_requests) {
            session.say(&format!("{} requests are open", told.open_requests));
        }
    }
}

fn say_drained(session: &Session, told: &Told) {
    session.say(&format!("node {} is drained: it can be stopped", told.node));
    if told.owns_limits && told.nodes_that_take_clients != Some(0) {
        session.say(
            "note: it could not hand over the limits that it counts: for a minute after its stop \
             they may admit again what it had admitted itself",
        );
    }
    if told.budgets_held_usd > 0.0 {
        session.say(&format!(
            "note: {} of budget money could not be returned now: they are free when the node has \
             started again",
            told.budgets_held_usd
        ));
    }
}
