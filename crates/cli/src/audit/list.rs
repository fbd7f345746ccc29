//! `dunlin audit list`: the newest changes, or those that match.

use clap::Args;
use dunlin_admin_api::{AuditEntry, AuditPage};
use serde_json::Value;

use crate::failure::{Result, SINCE_UNTIL};
use crate::session::{Object, Session};
use crate::table::{self, moment, table};

/// The most rows that a page has.
const PAGE: usize = 100;

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only changes made by this user, or in this name.
    #[arg(long, value_name = "USER")]
    by: Option<String>,
    /// Only changes made with the key of this hash; `litellm_proxy_master_key` is the master key.
    #[arg(long, value_name = "HASH")]
    with_key: Option<String>,
    /// Only this action: created, updated, deleted, blocked, unblocked, rotated.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only changes to this kind of object.
    #[arg(long, value_name = "KIND", value_parser = table_of)]
    of: Option<&'static str>,
    /// Only changes to this object: a key's hash, a team's id, ...
    #[arg(long, value_name = "ID")]
    object: Option<String>,
    /// Only changes to this team, its keys and whatever names it.
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// Only from this day or time on, in UTC: `2027-01-31`, `2027-01-31T08:00:00Z`; or since so
    /// long ago: `10m`, `2h`, `7d`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to this day or time, or up to so long ago.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The most rows to show.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = table::rows,
        allow_negative_numbers = true)]
    limit: usize,
}

/// The names of the kinds here, and their tables.
const KINDS: [(&str, &str); 16] = [
    ("key", "LiteLLM_VerificationToken"),
    ("team", "LiteLLM_TeamTable"),
    ("member", "LiteLLM_TeamMembership"),
    ("user", "LiteLLM_UserTable"),
    ("customer", "LiteLLM_EndUserTable"),
    ("organization", "LiteLLM_OrganizationTable"),
    ("organization-member", "LiteLLM_OrganizationMembership"),
    ("budget", "LiteLLM_BudgetTable"),
    ("tag", "LiteLLM_TagTable"),
    ("access-group", "LiteLLM_AccessGroupTable"),
    ("model", "LiteLLM_ProxyModelTable"),
    ("credential", "LiteLLM_CredentialsTable"),
    ("model-access-group", "Dunlin_ModelAccessGroup"),
    ("config", "LiteLLM_Config"),
    ("node", "Dunlin_Node"),
    ("cluster", "Dunlin_Cluster"),
];

fn table_of(kind: &str) -> std::result::Result<&'static str, String> {
    let known = KINDS.iter().find(|(name, table)| *name == kind || *table == kind);
    let names = || KINDS.map(|(name, _)| name).join(", ");
    known.map(|(_, table)| *table).ok_or_else(|| format!("expected one of {}", names()))
}

/// The kind's name for people.
pub(super) fn kind(table: &str) -> &str {
    KINDS.iter().find(|(_, known)| *known == table).map_or(table, |(name, _)| name)
}

pub(super) async fn run(args: &ListArgs, session: &Session) -> Result {
    let (rows, page) = newest(args, session).await?;
    if rows.is_empty() {
        session.say("note: no matching change is in the log");
    }
    if page.dropped > 0 {
        let since = page.reaches_back_to.as_deref().map_or_else(|| "now".to_owned(), moment);
        session.say(&format!("note: the log reaches back to {since}; older rows were dropped"));
    }
    let head = ["ID", "WHEN", "BY", "FROM", "DID", "WHAT", "WHICH", "FIELDS"];
    let text = table(head, &rows.iter().map(cells).collect::<Vec<_>>());
    let rows = serde_json::to_value(&rows).expect("rows are plain data");
    let json = Object::from_iter([
        ("audit_logs".to_owned(), rows),
        ("total".to_owned(), page.total.into()),
        ("dropped".to_owned(), page.dropped.into()),
        ("reaches_back_to".to_owned(), page.reaches_back_to.into()),
    ]);
    session.show("dunlin.audit.list/1", json, &text)
}

/// As many rows as requested, and the last page that was read.
async fn newest(args: &ListArgs, session: &Session) -> Result<(Vec<AuditEntry>, AuditPage)> {
    let size = args.limit.clamp(1, PAGE).to_string();
    let filters = [
        ("changed_by", args.by.as_deref()),
        ("changed_by_api_key", args.with_key.as_deref()),
        ("action", args.action.as_deref()),
        ("table_name", args.of),
        ("object_id", args.object.as_deref()),
        ("object_team_id", args.team.as_deref()),
        ("start_date", args.since.as_deref()),
        ("end_date", args.until.as_deref()),
    ];
    let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let filters: Vec<_> = filters.chain([("page_size", size.as_str())]).collect();
    let mut rows: Vec<AuditEntry> = Vec::new();
    let mut number = 1_usize;
    loop {
        let text = number.to_string();
        let query: Vec<_> = filters.iter().copied().chain([("page", text.as_str())]).collect();
        let answer = session.get("/audit", &query).await;
        let answer = answer.map_err(|failure| failure.naming(&SINCE_UNTIL))?;
        let mut page: AuditPage = answer.read()?;
        // A change made meanwhile moves rows to the next page.
        let known = rows.len();
        let new = std::mem::take(&mut page.audit_logs).into_iter();
        let new = new.filter(|row| rows[..known].iter().all(|known| known.id != row.id));
        let new: Vec<_> = new.collect();
        rows.extend(new);
        rows.truncate(args.limit);
        if number >= page.total_pages || rows.len() >= args.limit {
            return Ok((rows, page));
        }
        number += 1;
    }
}

/// Who it was: the name, else the key.
pub(super) fn who(row: &AuditEntry) -> String {
    let key = || row.changed_by_key_alias.clone().or_else(|| row.changed_by_api_key.clone());
    let node = || format!("node {}", row.node_id);
    match (row.changed_by.as_deref(), row.changed_by_api_key.as_deref()) {
        (Some("default_user_id"), Some("litellm_proxy_master_key")) => "master key".to_owned(),
        (Some(user), _) => user.to_owned(),
        (None, _) => key().map_or_else(node, |key| short(&key)),
    }
}

/// As much of a hash as lists show.
fn short(id: &str) -> String {
    let hash = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hash { id[..12].to_owned() } else { id.to_owned() }
}

fn cells(row: &AuditEntry) -> [String; 8] {
    let which = row.object_alias.clone().unwrap_or_else(|| short(&row.object_id));
    let fields = match row.action.as_str() {
        "updated" => serde_json::from_str(row.updated_values.get()).unwrap_or(Value::Null),
        _ => Value::Null,
    };
    let fields = fields.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    [
        row.id.clone(),
        moment(&row.updated_at),
        who(row),
        row.client_ip.clone().unwrap_or_else(|| "-".to_owned()),
        row.action.clone(),
        kind(&row.table_name).to_owned(),
        which,
        fields.map(|names| names.join(", ")).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_people_and_as_litellm_name_them() {
        assert_eq!(table_of("key"), Ok("LiteLLM_VerificationToken"));
        assert_eq!(table_of("LiteLLM_TeamTable"), Ok("LiteLLM_TeamTable"));
        assert!(table_of("keys").is_err_and(|told| told.contains("key, team")));
        assert_eq!(table_of("model"), Ok("LiteLLM_ProxyModelTable"));
        assert_eq!(table_of("credential"), Ok("LiteLLM_CredentialsTable"));
        assert_eq!((kind("Dunlin_Node"), kind("New_Table")), ("node", "New_Table"));
    }
}
