//! What clients send back of other providers' answers, which Anthropic's API refuses: thoughts that it
//! has not sealed, what is behind the ids of calls, and sources of other searches.

use bytes::Bytes;

use super::citations::without_foreign_sources;
use crate::edit;
use crate::form::{DETAIL, REDACTED, of_openais_seal, unsealed};
use crate::json::string;
use crate::word::Word;

/// What tells that a history has thoughts of others in it, as clients' libraries write it.
static OTHERS: [Word; 6] = [
    Word::new(br#""signature":"""#),
    Word::new(br#""signature": """#),
    Word::new(br#""dnd1."#),
    Word::new(br#""dno1."#),
    Word::new(br#""dnr1."#),
    Word::new(br#""gAAAA"#),
];
static SEAL: Word = Word::new(b"__thought__");

/// A request with what Anthropic's own models may have said. The same `Bytes` if that is all.
#[must_use]
pub fn without_foreign(body: Bytes) -> Bytes {
    let mut body = without_foreign_sources(body);
    if OTHERS.iter().any(|word| word.is_in(&body)) {
        body = edit::each(body, "messages", without_thoughts);
    }
    if !SEAL.is_in(&body) {
        return body;
    }
    let bare = |id: &str| unsealed(id).1.is_some().then(|| unsealed(id).0);
    let body = edit::rewritten(body, "messages[*].content[*].id", &bare);
    edit::rewritten(body, "messages[*].content[*].tool_use_id", &bare)
}

/// A turn of which nothing is left is left out.
fn without_thoughts(message: &str) -> Option<Bytes> {
    let whole = Bytes::copy_from_slice(message.as_bytes());
    let left =
        edit::each(whole.clone(), "content", |block| is_foreign(block.as_bytes()).then(Bytes::new));
    let is_none = edit::member(&left, "content") == Some("[]");
    (left != whole).then(|| if is_none { Bytes::new() } else { left })
}

fn is_foreign(block: &[u8]) -> bool {
    let said = |name| edit::member(block, name).and_then(string);
    let seal = match said("type").as_deref() {
        Some("thinking") => said("signature"),
        Some("redacted_thinking") => said("data"),
        Some(_) | None => return false,
    };
    let is_ours = |seal: &str| seal.starts_with(DETAIL) || seal.starts_with(REDACTED);
    seal.is_none_or(|seal| seal.is_empty() || is_ours(&seal) || of_openais_seal(&seal).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_others_sealed_is_left_out_and_all_else_stays() {
        let thinking =
            |seal: &str| json!({"type": "thinking", "thinking": "hm", "signature": seal});
        let redacted = |data: &str| json!({"type": "redacted_thinking", "data": data});
        let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
        let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "1"});
        let turn = |content: &[Value]| json!({"role": "assistant", "content": content});
        let user = json!({"role": "user", "content": "?"});
        let own = [thinking("EqQB"), redacted("EmwK"), call("t1")];
        let body = |messages: &[Value]| json!({"model": "m", "messages": messages}).to_string();
        let foreign = body(&[
            user.clone(),
            turn(&[thinking(""), call("c1__thought__c2Vh+/8=")]),
            json!({"role": "user", "content": [result("c1__thought__c2Vh+/8=")]}),
            turn(&[thinking("dnd1.e30="), redacted("dnd1.e30=")]),
            turn(&[thinking("gAAAAx"), json!({"type": "text", "text": "a"})]),
            turn(&own),
        ]);
        let left = body(&[
            user.clone(),
            turn(&[call("c1")]),
            json!({"role": "user", "content": [result("c1")]}),
            turn(&[json!({"type": "text", "text": "a"})]),
            turn(&own),
        ]);
        assert_eq!(without_foreign(Bytes::from(foreign)), left.as_bytes());
        let own = Bytes::from(body(&[user, turn(&own)]));
        assert_eq!(without_foreign(own.clone()).as_ptr(), own.as_ptr(), "not copied");
    }
}
