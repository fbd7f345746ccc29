//! The callbacks of keys and teams, `metadata.logging`: read as clients write them, sealed before the
//! cluster is asked to keep them. No command leaves this node with a secret of theirs in clear.

use dunlin_callbacks::{FIELD, OwnCallback};
use dunlin_state::{Change, Command, Kind, State, Terms, TermsChanges};
use dunlin_types::KeyDigest;
use serde_json::Value;

use crate::Admin;
use crate::body::{self, Wrong, senseless};
use crate::error::Error;

/// Reads a list of callbacks. What is shown as `***` is looked up when it is sealed.
pub(crate) fn read(value: &Value) -> Result<String, Wrong> {
    for item in body::list(value)? {
        OwnCallback::read(item).map_err(senseless)?;
    }
    Ok(value.to_string())
}

impl Admin {
    /// The callbacks that terms have, with their secrets.
    pub(crate) fn callbacks_of(&self, terms: &Terms) -> Option<Vec<OwnCallback>> {
        let text = terms.other.get(FIELD)?;
        Some(OwnCallback::opened(text, &self.0.config.sealer))
    }

    /// Seals what is a secret in a command.
    pub(crate) fn seal_callbacks(&self, state: &State, command: &mut Command) -> Result<(), Error> {
        let key = |token: &KeyDigest| state.key(token).map(|key| &key.terms);
        if let Command::All { commands } = command {
            commands.iter_mut().try_for_each(|command| self.seal_callbacks(state, command))?;
        } else if let Command::UpdateKey { token, changes }
        | Command::RegenerateKey { token, changes, .. } = command
        {
            self.seal_changes(&mut changes.terms, key(token))?;
        } else if let Command::UpdateEntity { kind: Kind::Team, name, changes } = command {
            let team = state.entity(Kind::Team, name).map(|team| &team.terms);
            self.seal_changes(&mut changes.terms, team)?;
        } else if let Command::CreateKey { key } | Command::PutKey { key, .. } = command {
            self.seal_terms(&mut key.terms)?;
        } else if let Command::CreateEntity { entity, .. } | Command::PutEntity { entity, .. } =
            command
        {
            self.seal_terms(&mut entity.terms)?;
        }
        Ok(())
    }

    fn seal_changes(
        &self,
        changes: &mut TermsChanges,
        before: Option<&Terms>,
    ) -> Result<(), Error> {
        let before = before.and_then(|terms| terms.other.get(FIELD)).map(String::as_str);
        match changes.other.get_mut(FIELD) {
            Some(Change::Set(text)) => self.seal_text(text, before),
            Some(Change::Keep | Change::Clear) | None => Ok(()),
        }
    }

    fn seal_terms(&self, terms: &mut Terms) -> Result<(), Error> {
        terms.other.get_mut(FIELD).map_or(Ok(()), |text| self.seal_text(text, None))
    }

    fn seal_text(&self, text: &mut String, before: Option<&str>) -> Result<(), Error> {
        let bad = |reason| Error::BadField { name: "metadata.logging", reason };
        let sealer = &self.0.config.sealer;
        let list: Value = serde_json::from_str(text).unwrap_or_default();
        let all = OwnCallback::read_all(&list, before, sealer).map_err(bad)?;
        *text = OwnCallback::sealed(&all, sealer);
        Ok(())
    }
}
