//! `POST /cluster/format`: whether the format of the replicated log is raised as soon as all members
//! know a newer one, or held until somebody says otherwise.

use std::time::Duration;

use axum::response::Response;
use dunlin_admin_api::LogFormat;
use dunlin_consensus::FormatStatus;
use dunlin_state::Command;
use tracing::info;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

/// How long the answer waits for the leader to raise it.
const RAISED_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/cluster/format", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let held = parse(asked.body()?)?;
    admin.carry_out(&asked, Command::HoldFormat { held }).await?;
    info!(held, "an admin said whether the log's format is raised by itself");
    let consensus = &admin.0.consensus;
    let raised = async {
        while is_due(&consensus.format()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    drop(tokio::time::timeout(RAISED_WITHIN, raised).await);
    Ok(ok(&shown(&consensus.format())))
}

/// Whether the leader is about to raise it.
fn is_due(status: &FormatStatus) -> bool {
    !status.held && status.waits_for.is_empty() && status.format < status.newest
}

/// As answers show it.
pub(super) fn shown(status: &FormatStatus) -> LogFormat {
    LogFormat {
        format: status.format.0,
        newest: status.newest.0,
        held: status.held,
        waits_for: status.waits_for.iter().map(|(node, _)| *node).collect(),
    }
}

fn parse(mut body: Body) -> Result<bool, Error> {
    let held = body.require("hold", values::flag);
    body.finish(["hold"].into_iter())?;
    Ok(held)
}

#[cfg(test)]
mod tests {
    use dunlin_state::Format;
    use dunlin_types::NodeId;

    use super::*;

    #[test]
    fn it_must_be_said_whether_to_hold_it() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        assert_eq!(of(r#"{"hold": true}"#).ok(), Some(true));
        assert_eq!(of(r#"{"hold": false}"#).ok(), Some(false));
        assert!(matches!(of("{}"), Err(Error::Invalid(_))));
    }

    #[test]
    fn an_answer_waits_for_what_is_about_to_happen_only() {
        let (format, newest) = (Format::FIRST, Format::NEWEST);
        let due = FormatStatus { format, newest, held: false, waits_for: Vec::new() };
        assert!(is_due(&due));
        assert!(!is_due(&FormatStatus { held: true, ..due.clone() }));
        assert!(!is_due(&FormatStatus { format: newest, ..due.clone() }));
        let waits_for = vec![(NodeId(2), Some(format)), (NodeId(3), None)];
        let waits = FormatStatus { waits_for, ..due };
        assert!(!is_due(&waits));
        assert_eq!(shown(&waits).waits_for, [NodeId(2), NodeId(3)]);
    }
}
