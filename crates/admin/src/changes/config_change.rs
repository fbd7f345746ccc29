//! Changes of the config over the API. Each makes a new revision from the newest one, which is
//! checked like a file. A change that was overtaken is made again, so that no other change is lost.

use dunlin_config::{Document, Edit, EditProblem, Edited};
use dunlin_consensus::ProposeError;
use dunlin_state::{Command, ConfigRevision, Rejected, Reply, SettingChange, State};
use serde_json::{Map, Value};
use tracing::info;

use crate::Admin;
use crate::changes::stored::{MAX_OVERTAKEN, additions};
use crate::error::Error;
use crate::routes::Request;

/// As much of the names of changed settings as a revision keeps, in bytes.
const MAX_SOURCE_BYTES: usize = 200;

/// A change that was made.
pub(crate) struct Changed {
    /// The revision in force before.
    pub(crate) before: u64,
    /// The revision in force now; the same if it said so already.
    pub(crate) revision: u64,
    /// What it says.
    pub(crate) document: Document,
    warnings: Vec<String>,
}

impl Changed {
    /// Says one thing more.
    pub(crate) fn warning(mut self, warning: Option<String>) -> Self {
        self.warnings.extend(warning);
        self
    }

    /// An answer's fields, and what is to be said of every change.
    pub(crate) fn told(self, fields: Value) -> Value {
        let Value::Object(mut told) = fields else { unreachable!("answers are objects") };
        told.insert("revision".to_owned(), self.revision.into());
        told.insert("before".to_owned(), self.before.into());
        if !self.warnings.is_empty() {
            told.insert("warnings".to_owned(), self.warnings.into());
        }
        told.into()
    }
}

impl Admin {
    /// Makes the edits that `edits` wants of what the config says, and waits until this node works by
    /// them.
    pub(crate) async fn change_config(
        &self,
        asked: &Request,
        edits: impl Fn(&Document) -> Result<Vec<Edit>, Error>,
    ) -> Result<Changed, Error> {
        let published = self.storing().await?;
        let _alone = self.0.config_changes.acquire().await.map_err(|_| Error::NotReady)?;
        for tries in 0..MAX_OVERTAKEN {
            if tries > 0 {
                self.catch_up().await?;
            }
            let state = self.0.consensus.state();
            let newest = state.config().ok_or(Error::NotReady)?;
            let before = newest.revision;
            let document = self.config_document(newest)?;
            let edits = edits(&document)?;
            let (added, _) = additions(&state, &self.0.config.sealer);
            // Thousands of models take their time to read.
            let edited =
                tokio::task::block_in_place(|| published.basis.edit(&document, &added, &edits));
            let was = &document;
            let Edited { document, warnings, notes } = edited.map_err(Error::BadConfig)?;
            let sealer = &self.0.config.sealer;
            let command = Command::EditConfig {
                hash: sealer.fingerprint(&dunlin_config::hashed_bytes(&document)),
                sealed: sealer.seal(&dunlin_config::revision_bytes(&document)),
                source: source(asked.route, &edits),
                after: before,
                changes: changes(was, &document, &edits),
            };
            match self.carry_out(asked, command).await {
                Ok((Reply::Revision(revision), _)) => {
                    self.until_revision(revision).await;
                    info!(config.revision = revision, "settings were changed over the API");
                    let warnings = warnings.into_iter().chain(notes).collect();
                    return Ok(Changed { before, revision, document, warnings });
                }
                Ok(_) => unreachable!("an edit answers with a revision"),
                Err(Error::Propose(ProposeError::Rejected(Rejected::StaleRevision { .. }))) => {}
                Err(error) => return Err(error),
            }
        }
        let reason =
            "other changes of the config kept coming first: nothing was changed, try again";
        Err(Error::Conflict { reason: reason.to_owned() })
    }

    /// What a revision says.
    pub(crate) fn config_document(&self, revision: &ConfigRevision) -> Result<Document, Error> {
        let unreadable = |why: &dyn ToString| Error::Unreadable {
            reason: format!("config revision {}: {}", revision.revision, why.to_string()),
        };
        let plain = self.0.config.sealer.open(&revision.sealed).map_err(|why| unreadable(&why))?;
        dunlin_config::document_from(&plain).map_err(|why| unreadable(&why))
    }

    /// What the newest revision says.
    pub(crate) fn newest_config(&self, state: &State) -> Result<Document, Error> {
        self.config_document(state.config().ok_or(Error::NotReady)?)
    }
}

/// The settings that JSON objects of sections name: a null clears one, what is absent stays.
pub(crate) fn section_edits(sections: Map<String, Value>) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    let mut problems = Vec::new();
    for (section, value) in sections {
        match value {
            Value::Null => {}
            Value::Object(settings) => {
                edits.extend(settings.into_iter().map(|(name, value)| Edit {
                    path: vec![section.clone(), name],
                    value: Some(value).filter(|value| !value.is_null()),
                }))
            }
            // The sections that hold lists are refused with their reasons.
            Value::Array(_) => edits.push(Edit { path: vec![section], value: Some(value) }),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => problems.push(EditProblem {
                told: format!("`{section}` is a section: send an object of its settings"),
                path: section,
            }),
        }
    }
    if problems.is_empty() { Ok(edits) } else { Err(Error::BadConfig(problems)) }
}

/// What edits change, without secrets.
fn changes(before: &Document, after: &Document, edits: &[Edit]) -> Vec<SettingChange> {
    let change = |edit: &Edit| {
        let path: Vec<_> = edit.path.iter().map(String::as_str).collect();
        let is_same = dunlin_config::setting(before, &path) == dunlin_config::setting(after, &path);
        let shown =
            |document| dunlin_config::shown_setting(document, &path).map(|it| it.to_string());
        let setting = edit.path.join(".");
        (!is_same).then(|| SettingChange { setting, before: shown(before), after: shown(after) })
    };
    edits.iter().filter_map(change).collect()
}

/// Which settings a route changes, for people.
fn source(route: &str, edits: &[Edit]) -> String {
    let names: Vec<_> = edits.iter().map(|edit| edit.path.join(".")).collect();
    let mut source = format!("{route}: {}", names.join(", "));
    if source.len() > MAX_SOURCE_BYTES {
        let end = (0..=MAX_SOURCE_BYTES).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
        source.truncate(end);
        source += "…";
    }
    source
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_keeps_null_clears_and_sections_are_objects() {
        let of = |value: Value| {
            let Value::Object(sections) = value else { panic!("an object") };
            section_edits(sections)
        };
        let edits = of(json!({
            "router_settings": {"num_retries": 3, "timeout": null}, "litellm_settings": null,
        }));
        let edits: Vec<_> = edits
            .expect("edits")
            .into_iter()
            .map(|edit| (edit.path.join("."), edit.value))
            .collect();
        let expected =
            [("router_settings.num_retries", Some(json!(3))), ("router_settings.timeout", None)];
        assert_eq!(edits, expected.map(|(path, value)| (path.to_owned(), value)));
        let refused = of(json!({"general_settings": 3})).expect_err("no object");
        assert!(refused.told().contains("send an object"), "{refused}");
    }

    #[test]
    fn what_became_of_each_setting_is_told_without_secrets() {
        let document = |text: &str| dunlin_config::gather("c.yaml", &mut |_| Ok(text.to_owned())).0;
        let before = document("router_settings: {num_retries: 2, redis_password: a}\n");
        let after = document("router_settings: {num_retries: 3, redis_password: b, timeout: 5}\n");
        let edit = |name: &str| Edit {
            path: vec!["router_settings".to_owned(), name.to_owned()],
            value: None,
        };
        let names = ["num_retries", "redis_password", "timeout", "cooldown_time"];
        let told = changes(&before, &after, &names.map(edit));
        let told: Vec<_> = told
            .iter()
            .map(|one| (&*one.setting, one.before.as_deref(), one.after.as_deref()))
            .collect();
        let expected = [
            ("router_settings.num_retries", Some("2"), Some("3")),
            ("router_settings.redis_password", Some("\"*****\""), Some("\"*****\"")),
            ("router_settings.timeout", None, Some("5")),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_revision_keeps_a_bounded_text_of_what_was_changed() {
        let edit = Edit { path: vec!["a".to_owned(), "é".repeat(400)], value: None };
        let text = source("/config/update", &[edit.clone(), edit]);
        assert!(
            text.starts_with("/config/update: a.é") && text.ends_with('…') && text.len() < 210,
            "{text}"
        );
    }
}
