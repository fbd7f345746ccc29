//! What a key has made at providers, and can list: whose something is stands in its id alone, so the
//! gateway notes what it saw being made.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::batch::KeptBatch;
use dunlin_llm::batch::passed::Shelf;
use dunlin_llm::edit;
use dunlin_router::{Catalog, Deployment};
use dunlin_store::{Entry, Kind as StoredKind, Label};
use dunlin_types::{DeploymentId, RequestId, Tokens, UnixMillis};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::fetch::{self, Fetched};
use super::lists::Query;
use super::{Asking, watch};
use crate::Proxy;
use crate::bill::found;
use crate::ids::{Home, Kind, Owner};
use crate::request::kept::{Sealing, find, is_beside};
use crate::response::error::{Failed, Refused};
use crate::response::headers;

/// How long something is listed. Providers keep what they made for about as long.
pub(super) const LISTED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Objects in one page, and how many if the client does not say.
const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 20;
/// Objects of a page that are read at the same time.
const MAX_READ_AT_ONCE: usize = 8;
/// How long a provider may take to say how one of them is.
const READ_WITHIN: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Noted {
    deployment: DeploymentId,
    /// The provider's id of it.
    upstream: String,
    /// Of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
}

/// Notes that `body`, an object of `by`'s provider, was made for `owner`: a key lists what is
/// noted; the master key gets the provider's list, with the ids that it was given.
pub(crate) async fn note(proxy: &Proxy, kind: Kind, owner: Owner, by: &Deployment, body: &[u8]) {
    let Some(upstream) = text(body, "id") else { return };
    let made = proxy.0.clock.unix();
    // The other note of the same thing is its watch.
    let id = RequestId(!found::found(by, &upstream, None, made).request.0);
    let noted = Noted { deployment: by.id.clone(), upstream, purpose: text(body, "purpose") };
    let noted = serde_json::to_vec(&noted).expect("plain data");
    let until = after(made, LISTED_FOR);
    let entry = Entry { id, label: Some(label(kind, owner)), made, until };
    let store = &proxy.0.store;
    let put = store.put(store.holders(id), StoredKind::Note, entry, Bytes::from(noted)).await;
    if let Err(error) = put {
        warn!(%error, "cannot note what a key has created: it will not be listed");
    }
}

/// What is noted of what the master key has made.
pub(super) struct Mastered(Vec<Noted>);

impl Mastered {
    pub(super) async fn read(proxy: &Proxy, kinds: &[Kind]) -> Self {
        let mut noted = Vec::new();
        for kind in kinds {
            let notes = proxy.0.store.notes(label(*kind, Owner::Master)).await;
            noted.extend(notes.iter().filter_map(|note| serde_json::from_str(&note.text).ok()));
        }
        Self(noted)
    }

    /// Where it was made, of all that `by` lists, by the provider's ids: at other deployments of its
    /// account.
    pub(super) fn homes(
        &self,
        catalog: &Catalog,
        by: &Deployment,
    ) -> BTreeMap<String, DeploymentId> {
        let is_its = |noted: &&Noted| {
            find(catalog, &noted.deployment).is_some_and(|home| is_beside(by, home))
        };
        let its = self.0.iter().filter(is_its);
        its.map(|noted| (noted.upstream.clone(), noted.deployment.clone())).collect()
    }
}

fn label(kind: Kind, owner: Owner) -> Label {
    let mut hash = Sha256::new();
    hash.update(kind.collection());
    match owner {
        Owner::Master => {}
        Owner::Key(digest) => hash.update(digest),
    }
    let hash: [u8; 32] = hash.finalize().into();
    let half: [u8; 16] = *hash.first_chunk().expect("a hash is longer");
    Label(u128::from_be_bytes(half))
}

pub(super) fn after(made: UnixMillis, time: Duration) -> UnixMillis {
    UnixMillis(made.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// The text at the top of an object.
pub(crate) fn text(body: &[u8], name: &str) -> Option<String> {
    serde_json::from_str(edit::member(body, name)?).ok()
}

/// Answers a request for a list of a key's own things: a page of them, as their providers have them
/// now.
pub(super) async fn list(
    asking: Asking<'_>,
    kind: Kind,
    query: &Query<'_>,
) -> Result<Response<Body>, Failed> {
    let Behind { noted, backwards } = noted(asking, kind, query).await?;
    let limit = query.limit(kind)?.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    let (bill, told) = asking.admit(kind.collection(), Tokens(0), Bounds::default()).await?;
    let reading = futures::stream::iter(noted).map(|noted| object(asking, kind, noted));
    let mut reading = reading.buffered(MAX_READ_AT_ONCE.min(limit + 1));
    let (mut objects, mut has_more) = (Vec::new(), false);
    // What is gone leaves no gap in a page.
    while let Some(object) = reading.next().await {
        has_more = objects.len() == limit && !matches!(object, Ok(None));
        if has_more {
            break;
        }
        match object {
            Ok(object) => objects.extend(object),
            Err(refused) => return Err(bill.fail(refused)),
        }
    }
    if backwards {
        objects.reverse();
    }
    bill.delivered_free();
    Ok(headers::json(told.called(asking.call), written(&objects, has_more)))
}

/// What is noted from where the client is.
struct Behind {
    noted: Vec<Noted>,
    /// The nearest comes first, and last in the list.
    backwards: bool,
}

/// What is noted behind where the client is, in the order that it asks for; or before it.
async fn noted(asking: Asking<'_>, kind: Kind, query: &Query<'_>) -> Result<Behind, Refused> {
    query.limit(kind)?;
    let is_ascending = kind != Kind::MessageBatch && query.is_ascending()?;
    let (after, before) = match kind == Kind::MessageBatch {
        true => (query.get("after_id"), query.get("before_id")),
        false => (query.get("after"), None),
    };
    if after.is_some() && before.is_some() {
        let message = "a page is after one batch or before one, not both";
        return Err(Refused::Unfit { param: "before_id", message: message.to_owned() });
    }
    let owner = asking.caller.owner();
    let cursor = after.or(before).map(|id| {
        let opened = asking.proxy.0.ids.open(kind, id, owner);
        opened.map_err(|bad| Refused::no_such(kind, id, bad))
    });
    let cursor = cursor.transpose()?;
    let mut notes = asking.proxy.0.store.notes(label(kind, owner)).await;
    if is_ascending {
        notes.reverse();
    }
    let noted = notes.iter().filter_map(|note| serde_json::from_str(&note.text).ok());
    let purpose = query.get("purpose");
    let is_asked = |noted: &Noted| purpose.is_none() || noted.purpose.as_deref() == purpose;
    let mut noted: Vec<Noted> = noted.filter(is_asked).collect();
    if let Some(kept) = cursor {
        let is_it = |noted: &Noted| {
            noted.upstream == kept.upstream
                && kept.home == Home::Deployment(noted.deployment.clone())
        };
        let at = noted.iter().position(is_it);
        match before {
            Some(_) => noted.truncate(at.unwrap_or_default()),
            None => drop(noted.drain(..at.map_or(noted.len(), |at| at + 1))),
        }
    }
    if before.is_some() {
        noted.reverse();
    }
    Ok(Behind { noted, backwards: before.is_some() })
}

/// `None`: it is not there any more.
async fn object(asking: Asking<'_>, kind: Kind, noted: Noted) -> Result<Option<Bytes>, Refused> {
    let Asking { proxy, serving, caller, .. } = asking;
    let Some(by) = find(&serving.catalog, &noted.deployment) else { return Ok(None) };
    match fetch::object(proxy, serving, by, (kind, &noted.upstream), READ_WITHIN).await {
        Fetched::Object(body) => {
            // Its owner learns where its answers are, and could delete them.
            let is_over = match kind {
                Kind::Batch => KeptBatch::read(&body).is_some_and(|batch| batch.finished),
                Kind::MessageBatch => {
                    Shelf::of_messages().read(&body).is_some_and(|batch| batch.finished)
                }
                Kind::Response
                | Kind::Conversation
                | Kind::File
                | Kind::Job
                | Kind::Call
                | Kind::Message => false,
            };
            if is_over {
                watch::charge_now(proxy, by, &noted.upstream).await;
            }
            let sealing = Sealing::new(proxy, caller.owner(), by);
            Ok(Some(sealing.object(&body, kind, by)))
        }
        Fetched::Gone => Ok(None),
        Fetched::Unknown => {
            let (noun, group) = (kind.noun(), &by.group);
            let reason = format!("the provider of '{group}' did not return the state of a {noun}");
            Err(Refused::CannotKnow { reason })
        }
    }
}

/// A page as OpenAI writes it.
pub(super) fn written(objects: &[Bytes], has_more: bool) -> Bytes {
    let id = |object: Option<&Bytes>| {
        object.and_then(|object| edit::member(object, "id")).unwrap_or("null").to_owned()
    };
    let (first, last) = (id(objects.first()), id(objects.last()));
    let mut out = br#"{"object":"list","data":["#.to_vec();
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(object);
    }
    let rest = format!(r#"],"first_id":{first},"last_id":{last},"has_more":{has_more}}}"#);
    out.extend_from_slice(rest.as_bytes());
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_as_openai_writes_it() {
        let objects = [r#"{"id":"a"}"#, r#"{"id":"b","x":1.0}"#].map(Bytes::from);
        let page = r#"{"object":"list","data":[{"id":"a"},{"id":"b","x":1.0}],"first_id":"a","last_id":"b","has_more":true}"#;
        assert_eq!(written(&objects, true), page);
        let none = r#"{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}"#;
        assert_eq!(written(&[], false), none);
    }
}
