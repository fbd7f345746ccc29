//! `POST /team/member_update` and `PATCH /organization/member_update`: another role, other limits.

use axum::response::Response;
use dunlin_state::{Change, Command, Kind, MemberChanges, Reply};
use serde_json::json;
use tracing::info;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::moment::iso;
use crate::request::values;
use crate::routes::{PATCH, Request, Routes, Who};
use crate::rows::entities::find;
use crate::rows::row::put;
use crate::terms::entity_fields::id_name;
use crate::terms::members::{NAMED_BY, OfGroup, budget_name, check_role, finish, read_terms};
use crate::terms::model_names::{Whose, in_list};
use crate::terms::none_if_empty;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/team/member_update", Who::Users, |admin, asked| handle(admin, asked, Kind::Team))
        .add(PATCH, "/organization/member_update", Who::Users, |admin, asked| {
            handle(admin, asked, Kind::Organization)
        })
}

async fn handle(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    let (one, changes) = parse(asked.body()?, kind)?;
    let (_, user) = one.for_leader(&admin, &asked).await?;
    let name = one.group.clone();
    let listed = in_list("allowed_models", &changes.terms.models);
    let command = Command::UpdateMember { kind, name, user, changes: Box::new(changes) };
    let (reply, view) = admin.carry_out(&asked, command).await?;
    let Reply::Members(members) = reply else { unreachable!("it answers with the membership") };
    let member = &members[0];
    info!(entity.kind = kind.name(), entity.name = one.group, user = member.user, "changed");
    let group = find(&view.state, kind, &one.group)?;
    let mut row = view.membership(&group, member);
    let user = view.state.entity(Kind::User, &member.user);
    put(&mut row, "user_email", &user.and_then(|user| user.email.as_ref()));
    let budget = member.terms.max_budget.map(dunlin_types::NanoUsd::as_usd);
    put(&mut row, budget_name(kind), &json!(budget));
    put(&mut row, "allowed_models", &member.terms.models);
    put(&mut row, "tpm_limit", &member.terms.tpm);
    put(&mut row, "rpm_limit", &member.terms.rpm);
    put(&mut row, "budget_duration", &member.terms.budget_duration);
    let more = member.terms.temporary;
    put(&mut row, "temp_budget_increase", &more.map(|more| more.more.as_usd()));
    put(&mut row, "temp_budget_expiry", &more.map(|more| iso(more.until)));
    admin.put_warnings(&mut row, &asked.caller, &listed, Whose::entity(&group));
    Ok(ok(&row))
}

fn parse(mut body: Body, kind: Kind) -> Result<(OfGroup, MemberChanges), Error> {
    let one = OfGroup::read(&mut body, kind);
    let role = none_if_empty(body.take("role", values::text));
    let (terms, guards) = read_terms(&mut body, kind);
    if let Change::Set(role) = &role
        && let Err(wrong) = check_role(kind, role)
    {
        body.fault("role", wrong);
    }
    let own = [id_name(kind), "role"].into_iter().chain(NAMED_BY.iter().copied());
    finish(body, own, guards)?;
    // A membership always has a role.
    let role = match role {
        Change::Clear => Change::Keep,
        Change::Keep | Change::Set(_) => role,
    };
    Ok((one, MemberChanges { role, terms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_role_and_other_limits_are_asked_for() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"), Kind::Team);
        let (_, changes) = of(r#"{"team_id": "t", "user_id": "dev", "role": "admin",
            "rpm_limit": null}"#)
        .expect("a change");
        assert_eq!(changes.role, Change::Set("admin".to_owned()));
        assert_eq!(changes.terms.rpm, Change::Clear);
        let king = of(r#"{"team_id": "t", "user_id": "dev", "role": "king"}"#);
        assert!(matches!(king, Err(Error::Invalid(_))));
        assert!(matches!(of(r#"{"team_id": "t"}"#), Err(Error::BadField { .. })));
    }
}
