//! A provider's answer about what it keeps, on its way to the client with sealed ids.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use dunlin_admission::MadeBatch;
use dunlin_llm::batch::KeptBatch;
use dunlin_llm::batch::passed::Shelf;
use dunlin_llm::responses::KeptResponse;
use dunlin_llm::{Endpoint, Place};
use dunlin_providers::ProviderError;
use dunlin_router::Deployment;
use dunlin_upstream::{Attempt, Relay, Relayed, hiding};

use super::input::Input;
use super::shares::Shares;
use super::watch::{self, Thing};
use super::{Asking, noted, output, resumed};
use crate::Proxy;
use crate::bill::Bill;
use crate::bill::found;
use crate::ids::{Kind, Owner};
use crate::request::kept::Sealing;
use crate::response::error::{Failed, Refused};
use crate::response::framing::Framing;
use crate::response::headers;
use crate::response::told::AnswerHeaders;

/// A longer object or list of a provider's is an error: its ids could not be sealed.
pub(crate) const MAX_OBJECT_BYTES: usize = 32 << 20;
/// As much of an error's body is read as anyone will look at.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// Where a list of a job's checkpoints names the job.
const LISTED_JOBS: &[&Place] = &[&["data", "*", "fine_tuning_job_id"]];

/// What is known of what has been made beside what its provider says.
#[derive(Default)]
pub(super) struct Made {
    /// What a batch was counted as.
    pub(super) counted: Option<MadeBatch>,
    /// On whose behalf else a batch is.
    pub(super) shares: Shares,
    /// What the lines of a file ask for.
    pub(super) input: Option<Input>,
}

/// A provider's answer whose head is at hand and says that all went well.
pub(crate) struct Answer {
    relayed: Relayed,
    pub(crate) by: Arc<Deployment>,
    /// Who asks.
    asker: Owner,
    told: AnswerHeaders,
    bill: Bill,
}

impl Answer {
    pub(super) async fn get(
        asking: Asking<'_>,
        attempt: Attempt,
        asked: Relay,
        (mut bill, told): (Bill, AnswerHeaders),
        within: Option<Duration>,
    ) -> Result<Self, Failed> {
        let by = Arc::clone(attempt.deployment());
        bill.read_from(&by);
        let within = within.unwrap_or(by.timeout);
        let (upstream, retry) = (&asking.proxy.0.upstream, asking.serving.catalog.retry);
        let relayed = upstream.relay_kept(attempt, asked, within, retry).await;
        let failed = match relayed {
            Ok(relayed) if relayed.status.is_success() => {
                let told = told.answered(asking.proxy, asking.call, &by, &relayed.headers);
                return Ok(Self { relayed, by, asker: asking.caller.owner(), told, bill });
            }
            Ok(relayed) => refusal(relayed, &by).await,
            Err(failure) => failure.error,
        };
        Err(bill.fail(Refused::Answered(Box::new(failed))))
    }

    pub(super) fn is_stream(&self) -> bool {
        let kind = self.relayed.headers.get(CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
    }

    /// The bytes as they come.
    pub(super) fn content(self) -> Response<Body> {
        self.bill.delivered_free();
        let provider = self.relayed.headers.clone();
        headers::passing(self.told, &provider, resumed::bytes(self.relayed))
    }

    /// A response's events from where the client left off.
    pub(super) fn resumed(self, sealing: Sealing) -> Response<Body> {
        let pays = self.asker == sealing.owner();
        let payer = resumed::Payer { bill: self.bill, by: self.by, pays };
        let body = resumed::events(self.relayed, sealing, payer);
        headers::event_stream(self.told, Framing::asked(Endpoint::Responses, None), body)
    }

    /// The same of what has been made by this call: it is noted, so that its owner can list it and
    /// what it will have cost is charged.
    pub(super) async fn made(
        self,
        asking: Asking<'_>,
        kind: Kind,
        sealing: &Sealing,
        Made { counted, shares, input }: Made,
    ) -> Result<Response<Body>, Failed> {
        let by = Arc::clone(&self.by);
        let Whole { told, mut bill, body } = self.whole().await?;
        if let Some(input) = input
            && let Err(failed) = keep(asking.proxy, &by, &body, &input).await
        {
            return Err(bill.fail(failed));
        }
        noted::note(asking.proxy, kind, sealing.owner(), &by, &body).await;
        let sealed = sealing.object(&body, kind, &by);
        bill.answered_as(noted::text(&sealed, "id"));
        let batch = (kind == Kind::Batch).then(|| KeptBatch::read(&body)).flatten();
        if let Some(batch) = batch {
            bill.watch(&by, Thing::kept(kind, &batch.id).counted(counted).shared(shares)).await;
        }
        let told = match kind {
            // What training costs is on no price list.
            Kind::Job => told.cost(bill.delivered_unpriced(&by)),
            Kind::Response
            | Kind::Conversation
            | Kind::Batch
            | Kind::MessageBatch
            | Kind::File
            | Kind::Call
            | Kind::Message => {
                bill.delivered_free();
                told
            }
        };
        Ok(headers::json(told, sealed))
    }

    /// The object with its ids sealed. What was made while nobody waited for it is charged now.
    pub(super) async fn object(
        self,
        asking: Asking<'_>,
        kind: Kind,
        sealing: &Sealing,
    ) -> Result<Response<Body>, Failed> {
        let (by, now) = (Arc::clone(&self.by), asking.call.started);
        // The master sees what others pay for.
        let pays = self.asker == sealing.owner();
        let Whole { told, mut bill, body } = self.whole().await?;
        let sealed = sealing.object(&body, kind, &by);
        bill.answered_as(noted::text(&sealed, "id"));
        match kind {
            Kind::Response if pays => {
                let kept = KeptResponse::read(&body);
                let id = kept.as_ref().map(|kept| kept.id.clone()).unwrap_or_default();
                match found::response(&by, kept, now) {
                    // By the note of its making, whatever its provider's clock says.
                    Some(_) if watch::charge_now(asking.proxy, &by, &id).await => {
                        bill.delivered_free();
                    }
                    Some(finished) => bill.delivered_found(&by, finished),
                    None => bill.delivered_free(),
                }
            }
            Kind::Batch if pays => {
                let bill = match KeptBatch::read(&body) {
                    Some(batch) => output::charge(asking, &by, batch, bill).await,
                    None => Some(bill),
                };
                bill.into_iter().for_each(Bill::delivered_free);
            }
            Kind::MessageBatch => {
                let batch = Shelf::of_messages().read(&body);
                if let Some(batch) = batch.filter(|batch| batch.finished) {
                    watch::charge_now(asking.proxy, &by, &batch.id).await;
                }
                bill.delivered_free();
            }
            Kind::Response
            | Kind::Conversation
            | Kind::Batch
            | Kind::File
            | Kind::Job
            | Kind::Call
            | Kind::Message => {
                bill.delivered_free();
            }
        }
        Ok(headers::json(told, sealed))
    }

    /// A list of what has no ids of its own outside.
    pub(super) async fn items(self) -> Result<Response<Body>, Failed> {
        let Whole { told, bill, body } = self.whole().await?;
        bill.delivered_free();
        Ok(headers::json(told, body))
    }

    /// What there is of a model while it is tuned: its ids name the job.
    pub(super) async fn checkpoints(self, sealing: &Sealing) -> Result<Response<Body>, Failed> {
        let Whole { told, bill, body } = self.whole().await?;
        bill.delivered_free();
        Ok(headers::json(told, sealing.sealed(&body, LISTED_JOBS, Kind::Job)))
    }

    pub(crate) async fn whole(mut self) -> Result<Whole, Failed> {
        let failed = match collect(&mut self.relayed, MAX_OBJECT_BYTES).await {
            Ok(Some(body)) => return Ok(Whole { told: self.told, bill: self.bill, body }),
            Ok(None) => Refused::LongAnswer { most: MAX_OBJECT_BYTES },
            Err(broken) => Refused::Answered(Box::new(broken)),
        };
        Err(self.bill.fail(failed))
    }
}

/// Notes what the lines of a file ask for, whose provider says no more of them than it was sent.
async fn keep(proxy: &Proxy, by: &Deployment, file: &[u8], input: &Input) -> Result<(), Refused> {
    let Some(id) = noted::text(file, "id") else { return Ok(()) };
    input.keep(proxy, by, &id).await.map_err(|error| Refused::CannotKnow {
        reason: format!("it cannot be noted on whose behalf the lines are: {error}"),
    })
}

/// All of an answer.
pub(crate) struct Whole {
    pub(crate) told: AnswerHeaders,
    pub(crate) bill: Bill,
    pub(crate) body: Bytes,
}

pub(crate) async fn refusal(mut relayed: Relayed, by: &Deployment) -> ProviderError {
    // A body that is cut or too long says nothing: the status is what counts.
    let body = collect(&mut relayed, MAX_ERROR_BYTES).await.ok().flatten().unwrap_or_default();
    let speaker = dunlin_providers::find(&by.provider).map_or("", |known| known.speaker());
    hiding(by, ProviderError::response(speaker, relayed.status, &body))
}

/// The whole body; `None` if it is longer than `most`.
pub(crate) async fn collect(
    relayed: &mut Relayed,
    most: usize,
) -> Result<Option<Bytes>, ProviderError> {
    let mut body = BytesMut::new();
    while let Some(data) = poll_fn(|cx| relayed.body.poll_next(cx)).await {
        body.extend_from_slice(&data?);
        if body.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(body.freeze()))
}
