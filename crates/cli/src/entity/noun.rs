//! What differs between teams, users and budgets, and how their rows are read.

use serde_json::Value;

use super::list;
use crate::failure::{Exit, Failure, Result};
use crate::session::{Answer, Object, Session};
use crate::table;

/// One of them.
pub(super) struct Noun {
    /// As people call it; its paths begin so too.
    pub(super) word: &'static str,
    /// The field that names one.
    pub(super) id: &'static str,
    /// The field with a name for people, or a budget's period.
    pub(super) alias: &'static str,
    /// The field of a deletion that names them.
    pub(super) ids: &'static str,
    /// Where the row is in the answer of `info`.
    pub(super) inside: Option<&'static str>,
    /// Flags that it does not have.
    pub(super) without: &'static [&'static str],
    /// How to see which there are.
    hint: &'static str,
    /// What is gone with one.
    pub(super) loss: &'static str,
}

pub(super) static TEAM: Noun = Noun {
    word: "team",
    id: "team_id",
    alias: "team_alias",
    ids: "team_ids",
    inside: Some("team_info"),
    without: &["email", "role"],
    hint: "`dunlin team list` shows all teams",
    loss: "Its keys will stop working.",
};

pub(super) static USER: Noun = Noun {
    word: "user",
    id: "user_id",
    alias: "user_alias",
    ids: "user_ids",
    inside: Some("user_info"),
    without: &["organization"],
    hint: "`dunlin user list` shows all users",
    loss: "The user's keys will stop working.",
};

pub(super) static BUDGET: Noun = Noun {
    word: "budget",
    id: "budget_id",
    alias: "budget_duration",
    ids: "id",
    inside: None,
    without: &["alias", "email", "role", "organization", "models", "budget", "tags"],
    hint: "`dunlin budget list` shows all budgets",
    loss: "Whatever uses it will no longer be bound by it.",
};

impl Noun {
    /// The path of a verb.
    pub(super) fn path(&self, verb: &str) -> String {
        format!("/{}/{verb}", self.word)
    }

    /// The name of the shape of one in JSON.
    pub(super) fn schema(&self) -> String {
        format!("dunlin.{}/1", self.word)
    }

    /// The row in an answer that holds one.
    pub(super) fn row(&self, answer: &Answer) -> Result<Object> {
        let mut told: Value = answer.read()?;
        let inside = [Some("data"), self.inside].into_iter().flatten();
        for name in inside {
            if told.get(name).is_some_and(Value::is_object) {
                told = told[name].take();
            }
        }
        if let Value::Array(rows) = &mut told
            && let Some(row) = rows.first_mut()
        {
            told = row.take();
        }
        match told {
            Value::Object(row) => Ok(row),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(answer.strange("it holds no row")),
        }
    }

    /// The row of the one with that id.
    pub(super) async fn find(&self, session: &Session, id: &str) -> Result<Object> {
        self.row(&self.answer(session, id).await?)
    }

    /// All that is answered about the one with that id.
    pub(super) async fn answer(&self, session: &Session, id: &str) -> Result<Answer> {
        let found = if self.inside.is_none() {
            let names = Value::from(vec![id]);
            let body = Object::from_iter([("budgets".to_owned(), names)]);
            session.post(&self.path("info"), &body).await
        } else {
            session.get(&self.path("info"), &[(self.id, id)]).await
        };
        match found {
            Err(missing) if missing.exit == Exit::NotFound => {
                Err(self.missing(session, id, missing.message).await)
            }
            found => found,
        }
    }

    /// There is no such one: the nearest that there is, and how to see all.
    async fn missing(&self, session: &Session, id: &str, mut message: String) -> Failure {
        // Who may not list them gets the hint alone.
        let rows = list::all(self, session).await.unwrap_or_default();
        if let Some(near) = self.nearest(&rows, id) {
            message += &format!("; did you mean {near}?");
        }
        Failure::new(Exit::NotFound, message, self.hint)
    }

    /// The id that may be meant: that of an alias, or one that a slip or two make of it.
    fn nearest(&self, rows: &[Object], id: &str) -> Option<String> {
        let wanted = id.to_lowercase();
        let distance = |row: &Object, field: &str| {
            let name = row.get(field)?.as_str()?;
            Some(strsim::osa_distance(&name.to_lowercase(), &wanted))
        };
        let near = rows.iter().filter_map(|row| {
            let names = [distance(row, self.id), distance(row, self.alias)];
            let best = names.into_iter().flatten().min().filter(|best| *best <= MOST_SLIPS)?;
            Some((best, cell(row, self.id)))
        });
        near.min().map(|(_, id)| format!("`{id}`"))
    }
}

/// Names further apart are not slips of each other.
const MOST_SLIPS: usize = 2;

/// A field as a cell of a table.
pub(super) fn cell(row: &Object, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => {
            let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// An amount of dollars as a cell.
pub(super) fn dollars(row: &Object, name: &str) -> String {
    row.get(name).and_then(Value::as_f64).map_or_else(|| "-".to_owned(), table::dollars)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_that_is_not_there_is_told_with_the_one_that_was_meant() {
        let row = |row: Value| row.as_object().expect("an object").clone();
        let rows = [
            row(json!({"team_id": "blue", "team_alias": null})),
            row(json!({"team_id": "0a1b", "team_alias": "Research"})),
        ];
        let near = |id: &str| TEAM.nearest(&rows, id);
        assert_eq!(near("bleu").as_deref(), Some("`blue`"));
        assert_eq!(near("research").as_deref(), Some("`0a1b`"), "an alias is no id");
        assert_eq!(near("green"), None);
    }
}
