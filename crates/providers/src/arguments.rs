//! Arguments of calls in answers that pass as they are. They are a JSON text, and clients read them as
//! one; TGI has the object that it stands for.

use bytes::Bytes;
use dunlin_llm::Word;
use serde_json::Value;

static OBJECT: Word = Word::new(br#""arguments":{"#);
static SPACED: Word = Word::new(br#""arguments": {"#);

/// The answer with texts where objects are. The same `Bytes` if there are none.
pub(crate) fn as_texts(body: Bytes) -> Bytes {
    if !OBJECT.is_in(&body) && !SPACED.is_in(&body) {
        return body;
    }
    let Ok(mut reply) = serde_json::from_slice::<Value>(&body) else { return body };
    let choices = reply.get_mut("choices").and_then(Value::as_array_mut);
    let calls = choices
        .into_iter()
        .flatten()
        .filter_map(|choice| choice.get_mut("message")?.get_mut("tool_calls")?.as_array_mut());
    let mut is_changed = false;
    for call in calls.flatten() {
        let arguments = call.get_mut("function").and_then(|called| called.get_mut("arguments"));
        if let Some(arguments) = arguments.filter(|said| said.is_object()) {
            *arguments = arguments.to_string().into();
            is_changed = true;
        }
    }
    if is_changed { Bytes::from(reply.to_string()) } else { body }
}
