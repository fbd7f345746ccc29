//! What `litellm_settings` says of money: the budget of the whole cluster, when periods begin, and
//! the status of a refusal.

use dunlin_ledger::{Calendar, Every};
use dunlin_types::NanoUsd;

use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;
use crate::tree::{Map, Node};

/// LiteLLM's status for a request that a budget refuses.
const EXCEEDED_STATUS: u16 = 422;

/// What holds for all budgets, and the one of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// `timezone` and `budget_reset_time`: when days, weeks and months begin.
    pub calendar: Calendar,
    /// `max_budget`: the most that all may spend in a period; none if it is 0, as in LiteLLM.
    pub most: Option<NanoUsd>,
    /// `budget_duration`: how long a period is; without it, for ever.
    pub duration: Option<String>,
    /// `max_end_user_budget_id`: the shared budget of end users whose rows name none.
    pub end_user_budget_id: Option<String>,
    /// `max_end_user_budget`: the most that such an end user may spend, where there is none; no
    /// bound if it is 0, as in LiteLLM.
    pub end_user_most: Option<NanoUsd>,
    /// `budget_rollover`: what is overspent is spent of the next period, too.
    pub rollover: bool,
    /// `budget_exceeded_throttle_percentage`: what is left of the limits of an entity that is
    /// throttled once its budget is spent, in millionths.
    pub throttle: Option<u32>,
    /// `general_settings.apply_user_budget_to_team_keys`: the budgets of users bind also the keys that
    /// they have of teams.
    pub binds_users_of_teams: bool,
    /// `budget_exceeded_status_code`.
    pub exceeded_status: u16,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            calendar: Calendar::default(),
            most: None,
            duration: None,
            end_user_budget_id: None,
            end_user_most: None,
            rollover: false,
            throttle: None,
            binds_users_of_teams: false,
            exceeded_status: EXCEEDED_STATUS,
        }
    }
}

/// Reads `litellm_settings`.
pub(crate) fn budgets(root: &Map, report: &mut Report) -> Budgets {
    let empty = Map::default();
    let settings = root.get("litellm_settings").and_then(Node::as_map).unwrap_or(&empty);
    Budgets {
        calendar: calendar(settings, report),
        most: most("max_budget", settings, report),
        end_user_budget_id: text("max_end_user_budget_id", settings, report),
        end_user_most: most("max_end_user_budget", settings, report),
        rollover: report
            .flag("litellm_settings.budget_rollover", settings.get("budget_rollover"))
            .unwrap_or_default(),
        throttle: throttle(settings, report),
        binds_users_of_teams: binds_users_of_teams(root, report),
        duration: duration(settings, report),
        exceeded_status: exceeded_status(settings, report).unwrap_or(EXCEEDED_STATUS),
    }
}

fn calendar(settings: &Map, report: &mut Report) -> Calendar {
    let zone = settings.get("timezone");
    let time = settings.get("budget_reset_time");
    let zone_name = report.text("litellm_settings.timezone", zone).unwrap_or("UTC");
    let reset_at = report.text("litellm_settings.budget_reset_time", time).unwrap_or("00:00");
    Calendar::new(zone_name, reset_at).unwrap_or_else(|bad| {
        let place = zone.or(time).expect("the defaults make a calendar").place;
        report.push(Diagnostic::error(Code::WrongValue, bad.to_string()).at(place, ""));
        Calendar::default()
    })
}

fn text(name: &str, settings: &Map, report: &mut Report) -> Option<String> {
    let text = report.text(&format!("litellm_settings.{name}"), settings.get(name));
    text.map(str::to_owned)
}

fn most(name: &str, settings: &Map, report: &mut Report) -> Option<NanoUsd> {
    let most = dollars(&format!("litellm_settings.{name}"), settings.get(name), report);
    most.filter(|most| *most > NanoUsd::ZERO)
}

/// An amount of US dollars.
pub(crate) fn dollars(what: &str, node: Option<&Node>, report: &mut Report) -> Option<NanoUsd> {
    let dollars = report.amount(what, node)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "amounts are finite and not negative, and the cast saturates"
    )]
    Some(NanoUsd((dollars * 1e9).round() as u64))
}

fn duration(settings: &Map, report: &mut Report) -> Option<String> {
    let node = settings.get("budget_duration");
    let text = report.text("litellm_settings.budget_duration", node)?;
    if let Err(bad) = Every::parse(text) {
        let message = format!("litellm_settings.budget_duration is {bad}");
        let place = node.expect("it was read").place;
        report.push(Diagnostic::error(Code::WrongValue, message).at(place, ""));
        return None;
    }
    Some(text.to_owned())
}

/// A part of 1: LiteLLM calls it a percentage.
fn throttle(settings: &Map, report: &mut Report) -> Option<u32> {
    let (what, node) = (
        "litellm_settings.budget_exceeded_throttle_percentage",
        settings.get("budget_exceeded_throttle_percentage"),
    );
    let part = report.amount(what, node)?;
    if part <= 0.0 || part > 1.0 {
        let must = "must be more than 0 and at most 1: 0.1 leaves a tenth of the limits";
        return report.wrong_value(what, node?, must);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is more than 0 and at most 1"
    )]
    Some(((part * 1e6).round() as u32).max(1))
}

fn binds_users_of_teams(root: &Map, report: &mut Report) -> bool {
    let name = "apply_user_budget_to_team_keys";
    let general = root.get("general_settings").and_then(Node::as_map);
    let node = general.and_then(|general| general.get(name));
    report.flag(&format!("general_settings.{name}"), node).unwrap_or_default()
}

fn exceeded_status(settings: &Map, report: &mut Report) -> Option<u16> {
    let node = settings.get("budget_exceeded_status_code");
    let status: u16 = report.count("litellm_settings.budget_exceeded_status_code", node)?;
    if !(400..=499).contains(&status) {
        let message = "litellm_settings.budget_exceeded_status_code must be 400 to 499".to_owned();
        let place = node.expect("it was read").place;
        report.push(Diagnostic::error(Code::WrongValue, message).at(place, ""));
        return None;
    }
    Some(status)
}
