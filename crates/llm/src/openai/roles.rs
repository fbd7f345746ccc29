//! OpenAI's newer word for who gives instructions, for servers that know only the older one.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::edit;
use crate::json::{Span, string};
use crate::request::Splice;
use crate::word::Word;

const DEVELOPER: &str = "developer";
static WORD: Word = Word::new(DEVELOPER.as_bytes());

/// The body of a chat whose instructions are all those of `system`. The same `Bytes` if they are.
#[must_use]
pub fn without_developers(body: Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        role: Option<&'a RawValue>,
    }
    // Hardly any body has the word.
    if !WORD.is_in(&body) {
        return body;
    }
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let messages = edit::member(&body, "messages").unwrap_or_default();
    let messages: Vec<Message<'_>> = serde_json::from_str(messages).unwrap_or_default();
    let roles = messages.iter().filter_map(|message| message.role);
    let roles = roles.filter(|role| string(role.get()).is_some_and(|role| role == DEVELOPER));
    let mut changed = Splice::of(&body, 0);
    for role in roles {
        changed.replace(Span::of(role.get(), text)).extend_from_slice(br#""system""#);
    }
    changed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_role_changes() {
        for (body, left) in [
            (
                r#"{"messages":[{"role": "developer","content":"developer"},{"content":[],"role":"user"}],"role":"developer"}"#,
                r#"{"messages":[{"role": "system","content":"developer"},{"content":[],"role":"user"}],"role":"developer"}"#,
            ),
            (
                r#"{"messages":[{"role":"user","content":"a developer"},7]}"#,
                r#"{"messages":[{"role":"user","content":"a developer"},7]}"#,
            ),
        ] {
            assert_eq!(without_developers(Bytes::from_static(body.as_bytes())), left);
        }
    }
}
