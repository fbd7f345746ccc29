//! `GET /audit/{id}`: one row of the audit log.

use axum::response::Response;
use dunlin_admin_api::AuditEntry;

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Request, Routes, Who};
use crate::rows::audited::entry;
use crate::rows::row::View;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/audit/{id}", Who::Viewers, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let row = find(&view, asked.named.as_deref().unwrap_or_default())?;
    Ok(ok_as_of(&read, &row))
}

fn find(view: &View, id: &str) -> Result<AuditEntry, Error> {
    let log = view.state.audit();
    let number: Option<u64> = id.parse().ok();
    if let Some(link) = number.and_then(|number| log.row(number)) {
        return Ok(entry(view, link));
    }
    let (dropped, _) = log.anchor();
    let reason = match number {
        Some(1..) if number <= Some(dropped) => format!(
            "Audit log with ID {id} is no longer kept: the oldest row here is {}",
            dropped + 1
        ),
        Some(_) | None => format!("Audit log with ID {id} not found"),
    };
    Err(Error::NotFound { reason })
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rows::row::tests::{bare, state_as, view_of};

    #[test]
    fn a_row_is_found_by_its_number() {
        let make = Command::CreateKey { key: Box::new(bare("sk-aaaa")) };
        let view = view_of(state_as("ann", [make]));
        assert_eq!(find(&view, "1").expect("a row").action, "created");
        for id in ["0", "2", "x", "-1", ""] {
            assert!(matches!(find(&view, id), Err(Error::NotFound { .. })), "{id}");
        }
    }
}
