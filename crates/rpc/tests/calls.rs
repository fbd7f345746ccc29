//! What a crate above `rpc` relies on, over real sockets: who gets through, who is told what.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use dunlin_rpc::{Body, CallError, Config, Inbox, Refused, Rpc, Service};
use dunlin_types::{ClusterId, NodeId, Secret, Secrets};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Long enough never to be the reason on a busy machine; tests that pass do not wait for it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Nobody answers these calls.
const SHORT: Duration = Duration::from_millis(300);
const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const TWO: NodeId = NodeId(2);
const CLUSTER: ClusterId = ClusterId(7);
const SECRET: &str = "the secret of the tests, long enough";

struct Node {
    id: NodeId,
    rpc: Rpc,
    inbox: Inbox,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Node {
    fn start_at(id: u64, secret: &str, listen: SocketAddr) -> Self {
        Self::start_with(id, Secret::new(secret).into(), listen)
    }

    fn start_with(id: u64, secrets: Secrets, listen: SocketAddr) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (rpc, inbox) = Rpc::start(Config {
            me: NodeId(id),
            listen,
            secrets,
            tasks: tasks.clone(),
            stop: stop.clone(),
        })
        .expect("a free loopback port");
        Self { id: NodeId(id), rpc, inbox, tasks, stop }
    }

    /// A node of no cluster.
    fn pristine(id: u64) -> Self {
        Self::start_at(id, SECRET, LOOPBACK.into())
    }

    fn member(id: u64) -> Self {
        let node = Self::pristine(id);
        node.rpc.enter_cluster(CLUSTER);
        node
    }

    fn address(&self) -> String {
        self.rpc.local_addr().to_string()
    }

    fn knows(&self, peer: &Node) {
        self.rpc.learn(peer.id, &peer.address());
    }

    async fn raft(&self, to: NodeId, body: &'static str) -> Result<Bytes, CallError> {
        self.rpc.call(to, Service::Raft, Bytes::from(body), PATIENCE).await
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        within(self.tasks.wait()).await;
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("took too long")
}

/// Two members that know each other.
fn pair() -> (Node, Node) {
    let (one, two) = (Node::member(1), Node::member(2));
    one.knows(&two);
    two.knows(&one);
    (one, two)
}

/// Answers the next raft call with its own body and gives back who called.
async fn echo_one(inbox: &mut Inbox) -> NodeId {
    let call = within(inbox.raft.recv()).await.expect("the service runs");
    let (from, body) = (call.from, call.body.clone());
    call.answer(Ok(body));
    from
}

#[tokio::test]
async fn a_call_reaches_its_service_with_a_proven_caller() {
    let (one, mut two) = pair();
    let inner = [Service::Propose, Service::Limits, Service::Money, Service::Records];
    for service in inner.into_iter().chain([Service::Raft, Service::Store, Service::Join]) {
        let body = Bytes::from(format!("{service:?}"));
        let owner = async {
            let queue = match service {
                Service::Raft => &mut two.inbox.raft,
                Service::Propose => &mut two.inbox.propose,
                Service::Limits => &mut two.inbox.limits,
                Service::Money => &mut two.inbox.money,
                Service::Records => &mut two.inbox.records,
                Service::Store => &mut two.inbox.store,
                Service::Join => &mut two.inbox.join,
            };
            let call = within(queue.recv()).await.expect("the service runs");
            assert_eq!((call.from, &call.body), (one.id, &body));
            call.answer(Ok(body.clone()));
        };
        let call = one.rpc.call(two.id, service, body.clone(), PATIENCE);
        assert_eq!(tokio::join!(call, owner).0, Ok(body.clone()));
    }
}

#[tokio::test]
async fn large_bodies_pass_and_larger_ones_are_refused_before_sending() {
    let (one, mut two) = pair();
    let large = Bytes::from(vec![7; 24 * 1024 * 1024]);
    let call = one.rpc.call(two.id, Service::Raft, large.clone(), PATIENCE);
    let (answer, from) = tokio::join!(call, echo_one(&mut two.inbox));
    assert_eq!((answer, from), (Ok(large), one.id));

    let bytes = dunlin_rpc::MAX_BODY_BYTES + 1;
    let call = one.rpc.call(two.id, Service::Raft, Bytes::from(vec![0; bytes]), PATIENCE);
    assert_eq!(call.await, Err(CallError::TooLarge { bytes }));
}

#[tokio::test]
async fn an_owners_no_and_an_owners_silence_are_told_apart() {
    let (one, mut two) = pair();
    let owner = async {
        let call = within(two.inbox.raft.recv()).await.expect("the service runs");
        call.answer(Err(Refused { reason: "no leader here".to_owned() }));
        drop(within(two.inbox.raft.recv()).await);
        within(two.inbox.raft.recv()).await
    };
    let caller = async {
        let refused = one.raft(TWO, "").await;
        assert_eq!(refused, Err(CallError::Refused { reason: "no leader here".to_owned() }));
        let dropped = one.raft(TWO, "").await;
        assert!(matches!(dropped, Err(CallError::Refused { .. })), "{dropped:?}");
        let after = Duration::from_millis(50);
        let silent = one.rpc.call(TWO, Service::Raft, Bytes::new(), after).await;
        assert_eq!(silent, Err(CallError::TimedOut { after }));
    };
    let ((), held) = tokio::join!(caller, owner);
    held.expect("the call the owner sat on").answer(Ok(Bytes::new()));
}

#[tokio::test]
async fn another_secret_is_named_as_such_on_either_side() {
    let ours = Node::member(1);
    let theirs = Node::start_at(2, "a different secret altogether", LOOPBACK.into());
    theirs.rpc.enter_cluster(CLUSTER);
    ours.knows(&theirs);
    theirs.knows(&ours);
    for (from, to) in [(&ours, &theirs), (&theirs, &ours)] {
        let expected = CallError::WrongSecret { address: to.address() };
        assert_eq!(from.raft(to.id, "").await, Err(expected.clone()));
        let address = to.address();
        let join = from.rpc.call_address(&address, Service::Join, Bytes::new(), PATIENCE);
        assert_eq!(join.await, Err(expected));
    }
    assert!(ours.inbox.raft.is_empty() && ours.inbox.join.is_empty());
}

#[tokio::test]
async fn another_node_at_a_known_address_is_not_called() {
    let (one, two) = pair();
    one.rpc.learn(NodeId(3), &two.address());
    let call = one.rpc.call(NodeId(3), Service::Raft, Bytes::new(), PATIENCE).await;
    let (address, expected, found) = (two.address(), NodeId(3), two.id);
    assert_eq!(call, Err(CallError::WrongTarget { address, expected, found }));
    assert!(two.inbox.raft.is_empty());
}

#[tokio::test]
async fn clusters_do_not_mix_and_both_sides_learn_why() {
    let (one, other) = (Node::member(1), Node::pristine(2));
    one.knows(&other);
    let (ours, theirs) = (Some(CLUSTER), None);
    let superseded = false;
    let wrong = CallError::WrongCluster { ours, theirs, superseded };
    assert_eq!(one.raft(other.id, "").await, Err(wrong));

    other.rpc.enter_cluster(ClusterId(8));
    let wrong = Err(CallError::WrongCluster { ours, theirs: Some(ClusterId(8)), superseded });
    assert_eq!(one.raft(other.id, "").await, wrong);
    let join = one.rpc.call_address(&other.address(), Service::Join, Bytes::new(), PATIENCE).await;
    assert_eq!(join.map(|(_, body)| body), wrong);
    other.rpc.supersede(vec![CLUSTER]);
    let theirs = Some(ClusterId(8));
    let superseded = CallError::WrongCluster { ours, theirs, superseded: true };
    assert_eq!(one.raft(other.id, "").await, Err(superseded), "theirs goes on in its place");
    assert!(other.inbox.raft.is_empty() && other.inbox.join.is_empty());
}

#[tokio::test]
async fn a_node_of_no_cluster_joins_at_an_address() {
    let (mut member, newcomer) = (Node::member(1), Node::pristine(2));
    let owner = async {
        let call = within(member.inbox.join.recv()).await.expect("the service runs");
        assert_eq!(call.from, newcomer.id);
        call.answer(Ok(Bytes::from("welcome")));
    };
    let address = member.rpc.local_addr().to_string();
    let join = newcomer.rpc.call_address(&address, Service::Join, Bytes::new(), PATIENCE);
    let (answer, ()) = tokio::join!(join, owner);
    assert_eq!(answer, Ok((NodeId(1), Bytes::from("welcome"))));

    let raft = newcomer.rpc.call_address(&address, Service::Raft, Bytes::new(), PATIENCE).await;
    assert!(matches!(raft, Err(CallError::Refused { .. })), "{raft:?}");
}

#[tokio::test]
async fn a_node_notices_that_it_calls_itself() {
    let node = Node::member(1);
    let (address, body) = (node.address(), Bytes::new());
    let join = node.rpc.call_address(&address, Service::Join, body.clone(), PATIENCE).await;
    assert_eq!(join, Err(CallError::Itself));
    assert_eq!(node.raft(node.id, "").await, Err(CallError::Itself));
    let unknown = node.rpc.call(NodeId(9), Service::Raft, body, PATIENCE).await;
    assert_eq!(unknown, Err(CallError::UnknownPeer { node: NodeId(9) }));
}

#[tokio::test]
async fn a_restarted_peer_is_found_again_and_so_is_one_that_moved() {
    let (one, mut two) = pair();
    assert!(tokio::join!(one.raft(TWO, "a"), echo_one(&mut two.inbox)).0.is_ok());
    let old_address = two.rpc.local_addr();
    two.end().await;
    let down = one.raft(TWO, "b").await;
    assert!(
        matches!(down, Err(CallError::Unreachable { .. } | CallError::Lost { .. })),
        "{down:?}"
    );

    let mut again = Node::start_at(2, SECRET, old_address);
    again.rpc.enter_cluster(CLUSTER);
    within(reach(&one, &mut again.inbox)).await;
    let mut moved = Node::member(2);
    again.end().await;
    one.knows(&moved);
    within(reach(&one, &mut moved.inbox)).await;
}

/// Calls node 2 until it answers.
async fn reach(from: &Node, inbox: &mut Inbox) {
    let calls = async { while from.raft(TWO, "again").await.is_err() {} };
    tokio::join!(calls, echo_one(inbox));
}

#[tokio::test]
async fn impatient_callers_get_connected_all_the_same() {
    let (one, mut two) = pair();
    let impatient = async {
        loop {
            let moment = Duration::from_micros(300);
            match one.rpc.call(TWO, Service::Raft, Bytes::new(), moment).await {
                Err(CallError::TimedOut { .. }) => {}
                Ok(_) => break,
                Err(other) => panic!("{other}"),
            }
            if !two.inbox.raft.is_empty() {
                break;
            }
        }
    };
    within(impatient).await;
    drop(two.inbox.raft.try_recv());
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_leaves_the_other_services_alone() {
    let (one, mut two) = pair();
    let capacity = two.inbox.raft.max_capacity();
    let waiting = TaskTracker::new();
    for _ in 0..capacity {
        let rpc = one.rpc.clone();
        let call = async move { rpc.call(TWO, Service::Raft, Bytes::new(), PATIENCE).await };
        waiting.spawn(call);
    }
    let full = async {
        while two.inbox.raft.len() < capacity {
            tokio::task::yield_now().await;
        }
    };
    within(full).await;
    assert_eq!(one.raft(TWO, "").await, Err(CallError::Busy));

    let owner = async {
        let call = within(two.inbox.propose.recv()).await.expect("the service runs");
        call.answer(Ok(Bytes::new()));
    };
    let call = one.rpc.call(TWO, Service::Propose, Bytes::new(), PATIENCE);
    assert_eq!(tokio::join!(call, owner).0, Ok(Bytes::new()));
}

#[tokio::test]
async fn calls_to_a_peer_that_hangs_do_not_pile_up() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let one = Node::member(1);
    one.rpc.learn(TWO, &hanging.local_addr().expect("it is bound").to_string());
    let waiting = TaskTracker::new();
    let piling = async {
        loop {
            let rpc = one.rpc.clone();
            let call = async move { rpc.call(TWO, Service::Raft, Bytes::new(), PATIENCE).await };
            let outcome = waiting.spawn(call);
            tokio::task::yield_now().await;
            if outcome.is_finished() {
                break outcome.await.expect("no panic");
            }
            assert!(waiting.len() < 10_000, "there is no end to it");
        }
    };
    assert_eq!(within(piling).await, Err(CallError::Busy));
}

#[tokio::test]
async fn strangers_who_stall_or_babble_keep_no_member_out() {
    let (one, mut two) = pair();
    let mut strangers = Vec::new();
    for at in 0..40 {
        let mut socket = TcpStream::connect(two.rpc.local_addr()).await.expect("it listens");
        if at % 2 == 0 {
            socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a write");
        }
        strangers.push(socket);
    }
    let (answer, from) = tokio::join!(one.raft(TWO, "hello"), echo_one(&mut two.inbox));
    assert_eq!((answer, from), (Ok(Bytes::from("hello")), one.id));
    let mut rest = Vec::new();
    let ended = within(strangers.swap_remove(0).read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.len() < 64, "babbling gets an alert: {rest:?}");
}

#[tokio::test]
async fn a_closed_port_and_a_port_of_something_else_are_explained() {
    let one = Node::member(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let something_else = async {
        let (mut socket, _) = listener.accept().await.expect("a caller");
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("a write");
        socket
    };
    let join = one.rpc.call_address(&address, Service::Join, Bytes::new(), PATIENCE);
    let Err(CallError::Unreachable { reason, .. }) = tokio::join!(join, something_else).0 else {
        panic!("that was no node");
    };
    assert!(reason.contains("TLS"), "{reason}");

    drop(listener);
    let join = one.rpc.call_address(&address, Service::Join, Bytes::new(), PATIENCE).await;
    assert!(matches!(join, Err(CallError::Unreachable { .. })), "{join:?}");
}

#[tokio::test]
async fn names_are_resolved() {
    let (one, mut two) = pair();
    one.rpc.learn(two.id, &format!("localhost:{}", two.rpc.local_addr().port()));
    let (answer, _) = tokio::join!(one.raft(TWO, "hello"), echo_one(&mut two.inbox));
    assert_eq!(answer, Ok(Bytes::from("hello")));
}

#[tokio::test]
async fn a_stopping_node_answers_what_it_has_begun_and_ends_all_its_tasks() {
    let (one, mut two) = pair();
    let owner = async {
        let call = within(two.inbox.raft.recv()).await.expect("the service runs");
        two.stop.cancel();
        call.answer(Ok(Bytes::from("last words")));
    };
    let (answer, ()) = tokio::join!(one.raft(TWO, ""), owner);
    assert_eq!(answer, Ok(Bytes::from("last words")));
    two.end().await;
    one.end().await;
}

/// A client's request to a path, with what it has no business to say.
fn clients_request(body: &str) -> http::Request<String> {
    let request = http::Request::post("/v1/chat/completions?a=1")
        .header("authorization", "Bearer sk-1")
        .header("connection", "keep-alive")
        .header("dunlin-to", "elsewhere")
        .header("dunlin-client", "1.2.3.4");
    request.body(body.to_owned()).expect("a request")
}

#[tokio::test]
async fn a_clients_request_is_passed_on_whole_and_answered() {
    let (one, mut two) = pair();
    let client = IpAddr::from(Ipv4Addr::new(192, 0, 2, 7));
    let owner = async {
        let passed_on = within(two.inbox.clients.recv()).await.expect("the service runs");
        assert_eq!((passed_on.from, passed_on.client), (one.id, Some(client)));
        let answering = async |request: http::Request<Body>| {
            let (parts, body) = request.into_parts();
            assert_eq!(parts.uri, "/v1/chat/completions?a=1");
            assert_eq!(parts.headers.get("authorization").expect("kept"), "Bearer sk-1");
            let own = parts.headers.keys().any(|name| name.as_str().starts_with("dunlin-"));
            assert!(!own, "{:?}", parts.headers);
            // The bytes go back as they come.
            let answer = http::Response::builder().status(429).header("x-echo", "yes");
            answer.body(body).expect("an answer")
        };
        passed_on.answer(answering).await;
    };
    let (answer, ()) =
        tokio::join!(one.rpc.pass_on(TWO, Some(client), clients_request("hello")), owner);
    let (head, body) = answer.expect("answered").into_parts();
    assert_eq!((head.status.as_u16(), head.version), (429, http::Version::HTTP_11));
    assert_eq!(head.headers.get("x-echo").expect("passed"), "yes");
    assert_eq!(within(body.collect()).await.expect("whole").to_bytes(), "hello");
}

#[tokio::test]
async fn a_clients_request_goes_to_no_stranger_and_is_not_lost_in_silence() {
    let (one, two) = pair();
    // Nobody takes it.
    drop(two.inbox.clients);
    let refused = one.rpc.pass_on(TWO, None, clients_request("")).await;
    assert!(matches!(refused, Err(CallError::Refused { .. })), "{refused:?}");
    let stranger = Node::pristine(3);
    stranger.rpc.enter_cluster(ClusterId(8));
    one.knows(&stranger);
    let refused = one.rpc.pass_on(stranger.id, None, clients_request("")).await;
    assert!(matches!(refused, Err(CallError::Refused { .. })), "{refused:?}");
    let nobody = one.rpc.pass_on(NodeId(9), None, clients_request("")).await;
    assert!(matches!(nobody, Err(CallError::UnknownPeer { .. })), "{nobody:?}");
}

#[tokio::test]
async fn while_one_secret_takes_the_place_of_another_all_call_each_other() {
    let of = |id, current: &str, previous: Option<&str>| {
        let secrets = Secrets::new(Secret::new(current), previous.map(Secret::new));
        let node = Node::start_with(id, secrets, LOOPBACK.into());
        node.rpc.enter_cluster(CLUSTER);
        node
    };
    let (old, new) = ("the old secret of the tests", "the new secret of the tests");
    let nodes = [of(1, old, None), of(2, new, Some(old)), of(3, new, None), of(4, new, Some(old))];
    for (one, other, meet) in
        [(0, 1, true), (1, 0, true), (1, 2, true), (2, 1, true), (1, 3, true), (0, 2, false)]
    {
        let (one, other) = (&nodes[one], &nodes[other]);
        one.knows(other);
        let told = one.rpc.call_address(&other.address(), Service::Join, Bytes::new(), SHORT).await;
        let refused = matches!(told, Err(CallError::WrongSecret { .. }));
        assert_eq!(refused, !meet, "{} to {}: {told:?}", one.id, other.id);
    }
}
