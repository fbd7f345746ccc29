//! `POST /team/member_update` and `PATCH /organization/member_update`: another role, other limits.

use axum::response::Response;
use dunlin_state::{Change, Command, Kind, Member, MemberChanges, Reply, State};
use serde_json::json;
use tracing::info;

use super::add_members::{TERMS, check_leads, read_terms};
use super::entities::{find, user_named};
use super::ok;
use crate::Admin;
use crate::body::{self, Body};
use crate::entity_fields::id_name;
use crate::error::Error;
use crate::routes::{Asked, PATCH, Routes, Who};
use crate::row::put;
use crate::terms::none_if_empty;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/team/member_update", Who::Users, |admin, asked| handle(admin, asked, Kind::Team))
        .add(PATCH, "/organization/member_update", Who::Users, |admin, asked| {
            handle(admin, asked, Kind::Organization)
        })
}

async fn handle(admin: Admin, asked: Asked, kind: Kind) -> Result<Response, Error> {
    let (one, changes) = parse(asked.body()?, kind)?;
    let view = admin.view(admin.read().await.state);
    let group = find(&view.state, kind, &one.group)?;
    check_leads(&asked, &view, &group)?;
    let (name, user) = (one.group.clone(), one.find(&view.state, kind)?.user.clone());
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
    put(&mut row, "max_budget_in_team", &json!(budget));
    put(&mut row, "tpm_limit", &member.terms.tpm);
    put(&mut row, "rpm_limit", &member.terms.rpm);
    Ok(ok(&row))
}

/// One member of a group, as requests name it.
#[derive(Debug)]
pub(super) struct OfGroup {
    pub(super) group: String,
    user: Option<String>,
    email: Option<String>,
}

impl OfGroup {
    pub(super) fn read(body: &mut Body, kind: Kind) -> Self {
        let group = body.require(id_name(kind), body::text);
        let user = none_if_empty(body.take("user_id", body::text)).value();
        let email = none_if_empty(body.take("user_email", body::text)).value();
        if user.is_none() && email.is_none() {
            body.refuse("user_id", "name a member by `user_id` or `user_email`".to_owned());
        }
        Self { group, user, email }
    }

    /// Its membership.
    pub(super) fn find<'s>(&self, state: &'s State, kind: Kind) -> Result<&'s Member, Error> {
        let by_email = user_named(state, None, self.email.as_deref()).map(|user| user.name.clone());
        let user = self.user.clone().or(by_email);
        let member = user.as_ref().and_then(|user| state.member(kind, &self.group, user));
        member.map(AsRef::as_ref).ok_or_else(|| {
            let who = user.or_else(|| self.email.clone()).unwrap_or_default();
            let reason = format!("User={who} is no member of {} `{}`", kind.name(), self.group);
            Error::NotFound { reason }
        })
    }
}

fn parse(mut body: Body, kind: Kind) -> Result<(OfGroup, MemberChanges), Error> {
    let one = OfGroup::read(&mut body, kind);
    let role = none_if_empty(body.take("role", body::text));
    let terms = read_terms(&mut body);
    let own = [id_name(kind), "user_id", "user_email", "role"].into_iter();
    body.finish(own.chain(TERMS.iter().copied()))?;
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
    use crate::rights::tests::world;

    #[test]
    fn a_member_is_found_or_told_missing() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"), Kind::Team);
        let state = world();
        let (one, changes) = of(r#"{"team_id": "t", "user_id": "dev", "role": "admin",
            "rpm_limit": null}"#)
        .expect("a change");
        assert_eq!(one.find(&state, Kind::Team).expect("a member").role, "user");
        assert_eq!(changes.role, Change::Set("admin".to_owned()));
        assert_eq!(changes.terms.rpm, Change::Clear);
        let (none, _) = of(r#"{"team_id": "t", "user_id": "boss"}"#).expect("a change");
        assert!(matches!(none.find(&state, Kind::Team), Err(Error::NotFound { .. })));
        assert!(matches!(of(r#"{"team_id": "t"}"#), Err(Error::BadField { .. })));
    }
}
