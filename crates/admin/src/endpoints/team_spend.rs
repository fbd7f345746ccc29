//! `GET /global/spend/teams`: what each team spent on each of the last 30 days, for charts.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::Response;
use dunlin_state::{Book, Day, Kind, Symbol};
use dunlin_types::NanoUsd;
use serde_json::{Value, json};

use super::global_spend::LAST_DAYS;
use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::reports::usage::{ranked, rows};
use crate::request::span::{self, Span};
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

/// Teams in the list of those that spent most, as in LiteLLM.
const MOST: usize = 10;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/global/spend/teams", Who::Viewers, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let span = Span::read_or_last(&asked, LAST_DAYS, view.now)?;
    Ok(ok_as_of(&read, &told(&view, &asked, span)))
}

fn told(view: &View, asked: &Request, span: Span) -> Value {
    let rows = || rows(&view.state, &asked.caller, Book::Keys, span);
    let mut by_day: BTreeMap<(Day, Symbol), NanoUsd> = BTreeMap::new();
    for (day, of, totals) in rows() {
        *by_day.entry((day, of.team)).or_default() += totals.cost;
    }
    let teams: BTreeSet<_> = by_day.keys().map(|(_, team)| title(view, *team)).collect();
    let mut daily: BTreeMap<Day, Value> = BTreeMap::new();
    for ((day, team), spend) in by_day {
        let told = daily.entry(day).or_insert_with(|| json!({ "date": span::text(day) }));
        // Teams of the same name are one to who reads names.
        let title = title(view, team);
        let before = told[&title].as_f64().unwrap_or_default();
        told[&title] = json!(before + spend.as_usd());
    }
    let most = ranked(rows(), |of| of.team).into_iter().take(MOST).map(|(team, totals)| {
        json!({ "team_id": title(view, team), "total_spend": totals.cost.as_usd() })
    });
    json!({
        "daily_spend": daily.into_values().collect::<Vec<_>>(),
        "teams": teams,
        "total_spend_per_team": most.collect::<Vec<_>>(),
    })
}

/// As LiteLLM's charts name a team: by its alias.
pub(super) fn title(view: &View, team: Symbol) -> String {
    let alias = view.used_by_alias(Kind::Team, team).filter(|alias| !alias.is_empty());
    alias.map_or_else(|| view.used_by(team), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::request::span::tests::asked;
    use crate::rows::row::tests::view_of;

    #[test]
    fn teams_are_told_by_day_and_in_the_order_of_their_spend() {
        let told = told(&view_of(used_world()), &asked(""), SPAN);
        let day = json!({"date": "1970-01-01", "Unassigned": 0.101, "other": 3.0, "t": 0.057});
        assert_eq!(told["daily_spend"], json!([day]));
        assert_eq!(told["teams"], json!(["Unassigned", "other", "t"]));
        assert_eq!(
            told["total_spend_per_team"][0],
            json!({"team_id": "other", "total_spend": 3.0})
        );
    }
}
