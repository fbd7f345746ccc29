//! Responses asked for over a WebSocket: what a client says there, and what it is told. A turn is the
//! body of a request with an envelope around it; its answer is the events of a stream.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::edit;
use crate::json::{members, string};
use crate::responses::turn::{continue_from, store_turn};
use crate::{BadRequest, sse};

/// A longer name of a lane is refused.
pub const MAX_LANE_BYTES: usize = 256;
/// What is said around a request, or goes without saying here.
const ENVELOPE: [&str; 5] = ["background", "generate", "stream", "stream_id", "type"];
const CREATE: &str = "response.create";

/// A turn that a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Turns of other lanes may be under way at the same time; its events say which it is.
    pub lane: Option<String>,
    /// False: nothing is to be answered; later turns go on from its input.
    pub generates: bool,
    /// The request for a streamed response.
    pub body: Bytes,
}

/// Why a message asks for no turn, in words for its client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotAsked {
    /// The lane that it names, if it gets so far.
    pub lane: Option<String>,
    /// The member that is wrong.
    pub param: &'static str,
    message: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    stream_id: Option<String>,
    generate: Option<bool>,
    background: Option<bool>,
}

/// Reads one message of a client's.
///
/// # Errors
/// It is no event, or not one that asks for a response.
pub fn read_create(message: Bytes) -> Result<Create, NotAsked> {
    let refuse = |lane: Option<String>, param, message: String| NotAsked { lane, param, message };
    // An array of values would do for serde, too.
    if message.trim_ascii_start().first() != Some(&b'{') {
        return Err(refuse(
            None,
            "type",
            "The message is no event: send a JSON object.".to_owned(),
        ));
    }
    let said = serde_json::from_slice::<Envelope<'_>>(&message);
    let said = said.map_err(|error| {
        refuse(None, "type", format!("The message is no event: {error}. Send a JSON object."))
    })?;
    let lane = said.stream_id;
    if lane.as_ref().is_some_and(|lane| lane.len() > MAX_LANE_BYTES) {
        let why = format!("`stream_id` may have {MAX_LANE_BYTES} bytes at most.");
        return Err(refuse(None, "stream_id", why));
    }
    let kind = said.kind.unwrap_or_default();
    if kind != CREATE {
        let kind: String = kind.chars().take(80).collect();
        let why = format!("There is no event '{kind}' on this connection: send `{CREATE}`.");
        return Err(refuse(lane, "type", why));
    }
    if said.background == Some(true) {
        let why = "`background` is not for WebSockets: send the request by HTTP.".to_owned();
        return Err(refuse(lane, "background", why));
    }
    let generates = said.generate != Some(false);
    let body = edit::without(message, &ENVELOPE);
    Ok(Create { lane, generates, body: with(&body, r#""stream":true"#) })
}

/// `object` with another member in front.
fn with(object: &Bytes, member: &str) -> Bytes {
    let text = std::str::from_utf8(object).expect("it was parsed from text");
    let is_empty = members(text).is_ok_and(|members| members.is_empty());
    let inside = text.trim_start().strip_prefix('{').expect("it was parsed as an object");
    let comma = if is_empty { "" } else { "," };
    Bytes::from(format!("{{{member}{comma}{inside}"))
}

/// A turn that nobody else stores: later ones of the same connection go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loose {
    /// What its response is called.
    pub id: String,
    turn: Bytes,
    /// The response before all that is in `turn`, which is stored elsewhere; JSON text.
    root: Option<String>,
}

impl Loose {
    /// What is left of `request`, the body of a turn, and its `response`, if that is stored nowhere.
    /// `generated` tells whether it was asked for an answer.
    #[must_use]
    pub fn of(request: &Bytes, response: &[u8], generated: bool) -> Option<Self> {
        let is_stored = edit::member(response, "store") != Some("false")
            && edit::member(request, "store") != Some("false");
        if is_stored && generated {
            return None;
        }
        let id = string(edit::member(response, "id")?)?.into_owned();
        let turn = store_turn(request, &repeatable(response)?)?;
        let root = edit::member(request, "previous_response_id").filter(|id| *id != "null");
        Some(Self { id, turn, root: root.map(str::to_owned) })
    }

    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.turn.len()
    }

    /// `request` with all that was said before it.
    ///
    /// # Errors
    /// Its input is none.
    pub fn before(&self, request: &Bytes) -> Result<Bytes, BadRequest> {
        let whole = continue_from(request, &self.turn)?;
        Ok(match &self.root {
            Some(root) => with(&whole, &format!(r#""previous_response_id":{root}"#)),
            None => whole,
        })
    }
}

/// The turn that a request goes on from.
#[must_use]
pub fn previous(request: &[u8]) -> Option<String> {
    string(edit::member(request, "previous_response_id")?).map(Cow::into_owned)
}

/// A response whose output may be sent again: thoughts are known to who stored them, or by their
/// seal.
fn repeatable(response: &[u8]) -> Option<Vec<u8>> {
    let mut response: Value = serde_json::from_slice(response).ok()?;
    let output = response.get_mut("output")?.as_array_mut()?;
    output.retain(|item| item["type"] != "reasoning" || item["encrypted_content"].is_string());
    serde_json::to_vec(&response).ok()
}

/// What a client is told of a frame of its turn's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An event.
    Event(String),
    /// The last one, and its response.
    End(String, Bytes),
    /// Nothing but that the turn goes on.
    Nothing,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

/// Puts a frame of a stream into a message.
#[must_use]
pub fn tell(frame: Bytes, lane: Option<&str>) -> Told {
    let (frame, span) = sse::in_one_line(frame);
    let data = span.map_or(&[][..], |span| &frame[span.range()]);
    let Ok(text) = std::str::from_utf8(data) else { return Told::Nothing };
    let Ok(peek) = serde_json::from_str::<Peek<'_>>(text) else { return Told::Nothing };
    let event = match lane {
        Some(lane) => {
            let data = frame.slice_ref(data);
            let told = with(&data, &format!(r#""stream_id":{}"#, json!(lane)));
            String::from_utf8_lossy(&told).into_owned()
        }
        None => text.to_owned(),
    };
    match (peek.kind.as_deref(), peek.response) {
        (Some("response.completed" | "response.incomplete"), Some(response)) => {
            Told::End(event, Bytes::copy_from_slice(response.get().as_bytes()))
        }
        (Some("error"), _) => Told::Event(broken(text, lane)),
        (Some(_), _) => Told::Event(event),
        (None, _) => Told::Nothing,
    }
}

/// An error in a stream, as it is told here.
fn broken(text: &str, lane: Option<&str>) -> String {
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    let error = if said["error"].is_object() {
        said["error"].clone()
    } else {
        json!({"type": "server_error", "code": said["code"], "message": said["message"],
            "param": said["param"]})
    };
    error_event(500, error, Map::new(), lane)
}

/// The event of a turn that gets no answer: its error as JSON, and the headers that came with it.
#[must_use]
pub fn error_event(
    status: u16,
    error: Value,
    headers: Map<String, Value>,
    lane: Option<&str>,
) -> String {
    let mut event = json!({"type": "error", "status": status, "error": error});
    if !headers.is_empty() {
        event["headers"] = headers.into();
    }
    if let Some(lane) = lane {
        event["stream_id"] = lane.into();
    }
    event.to_string()
}

/// The events of a response that came in one piece.
#[must_use]
pub fn whole_events(response: &[u8], lane: Option<&str>) -> Vec<String> {
    let Ok(response) = serde_json::from_slice::<Value>(response) else { return Vec::new() };
    let mut begun = response.clone();
    begun["status"] = "in_progress".into();
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let events = [("response.created", begun), ("response.completed", response)];
    let events = events.into_iter().enumerate().map(|(number, (kind, response))| {
        let mut event = json!({"type": kind, "sequence_number": number, "response": response});
        if let Some(lane) = lane {
            event["stream_id"] = lane.into();
        }
        event.to_string()
    });
    events.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Result<Create, NotAsked> {
        read_create(Bytes::copy_from_slice(message.as_bytes()))
    }

    #[test]
    fn a_turn_is_a_request_without_its_envelope() {
        let said =
            r#"{ "type":"response.create","model":"m","stream_id":"a","stream":false,"x":1.50}"#;
        let asked = read(said).expect("a turn");
        assert_eq!((asked.lane.as_deref(), asked.generates), (Some("a"), true));
        assert_eq!(asked.body, r#"{"stream":true,"model":"m","x":1.50}"#);
        let warm = read(r#"{"type":"response.create","generate":false}"#).expect("a turn");
        assert_eq!((warm.generates, &warm.body[..]), (false, &br#"{"stream":true}"#[..]));
        for (said, param) in [
            ("nonsense", "type"),
            ("[]", "type"),
            (r#"["response.create",null,null,null]"#, "type"),
            ("{}", "type"),
            (r#"{"type":"response.create","type":"response.create"}"#, "type"),
            (r#"{"type":"response.steer","stream_id":"a"}"#, "type"),
            (r#"{"type":"response.create","background":true}"#, "background"),
        ] {
            assert_eq!(read(said).expect_err("no turn").param, param, "{said}");
        }
        let long = format!(r#"{{"type":"response.create","stream_id":"{}"}}"#, "a".repeat(257));
        assert_eq!(read(&long).expect_err("too long").param, "stream_id");
    }

    #[test]
    fn turns_that_nobody_stores_go_on_from_each_other_and_from_one_that_is_stored() {
        let first = Bytes::from_static(
            br#"{"model":"m","input":"hi","store":false,"previous_response_id":"resp_0"}"#,
        );
        let response = br#"{"id":"resp_1","store":false,"output":[{"type":"reasoning","id":"rs_1"},
            {"type":"reasoning","encrypted_content":"x"},{"type":"message","content":[]}]}"#;
        let loose = Loose::of(&first, response, true).expect("it is stored nowhere");
        let next = Bytes::from_static(
            br#"{"previous_response_id":"resp_1","input":"and?","store":false}"#,
        );
        assert_eq!(previous(&next).as_deref(), Some("resp_1"));
        let whole = loose.before(&next).expect("it goes on");
        let value: Value = serde_json::from_slice(&whole).expect("JSON");
        assert_eq!(value["previous_response_id"], "resp_0");
        let items = value["input"].as_array().expect("a list");
        let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str()).collect();
        let (message, thought) = (Some("message"), Some("reasoning"));
        assert_eq!(kinds, [message, thought, message, message]);
        assert_eq!(value["input"][3]["content"][0]["text"], "and?");

        let stored = Bytes::from_static(br#"{"input":"hi"}"#);
        let response = br#"{"id":"resp_1","store":true,"output":[]}"#;
        assert_eq!(Loose::of(&stored, response, true), None);
        assert!(Loose::of(&stored, response, false).is_some(), "nobody was asked");
    }

    #[test]
    fn frames_become_messages() {
        let frame = |data: &str| Bytes::from(format!("event: x\ndata: {data}\n\n"));
        let delta = r#"{"type":"response.output_text.delta","delta":"a"}"#;
        assert_eq!(tell(frame(delta), None), Told::Event(delta.to_owned()));
        let laned = r#"{"stream_id":"l","type":"response.output_text.delta","delta":"a"}"#;
        assert_eq!(tell(frame(delta), Some("l")), Told::Event(laned.to_owned()));
        let end = r#"{"type":"response.completed","response":{"id":"resp_1"}}"#;
        let response = Bytes::from_static(br#"{"id":"resp_1"}"#);
        assert_eq!(tell(frame(end), None), Told::End(end.to_owned(), response));
        assert_eq!(tell(Bytes::from_static(b": ping\n\n"), None), Told::Nothing);
        assert_eq!(tell(frame("[DONE]"), None), Told::Nothing);
        let flat = r#"{"type":"error","code":"500","message":"it broke","param":null}"#;
        let Told::Event(told) = tell(frame(flat), Some("l")) else { panic!("an event") };
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!((&told["status"], &told["stream_id"]), (&json!(500), &json!("l")));
        assert_eq!(told["error"]["message"], "it broke");
    }
}
