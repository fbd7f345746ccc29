//! `GET /config/history`, `/config/revision` and `/config/diff`: the config's revisions, what one of
//! them says, and how two differ. Secrets are starred out; that one changed is still seen.

use axum::response::Response;
use dunlin_state::{ConfigRevision, State};
use serde_json::{Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::moment::iso;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/config/history", Who::Viewers, history)
        .get("/config/revision", Who::Viewers, show)
        .get("/config/diff", Who::Viewers, diff)
}

async fn history(admin: Admin, _: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let rows: Vec<_> = read.state.config_history().rev().map(row).collect();
    Ok(ok_as_of(&read, &json!({"revisions": rows})))
}

async fn show(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let revision = named(&read.state, &asked, "revision", newest(&read.state))?;
    let document = admin.config_document(revision)?;
    let files = document.files.iter();
    let files: Vec<_> = files
        .map(|file| json!({"path": file.path, "text": dunlin_config::masked(&file.text)}))
        .collect();
    let mut told = row(revision);
    told["files"] = files.into();
    Ok(ok_as_of(&read, &told))
}

async fn diff(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let to = named(&read.state, &asked, "to", newest(&read.state))?;
    let from = named(&read.state, &asked, "from", to.revision.saturating_sub(1))?;
    let text = dunlin_config::diff(&admin.config_document(from)?, &admin.config_document(to)?);
    let told = json!({"from": from.revision, "to": to.revision, "diff": text});
    Ok(ok_as_of(&read, &told))
}

fn newest(state: &State) -> u64 {
    state.config().map_or(0, |config| config.revision)
}

/// The revision that a parameter names.
fn named<'s>(
    state: &'s State,
    asked: &Request,
    param: &'static str,
    otherwise: u64,
) -> Result<&'s ConfigRevision, Error> {
    let number = match asked.param(param) {
        None => otherwise,
        Some(text) => text.parse().map_err(|_| Error::BadField {
            name: param,
            reason: format!("`{param}` is `{text}`, not the number of a revision"),
        })?,
    };
    let found = state.config_history().find(|known| known.revision == number);
    let newest = newest(state);
    let missing = match found {
        Some(known) if !known.sealed.is_empty() => return Ok(known),
        Some(_) => "is known, but its content is no longer kept",
        None if number > newest => "does not exist yet",
        None => "is no longer known, or never was",
    };
    let reason = format!(
        "config revision {number} {missing}: the newest is {newest}, and GET /config/history lists \
         all known revisions"
    );
    Err(Error::NotFound { reason })
}

fn row(revision: &ConfigRevision) -> Value {
    json!({
        "revision": revision.revision,
        "at": iso(revision.at),
        "by": revision.by,
        "author": revision.author,
        "source": revision.source,
        "copy_of": revision.copy_of,
        "set_over_api": revision.edited,
        "content_is_kept": !revision.sealed.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rights::caller::Caller;
    use crate::rights::tests::asked_by;

    #[test]
    fn a_revision_is_named_by_its_number() {
        let propose = |hash: &str, after| Command::ProposeConfig {
            hash: hash.to_owned(),
            sealed: vec![1],
            source: "config.yaml".to_owned(),
            after,
        };
        let state = crate::rows::row::tests::state_after([propose("a", 0), propose("b", 1)]);
        let asked = |value: &str| {
            let query = vec![("to".to_owned(), value.to_owned())];
            Request { query, ..asked_by(Caller::Master) }
        };
        let of = |value: &str| named(&state, &asked(value), "to", newest(&state));
        assert_eq!(of("1").expect("kept").hash, "a");
        assert_eq!(of("").expect("the newest").revision, 2);
        assert!(matches!(of("3"), Err(Error::NotFound { .. })));
        assert!(matches!(of("x"), Err(Error::BadField { name: "to", .. })));
        assert_eq!(row(of("2").expect("kept"))["content_is_kept"], true);
    }
}
