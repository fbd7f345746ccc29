//! `POST /config/rollback`: an older revision's content is in force again, as a new revision.

use axum::response::Response;
use dunlin_consensus::ProposeError;
use dunlin_state::{Command, Rejected, Reply};
use serde_json::json;
use tracing::info;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

/// How often a rollback is retried because another revision came in between.
const MAX_OVERTAKEN: usize = 3;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/config/rollback", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let to = parse(asked.body()?)?;
    let mut overtaken = 0;
    loop {
        if overtaken > 0 {
            admin.catch_up().await?;
        }
        let state = admin.0.consensus.state();
        let after = state.config().map_or(0, |config| config.revision);
        let rolled_back = admin.carry_out(&asked, Command::RollBackConfig { to, after }).await;
        match rolled_back {
            Ok((Reply::Revision(revision), _)) => {
                info!(config.revision = revision, "the config was rolled back to revision {to}");
                return Ok(ok(&json!({"revision": revision, "content_of": to, "before": after})));
            }
            Ok(_) => unreachable!("a rollback answers with a revision"),
            Err(Error::Propose(ProposeError::Rejected(Rejected::StaleRevision { .. })))
                if overtaken < MAX_OVERTAKEN =>
            {
                overtaken += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn parse(mut body: Body) -> Result<u64, Error> {
    let to = body.require("to", values::count);
    body.finish(["to"].into_iter())?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_a_number() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        assert_eq!(of(r#"{"to": 3}"#).expect("a number"), 3);
        for text in ["{}", r#"{"to": "x"}"#, r#"{"to": -1}"#] {
            assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
