//! Attempts over real sockets: what is counted, what is cancelled, what a failure teaches.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::{Egress, Proxies};
use dunlin_gossip::{Fact, Gossip, HealthFact, Reported};
use dunlin_identity::{Identity, Surroundings};
use dunlin_llm::{ChatRequest, Endpoint, StreamEvent, Target, parse};
use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use dunlin_router::{BackendId, Catalog, Deployment, Group, Keepalive, Retry, Strategy, Weight};
use dunlin_types::{
    AzureLogin, AzureSource, Clock, DeploymentId, Epoch, GoogleSource, MonoMillis, NodeId, Secret,
    Source, Tls, Tokens, Trust, UnixMillis,
};
use dunlin_upstream::{Answer, Bounds, Config, MAX_HELD_REPLY_BYTES, Relay, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[expect(clippy::disallowed_methods, reason = "tests read the real clock")]
fn clock() -> Clock {
    let start = std::time::Instant::now();
    let mono =
        move || MonoMillis(1_000 + u64::try_from(start.elapsed().as_millis()).expect("short"));
    Clock::new(|| UnixMillis(1_700_000_000_000), mono)
}

fn gossip(me: u64, seeds: Vec<String>, clock: &Clock) -> Gossip {
    let config = dunlin_gossip::Config {
        me: NodeId(me),
        epoch: Epoch(1),
        listen: "127.0.0.1:0".parse().expect("an address"),
        advertise: "127.0.0.1:0".to_owned(),
        seeds,
        cluster_name: "test".to_owned(),
        secrets: Secret::new("a secret of the tests").into(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    Gossip::start(config, clock.clone()).expect("a free port")
}

fn node(me: u64, seeds: Vec<String>) -> (Upstream, Gossip) {
    let clock = clock();
    let gossip = gossip(me, seeds, &clock);
    (start(&gossip, clock, &TaskTracker::new()), gossip)
}

fn start(gossip: &Gossip, clock: Clock, tasks: &TaskTracker) -> Upstream {
    let (egress, stop) = (Egress::new(Proxies::default()), CancellationToken::new());
    let identity = dunlin_identity::Config {
        surroundings: Surroundings::default(),
        egress: egress.clone(),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
    };
    let identity = Identity::start(identity, clock.clone());
    let config = Config { egress, identity, tasks: tasks.clone(), stop };
    Upstream::start(&config, clock, gossip.clone())
}

/// Looks until `condition` holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let held = async {
        while !condition() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), held).await.expect(what);
}

/// What any live peer of `gossip` says of `group`'s deployment number `at`.
fn told(gossip: &Gossip, group: &Group, at: usize) -> Option<Reported> {
    let backend = &group.deployments[at].backend;
    gossip.view().peers.values().find_map(|peer| peer.health.backends.get(backend).copied())
}

fn group(bases: &[String]) -> Group {
    let deployment = |(at, base): (usize, &String)| {
        Arc::new(Deployment {
            id: DeploymentId(format!("id-{at}").into()),
            backend: BackendId::new(base, "m"),
            group: "g".into(),
            provider: "openai".into(),
            target: Target {
                api_base: base.as_str().into(),
                model: "m".into(),
                ..Target::default()
            },
            weight: Weight::default(),
            limits: dunlin_router::DeploymentLimits::default(),
            budget: None,
            tags: Arc::default(),
            region: None,
            max_input: None,
            order: 0,
            timeout: Duration::from_secs(10),
            stream_timeout: Duration::from_secs(10),
            keepalive: Keepalive::default(),
            num_retries: None,
            cooldown: None,
            allowed_fails: Default::default(),
            price: Default::default(),
            prices: Arc::default(),
            about: Arc::default(),
            parked: None,
        })
    };
    Group { name: "g".into(), deployments: bases.iter().enumerate().map(deployment).collect() }
}

fn catalog(group: &Group) -> Catalog {
    Catalog { groups: [(group.name.clone(), group.clone())].into(), ..Catalog::default() }
}

fn chat(extra: &str) -> ChatRequest {
    let body = format!(r#"{{"model":"g","messages":[]{extra}}}"#);
    parse(Endpoint::ChatCompletions, Bytes::from(body), None).expect("a request")
}

async fn call(upstream: &Upstream, group: &Group, chat: &ChatRequest) -> Result<Answer, String> {
    call_within(upstream, group, chat, &[], bounds(LONG)).await
}

/// A call for which the deployments numbered `tried` were tried.
async fn call_within(
    upstream: &Upstream,
    group: &Group,
    chat: &ChatRequest,
    tried: &[usize],
    bounds: Bounds,
) -> Result<Answer, String> {
    let tried = tried.iter().map(|at| group.deployments[*at].id.clone()).collect();
    let attempt = upstream
        .start_attempt(group, Strategy::LeastBusy, &tried, Tokens(1))
        .map_err(|none| format!("none picked: {none:?}"))?;
    upstream.call(attempt, chat, bounds).await.map_err(|failure| failure.to_string())
}

fn bounds(first: Duration) -> Bounds {
    Bounds { first, client_bound: false, retry: Retry::default() }
}

const LONG: Duration = Duration::from_secs(10);

/// Serves SSE answers over keep-alive connections and counts them. The last chunk of the HTTP
/// framing is a write of its own, as uvicorn does it.
async fn sse_server(connections: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}/v1", listener.local_addr().expect("bound"));
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            socket.set_nodelay(true).expect("a socket");
            TaskTracker::new().spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let mut buffer = [0; 4096];
                    match socket.read(&mut buffer).await {
                        Ok(0) | Err(_) => return,
                        Ok(count) => seen.extend_from_slice(&buffer[..count]),
                    }
                    if !seen.ends_with(b"}") {
                        continue;
                    }
                    seen.clear();
                    let frames = [
                        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
                        "data: [DONE]\n\n",
                    ];
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                                transfer-encoding: chunked\r\n\r\n";
                    socket.write_all(head.as_bytes()).await.expect("open");
                    for frame in frames {
                        let chunk = format!("{:x}\r\n{frame}\r\n", frame.len());
                        socket.write_all(chunk.as_bytes()).await.expect("open");
                    }
                    if socket.write_all(b"0\r\n\r\n").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    base
}

#[tokio::test]
async fn by_usage_the_one_that_was_sent_least_is_next() {
    let (upstream, _gossip) = node(1, Vec::new());
    let group = group(&["http://one/v1".to_owned(), "http://two/v1".to_owned()]);
    upstream.publish(&catalog(&group));
    let start = |tokens| {
        let started =
            upstream.start_attempt(&group, Strategy::LeastUsed, &[].into(), Tokens(tokens));
        started.map(|attempt| attempt.deployment().id.clone()).expect("both are ready")
    };
    let (first, second) = (start(100), start(10));
    assert_ne!(first, second);
    assert_eq!([start(10), start(10)], [second.clone(), second], "30 tokens are less than 100");
}

#[tokio::test]
async fn streams_one_after_another_share_a_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let group = group(&[sse_server(Arc::clone(&connections)).await]);
    let (clock, tasks) = (clock(), TaskTracker::new());
    let upstream = start(&gossip(1, Vec::new(), &clock), clock, &tasks);
    upstream.publish(&catalog(&group));
    let at_rest = tasks.len();
    for _ in 0..10 {
        let answer = call(&upstream, &group, &chat(r#","stream":true"#)).await;
        let Ok(Answer::Stream(mut stream)) = answer else { panic!("a stream") };
        loop {
            match poll_fn(|cx| stream.poll_next(cx)).await {
                Some(Ok(StreamEvent::Done(_))) => break,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        drop(stream);
        eventually("the rest of the answer is read", || tasks.len() == at_rest).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_upstream_at_once() {
    let mock = MockUpstream::start(Settings::default()).await.expect("a free port");
    mock.set_fault(Fault::Hang).await;
    let group = group(&[mock.api_base()]);
    let (upstream, _gossip) = node(1, Vec::new());
    upstream.publish(&catalog(&group));
    for extra in ["", r#","stream":true"#] {
        let before = mock.stats().cancelled;
        let chat = chat(extra);
        {
            let calling = call(&upstream, &group, &chat);
            tokio::select! {
                _ = calling => panic!("it hangs"),
                _ = mock.until(|stats| stats.in_flight == 1) => {}
            }
        }
        let cancelled = mock.until(|stats| stats.cancelled == before + 1);
        tokio::time::timeout(Duration::from_millis(100), cancelled).await.expect("cancelled");
        assert_eq!(upstream.backends(&catalog(&group))[0].in_flight, 0);
    }
}

#[tokio::test]
async fn what_cannot_be_put_to_a_provider_is_not_its_fault_and_shows_nothing_of_it() {
    let mut group = group(&["http://127.0.0.1:1".to_owned()]);
    let mut claude = Deployment::clone(&group.deployments[0]);
    claude.provider = "anthropic".into();
    group.deployments[0] = Arc::new(claude);
    let (upstream, _gossip) = node(1, Vec::new());
    upstream.publish(&catalog(&group));
    let is_out = || upstream.backends(&catalog(&group))[0].out;
    assert!(call(&upstream, &group, &chat(r#","max_tokens":9"#)).await.is_err());
    assert!(is_out(), "nobody is there");
    let body = Bytes::from(r#"{"model":"g","input":"x"}"#);
    let vectors = parse(Endpoint::Embeddings, body, None).expect("a request");
    let attempt = upstream.attempt_at(&group.deployments[0], Tokens(1));
    let failed = upstream.call(attempt, &vectors, bounds(LONG)).await;
    let Err(failure) = failed else { panic!("it has no vectors") };
    let told = failure.error.client_message();
    assert_eq!(told, "litellm.BadRequestError: anthropic does not serve /embeddings");
    assert!(is_out(), "it was not asked");
}

#[tokio::test]
async fn a_client_that_is_in_a_hurry_says_nothing_of_the_deployment() {
    let slow = Settings { first_byte: Duration::from_secs(5), ..Settings::default() };
    let mock = MockUpstream::start(slow).await.expect("a free port");
    let group = group(&[mock.api_base(), mock.api_base()]);
    let (upstream, _gossip) = node(1, Vec::new());
    upstream.publish(&catalog(&group));
    for (client_bound, cools_down) in [(true, false), (false, true)] {
        for _ in 0..5 {
            let bounds = Bounds { client_bound, ..bounds(Duration::from_millis(1)) };
            assert!(call_within(&upstream, &group, &chat(""), &[1], bounds).await.is_err());
        }
        let cooling_for = upstream.backends(&catalog(&group))[0].cooling_for;
        assert_eq!(cooling_for.is_some(), cools_down, "bound of the client's: {client_bound}");
    }
}

#[tokio::test]
async fn failures_make_suspect_and_a_probe_decides() {
    let mock = MockUpstream::start(Settings::default()).await.expect("a free port");
    let group = group(&[mock.api_base()]);
    let (upstream, _gossip) = node(1, Vec::new());
    let catalog = catalog(&group);
    upstream.publish(&catalog);
    let out = || upstream.backends(&catalog)[0].out;
    let fail = async || {
        for _ in 0..3 {
            let poisoned = chat(r#","upstream_status":500"#);
            assert!(call(&upstream, &group, &poisoned).await.is_err());
        }
    };
    fail().await;
    assert!(!out(), "a request may have brought it about itself");
    mock.set_fault(Fault::Loading).await;
    fail().await;
    eventually("the probe fails", out).await;
    mock.set_fault(Fault::None).await;
    eventually("a later one does not", || !out()).await;
}

#[tokio::test]
async fn a_server_without_stream_options_is_asked_without_them() {
    let refusals = Arc::new(AtomicUsize::new(0));
    let group = group(&[plain_server(Arc::clone(&refusals)).await]);
    let (upstream, _gossip) = node(1, Vec::new());
    upstream.publish(&catalog(&group));
    let own = r#","stream":true,"stream_options":{"include_usage":true}"#;
    for asked in [own, r#","stream":true"#, own] {
        let answer = call(&upstream, &group, &chat(asked)).await;
        assert!(answer.is_ok(), "{asked}: {:?}", answer.err());
        assert_eq!(refusals.load(Ordering::SeqCst), 1, "once is remembered");
    }
}

/// A server that knows no `stream_options`, and counts how often it has refused them.
async fn plain_server(refusals: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}/v1", listener.local_addr().expect("bound"));
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut seen = vec![0; 4096];
            let mut count = 0;
            while !seen[..count].ends_with(b"}") {
                count += socket.read(&mut seen[count..]).await.expect("a request");
            }
            let answer = if String::from_utf8_lossy(&seen[..count]).contains("stream_options") {
                refusals.fetch_add(1, Ordering::SeqCst);
                let body = r#"{"error":{"message":"Unrecognized argument: stream_options"}}"#;
                let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length:";
                format!("{head} {}\r\n\r\n{body}", body.len())
            } else {
                let body = "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")
            };
            socket.write_all(answer.as_bytes()).await.expect("open");
        }
    });
    base
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peers_429_does_not_black_out_a_group_of_one() {
    let mock = MockUpstream::start(Settings::default()).await.expect("a free port");
    let group = group(&[mock.api_base()]);
    let clock = clock();
    let peer = gossip(1, Vec::new(), &clock);
    let (upstream, _gossip) = node(2, vec![peer.local_addr().to_string()]);
    let catalog = catalog(&group);
    upstream.publish(&catalog);
    let limited = Reported::RateLimited { for_ms: 30_000 };
    let backends = [(group.deployments[0].backend.clone(), limited)].into();
    peer.publish(Fact::Health(HealthFact { backends }));
    let heard = || upstream.backends(&catalog)[0].cooling_for.is_some();
    eventually("the peer's word arrives", heard).await;
    assert!(!upstream.has_ready(&group, Strategy::LeastBusy, &[].into()));
    let answer = call(&upstream, &group, &chat("")).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cut_off_from_a_backend_keeps_it_from_nobody() {
    let mock = MockUpstream::start(Settings::default()).await.expect("a free port");
    let group = group(&[mock.api_base()]);
    // Node 1 has no way to the backend, and says so all the time.
    let clock = clock();
    let cut_off = gossip(1, Vec::new(), &clock);
    let (second, other) = node(2, vec![cut_off.local_addr().to_string()]);
    second.publish(&catalog(&group));
    let backends = [(group.deployments[0].backend.clone(), Reported::Unreachable)].into();
    cut_off.publish(Fact::Health(HealthFact { backends }));
    eventually("the peer's word arrives", || told(&other, &group, 0).is_some()).await;
    mock.set_fault(Fault::Refuse).await;
    assert!(call(&second, &group, &chat("")).await.is_err());
    mock.set_fault(Fault::None).await;
    let back = || !second.backends(&catalog(&group))[0].out;
    eventually("its own probe brings it back", back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_hear_of_a_429_once_it_is_every_accounts() {
    let mock = MockUpstream::start(Settings::default()).await.expect("a free port");
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = format!("http://{}/v1", gone.local_addr().expect("bound"));
    drop(gone);
    // Two accounts with one provider: the same address and model, two keys.
    let mut group = group(&[mock.api_base(), mock.api_base(), nobody]);
    for (deployment, key) in group.deployments.iter_mut().zip(["sk-one", "sk-two"]) {
        Arc::make_mut(deployment).target.api_key = Some(Secret::new(key));
    }
    let (first, gossip) = node(1, Vec::new());
    let (second, other) = node(2, vec![gossip.local_addr().to_string()]);
    first.publish(&catalog(&group));
    second.publish(&catalog(&group));
    let limited = async |tried: [usize; 2]| {
        mock.set_fault_for(Fault::Status { code: 429, retry_after: Some(30) }, 1).await;
        assert!(call_within(&first, &group, &chat(""), &tried, bounds(LONG)).await.is_err());
    };
    limited([1, 2]).await;
    assert!(
        call_within(&first, &group, &chat(""), &[0, 1], bounds(LONG)).await.is_err(),
        "nobody there"
    );
    eventually("the peer hears", || told(&other, &group, 2).is_some()).await;
    assert_eq!(told(&other, &group, 0), None, "the other account may call");
    limited([0, 2]).await;
    let heard = || matches!(told(&other, &group, 0), Some(Reported::RateLimited { .. }));
    eventually("the peer hears that neither may", heard).await;
    let answer = call_within(&second, &group, &chat(""), &[1, 2], bounds(LONG)).await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// Answers one request with an empty reply, and gives its head.
async fn one_answer(listener: TcpListener) -> String {
    one_answer_with(&listener, "").await
}

/// The same with more fields in the head of the reply.
async fn one_answer_with(listener: &TcpListener, fields: &str) -> String {
    let (mut socket, _) = listener.accept().await.expect("open");
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        seen.push(socket.read_u8().await.expect("a request"));
    }
    let reply = r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#;
    let length = reply.len();
    let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {length}\r\n\r\n{reply}");
    socket.write_all(answer.as_bytes()).await.expect("open");
    String::from_utf8(seen).expect("a text").to_ascii_lowercase()
}

#[tokio::test]
async fn a_call_carries_the_token_of_its_identity() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let mut group = group(&[base.clone(), base]);
    let login = |login| Some(Source::Azure(AzureSource { login, scope: None }));
    let mut identify = |at: usize, identity| {
        Arc::make_mut(&mut group.deployments[at]).target.identity = identity;
    };
    identify(0, login(AzureLogin::Token(Secret::new("entra"))));
    identify(1, Some(Source::Google(GoogleSource::File("/no/such.json".into()))));
    let (upstream, _gossip) = node(1, Vec::new());
    upstream.publish(&catalog(&group));

    let chat = chat("");
    let calling = call_within(&upstream, &group, &chat, &[1], bounds(LONG));
    let (answer, head) = tokio::join!(calling, one_answer(listener));
    assert!(answer.is_ok(), "{:?}", answer.err());
    assert!(head.contains("authorization: bearer entra\r\n"), "{head}");

    let refused = call_within(&upstream, &group, &chat, &[0], bounds(LONG)).await;
    let said = refused.err().expect("there is no such file");
    assert!(said.contains("/no/such.json"), "{said}");
}

#[tokio::test]
async fn an_answer_is_asked_for_plain_and_one_that_cannot_be_read_is_told_for_what_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let group = group(&[format!("http://{}", listener.local_addr().expect("bound"))]);
    let (upstream, _gossip) = node(1, Vec::new());
    upstream.publish(&catalog(&group));
    let many: String = (0..300).map(|at| format!("x-{at}: y\r\n")).collect();
    for (fields, expected) in [
        ("content-encoding: identity\r\n", None),
        ("content-encoding: gzip\r\n", Some("encoded as `gzip`")),
        (&*many, Some("more than 256 header fields")),
    ] {
        let chat = chat("");
        let calling = call(&upstream, &group, &chat);
        let (answer, head) = tokio::join!(calling, one_answer_with(&listener, fields));
        assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
        let said = answer.err();
        match expected {
            None => assert_eq!(said, None),
            Some(words) => {
                assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{said:?}")
            }
        }
    }
}

/// Answers one request with these bytes.
async fn answer_in(listener: &TcpListener, head: &str, body: &str) {
    let (mut socket, _) = listener.accept().await.expect("open");
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        assert!(socket.read_buf(&mut seen).await.expect("a request") > 0, "cut off");
    }
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(answer.as_bytes()).await.expect("open");
}

#[tokio::test]
async fn google_is_left_alone_as_long_as_its_body_asks_unless_a_header_says_how_long() {
    let body = r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED",
        "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}"#;
    for (fields, expected) in [("", 7), ("\r\nretry-after: 3", 3)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut group = group(&[format!("http://{}", listener.local_addr().expect("bound"))]);
        Arc::make_mut(&mut group.deployments[0]).provider = "gemini".into();
        Arc::make_mut(&mut group.deployments[0]).target.api_key = Some(Secret::new("k"));
        let (upstream, _gossip) = node(1, Vec::new());
        upstream.publish(&catalog(&group));
        let attempt = upstream
            .start_attempt(&group, Strategy::LeastBusy, &BTreeSet::new(), Tokens(1))
            .expect("one is there");
        let chat = chat("");
        let head = format!("429 Too Many Requests{fields}");
        let answering = answer_in(&listener, &head, body);
        let (answer, ()) = tokio::join!(upstream.call(attempt, &chat, bounds(LONG)), answering);
        let failure = answer.err().expect("refused");
        assert_eq!(failure.retry_after, Some(Duration::from_secs(expected)));
    }
}

#[tokio::test]
async fn a_response_that_fails_as_it_begins_has_its_own_status_whatever_it_used() {
    for usage in ["null", r#"{"input_tokens":7,"output_tokens":0,"total_tokens":7}"#] {
        let body = format!(
            "data: {{\"type\":\"response.created\",\"response\":{{\"id\":\"r\"}}}}\n\n\
             data: {{\"type\":\"response.failed\",\"response\":{{\"id\":\"r\",\"usage\":{usage},\
             \"error\":{{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}}}}}\n\n"
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let mut group = group(&[base]);
        Arc::make_mut(&mut group.deployments[0]).target.responses = true;
        let (upstream, _gossip) = node(1, Vec::new());
        upstream.publish(&catalog(&group));
        let chat = chat(r#","stream":true"#);
        let head = "200 OK\r\ncontent-type: text/event-stream";
        let answering = answer_in(&listener, head, &body);
        let (answer, ()) = tokio::join!(call(&upstream, &group, &chat), answering);
        let said = answer.err().expect("nothing has been answered yet");
        assert!(said.contains("slow"), "{usage}: {said}");
    }
}

#[tokio::test]
async fn a_failure_that_repeats_the_key_is_told_without_it() {
    let error = r#"{"error":{"message":"Incorrect API key provided: Bearer sk-up"}}"#;
    let event = format!("data: {error}\n\n");
    for (extra, head, body) in [
        ("", "401 Unauthorized", error),
        (r#","stream":true"#, "200 OK\r\ncontent-type: text/event-stream", &*event),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let mut group = group(&[base]);
        Arc::make_mut(&mut group.deployments[0]).target.api_key = Some(Secret::new("sk-up"));
        let (upstream, _gossip) = node(1, Vec::new());
        upstream.publish(&catalog(&group));
        let chat = chat(extra);
        let answering = answer_in(&listener, head, body);
        let (answer, ()) = tokio::join!(call(&upstream, &group, &chat), answering);
        let said = answer.err().expect("it failed");
        assert!(said.contains("provided: Bearer ******") && !said.contains("sk-up"), "{said}");
    }
}

#[tokio::test]
async fn a_deployment_whose_ca_file_is_missing_is_not_called_in_another_way() {
    let mock = MockUpstream::start(Settings::default()).await.expect("a free port");
    let mut group = group(&[mock.api_base()]);
    let tls = Tls { trust: Trust::PublicAnd("/no/such.pem".into()), client_certificate: None };
    Arc::make_mut(&mut group.deployments[0]).target.tls = tls;
    let (upstream, _gossip) = node(1, Vec::new());
    upstream.publish(&catalog(&group));
    let said = call(&upstream, &group, &chat("")).await.err().expect("it is not called");
    assert!(said.contains("/no/such.pem"), "{said}");
}

#[tokio::test]
async fn what_is_too_long_to_be_translated_is_an_error_and_else_passes() {
    let base = long_server(MAX_HELD_REPLY_BYTES + 1).await;
    let (upstream, _gossip) = node(1, Vec::new());
    for (provider, expected) in [("openai", None), ("anthropic", Some("more than 32 MB"))] {
        let mut group = group(std::slice::from_ref(&base));
        Arc::get_mut(&mut group.deployments[0]).expect("one owner").provider = provider.into();
        upstream.publish(&catalog(&group));
        match (call(&upstream, &group, &chat("")).await, expected) {
            (Ok(Answer::Long(_)), None) => {}
            (Err(words), Some(expected)) => assert!(words.contains(expected), "{words}"),
            (Ok(_), _) => panic!("{provider}: it was held, or passed"),
            (Err(words), None) => panic!("{provider}: {words}"),
        }
    }
}

/// Answers with a JSON object of so many bytes.
async fn long_server(bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}/v1", listener.local_addr().expect("bound"));
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut seen = vec![0; 4096];
            let mut count = 0;
            while !seen[..count].ends_with(b"}") {
                count += socket.read(&mut seen[count..]).await.expect("a request");
            }
            let body = format!("{{\"id\":\"{}\"}}", "x".repeat(bytes));
            // It answers once, and says so: else the next call may come before it has hung up.
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            // Who has seen enough hangs up.
            let _sent = socket.write_all(answer.as_bytes()).await;
        }
    });
    base
}

/// It was asked for plain, and whoever passes it on looks inside.
#[tokio::test]
async fn a_passed_answer_that_is_compressed_all_the_same_is_unpacked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1/responses/resp_1", listener.local_addr().expect("bound"));
    let (upstream, _gossip) = node(1, Vec::new());
    let text = br#"{"id":"resp_1","usage":{"input_tokens":7}}"#;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, text).expect("a Vec takes all");
    let packed = packed.finish().expect("a Vec takes all");
    let serve = async {
        let (mut socket, _) = listener.accept().await.expect("a call");
        let mut seen = [0; 4096];
        assert_ne!(socket.read(&mut seen).await.expect("a request"), 0);
        let head =
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length:";
        let head = format!("{head} {}\r\n\r\n", packed.len());
        socket.write_all(head.as_bytes()).await.expect("open");
        socket.write_all(&packed).await.expect("open");
    };
    let call = Relay {
        method: http::Method::GET,
        path: String::new(),
        query: None,
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        secret: None,
    };
    let (answered, ()) = tokio::join!(upstream.fetch(url, (call, None), LONG), serve);
    let mut answered = answered.expect("an answer");
    assert!(!answered.headers.contains_key("content-encoding"), "{:?}", answered.headers);
    assert!(!answered.headers.contains_key("content-length"), "it is that of other bytes");
    let mut read = Vec::new();
    while !answered.body.is_over()
        && let Some(piece) = poll_fn(|cx| answered.body.poll_next(cx)).await
    {
        read.extend_from_slice(&piece.expect("it is whole"));
    }
    assert_eq!(read, text);
}
