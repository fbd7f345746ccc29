//! Rows of the audit log, as answers show them.

use std::collections::BTreeMap;

use dunlin_admin_api::{AuditEntry, RawJson, Row};
use dunlin_state::{Action, Actor, AuditLink, AuditRow, Kind, Table};
use dunlin_types::UnixMillis;
use serde_json::Value;

use crate::request::moment::iso;
use crate::rows::row::{View, put};

/// LiteLLM's name in metrics for the owner of the master key, which has none.
pub(crate) const MASTER_KEY: &str = "litellm_proxy_master_key";
/// Fields that hold moments.
const MOMENTS: [&str; 2] = ["expires", "temp_budget_expiry"];
/// Fields by which people know a thing that is there no longer.
const ALIASES: [&str; 6] =
    ["key_alias", "team_alias", "user_alias", "user_email", "organization_alias", "model_name"];

/// Who did it, as LiteLLM says it.
pub(crate) fn changed_by(actor: &Actor) -> Option<&str> {
    actor.on_behalf_of.as_deref().or(actor.user.as_deref())
}

/// With which key. Who has none and is nobody was let in by something else.
pub(crate) fn changed_by_key(actor: &Actor) -> Option<String> {
    let master = || actor.user.as_ref().map(|_| MASTER_KEY.to_owned());
    actor.key.map(|key| key.to_string()).or_else(master)
}

/// The row as the answer has it.
pub(crate) fn entry(view: &View, link: &AuditLink) -> AuditEntry {
    let row = &link.row;
    let actor = row.actor.as_ref();
    let user = actor.and_then(changed_by);
    let email = user.and_then(|user| view.state.entity(Kind::User, user)?.email.clone());
    let key = actor.and_then(|actor| view.state.key(&actor.key?)?.alias.clone());
    let (before, after) = (shown(&row.before), shown(&row.after));
    AuditEntry {
        id: row.number.to_string(),
        updated_at: iso(row.at),
        changed_by: user.map(str::to_owned),
        changed_by_api_key: actor.and_then(changed_by_key),
        action: row.action.name().to_owned(),
        table_name: row.table.name().to_owned(),
        object_id: row.object.clone(),
        object_alias: alias(view, row, [&after, &before]),
        before_value: (row.action != Action::Created).then(|| object(&before)),
        updated_values: object(&after),
        changed_by_user_email: email,
        changed_by_key_alias: key,
        user_id: actor.and_then(|actor| actor.user.clone()),
        client_ip: actor.and_then(|actor| Some(actor.address?.to_string())),
        user_agent: actor.and_then(|actor| actor.agent.clone()),
        route: actor.map(|actor| actor.route.clone()),
        node_id: row.node.to_string(),
        log_index: row.index,
        hash: link.hash,
    }
}

/// The fields in a row's text. Times, which the log holds as numbers, are written as everywhere.
pub(crate) fn shown(text: &str) -> Row {
    let mut fields: BTreeMap<String, RawJson> =
        serde_json::from_str(text).expect("rows hold JSON objects");
    for name in MOMENTS {
        let at = fields.get(name).and_then(|value| value.get().parse().ok());
        if let Some(at) = at {
            put(&mut fields, name, &iso(UnixMillis(at)));
        }
    }
    // The log does not hold zeros, and its text is hashed: it stays as it is.
    if fields.get("spend").is_some_and(|spend| spend.get() == "null") {
        put(&mut fields, "spend", &0.0);
    }
    fields
}

fn object(fields: &Row) -> RawJson {
    serde_json::value::to_raw_value(fields).expect("plain data with text keys")
}

/// As people know the thing now, or knew it.
fn alias(view: &View, row: &AuditRow, told: [&Row; 2]) -> Option<String> {
    let now = match row.table {
        Table::Key => row.object.parse().ok().and_then(|key| view.state.key(&key)?.alias.clone()),
        Table::Entity(kind) => {
            let entity = view.state.entity(kind, &row.object);
            entity.and_then(|entity| entity.alias.clone().or_else(|| entity.email.clone()))
        }
        Table::Resource(kind) => {
            view.state.resource(kind, &row.object).map(|resource| resource.name.clone())
        }
        Table::Member(_) | Table::Config | Table::Node | Table::Cluster | Table::More => None,
    };
    let text = |fields: &Row, name: &str| match serde_json::from_str(fields.get(name)?.get()) {
        Ok(Value::String(alias)) => Some(alias),
        Ok(_) | Err(_) => None,
    };
    let mut then = told.into_iter().flat_map(|fields| ALIASES.map(|name| text(fields, name)));
    now.or_else(|| then.find_map(|alias| alias))
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, Entity};
    use dunlin_types::KeyDigest;

    use super::*;
    use crate::rows::row::tests::{bare, state_as, view_of};

    #[test]
    fn spend_that_was_reset_is_nothing_and_not_unknown() {
        assert_eq!(shown(r#"{"spend":null}"#)["spend"].get(), "0.0");
        assert_eq!(shown(r#"{"spend":0.5}"#)["spend"].get(), "0.5");
        assert_eq!(shown(r#"{"rpm_limit":null}"#)["rpm_limit"].get(), "null");
    }

    #[test]
    fn a_row_tells_who_what_and_from_where_in_litellms_words() {
        let mut key = bare("sk-abcd");
        (key.alias, key.expires) = (Some("app".to_owned()), Some(UnixMillis(86_400_000)));
        let email = Some("ann@example.com".to_owned());
        let ann = Entity { kind: Kind::User, name: "ann".to_owned(), email, ..Entity::default() };
        let token = KeyDigest::of("sk-abcd");
        let view = view_of(state_as(
            "ann",
            [
                Command::CreateEntity { entity: Box::new(ann), members: Vec::new() },
                Command::CreateKey { key: Box::new(key) },
                Command::SetBlocked { token, blocked: true },
                Command::DeleteKeys { tokens: vec![token] },
            ],
        ));
        let rows: Vec<_> = view.state.audit().rows().map(|link| entry(&view, link)).collect();
        let actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
        assert_eq!(actions, ["created", "created", "blocked", "deleted"]);
        let made = serde_json::to_value(&rows[1]).expect("JSON");
        for (name, value) in [
            ("id", Value::from("2")),
            ("updated_at", "1970-01-01T00:00:02.000000Z".into()),
            ("changed_by", "ann".into()),
            ("changed_by_api_key", MASTER_KEY.into()),
            ("changed_by_user_email", "ann@example.com".into()),
            ("table_name", "LiteLLM_VerificationToken".into()),
            ("object_id", token.to_string().into()),
            ("object_alias", "app".into()),
            ("before_value", Value::Null),
            ("client_ip", "10.0.0.9".into()),
            ("route", "/key/generate".into()),
            ("node_id", "0000000000000001".into()),
            ("log_index", 2.into()),
        ] {
            assert_eq!(made[name], value, "{name}");
        }
        assert_eq!(made["updated_values"]["expires"], "1970-01-02T00:00:00.000000Z");
        assert_eq!(
            rows[2].object_alias, None,
            "a name that is known no longer, and was not changed"
        );
        assert_eq!(rows[3].object_alias.as_deref(), Some("app"));
        assert_eq!(rows[3].updated_values.get(), "{}");
    }
}
