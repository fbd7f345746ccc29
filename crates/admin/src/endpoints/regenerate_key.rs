//! `POST /key/{key}/regenerate` and `/key/regenerate`: gives a key another clear text. Its spend,
//! limits and owner stay; the old text may go on working for a while.

use axum::response::Response;
use dunlin_ledger::expiry;
use dunlin_llm::credentials::key_name;
use dunlin_state::{Change, Command, Key, Seen};
use dunlin_types::{KeyDigest, Secret, UnixMillis};
use tracing::info;

use super::{check_changes, key_named, key_of, ok, sign_key};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::{View, put};
use crate::terms::edit::{Decided, judged_by};
use crate::terms::new_key::{self, KeyFields};
use crate::terms::none_if_empty;
use crate::terms::shared;

/// For so long the old text may go on working.
const MAX_GRACE_DAYS: u64 = 30;
const DAY: u64 = 24 * 60 * 60 * 1000;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/key/{key}/regenerate", Who::Users, handle).post(
        "/key/regenerate",
        Who::Users,
        handle,
    )
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let body =
        if asked.bytes.trim_ascii().is_empty() { Body::parse(b"{}")? } else { asked.body()? };
    let now = admin.0.clock.unix();
    let Wanted { named, clear, grace, fields } = read(body, asked.named.as_deref(), now)?;
    let published = admin.settings()?;
    if published.settings.master_key.as_ref() == Some(&clear) {
        let reason = "Invalid key format: it is the master key.".to_owned();
        return Err(Error::BadField { name: "new_key", reason });
    }
    let state = admin.read().await.state;
    let former = key_named(&state, &named)?.token;
    let regenerate = |view: &View| {
        let before = key_named(&view.state, &named)?;
        check_changes(&asked, &view.state, &before)?;
        let bounds = &published.settings.key_bounds;
        let (mut changes, mut seen) = (fields.changes.clone(), Vec::new());
        if shared::put_before_defaults(&mut changes.terms, &before.terms, &view.state) {
            seen.push(Seen::from(&*before));
        }
        new_key::check_bounds(bounds, &changes, (&before, &view.state), now)?;
        if !asked.caller.is_admin() {
            if fields.spend.is_some() {
                return Err(forbidden("only an admin may set what a key has spent".to_owned()));
            }
            let after = Key::clone(&before).changed(changes.clone());
            asked.caller.may_give(view, &after, Some(&before), asked.route)?;
            seen = judged_by(&view.state, &before, &after);
        }
        sign_key(&mut changes, &asked.caller, Some(&before));
        let command = Command::RegenerateKey {
            token: before.token,
            new: KeyDigest::of(clear.expose()),
            name: key_name(&clear),
            grace,
            changes: Box::new(changes),
        };
        Ok(Decided { seen, command })
    };
    let (reply, view) = admin.edit(&asked, state, regenerate).await?;
    let key = key_of(reply);
    info!(key.id = %key.token, key.former = %former, "key {} was regenerated", key.name);
    let mut row = view.key(&key);
    put(&mut row, "key", clear.expose());
    put(&mut row, "token_id", &key.token);
    Ok(ok(&row))
}

struct Wanted {
    named: String,
    clear: Secret,
    grace: Option<UnixMillis>,
    fields: KeyFields,
}

fn read(mut body: Body, path: Option<&str>, now: UnixMillis) -> Result<Wanted, Error> {
    let in_body = body.take("key", values::text).value();
    let named = path.map(str::to_owned).or(in_body).unwrap_or_default();
    let chosen = none_if_empty(body.take("new_key", values::text));
    let grace = none_if_empty(body.take("grace_period", values::text)).value();
    if !matches!(body.take("new_master_key", values::text), Change::Keep | Change::Clear) {
        let reason = "the master key is the configuration's: change it there".to_owned();
        body.refuse("new_master_key", reason);
    }
    let grace = grace.and_then(|text| match expiry(&text, now) {
        Ok(ends) if ends.0.saturating_sub(now.0) > MAX_GRACE_DAYS * DAY => {
            let reason =
                format!("grace_period: the old text works for at most {MAX_GRACE_DAYS} days more");
            body.refuse("grace_period", reason);
            None
        }
        Ok(ends) => Some(ends),
        Err(bad) => {
            body.refuse("grace_period", format!("grace_period: `{text}` is {bad}"));
            None
        }
    });
    let more = ["key", "new_key", "grace_period", "new_master_key"];
    let fields = new_key::read(body, now, &more)?;
    let clear = match chosen {
        Change::Set(key) => naming::chosen(key)?,
        Change::Keep | Change::Clear => naming::draw(),
    };
    Ok(Wanted { named, clear, grace, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_names_the_key_and_the_old_text_may_live_on() {
        let read = |text: &str, path: Option<&str>| {
            read(Body::parse(text.as_bytes()).expect("an object"), path, UnixMillis(0))
        };
        let wanted = read(r#"{"grace_period": "24h", "max_budget": 5}"#, Some("sk-a"));
        let Ok(wanted) = wanted else { panic!("a change") };
        assert_eq!(wanted.named, "sk-a");
        assert_eq!(wanted.grace, Some(UnixMillis(86_400_000)));
        assert_eq!(
            wanted.fields.changes.terms.max_budget.value().map(|usd| usd.0),
            Some(5_000_000_000)
        );
        assert!(read(r#"{"grace_period": "30d"}"#, Some("sk-a")).is_ok());
        let chosen = read(r#"{"key": "sk-a", "new_key": "sk-chosen-by-me-1234"}"#, None);
        let Ok(chosen) = chosen else { panic!("a change") };
        assert_eq!(chosen.named, "sk-a");
        assert_eq!(chosen.clear.expose(), "sk-chosen-by-me-1234");
        for text in [
            r#"{"new_key": "sk-short"}"#,
            r#"{"grace_period": "soon"}"#,
            r#"{"grace_period": "31d"}"#,
            r#"{"new_master_key": "sk-x"}"#,
        ] {
            assert!(matches!(read(text, Some("sk-a")), Err(Error::BadField { .. })), "{text}");
        }
    }
}
