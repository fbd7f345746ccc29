//! What ended requests gave back, heard of late: a refusal that it would avert waits for it.

use std::sync::Arc;
use std::time::Duration;

use dunlin_limiter::{
    Answer, Ask, Claim, Decision, Limited, Limiter, Limits, Refused, Ring, ScopeId, Sent, Taken,
    Verdict,
};
use dunlin_types::{Epoch, MonoMillis, NodeId, RequestId};

const SCOPE: ScopeId = ScopeId(0xDEC1DE);
const TOKENS: Limits =
    Limits { requests: None, tokens: Some(100), parallel: None, on_loss: FULL, as_of: 1 };
const SLOTS: Limits =
    Limits { requests: None, tokens: None, parallel: Some(1), on_loss: FULL, as_of: 1 };
const FULL: dunlin_types::OnLoss = dunlin_types::OnLoss::Full;

/// The owner of the scope, and two others.
struct Cluster {
    limiters: [Limiter; 3],
    ids: [NodeId; 3],
    now: MonoMillis,
    requests: u128,
}

impl Cluster {
    fn new() -> Self {
        let ring = Arc::new(Ring::new(1, (1..=3).map(NodeId).collect()));
        let ids = [0, 1, 2].map(|place| ring.order(SCOPE)[place]);
        let limiters = ids.map(|id| {
            let mut limiter = Limiter::new(id, Epoch(1));
            limiter.set_ring(Arc::clone(&ring), MonoMillis(1));
            limiter
        });
        let mut cluster = Self { limiters, ids, now: MonoMillis(1), requests: 0 };
        cluster.settle_down();
        cluster
    }

    /// All tell each other what they admitted, and the owner decides.
    fn settle_down(&mut self) {
        for _ in 0..3 {
            self.wait(1_000);
            for from in 0..3 {
                for to in self.limiters[from].tick(self.now) {
                    let to = self.ids.iter().position(|id| *id == to).expect("one of three");
                    self.call(from, to, Vec::new());
                }
            }
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
        for limiter in &mut self.limiters {
            limiter.hear_leader(self.now);
        }
    }

    fn claim(&mut self, tokens: u64, limits: Limits) -> Claim {
        self.requests += 1;
        Claim { scope: SCOPE, request: RequestId(self.requests), tokens, limits }
    }

    fn ask(&mut self, from: usize, to: usize, claims: Vec<Claim>) -> (Sent, Ask) {
        self.limiters[from].ask(self.ids[to], claims, Vec::new(), self.now)
    }

    fn answer(&mut self, to: usize, from: usize, ask: &Ask) -> Answer {
        self.limiters[to].answer(self.ids[from], ask, self.now)
    }

    fn call(&mut self, from: usize, to: usize, claims: Vec<Claim>) -> Answer {
        let (sent, ask) = self.ask(from, to, claims);
        let answer = self.answer(to, from, &ask);
        self.limiters[from].answered(self.ids[to], sent, &answer, self.now);
        answer
    }

    /// Asks the owner, itself or from elsewhere.
    fn admit(&mut self, node: usize, claim: &Claim) -> Result<Taken, Refused> {
        let decision = self.limiters[node].admit(claim, self.now);
        if let Decision::Admitted(taken, _) = decision {
            return Ok(taken);
        }
        if let Decision::Refused(refused) = decision {
            return Err(refused);
        }
        assert_eq!(decision, Decision::AskOwner(self.ids[0]), "the owner decides");
        match self.call(node, 0, vec![claim.clone()]).verdicts.remove(0) {
            Verdict::Granted { lease, .. } => {
                let (owner, now) = (self.ids[0], self.now);
                Ok(self.limiters[node].granted(claim, owner, lease, now, now).expect("in time"))
            }
            Verdict::Refused(refused) => Err(refused),
            Verdict::Retry | Verdict::NotYet => panic!("the owner decides"),
        }
    }

    fn is_doubted(&mut self, node: usize, claim: &Claim) -> bool {
        self.admit(node, claim).expect_err("too much is taken").doubted
    }

    /// The owner asks who is to tell what it gave back.
    fn pull(&mut self) {
        for peer in self.limiters[0].to_pull() {
            let to = self.ids.iter().position(|id| *id == peer).expect("one of three");
            self.call(0, to, Vec::new());
        }
    }

    fn end(&mut self, node: usize, taken: &Taken) {
        // Nobody is told before the next call.
        let _owner = self.limiters[node].ended(taken, 1, self.now);
    }
}

#[test]
fn what_came_back_unheard_is_heard_before_a_refusal() {
    for limits in [TOKENS, SLOTS] {
        for asker in [0, 2] {
            let mut cluster = Cluster::new();
            let claim = cluster.claim(60, limits);
            let taken = cluster.admit(1, &claim).expect("nothing is taken");
            cluster.end(1, &taken);
            let next = cluster.claim(60, limits);
            assert!(cluster.is_doubted(asker, &next), "{limits:?}");
            cluster.pull();
            cluster.admit(asker, &next).expect("it came back");
        }
    }
}

#[test]
fn what_is_in_use_is_refused_once_that_is_heard() {
    for limits in [TOKENS, SLOTS] {
        for asker in [0, 2] {
            let mut cluster = Cluster::new();
            let claim = cluster.claim(60, limits);
            cluster.admit(1, &claim).expect("nothing is taken");
            let next = cluster.claim(60, limits);
            assert!(cluster.is_doubted(asker, &next), "{limits:?}");
            assert!(cluster.is_doubted(asker, &next), "nobody was asked");
            cluster.pull();
            assert!(!cluster.is_doubted(asker, &next));
            assert!(cluster.limiters[0].to_pull().is_empty());
        }
    }
}

/// What was said before the claim was made may lack what its client has seen end.
#[test]
fn an_earlier_call_says_too_little() {
    let mut cluster = Cluster::new();
    let claim = cluster.claim(0, SLOTS);
    let taken = cluster.admit(1, &claim).expect("nothing is taken");
    let early = cluster.claim(0, SLOTS);
    assert!(cluster.is_doubted(0, &early));
    let (sent, ask) = cluster.ask(0, 1, Vec::new());
    let answer = cluster.answer(1, 0, &ask);
    cluster.end(1, &taken);
    let next = cluster.claim(0, SLOTS);
    assert!(cluster.is_doubted(0, &next));
    cluster.limiters[0].answered(cluster.ids[1], sent, &answer, cluster.now);
    assert!(!cluster.is_doubted(0, &early));
    assert!(cluster.is_doubted(0, &next));
    cluster.pull();
    cluster.admit(0, &next).expect("it came back");
}

#[test]
fn nobody_waits_for_long_nor_for_nothing_nor_in_crowds() {
    let mut cluster = Cluster::new();
    let claim = cluster.claim(60, TOKENS);
    cluster.admit(1, &claim).expect("nothing is taken");
    let beyond = cluster.claim(101, TOKENS);
    assert!(!cluster.is_doubted(0, &beyond), "never within the limit");
    let own = cluster.claim(60, TOKENS);
    assert!(!cluster.is_doubted(1, &own), "who asks has said all");
    let crowd: Vec<_> = (0..9).map(|_| cluster.claim(60, TOKENS)).collect();
    let doubted = crowd.iter().filter(|claim| cluster.is_doubted(0, claim)).count();
    assert_eq!(doubted, 8);
    cluster.wait(50);
    let mut first = crowd[..doubted].iter();
    assert!(!first.any(|claim| cluster.is_doubted(0, claim)), "waited long enough");
    let late = cluster.claim(60, TOKENS);
    assert!(cluster.is_doubted(0, &late), "there is room for others");
    let silent = cluster.ids[1];
    cluster.limiters[0].unanswered(silent, cluster.now);
    assert!(!cluster.is_doubted(0, &late), "who is silent is not waited for");
    assert!(cluster.limiters[0].to_pull().is_empty());
}

/// It knows of itself as a peer since it was marked down.
#[test]
fn an_owner_that_is_back_does_not_ask_itself() {
    let mut cluster = Cluster::new();
    let [owner, others @ ..] = cluster.ids;
    let all = Ring::new(3, cluster.ids.to_vec());
    for ring in [Ring::new(2, others.to_vec()).beside(vec![owner]), all] {
        let ring = Arc::new(ring);
        cluster.limiters.iter_mut().for_each(|one| one.set_ring(Arc::clone(&ring), cluster.now));
    }
    cluster.settle_down();
    let claim = cluster.claim(0, SLOTS);
    cluster.admit(0, &claim).expect("nothing is taken");
    let next = cluster.claim(0, SLOTS);
    assert!(!cluster.is_doubted(2, &next));
    assert!(cluster.limiters[0].to_pull().is_empty());
}

/// A node of an earlier version answers a pull without reports.
#[test]
fn an_answer_without_reports_ends_the_wait() {
    let mut cluster = Cluster::new();
    let claim = cluster.claim(0, SLOTS);
    cluster.admit(1, &claim).expect("nothing is taken");
    let next = cluster.claim(0, SLOTS);
    assert!(cluster.is_doubted(0, &next));
    let (sent, ask) = cluster.ask(0, 1, Vec::new());
    let answer = Answer { reports: None, ..cluster.answer(1, 0, &ask) };
    cluster.limiters[0].answered(cluster.ids[1], sent, &answer, cluster.now);
    let refused = cluster.admit(0, &next).expect_err("it is in use");
    assert_eq!((refused.doubted, refused.what), (false, Limited::MaxParallelRequests));
}
