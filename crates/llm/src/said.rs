//! What a body says to the gateway that is another's to read: the call of a provider's own API, a
//! file, a batch, a session. Nobody here speaks its dialect, so that only these names are looked for.

use std::str::Split;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::edit;
use crate::json::members;
use crate::labels::{LabelReader, Labels};
use crate::multipart::{self, is_form, nested};
use crate::parse::BadRequest;

/// The gateway's own in such a body; everything else may be the provider's.
const OURS: &str = "litellm_metadata";

/// What such a body says.
#[derive(Debug, Default)]
pub struct Said {
    /// On whose behalf it is made, and what for.
    pub labels: Labels,
    has_ours: bool,
}

impl Said {
    /// Looks for it in a body of that `Content-Type`. A value that is none of what is looked for is
    /// the provider's.
    ///
    /// # Errors
    /// `litellm_metadata` is not what it should be.
    pub fn read(content_type: &str, body: &Bytes) -> Result<Self, BadRequest> {
        let (mut labels, mut has_ours) = (LabelReader::default(), false);
        let mut take = |name: &str, taken: Result<(), &'static str>| {
            has_ours |= name == OURS;
            match taken {
                Err(expected) if name == OURS => {
                    Err(BadRequest::Invalid { route: "request body", name: name.into(), expected })
                }
                Err(_) | Ok(()) => Ok(()),
            }
        };
        if is_form(content_type) {
            let (nested, plain): (Vec<_>, Vec<_>) = multipart::texts(body, content_type)
                .into_iter()
                .partition(|(name, _)| nested::is_nested(name));
            for (name, value) in plain {
                take(name, labels.take_passed_field(name, value))?;
            }
            for (name, value) in nested::object(nested) {
                take(&name, labels.take_passed(&name, &value.to_string()))?;
            }
        } else {
            let text = std::str::from_utf8(body).unwrap_or_default();
            for member in members(text).unwrap_or_default() {
                take(&member.name, labels.take_passed(&member.name, member.value))?;
            }
        }
        Ok(Self { labels: labels.finish(), has_ours })
    }

    /// The body without what is the gateway's alone.
    #[must_use]
    pub fn passed_on(&self, content_type: &str, body: Bytes) -> Bytes {
        if !self.has_ours {
            return body;
        }
        match is_form(content_type) {
            true => multipart::without(&body, content_type, OURS),
            false => edit::without(body, &[OURS]),
        }
    }
}

/// What requests must have in their body: by the key's list, and by that of all keys.
pub type Required<'r> = [&'r [String]; 2];

/// The first of the `required` parameters that such a body lacks, by one list or the other. A dot
/// leads into an object: `metadata.run`. Where a provider takes no `user` or `metadata`, they are in
/// `litellm_metadata`.
#[must_use]
pub fn lacking<'r>(required: Required<'r>, content_type: &str, body: &Bytes) -> Option<&'r str> {
    if required.iter().all(|list| list.is_empty()) {
        return None;
    }
    let body = if is_form(content_type) {
        Value::Object(nested::object(multipart::texts(body, content_type)))
    } else {
        serde_json::from_slice(body).unwrap_or(Value::Null)
    };
    let is_at = |path: &str| leads(&body, path.split('.'));
    let has = |path: &str| {
        let within = path.strip_prefix("metadata.").or((path == "user").then_some(path));
        let is_ours = |path| is_at(&format!("{OURS}.{path}"));
        is_at(path) || within.is_some_and(is_ours)
    };
    required.into_iter().flatten().map(String::as_str).find(|path| !has(path))
}

/// Whether the `steps` lead to something; some SDKs send an object as a text.
fn leads(from: &Value, mut steps: Split<'_, char>) -> bool {
    let Some(step) = steps.next() else { return !from.is_null() };
    match from {
        Value::String(text) => {
            let object: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
            object.get(step).is_some_and(|next| leads(next, steps))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            from.get(step).is_some_and(|next| leads(next, steps))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const FORM: &str = "multipart/form-data; boundary=x";

    fn field(name: &str, value: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    #[test]
    fn labels_are_found_in_what_is_a_providers() {
        let form = [
            field("user", "ann"),
            field("purpose", "batch"),
            field("litellm_metadata", r#"{"tags":["a"]}"#),
            "--x--\r\n".to_owned(),
        ];
        let nested = [
            field("litellm_metadata[user]", "ann"),
            field("litellm_metadata[tags][]", "a"),
            field("tags[]", "b"),
            "--x--\r\n".to_owned(),
        ];
        for (kind, body, end_user, tags) in [
            (JSON, r#"{"user":"ann","tags":["a"],"x":1}"#, Some("ann"), "a"),
            ("", r#"{"\u0075ser":"ann"}"#, Some("ann"), ""),
            (JSON, r#"{"safety_identifier":"s"}"#, Some("s"), ""),
            (JSON, r#"{"metadata":{"user_id":"m","tags":["a","b"]}}"#, Some("m"), "a b"),
            (
                JSON,
                r#"{"litellm_metadata":{"user":"l","tags":["a"]},"tags":["b"]}"#,
                Some("l"),
                "a b",
            ),
            (FORM, &form.concat(), Some("ann"), "a"),
            // The provider's own.
            (JSON, r#"{"user":{"id":7},"tags":[{"a":1}],"metadata":{"tags":"x"}}"#, None, ""),
            (JSON, r#"{"metadata":"{}","tags":[""]}"#, None, ""),
            (FORM, &nested.concat(), Some("ann"), "a b"),
            (JSON, "[1]", None, ""),
            ("application/sdp", "v=0", None, ""),
        ] {
            let said = Said::read(kind, &Bytes::copy_from_slice(body.as_bytes())).expect(body);
            assert_eq!(said.labels.end_user.as_deref(), end_user, "{body}");
            assert_eq!(said.labels.tags.join(" "), tags, "{body}");
        }
    }

    #[test]
    fn only_what_is_the_gateways_alone_is_cut_and_must_be_right() {
        let passed = |kind: &str, body: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let said = Said::read(kind, &body).expect("it is right");
            String::from_utf8(said.passed_on(kind, body).to_vec()).expect("text")
        };
        let body = r#"{"user":"ann" ,"tags":["a"],"metadata":{"a":1}}"#;
        assert_eq!(passed(JSON, body), body);
        let with = r#"{"litellm_metadata":{"tags":["a"]},"user":"ann"}"#;
        assert_eq!(passed(JSON, with), r#"{"user":"ann"}"#);
        let (user, end) = (field("user", "ann"), "--x--\r\n");
        for (name, value) in [("litellm_metadata", "{}"), ("litellm_metadata[tags][]", "a")] {
            let with = format!("{user}{}{user}{end}", field(name, value));
            assert_eq!(passed(FORM, &with), format!("{user}{user}{end}"));
        }
        for wrong in ["7", r#"{"tags":"a"}"#, r#"{"guardrails":["pii"]}"#] {
            let body = Bytes::from(format!(r#"{{"litellm_metadata":{wrong}}}"#));
            let told = Said::read(JSON, &body).expect_err(wrong).to_string();
            assert!(told.contains("'litellm_metadata'"), "{told}");
        }
    }

    #[test]
    fn what_is_required_is_looked_for_in_every_kind_of_body() {
        let required = ["user".to_owned(), "metadata.run".to_owned()];
        let form = |fields: &[String]| format!("{}--x--\r\n", fields.concat());
        let (user, run) = (field("user", "ann"), field("metadata", r#"{"run":1}"#));
        for (kind, body, expected) in [
            (JSON, r#"{"user":"ann","metadata":{"run":1}}"#.to_owned(), None),
            (JSON, r#"{"user":"ann","metadata":{"run":null}}"#.to_owned(), Some("metadata.run")),
            (JSON, r#"{"user":"ann","metadata":"{\"run\":1}"}"#.to_owned(), None),
            (JSON, r#"{"user":"ann","metadata":"run"}"#.to_owned(), Some("metadata.run")),
            (JSON, String::new(), Some("user")),
            (FORM, form(&[user.clone(), run.clone()]), None),
            (FORM, form(&[user]), Some("metadata.run")),
            (FORM, form(&[run]), Some("user")),
            (JSON, r#"{"litellm_metadata":{"run":1,"user":"ann"}}"#.to_owned(), None),
            (FORM, form(&[field("litellm_metadata", r#"{"run":1,"user":"ann"}"#)]), None),
            (FORM, form(&[field("litellm_metadata[run]", "a"), field("user", "7")]), None),
            (FORM, form(&[field("metadata[run]", "a"), field("user", "7")]), None),
            (FORM, form(&[field("metadata[walk]", "a"), field("user", "7")]), Some("metadata.run")),
            (FORM, form(&[field("user", "7"), field("user[a][b]", "7")]), Some("metadata.run")),
        ] {
            let body = Bytes::from(body);
            let (of_key, of_all) = required.split_at(1);
            for lists in [[&required[..], &[]], [&[], &required], [of_key, of_all]] {
                assert_eq!(lacking(lists, kind, &body), expected, "{body:?}");
            }
        }
        assert_eq!(lacking([&[], &[]], JSON, &Bytes::new()), None);
    }
}
