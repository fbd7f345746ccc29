//! Hostile answers: whatever a provider sends, whole or as a stream, nobody panics, no line is kept for
//! ever, and a stream that breaks is never told as one that ended. Frames with checksums are spoiled
//! beside their provider.

use dunlin_llm::form::Delta;
use serde_json::Value;

use super::*;

const CLIENTS: [Endpoint; 5] = [
    Endpoint::ChatCompletions,
    Endpoint::Completions,
    Endpoint::Messages,
    Endpoint::Responses,
    Endpoint::StreamGenerateContent,
];

/// Stands for what JSON values are replaced by.
const HERE: &str = "\"@@hostile@@\"";

fn request(endpoint: Endpoint) -> ChatRequest {
    let said = r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#;
    let (named, said) = match endpoint.dialect() {
        Dialect::Gemini => ("", r#""contents":[{"parts":[{"text":"hi"}]}]"#),
        Dialect::Responses => (r#""model":"m","stream":true,"#, r#""input":"hi""#),
        Dialect::OpenAi if endpoint == Endpoint::Completions => {
            (r#""model":"m","stream":true,"#, r#""prompt":"hi""#)
        }
        Dialect::Anthropic | Dialect::OpenAi => (r#""model":"m","stream":true,"#, said),
    };
    let body = format!("{{{named}{said}}}");
    parse(endpoint, Bytes::from(body), Some("m")).unwrap()
}

/// Where the files of a kind come from.
fn target(prefix: &str) -> Target {
    let native = prefix.starts_with("native");
    let base = if native { "http://x" } else { "http://x/v1" };
    let responses = prefix.starts_with("responses");
    let region = Some("us-east-1".into());
    Target { api_base: base.into(), model: "m".into(), region, responses, ..Target::default() }
}

struct Sample {
    provider: &'static dyn Provider,
    to: Target,
    content: Bytes,
}

fn samples(prefixes: &[&str]) -> Vec<Sample> {
    let all =
        OWN.iter().flat_map(|provider| prefixes.iter().map(move |prefix| (*provider, *prefix)));
    all.flat_map(|(provider, prefix)| {
        let files = files(provider, prefix).into_iter();
        files.map(move |(_, content)| Sample { provider, to: target(prefix), content })
    })
    .collect()
}

fn streams() -> Vec<Sample> {
    samples(&["stream", "native-stream", "responses-stream"])
}

/// One way to spoil an answer.
#[derive(Clone, Debug)]
pub(crate) enum Spoil {
    /// It ends here.
    End(Index),
    /// A byte is another.
    Byte(Index, u8),
    /// A value of one of its objects is another.
    Value(Index, Index, &'static str),
    /// A value lies in many lists.
    Nest(Index, Index, usize),
    /// One frame or line is missing, doubled, or changes places with another.
    Drop(Index),
    Double(Index),
    Swap(Index, Index),
}

pub(crate) fn spoils() -> impl Strategy<Value = Spoil> {
    let values = [
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        "-1e-999",
        "18446744073709551615",
        "1e20",
        "4294967296",
        "99999999999999999999999999",
        "\"\"",
        "\"\\ud800\"",
        "\"\u{0}\"",
        "\"[DONE]\"",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "{\"\":{}}",
        "[1,\"a\",{}]",
        "\"\\u0000\"",
        "nul",
        "NaN",
        "{",
        "]",
        "\"",
    ];
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Spoil::End),
        (at(), any::<u8>()).prop_map(|(at, byte)| Spoil::Byte(at, byte)),
        (at(), at(), prop::sample::select(values.to_vec()))
            .prop_map(|(line, at, value)| Spoil::Value(line, at, value)),
        (at(), at(), prop::sample::select(vec![90, 130, 5_000]))
            .prop_map(|(line, at, depth)| Spoil::Nest(line, at, depth)),
        at().prop_map(Spoil::Drop),
        at().prop_map(Spoil::Double),
        (at(), at()).prop_map(|(one, other)| Spoil::Swap(one, other)),
    ]
}

/// The parts of a value, itself first.
fn count(value: &Value) -> usize {
    let parts = match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    1 + parts
}

/// Puts the mark in the place of a part.
fn mark(value: &mut Value, at: &mut usize) {
    if *at == 0 {
        *value = serde_json::from_str(HERE).unwrap();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(list) => list.iter_mut().for_each(|part| mark(part, at)),
        Value::Object(members) => members.values_mut().for_each(|part| mark(part, at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `text` with `new` in the place of one of the values in it: of an event's data, or of a whole body.
fn with_value(text: &str, at: &Index, new: &str) -> Option<String> {
    let start = text.find('{')?;
    let end = text.rfind('}')?;
    let mut value: Value = serde_json::from_str(text.get(start..=end)?).ok()?;
    let mut at = at.index(count(&value));
    mark(&mut value, &mut at);
    let spoiled = value.to_string().replacen(HERE, new, 1);
    Some(format!("{}{spoiled}{}", &text[..start], &text[end + 1..]))
}

/// The lines of a stream, or the one piece that a whole body is.
pub(crate) fn spoil(content: &[u8], spoil: &Spoil, separator: &str) -> Vec<u8> {
    let mut bytes = content.to_vec();
    match spoil {
        Spoil::End(at) => bytes.truncate(at.index(bytes.len().max(1))),
        Spoil::Byte(at, byte) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Spoil::Byte(..) => {}
        Spoil::Value(..)
        | Spoil::Nest(..)
        | Spoil::Drop(_)
        | Spoil::Double(_)
        | Spoil::Swap(..) => {
            let Ok(text) = std::str::from_utf8(content) else { return bytes };
            let whole = separator.is_empty();
            let mut frames: Vec<String> = match whole {
                true => vec![text.to_owned()],
                false => text.split_inclusive(separator).map(str::to_owned).collect(),
            };
            if frames.is_empty() {
                return bytes;
            }
            let length = frames.len();
            match spoil {
                Spoil::Value(line, at, new) => replace(&mut frames[line.index(length)], at, new),
                Spoil::Nest(line, at, depth) => {
                    let new = "[".repeat(*depth) + &"]".repeat(*depth);
                    replace(&mut frames[line.index(length)], at, &new);
                }
                Spoil::Drop(at) => drop(frames.remove(at.index(length))),
                Spoil::Double(at) => {
                    let double = frames[at.index(length)].clone();
                    frames.insert(at.index(length), double);
                }
                Spoil::Swap(one, other) => frames.swap(one.index(length), other.index(length)),
                Spoil::End(_) | Spoil::Byte(..) => unreachable!("see above"),
            }
            bytes = frames.concat().into_bytes();
        }
    }
    bytes
}

fn replace(frame: &mut String, at: &Index, new: &str) {
    if let Some(spoiled) = with_value(frame, at, new) {
        *frame = spoiled;
    }
}

fn stamp() -> Stamp<'static> {
    Stamp { model: "alias", id: "x", now: 1, request: "{}", turn: None }
}

/// What a client is told of a stream; `Err` if it is told that it broke.
fn told(client: Endpoint, sample: &Sample, stream: &[u8]) -> Result<Vec<StreamEvent>, StreamError> {
    let asked = request(client);
    let mut decoder = sample.provider.stream(&asked, &sample.to);
    let mut writer = client.stream_writer(stamp(), true);
    let (mut events, mut out) = (Vec::new(), Vec::new());
    let read = decoder.push(Bytes::copy_from_slice(stream), &mut events);
    let read = read.and_then(|()| decoder.finish(&mut events));
    for event in &events {
        match event {
            StreamEvent::Delta(delta) => {
                let delta: &Delta = delta;
                writer.write(delta.clone(), &mut out);
            }
            StreamEvent::Chunk(chunk) => drop(chunk.write("alias", false)),
            StreamEvent::Done(_) => writer.finish(&mut out),
            StreamEvent::Comment(_) | StreamEvent::Error(_) | StreamEvent::Failed(..) => {}
        }
    }
    // A client is sent text.
    std::str::from_utf8(&out).expect("frames are text");
    read.map(|()| events)
}

fn is_end(event: &StreamEvent) -> bool {
    matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_) | StreamEvent::Failed(..))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A stream that is told as whole has one end, its last event, and something before it; one that is
    /// taken apart has said why it ended.
    #[test]
    fn a_spoiled_stream_breaks_or_ends_once(
        sample in any::<Index>(),
        client in prop::sample::select(CLIENTS.to_vec()),
        spoils in prop::collection::vec(spoils(), 1..4),
    ) {
        let samples = streams();
        let sample = sample.get(&samples);
        let stream = spoils.iter().fold(sample.content.to_vec(), |stream, one| spoil(&stream, one, "\n\n"));
        let Ok(events) = told(client, sample, &stream) else { return Ok(()) };
        let ends: Vec<usize> =
            events.iter().enumerate().filter(|(_, event)| is_end(event)).map(|(at, _)| at).collect();
        let shown = String::from_utf8_lossy(&stream);
        prop_assert_eq!(&ends, &[events.len() - 1], "{}: {}", sample.provider.id(), shown);
        if matches!(events.last(), Some(StreamEvent::Done(_))) {
            let has_deltas = events.iter().any(|event| matches!(event, StreamEvent::Delta(_)));
            let finishes = |event: &StreamEvent| {
                matches!(event, StreamEvent::Delta(delta) if matches!(delta, Delta::Finish { .. }))
            };
            prop_assert!(events.len() > 1, "{}: {}", sample.provider.id(), shown);
            prop_assert!(
                !has_deltas || events.iter().any(finishes), "{}: {}", sample.provider.id(), shown
            );
        }
    }

    /// A whole answer is one, or an error.
    #[test]
    fn a_spoiled_answer_is_an_answer_or_an_error(
        sample in any::<Index>(),
        client in prop::sample::select(CLIENTS.to_vec()),
        spoils in prop::collection::vec(spoils(), 1..4),
        status in prop::sample::select(vec![200_u16, 200, 200, 400, 429, 500]),
    ) {
        let samples = samples(&["reply", "native-reply", "responses-reply", "error"]);
        let sample = sample.get(&samples);
        let body = spoils.iter().fold(sample.content.to_vec(), |body, one| spoil(&body, one, ""));
        let status = StatusCode::from_u16(status).unwrap();
        let read = sample.provider.decode(&request(client), &sample.to, status, body.into());
        if let Ok(reply) = read {
            prop_assert!(status.is_success());
            prop_assert!(!reply.write(client, stamp()).is_empty());
        }
    }
}

/// A line, a frame or a word that never ends is not kept.
#[test]
fn what_never_ends_is_an_error() {
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    for sample in streams() {
        for client in CLIENTS {
            for start in
                ["", "data: ", "data: {\"choices\":[{\"delta\":{\"content\":\"", "{\"a\":\""]
            {
                let mut decoder = sample.provider.stream(&request(client), &sample.to);
                let mut events = Vec::new();
                let mut read = decoder.push(Bytes::from(start), &mut events);
                let mut pieces = 0;
                while read.is_ok() && pieces < 64 {
                    read = decoder.push(piece.clone(), &mut events);
                    pieces += 1;
                }
                assert!(read.is_err(), "{} keeps {pieces} MB", sample.provider.id());
                assert!(!events.iter().any(is_end));
            }
        }
    }
}

/// Events that say nothing do not pile up, and nothing ends without a word for it.
#[test]
fn the_end_alone_is_no_answer() {
    for sample in streams() {
        for client in CLIENTS {
            for stream in [
                "",
                "\n\n",
                ": ping\n\n",
                "data:\n\n",
                "data: {}\n\n",
                "data: null\n\n",
                "data: []\n\n",
            ] {
                let read = told(client, &sample, stream.as_bytes());
                let is_done = |events: &[StreamEvent]| {
                    events.iter().any(|event| matches!(event, StreamEvent::Done(_)))
                };
                assert!(
                    !read.as_ref().is_ok_and(|events| is_done(events)),
                    "{} {client:?} {stream:?}: {read:?}",
                    sample.provider.id()
                );
            }
        }
    }
}
