//! `dunlin audit show`: one change, field by field.

use std::collections::BTreeMap;

use clap::Args;
use dunlin_admin_api::{AuditEntry, RawJson};
use serde_json::Value;

use super::list::{kind, who};
use crate::failure::{Exit, Result};
use crate::session::{Object, Session};
use crate::table::{moment, plain};

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Its number, as `dunlin audit list` shows it.
    id: u64,
}

pub(super) async fn run(args: &ShowArgs, session: &Session) -> Result {
    let answer = session.get(&format!("/audit/{}", args.id), &[]).await;
    let help = "`dunlin audit list` shows the newest rows and how far back the log reaches";
    let answer = answer.map_err(|failure| failure.with_help(Exit::NotFound, help))?;
    let json: Object = answer.read()?;
    session.show("dunlin.audit/1", json, &text(&answer.read()?))
}

fn text(row: &AuditEntry) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let object = match &row.object_alias {
        Some(alias) => format!("`{alias}` ({})", row.object_id),
        None => row.object_id.clone(),
    };
    let facts = [
        ("row", row.id.clone()),
        ("when", moment(&row.updated_at)),
        ("did", format!("{} {} {object}", row.action, kind(&row.table_name))),
        ("by", who(row)),
        ("user", or_none(&row.user_id)),
        ("key", or_none(&row.changed_by_api_key)),
        ("from", or_none(&row.client_ip)),
        ("program", or_none(&row.user_agent)),
        ("path", or_none(&row.route)),
        ("node", row.node_id.clone()),
        ("log", format!("entry {}", row.log_index)),
        ("hash", row.hash.to_string()),
    ];
    let facts = facts.iter().map(|(name, value)| format!("{name:8}  {}\n", plain(value)));
    facts.chain(["\n".to_owned()]).chain(diff(row)).collect()
}

/// The lines of each field: before and after.
fn diff(row: &AuditEntry) -> Vec<String> {
    let fields = |json: Option<&RawJson>| -> BTreeMap<String, Value> {
        json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
    };
    let (before, after) = (fields(row.before_value.as_ref()), fields(Some(&row.updated_values)));
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let told = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(shown);
    let line =
        |sign: char, name: &str, value: String| plain(&format!("{sign} {name}: {value}")) + "\n";
    let lines = names.into_iter().flat_map(|name| {
        let was = told(before.get(name)).map(|value| line('-', name, value));
        let is = told(after.get(name)).map(|value| line('+', name, value));
        [was, is].into_iter().flatten()
    });
    lines.collect()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_shown_as_it_was_and_as_it_is() {
        let row = serde_json::from_str(
            r#"{"id": "7", "updated_at": "2027-01-15T08:00:00.000000Z", "changed_by": "boss",
            "changed_by_api_key": "litellm_proxy_master_key", "action": "updated",
            "table_name": "LiteLLM_VerificationToken", "object_id": "ab", "object_alias": "app",
            "before_value": {"rpm_limit": 5, "models": null, "key_alias": "old"},
            "updated_values": {"rpm_limit": 60, "models": ["a", "b"], "key_alias": null},
            "node_id": "0000000000000001", "log_index": 9, "client_ip": "10.0.0.9",
            "hash": "0000000000000000000000000000000000000000000000000000000000000000"}"#,
        );
        let text = text(&row.expect("a row"));
        let (head, diff) = text.split_once("\n\n").expect("a diff");
        assert!(head.contains("did       updated key `app` (ab)\nby        boss\n"), "{head}");
        assert!(head.contains("when      2027-01-15 08:00:00 UTC\n"), "{head}");
        assert_eq!(
            diff,
            "- key_alias: old\n+ models: [\"a\",\"b\"]\n- rpm_limit: 5\n+ rpm_limit: 60\n"
        );
    }
}
