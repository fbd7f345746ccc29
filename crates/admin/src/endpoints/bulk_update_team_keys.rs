//! `POST /team/key/bulk_update`: changes limits of some of a team's keys, or of all, each as
//! `/key/update` would. What cannot be done is told beside what was.

use axum::response::Response;
use dunlin_state::{Kind, State};
use serde_json::{Map, Value, json};

use super::bulk_update_keys::update_all;
use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::fault::Fault;
use crate::request::naming;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::find;

/// Each is a command of its own.
const MAX_KEYS: usize = 500;
/// What may be changed for many: no owner, no right, no name.
const FIELDS: &[&str] = &[
    "budget_duration",
    "budget_id",
    "budget_limits",
    "duration",
    "max_budget",
    "max_parallel_requests",
    "metadata",
    "model_max_budget",
    "model_rpm_limit",
    "model_tpm_limit",
    "rpm_limit",
    "rpm_limit_type",
    "tags",
    "temp_budget_expiry",
    "temp_budget_increase",
    "tpm_limit",
    "tpm_limit_type",
];

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/team/key/bulk_update", Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let wanted = parse(asked.body()?)?;
    let state = admin.read().await.state;
    find(&state, Kind::Team, &wanted.team)?;
    if !asked.caller.leads(&state, Kind::Team, &wanted.team) {
        let team = wanted.team;
        return Err(forbidden(format!("only admins of team `{team}` may change its keys")));
    }
    let (changes, failed) = wanted.changes(&state)?;
    Ok(ok(&update_all(&admin, &asked, changes, failed).await))
}

struct Wanted {
    team: String,
    /// None: all of the team's.
    keys: Option<Vec<String>>,
    fields: Map<String, Value>,
}

fn parse(mut body: Body) -> Result<Wanted, Error> {
    let team = body.require("team_id", values::text);
    let keys = body.take("key_ids", values::texts).value().filter(|keys| !keys.is_empty());
    let all = body.take("all_keys_in_team", values::flag).value().unwrap_or_default();
    let fields = body.require("update_fields", |value| values::object(value).cloned());
    body.finish(["team_id", "key_ids", "all_keys_in_team", "update_fields"].into_iter())?;
    let fault = |name: &str, msg: String| {
        Err(Error::Invalid(vec![Fault::of("body", name, "value_error", msg)]))
    };
    if keys.is_some() == all {
        let msg = "name keys in `key_ids`, or set `all_keys_in_team`: one of the two";
        return fault("key_ids", msg.to_owned());
    }
    if keys.as_ref().is_some_and(|keys| keys.len() > MAX_KEYS) {
        return fault("key_ids", format!("at most {MAX_KEYS} keys can be changed at a time"));
    }
    if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let msg = format!(
            "`{name}` cannot be changed for many keys at once; these can: \
                           {}",
            FIELDS.join(", ")
        );
        return fault("update_fields", msg);
    }
    if fields.is_empty() {
        return fault("update_fields", "name at least one field to change".to_owned());
    }
    Ok(Wanted { team, keys, fields })
}

impl Wanted {
    /// The change of each key, and what is said of those that are not the team's.
    fn changes(self, state: &State) -> Result<(Vec<Value>, Vec<Value>), Error> {
        let Self { team, keys, fields } = self;
        let is_of_team = |named: &String| {
            let key = naming::digest_of(named).and_then(|token| state.key_named(&token));
            key.is_some_and(|key| key.team.as_ref() == Some(&team))
        };
        let (known, strange): (Vec<_>, Vec<_>) = match keys {
            Some(keys) => keys.into_iter().partition(is_of_team),
            None => {
                let of_team = state.keys().filter(|key| key.team.as_ref() == Some(&team));
                (of_team.map(|key| key.token.to_string()).collect(), Vec::new())
            }
        };
        if known.len() > MAX_KEYS {
            let count = known.len();
            let reason = format!(
                "the team has {count} keys, and at most {MAX_KEYS} can be changed at a time: name \
                 some in `key_ids`"
            );
            return Err(Error::BadField { name: "all_keys_in_team", reason });
        }
        let change = |key: String| {
            let mut change = fields.clone();
            change.insert("key".to_owned(), key.into());
            Value::Object(change)
        };
        let refuse = |key: String| {
            let reason = format!("no key of team `{team}` has this text or hash");
            json!({"key": key, "failed_reason": reason})
        };
        Ok((known.into_iter().map(change).collect(), strange.into_iter().map(refuse).collect()))
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::KeyDigest;

    use super::*;
    use crate::rights::tests::world;

    fn of(text: &str) -> Result<Wanted, Error> {
        parse(Body::parse(text.as_bytes())?)
    }

    #[test]
    fn only_keys_of_the_team_are_changed() {
        let state = world();
        let keys = r#"["sk-team", "sk-elsewhere", "sk-none"]"#;
        let body = format!(
            r#"{{"team_id": "t", "key_ids": {keys}, "update_fields": {{"rpm_limit": 5}}}}"#
        );
        let Ok(wanted) = of(&body) else { panic!("it is well formed") };
        let Ok((changes, failed)) = wanted.changes(&state) else { panic!("there are few") };
        assert_eq!(changes, [json!({"key": "sk-team", "rpm_limit": 5})]);
        let failed: Vec<_> = failed.iter().map(|failed| failed["key"].clone()).collect();
        assert_eq!(failed, ["sk-elsewhere", "sk-none"]);
        let all = r#"{"team_id": "t", "all_keys_in_team": true, "update_fields": {"tags": null}}"#;
        let Ok(wanted) = of(all) else { panic!("it is well formed") };
        let Ok((changes, failed)) = wanted.changes(&state) else { panic!("there are few") };
        let token = KeyDigest::of("sk-team").to_string();
        assert_eq!((changes, failed.len()), (vec![json!({"key": token, "tags": null})], 0));
    }

    #[test]
    fn a_choice_of_keys_and_a_change_are_needed_and_owners_stay() {
        let many = format!(
            r#"{{"team_id": "t", "key_ids": {}, "update_fields": {{"rpm_limit": 5}}}}"#,
            json!(vec!["sk-a"; MAX_KEYS + 1])
        );
        for text in [
            "{}",
            r#"{"team_id": "t", "update_fields": {"rpm_limit": 5}}"#,
            r#"{"team_id": "t", "key_ids": [], "update_fields": {"rpm_limit": 5}}"#,
            r#"{"team_id": "t", "key_ids": ["a"], "all_keys_in_team": true,
                "update_fields": {"rpm_limit": 5}}"#,
            r#"{"team_id": "t", "all_keys_in_team": true, "update_fields": {}}"#,
            r#"{"team_id": "t", "all_keys_in_team": true, "update_fields": {"team_id": "x"}}"#,
            r#"{"team_id": "t", "all_keys_in_team": true, "update_fields": {"spend": 0}}"#,
            many.as_str(),
        ] {
            assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
