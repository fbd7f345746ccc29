//! What is written down of what a conversation hears, by a model beside the one that answers: it must
//! be allowed as that must, and each turn that it writes down is admitted when it is committed, by what
//! holds then, and charged by itself. A conversation that only writes down has nothing else.

use std::collections::VecDeque;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dunlin_admission::Demand;
use dunlin_journal::{Fault, MAX_FAULT_BYTES, Origin, Outcome, bounded};
use dunlin_ledger::Pricing;
use dunlin_llm::realtime::{Event, Heard, Session, Transcript, Transcription};
use dunlin_llm::{Endpoint, Media};
use dunlin_providers::relay::sent_model;
use dunlin_router::relay::{beside, is_version};
use dunlin_router::{Deployment, Group};
use dunlin_types::{Served, Tokens};
use tokio::sync::Mutex;

use super::turns::Asker;
use crate::Serving;
use crate::attempts::{entry, hold, not_afforded};
use crate::bill::{About, Bill, refused, report};
use crate::relay::price;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::{Failed, Refused};

/// Turns that are being written down. Of one that comes then the first is charged by its length, as
/// its provider may tell of none when it is done.
const MOST_OPEN: usize = 64;
/// The bytes of a millisecond of sound in a session that does not say its form: OpenAI's own.
const BYTES_A_MILLI: u64 = 48;
/// The status on record of what a provider could not write down.
const UNWRITTEN: u16 = 502;

/// Who writes down what is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Writer {
    Nobody,
    /// The model of the conversation itself.
    Own,
    /// Another, by its provider's name.
    Other(String),
}

impl Writer {
    fn of(transcription: Transcription, by: &Deployment) -> Self {
        match transcription {
            Transcription::Off => Self::Nobody,
            Transcription::On(Some(model)) if model != sent_model(&by.provider, &by.target) => {
                Self::Other(model)
            }
            Transcription::On(_) => Self::Own,
        }
    }

    /// Whether the one that is `told` is this one, or a version of it.
    fn is_meant_by(&self, told: &Self) -> bool {
        match (self, told) {
            (Self::Other(model), Self::Other(told)) => is_version(told, model),
            (writer, told) => writer == told,
        }
    }
}

/// The turns that are written down.
pub(super) struct Transcripts {
    asker: Arc<Asker>,
    by: Arc<Deployment>,
    /// Bytes of the messages with sound that is not committed.
    sound: AtomicU64,
    state: Mutex<State>,
    /// Whether any is being written down.
    open: AtomicBool,
}

struct State {
    /// As the client wants it, and as the provider has told.
    wanted: Writer,
    told: Writer,
    bytes_a_milli: u64,
    /// When somebody began to speak, and for how long, where the provider tells that.
    began: u64,
    spoken: u64,
    /// Of what the client has committed and the provider has not told of.
    asked: Option<Bill>,
    open: VecDeque<Bill>,
}

/// Who asks, and for what.
struct Asking {
    caller: Caller,
    origin: Origin,
    serving: Arc<Serving>,
    served: Served,
}

impl Transcripts {
    pub(super) fn new(asker: Arc<Asker>, by: Arc<Deployment>) -> Self {
        let transcription = asker.transcription.clone();
        let writer = transcription.map_or(Writer::Nobody, |said| Writer::of(said, &by));
        let state = State {
            wanted: writer.clone(),
            told: writer,
            bytes_a_milli: BYTES_A_MILLI,
            began: 0,
            spoken: 0,
            asked: None,
            open: VecDeque::new(),
        };
        let (sound, open) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { asker, by, sound, state: Mutex::new(state), open }
    }

    /// Whether one is being written down.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// The client sends sound, in a message of so many bytes.
    pub(super) fn sound(&self, bytes: usize) {
        self.sound.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The client wants the session to be so.
    pub(super) async fn want(&self, session: Session) -> Result<(), Failed> {
        match session.transcription {
            Some(transcription) => {
                let mut state = self.state.lock().await;
                self.turn_to(&mut state, transcription).await
            }
            None => Ok(()),
        }
    }

    /// The client commits what it has sent.
    pub(super) async fn commit(&self) -> Result<(), Failed> {
        let mut state = self.state.lock().await;
        if state.wanted != Writer::Nobody && state.asked.is_none() {
            let millis = self.heard(&mut state);
            state.asked = Some(self.admit(&state.wanted, millis).await?);
        }
        Ok(())
    }

    /// What one event does to the bills. An error ends the conversation.
    pub(super) async fn hear(&self, event: &Event) -> Result<(), Failed> {
        match event {
            Event::Session(session) => self.tell(session.clone()).await,
            Event::Heard(heard) => self.become_of(heard).await,
            Event::Refused => {
                self.state.lock().await.asked = None;
                Ok(())
            }
            Event::Begun | Event::Text(_) | Event::Done(_) | Event::Other => Ok(()),
        }
    }

    /// The provider tells how the session is.
    async fn tell(&self, session: Session) -> Result<(), Failed> {
        let Session { transcription, bytes_a_milli, .. } = session;
        let mut state = self.state.lock().await;
        state.bytes_a_milli = bytes_a_milli.unwrap_or(state.bytes_a_milli);
        let Some(transcription) = transcription else { return Ok(()) };
        self.turn_to(&mut state, transcription).await?;
        state.told = state.wanted.clone();
        if state.told == Writer::Nobody {
            state.asked = None;
        }
        Ok(())
    }

    /// Another one writes down what is heard from here on, if the client may have it.
    async fn turn_to(&self, state: &mut State, said: Transcription) -> Result<(), Failed> {
        if said == Transcription::On(None) && state.wanted != Writer::Nobody {
            return Ok(());
        }
        let writer = Writer::of(said, &self.by);
        if !state.wanted.is_meant_by(&writer) {
            self.check(&writer).await?;
            state.wanted = writer;
        }
        Ok(())
    }

    async fn become_of(&self, heard: &Heard) -> Result<(), Failed> {
        let mut state = self.state.lock().await;
        match heard {
            Heard::Began(millis) => state.began = *millis,
            Heard::Stopped(millis) => state.spoken += millis.saturating_sub(state.began),
            Heard::Committed => self.begin(&mut state).await?,
            Heard::Written(transcript) => {
                let bill = match state.next() {
                    Some(bill) => bill,
                    // Nobody has told that anything is written down.
                    None => self.admit_late(&mut state).await?,
                };
                written(bill, transcript);
            }
            Heard::Unwritten(why) => {
                if let Some(bill) = state.next() {
                    let message = bounded(why, MAX_FAULT_BYTES);
                    bill.failed(Fault { status: UNWRITTEN, kind: None, message });
                }
            }
        }
        self.open.store(!state.open.is_empty(), Ordering::Relaxed);
        Ok(())
    }

    async fn begin(&self, state: &mut State) -> Result<(), Failed> {
        if state.told == Writer::Nobody {
            // What the client wants may still be so, if the provider does not tell of sessions.
            self.heard(state);
            return Ok(());
        }
        let mut bill = match state.asked.take() {
            Some(bill) => bill,
            None => {
                let millis = self.heard(state);
                self.admit(&state.told, millis).await?
            }
        };
        bill.begun(None);
        if state.open.len() == MOST_OPEN {
            state.open.pop_front();
        }
        state.open.push_back(bill);
        Ok(())
    }

    async fn admit_late(&self, state: &mut State) -> Result<Bill, Failed> {
        let millis = self.heard(state);
        let known = [&state.told, &state.wanted].into_iter().find(|one| **one != Writer::Nobody);
        self.admit(known.unwrap_or(&Writer::Own), millis).await
    }

    /// Milliseconds of what was heard and is not committed: as long as somebody spoke, or else as much
    /// sound as passed by.
    fn heard(&self, state: &mut State) -> u64 {
        // Three bytes are four letters.
        let sent = self.sound.swap(0, Ordering::Relaxed) / 4 * 3 / state.bytes_a_milli;
        match std::mem::take(&mut state.spoken) {
            0 => sent,
            spoken => spoken,
        }
    }

    fn model<'a>(&'a self, writer: &'a Writer) -> &'a str {
        match writer {
            Writer::Other(model) => model,
            Writer::Own | Writer::Nobody => &self.asker.model,
        }
    }

    /// Whether the client may have it; if not, that is on record.
    async fn check(&self, writer: &Writer) -> Result<(), Failed> {
        if *writer == Writer::Nobody {
            return Ok(());
        }
        let call = self.call(writer);
        let asked = self.ask(&call, writer).await;
        asked.map(drop).inspect_err(|failed| refused::note(&self.asker.proxy, &call, failed))
    }

    /// Admits that so much sound is written down; if it is refused, that is on record.
    async fn admit(&self, writer: &Writer, millis: u64) -> Result<Bill, Failed> {
        let call = self.call(writer);
        let admitted = self.admit_called(&call, writer, millis).await;
        admitted.inspect_err(|failed| refused::note(&self.asker.proxy, &call, failed))
    }

    fn call(&self, writer: &Writer) -> Call {
        let call = self.asker.again().named(Endpoint::Transcriptions.call_type());
        call.known.asks(self.model(writer), true);
        call.known.is_for(self.asker.origin.clone());
        call
    }

    async fn ask(&self, call: &Call, writer: &Writer) -> Result<Asking, Failed> {
        let Self { asker, by, .. } = self;
        let mut caller = asker.identify(call).await?;
        let mut origin = asker.origin.clone();
        caller.count_for(&asker.proxy, &mut origin).await?;
        let serving = asker.proxy.0.serving.load_full();
        let served = match writer {
            Writer::Other(model) => served(&serving, &caller, by, model)?,
            Writer::Own | Writer::Nobody => {
                caller.check_model(&serving.catalog, &asker.model)?;
                asker.served.clone()
            }
        };
        Ok(Asking { caller, origin, serving, served })
    }

    async fn admit_called(
        &self,
        call: &Call,
        writer: &Writer,
        millis: u64,
    ) -> Result<Bill, Failed> {
        let Asking { caller, origin, serving, served } = self.ask(call, writer).await?;
        let (proxy, by) = (&self.asker.proxy, &self.by);
        let pricing = self.price(&serving, writer);
        let (cost, prompt) = (hold::of_sound(&pricing, millis), hold::tokens_of_sound(millis));
        let free = Demand::free(call.id, served, prompt, serving.settings.counted);
        let demand = Demand { cost, ..free };
        let admitted = proxy.0.admission.admit(caller.key(), demand.clone()).await;
        let permit =
            admitted.map_err(|refusal| Refused::admission(refusal, &caller, call.started))?;
        let media = Media { millis_sent: millis, ..Media::default() };
        let about = About::relayed(self.model(writer), Tokens(0), origin);
        let about = About { stream: true, media, ..about };
        let mut bill = Bill::open(proxy.clone(), permit, call, &caller, about);
        bill.is_of(Endpoint::Transcriptions);
        bill.tell(report::of(proxy, &caller, &self.asker.headers));
        let entered = entry::afford(proxy, &serving.catalog, by, bill.tags(), &demand).await;
        bill.enters(entered.map_err(|why| not_afforded(proxy, by, why))?);
        bill.served_by(by);
        if let Writer::Other(model) = writer {
            bill.priced_as(model, pricing);
        }
        Ok(bill)
    }

    /// What a model costs: what it does as the conversation's own, or as another row's, or what is
    /// published.
    fn price(&self, serving: &Serving, writer: &Writer) -> Pricing {
        let Writer::Other(model) = writer else { return self.by.price.clone() };
        let whose = (&[&*self.by.provider][..], slice::from_ref(&self.by));
        let published = &self.asker.proxy.0.published;
        price::of_model(&serving.catalog, published, whose, model).swap_remove(0)
    }
}

impl State {
    /// Of the turn that is written down first, as far as is known.
    fn next(&mut self) -> Option<Bill> {
        self.open.pop_front().or_else(|| self.asked.take())
    }
}

fn written(mut bill: Bill, transcript: &Transcript) {
    let Transcript { usage, millis, text_bytes } = transcript.clone();
    bill.begun(None);
    bill.listened(millis);
    bill.streamed(usage, text_bytes);
    bill.ended(Outcome::Success);
}

/// What serves a model that writes down what is heard, if the caller may have it.
fn served(
    serving: &Serving,
    caller: &Caller,
    by: &Deployment,
    model: &str,
) -> Result<Served, Refused> {
    beside(&serving.catalog, caller.access(), by, model)
        .map_err(|no_route| Refused::no_route(no_route, Endpoint::Transcriptions, caller))
}

/// Those of a group with whom the caller may have its session written down.
pub(super) fn writers(
    serving: &Serving,
    caller: &Caller,
    mut group: Group,
    transcription: Option<&Transcription>,
) -> Result<Group, Refused> {
    let mut refused = None;
    let may = |by: &Arc<Deployment>| {
        let writer = transcription.map(|said| Writer::of(said.clone(), by));
        let Some(Writer::Other(model)) = writer else { return true };
        served(serving, caller, by, &model).map_err(|why| refused = Some(why)).is_ok()
    };
    group.deployments.retain(may);
    match refused {
        Some(refused) if group.deployments.is_empty() => Err(refused),
        _ => Ok(group),
    }
}
