//! The answers of a conversation. Each is admitted at the moment it is asked for, or, where its
//! provider gives it unasked (it heard the speaker pause), when it is begun; and settled when it is
//! over. Between them a conversation holds nothing of anybody's limits and budgets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, Uri};
use dunlin_admission::{Bounds, Demand};
use dunlin_journal::{Origin, Outcome};
use dunlin_llm::realtime::{Event, Longest, Transcription};
use dunlin_router::Deployment;
use dunlin_types::{Served, Tokens};
use tokio::sync::Mutex;

use crate::Proxy;
use crate::attempts::not_afforded;
use crate::attempts::{entry, hold};
use crate::bill::{About, Bill};
use crate::bill::{refused, report};
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::pass::Pass;
use crate::response::error::{Failed, Refused};
use crate::response::told::AnswerHeaders;
use crate::stale::Detour;

/// On whose behalf answers are admitted.
pub(super) struct Asker {
    pub(super) proxy: Proxy,
    pub(super) call: Arc<Call>,
    /// The key is in them: whether it still opens anything is asked before each answer.
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    /// The secret among them, if that is what was shown: it is good for as long as this lasts.
    pub(super) pass: Option<Pass>,
    pub(super) origin: Origin,
    /// The model, as the client names it, and the group that it stands for.
    pub(super) model: String,
    pub(super) served: Served,
    /// Who writes down what is heard, as far as that is known at the start.
    pub(super) transcription: Option<Transcription>,
    /// Says when this node knows too little to go on.
    pub(super) detour: Option<Detour>,
}

impl Asker {
    /// Admits a conversation as if it were one answer.
    pub(super) async fn admit(&self, caller: Caller) -> Result<(Bill, AnswerHeaders), Failed> {
        self.admit_called(&self.again(), caller, None).await
    }

    /// A call of the conversation's.
    pub(super) fn again(&self) -> Call {
        let call = Call::of_headers(&self.proxy, self.call.endpoint, &self.headers);
        Call { call_id: self.call.call_id.clone(), ..call }.named(self.call.call_type)
    }

    /// Admits one answer; once it is known who gives it, also by what may be spent there.
    async fn admit_called(
        &self,
        call: &Call,
        mut caller: Caller,
        answer: Option<Answer<'_>>,
    ) -> Result<(Bill, AnswerHeaders), Failed> {
        let mut origin = self.origin.clone();
        caller.count_for(&self.proxy, &mut origin).await?;
        let serving = self.proxy.0.serving.load_full();
        caller.check_model(&serving.catalog, &self.model)?;
        let (served, counted) = (self.served.clone(), serving.settings.counted);
        let mut demand = Demand::unpriced(call.id, served, Tokens(0), counted);
        if let Some(Answer { by, heard, longest }) = answer {
            let key = caller.key().map(|caller| &*caller.key);
            let learned =
                key.and_then(|key| self.proxy.0.admission.expected_output(key, &self.model));
            demand.cost = hold::of_answer(by, heard, longest, learned);
            // Of one that may be as long as it likes a strict budget gives what it has, if less.
            demand.takes_rest = longest.is_none();
        }
        let admitted = self.proxy.0.admission.admit(caller.key(), demand.clone()).await;
        let permit =
            admitted.map_err(|refusal| Refused::admission(refusal, &caller, call.started))?;
        let told = AnswerHeaders::of_admission(call, &caller, permit.limits());
        let about = About { stream: true, ..About::relayed(&self.model, Tokens(0), origin) };
        let mut bill = Bill::open(self.proxy.clone(), permit, call, &caller, about);
        bill.tell(report::of(&self.proxy, &caller, &self.headers));
        if let Some(Answer { by, .. }) = answer {
            let entered =
                entry::afford(&self.proxy, &serving.catalog, by, bill.tags(), &demand).await;
            let refused = |why| not_afforded(&self.proxy, by, why);
            bill.enters(entered.map_err(refused)?);
        }
        Ok((bill, told))
    }

    /// Admits an answer; if it is refused, that is on record.
    async fn admit_next(&self, answer: Answer<'_>) -> Result<Bill, Failed> {
        let call = self.again();
        call.known.asks(&self.model, true);
        call.known.is_for(self.origin.clone());
        let admitted = self.admit_answer(&call, answer).await;
        admitted.inspect_err(|failed| refused::note(&self.proxy, &call, failed))
    }

    /// Finds out who asks, and whether he still may.
    pub(super) async fn identify(&self, call: &Call) -> Result<Caller, Failed> {
        if let Some(detour) = &self.detour {
            detour.stays().await?;
        }
        let serving = self.proxy.0.serving.load_full();
        Ok(match &self.pass {
            Some(pass) => {
                call.known.is_of(pass.who());
                pass.bearer(&self.proxy, &self.uri).await?
            }
            None => call.identify(&self.proxy, &serving, &self.headers, &self.uri).await?,
        })
    }

    async fn admit_answer(&self, call: &Call, answer: Answer<'_>) -> Result<Bill, Failed> {
        let caller = self.identify(call).await?;
        let mut bill = self.admit_called(call, caller, Some(answer)).await?.0;
        bill.served_by(answer.by);
        Ok(bill)
    }
}

/// An answer that is about to be given.
#[derive(Clone, Copy)]
struct Answer<'a> {
    by: &'a Arc<Deployment>,
    /// The tokens that were counted of all that was said before.
    heard: Tokens,
    /// How long it may be, if that is told.
    longest: Option<Tokens>,
}

/// What an answer may cost of what may be spent on a deployment: nobody can tell how much before.
pub(super) fn cost(by: &Arc<Deployment>) -> Bounds {
    hold::unknown(&by.price)
}

/// The answers of a conversation.
pub(super) struct Turns {
    asker: Arc<Asker>,
    by: Arc<Deployment>,
    bills: Mutex<Bills>,
    /// Whether any is being given.
    given: AtomicBool,
}

#[derive(Default)]
struct Bills {
    /// Of an answer that was asked for and is not begun. Of several that are asked for at once the
    /// others are admitted when they begin.
    asked: Option<Bill>,
    /// Of those that are being given, in the order in which they began.
    given: VecDeque<Bill>,
    /// How long answers may be.
    longest: Longest,
    /// What the last one was counted as, with all that was said before.
    heard: Tokens,
}

impl Turns {
    pub(super) fn new(asker: Arc<Asker>, by: Arc<Deployment>) -> Self {
        Self { asker, by, bills: Mutex::default(), given: AtomicBool::new(false) }
    }

    pub(super) fn proxy(&self) -> &Proxy {
        &self.asker.proxy
    }

    pub(super) fn model(&self) -> &str {
        &self.asker.model
    }

    pub(super) fn by(&self) -> &Arc<Deployment> {
        &self.by
    }

    /// Whether an answer is being given.
    pub(super) fn are_given(&self) -> bool {
        self.given.load(Ordering::Relaxed)
    }

    /// The client asks for an answer.
    pub(super) async fn ask(&self, longest: Option<Longest>) -> Result<(), Failed> {
        let mut bills = self.bills.lock().await;
        if bills.asked.is_none() {
            bills.asked = Some(self.admit_next(&bills, longest).await?);
        }
        Ok(())
    }

    async fn admit_next(&self, bills: &Bills, longest: Option<Longest>) -> Result<Bill, Failed> {
        let longest = longest.unwrap_or(bills.longest).tokens();
        self.asker.admit_next(Answer { by: &self.by, heard: bills.heard, longest }).await
    }

    /// What one event does to the bills. An error ends the conversation.
    pub(super) async fn hear(&self, event: Event) -> Result<(), Failed> {
        if matches!(event, Event::Heard(_) | Event::Other) {
            return Ok(());
        }
        let mut bills = self.bills.lock().await;
        match event {
            Event::Begun => self.begin(&mut bills).await?,
            Event::Text(bytes) => {
                if let Some(bill) = bills.given.back_mut() {
                    bill.streamed(None, bytes);
                }
            }
            Event::Done(usage) => {
                // Not every provider says when it begins.
                if usage.is_some() && bills.given.is_empty() {
                    self.begin(&mut bills).await?;
                }
                let bill = bills.given.pop_front();
                self.given.store(!bills.given.is_empty(), Ordering::Relaxed);
                // One that nobody counted is dropped, and so estimated.
                if let (Some(mut bill), Some(usage)) = (bill, usage) {
                    bills.heard = usage.prompt + usage.completion;
                    bill.streamed(Some(usage), 0);
                    bill.ended(Outcome::Success);
                }
            }
            Event::Session(session) => bills.longest = session.longest,
            Event::Refused => bills.asked = None,
            Event::Heard(_) | Event::Other => {}
        }
        Ok(())
    }

    async fn begin(&self, bills: &mut Bills) -> Result<(), Failed> {
        let mut bill = match bills.asked.take() {
            Some(bill) => bill,
            None => self.admit_next(bills, None).await?,
        };
        bill.begun(None);
        bills.given.push_back(bill);
        self.given.store(true, Ordering::Relaxed);
        Ok(())
    }
}
