//! The answers of a conversation. Each is admitted at the moment it is asked for, or, where its
//! provider gives it unasked (it heard the speaker pause), when it is begun; and settled when it is
//! over. Between them a conversation holds nothing of anybody's limits and budgets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, Uri};
use dunlin_admission::{Bounds, Demand};
use dunlin_journal::{Origin, Outcome};
use dunlin_llm::realtime::Event;
use dunlin_router::Deployment;
use dunlin_types::{Served, Tokens};
use tokio::sync::Mutex;

use crate::Proxy;
use crate::attempts::not_afforded;
use crate::attempts::{entry, hold};
use crate::bill::report;
use crate::bill::{About, Bill};
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
    /// Says when this node knows too little to go on.
    pub(super) detour: Option<Detour>,
}

impl Asker {
    /// Admits one answer, or one conversation as if it were one; once it is known who gives it, also
    /// by what may be spent there.
    pub(super) async fn admit(
        &self,
        mut caller: Caller,
        by: Option<&Deployment>,
    ) -> Result<(Bill, AnswerHeaders), Failed> {
        let mut origin = self.origin.clone();
        caller.count_for(&self.proxy, &mut origin).await?;
        let serving = self.proxy.0.serving.load_full();
        caller.check_model(&serving.catalog, &self.model)?;
        let call = Call::of_headers(&self.proxy, self.call.endpoint, &self.headers);
        let call = Call { call_id: self.call.call_id.clone(), ..call }.named(self.call.call_type);
        let (served, counted) = (self.served.clone(), serving.settings.counted);
        let demand = Demand::unpriced(call.id, served, Tokens(0), counted);
        let there = by.map(|by| Demand { cost: cost(by), ..demand.clone() });
        let admitted = self.proxy.0.admission.admit(caller.key(), demand).await;
        let permit =
            admitted.map_err(|refusal| Refused::admission(refusal, &caller, call.started))?;
        let told = AnswerHeaders::of_admission(&call, &caller, permit.limits());
        let about = About { stream: true, ..About::relayed(&self.model, Tokens(0), origin) };
        let mut bill = Bill::open(self.proxy.clone(), permit, &call, &caller, about);
        bill.tell(report::of(&self.proxy, &caller, &self.headers));
        if let Some((by, demand)) = by.zip(there) {
            let entered =
                entry::afford(&self.proxy, &serving.catalog, by, bill.tags(), &demand).await;
            let refused = |why| not_afforded(&self.proxy, by, why);
            bill.enters(entered.map_err(refused)?);
        }
        Ok((bill, told))
    }

    async fn admit_next(&self, by: &Arc<Deployment>) -> Result<Bill, Failed> {
        if let Some(detour) = &self.detour {
            detour.stays().await?;
        }
        let serving = self.proxy.0.serving.load_full();
        let caller = match &self.pass {
            Some(pass) => pass.bearer(&self.proxy, &self.uri).await?,
            None => Caller::identify(&self.proxy, &serving, &self.headers, &self.uri).await?,
        };
        let mut bill = self.admit(caller, Some(by)).await?.0;
        bill.served_by(by);
        Ok(bill)
    }
}

/// What an answer may cost of what may be spent on a deployment: nobody can tell how much before.
pub(super) fn cost(by: &Deployment) -> Bounds {
    hold::unknown(&by.price)
}

/// The answers of a conversation.
pub(super) struct Turns {
    asker: Asker,
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
}

impl Turns {
    pub(super) fn new(asker: Asker, by: Arc<Deployment>) -> Self {
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
    pub(super) async fn ask(&self) -> Result<(), Failed> {
        let mut bills = self.bills.lock().await;
        if bills.asked.is_none() {
            bills.asked = Some(self.asker.admit_next(&self.by).await?);
        }
        Ok(())
    }

    /// What one event does to the bills. An error ends the conversation.
    pub(super) async fn hear(&self, event: Event) -> Result<(), Failed> {
        if event == Event::Other {
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
                    bill.streamed(Some(usage), 0);
                    bill.ended(Outcome::Success);
                }
            }
            Event::Refused => bills.asked = None,
            Event::Other => {}
        }
        Ok(())
    }

    async fn begin(&self, bills: &mut Bills) -> Result<(), Failed> {
        let mut bill = match bills.asked.take() {
            Some(bill) => bill,
            None => self.asker.admit_next(&self.by).await?,
        };
        bill.begun(None);
        bills.given.push_back(bill);
        self.given.store(true, Ordering::Relaxed);
        Ok(())
    }
}
