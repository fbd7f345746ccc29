//! `POST /key/update`: changes the fields that are sent; null clears one.

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Command, Key, Spender};
use dunlin_types::{KeyDigest, UnixMillis};
use tracing::info;

use super::{check_changes, key_of, ok, sign};
use crate::Admin;
use crate::body::{self, Body};
use crate::error::Error;
use crate::naming;
use crate::new_key::{self, KeyFields};
use crate::rights::forbidden;
use crate::routes::{Asked, Routes, Who};
use crate::row::{View, put};

const PATH: &str = "/key/update";

pub(super) fn add(routes: Routes) -> Routes {
    routes.post(PATH, Who::Users, handle)
}

async fn handle(admin: Admin, asked: Asked) -> Result<Response, Error> {
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
        let named = body.require("key", body::text);
        let fields = new_key::read(body, now, &["key"])?;
        let token = naming::digest_of(&named).ok_or(Error::NoSuchKey { name: "key" })?;
        Ok(Self { named, token, fields, now })
    }

    fn command(self, view: &View) -> Command {
        let Self { token, fields, .. } = self;
        let after = view.state.key(&token).cloned().map(|key| {
            let key = std::sync::Arc::unwrap_or_clone(key);
            key.changed(fields.changes.clone())
        });
        let period = after.map_or(UnixMillis(0), |key| view.period(&key.terms));
        let update = Command::UpdateKey { token, changes: Box::new(fields.changes) };
        let whose = Spender::Key(token);
        let spent = fields.spend.map(|to| Command::SetSpendOf { whose, period, to });
        Command::All { commands: [update].into_iter().chain(spent).collect() }
    }
}

/// Changes a key as far as the caller may; its row.
pub(super) async fn carry_out(
    admin: &Admin,
    asked: &Asked,
    mut update: Update,
) -> Result<Row, Error> {
    let published = admin.settings()?;
    let bounds = &published.settings.key_bounds;
    new_key::check_bounds(bounds, &update.fields.changes, update.now)?;
    if !asked.caller.is_admin() {
        let state = admin.read().await.state;
        let before = state.key(&update.token).ok_or(Error::NotYours)?;
        check_changes(asked, &state, before)?;
        if update.fields.spend.is_some() {
            return Err(forbidden("only an admin sets what a key has spent".to_owned()));
        }
        let after = Key::clone(before).changed(update.fields.changes.clone());
        asked.caller.may_give(&state, &after, Some(before), asked.route)?;
    }
    sign(&mut update.fields.changes.terms, &asked.caller);
    let named = update.named.clone();
    let view = admin.view(admin.0.consensus.state());
    let (reply, view) = admin.carry_out(asked, update.command(&view)).await?;
    let key = key_of(reply);
    info!(key.id = %key.token, "key {} was changed", key.name);
    let mut row = view.key(&key);
    put(&mut row, "key", &named);
    Ok(row)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dunlin_state::{Change, KeyChanges, State, TermsChanges};

    use super::*;
    use crate::row::tests::view_of;

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
        assert_eq!(update.command(&view_of(State::new())), Command::All { commands });
    }

    #[test]
    fn a_key_must_be_named_and_could_exist() {
        assert!(matches!(read("{}"), Err(Error::Invalid(_))));
        let neither = read(r#"{"key": "neither clear nor hash"}"#);
        assert!(matches!(neither, Err(Error::NoSuchKey { name: "key" })));
    }
}
