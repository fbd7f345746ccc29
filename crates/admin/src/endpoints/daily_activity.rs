//! `GET /user/daily/activity` and related routes: usage by day, with its users and models; with
//! `/aggregated`, all days at once.

use std::collections::BTreeSet;

use axum::response::Response;
use dunlin_state::{Book, Facets, Kind, State, Symbol};
use serde_json::Value;

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::reports::activity::Activity;
use crate::reports::usage::{Used, listed, listed_keys, part, rows};
use crate::request::fault::Fault;
use crate::request::pages::Pages;
use crate::request::span::Span;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::may_see;
use crate::rows::row::View;

/// Where whose activity is.
struct Way {
    paged: &'static str,
    whole: &'static str,
    of: Of,
}

const PATHS: &[Way] = &[
    Way {
        paged: "/user/daily/activity",
        whole: "/user/daily/activity/aggregated",
        of: Of { kind: Kind::User, book: Book::Keys, only: "user_id", without: "exclude_user_ids" },
    },
    Way {
        paged: "/team/daily/activity",
        whole: "/team/daily/activity/aggregated",
        of: Of {
            kind: Kind::Team,
            book: Book::Keys,
            only: "team_ids",
            without: "exclude_team_ids",
        },
    },
    Way {
        paged: "/tag/daily/activity",
        whole: "/tag/daily/activity/aggregated",
        of: Of { kind: Kind::Tag, book: Book::Tags, only: "tags", without: "exclude_tags" },
    },
    Way {
        paged: "/customer/daily/activity",
        whole: "/customer/daily/activity/aggregated",
        of: CUSTOMER,
    },
    Way {
        paged: "/end_user/daily/activity",
        whole: "/end_user/daily/activity/aggregated",
        of: CUSTOMER,
    },
    Way {
        paged: "/organization/daily/activity",
        whole: "/organization/daily/activity/aggregated",
        of: Of {
            kind: Kind::Organization,
            book: Book::Keys,
            only: "organization_ids",
            without: "exclude_organization_ids",
        },
    },
];

const CUSTOMER: Of = Of {
    kind: Kind::EndUser,
    book: Book::EndUsers,
    only: "end_user_ids",
    without: "exclude_end_user_ids",
};

/// A day in another zone is no day of the totals; LiteLLM's clients say their zone all the same.
const MAX_ZONE_MINUTES: i32 = 14 * 60;

/// A kind, and the parameters that name some and leave some out.
#[derive(Clone, Copy)]
struct Of {
    kind: Kind,
    book: Book,
    only: &'static str,
    without: &'static str,
}

impl Of {
    /// The kinds that its rows tell apart, and the parameters that name some of each. LiteLLM knows
    /// the first one alone.
    fn whose(self) -> impl Iterator<Item = (Kind, &'static str)> {
        let all: &[_] = if self.book == Book::Keys { PATHS } else { &[] };
        let more = all.iter().map(|Way { of, .. }| (of.kind, of.only, of.book));
        let more = more.filter(move |(kind, _, book)| *book == self.book && *kind != self.kind);
        [(self.kind, self.only)].into_iter().chain(more.map(|(kind, only, _)| (kind, only)))
    }
}

pub(super) fn add(routes: Routes) -> Routes {
    let routes = routes.get("/agent/daily/activity", Who::Anyone, of_agents).get(
        "/agent/daily/activity/aggregated",
        Who::Anyone,
        of_agents,
    );
    PATHS.iter().fold(routes, |routes, &Way { paged, whole, of }| {
        routes.get(paged, Who::Anyone, move |admin, asked| handle(admin, asked, of, true)).get(
            whole,
            Who::Anyone,
            move |admin, asked| handle(admin, asked, of, false),
        )
    })
}

/// There are no agents, so none has done anything.
async fn of_agents(admin: Admin, asked: Request) -> Result<Response, Error> {
    Span::read(&asked, admin.0.clock.unix())?;
    let pages = Pages::read(&asked, "page_size", 10, 1_000)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let nothing = Activity::of(Kind::User, std::iter::empty);
    Ok(ok_as_of(&read, &nothing.told(&view, Some(pages))))
}

async fn handle(admin: Admin, asked: Request, of: Of, paged: bool) -> Result<Response, Error> {
    let span = Span::read(&asked, admin.0.clock.unix())?;
    check_zone(&asked)?;
    let pages = if paged { Some(Pages::read(&asked, "page_size", 50, 1_000)?) } else { None };
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &answer(&view, &asked, of, span, pages)?))
}

fn check_zone(asked: &Request) -> Result<(), Error> {
    let Some(text) = asked.param("timezone") else { return Ok(()) };
    match text.parse::<i32>() {
        Ok(minutes) if minutes.abs() <= MAX_ZONE_MINUTES => Ok(()),
        Ok(_) | Err(_) => {
            let msg = "Input should be a valid integer: minutes by which UTC is ahead";
            Err(Error::Invalid(vec![Fault::of("query", "timezone", "int_parsing", msg)]))
        }
    }
}

fn answer(
    view: &View,
    asked: &Request,
    of: Of,
    span: Span,
    pages: Option<Pages>,
) -> Result<Value, Error> {
    check_names(asked, &view.state, of)?;
    let wanted = Wanted::of(asked, &view.state, of);
    let rows = || {
        let rows = rows(&view.state, &asked.caller, of.book, span);
        rows.filter(|used| wanted.wants(used))
    };
    Ok(Activity::of(of.kind, rows).told(view, pages))
}

/// Who may not see somebody learns nothing about whether there is anything to see.
fn check_names(asked: &Request, state: &State, of: Of) -> Result<(), Error> {
    for (kind, param) in of.whose() {
        // Of tags and end users, what is a caller's own is told and the rest is left out.
        if matches!(kind, Kind::Tag | Kind::EndUser) {
            continue;
        }
        let named = asked.param(param).into_iter().flat_map(|names| names.split(','));
        let hidden = named.map(str::trim).find(|name| !may_see(asked, state, kind, name));
        if let Some(name) = hidden {
            return Err(forbidden(format!("this key may not see {} `{name}`", kind.name())));
        }
    }
    Ok(())
}

/// What the query asks for.
struct Wanted {
    kind: Kind,
    only: Vec<(Kind, BTreeSet<Symbol>)>,
    without: BTreeSet<Symbol>,
    models: Option<BTreeSet<Symbol>>,
    keys: Option<BTreeSet<Symbol>>,
}

impl Wanted {
    fn of(asked: &Request, state: &State, of: Of) -> Self {
        let days = state.days();
        Self {
            kind: of.kind,
            only: of
                .whose()
                .filter_map(|(kind, it)| Some((kind, listed(asked, days, it)?)))
                .collect(),
            without: listed(asked, days, of.without).unwrap_or_default(),
            models: listed(asked, days, "model"),
            keys: listed_keys(asked, days, "api_key"),
        }
    }

    fn wants(&self, (_, of, _): &Used<'_>) -> bool {
        let Facets { key, group, model, .. } = of;
        // As in LiteLLM, what no team or organization did is told only where it is asked for.
        let is_group = matches!(self.kind, Kind::Team | Kind::Organization);
        let names = self.only.iter().any(|(kind, _)| *kind == self.kind);
        (!is_group || names || part(self.kind, of) != Symbol::NONE)
            && self.only.iter().all(|(kind, only)| only.contains(&part(*kind, of)))
            && !self.without.contains(&part(self.kind, of))
            && self.models.as_ref().is_none_or(|all| all.contains(model) || all.contains(group))
            && self.keys.as_ref().is_none_or(|all| all.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::request::span::tests::asked_as;
    use crate::rights::caller::Caller;
    use crate::rights::tests::bearer;
    use crate::rows::row::tests::view_of;

    fn of(path: &str) -> Of {
        PATHS.iter().find(|way| way.paged == path).expect("a path").of
    }

    /// What is told to somebody, in thousandths of a dollar; -1 for a refusal.
    fn spend(who: &str, path: &str, query: &str) -> i64 {
        let state = used_world();
        let caller = if who.is_empty() { Caller::Master } else { bearer(&state, who) };
        let asked = asked_as(caller, query);
        let told = answer(&view_of(state), &asked, of(path), SPAN, None);
        told.map_or(-1, |told| {
            let spend = told["metadata"]["total_spend"].as_f64().expect("a sum");
            #[expect(clippy::cast_possible_truncation, reason = "a few dollars")]
            let thousandths = (spend * 1000.0).round() as i64;
            thousandths
        })
    }

    #[test]
    fn activity_is_that_of_whom_the_query_names_and_the_caller_may_see() {
        let (user, team) = ("/user/daily/activity", "/team/daily/activity");
        let (tag, customer) = ("/tag/daily/activity", "/customer/daily/activity");
        let organization = "/organization/daily/activity";
        for (who, path, query, expected) in [
            ("", user, "", 3_158),
            ("", user, "user_id=dev", 107),
            ("", user, "user_id=nobody", 0),
            ("", user, "api_key=sk-elsewhere", 3_000),
            ("", user, "api_key=litellm_proxy_master_key", 1),
            ("", user, "model=gpt", 151),
            ("", user, "model=gpt&user_id=dev", 100),
            ("", user, "model=unheard-of", 0),
            ("", user, "team_ids=t&user_id=dev", 7),
            ("sk-dev", user, "team_ids=other", -1),
            ("", team, "team_ids=t,other", 3_057),
            ("", team, "", 3_057),
            ("", team, "exclude_team_ids=other", 57),
            ("", team, "user_id=dev", 7),
            ("", organization, "", 57),
            ("", team, "team_ids=Unassigned", 101),
            ("", tag, "tags=prod", 100),
            ("", customer, "end_user_ids=cust", 50),
            ("", organization, "organization_ids=o", 57),
            ("sk-auditor", team, "team_ids=other", 3_000),
            ("sk-lead", team, "team_ids=t", 57),
            ("sk-lead", team, "team_ids=other", -1),
            ("sk-dev", team, "team_ids=t", 7),
            ("sk-dev", user, "", 107),
            ("sk-dev", user, "user_id=lead", -1),
            ("sk-dev", tag, "tags=prod", 100),
            ("sk-lead", tag, "tags=prod", 0),
            ("sk-boss", organization, "", 57),
            ("sk-bare", organization, "organization_ids=o", -1),
            ("sk-bare", user, "", 0),
        ] {
            assert_eq!(spend(who, path, query), expected, "{who} {path}?{query}");
        }
    }

    #[test]
    fn a_zone_is_a_number_of_minutes() {
        let asked = |zone: &str| asked_as(Caller::Master, &format!("timezone={zone}"));
        assert!(check_zone(&asked("-330")).is_ok() && check_zone(&asked("480")).is_ok());
        for wrong in ["Europe/Berlin", "841", "1e2"] {
            assert!(matches!(check_zone(&asked(wrong)), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
