//! Questions about the request log: parameters of a query into what is searched for, what the caller
//! may see of it, and what is said of an answer beside its rows.

use axum::response::Response;
use dunlin_journal::{Filters, Payer, Position, Seen};
use dunlin_records::Answer;
use dunlin_state::{Kind, LEADING, State};
use dunlin_types::{DeploymentId, Epoch, KeyDigest, NodeId, UnixMillis};
use http::{HeaderName, HeaderValue};

use crate::error::Error;
use crate::request::fault::Fault;
use crate::request::moment;
use crate::request::naming;
use crate::rights::caller::Caller;
use crate::routes::Request;

/// What rows show for the master key, which is no key.
pub(crate) const MASTER: &str = "litellm_proxy_master_key";

/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;
const COMPLETE: HeaderName = HeaderName::from_static("x-dunlin-complete");
const MISSING: HeaderName = HeaderName::from_static("x-dunlin-missing-nodes");
const NEXT: HeaderName = HeaderName::from_static("x-dunlin-next-cursor");

/// Parameters that say which requests are meant, on every path.
const FILTERS: &[&str] = &[
    "api_key",
    "end_date",
    "end_user",
    "error_code",
    "key_alias",
    "max_spend",
    "min_spend",
    "model",
    "model_id",
    "organization_id",
    "request_id",
    "session_id",
    "start_date",
    "status_filter",
    "tag",
    "team_id",
    "user_id",
];

/// The parameters of a query being read. What is wrong with them is told at once, at the end.
pub(crate) struct Params<'a> {
    asked: &'a Request,
    faults: Vec<Fault>,
}

impl<'a> Params<'a> {
    /// Begins to read; `others` are the names that the path knows beside the filters.
    pub(crate) fn of(asked: &'a Request, others: &[&str]) -> Self {
        let mut params = Self { asked, faults: Vec::new() };
        let known = || FILTERS.iter().chain(others).copied();
        for (name, _) in &asked.query {
            if known().any(|known| known == name) {
                continue;
            }
            let near = known().min_by_key(|known| strsim::damerau_levenshtein(known, name));
            let hint = near.filter(|near| strsim::damerau_levenshtein(near, name) <= 2);
            let hint = hint.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            params.fault(name, format!("Unknown parameter{hint}"));
        }
        params
    }

    pub(crate) fn fault(&mut self, name: &str, msg: impl Into<String>) {
        self.faults.push(Fault::of("query", name, "value_error", msg));
    }

    /// A parameter as it is read; what is wrong is said as `must`.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        must: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.asked.param(name)?);
        if found.is_none() {
            self.fault(name, format!("Input should be {must}"));
        }
        found
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, "a valid boolean", |text| {
            let value = serde_json::Value::String(text.to_owned());
            crate::request::values::flag(&value).ok()
        })
    }

    pub(crate) fn count(&mut self, name: &str, most: usize) -> Option<usize> {
        self.read(name, &format!("a valid integer from 1 to {most}"), |text| {
            text.parse().ok().filter(|count| (1..=most).contains(count))
        })
    }

    /// Where an answer before ended.
    pub(crate) fn cursor(&mut self) -> Option<Position> {
        self.read("cursor", "the cursor of an answer before", cursor)
    }

    /// Which requests are meant, of those that the caller may see.
    pub(crate) fn filters(&mut self, state: &State, is_master: &dyn Fn(&str) -> bool) -> Filters {
        const MOMENT: &str = "a date or a time, such as 2026-01-31 or 2026-01-31 08:00:00, or a time ago, such as 10m";
        let now = self.asked.at;
        let text = |name: &str| self.asked.param(name).map(str::to_owned);
        let mut filters = Filters {
            id: text("request_id"),
            user: text("user_id"),
            team: text("team_id"),
            organization: text("organization_id"),
            end_user: text("end_user"),
            tag: text("tag"),
            session: text("session_id"),
            model: text("model"),
            deployment: text("model_id").map(|id| DeploymentId(id.into())),
            seen_by: seen(state, &self.asked.caller),
            ..Filters::default()
        };
        filters.from = self.read("start_date", MOMENT, |text| moment::read(text, now));
        filters.before =
            self.read("end_date", MOMENT, |text| moment::ago(text, now).or_else(|| end(text)));
        if let (Some(from), Some(before)) = (filters.from, filters.before)
            && from > before
        {
            self.fault("start_date", "Input should be before end_date");
        }
        filters.failed = self.read("status_filter", "'success' or 'failure'", |text| match text {
            "success" => Some(false),
            "failure" => Some(true),
            _ => None,
        });
        filters.fault_status = self.read("error_code", "an HTTP status", |text| text.parse().ok());
        filters.min_cost = self.read("min_spend", "an amount in US dollars", |it| it.parse().ok());
        filters.max_cost = self.read("max_spend", "an amount in US dollars", |it| it.parse().ok());
        let by_key = self.read("api_key", "a key or its hash", |text| {
            if is_master(text) {
                Some(Payer::Master)
            } else {
                naming::digest_of(text).map(Payer::Key)
            }
        });
        // A name without a key matches nothing: no request was made with the empty hash.
        let by_alias = self.asked.param("key_alias").map(|alias| {
            let key = state.key_by_alias(alias);
            Payer::Key(key.map_or_else(KeyDigest::default, |key| key.token))
        });
        filters.payer = by_key.or(by_alias);
        filters
    }

    /// # Errors
    /// What was wrong, all of it.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.faults.is_empty() { Ok(()) } else { Err(Error::Invalid(self.faults)) }
    }
}

/// The end of what is meant: a day is meant whole, and so is a second.
fn end(text: &str) -> Option<UnixMillis> {
    let at = moment::parse(text)?;
    let whole = if text.contains(':') { 1000 } else { DAY };
    Some(UnixMillis(at.0.saturating_add(whole)))
}

/// What a caller may see of the log: those who see all, all of it; others their key's, their user's,
/// and that of the groups they lead.
fn seen(state: &State, caller: &Caller) -> Option<Seen> {
    if caller.sees_all() {
        return None;
    }
    let bearer = caller.bearer().expect("the master key sees all");
    let leads = |kind| -> Vec<String> {
        let Some(user) = caller.user() else { return Vec::new() };
        let groups = state.memberships(kind, user);
        let led = groups.filter(|(_, member)| LEADING.contains(&member.role.as_str()));
        led.map(|(name, _)| name.to_owned()).collect()
    };
    Some(Seen {
        key: Some(bearer.caller.token),
        user: caller.user().map(str::to_owned),
        teams: leads(Kind::Team),
        organizations: leads(Kind::Organization),
    })
}

/// A place in the log, for a client to come back to.
pub(crate) fn cursor_text(at: &Position) -> String {
    let Position { started, node, epoch, number } = at;
    format!("{:x}-{node}-{:x}-{:x}", started.0, epoch.0, number)
}

fn cursor(text: &str) -> Option<Position> {
    let mut parts = text.split('-');
    let mut next = || parts.next();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let started = UnixMillis(hex(next()?)?);
    let node: NodeId = next()?.parse().ok()?;
    let (epoch, number) = (Epoch(hex(next()?)?), hex(next()?)?);
    next().is_none().then_some(Position { started, node, epoch, number })
}

/// Says in headers whether all of the cluster answered, and where more begins.
pub(crate) fn tell(response: &mut Response, answer: &Answer) {
    let headers = response.headers_mut();
    let complete = if answer.is_complete() { "true" } else { "false" };
    headers.insert(COMPLETE, HeaderValue::from_static(complete));
    let text = |text: &str| HeaderValue::from_str(text).expect("hexadecimal digits and commas");
    if !answer.missing.is_empty() {
        let nodes: Vec<_> = answer.missing.iter().map(|one| one.node.to_string()).collect();
        headers.insert(MISSING, text(&nodes.join(",")));
    }
    if let Some(reached) = &answer.reached {
        headers.insert(NEXT, text(&cursor_text(reached)));
    }
}

/// The same where sums are told of the newest rows: with older ones behind them, they are not complete.
pub(crate) fn tell_of_newest(response: &mut Response, answer: &Answer) {
    tell(response, answer);
    let headers = response.headers_mut();
    if headers.remove(NEXT).is_some() {
        headers.insert(COMPLETE, HeaderValue::from_static("false"));
    }
}

#[cfg(test)]
pub(crate) mod tests;
