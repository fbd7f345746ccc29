//! Calls about batches: whoever is told that one is over is told after it was charged.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use dunlin_llm::batch::passed::{Named, Shelf};
use dunlin_router::Deployment;
use dunlin_upstream::Relayed;

use crate::Proxy;
use crate::relay::{Way, fields};
use crate::response::error::Refused;
use crate::stored::answer::{MAX_OBJECT_BYTES, collect};
use crate::stored::watch;

/// A call about one batch, or for a list of them.
pub(in crate::relay) struct Shown {
    shelf: Shelf,
    /// `None`: it is for a list.
    named: Option<Named>,
    /// It deletes the batch, and its answers with it.
    deletes: bool,
    /// What paths here begin with behind the root.
    prefix: &'static str,
}

/// The answer to it.
pub(in crate::relay) enum Answered {
    /// As it comes.
    Passing(Box<Relayed>),
    /// It was looked at.
    Whole(Whole),
}

/// An answer that is here.
pub(in crate::relay) struct Whole {
    pub(in crate::relay) status: StatusCode,
    pub(in crate::relay) fields: HeaderMap,
    pub(in crate::relay) body: Body,
}

impl Whole {
    /// `body`, which need not be as long as the provider said.
    pub(super) fn of(status: StatusCode, mut fields: HeaderMap, body: Bytes) -> Self {
        fields.remove(CONTENT_LENGTH);
        Self { status, fields, body: Body::from(body) }
    }
}

impl Shown {
    /// `None`: the call reads or deletes none.
    pub(in crate::relay) fn of(way: Way, method: &Method, path: &str) -> Option<Self> {
        let (deletes, reads) = (*method == Method::DELETE, *method == Method::GET);
        let (shelf, named) = match Shelf::of_one(way.prefix, path) {
            Some((shelf, named)) => (shelf, Some(named)),
            None => (Shelf::of_list(way.prefix, path).filter(|_| !deletes)?, None),
        };
        (deletes || reads).then_some(Self { shelf, named, deletes, prefix: way.prefix })
    }

    /// The call is about to be passed on to `by`.
    pub(in crate::relay) async fn before(&self, proxy: &Proxy, by: &Deployment) {
        if let Some(named) = self.named.as_ref().filter(|_| self.deletes) {
            watch::look_now(proxy, by, &named.id).await;
        }
    }

    /// The provider has answered.
    pub(in crate::relay) async fn answered(
        self,
        proxy: &Proxy,
        by: &Arc<Deployment>,
        mut relayed: Relayed,
    ) -> Result<Answered, Refused> {
        let Self { shelf, named, deletes, prefix } = self;
        if deletes || !relayed.status.is_success() {
            return Ok(Answered::Passing(Box::new(relayed)));
        }
        if let Some(named) = named.as_ref().filter(|named| named.shows_answers) {
            watch::charge_now(proxy, by, &named.id).await;
            return Ok(Answered::Passing(Box::new(relayed)));
        }
        let body = match collect(&mut relayed, MAX_OBJECT_BYTES).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(Refused::LongAnswer { most: MAX_OBJECT_BYTES }),
            Err(broken) => return Err(Refused::Answered(Box::new(broken))),
        };
        let fields = fields::incoming(&relayed.headers);
        let Some(named) = named else {
            let over = shelf.finished_in(&body).into_iter().map(|id| (Arc::clone(by), id));
            watch::charge_all_now(proxy, over.collect()).await;
            return Ok(Answered::Whole(Whole::of(relayed.status, fields, body)));
        };
        if shelf.read(&body).is_some_and(|batch| batch.finished) {
            watch::charge_now(proxy, by, &named.id).await;
        }
        // A path of ours is read from behind an SDK's base URL, too, if that ends in this prefix.
        let root = match prefix {
            "anthropic" => format!("{}/{prefix}", proxy.0.root_path),
            _ => String::new(),
        };
        let body = shelf.answered_here(body, &root);
        Ok(Answered::Whole(Whole::of(relayed.status, fields, body)))
    }
}
