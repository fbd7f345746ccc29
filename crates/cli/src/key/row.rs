//! One key: how it is found by its name, and how it is shown.

use dunlin_admin_api::{KeyList, KeyRow};
use dunlin_types::KeyDigest;
use serde_json::Value;

use super::fields;
use crate::bounds::{self, OF_KEY};
use crate::budgets::{self, budget};
use crate::failure::{Exit, Failure, Result};
use crate::session::{Answer, Object, Session};
use crate::table::{dollars, listed, moment, plain};

/// The shape of one key in JSON.
pub(super) const SCHEMA: &str = "dunlin.key/1";
/// A shorter text is more likely a misspelt alias than the beginning of a hash.
const MIN_HASH: usize = 6;

/// A key as it was answered.
pub(super) struct Row {
    pub(super) row: KeyRow,
    pub(super) json: Object,
    /// When it was told.
    at: Option<String>,
}

/// A page of keys, each as it came.
pub(super) type Page = KeyList<Object>;

impl Row {
    pub(super) fn of(answer: &Answer, json: Object) -> Result<Self> {
        match serde_json::from_value(Value::Object(json.clone())) {
            Ok(row) => Ok(Self { row, json, at: answer.at.clone() }),
            Err(error) => Err(answer.strange(&error.to_string())),
        }
    }

    /// Its name for people.
    pub(super) fn title(&self) -> String {
        match &self.row.key_alias {
            Some(alias) => format!("`{alias}` ({})", self.row.key_name),
            None => self.row.key_name.clone(),
        }
    }

    pub(super) fn hash(&self) -> String {
        self.row.token.map_or_else(|| "unknown".to_owned(), |token| token.to_string())
    }

    /// As much of the hash as lists show: enough to identify a key.
    pub(super) fn short_hash(&self) -> String {
        self.hash().chars().take(12).collect()
    }

    pub(super) fn state(&self) -> &'static str {
        let is_over = || {
            let (ends, now) = (self.row.expires.as_deref()?, self.at.as_deref()?);
            ends.get(..now.len()).map(|ends| ends < now)
        };
        match self.row.blocked {
            Some(true) => "blocked",
            Some(false) | None if is_over() == Some(true) => "expired",
            Some(false) | None => "active",
        }
    }

    pub(super) fn expires(&self) -> String {
        self.row.expires.as_deref().map_or_else(|| "never".to_owned(), moment)
    }

    pub(super) fn spend(&self) -> String {
        dollars(self.row.spend)
    }

    fn budget(&self) -> String {
        match self.row.max_budget {
            Some(most) => budget(most, self.row.budget_duration.as_deref()),
            None => {
                let models = if self.has_model_budgets() { " except per model" } else { "" };
                format!("{}{models}", self.no_limit())
            }
        }
    }

    /// The models that it may call.
    pub(super) fn models(&self) -> String {
        bounds::models(&self.json, OF_KEY)
    }

    fn no_limit(&self) -> &'static str {
        bounds::none(&self.json, OF_KEY)
    }

    fn has_model_budgets(&self) -> bool {
        let budgets = self.json.get("model_max_budget").and_then(Value::as_object);
        budgets.is_some_and(|budgets| !budgets.is_empty())
    }

    /// Fields that few keys have, if this one has them.
    fn seldom(&self) -> Vec<(&'static str, String)> {
        let field = |name: &str| self.json.get(name).unwrap_or(&Value::Null);
        let texts = |name: &str| bounds::texts(&self.json, name);
        let strict = field("strict_budget").as_bool() == Some(true);
        let strict = strict.then_some("yes: the highest possible cost of a request must be left");
        let batches = field("tpd_limit").as_u64();
        let batches = batches.map(|most| format!("{most} tokens a day")).unwrap_or_default();
        let facts = [
            ("batches", batches),
            ("soft budget", field("soft_budget").as_f64().map(dollars).unwrap_or_default()),
            ("windows", budgets::windows(&self.json)),
            ("model budgets", budgets::models(&self.json)),
            ("strict budget", strict.unwrap_or_default().to_owned()),
            ("shared budget", field("budget_id").as_str().unwrap_or_default().to_owned()),
            ("on loss", field("on_loss").as_str().unwrap_or_default().to_owned()),
            ("allowed routes", texts("allowed_routes").join(", ")),
            ("required", texts("enforced_params").join(", ")),
        ];
        let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
        facts.chain(bounds::seldom(&self.json)).collect()
    }

    pub(super) fn facts(&self) -> String {
        let row = &self.row;
        let none = self.no_limit();
        let minute = |field| bounds::minute(&self.json, field).unwrap_or_else(|| none.to_owned());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let pair = |(name, model)| format!("{name}={model}");
        let mut facts = vec![
            ("key", row.key_name.clone()),
            ("alias", text(&row.key_alias)),
            ("hash", self.hash()),
            ("state", self.state().to_owned()),
            ("models", self.models()),
            ("aliases", listed(&row.aliases.iter().map(pair).collect::<Vec<_>>(), "-")),
            ("rpm", minute("rpm_limit")),
            ("tpm", minute("tpm_limit")),
            ("parallel", count(row.max_parallel_requests, none)),
            ("expires", self.expires()),
            ("spend", self.spend()),
            ("budget", self.budget()),
            ("user", text(&row.user_id)),
            ("team", text(&row.team_id)),
            ("organization", text(&row.organization_id)),
            ("metadata", row.metadata.get().to_owned()),
            ("created", format!("{} by {}", moment(&row.created_at), row.created_by)),
            ("updated", moment(&row.updated_at)),
        ];
        let after = facts.iter().position(|(name, _)| *name == "user").unwrap_or(facts.len());
        facts.splice(after..after, self.seldom());
        facts.iter().map(|(name, value)| format!("{name:14}  {}\n", plain(value))).collect()
    }
}

/// Finds the one key that `name` means.
pub(super) async fn find(session: &Session, name: &str) -> Result<Row> {
    if name.trim().is_empty() {
        // An unset variable of a script must not mean the only key that there is.
        return Err(Failure::usage("the name of the key is empty", "`dunlin key list` shows them"));
    }
    let hash = digest(name);
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
        let message = format!("the hashes of {} keys begin with {name}", found.len());
        return Err(Failure::usage(message, "give more of it"));
    }
    found.pop().ok_or_else(|| {
        // A name that is a whole key is not repeated.
        let message = match hash {
            Some(hash) => format!("there is no key with the hash {hash}"),
            None => format!("no key has the alias `{name}`, nor a hash that begins so"),
        };
        Failure::new(Exit::NotFound, message, "`dunlin key list` shows both")
    })
}

/// The hash of the key that `name` means. One that is named by its hash may be deleted.
pub(crate) async fn hash(session: &Session, name: &str) -> Result<String> {
    match digest(name) {
        Some(hash) => Ok(hash.to_string()),
        None => Ok(find(session, name).await?.hash()),
    }
}

/// What names a key by itself. A clear key stays here: addresses are logged on the way.
fn digest(name: &str) -> Option<KeyDigest> {
    if name.starts_with("sk-") { Some(KeyDigest::of(name)) } else { name.parse().ok() }
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
    let answer = session.post(path, &body).await;
    let answer = answer.map_err(|failure| failure.of_flags(fields::all()))?;
    let mut json: Object = answer.read()?;
    // An update repeats the key's name here, where others have its clear text.
    json.remove("key");
    let changed = Row::of(&answer, json)?;
    session.say(&format!("{} {done}", changed.title()));
    session.warn(&changed.json);
    session.show(SCHEMA, changed.json, "")
}

pub(super) fn count(limit: Option<u64>, none: &str) -> String {
    limit.map_or_else(|| none.to_owned(), |limit| limit.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_bounds_a_key_is_shown() {
        let row = json!({
            "key_name": "sk-...abcd", "spend": 0.0, "models": [], "aliases": {}, "metadata": {},
            "created_at": "2027-01-15T08:00:00Z", "created_by": "ann",
            "updated_at": "2027-01-15T08:00:00Z", "soft_budget": 0.5, "strict_budget": true,
            "budget_limits": [{"budget_duration": "1d", "max_budget": 2.0}],
            "model_max_budget": {"gpt": {"max_budget": 0.0005, "budget_duration": "7d",
                "rpm_limit": 3}},
            "budget_id": "b", "on_loss": "closed", "tpd_limit": 1500, "allowed_routes": ["/chat/completions"],
            "enforced_params": ["user"],
        });
        let json = row.as_object().expect("an object").clone();
        let row = serde_json::from_value(row).expect("a row");
        let told = Row { row, json, at: None }.facts();
        for line in [
            "budget          no limit of its own except per model",
            "batches         1500 tokens a day",
            "soft budget     $0.50",
            "windows         $2.00 every 1d",
            "model budgets   gpt: $0.0005 every 7d, 3 rpm",
            "strict budget   yes: ",
            "shared budget   b",
            "on loss         closed",
            "allowed routes  /chat/completions",
            "required        user",
        ] {
            assert!(told.contains(line), "{line} in {told}");
        }
    }

    #[test]
    fn a_key_whose_time_is_over_is_not_active() {
        for (blocked, expires, expected) in [
            (json!(null), json!("2027-01-15T07:59:59.999Z"), "expired"),
            (json!(false), json!("2027-01-15T08:00:00.000Z"), "active"),
            (json!(null), json!(null), "active"),
            (json!(true), json!("2027-01-15T07:59:59.999Z"), "blocked"),
        ] {
            let row = json!({
                "key_name": "sk-...abcd", "spend": 0.0, "models": [], "aliases": {},
                "metadata": {}, "created_at": "", "created_by": "", "updated_at": "",
                "blocked": blocked, "expires": expires,
            });
            let json = row.as_object().expect("an object").clone();
            let row = serde_json::from_value(row).expect("a row");
            let at = Some("2027-01-15T08:00:00".to_owned());
            assert_eq!(Row { row, json, at }.state(), expected, "{blocked} {expires}");
        }
    }
}
