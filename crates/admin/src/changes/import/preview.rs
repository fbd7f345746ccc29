//! What an import of rows would say in a cluster that has none yet, told without one: by the same
//! readers, and by the same state.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_admin_api::{ImportRow, ImportedRow};
use dunlin_admission::EndUsers;
use dunlin_consensus::ProposeError;
use dunlin_ledger::Calendar;
use dunlin_router::Catalog;
use dunlin_state::{Command, CommandId, Entry, State};
use dunlin_types::{Epoch, NodeId, Secret, UnixMillis};
use serde_json::Value;

use super::Candidate;
use crate::error::Error;
use crate::rows::row::View;
use crate::terms::model_names;

/// By what rows are judged.
#[derive(Clone, Copy)]
pub struct Preview<'a> {
    /// The models that there are.
    pub catalog: &'a Catalog,
    /// Where budgets' periods begin.
    pub calendar: &'a Calendar,
    /// It is no virtual key.
    pub master_key: Option<&'a Secret>,
    /// The present.
    pub now: UnixMillis,
}

impl Preview<'_> {
    /// Why each of the rows, one after the other, would not be imported; none: it would.
    #[must_use]
    pub fn refusals<'r>(self, rows: impl IntoIterator<Item = &'r Value>) -> Vec<Option<String>> {
        let mut state = State::new();
        let refusal = |(number, row)| match self.import(&mut state, number, row) {
            Ok(ImportedRow::Refused(why) | ImportedRow::Conflict(why)) => Some(why),
            Ok(ImportedRow::Made | ImportedRow::Unchanged | ImportedRow::Replaced) => None,
            Err(error) => Some(error.told()),
        };
        (1..).zip(rows).map(refusal).collect()
    }

    fn import(self, state: &mut State, number: u64, row: &Value) -> Result<ImportedRow, Error> {
        let row: ImportRow = serde_json::from_value(row.clone()).map_err(|error| {
            let reason = format!("no row to import: {error}");
            Error::BadField { name: "rows", reason }
        })?;
        let view = View {
            state: Arc::new(state.clone()),
            calendar: self.calendar.clone(),
            binds_users_of_teams: false,
            end_users: EndUsers::default(),
            key_defaults: BTreeMap::new(),
            rollover: false,
            now: self.now,
        };
        let step = Candidate::read(&row, &view, self.master_key)?.step(&view.state, false);
        step.commands
            .iter()
            .try_for_each(|command| model_names::check(self.catalog, &view.state, command))?;
        if !step.commands.is_empty() {
            let id = CommandId { node: NodeId::default(), epoch: Epoch(1), seq: number };
            let command = Command::All { commands: step.commands };
            let entry = Entry { id, actor: None, command };
            state.apply(number, self.now, &entry).map_err(ProposeError::Rejected)?;
        }
        Ok(step.outcome)
    }
}
