//! `POST /dunlin/import`: rows from elsewhere, such as a LiteLLM database. Repeating it changes
//! nothing. With the master key only: a row may be of any age, have any hash and have spent anything.

use axum::response::Response;
use dunlin_admin_api::{Import, Imported, ImportedRow, MAX_IMPORT_ROWS};
use dunlin_consensus::ProposeError;
use dunlin_state::Command;
use tracing::info;

use super::ok;
use crate::Admin;
use crate::changes::import::{Candidate, Step};
use crate::error::Error;
use crate::request::fault::Fault;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::terms::model_names;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/dunlin/import", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    if asked.caller.bearer().is_some() {
        return Err(forbidden("only the master key imports rows".to_owned()));
    }
    let Import { rows, overwrite, dry_run } = parse(&asked.bytes)?;
    let published = admin.settings()?;
    // By an old state a row would be made that another node has just made.
    let read = admin.read().await;
    if read.stale.is_some() {
        let reason = "cannot ask the leader which rows exist".to_owned();
        return Err(Error::CannotKnow { reason });
    }
    let view = admin.view(read.state);
    let master = published.settings.master_key.as_ref();
    let mut steps: Vec<Step> = rows
        .iter()
        .map(|row| {
            let candidate = Candidate::read(row, &view, master)?;
            let step = candidate.step(&view.state, overwrite);
            let mut commands = step.commands.iter();
            commands
                .try_for_each(|one| model_names::check(&published.catalog, &view.state, one))?;
            Ok(step)
        })
        .map(|step: Result<Step, Error>| {
            step.unwrap_or_else(|error| {
                let outcome = ImportedRow::Refused(error.told());
                Step { outcome, commands: Vec::new() }
            })
        })
        .collect();
    if !dry_run {
        carry_out(&admin, &asked, &mut steps).await?;
    }
    let count = |outcome: &ImportedRow| steps.iter().filter(|s| s.outcome == *outcome).count();
    let (made, replaced) = (count(&ImportedRow::Made), count(&ImportedRow::Replaced));
    info!(rows = steps.len(), made, replaced, dry_run, "rows were imported");
    Ok(ok(&Imported { rows: steps.into_iter().map(|step| step.outcome).collect() }))
}

fn parse(bytes: &[u8]) -> Result<Import, Error> {
    let fault = |msg: String| Error::Invalid(vec![Fault::of("body", "rows", "value_error", msg)]);
    let import: Import = serde_json::from_slice(bytes)
        .map_err(|error| fault(format!("no rows to import: {error}")))?;
    if import.rows.is_empty() || import.rows.len() > MAX_IMPORT_ROWS {
        return Err(fault(format!("1 to {MAX_IMPORT_ROWS} rows can be imported at a time")));
    }
    Ok(import)
}

/// All rows at once, or, if one of them is rejected, one by one, so that the others are there.
async fn carry_out(admin: &Admin, asked: &Request, steps: &mut [Step]) -> Result<(), Error> {
    let commands: Vec<_> = steps
        .iter()
        .filter(|step| !step.commands.is_empty())
        .map(|step| Command::All { commands: step.commands.clone() })
        .collect();
    if commands.is_empty() {
        return Ok(());
    }
    match admin.carry_out(asked, Command::All { commands }).await {
        Ok(_) => return Ok(()),
        Err(
            Error::Propose(ProposeError::Rejected(_) | ProposeError::TooLarge { .. })
            | Error::BadField { .. },
        ) => {}
        Err(error) => return Err(error),
    }
    for step in steps.iter_mut().filter(|step| !step.commands.is_empty()) {
        let commands = step.commands.clone();
        match admin.carry_out(asked, Command::All { commands }).await {
            Ok(_) => {}
            Err(error @ (Error::Propose(ProposeError::Rejected(_)) | Error::BadField { .. })) => {
                step.outcome = ImportedRow::Refused(error.told())
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_some_rows_and_not_too_many() {
        let row = r#"{"kind": "tag", "fields": {"name": "a"}}"#;
        let many = |count| format!(r#"{{"rows": [{}]}}"#, vec![row; count].join(","));
        assert_eq!(parse(many(2).as_bytes()).expect("rows").rows.len(), 2);
        for text in ["{}", &many(0), &many(MAX_IMPORT_ROWS + 1), r#"{"rows": [{"kind": "x"}]}"#] {
            assert!(matches!(parse(text.as_bytes()), Err(Error::Invalid(_))));
        }
    }
}
