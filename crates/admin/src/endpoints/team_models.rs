//! `POST /team/model/add` and `/team/model/delete`: what a team may call, changed by some models.

use axum::response::Response;
use dunlin_state::{Change, Command, Entity, EntityChanges, Kind, TermsChanges};
use tracing::info;

use super::{entity_of, ok, sign};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{find, row};
use crate::rows::row::View;
use crate::terms::edit::{Decided, with_organization};

/// A list that holds nothing else lets nothing through: an empty one would be everything.
const NONE: &str = "no-default-models";

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/team/model/add", Who::Users, |admin, asked| handle(admin, asked, true)).post(
        "/team/model/delete",
        Who::Users,
        |admin, asked| handle(admin, asked, false),
    )
}

async fn handle(admin: Admin, asked: Request, more: bool) -> Result<Response, Error> {
    let (name, models) = parse(asked.body()?)?;
    let state = admin.read().await.state;
    let change = |view: &View| {
        let before = find(&view.state, Kind::Team, &name)?;
        if !asked.caller.leads(&view.state, Kind::Team, &name) {
            return Err(forbidden(format!("only admins of team `{name}` may change it")));
        }
        let mut terms = TermsChanges {
            models: Change::Set(changed(&before.terms.models, models.clone(), more)),
            ..TermsChanges::default()
        };
        let of =
            |terms: &TermsChanges| EntityChanges { terms: terms.clone(), ..Default::default() };
        let after = Entity::clone(&before).changed(of(&terms));
        asked.caller.may_grow(&view.state, Some(&before), &after)?;
        sign(&mut terms, &asked.caller);
        let (name, changes) = (name.clone(), Box::new(of(&terms)));
        let command = Command::UpdateEntity { kind: Kind::Team, name, changes };
        Ok(Decided { seen: with_organization(&view.state, &before), command })
    };
    let (reply, view) = admin.edit(&asked, state, change).await?;
    let team = entity_of(reply);
    info!(team.id = team.name, "the models of a team were changed");
    Ok(ok(&row(&view, &team)))
}

fn parse(mut body: Body) -> Result<(String, Vec<String>), Error> {
    let name = body.require("team_id", values::text);
    let models = body.require("models", values::texts);
    body.finish(["team_id", "models"].into_iter())?;
    Ok((name, models))
}

fn changed(before: &[String], models: Vec<String>, more: bool) -> Vec<String> {
    if more {
        // All and more is all.
        if before.is_empty() {
            return Vec::new();
        }
        let kept = before.iter().filter(|model| *model != NONE && !models.contains(model));
        kept.cloned().chain(models.iter().cloned()).collect()
    } else {
        let kept: Vec<_> = before.iter().filter(|model| !models.contains(model)).cloned().collect();
        if kept.is_empty() && !before.is_empty() { vec![NONE.to_owned()] } else { kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_the_last_model_leaves_none_and_not_all() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (before, models, more, after) in [
            ("a", "b a", true, "b a"),
            ("", "b", true, ""),
            (NONE, "b", true, "b"),
            ("a b", "b", false, "a"),
            ("a", "a", false, NONE),
            ("", "a", false, ""),
        ] {
            let found = changed(&list(before), list(models), more);
            assert_eq!(found, list(after), "{before} and {models}");
        }
    }
}
