//! `GET /audit/verify`: recomputes the hashes of the audit log's rows, and tells the hash of the whole
//! chain, to be noted elsewhere.

use axum::response::Response;
use dunlin_admin_api::AuditProof;
use dunlin_state::AuditLog;

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/audit/verify", Who::Viewers, handle)
}

async fn handle(admin: Admin, _asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    Ok(ok_as_of(&read, &proof(read.state.audit())))
}

fn proof(log: &AuditLog) -> AuditProof {
    let broken_at = log.verify().err().map(|broken| broken.number);
    let ((dropped, anchor), (newest, head)) = (log.anchor(), log.head());
    let last = broken_at.unwrap_or(newest);
    let (intact, checked) = (broken_at.is_none(), last - dropped);
    AuditProof { intact, broken_at, checked, dropped, anchor, newest, head }
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rows::row::tests::{bare, state_as};

    #[test]
    fn the_proof_names_the_head_of_the_chain() {
        let make = |key: &str| Command::CreateKey { key: Box::new(bare(key)) };
        let state = state_as("ann", [make("sk-aaaa"), make("sk-bbbb")]);
        let proof = proof(state.audit());
        assert_eq!((proof.intact, proof.broken_at), (true, None));
        assert_eq!((proof.checked, proof.dropped, proof.newest), (2, 0, 2));
        let second = state.audit().row(2).expect("a row");
        assert_eq!((proof.anchor, proof.head), (Default::default(), second.hash));
    }
}
