//! `GET /spend/logs`: rows of the request log, or, of whole days, sums: those that all nodes have of
//! each day, and where they do not tell what is asked for apart, sums of rows.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use dunlin_journal::{Filters, Payer, Query, Seen, SpendRecord};
use dunlin_records::Answer;
use dunlin_state::{Book, DAYS_KEPT, Day, Days, Facets, Symbol};
use dunlin_types::{NanoUsd, UnixMillis};
use serde_json::{Map, Value, json};

use super::{ok, ok_as_of};
use crate::Admin;
use crate::error::Error;
use crate::reports::log_query::{MASTER, Params, tell};
use crate::request::moment::iso;
use crate::rights::caller::MASTER_USER;
use crate::routes::{Request, Routes, Who};
use crate::rows::log_row::{self, whole};

/// Rows of one answer, unless fewer are asked for. LiteLLM has no bound.
const MAX_ROWS: usize = 1_000;
/// Rows that are summed at a time.
const SUMMED: usize = 5_000;
/// How long is summed. Fewer days take less.
const SUM_FOR: Duration = Duration::from_secs(20);
/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;
/// So many days at most are listed: empty ones, too.
const MAX_DAYS: u64 = 1_000;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/spend/logs", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let mut params = Params::of(&asked, &["cursor", "limit", "summarize"]);
    let summarize = params.flag("summarize").unwrap_or(true);
    let limit = params.count("limit", MAX_ROWS).unwrap_or(MAX_ROWS);
    let after = params.cursor();
    let state = admin.0.consensus.state();
    let filters = params.filters(&state, &|text| admin.is_master(text));
    let days = filters.from.zip(filters.before).filter(|_| summarize && filters.id.is_none());
    if days.is_some_and(|(from, before)| before.0.saturating_sub(from.0) > MAX_DAYS * DAY) {
        params.fault("start_date", format!("Input should be at most {MAX_DAYS} days ago"));
    }
    params.finish()?;
    let query = Query { filters, limit, after, said: true, ..Query::default() };
    if let Some((_, before)) = days {
        let read = admin.read().await;
        let now = admin.0.clock.unix().max(read.state.at());
        let Some(days) = of_totals(read.state.days(), &query.filters, now) else {
            return of_rows(&admin, query, before).await;
        };
        let mut response = ok_as_of(&read, &told(days, before));
        tell(&mut response, &Answer { looked_at_all: true, ..Answer::default() });
        return Ok(response);
    }
    let answer = admin.0.records.search(&query).await?;
    let catalog = admin.0.published.load_full().map(|published| published.catalog.clone());
    let row = |found| whole(&state, catalog.as_deref(), found);
    let mut response = ok(&answer.rows.iter().map(row).collect::<Vec<_>>());
    tell(&mut response, &answer);
    Ok(response)
}

/// What was spent on each day, as it is settled. `None`: the totals do not tell it, because they are
/// of whole days and of the last ones, or count those that are asked for with others.
fn of_totals(days: &Days, filters: &Filters, now: UnixMillis) -> Option<BTreeMap<u64, Sums>> {
    let Filters { from, before, payer, user, team, organization, seen_by, .. } = filters.clone();
    let told =
        Filters { from, before, payer, user, team, organization, seen_by, ..Filters::default() };
    let (from, before) = from.zip(before)?;
    let is_whole = from.0.is_multiple_of(DAY) && before.0.is_multiple_of(DAY);
    let oldest = (Day::of(now).0 + 1).saturating_sub(DAYS_KEPT);
    if told != *filters || !is_whole || Day::of(from).0 < oldest || before <= from {
        return None;
    }
    let wanted = Wanted::of(days, filters);
    let mut sums: BTreeMap<u64, Sums> = BTreeMap::new();
    let last = Day::of(UnixMillis(before.0 - 1));
    for (day, of, totals) in days.rows(Book::Keys, Day::of(from), last) {
        if wanted.is_unsure(of) {
            return None;
        }
        if wanted.is(of) {
            sums.entry(u64::from(day.0)).or_default().count(days, of, totals.cost);
        }
    }
    Some(sums)
}

/// What filters ask for, as rows of daily totals call it.
struct Wanted {
    /// What a row must have, if it must have something.
    key: Option<Symbol>,
    user: Option<Symbol>,
    team: Option<Symbol>,
    organization: Option<Symbol>,
    seen_by: Option<Sight>,
}

/// What someone may see: what one of these is true of.
struct Sight {
    key: Option<Symbol>,
    user: Option<Symbol>,
    teams: Vec<Symbol>,
    organizations: Vec<Symbol>,
}

/// What no row has.
const NOBODY: Symbol = Symbol::OTHER;

impl Wanted {
    fn of(days: &Days, filters: &Filters) -> Self {
        let named = |name: &String| days.symbol(name).unwrap_or(NOBODY);
        let all = |names: &[String]| names.iter().map(named).collect();
        let sight = |seen: &Seen| Sight {
            key: seen.key.map(|key| named(&key.to_string())),
            user: seen.user.as_ref().map(named),
            teams: all(&seen.teams),
            organizations: all(&seen.organizations),
        };
        Self {
            key: filters.payer.map(|payer| match payer {
                Payer::Master => Symbol::NONE,
                Payer::Key(key) => named(&key.to_string()),
            }),
            user: filters.user.as_ref().map(named),
            team: filters.team.as_ref().map(named),
            organization: filters.organization.as_ref().map(named),
            seen_by: filters.seen_by.as_ref().map(sight),
        }
    }

    /// Whether a row counts several keys or users together of which some may be wanted.
    fn is_unsure(&self, of: &Facets<Symbol>) -> bool {
        let by_key = self.key.is_some() || self.user.is_some() || self.seen_by.is_some();
        by_key && (of.key == Symbol::OTHER || of.user == Symbol::OTHER)
    }

    fn is(&self, of: &Facets<Symbol>) -> bool {
        let is = |wanted: Option<Symbol>, one| wanted.is_none_or(|wanted| wanted == one);
        let is_wanted = is(self.key, of.key)
            && is(self.user, of.user)
            && is(self.team, of.team)
            && is(self.organization, of.organization);
        is_wanted && self.seen_by.as_ref().is_none_or(|sight| sight.sees(of))
    }
}

impl Sight {
    fn sees(&self, of: &Facets<Symbol>) -> bool {
        self.key == Some(of.key)
            || self.user == Some(of.user)
            || self.teams.contains(&of.team)
            || self.organizations.contains(&of.organization)
    }
}

/// The same of the rows of the request log.
async fn of_rows(admin: &Admin, query: Query, before: UnixMillis) -> Result<Response, Error> {
    let began = admin.0.clock.mono();
    let mut query = Query { ascending: true, limit: SUMMED, said: false, after: None, ..query };
    let (mut days, mut all) =
        (BTreeMap::new(), Answer { looked_at_all: true, ..Answer::default() });
    loop {
        let answer = admin.0.records.search(&query).await?;
        for row in &answer.rows {
            let day: &mut Sums = days.entry(row.record.started.0 / DAY).or_default();
            day.add(&row.record);
        }
        query.after = answer.reached;
        all.lacks_too(answer.missing);
        if query.after.is_none() {
            break;
        }
        if admin.0.clock.mono().since(began) > SUM_FOR {
            let reason = "these days have too many requests to sum in time: ask for fewer days, or \
                          for rows (summarize=false)";
            return Err(Error::BadField { name: "start_date", reason: reason.to_owned() });
        }
    }
    let mut response = ok(&told(days, before));
    tell(&mut response, &all);
    Ok(response)
}

/// The days in their order. As in LiteLLM, those without requests are listed only behind the last one
/// that has some.
fn told(days: BTreeMap<u64, Sums>, before: UnixMillis) -> Vec<Map<String, Value>> {
    let last = before.0.saturating_sub(1) / DAY;
    let empty = days.keys().next_back().map_or(0..0, |day| day + 1..last + 1);
    let told = days.into_iter().map(|(day, sums)| sums.told(day));
    told.chain(empty.map(|day| Sums::default().told(day))).collect()
}

/// What was spent on one day.
#[derive(Default)]
struct Sums {
    spend: NanoUsd,
    keys: BTreeMap<String, NanoUsd>,
    users: BTreeMap<String, NanoUsd>,
    models: BTreeMap<String, NanoUsd>,
}

impl Sums {
    fn add(&mut self, record: &SpendRecord) {
        let [user, model] = [log_row::user(record), log_row::model(record)].map(str::to_owned);
        self.spent([log_row::payer(record), user, model], record.cost);
    }

    /// The same of a row of daily totals.
    fn count(&mut self, days: &Days, of: &Facets<Symbol>, cost: NanoUsd) {
        let name = |symbol, none: &str| days.name(symbol).unwrap_or(none).to_owned();
        let nobody = if of.key == Symbol::NONE { MASTER_USER } else { "" };
        self.spent([name(of.key, MASTER), name(of.user, nobody), name(of.model, "")], cost);
    }

    fn spent(&mut self, [key, user, model]: [String; 3], cost: NanoUsd) {
        self.spend += cost;
        for (sums, name) in
            [(&mut self.keys, key), (&mut self.users, user), (&mut self.models, model)]
        {
            *sums.entry(name).or_default() += cost;
        }
    }

    /// As LiteLLM has it: keys beside the names of the other sums.
    fn told(self, day: u64) -> Map<String, Value> {
        let usd = |sums: BTreeMap<String, NanoUsd>| -> Map<String, Value> {
            sums.into_iter().map(|(name, spend)| (name, json!(spend.as_usd()))).collect()
        };
        let mut told = Map::new();
        told.insert("users".to_owned(), usd(self.users).into());
        told.insert("models".to_owned(), usd(self.models).into());
        told.insert("spend".to_owned(), json!(self.spend.as_usd()));
        told.extend(usd(self.keys));
        let date = iso(UnixMillis(day * DAY));
        told.insert("startTime".to_owned(), date[..10].into());
        told
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::KeyDigest;

    use super::*;
    use crate::reports::usage::tests::used_world;

    /// Sums of what those filters ask for, if the totals tell them.
    fn sums(filters: Filters, now: u64) -> Option<Value> {
        let state = used_world();
        let before = filters.before.unwrap_or_default();
        of_totals(state.days(), &filters, UnixMillis(now)).map(|days| json!(told(days, before)))
    }

    fn of_first_day() -> Filters {
        Filters { from: Some(UnixMillis(0)), before: Some(UnixMillis(DAY)), ..Filters::default() }
    }

    #[test]
    fn whole_days_are_told_by_the_totals_that_all_nodes_have() {
        let all = sums(of_first_day(), 1).expect("told");
        assert_eq!(all[0]["spend"], json!(3.158));
        let of_key = |text: &str| Some(Payer::Key(KeyDigest::of(text)));
        let own = Filters { payer: of_key("sk-dev"), ..of_first_day() };
        let told = sums(own.clone(), 1).expect("told");
        assert_eq!(told[0]["spend"], json!(0.1));
        assert_eq!(told[0][KeyDigest::of("sk-dev").to_string()], json!(0.1));
        let nobodys = Filters { payer: of_key("sk-nobody"), ..of_first_day() };
        assert_eq!(sums(nobodys, 1), Some(json!([])));
        let seen = Seen { key: Some(KeyDigest::of("sk-dev")), ..Seen::default() };
        let seen = Filters { seen_by: Some(seen), ..of_first_day() };
        assert_eq!(sums(seen, 1).expect("told")[0]["spend"], json!(0.1));
        let two = Filters { before: Some(UnixMillis(2 * DAY)), ..of_first_day() };
        let told = sums(two, 1).expect("told");
        assert_eq!(
            told[1],
            json!({"users": {}, "models": {}, "spend": 0.0, "startTime": "1970-01-02"})
        );
    }

    #[test]
    fn what_the_totals_do_not_tell_apart_is_left_to_the_rows() {
        let day = of_first_day;
        for (filters, now) in [
            (Filters { from: Some(UnixMillis(1)), ..day() }, 1),
            (Filters { before: Some(UnixMillis(DAY - 1)), ..day() }, 1),
            (Filters { tag: Some("x".to_owned()), ..day() }, 1),
            (Filters { model: Some("m".to_owned()), ..day() }, 1),
            (Filters { failed: Some(true), ..day() }, 1),
            (Filters { before: None, ..day() }, 1),
            (day(), u64::from(DAYS_KEPT) * DAY),
        ] {
            assert_eq!(sums(filters.clone(), now), None, "{filters:?}");
        }
        assert!(sums(day(), u64::from(DAYS_KEPT) * DAY - 1).is_some(), "the last day that is kept");
    }

    #[test]
    fn a_day_has_its_sums_by_key_user_and_model() {
        let mut day = Sums::default();
        let key = KeyDigest::of("sk-a");
        for (key, cost) in [(Some(key), 5), (Some(key), 7), (None, 1)] {
            day.add(&SpendRecord {
                key,
                cost: NanoUsd(cost * 1_000_000_000),
                model: "chat".to_owned(),
                ..SpendRecord::default()
            });
        }
        let told = Value::Object(day.told(20_000));
        let expected = json!({
            "users": {"": 12.0, "default_user_id": 1.0},
            "models": {"chat": 13.0},
            "spend": 13.0,
            key.to_string(): 12.0,
            crate::reports::log_query::MASTER: 1.0,
            "startTime": "2024-10-04",
        });
        assert_eq!(told, expected);
    }
}
