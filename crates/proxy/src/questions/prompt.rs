//! A question about the prompt of a request: counting it takes nothing of a limit, costs nothing, and
//! leaves nothing on record.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use dunlin_journal::Origin;
use dunlin_llm::{ChatRequest, parse};

use crate::request::body;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::kept::OpenedBody;
use crate::response::error::{Failed, Refused};
use crate::response::told::AnswerHeaders;
use crate::{Proxy, Serving};

/// What is asked about, by whom, and what was in force then.
pub(super) struct Prompt {
    pub(super) serving: Arc<Serving>,
    pub(super) caller: Caller,
    pub(super) headers: HeaderMap,
    pub(super) opened: OpenedBody,
    pub(super) chat: ChatRequest,
    pub(super) origin: Origin,
}

impl Prompt {
    pub(super) async fn read(proxy: &Proxy, call: &Call, request: Request) -> Result<Self, Failed> {
        let serving = proxy.0.serving.load_full();
        let (head, body) = request.into_parts();
        let mut caller = Caller::identify(proxy, &serving, &head.headers, &head.uri).await?;
        let most = serving.settings.max_request_bytes;
        let body = body::read(body, &head.headers, most).await?;
        let opened = OpenedBody::of(proxy, call.endpoint, &caller, (body, most)).await?;
        let chat = parse(call.endpoint, opened.body.clone(), None).map_err(Refused::BadRequest)?;
        opened.check_thread(&chat)?;
        let chat = chat.with_headers(&head.headers);
        let mut origin = call.client.origin(&serving.settings, &head.headers, chat.labels())?;
        caller.count_for(proxy, &mut origin).await?;
        Ok(Self { serving, caller, headers: head.headers, opened, chat, origin })
    }

    /// What its client is told beside the count.
    pub(super) fn told(&self, proxy: &Proxy, call: &Call) -> AnswerHeaders {
        let told = AnswerHeaders::of_admission(call, &self.caller, &[]);
        told.spending(self.caller.spent(proxy))
    }
}
