//! `info`: all of one.

use clap::Args;

use super::noun::{Noun, cell};
use crate::failure::Result;
use crate::session::Session;
use crate::table::plain;

#[derive(Args, Debug)]
pub struct InfoArgs {
    /// Its id.
    id: String,
}

/// What people look for, in this order, as far as it is there.
const SHOWN: &[&str] = &[
    "team_id",
    "team_alias",
    "user_id",
    "user_email",
    "user_alias",
    "user_role",
    "budget_id",
    "organization_id",
    "blocked",
    "models",
    "spend",
    "max_budget",
    "budget_duration",
    "budget_reset_at",
    "soft_budget",
    "budget_limits",
    "model_max_budget",
    "strict_budget",
    "rpm_limit",
    "tpm_limit",
    "max_parallel_requests",
    "on_loss",
    "admins",
    "members",
    "teams",
    "created_at",
    "created_by",
];

pub(super) async fn run(noun: &Noun, args: &InfoArgs, session: &Session) -> Result {
    let row = noun.find(session, &args.id).await?;
    let shown = SHOWN.iter().filter(|name| row.contains_key(**name));
    let text: String =
        shown.map(|name| format!("{name:22}  {}\n", plain(&cell(&row, name)))).collect();
    session.show(&noun.schema(), row, &text)
}
