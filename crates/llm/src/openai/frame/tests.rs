//! Frames in, events and frames out.

use dunlin_types::{Tokens, Usage};

use super::*;
use crate::openai::{Entity, ErrorBody, error_frame};

fn read(frame: &'static str) -> StreamEvent {
    read_frame(Bytes::from_static(frame.as_bytes())).expect(frame)
}

fn chunk(frame: &'static str) -> Chunk {
    let StreamEvent::Chunk(chunk) = read(frame) else { panic!("not a chunk: {frame}") };
    chunk
}

fn written(frame: &'static str, wants_usage: bool) -> Option<String> {
    let bytes = chunk(frame).write("mine \"x\"", wants_usage)?;
    Some(String::from_utf8(bytes.to_vec()).expect("text"))
}

#[test]
fn a_chunk_changes_in_nothing_but_the_models_name() {
    for (frame, expected) in [
        (
            "data: {\"id\":\"c1\", \"model\" : \"up\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"p\":1.0e-5}],\"x\":[]}\n\n",
            "data: {\"id\":\"c1\", \"model\" : \"mine \\\"x\\\"\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"p\":1.0e-5}],\"x\":[]}\n\n",
        ),
        (
            "event: chunk\r\nid: 7\r\ndata:{\"choices\":[{}],\"model\":\"up\"}\r\n\r\n",
            "event: chunk\r\nid: 7\r\ndata:{\"choices\":[{}],\"model\":\"mine \\\"x\\\"\"}\r\n\r\n",
        ),
        (": hi\ndata: {\"choices\":[{}]}\n\n", ": hi\ndata: {\"choices\":[{}]}\n\n"),
        // Data in several lines comes out in one.
        (
            "event: e\ndata: {\"choices\":[{}],\ndata: \"model\":\"up\"}\n\n",
            "event: e\ndata: {\"choices\":[{}], \"model\":\"mine \\\"x\\\"\"}\n\n",
        ),
    ] {
        assert_eq!(written(frame, false).as_deref(), Some(expected));
    }
}

#[test]
fn a_chunk_that_already_has_the_name_is_not_copied() {
    let frame = Bytes::from_static(b"data: {\"model\":\"m\",\"choices\":[{}]}\n\n");
    let Ok(StreamEvent::Chunk(chunk)) = read_frame(frame.clone()) else { panic!("a chunk") };
    assert_eq!(chunk.write("m", false).map(|out| out.as_ptr()), Some(frame.as_ptr()));
}

#[test]
fn the_usage_frame_is_only_for_those_who_asked() {
    let usage = "data: {\"model\":\"up\",\"choices\":[ ],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n";
    let counted =
        Usage { prompt: Tokens(9), completion: Tokens(3), cached: Tokens(4), ..Usage::default() };
    assert_eq!(chunk(usage).usage(), Some(counted));
    assert!(written(usage, false).is_none());
    assert!(written(usage, true).is_some_and(|frame| frame.contains("\"prompt_tokens\":9")));
}

#[test]
fn who_did_not_ask_for_usage_finds_no_word_of_it() {
    for (frame, expected) in [
        // Azure's first frame has no choices; vLLM can count in every chunk.
        (
            r#"{"choices":[],"prompt_filter_results":[],"usage":null}"#,
            r#"{"choices":[],"prompt_filter_results":[]}"#,
        ),
        (
            r#"{"choices":[{}] , "usage" : {"prompt_tokens":9}, "x":1}"#,
            r#"{"choices":[{}] , "x":1}"#,
        ),
        (
            r#"{"usage":null , "model":"up","choices":[{}]}"#,
            r#"{ "model":"mine \"x\"","choices":[{}]}"#,
        ),
        (
            r#"{"model":"up","usage":null,"choices":[{}]}"#,
            r#"{"model":"mine \"x\"","choices":[{}]}"#,
        ),
        (r#"{"usage":null}"#, "{}"),
        // Only the member is cut, not what looks like it; a name with escapes is left alone.
        (
            r#"{"choices":[{"usage":null,"a":"\"usage\":null"}]}"#,
            r#"{"choices":[{"usage":null,"a":"\"usage\":null"}]}"#,
        ),
        (r#"{"\u0075sage":null,"choices":[{}]}"#, r#"{"\u0075sage":null,"choices":[{}]}"#),
    ] {
        let StreamEvent::Chunk(chunk) =
            read_frame(Bytes::from(format!("data: {frame}\n\n"))).expect(frame)
        else {
            panic!("not a chunk: {frame}");
        };
        let write = |wants_usage| chunk.write("mine \"x\"", wants_usage).expect("it has more");
        assert_eq!(write(false), format!("data: {expected}\n\n"));
        let whole = frame.replace("\"up\"", r#""mine \"x\"""#);
        assert_eq!(write(true), format!("data: {whole}\n\n"));
    }
}

#[test]
fn output_text_is_counted() {
    for (frame, bytes) in [
        (
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"h\\u00e9\\n\"}}]}\n\n",
            4,
        ),
        ("data: {\"choices\":[{\"text\":\"abc\"},{\"text\":\"d\"}]}\n\n", 4),
        (
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"abc\",\"content\":null}}]}\n\n",
            3,
        ),
        (
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"logprobs\":{\"content\":[{\"token\":\"x\"}]}}]}\n\n",
            3,
        ),
        ("data: {\"choices\":{\"strange\":\"shape\"}}\n\n", 0),
    ] {
        assert_eq!(chunk(frame).text_bytes(), bytes, "{frame}");
    }
}

#[test]
fn other_frames_are_told_apart() {
    assert!(matches!(read("data: [DONE]\n\n"), StreamEvent::Done(_)));
    assert!(matches!(read(": ping\n\n"), StreamEvent::Comment(_)));
    assert!(matches!(read("data:\n\n"), StreamEvent::Comment(_)));
    for (frame, kind, code) in [
        (
            "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":429}}\n\n",
            Some("t"),
            Some("429"),
        ),
        ("data: {\"object\":\"error\",\"message\":\"m\",\"code\":\"c\"}\n\n", None, Some("c")),
        ("event: error\ndata: {\"error\":\"m\"}\n\n", None, None),
    ] {
        let StreamEvent::Error(error) = read(frame) else { panic!("{frame}") };
        assert_eq!((error.message.as_str(), error.kind.as_deref()), ("m", kind), "{frame}");
        assert_eq!(error.code.as_deref(), code, "{frame}");
    }
    assert!(read_frame(Bytes::from_static(b"data: {\"choices\":\n\n")).is_err());
}

#[test]
fn errors_have_the_shape_clients_know() {
    let error = ErrorBody {
        message: "litellm.Timeout: \"x\"".to_owned(),
        kind: None,
        param: Some("None".to_owned()),
        code: 408,
        entity: None,
        details: None,
    };
    let json =
        r#"{"error":{"message":"litellm.Timeout: \"x\"","type":null,"param":"None","code":"408"}}"#;
    assert_eq!(error.to_json(), json);
    assert_eq!(error_frame(&error), format!("data: {json}\n\n"));
    let entity = Some(Entity { kind: "team", id: "blue".to_owned() });
    let json = json.replace(r#""408"}"#, r#""408","entity_type":"team","entity_id":"blue"}"#);
    assert_eq!(ErrorBody { entity, ..error }.to_json(), json);
}
