//! `POST /key/update`: changes the fields that are sent; null clears one.

use std::collections::BTreeMap;

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Command, Key, KeyChanges, Seen, Spender};
use dunlin_types::{KeyDigest, UnixMillis};
use tracing::info;

use super::{check_changes, key_of, ok, sign_key};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::{View, put};
use crate::terms::edit::{Decided, judged_by};
use crate::terms::model_names::{Whose, behind, in_terms, set_by};
use crate::terms::new_key::{self, KeyFields};
use crate::terms::shared;

const PATH: &str = "/key/update";

pub(super) fn add(routes: Routes) -> Routes {
    routes.post(PATH, Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let update = Update::read(asked.body()?, admin.0.clock.unix())?;
    Ok(ok(&carry_out(&admin, &asked, update).await?))
}

/// A change of one key.
#[derive(Debug)]
pub(super) struct Update {
    /// As the request has it.
    named: String,
    token: KeyDigest,
    fields: KeyFields,
    now: UnixMillis,
}

impl Update {
    pub(super) fn read(mut body: Body, now: UnixMillis) -> Result<Self, Error> {
        let named = body.require("key", values::text);
        let fields = new_key::read(body, now, &["key"])?;
        let token = naming::digest_of(&named).ok_or(Error::NoSuchKey { name: "key" })?;
        Ok(Self { named, token, fields, now })
    }

    fn command(&self, view: &View, changes: KeyChanges) -> Command {
        let token = self.token;
        let after = view.state.key(&token).map(|key| Key::clone(key).changed(changes.clone()));
        let period = after.map_or(UnixMillis(0), |key| view.period(&key.terms));
        let update = Command::UpdateKey { token, changes: Box::new(changes) };
        let whose = Spender::Key(token);
        let spent = self.fields.spend.map(|to| Command::SetSpendOf { whose, period, to });
        Command::All { commands: [update].into_iter().chain(spent).collect() }
    }

    /// The change, as far as the caller may make it where things are as in `view`.
    fn decide(
        &self,
        asked: &Request,
        bounds: &BTreeMap<String, String>,
        view: &View,
    ) -> Result<Decided, Error> {
        let (mut seen, state) = (Vec::new(), &view.state);
        let mut changes = self.fields.changes.clone();
        let (before, unknown) = (state.key(&self.token), Key::default());
        let judged = (before.map_or(&unknown, AsRef::as_ref), &**state);
        if shared::put_before_defaults(&mut changes.terms, &judged.0.terms, state) {
            seen = before.map(|before| Seen::from(&**before)).into_iter().collect();
        }
        new_key::check_bounds(bounds, &changes, judged, self.now)?;
        if !asked.caller.is_admin() {
            let before = before.ok_or(Error::NotYours)?;
            check_changes(asked, state, before)?;
            if self.fields.spend.is_some() {
                return Err(forbidden("only an admin may set what a key has spent".to_owned()));
            }
            let after = Key::clone(before).changed(changes.clone());
            asked.caller.may_give(view, &after, Some(before), asked.route)?;
            seen = judged_by(state, before, &after);
        }
        sign_key(&mut changes, &asked.caller, before.map(AsRef::as_ref));
        Ok(Decided { seen, command: self.command(view, changes) })
    }
}

/// Changes a key as far as the caller may; its row.
pub(super) async fn carry_out(
    admin: &Admin,
    asked: &Request,
    mut update: Update,
) -> Result<Row, Error> {
    let published = admin.settings()?;
    let bounds = &published.settings.key_bounds;
    let mut state = admin.judging(asked).await;
    if state.key(&update.token).is_none() {
        // It may have been made on another node just now.
        state = admin.read().await.state;
    }
    update.token = state.key_named(&update.token).map_or(update.token, |key| key.token);
    let budget = update.fields.changes.terms.budget_id.clone().value();
    state = admin.knowing_budget(state, budget.as_deref()).await;
    let (reply, view) = admin.edit(asked, state, |view| update.decide(asked, bounds, view)).await?;
    let key = key_of(reply);
    info!(key.id = %key.token, "key {} was changed", key.name);
    let mut row = view.key(&key);
    put(&mut row, "key", &update.named);
    let changes = &update.fields.changes;
    let mut sent = in_terms(&set_by(&changes.terms));
    sent.extend(behind("aliases", &changes.aliases));
    admin.put_warnings(&mut row, &asked.caller, &sent, Whose::key(&view.state, &key));
    Ok(row)
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Change, State, TermsChanges};

    use super::*;
    use crate::rows::row::tests::view_of;

    fn read(text: &str) -> Result<Update, Error> {
        Update::read(Body::parse(text.as_bytes())?, UnixMillis(0))
    }

    #[test]
    fn absent_keeps_null_clears_and_the_rest_is_set() {
        let update = read(
            r#"{"key": "sk-a", "rpm_limit": 5, "tpm_limit": null, "duration": null,
            "metadata": {"a": 1}, "tags": null, "team_id": null}"#,
        )
        .expect("a change");
        let changes = Box::new(KeyChanges {
            expires: Change::Clear,
            team: Change::Clear,
            terms: TermsChanges {
                rpm: Change::Set(5),
                tpm: Change::Clear,
                tags: Change::Clear,
                other: BTreeMap::from([(
                    "metadata".to_owned(),
                    Change::Set(r#"{"a":1}"#.to_owned()),
                )]),
                ..TermsChanges::default()
            },
            ..KeyChanges::default()
        });
        let token = KeyDigest::of("sk-a");
        assert_eq!(update.named, "sk-a");
        let commands = vec![Command::UpdateKey { token, changes }];
        let told = update.command(&view_of(State::new()), update.fields.changes.clone());
        assert_eq!(told, Command::All { commands });
    }

    #[test]
    fn a_key_must_be_named_and_could_exist() {
        assert!(matches!(read("{}"), Err(Error::Invalid(_))));
        let neither = read(r#"{"key": "neither clear nor hash"}"#);
        assert!(matches!(neither, Err(Error::NoSuchKey { name: "key" })));
    }
}
