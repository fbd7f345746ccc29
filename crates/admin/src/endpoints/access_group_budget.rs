//! `GET`, `PUT` and `DELETE /access_group/{access_group}/budget`: what all who call the models of an
//! access group may spend on them together.

use axum::response::Response;
use dunlin_state::{Command, EntityChanges, Kind, Rejected, State, TermsChanges};
use serde_json::{Value, json};
use tracing::info;

use super::access_groups::{budget, groups, unknown};
use super::{ok, ok_as_of, sign};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{DELETE, GET, PUT, Request, Routes, Who};
use crate::rows::row::View;
use crate::terms::entity_fields;
use crate::terms::{self, none_if_empty};

const PATH: &str = "/access_group/{access_group}/budget";
/// Limits of requests and tokens are nothing that a group of models has.
const FIELDS: [&str; 5] =
    ["budget_duration", "budget_id", "max_budget", "soft_budget", "strict_budget"];

pub(super) fn add(routes: Routes) -> Routes {
    routes.add(GET, PATH, Who::Viewers, show).add(PUT, PATH, Who::Admins, set).add(
        DELETE,
        PATH,
        Who::Admins,
        clear,
    )
}

async fn show(admin: Admin, asked: Request) -> Result<Response, Error> {
    let name = named(&admin, &asked, &admin.0.consensus.state())?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &told(&view, &name)))
}

async fn set(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let state = admin.read().await.state;
    let known = groups(&published.catalog, &state);
    let name = asked.named.clone().unwrap_or_default();
    if !known.contains_key(name.as_str()) {
        return Err(unknown(&name, &known));
    }
    let mut terms = parse(asked.body()?)?;
    sign(&mut terms, &asked.caller);
    let changes = EntityChanges { terms, ..EntityChanges::default() };
    let update = || Command::UpdateEntity {
        kind: Kind::AccessGroup,
        name: name.clone(),
        changes: Box::new(changes.clone()),
    };
    let is_there = state.entity(Kind::AccessGroup, &name).is_some();
    let by = asked.caller.maker();
    let entity = entity_fields::new(Kind::AccessGroup, name.clone(), changes.clone(), by);
    let create = Command::CreateEntity { entity: Box::new(entity), members: Vec::new() };
    let first = if is_there { update() } else { create };
    let view = match admin.carry_out(&asked, first).await {
        Ok((_, view)) => view,
        // Somebody else was faster.
        Err(error) if is_rejected(&error, |why| matches!(why, Rejected::EntityExists { .. })) => {
            admin.carry_out(&asked, update()).await?.1
        }
        Err(error) => return Err(error),
    };
    info!(entity.kind = "access group", entity.name = name, "a budget was set");
    Ok(ok(&told(&view, &name)))
}

async fn clear(admin: Admin, asked: Request) -> Result<Response, Error> {
    let name = named(&admin, &asked, &admin.read().await.state)?;
    let delete = Command::DeleteEntities { kind: Kind::AccessGroup, names: vec![name.clone()] };
    let deleted = match admin.carry_out(&asked, delete).await {
        Ok(_) => true,
        Err(error) if is_rejected(&error, |why| matches!(why, Rejected::UnknownEntity { .. })) => {
            false
        }
        Err(error) => return Err(error),
    };
    let message = if deleted {
        format!("Budget of access group '{name}' deleted successfully")
    } else {
        format!("Access group '{name}' has no budget")
    };
    Ok(ok(&json!({"access_group": name, "budget_deleted": deleted, "message": message})))
}

/// The group that the path names: one of a model's, or one whose models are gone and whose budget is
/// not.
fn named(admin: &Admin, asked: &Request, state: &State) -> Result<String, Error> {
    let published = admin.settings()?;
    let known = groups(&published.catalog, state);
    let name = asked.named.as_deref().unwrap_or_default();
    if !known.contains_key(name) && state.entity(Kind::AccessGroup, name).is_none() {
        return Err(unknown(name, &known));
    }
    Ok(name.to_owned())
}

fn told(view: &View, name: &str) -> Value {
    let entity = view.state.entity(Kind::AccessGroup, name);
    json!({
        "access_group": name,
        "spend": entity.map_or(0.0, |entity| view.spent(entity).as_usd()),
        "budget": entity.map(|entity| budget(view, entity)),
    })
}

fn parse(mut body: Body) -> Result<TermsChanges, Error> {
    if !FIELDS.iter().any(|name| body.has(name)) {
        let reason = "One of max_budget, soft_budget, budget_duration or budget_id is required";
        body.refuse("max_budget", reason.to_owned());
    }
    let terms = TermsChanges {
        max_budget: body.take("max_budget", values::budget),
        soft_budget: body.take("soft_budget", values::budget),
        budget_duration: none_if_empty(body.take("budget_duration", terms::every)),
        budget_id: none_if_empty(body.take("budget_id", values::text)),
        strict: body.take("strict_budget", values::flag),
        ..TermsChanges::default()
    };
    body.forbid_rest("an access group has a budget and no other terms");
    body.finish(FIELDS.into_iter())?;
    Ok(terms)
}

pub(super) fn is_rejected(error: &Error, is: impl Fn(&Rejected) -> bool) -> bool {
    matches!(error, Error::Propose(dunlin_consensus::ProposeError::Rejected(why)) if is(why))
}

#[cfg(test)]
mod tests {
    use dunlin_state::Change;
    use dunlin_types::NanoUsd;

    use super::*;

    #[test]
    fn a_group_has_a_budget_and_nothing_else() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        let terms = of(r#"{"max_budget": 5, "budget_duration": null}"#).expect("a budget");
        assert_eq!(terms.max_budget, Change::Set(NanoUsd(5_000_000_000)));
        assert_eq!((terms.budget_duration, terms.soft_budget), (Change::Clear, Change::Keep));
        assert!(matches!(of("{}"), Err(Error::BadField { name: "max_budget", .. })));
        for text in [
            r#"{"max_budget": 5, "rpm_limit": 1}"#,
            r#"{"max_budget": -1}"#,
            r#"{"budget_duration": "soon"}"#,
        ] {
            assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
