//! `dunlin spend`: spend by key, team, user, organization, model or day, and what is left of the
//! budgets.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use dunlin_types::{KeyDigest, NanoUsd};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::key;
use crate::session::{Object, Session};
use crate::table::{dollars, table};
use crate::target::Target;
use crate::terms::named;

/// What the options for days are called by nodes, and here.
const FROM_TO: [(&str, &str); 2] = [("start_date", "--from"), ("end_date", "--to")];
/// Days of which the nodes keep totals.
const DAYS_KEPT: u32 = 62;

/// What was spent, as all nodes have settled it; the last second may be missing.
#[derive(Args, Debug)]
pub struct SpendArgs {
    /// What to group by.
    #[arg(long, value_enum, default_value_t = By::Key)]
    by: By,
    /// The number of days up to and including today. Days are in UTC.
    #[arg(long, value_name = "DAYS", default_value_t = 30, conflicts_with = "from")]
    #[arg(allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_KEPT)))]
    days: u32,
    /// From this day on, `YYYY-MM-DD`.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Up to and including this day [default: today].
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<String>,
    /// Only spend with this key: its alias, its hash or the key itself.
    #[arg(long, value_name = "NAME", value_parser = named)]
    key: Option<String>,
    /// Only spend of these teams.
    #[arg(long, value_name = "ID,...", value_parser = named)]
    team: Option<String>,
    /// Only spend of these users.
    #[arg(long, value_name = "ID,...", value_parser = named)]
    user: Option<String>,
    /// Only spend of these organizations.
    #[arg(long, value_name = "ID,...", value_parser = named)]
    organization: Option<String>,
    /// Only spend on these models.
    #[arg(long, value_name = "NAME,...", value_parser = named)]
    model: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Key,
    Team,
    User,
    Organization,
    Customer,
    Tag,
    /// As clients name it.
    Model,
    Provider,
    Day,
}

impl By {
    fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::User => "user",
            Self::Organization => "organization",
            Self::Customer => "customer",
            Self::Tag => "tag",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Day => "day",
        }
    }

    /// Whose activity is asked for.
    fn path(self) -> &'static str {
        match self {
            Self::Team => "/team/daily/activity/aggregated",
            Self::Organization => "/organization/daily/activity/aggregated",
            Self::Customer => "/customer/daily/activity/aggregated",
            Self::Tag => "/tag/daily/activity/aggregated",
            Self::Key | Self::User | Self::Model | Self::Provider | Self::Day => {
                "/user/daily/activity/aggregated"
            }
        }
    }
}

#[derive(Deserialize)]
struct Activity {
    results: Vec<Day>,
    metadata: Whole,
}

#[derive(Deserialize)]
struct Day {
    date: String,
    metrics: Metrics,
    breakdown: Breakdown,
}

#[derive(Deserialize)]
struct Breakdown {
    model_groups: BTreeMap<String, Part>,
    providers: BTreeMap<String, Part>,
    api_keys: BTreeMap<String, Part>,
    entities: BTreeMap<String, Part>,
}

#[derive(Deserialize)]
struct Part {
    metrics: Metrics,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize, Clone, Default)]
struct Metrics {
    spend: f64,
    prompt_tokens: u64,
    completion_tokens: u64,
    api_requests: u64,
    failed_requests: u64,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    total_api_keys: usize,
}

/// What one of them spent.
#[derive(Default)]
struct Line {
    spend: NanoUsd,
    prompt: u64,
    completion: u64,
    requests: u64,
    failed: u64,
    about: Value,
}

impl Line {
    fn add(&mut self, metrics: &Metrics) {
        self.spend += nano(metrics.spend);
        self.prompt += metrics.prompt_tokens;
        self.completion += metrics.completion_tokens;
        self.requests += metrics.api_requests;
        self.failed += metrics.failed_requests;
    }

    fn alias(&self) -> Option<&str> {
        let names = ["key_alias", "team_alias", "organization_alias", "user_alias", "alias"];
        names.into_iter().chain(["user_email"]).find_map(|name| self.about[name].as_str())
    }

    fn cells(&self, name: &str) -> [String; 8] {
        let left = self.about["budget"]["left"].as_f64();
        let name = if is_hash(name) { &name[..SHOWN_OF_HASH] } else { name };
        [
            name.to_owned(),
            self.alias().unwrap_or("-").to_owned(),
            self.requests.to_string(),
            self.failed.to_string(),
            self.prompt.to_string(),
            self.completion.to_string(),
            dollars(self.spend.as_usd()),
            left.map_or_else(|| "-".to_owned(), dollars),
        ]
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "name": name,
            "alias": self.alias(),
            "spend": self.spend.as_usd(),
            "requests": self.requests,
            "failed_requests": self.failed,
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "budget": self.about["budget"],
        })
    }
}

/// Digits of a key's hash that are shown: enough to name it by.
const SHOWN_OF_HASH: usize = 12;
/// How keys are called that are not told one by one.
const OTHERS: &str = "all others";

fn is_hash(name: &str) -> bool {
    name.parse::<KeyDigest>().is_ok()
}

pub(crate) async fn run(args: &SpendArgs, session: &Session) -> Result {
    let days = args.days.to_string();
    let today = match (&args.from, &args.to) {
        (Some(_), None) => Some(today(session).await?),
        (Some(_), Some(_)) | (None, _) => None,
    };
    let to = args.to.as_deref().or(today.as_deref());
    let mut query = query(args, to, &days)?;
    let key = match &args.key {
        Some(name) => Some(key::hash(session, name).await?),
        None => None,
    };
    query.extend(key.as_deref().map(|key| ("api_key", key)));
    let answer = session.get(args.by.path(), &query).await;
    let answer = answer.map_err(|told| told.naming(&FROM_TO))?;
    let Activity { results, metadata } = answer.read()?;
    let mut total = Line::default();
    if args.by == By::Tag {
        // A request counts under each of its tags: the whole is asked for where it counts once.
        let whole: Activity = session.get(By::Day.path(), &query).await?.read()?;
        whole.results.iter().for_each(|day| total.add(&day.metrics));
        session.say(
            "note: a request counts under each of its tags; the total counts every request once, \
             with or without tags",
        );
    } else {
        results.iter().for_each(|day| total.add(&day.metrics));
    }
    let lines = lines(args.by, results, &total);
    if lines.is_empty() {
        session.say("note: there was no spend in these days");
    }
    if lines.iter().any(|(name, _)| name == OTHERS) {
        let count = metadata.total_api_keys;
        session.say(&format!("note: of {count} keys, only those that spent most are shown"));
    }
    let by = args.by.word().to_uppercase();
    let head = [
        by.as_str(),
        "NAME",
        " REQUESTS",
        " FAILED",
        " PROMPT",
        " COMPLETION",
        " SPEND",
        " BUDGET LEFT",
    ];
    let mut rows: Vec<_> = lines.iter().map(|(name, line)| line.cells(name)).collect();
    rows.push(total.cells("total"));
    let json = Object::from_iter([
        ("by".to_owned(), args.by.word().into()),
        ("rows".to_owned(), lines.iter().map(|(name, line)| line.json(name)).collect()),
        ("total".to_owned(), total.json("total")),
    ]);
    session.show("dunlin.spend/1", json, &table(head, &rows))
}

/// The day that it is at the node.
async fn today(session: &Session) -> Result<String> {
    let answer = session.get("/health/liveliness", &[]).await?;
    let day = answer.at.as_deref().and_then(|at| at.split('T').next()).map(str::to_owned);
    day.ok_or_else(|| answer.strange("it does not say what time it is"))
}

/// What is asked of the node.
fn query<'a>(
    args: &'a SpendArgs,
    to: Option<&'a str>,
    days: &'a str,
) -> Result<Vec<(&'static str, &'a str)>> {
    let filters = [
        ("team_ids", &args.team),
        ("user_id", &args.user),
        ("organization_ids", &args.organization),
        ("model", &args.model),
    ];
    let given = filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let given: Vec<_> = given.collect();
    let labelled = matches!(args.by, By::Tag | By::Customer);
    let whose = ["team_ids", "user_id", "organization_ids"];
    if labelled && given.iter().any(|(name, _)| whose.contains(name)) {
        let message =
            format!("the spend of one {} is grouped only by key and model", args.by.word());
        return Err(Failure::usage(message, "leave out --team, --user and --organization"));
    }
    let span = match (&args.from, to) {
        (Some(from), Some(to)) => vec![("start_date", from.as_str()), ("end_date", to)],
        _ => vec![("last_days", days)],
    };
    Ok(span.into_iter().chain(given).collect())
}

/// One line per group: days in their order, all else by spend.
fn lines(by: By, days: Vec<Day>, total: &Line) -> Vec<(String, Line)> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for Day { date, metrics, breakdown } in days {
        let parts = match by {
            By::Day => {
                lines.entry(date).or_default().add(&metrics);
                continue;
            }
            By::Key => breakdown.api_keys,
            By::Model => breakdown.model_groups,
            By::Provider => breakdown.providers,
            By::Team | By::User | By::Organization | By::Customer | By::Tag => breakdown.entities,
        };
        for (name, Part { metrics, metadata }) in parts {
            let line = lines.entry(name).or_default();
            line.add(&metrics);
            line.about = metadata;
        }
    }
    let mut lines: Vec<_> = lines.into_iter().collect();
    if by == By::Key {
        lines.extend(rest(&lines, total));
    }
    if by != By::Day {
        lines
            .sort_by(|(name, one), (other, next)| next.spend.cmp(&one.spend).then(name.cmp(other)));
    }
    lines
}

/// What keys spent that are not told one by one.
fn rest(lines: &[(String, Line)], total: &Line) -> Option<(String, Line)> {
    let sum = |of: fn(&Line) -> u64| lines.iter().map(|(_, line)| of(line)).sum::<u64>();
    let rest = Line {
        spend: NanoUsd(total.spend.0.saturating_sub(sum(|line| line.spend.0))),
        prompt: total.prompt.saturating_sub(sum(|line| line.prompt)),
        completion: total.completion.saturating_sub(sum(|line| line.completion)),
        requests: total.requests.saturating_sub(sum(|line| line.requests)),
        failed: total.failed.saturating_sub(sum(|line| line.failed)),
        about: Value::Null,
    };
    (rest.requests > 0).then(|| (OTHERS.to_owned(), rest))
}

/// Nano-dollars of an amount that was counted in them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was an integer")]
fn nano(usd: f64) -> NanoUsd {
    NanoUsd((usd * 1e9).round().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Activity {
        let metrics = |spend: f64, requests: u64| {
            json!({
                "spend": spend, "prompt_tokens": 10 * requests, "completion_tokens": requests,
                "api_requests": requests, "failed_requests": 0, "successful_requests": requests,
            })
        };
        let part = |spend, requests, about| json!({"metrics": metrics(spend, requests), "metadata": about});
        let hash = "a".repeat(64);
        let about = json!({"key_alias": "app", "budget": {"left": 0.25, "max_budget": 1.0}});
        let day = |date: &str, spend: f64| {
            json!({
                "date": date,
                "metrics": metrics(spend + 0.1, 3),
                "breakdown": {
                    "model_groups": {"chat": part(spend + 0.1, 3, json!({}))},
                    "providers": {"openai": part(spend + 0.1, 3, json!({}))},
                    "api_keys": {hash.clone(): part(spend, 2, about.clone())},
                    "entities": {"Unassigned": part(0.1, 1, json!({})), "ann": part(spend, 2, json!({}))},
                },
            })
        };
        let told = json!({
            "results": [day("2026-03-02", 0.000_000_001), day("2026-03-01", 2.0)],
            "metadata": {"total_api_keys": 2},
        });
        serde_json::from_value(told).expect("the shape of an answer")
    }

    fn shown(by: By) -> Vec<String> {
        let Activity { results, .. } = activity();
        let mut total = Line::default();
        results.iter().for_each(|day| total.add(&day.metrics));
        let lines = lines(by, results, &total);
        lines.iter().map(|(name, line)| line.cells(name).join(" ")).collect()
    }

    #[test]
    fn days_add_up_to_the_nano_dollar_and_the_dearest_comes_first() {
        assert_eq!(
            shown(By::Key),
            ["aaaaaaaaaaaa app 4 0 40 4 $2.000000001 $0.25", "all others - 2 0 20 2 $0.20 -"]
        );
        assert_eq!(
            shown(By::User),
            ["ann - 4 0 40 4 $2.000000001 -", "Unassigned - 2 0 20 2 $0.20 -"]
        );
        assert_eq!(shown(By::Model), ["chat - 6 0 60 6 $2.200000001 -"]);
        let days = ["2026-03-01 - 3 0 30 3 $2.10 -", "2026-03-02 - 3 0 30 3 $0.100000001 -"];
        assert_eq!(shown(By::Day), days);
        let sum: u64 = lines(By::User, activity().results, &Line::default())
            .iter()
            .map(|(_, line)| line.spend.0)
            .sum();
        assert_eq!(sum, 2_200_000_001);
    }
}
