//! One node's conversation about limits: does with a [`Limiter`] what `dunlin-admission` does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_limiter::{
    Amounts, Answer, Ask, Claim, Decision, Limiter, Refused, Ring, ScopeId, Sent, Taken, Verdict,
};
use dunlin_types::{Epoch, MonoMillis, NodeId, RequestId};

use super::node::{Message, Timer, Todo, id_of, index_of};

/// How long an owner is waited for, how long peers are, and how soon "soon" is.
const PATIENCE_MS: u64 = 900;
const PEERS_PATIENCE_MS: u64 = 50;
const SOON_MS: u64 = 20;

pub(crate) struct Limits {
    limiter: Limiter,
    calls: BTreeMap<u64, Call>,
    surveys: BTreeMap<u64, Survey>,
    next: u64,
    /// What became of claims, to be taken by the node.
    pub(crate) decided: Vec<(RequestId, Option<Taken>)>,
}

struct Call {
    to: NodeId,
    sent: Sent,
    at: MonoMillis,
    claim: Option<(Claim, MonoMillis)>,
    survey: Option<u64>,
}

struct Survey {
    claim: Claim,
    asked: MonoMillis,
    waiting: usize,
    told: Vec<Amounts>,
}

impl Limits {
    pub(crate) fn new(me: NodeId, epoch: Epoch) -> Self {
        let limiter = Limiter::new(me, epoch);
        let (calls, surveys, decided) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        // An answer belongs to the life that asked.
        let next = epoch.0 << 32;
        Self { limiter, calls, surveys, next, decided }
    }

    pub(crate) fn set_ring(&mut self, ring: &Arc<Ring>, now: MonoMillis) {
        if ring.version() > self.limiter.ring().version() {
            self.limiter.set_ring(Arc::clone(ring), now);
        }
    }

    /// A request wants to be let in.
    pub(crate) fn claim(&mut self, claim: Claim, now: MonoMillis, todo: &mut Todo) {
        let deadline = now.plus(Duration::from_millis(PATIENCE_MS));
        self.decide(claim, deadline, now, todo);
    }

    pub(crate) fn decide(
        &mut self,
        claim: Claim,
        deadline: MonoMillis,
        now: MonoMillis,
        todo: &mut Todo,
    ) {
        let decision = self.limiter.admit(&claim, now);
        self.follow(claim, deadline, decision, now, todo);
    }

    fn follow(
        &mut self,
        claim: Claim,
        deadline: MonoMillis,
        decision: Decision,
        now: MonoMillis,
        todo: &mut Todo,
    ) {
        match decision {
            Decision::Admitted(taken, _) => self.decided.push((claim.request, Some(taken))),
            Decision::Refused(refused) => self.refused(claim, deadline, &refused, now, todo),
            Decision::AskOwner(owner) => {
                self.call(owner, Some((claim, deadline)), None, now, todo);
            }
            Decision::Soon => self.retry(claim, deadline, now, todo),
            Decision::AskPeers(peers) => self.survey(claim, &peers, now, todo),
            Decision::Closed => self.decided.push((claim.request, None)),
            Decision::TableFull | Decision::NoRing => panic!("there is room and a ring"),
        }
    }

    fn refused(
        &mut self,
        claim: Claim,
        deadline: MonoMillis,
        refused: &Refused,
        now: MonoMillis,
        todo: &mut Todo,
    ) {
        assert!(refused.retry_after > Duration::ZERO);
        if refused.doubted && now < deadline {
            self.pull(now, todo);
            todo.after(SOON_MS, Timer::Decide { claim, deadline });
        } else {
            self.decided.push((claim.request, None));
        }
    }

    /// Asks those for whom a refusal waits.
    fn pull(&mut self, now: MonoMillis, todo: &mut Todo) {
        for peer in self.limiter.to_pull() {
            self.call(peer, None, None, now, todo);
        }
    }

    fn retry(&mut self, claim: Claim, deadline: MonoMillis, now: MonoMillis, todo: &mut Todo) {
        if now < deadline {
            todo.after(SOON_MS, Timer::Decide { claim, deadline });
        } else {
            self.share(claim, now, todo);
        }
    }

    fn share(&mut self, claim: Claim, now: MonoMillis, todo: &mut Todo) {
        let decision = self.limiter.admit_by_share(&claim, now);
        self.follow(claim, now, decision, now, todo);
    }

    fn call(
        &mut self,
        to: NodeId,
        claim: Option<(Claim, MonoMillis)>,
        survey: Option<u64>,
        now: MonoMillis,
        todo: &mut Todo,
    ) {
        let claims = claim.iter().map(|(claim, _)| claim.clone()).collect();
        let asked = survey.and_then(|survey| self.surveys.get(&survey));
        let questions = asked.iter().map(|survey| survey.claim.scope).collect();
        let (sent, ask) = self.limiter.ask(to, claims, questions, now);
        self.next += 1;
        let call = self.next;
        self.calls.insert(call, Call { to, sent, at: now, claim, survey });
        todo.after(PATIENCE_MS, Timer::GivenUp { call });
        todo.send(index_of(to), Message::Ask { call, ask });
    }

    /// A peer asks.
    pub(crate) fn answer(
        &mut self,
        from: usize,
        ask: &Ask,
        now: MonoMillis,
        todo: &mut Todo,
    ) -> Answer {
        let answer = self.limiter.answer(id_of(from), ask, now);
        self.pull(now, todo);
        answer
    }

    /// A peer answers.
    pub(crate) fn answered(
        &mut self,
        call: u64,
        answer: &Answer,
        now: MonoMillis,
        todo: &mut Todo,
    ) {
        let Some(Call { to, sent, at, claim, survey }) = self.calls.remove(&call) else { return };
        self.limiter.answered(to, sent, answer, now);
        if let Some(survey) = survey {
            self.told(survey, answer.told.first().copied(), now, todo);
        }
        let Some((claim, deadline)) = claim else { return };
        match &answer.verdicts[0] {
            Verdict::Granted { lease, .. } => {
                match self.limiter.granted(&claim, to, *lease, at, now) {
                    Some(taken) => self.decided.push((claim.request, Some(taken))),
                    None => self.retry(claim, deadline, now, todo),
                }
            }
            Verdict::Refused(refused) => self.refused(claim, deadline, refused, now, todo),
            Verdict::Retry => self.retry(claim, deadline, now, todo),
            Verdict::NotYet => self.share(claim, now, todo),
        }
    }

    /// A peer did not answer, in time or at all.
    pub(crate) fn given_up(&mut self, call: u64, now: MonoMillis, todo: &mut Todo) {
        let Some(Call { to, claim, survey, .. }) = self.calls.remove(&call) else { return };
        self.limiter.unanswered(to, now);
        if let Some(survey) = survey {
            self.told(survey, None, now, todo);
        }
        if let Some((claim, _)) = claim {
            self.share(claim, now, todo);
        }
    }

    fn survey(&mut self, claim: Claim, peers: &[NodeId], now: MonoMillis, todo: &mut Todo) {
        self.next += 1;
        let survey = self.next;
        let begun = Survey { claim, asked: now, waiting: peers.len(), told: Vec::new() };
        self.surveys.insert(survey, begun);
        for peer in peers {
            self.call(*peer, None, Some(survey), now, todo);
        }
        let over = if peers.is_empty() { 0 } else { PEERS_PATIENCE_MS };
        todo.after(over, Timer::SurveyOver { survey });
    }

    fn told(&mut self, survey: u64, told: Option<Amounts>, now: MonoMillis, todo: &mut Todo) {
        let Some(open) = self.surveys.get_mut(&survey) else { return };
        open.told.extend(told);
        open.waiting -= 1;
        if open.waiting == 0 {
            self.survey_over(survey, now, todo);
        }
    }

    pub(crate) fn survey_over(&mut self, survey: u64, now: MonoMillis, todo: &mut Todo) {
        let Some(Survey { claim, asked, told, .. }) = self.surveys.remove(&survey) else { return };
        self.limiter.told(&claim, &told, asked, now);
        self.share(claim, now, todo);
    }

    /// A request that was let in is over.
    pub(crate) fn ended(&mut self, taken: &Taken, used: u64, now: MonoMillis, todo: &mut Todo) {
        if let Some(tell) = self.limiter.ended(taken, used, now) {
            self.call(tell, None, None, now, todo);
        }
    }

    pub(crate) fn tick(&mut self, heard: Option<MonoMillis>, now: MonoMillis, todo: &mut Todo) {
        if let Some(at) = heard {
            self.limiter.hear_leader(at);
        }
        for peer in self.limiter.tick(now) {
            self.call(peer, None, None, now, todo);
        }
    }

    /// The scopes' owner, as this node knows it.
    pub(crate) fn owner(&self, scope: ScopeId) -> Option<NodeId> {
        self.limiter.ring().owner(scope)
    }
}
