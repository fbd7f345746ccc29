//! Clients that break the rules of HTTP and of WebSocket, over real connections: each is answered
//! or cut off in time, and nothing is left of it. What is sent follows from a seed: a failure names
//! it, and `DUNLIN_SEED=<seed>` runs that one alone.

use std::time::Duration;

use anyhow::{Context, ensure};
use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{self, SOON, Setup, deployment};

/// How many seeds are tried.
const SEEDS: u64 = 96;
/// How long a client that has said all may wait for the end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// What is read of an answer.
const MAX_ANSWER: u64 = 4 << 20;

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let (chat, talk) =
        (deployment("chat", "openai/up", &base), deployment("talk", "openai/talk-up", &base));
    let config = format!(
        "model_list:\n{chat}{talk}general_settings:\n  max_request_size_mb: 1\n  \
         require_auth_for_metrics_endpoint: false\n"
    );
    harness::start_with(1, mock, config).await
}

/// SplitMix64: the same numbers from the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(of.len() as u64)).expect("below a length");
        &of[at]
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.byte()).collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "one seed is run again by whoever looks for its fault"
)]
fn seeds() -> Vec<u64> {
    let asked = std::env::var("DUNLIN_SEED").ok().and_then(|seed| seed.parse().ok());
    asked.map_or_else(|| (0..SEEDS).collect(), |seed| vec![seed])
}

async fn connect(setup: &Setup) -> anyhow::Result<TcpStream> {
    let url = setup.cluster.url(0, "");
    Ok(TcpStream::connect(url.trim_start_matches("http://").trim_end_matches('/')).await?)
}

/// With this in a request, its client waits for the answer and ends nothing itself.
const CLOSE: &str = "connection: close\r\n";

/// Sends all, says that there is no more, and gives what is answered until the end.
async fn exchange(setup: &Setup, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut client = connect(setup).await?;
    let talking = async {
        // A server that has heard enough may hang up before all is sent.
        let _sent = client.write_all(bytes).await;
        // One that hangs up at once is owed no answer.
        if !bytes.windows(CLOSE.len()).any(|part| part == CLOSE.as_bytes()) {
            let _told = client.shutdown().await;
        }
        let mut answer = Vec::new();
        let _reset = (&mut client).take(MAX_ANSWER).read_to_end(&mut answer).await;
        answer
    };
    tokio::time::timeout(END_WITHIN, talking).await.context("it hangs")
}

/// A gauge of the node's own.
async fn gauge(setup: &Setup, name: &str) -> Option<u64> {
    let page = setup.cluster.client().get(&setup.cluster.url(0, "/metrics/")).await.ok()?;
    let line = page.body.lines().find(|line| line.starts_with(&format!("{name} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Nothing is left of anybody, and the node serves.
async fn assert_well(setup: &Setup) -> anyhow::Result<()> {
    wait_until("nothing is in flight", SOON, async || {
        let status = setup.cluster.status(0).await;
        let idle = status.is_ok_and(|status| status.backends.iter().all(|one| one.in_flight == 0));
        // The connection that asks, and those that the client keeps.
        let few = gauge(setup, "dunlin_connections").await.is_some_and(|open| open < 12);
        idle && few
            && gauge(setup, "dunlin_streams").await == Some(0)
            && gauge(setup, "dunlin_conversations").await == Some(0)
    })
    .await?;
    let caller = setup.make_key(0, json!({"max_parallel_requests": 1})).await?;
    let reply = setup.chat(0, &caller).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.body);
    let log = setup.cluster.nodes()[0].log_tail();
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

fn head(key: &str, more: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: n1\r\ncontent-type: application/json\r\n\
         authorization: Bearer {key}\r\n{more}\r\n"
    )
}

const CHAT: &str = r#"{"model":"chat","messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_chunks_are_broken_is_a_bad_request() -> anyhow::Result<()> {
    let setup = start().await?;
    let key = setup.make_key(0, json!({})).await?;
    let head = head(key.key(), "transfer-encoding: chunked\r\n");
    for chunks in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}x0\r\n\r\n",
        "\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}\r\n",
        "2;\u{1}\n{}\r\n0\r\n\r\n",
    ] {
        let answer = exchange(&setup, format!("{head}{chunks}").as_bytes()).await?;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert!(answer.contains("Transfer-Encoding: chunked"), "{chunks:?}: {answer}");
        assert!(answer.contains("invalid_request_error"), "{chunks:?}: {answer}");
    }
    let whole = format!("{head}{:x};x=1\r\n{CHAT}\r\n0\r\nx-trailer: 1\r\n\r\n", CHAT.len());
    let mut client = connect(&setup).await?;
    client.write_all(whole.as_bytes()).await?;
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, client.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"HTTP/1.1 200", "chunks that are well framed are read");
    drop(client);
    assert_well(&setup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_management_request_hears_what_is_wrong_with_its_body() -> anyhow::Result<()> {
    let setup = start().await?;
    let head = |more: &str| {
        format!(
            "POST /key/generate HTTP/1.1\r\nhost: n1\r\n{CLOSE}\
             content-type: application/json\r\nauthorization: Bearer {}\r\n{more}\r\n",
            setup.cluster.master_key()
        )
    };
    let long = " ".repeat((1 << 20) + 1);
    let cases = [
        (head("transfer-encoding: chunked\r\n") + "zz\r\n{}\r\n0\r\n\r\n", "400", "chunked"),
        (head("content-length: 2\r\ncontent-encoding: gzip\r\n") + "{}", "415", "Content-Encoding"),
        (head(&format!("content-length: {}\r\n", long.len())) + &long, "413", "1048576 bytes"),
    ];
    for (request, status, why) in cases {
        let answer = exchange(&setup, request.as_bytes()).await?;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        assert!(answer.contains(why), "{status}: {answer}");
        assert!(answer.contains("invalid_request_error"), "{status}: {answer}");
    }
    assert_well(&setup).await
}

/// A request that breaks some rule.
fn request(dice: &mut Dice, key: &str) -> Vec<u8> {
    let length = format!("content-length: {}\r\n", CHAT.len());
    let chunked = "transfer-encoding: chunked\r\n";
    let mut bytes = match dice.below(9) {
        0 => format!("{}{CHAT}", head(key, &length)),
        // The body breaks off.
        1 => format!("{}{}", head(key, &length), &CHAT[..CHAT.len() / 2]),
        2 => format!("{}{:x}\r\n{CHAT}\r\n0\r\n\r\n", head(key, chunked), CHAT.len()),
        3 => format!("{}{:x}\r\n{CHAT}", head(key, chunked), dice.below(1 << 40)),
        // Two lengths, or a length and chunks: a way to smuggle a second request.
        4 => format!("{}{CHAT}", head(key, &format!("{length}content-length: 1\r\n"))),
        5 => format!("{}0\r\n\r\n{CHAT}", head(key, &format!("{length}{chunked}"))),
        6 => {
            let long = "x".repeat(usize::try_from(dice.below(200_000)).expect("small"));
            format!("{}{CHAT}", head(key, &format!("{length}x-long: {long}\r\n")))
        }
        7 => {
            format!("{}{}", head(key, "content-length: 4\r\ncontent-encoding: gzip\r\n"), "\u{1f}")
        }
        _ => format!("{}\r\n", "x: y\r\n".repeat(usize::try_from(dice.below(300)).expect("small"))),
    }
    .into_bytes();
    for _ in 0..dice.below(4) {
        let at = usize::try_from(dice.below(bytes.len() as u64)).expect("below a length");
        match dice.below(3) {
            0 => bytes[at] = dice.byte(),
            1 => drop(bytes.remove(at)),
            _ => {
                let more = dice.bytes(40);
                bytes.splice(at..at, more);
            }
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_break_the_rules_are_answered_or_cut() -> anyhow::Result<()> {
    let setup = start().await?;
    let key = setup.make_key(0, json!({})).await?;
    for seed in seeds() {
        let bytes = request(&mut Dice(seed), key.key());
        let answer = exchange(&setup, &bytes).await.with_context(|| format!("seed {seed}"))?;
        let answer = String::from_utf8_lossy(&answer);
        let Some(line) = answer.lines().next() else { continue };
        let status: u16 =
            line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        let fits = matches!(status, 200..=299 | 307 | 400..=499 | 501 | 505);
        assert!(fits, "seed {seed}: {answer}");
        assert!(!answer.contains("panicked"), "seed {seed}: {answer}");
    }
    assert_well(&setup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_drip_hold_nobody_up() -> anyhow::Result<()> {
    let setup = start().await?;
    let key = setup.make_key(0, json!({})).await?;
    let whole =
        format!("{}{CHAT}", head(key.key(), &format!("content-length: {}\r\n", CHAT.len())));
    let mut slow = Vec::new();
    // Some have sent nothing, some half a head, some half a body.
    for seed in 0..60 {
        let mut client = connect(&setup).await?;
        let sent = usize::try_from(Dice(seed).below(whole.len() as u64)).expect("small");
        client.write_all(&whole.as_bytes()[..sent]).await?;
        slow.push((client, sent));
    }
    for _ in 0..5 {
        assert_eq!(setup.chat(0, &key).await?.status, 200, "others are served meanwhile");
        for (client, sent) in &mut slow {
            if let Some(next) = whole.as_bytes().get(*sent) {
                client.write_all(&[*next]).await?;
                *sent += 1;
            }
        }
    }
    // One takes its time and is answered all the same.
    let (mut patient, sent) = slow.pop().context("there are some")?;
    patient.write_all(&whole.as_bytes()[sent..]).await?;
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, patient.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop((slow, patient));
    assert_well(&setup).await
}

/// A frame as RFC 6455 has it, or nearly.
fn frame(dice: &mut Dice) -> Vec<u8> {
    const CODES: [u8; 9] = [0, 1, 1, 2, 8, 9, 10, 3, 11];
    let turn = br#"{"type":"response.create","model":"chat","input":"hi"}"#;
    let mut payload = if dice.below(3) == 0 { turn.to_vec() } else { dice.bytes(200) };
    let is_final = u8::from(dice.below(4) != 0) << 7;
    let reserved = if dice.below(8) == 0 { *dice.one(&[0x40, 0x20, 0x10]) } else { 0 };
    let code = *dice.one(&CODES);
    if code == 8 {
        let close = *dice.one(&[0_u16, 999, 1000, 1001, 1005, 1006, 1015, 2999, 4000, 65_535]);
        payload.splice(0..0, close.to_be_bytes());
    }
    let masked = dice.below(8) != 0;
    let mut bytes = vec![is_final | reserved | code];
    let mark = u8::from(masked) << 7;
    match (dice.below(12), payload.len()) {
        // A length that is not the payload's, up to more than there can be.
        (0, _) => {
            bytes.push(mark | 127);
            bytes.extend_from_slice(&dice.next().to_be_bytes());
        }
        (1, _) => {
            bytes.push(mark | 127);
            bytes.extend_from_slice(&(32_u64 << 20).to_be_bytes());
        }
        (_, length @ 0..126) => bytes.push(mark | u8::try_from(length).expect("below 126")),
        (_, length) => {
            bytes.push(mark | 126);
            bytes.extend_from_slice(&u16::try_from(length).expect("short").to_be_bytes());
        }
    }
    if masked {
        let key = [dice.byte(), dice.byte(), dice.byte(), dice.byte()];
        bytes.extend_from_slice(&key);
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    bytes.extend_from_slice(&payload);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_rules_end_their_conversation_alone() -> anyhow::Result<()> {
    let setup = start().await?;
    let key = setup.make_key(0, json!({})).await?;
    for path in ["/v1/responses", "/v1/realtime?model=talk"] {
        let opening = format!(
            "GET {path} HTTP/1.1\r\nhost: n1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             authorization: Bearer {}\r\n\r\n",
            key.key()
        );
        for seed in seeds() {
            let mut dice = Dice(seed);
            let mut bytes = opening.clone().into_bytes();
            for _ in 0..=dice.below(6) {
                bytes.extend_from_slice(&frame(&mut dice));
            }
            let told = format!("{path}, seed {seed}");
            let answer = exchange(&setup, &bytes).await.context(told.clone())?;
            assert!(answer.starts_with(b"HTTP/1.1 101 "), "{told}");
        }
    }
    assert_well(&setup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_the_rules_of_frames_hears_which() -> anyhow::Result<()> {
    let setup = start().await?;
    let key = setup.make_key(0, json!({})).await?;
    let opening = format!(
        "GET /v1/responses HTTP/1.1\r\nhost: n1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         authorization: Bearer {}\r\n\r\n",
        key.key()
    );
    let mut long = vec![0x81, 0xff];
    long.extend_from_slice(&(2_u64 << 20).to_be_bytes());
    long.extend_from_slice(&[0; 4]);
    for (what, frame, code) in [
        ("not masked", vec![0x81, 2, b'{', b'}'], 1002_u16),
        ("a reserved bit", vec![0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("a reserved code", vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        ("a ping in pieces", vec![0x09, 0x80, 0, 0, 0, 0], 1002),
        ("a piece of nothing", vec![0x80, 0x80, 0, 0, 0, 0], 1002),
        ("no UTF-8", vec![0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        ("too long", long, 1009),
    ] {
        let mut bytes = opening.clone().into_bytes();
        bytes.extend_from_slice(&frame);
        let answer = exchange(&setup, &bytes).await.context(what)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context(what)? + 4;
        // The frame of the end: 0x88, its length, its code.
        let close = &answer[end..];
        assert!(close.len() > 3 && close[0] == 0x88, "{what}: {close:?}");
        assert_eq!(u16::from_be_bytes([close[2], close[3]]), code, "{what}");
    }
    assert_well(&setup).await
}
