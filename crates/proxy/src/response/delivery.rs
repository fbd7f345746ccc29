//! An answer on its way to its client: put into the client's words, sealed, stored, billed.

use std::pin::Pin;

use axum::body::Body;
use axum::http::Response;
use dunlin_llm::openai::merged_reply;
use dunlin_llm::responses::KeptResponse;
use dunlin_llm::{ChatRequest, Endpoint, Stamp};
use dunlin_router::Deployment;
use dunlin_upstream::{Answer, Long, Stream, Whole};

use crate::Proxy;
use crate::attempts::KeptName;
use crate::bill::{Bill, found, must_count};
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::kept::{Sealing, keeps_responses};
use crate::response::long::LongReader;
use crate::response::stream::{self, Outgoing};
use crate::response::told::AnswerHeaders;
use crate::response::{headers, passing};
use crate::stored::watch::Thing;
use crate::turns::{Answered, Opening};

/// What is known once there is an answer.
pub(crate) struct Delivery<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) chat: ChatRequest,
    pub(crate) opening: Opening,
    pub(crate) bill: Bill,
    pub(crate) told: AnswerHeaders,
    pub(crate) name: KeptName,
}

impl Delivery<'_> {
    pub(crate) async fn of(self, answer: Answer) -> Response<Body> {
        match answer {
            Answer::Whole(whole) => self.boxed(whole).await,
            Answer::Stream(stream) => self.stream(stream),
            Answer::Long(long) => self.long(long),
        }
    }

    /// Put together in its box, as the story of a chat is.
    fn boxed(self, whole: Whole) -> Pin<Box<impl Future<Output = Response<Body>>>> {
        Box::into_pin(Box::write(Box::new_uninit(), self.whole(whole)))
    }

    async fn whole(mut self, whole: Whole) -> Response<Body> {
        let Whole { reply: answer, headers, deployment: by } = whole;
        let (name, homes, turn) =
            (self.name.told(&self.chat, &by), self.opening.homes(), self.turn(&by));
        let merges = self.merges(&by);
        let Self { proxy, call, caller, chat, mut bill, told, .. } = self;
        let told = told.answered(proxy, call, &by, &headers).left_out(&chat, &by);
        if must_count(&chat, &answer) {
            proxy.0.tokenizer.warm(&by.target.model).await;
        }
        let answer = bill.telling(&by, &chat, answer);
        let told_turn = turn.as_ref().map(|answered| &answered.turn);
        let stamp = Stamp { turn: told_turn, ..call.stamp(&name, &chat) };
        let reply = answer.write(call.endpoint, stamp);
        let reply = if merges { merged_reply(reply) } else { reply };
        let seal = Sealing::of_answer(proxy, &chat, caller, &by);
        let seal = seal.map(|seal| seal.with_homes(homes));
        let id = answer.told_id(call.endpoint, stamp);
        bill.answered_as(id.map(|id| seal.as_ref().map_or(id.clone(), |seal| seal.answer_id(&id))));
        if seal.is_some() && chat.background() {
            bill.for_background(true);
            let kept = KeptResponse::read(&reply);
            if let Some(kept) = kept.as_ref().filter(|kept| !kept.finished) {
                Box::pin(bill.watch(&by, Thing::kept(Kind::Response, &kept.id))).await;
            }
            let found = found::response(&by, kept, call.started);
            if let Some(finished) = found {
                bill.found(finished.made_at(call.started));
            }
        }
        bill.said(|| String::from_utf8_lossy(&reply));
        let settled = bill.delivered(&by, &chat, &answer).asked_by(caller);
        let reply = seal.map_or(reply.clone(), |seal| seal.answer(&reply));
        if let Some(turn) = turn {
            Box::pin(turn.store(reply.clone())).await;
        }
        headers::json(told.cost(settled), reply)
    }

    fn stream(mut self, answer: Stream) -> Response<Body> {
        let by = answer.deployment();
        let (name, homes, turn) =
            (self.name.told(&self.chat, by), self.opening.homes(), self.turn(by));
        let merges = self.merges(by);
        let Self { proxy, call, caller, chat, mut bill, told, .. } = self;
        let told = told.answered(proxy, call, by, answer.headers());
        let told = told.uncounted(caller.spent(proxy), by).left_out(&chat, by);
        let seal = Sealing::of_answer(proxy, &chat, caller, by);
        let seal = seal.map(|seal| seal.with_homes(homes));
        bill.for_background(seal.is_some() && chat.background());
        let outgoing = Outgoing::new(call, name, chat, (seal, turn)).merging(merges);
        headers::event_stream(told, call.framing, stream::events(answer, bill, outgoing))
    }

    fn long(self, mut answer: Long) -> Response<Body> {
        let Self { proxy, call, caller, chat, mut bill, told, .. } = self;
        let told = told.answered(proxy, call, &answer.deployment, &answer.headers);
        let reader = LongReader::new(&answer, chat, &mut bill);
        if let Some(whole) = answer.body.take_whole() {
            let settled = passing::settled(&whole, bill, reader).asked_by(caller);
            return headers::passing(told.cost(settled), &answer.headers, Body::from(whole));
        }
        let told = match reader.reads_nothing() {
            true => told.cost(bill.foreseen().asked_by(caller)),
            false => told.uncounted(caller.spent(proxy), &answer.deployment),
        };
        let body = passing::body(answer.body, Some(bill), reader);
        headers::passing(told, &answer.headers, body)
    }

    /// Whether thoughts are put into what is said, as the client wishes or the deployment has it.
    fn merges(&self, by: &Deployment) -> bool {
        let wish = self.chat.extras().merges_thoughts;
        self.call.endpoint == Endpoint::ChatCompletions && wish.unwrap_or(by.target.merges_thoughts)
    }

    fn turn(&mut self, by: &Deployment) -> Option<Answered> {
        let opening = std::mem::take(&mut self.opening);
        opening.answered(self.proxy, self.call, self.caller, keeps_responses(by))
    }
}
