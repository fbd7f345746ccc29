//! The callbacks of keys and teams, `metadata.logging`: read as clients write them, sealed before the
//! cluster is asked to keep them. No command leaves this node with a secret of theirs in clear.

use dunlin_callbacks::{FIELD, OwnCallback};
use dunlin_state::{Change, Command, Kind, Seen, State, Terms, TermsChanges};
use futures::future::join_all;
use serde_json::Value;

use crate::Admin;
use crate::error::Error;
use crate::request::values::{self, Wrong, senseless};

/// Reads a list of callbacks. What is shown as `***` is looked up when it is sealed.
pub(crate) fn read(value: &Value) -> Result<String, Wrong> {
    for item in values::list(value)? {
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

    /// Seals what is a secret in a command, and notes what came to light by that in `found`.
    pub(crate) fn seal_callbacks(
        &self,
        state: &State,
        command: &mut Command,
        found: &mut Found,
    ) -> Result<(), Error> {
        if let Command::All { commands } = command {
            commands
                .iter_mut()
                .try_for_each(|command| self.seal_callbacks(state, command, found))?;
        } else if let Command::IfUnchanged { command, .. } = command {
            self.seal_callbacks(state, command, found)?;
        } else if let Command::UpdateKey { token, changes }
        | Command::RegenerateKey { token, changes, .. } = command
        {
            let key = state.key(token);
            if self.seal_changes(&mut changes.terms, key.map(|key| &key.terms), found)? {
                found.seen.extend(key.map(|key| Seen::from(&**key)));
            }
        } else if let Command::UpdateEntity { kind: Kind::Team, name, changes } = command {
            let team = state.entity(Kind::Team, name);
            if self.seal_changes(&mut changes.terms, team.map(|team| &team.terms), found)? {
                found.seen.extend(team.map(|team| Seen::from(&**team)));
            }
        } else if let Command::CreateKey { key } | Command::PutKey { key, .. } = command {
            self.seal_terms(&mut key.terms, found)?;
        } else if let Command::CreateEntity { entity, .. } | Command::PutEntity { entity, .. } =
            command
        {
            self.seal_terms(&mut entity.terms, found)?;
        }
        Ok(())
    }

    /// Whether there is something to seal, by what was there before.
    fn seal_changes(
        &self,
        changes: &mut TermsChanges,
        before: Option<&Terms>,
        found: &mut Found,
    ) -> Result<bool, Error> {
        let before = before.and_then(|terms| terms.other.get(FIELD)).map(String::as_str);
        match changes.other.get_mut(FIELD) {
            Some(Change::Set(text)) => {
                self.seal_text(text, before, found).map(|()| before.is_some())
            }
            Some(Change::Keep | Change::Clear) | None => Ok(false),
        }
    }

    fn seal_terms(&self, terms: &mut Terms, found: &mut Found) -> Result<(), Error> {
        terms.other.get_mut(FIELD).map_or(Ok(()), |text| self.seal_text(text, None, found))
    }

    fn seal_text(
        &self,
        text: &mut String,
        before: Option<&str>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let sealer = &self.0.config.sealer;
        let list: Value = serde_json::from_str(text).unwrap_or_default();
        let all = OwnCallback::read_all(&list, before, sealer).map_err(bad)?;
        *text = OwnCallback::sealed(&all, sealer);
        // What was there before was judged then, and goes on if networks have changed since.
        let before = before.map(|text| OwnCallback::opened(text, sealer)).unwrap_or_default();
        found.fresh.extend(all.into_iter().filter(|own| !before.contains(own)));
        Ok(())
    }

    /// Refuses callbacks that would send records where what is set over the API may not.
    pub(crate) async fn judge_callbacks(&self, fresh: &[OwnCallback]) -> Result<(), Error> {
        let looks = fresh.iter().map(|own| async move {
            let looked = self.0.callbacks.could_go(own).await;
            looked.map_err(|refused| {
                bad(format!(
                    "callback `{}`: {refused}; to allow more, list networks in \
                     general_settings.api_callback_networks, or set the callback in a config file \
                     [DL0123]",
                    own.kind.name()
                ))
            })
        });
        join_all(looks).await.into_iter().collect()
    }
}

/// What comes to light when callbacks are sealed.
#[derive(Default)]
pub(crate) struct Found {
    /// What they were filled up from, where a client sent back what it had been shown.
    pub(crate) seen: Vec<Seen>,
    /// Those that were not there before.
    pub(crate) fresh: Vec<OwnCallback>,
}

fn bad(reason: String) -> Error {
    Error::BadField { name: "metadata.logging", reason }
}
