//! Filters for requests, and pages of the matching ones.

use clap::{Args, ValueEnum};
use dunlin_types::KeyDigest;
use serde::Deserialize;
use serde_json::Value;

use super::row::Row;
use crate::failure::{Result, SINCE_UNTIL};
use crate::session::{Object, Session};
use crate::table::dollars;
use crate::terms::named;

/// Rows of one page.
pub(super) const PAGE: usize = 100;
/// Days before the first and behind the last that a log can have.
const ALL_DAYS: [&str; 2] = ["2000-01-01", "2199-12-31"];

/// All given filters must match.
#[derive(Args, Debug)]
pub(super) struct Filters {
    /// Requests with this key: its alias, its hash or the key itself.
    #[arg(long, value_name = "NAME", value_parser = named)]
    key: Option<String>,
    /// Requests with keys of this user.
    #[arg(long, value_name = "ID", value_parser = named)]
    user: Option<String>,
    /// Requests with keys of this team.
    #[arg(long, value_name = "ID", value_parser = named)]
    team: Option<String>,
    /// Requests on behalf of this end user.
    #[arg(long, value_name = "ID", value_parser = named)]
    end_user: Option<String>,
    /// Requests with this tag.
    #[arg(long, value_name = "TAG", value_parser = named)]
    tag: Option<String>,
    /// Requests for this model, by the requested name or the upstream one.
    #[arg(long, value_name = "NAME", value_parser = named)]
    model: Option<String>,
    /// Requests with this outcome.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Requests that cost this much or more, in US dollars.
    #[arg(long, value_name = "USD", allow_negative_numbers = true, value_parser = named)]
    min_spend: Option<String>,
    /// Requests since this day or time, in UTC: `2026-01-31`, `2026-01-31 08:00:00`; or since so
    /// long ago: `10m`, `2h`, `7d`.
    #[arg(long, value_name = "TIME", value_parser = named)]
    since: Option<String>,
    /// Requests up to the end of this day or time, in UTC; or up to so long ago.
    #[arg(long, value_name = "TIME", value_parser = named)]
    until: Option<String>,
}

/// How a request went.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum Status {
    /// It was answered.
    Success,
    /// It was refused, or no model answered.
    Failure,
}

/// A page of the log.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Object>,
    pub(super) next_cursor: Option<String>,
    complete: bool,
    missing_nodes: Vec<Missing>,
}

#[derive(Deserialize)]
struct Missing {
    node: String,
    covered: bool,
    #[serde(default)]
    withheld_usd: f64,
    #[serde(default)]
    removed: bool,
}

impl Filters {
    fn query(&self) -> Vec<(&'static str, String)> {
        let hash = |key: &String| {
            let is_hash = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
            // The clear key stays here: addresses are logged on the way.
            let clear = key.starts_with("sk-").then(|| KeyDigest::of(key).to_string());
            clear.or(is_hash.then(|| key.clone()))
        };
        let by_hash = self.key.as_ref().and_then(hash);
        let by_alias = self.key.clone().filter(|_| by_hash.is_none());
        let status = self.status.map(|status| match status {
            Status::Success => "success".to_owned(),
            Status::Failure => "failure".to_owned(),
        });
        let [first, last] = ALL_DAYS.map(str::to_owned);
        let given = [
            ("api_key", by_hash),
            ("key_alias", by_alias),
            ("user_id", self.user.clone()),
            ("team_id", self.team.clone()),
            ("end_user", self.end_user.clone()),
            ("tag", self.tag.clone()),
            ("model", self.model.clone()),
            ("status_filter", status),
            ("min_spend", self.min_spend.clone()),
            ("start_date", self.since.clone().or(Some(first))),
            ("end_date", self.until.clone().or(Some(last))),
            ("count", Some("false".to_owned())),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Up to `size` rows behind `cursor`, the last ones first.
    pub(super) async fn page(
        &self,
        session: &Session,
        cursor: Option<&str>,
        size: usize,
    ) -> Result<(Vec<Row>, Page)> {
        let mut query = self.query();
        query.push(("page_size", size.to_string()));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = session.get("/spend/logs/v2", &query).await;
        let answer = answer.map_err(|failure| {
            failure.naming(&SINCE_UNTIL).of_flags([("min-spend", "min_spend")])
        })?;
        let mut page: Page = answer.read()?;
        let data = std::mem::take(&mut page.data);
        let rows = data.into_iter().map(|json| Row::of(&answer, json));
        Ok((rows.collect::<Result<_>>()?, page))
    }
}

impl Page {
    /// The missing nodes, for people; `None` if there are none.
    pub(super) fn lacks(&self) -> Option<String> {
        if self.missing_nodes.is_empty() {
            return None;
        }
        let missing = self.missing_nodes.iter().map(|missing| {
            let gone = if missing.removed { "removed" } else { "away" };
            let copied = if missing.covered { "copied" } else { "not all copied" };
            let withheld = if missing.withheld_usd > 0.0 {
                format!(", {} granted to it and not settled", dollars(missing.withheld_usd))
            } else {
                String::new()
            };
            format!("node {} ({gone}, {copied}{withheld})", missing.node)
        });
        let missing: Vec<_> = missing.collect();
        let so =
            if self.complete { "its requests are here from a copy" } else { "requests may lack" };
        Some(format!("note: {so}: {}", missing.join(", ")))
    }

    /// Whether all that was spent is here, and who is away, for programs.
    pub(super) fn completeness(&self, json: &mut Object) {
        json.insert("complete".to_owned(), self.complete.into());
        let missing = self.missing_nodes.iter().map(|missing| {
            let fields = [
                ("node".to_owned(), Value::from(missing.node.clone())),
                ("covered".to_owned(), Value::from(missing.covered)),
                ("withheld_usd".to_owned(), Value::from(missing.withheld_usd)),
                ("removed".to_owned(), Value::from(missing.removed)),
            ];
            Value::Object(Object::from_iter(fields))
        });
        json.insert("missing_nodes".to_owned(), missing.collect());
    }
}
