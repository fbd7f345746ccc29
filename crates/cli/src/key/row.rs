//! One key: how it is found by its name, and how it is shown.

use dunlin_admin_api::{KeyList, KeyRow};
use dunlin_types::KeyDigest;
use serde_json::Value;

use crate::failure::{Exit, Failure, Result};
use crate::session::{Answer, Object, Session};
use crate::table::{listed, moment, plain};

/// The shape of one key in JSON.
pub(super) const SCHEMA: &str = "dunlin.key/1";
/// A shorter text is more likely a misspelt alias than the beginning of a hash.
const MIN_HASH: usize = 6;

/// A key as it was answered.
pub(super) struct Row {
    pub(super) row: KeyRow,
    pub(super) json: Object,
}

/// A page of keys, each as it came.
pub(super) type Page = KeyList<Object>;

impl Row {
    pub(super) fn of(answer: &Answer, json: Object) -> Result<Self> {
        match serde_json::from_value(Value::Object(json.clone())) {
            Ok(row) => Ok(Self { row, json }),
            Err(error) => Err(answer.strange(&error.to_string())),
        }
    }

    /// What people call it.
    pub(super) fn title(&self) -> String {
        match &self.row.key_alias {
            Some(alias) => format!("`{alias}` ({})", self.row.key_name),
            None => self.row.key_name.clone(),
        }
    }

    pub(super) fn hash(&self) -> String {
        self.row.token.map_or_else(|| "unknown".to_owned(), |token| token.to_string())
    }

    /// As much of the hash as lists show: enough to name a key by.
    pub(super) fn short_hash(&self) -> String {
        self.hash().chars().take(12).collect()
    }

    pub(super) fn state(&self) -> &'static str {
        if self.row.blocked == Some(true) { "blocked" } else { "active" }
    }

    pub(super) fn expires(&self) -> String {
        self.row.expires.as_deref().map_or_else(|| "never".to_owned(), moment)
    }

    /// Dollars, with more digits the less there is.
    pub(super) fn spend(&self) -> String {
        let usd = self.row.spend;
        if usd == 0.0 || usd >= 1.0 { format!("${usd:.2}") } else { format!("${usd:.6}") }
    }

    /// `$5.00 every 30d`.
    fn budget(&self) -> String {
        let Some(most) = self.row.max_budget else { return "no limit".to_owned() };
        let every = self.row.budget_duration.as_ref();
        let every = every.map(|every| format!(" every {every}")).unwrap_or_default();
        format!("${most:.2}{every}")
    }

    pub(super) fn facts(&self) -> String {
        let row = &self.row;
        let limit = |limit| count(limit, "no limit");
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let pair = |(name, model)| format!("{name}={model}");
        let facts = [
            ("key", row.key_name.clone()),
            ("alias", text(&row.key_alias)),
            ("hash", self.hash()),
            ("state", self.state().to_owned()),
            ("models", listed(&row.models, "all")),
            ("aliases", listed(&row.aliases.iter().map(pair).collect::<Vec<_>>(), "-")),
            ("rpm", limit(row.rpm_limit)),
            ("tpm", limit(row.tpm_limit)),
            ("parallel", limit(row.max_parallel_requests)),
            ("expires", self.expires()),
            ("spend", self.spend()),
            ("budget", self.budget()),
            ("user", text(&row.user_id)),
            ("team", text(&row.team_id)),
            ("metadata", row.metadata.get().to_owned()),
            ("created", format!("{} by {}", moment(&row.created_at), row.created_by)),
            ("updated", moment(&row.updated_at)),
        ];
        facts.iter().map(|(name, value)| format!("{name:8}  {}\n", plain(value))).collect()
    }
}

/// Finds the one key that `name` means.
pub(super) async fn find(session: &Session, name: &str) -> Result<Row> {
    let hash = if name.starts_with("sk-") {
        // The clear key stays here: addresses are logged on the way.
        Some(KeyDigest::of(name))
    } else {
        name.parse().ok()
    };
    let mut found = match hash {
        Some(hash) => ask(session, "key_hash", &hash.to_string()).await?,
        None => ask(session, "key_alias", name).await?,
    };
    let hexadecimal = name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if found.is_empty() && hash.is_none() && name.len() >= MIN_HASH && hexadecimal {
        let begins = name.to_lowercase();
        found = ask(session, "search", &begins).await?;
        found.retain(|row| row.hash().starts_with(&begins));
    }
    if found.len() > 1 {
        let message = format!("{} keys have a hash that begins with {name}", found.len());
        return Err(Failure::usage(message, "give more of it"));
    }
    found.pop().ok_or_else(|| {
        // A name that is a whole key is not repeated.
        let named = if hash.is_some() { "this hash" } else { name };
        let message = format!("there is no key with {named} for its alias or hash");
        Failure::new(Exit::NotFound, message, "`dunlin key list` shows both")
    })
}

async fn ask(session: &Session, field: &str, value: &str) -> Result<Vec<Row>> {
    let query = [(field, value), ("return_full_object", "true"), ("size", "100")];
    let answer = session.get("/key/list", &query).await?;
    let page: Page = answer.read()?;
    page.keys.into_iter().map(|json| Row::of(&answer, json)).collect()
}

/// Finds a key, posts `body` about it, and says what was `done`; in JSON, the key as it is now.
pub(super) async fn change(
    session: &Session,
    name: &str,
    path: &str,
    mut body: Object,
    done: &str,
) -> Result {
    let found = find(session, name).await?;
    body.insert("key".to_owned(), found.hash().into());
    let answer = session.post(path, &body).await?;
    let mut json: Object = answer.read()?;
    // An update repeats the key's name here, where others have its clear text.
    json.remove("key");
    let changed = Row::of(&answer, json)?;
    session.say(&format!("{} {done}", changed.title()));
    session.show(SCHEMA, changed.json, "")
}

pub(super) fn count(limit: Option<u64>, none: &str) -> String {
    limit.map_or_else(|| none.to_owned(), |limit| limit.to_string())
}
