//! The two spellings of Google's names: its JSON has `functionCall`, its protocol `function_call`, and
//! its API takes both, in whatever depth. A request is read after its names have been put into the
//! first.

use std::borrow::Cow;

use crate::fields::{Role, camel, gateways_role};

/// Members whose own members are not Google's to name, whatever lies in them.
const FREE: &[&str] = &[
    "args",
    "default",
    "enum",
    "example",
    "labels",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
];
/// Members whose own members the client names, each a schema of Google's.
const NAMED: &[&str] = &["defs", "properties"];

/// Whose the names in an object or a list are.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    /// The gateway's may stand beside Google's.
    Outermost,
    Google,
    /// The client's, of things that are Google's.
    Client,
    /// The client's, all the way down.
    Free,
}

impl Names {
    /// Those in the member `name` of an object of such names.
    fn within(self, name: &str) -> Self {
        match self {
            Self::Free => Self::Free,
            Self::Client => Self::Google,
            Self::Outermost if gateways_role(name) != Role::Upstream => Self::Free,
            Self::Outermost | Self::Google if FREE.contains(&name) => Self::Free,
            Self::Outermost | Self::Google if NAMED.contains(&name) => Self::Client,
            Self::Outermost | Self::Google => Self::Google,
        }
    }

    fn spelled(self, name: &str) -> Cow<'_, str> {
        let is_googles = match self {
            Self::Outermost => gateways_role(name) == Role::Upstream,
            Self::Google => true,
            Self::Client | Self::Free => false,
        };
        // A name with an escape in it is none of Google's.
        let is_other = is_googles && name.contains('_') && !name.contains('\\');
        if is_other { Cow::Owned(camel(name)) } else { Cow::Borrowed(name) }
    }
}

/// What the scan is inside of.
struct Inside {
    names: Names,
    is_object: bool,
    /// Whose names the value of the member that is being read has.
    within: Names,
}

/// `body`, which is JSON, with each of Google's names in the spelling of its JSON.
pub(super) fn spelled(body: &str) -> Cow<'_, str> {
    let bytes = body.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut open: Vec<Inside> = Vec::new();
    let mut awaits_name = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                let names = open.last().map_or(Names::Outermost, |inside| inside.within);
                let is_object = *byte == b'{';
                open.push(Inside { names, is_object, within: names });
                awaits_name = is_object;
            }
            b'}' | b']' => {
                open.pop();
                awaits_name = false;
            }
            b',' => awaits_name = open.last().is_some_and(|inside| inside.is_object),
            b'"' => {
                let end = end_of_string(bytes, at + 1);
                if let (true, Some(inside)) = (awaits_name, open.last_mut()) {
                    let name = &body[at + 1..end];
                    let spelled = inside.names.spelled(name);
                    inside.within = inside.names.within(&spelled);
                    if let Cow::Owned(spelled) = spelled {
                        out.push_str(&body[copied..=at]);
                        out.push_str(&spelled);
                        copied = end;
                    }
                    awaits_name = false;
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(body);
    }
    out.push_str(&body[copied..]);
    Cow::Owned(out)
}

/// Where the string that has begun before `at` ends: at its quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(found) if rest[found] == b'\\' => at += found + 2,
            Some(found) => return at + found,
            None => return bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_names_are_spelled_one_way_and_nobody_elses() {
        for (sent, expected) in [
            (
                r#"{"system_instruction":{"parts":[{"text":"a_b"}]}}"#,
                r#"{"systemInstruction":{"parts":[{"text":"a_b"}]}}"#,
            ),
            (
                r#"{"tools":[{"google_search":{"time_range_filter":{}}}]}"#,
                r#"{"tools":[{"googleSearch":{"timeRangeFilter":{}}}]}"#,
            ),
            (
                r#"{"contents":[{"parts":[{"function_call":{"name":"f_g","args":{"a_b":{"c_d":1}}},"thought_signature":"x"}]}]}"#,
                r#"{"contents":[{"parts":[{"functionCall":{"name":"f_g","args":{"a_b":{"c_d":1}}},"thoughtSignature":"x"}]}]}"#,
            ),
            (
                r#"{"tools":{"function_declarations":[{"parameters":{"any_of":[{"properties":{"a_b":{"min_items":"1"}}}]},"parameters_json_schema":{"x_y":{}}}]}}"#,
                r#"{"tools":{"functionDeclarations":[{"parameters":{"anyOf":[{"properties":{"a_b":{"minItems":"1"}}}]},"parametersJsonSchema":{"x_y":{}}}]}}"#,
            ),
            (r#"{"labels":{"my_team":"t"},"num_retries":1,"litellm_metadata":{"a_b":1}}"#, ""),
            (r#"{"contents":[{"parts":[{"text":"\"a_b\":\\"}]}],"a\u005fb":1}"#, ""),
            (
                r#"{"generation_config":{"stop_sequences":["a_b"],"top_k":1}}"#,
                r#"{"generationConfig":{"stopSequences":["a_b"],"topK":1}}"#,
            ),
        ] {
            let expected = if expected.is_empty() { sent } else { expected };
            assert_eq!(spelled(sent), expected);
        }
    }
}
