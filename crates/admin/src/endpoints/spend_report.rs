//! `GET /global/spend/report`: amounts to charge, by day and team or customer, or by key.

use std::collections::BTreeMap;

use axum::response::Response;
use dunlin_state::{Book, Day, Facets, Symbol, Totals};
use serde_json::{Value, json};

use super::ok_as_of;
use super::team_spend::title;
use crate::Admin;
use crate::error::Error;
use crate::reports::usage::{UNASSIGNED, Used, listed, listed_keys, rows};
use crate::request::fault::Fault;
use crate::request::span::{self, Span};
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/global/spend/report", Who::Viewers, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let span = Span::read(&asked, admin.0.clock.unix())?;
    let by = By::read(&asked)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &told(&view, &asked, span, by)))
}

/// What the lines of a report are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Team,
    Customer,
    Key,
}

impl By {
    /// As in LiteLLM, to ask about one key or one user is to ask for its models.
    fn read(asked: &Request) -> Result<Self, Error> {
        if asked.param("api_key").or(asked.param("internal_user_id")).is_some() {
            return Ok(Self::Key);
        }
        match asked.param("group_by") {
            None | Some("team") => Ok(Self::Team),
            Some("customer") => Ok(Self::Customer),
            Some("api_key") => Ok(Self::Key),
            Some(_) => {
                let msg = "Input should be 'team', 'customer' or 'api_key'";
                Err(Error::Invalid(vec![Fault::of("query", "group_by", "literal_error", msg)]))
            }
        }
    }

    fn book(self) -> Book {
        match self {
            Self::Team | Self::Key => Book::Keys,
            Self::Customer => Book::EndUsers,
        }
    }
}

fn told(view: &View, asked: &Request, span: Span, by: By) -> Value {
    let days = view.state.days();
    let keys = listed_keys(asked, days, "api_key");
    let users = listed(asked, days, "internal_user_id");
    let teams = listed(asked, days, "team_id");
    let customers = listed(asked, days, "customer_id");
    let wants = |(_, of, _): &Used<'_>| {
        keys.as_ref().is_none_or(|keys| keys.contains(&of.key))
            && users.as_ref().is_none_or(|users| users.contains(&of.user))
            && (by == By::Customer || teams.as_ref().is_none_or(|all| all.contains(&of.team)))
            && (by != By::Customer
                || customers.as_ref().is_none_or(|all| all.contains(&of.end_user)))
    };
    let rows = rows(&view.state, &asked.caller, by.book(), span).filter(wants);
    match by {
        By::Team => by_day(
            view,
            rows,
            ("teams", "team_name"),
            |of| of.team,
            |team| {
                if team == Symbol::NONE { "Unassigned Team".to_owned() } else { title(view, team) }
            },
        ),
        By::Customer => {
            by_day(view, rows, ("customers", "customer"), |of| of.end_user, |it| view.used_by(it))
        }
        By::Key => by_key(view, rows),
    }
}

/// Sums of one and the same by model and key.
type Uses = BTreeMap<(Symbol, Symbol), Totals>;

fn by_day<'a>(
    view: &View,
    rows: impl Iterator<Item = Used<'a>>,
    (list, title): (&str, &str),
    whose: impl Fn(&Facets<Symbol>) -> Symbol,
    name: impl Fn(Symbol) -> String,
) -> Value {
    let mut days: BTreeMap<Day, BTreeMap<Symbol, Uses>> = BTreeMap::new();
    for (day, of, totals) in rows {
        let uses = days.entry(day).or_default().entry(whose(of)).or_default();
        uses.entry((of.model, of.key)).or_default().add(totals);
    }
    let told = days.into_iter().map(|(day, all)| {
        let all = all.into_iter().map(|(one, uses)| {
            let mut sum = Totals::default();
            uses.values().for_each(|totals| sum.add(totals));
            let uses = uses.iter().map(|((model, key), totals)| {
                json!({
                    "model": model_name(view, *model),
                    "api_key": view.used_with(*key),
                    "spend": totals.cost.as_usd(),
                    "total_tokens": totals.tokens().0,
                })
            });
            let metadata: Vec<_> = uses.collect();
            json!({ title: name(one), "total_spend": sum.cost.as_usd(), "metadata": metadata })
        });
        json!({ "group_by_day": span::midnight(day), list: all.collect::<Vec<_>>() })
    });
    told.collect()
}

fn by_key<'a>(view: &View, rows: impl Iterator<Item = Used<'a>>) -> Value {
    let mut keys: BTreeMap<Symbol, BTreeMap<Symbol, Totals>> = BTreeMap::new();
    for (_, of, totals) in rows {
        keys.entry(of.key).or_default().entry(of.model).or_default().add(totals);
    }
    let mut told: Vec<_> = keys
        .into_iter()
        .map(|(key, models)| {
            let mut sum = Totals::default();
            models.values().for_each(|totals| sum.add(totals));
            let details = models.iter().map(|(model, totals)| {
                json!({
                    "model": model_name(view, *model),
                    "total_cost": totals.cost.as_usd(),
                    "total_input_tokens": totals.prompt.0,
                    "total_output_tokens": totals.completion.0,
                })
            });
            let told = json!({
                "api_key": view.used_with(key),
                "key_alias": view.used_with_alias(key),
                "total_cost": sum.cost.as_usd(),
                "total_input_tokens": sum.prompt.0,
                "total_output_tokens": sum.completion.0,
                "model_details": details.collect::<Vec<_>>(),
            });
            (sum.cost, told)
        })
        .collect();
    told.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
    told.into_iter().map(|(_, told)| told).collect()
}

fn model_name(view: &View, model: Symbol) -> &str {
    view.state.days().name(model).unwrap_or(UNASSIGNED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::request::span::tests::asked;
    use crate::rows::row::tests::view_of;

    fn report(query: &str) -> Value {
        let asked = asked(query);
        let by = By::read(&asked).expect("a report");
        told(&view_of(used_world()), &asked, SPAN, by)
    }

    #[test]
    fn a_report_by_team_names_days_teams_models_and_keys() {
        let told = report("");
        assert_eq!(told[0]["group_by_day"], "1970-01-01T00:00:00+00:00");
        let teams = told[0]["teams"].as_array().expect("a list");
        let spend = |name: &str| {
            let team = teams.iter().find(|team| team["team_name"] == name);
            team.map(|team| {
                (team["total_spend"].clone(), team["metadata"].as_array().map(Vec::len))
            })
        };
        assert_eq!(spend("other"), Some((json!(3.0), Some(1))));
        assert_eq!(spend("t"), Some((json!(0.057), Some(2))));
        assert_eq!(spend("Unassigned Team"), Some((json!(0.101), Some(2))));
        let one = report("team_id=other");
        assert_eq!(one[0]["teams"][0]["metadata"][0]["model"], "claude");
        assert_eq!(one[0]["teams"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn a_report_by_customer_or_key_is_of_those_alone() {
        let customers = report("group_by=customer");
        let cust = &customers[0]["customers"][0];
        assert_eq!((&cust["customer"], &cust["total_spend"]), (&json!("cust"), &json!(0.05)));
        assert_eq!(report("group_by=customer&customer_id=nobody"), json!([]));
        let keys = report("group_by=api_key");
        assert_eq!((keys.as_array().map(Vec::len), &keys[0]["total_cost"]), (Some(5), &json!(3.0)));
        for query in ["api_key=sk-dev", "internal_user_id=dev&api_key=sk-dev"] {
            let told = report(query);
            let details = &told[0]["model_details"][0];
            assert_eq!(
                (&details["model"], &details["total_input_tokens"]),
                (&json!("gpt"), &json!(100))
            );
            assert_eq!(told.as_array().map(Vec::len), Some(1), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_reported_by_is_refused() {
        assert!(matches!(By::read(&asked("group_by=model")), Err(Error::Invalid(_))));
    }
}
