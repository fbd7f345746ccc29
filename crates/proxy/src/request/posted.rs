//! A call with a body, read whole, of somebody who may make it.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::request::Parts;
use bytes::Bytes;
use dunlin_llm::Labels;

use crate::request::body;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::pass::Pass;
use crate::response::error::Failed;
use crate::stored::Asking;
use crate::{Proxy, Serving};

/// What was sent, by whom, and what was in force then.
pub(crate) struct Posted {
    pub(crate) serving: Arc<Serving>,
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    pub(crate) caller: Caller,
    pub(crate) labels: Labels,
}

impl Posted {
    pub(crate) async fn read(proxy: &Proxy, call: &Call, request: Request) -> Result<Self, Failed> {
        Self::read_unless(proxy, call, request, |_, _| false).await
    }

    /// The same of a body that need not have what the key's requests must have if it `is_around`
    /// requests, each of which must. It is asked with the body's kind.
    pub(crate) async fn read_unless(
        proxy: &Proxy,
        call: &Call,
        request: Request,
        is_around: impl FnOnce(&str, &Bytes) -> bool + Send,
    ) -> Result<Self, Failed> {
        let serving = proxy.0.serving.load_full();
        let (head, body) = request.into_parts();
        let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
        let body = body::read(body, &head.headers, serving.settings.max_request_bytes).await?;
        call.is_for(&serving.settings, &head, &body);
        let (labels, body) = match Pass::shown(&proxy.0.ids, &serving.settings, &head.headers) {
            // What its maker's key requires was in what it was made by.
            Some(_) => (Labels::default(), body),
            None => {
                let kind = body::kind(&head.headers);
                let around = caller.requires_params() && is_around(kind, &body);
                caller.said(&head, body, around)?
            }
        };
        Ok(Self { serving, head, body, caller, labels })
    }

    /// The body's kind; nothing where that is not said.
    pub(crate) fn kind(&self) -> &str {
        body::kind(&self.head.headers)
    }

    /// Who asks a provider something with it.
    pub(crate) fn asking<'a>(&'a self, proxy: &'a Proxy, call: &'a Call) -> Asking<'a> {
        let Self { serving, head, caller, labels, .. } = self;
        Asking { proxy, call, serving, caller, headers: &head.headers, labels }
    }
}
