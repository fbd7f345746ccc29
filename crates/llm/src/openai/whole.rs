//! A whole answer where a stream was asked for: put as the frames of one, so that it is delivered and
//! charged as such. Some servers know no streams, or none with tools.

use bytes::Bytes;
use serde_json::{Map, Value};

/// The frames of a stream that says what `body` does, an answer or an error. `None`: it is neither.
#[must_use]
pub fn frames_of_reply(body: &[u8]) -> Option<Vec<Bytes>> {
    let mut reply: Map<String, Value> = serde_json::from_slice(body).ok()?;
    if reply.get("error").is_some_and(|error| !error.is_null()) {
        return Some(vec![frame(&Value::Object(reply))]);
    }
    for choice in reply.get_mut("choices")?.as_array_mut()? {
        let choice = choice.as_object_mut()?;
        // A completion of a text is the same in both.
        let Some(mut message) = choice.remove("message") else {
            choice.get("text")?;
            continue;
        };
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
        for (index, call) in calls.into_iter().flatten().enumerate() {
            call.as_object_mut()?.entry("index").or_insert(index.into());
        }
        choice.insert("delta".to_owned(), message);
    }
    if reply.get("object").is_some_and(|object| object == "chat.completion") {
        reply.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    let usage = reply.remove("usage").filter(|usage| !usage.is_null());
    let said = frame(&Value::Object(reply.clone()));
    let counted = usage.map(|usage| {
        reply.insert("choices".to_owned(), Value::Array(Vec::new()));
        reply.insert("usage".to_owned(), usage);
        frame(&Value::Object(reply))
    });
    let done = Bytes::from_static(b"data: [DONE]\n\n");
    Some([said].into_iter().chain(counted).chain([done]).collect())
}

fn frame(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use dunlin_types::{Tokens, Usage};

    use super::*;
    use crate::StreamEvent;
    use crate::openai::read_frame;

    #[test]
    fn a_whole_answer_is_a_stream_of_a_few_frames() {
        let reply = r#"{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,
            "message":{"role":"assistant","content":"hello","tool_calls":[{"id":"c","function":{}}]},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
        let frames = frames_of_reply(reply.as_bytes()).expect("an answer");
        let events: Vec<_> =
            frames.into_iter().map(|frame| read_frame(frame).expect("a frame")).collect();
        let [StreamEvent::Chunk(said), StreamEvent::Chunk(counted), StreamEvent::Done(_)] =
            &events[..]
        else {
            panic!("{events:?}");
        };
        let data: Value = serde_json::from_slice(said.data()).expect("JSON");
        assert_eq!(data["object"], "chat.completion.chunk");
        assert_eq!(data["choices"][0]["delta"]["content"], "hello");
        assert_eq!(data["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
        assert_eq!(data["choices"][0]["finish_reason"], "stop");
        assert!(!counted.has_choices());
        let usage = Usage { prompt: Tokens(9), completion: Tokens(3), ..Usage::default() };
        assert_eq!((said.usage(), counted.usage()), (None, Some(usage)));

        let error = frames_of_reply(br#"{"error":{"message":"no"}}"#).expect("an error");
        let event = read_frame(error[0].clone());
        assert!(matches!(event, Ok(StreamEvent::Error(_))), "{event:?}");
        for other in ["", "[]", "{}", r#"{"choices":[{}]}"#, r#"{"choices":[7]}"#] {
            assert_eq!(frames_of_reply(other.as_bytes()), None, "{other}");
        }
    }
}
