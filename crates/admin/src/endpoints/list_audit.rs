//! `GET /audit`: who changed what, newest first unless asked otherwise, filtered and in pages.

use std::sync::Arc;

use axum::response::Response;
use dunlin_admin_api::AuditPage;
use dunlin_state::{Action, Actor, AuditLink, AuditRow, Table};
use dunlin_types::UnixMillis;

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::fault::Fault;
use crate::request::moment::{self, iso};
use crate::request::naming;
use crate::request::pages::Pages;
use crate::routes::{Request, Routes, Who};
use crate::rows::audited::{changed_by, changed_by_key, entry, shown};
use crate::rows::row::View;

const USUAL_SIZE: usize = 10;
const MAX_SIZE: usize = 100;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/audit", Who::Viewers, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let wanted = Wanted::read(&asked)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &answer(&view, &wanted)))
}

/// Which rows, and in what order.
struct Wanted {
    pages: Pages,
    by: Option<String>,
    /// A hash, or the master key's name.
    key: Option<String>,
    action: Option<Action>,
    table: Option<Table>,
    object: Option<String>,
    since: Option<UnixMillis>,
    until: Option<UnixMillis>,
    team: Option<String>,
    token: Option<String>,
    order: Order,
    ascending: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    UpdatedAt,
    Action,
    Table,
    Object,
    ChangedBy,
}

impl Wanted {
    fn read(asked: &Request) -> Result<Self, Error> {
        let pages = Pages::read(asked, "page_size", USUAL_SIZE, MAX_SIZE)?;
        let text = |name| asked.param(name).map(str::to_owned);
        // The clear key is accepted as a name, too.
        let key = |name| {
            let hash = |named: &str| naming::digest_of(named).map(|hash| hash.to_string());
            asked.param(name).map(|named| hash(named).unwrap_or_else(|| named.to_owned()))
        };
        let mut faults = Vec::new();
        let wanted = Self {
            pages,
            by: text("changed_by"),
            key: key("changed_by_api_key"),
            action: one_of(asked, "action", &ACTIONS, &mut faults),
            table: one_of(asked, "table_name", &TABLES, &mut faults),
            object: key("object_id"),
            since: day(asked, "start_date", 0, &mut faults),
            until: day(asked, "end_date", DAY_MS - 1, &mut faults),
            team: text("object_team_id"),
            token: key("object_key_hash"),
            order: one_of(asked, "sort_by", &ORDERS, &mut faults).unwrap_or(Order::UpdatedAt),
            ascending: one_of(asked, "sort_order", &DIRECTIONS, &mut faults).unwrap_or_default(),
        };
        if wanted.since.zip(wanted.until).is_some_and(|(since, until)| since > until) {
            let msg = "Input should be before end_date";
            faults.push(Fault::of("query", "start_date", "value_error", msg));
        }
        if faults.is_empty() { Ok(wanted) } else { Err(Error::Invalid(faults)) }
    }

    fn wants(&self, row: &AuditRow) -> bool {
        let actor = row.actor.as_ref();
        let is = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| has == Some(wanted))
        };
        let key = actor.and_then(changed_by_key);
        is(&self.by, actor.and_then(changed_by))
            && is(&self.key, key.as_deref())
            && is(&self.object, Some(&row.object))
            && self.action.is_none_or(|action| action == row.action)
            && self.table.is_none_or(|table| table == row.table)
            && self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at <= until)
            && self.team.as_ref().is_none_or(|team| tells(row, "team_id", team))
            && self.token.as_ref().is_none_or(|token| tells(row, "token", token))
    }
}

/// Whether a field had the value, or has it now.
fn tells(row: &AuditRow, name: &str, value: &str) -> bool {
    let value = serde_json::Value::from(value).to_string();
    let told = |text: &String| shown(text).get(name).is_some_and(|told| told.get() == value);
    told(&row.before) || told(&row.after)
}

/// Names and what they mean. The first ones are told when none fits.
type Names<T, const N: usize> = [(&'static str, T); N];

const ACTIONS: Names<Action, 9> = [
    ("created", Action::Created),
    ("updated", Action::Updated),
    ("deleted", Action::Deleted),
    ("blocked", Action::Blocked),
    ("unblocked", Action::Unblocked),
    ("rotated", Action::Rotated),
    ("create", Action::Created),
    ("update", Action::Updated),
    ("delete", Action::Deleted),
];
const TABLES: Names<Table, { Table::ALL.len() }> = {
    let mut names = [("", Table::Key); Table::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = (Table::ALL[at].name(), Table::ALL[at]);
        at += 1;
    }
    names
};
const ORDERS: Names<Order, 5> = [
    ("updated_at", Order::UpdatedAt),
    ("action", Order::Action),
    ("table_name", Order::Table),
    ("object_id", Order::Object),
    ("changed_by", Order::ChangedBy),
];
const DIRECTIONS: Names<bool, 2> = [("asc", true), ("desc", false)];

/// A parameter that has one of these names, if it is there; what is wrong with it goes to `faults`.
fn one_of<T: Copy>(
    asked: &Request,
    name: &str,
    names: &[(&'static str, T)],
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let given = asked.param(name)?;
    let found = names.iter().find(|(known, _)| *known == given).map(|(_, meant)| *meant);
    if found.is_none() {
        let known: Vec<_> = names.iter().map(|(known, _)| format!("'{known}'")).collect();
        let msg = format!("Input should be one of {}", known.join(", "));
        faults.push(Fault::of("query", name, "enum", msg));
    }
    found
}

/// A moment, or a day: its beginning and `more`.
fn day(asked: &Request, name: &str, more: u64, faults: &mut Vec<Fault>) -> Option<UnixMillis> {
    let text = asked.param(name)?;
    let at = moment::read(text, asked.at);
    if at.is_none() {
        let msg = "Input should be a date such as 2027-01-31, a time such as 2027-01-31T08:00:00Z, or a \
             time ago such as 10m";
        faults.push(Fault::of("query", name, "datetime_parsing", msg));
    }
    let more = if text.len() == "2027-01-31".len() { more } else { 0 };
    at.map(|at| UnixMillis(at.0.saturating_add(more)))
}

fn answer(view: &View, wanted: &Wanted) -> AuditPage {
    let log = view.state.audit();
    let mut links: Vec<&Arc<AuditLink>> =
        log.rows().filter(|link| wanted.wants(&link.row)).collect();
    let by = |link: &&Arc<AuditLink>| {
        link.row.actor.as_ref().and_then(|actor: &Actor| changed_by(actor).map(str::to_owned))
    };
    match wanted.order {
        Order::UpdatedAt => {}
        Order::Action => links.sort_by_key(|link| link.row.action.name()),
        Order::Table => links.sort_by_key(|link| link.row.table.name()),
        Order::Object => links.sort_by(|one, other| one.row.object.cmp(&other.row.object)),
        Order::ChangedBy => links.sort_by_cached_key(by),
    }
    if !wanted.ascending {
        links.reverse();
    }
    let Pages { page, size } = wanted.pages;
    let cut = wanted.pages.cut(&links);
    AuditPage {
        audit_logs: cut.iter().map(|link| entry(view, link)).collect(),
        total: links.len(),
        page,
        page_size: size,
        total_pages: wanted.pages.of(links.len()),
        dropped: log.anchor().0,
        reaches_back_to: log.rows().next().map(|oldest| iso(oldest.row.at)),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, Entity, Kind};

    use super::*;
    use crate::rights::caller::Caller;
    use crate::rights::tests::asked_by;
    use crate::rows::row::tests::{bare, state_as, view_of};

    fn wanted(query: &[(&str, &str)]) -> Result<Wanted, Error> {
        let mut asked = asked_by(Caller::Master);
        let given = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        asked.query = given.collect();
        Wanted::read(&asked)
    }

    /// A team, three keys of which the second is the team's, and the end of the first.
    fn five() -> View {
        let team = Entity { kind: Kind::Team, name: "t".to_owned(), ..Entity::default() };
        let mut keys = ["sk-aaaa", "sk-bbbb", "sk-cccc"].map(bare);
        keys[1].team = Some("t".to_owned());
        let gone = keys[0].token;
        let keys = keys.into_iter().map(|key| Command::CreateKey { key: Box::new(key) });
        let make = Command::CreateEntity { entity: Box::new(team), members: Vec::new() };
        let delete = Command::DeleteKeys { tokens: vec![gone] };
        view_of(state_as("ann", [make].into_iter().chain(keys).chain([delete])))
    }

    #[test]
    fn each_filter_leaves_what_it_names() {
        let view = five();
        type Query = [(&'static str, &'static str)];
        let cases: &[(&Query, &[&str])] = &[
            (&[], &["5", "4", "3", "2", "1"]),
            (&[("sort_order", "asc")], &["1", "2", "3", "4", "5"]),
            (&[("page_size", "2"), ("page", "2")], &["3", "2"]),
            (&[("changed_by", "ann"), ("page_size", "1")], &["5"]),
            (&[("changed_by", "bob")], &[]),
            (&[("changed_by_api_key", "litellm_proxy_master_key")], &["5", "4", "3", "2", "1"]),
            (&[("changed_by_api_key", "sk-aaaa")], &[]),
            (&[("action", "deleted")], &["5"]),
            (&[("action", "delete")], &["5"]),
            (&[("table_name", "LiteLLM_TeamTable")], &["1"]),
            (&[("object_id", "sk-aaaa")], &["5", "2"]),
            (&[("object_id", "t")], &["1"]),
            (&[("object_team_id", "t")], &["3", "1"]),
            (&[("object_key_hash", "sk-cccc")], &["4"]),
            (&[("start_date", "1970-01-01T00:00:04Z")], &["5", "4"]),
            (&[("end_date", "1970-01-01T00:00:02Z")], &["2", "1"]),
            (&[("end_date", "1970-01-01")], &["5", "4", "3", "2", "1"]),
            (&[("sort_by", "action"), ("sort_order", "asc")], &["1", "2", "3", "4", "5"]),
            (&[("sort_by", "table_name")], &["5", "4", "3", "2", "1"]),
        ];
        for (query, ids) in cases {
            let Ok(wanted) = wanted(query) else { panic!("{query:?} is well formed") };
            let page = answer(&view, &wanted);
            let found: Vec<_> = page.audit_logs.iter().map(|row| row.id.as_str()).collect();
            assert_eq!(found, *ids, "{query:?}");
        }
        let Ok(all) = wanted(&[]) else { panic!("it is well formed") };
        let page = answer(&view, &all);
        assert_eq!((page.total, page.total_pages, page.dropped), (5, 1, 0));
        assert_eq!(page.reaches_back_to.as_deref(), Some("1970-01-01T00:00:01.000000Z"));
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_what_can() {
        for (name, value) in [
            ("action", "made"),
            ("table_name", "keys"),
            ("sort_by", "hash"),
            ("sort_order", "down"),
            ("start_date", "soon"),
            ("page_size", "101"),
        ] {
            let Err(Error::Invalid(faults)) = wanted(&[(name, value)]) else { panic!("{name}") };
            assert!(faults[0].told().starts_with(name), "{}", faults[0].told());
        }
    }
}
