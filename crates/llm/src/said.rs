//! What a body says to the gateway that is another's to read: the call of a provider's own API, a
//! file, a batch, a session. Nobody here speaks its dialect, so that only these names are looked for.

use bytes::Bytes;
use serde_json::Value;

use crate::edit;
use crate::json::members;
use crate::labels::{LabelReader, Labels};
use crate::multipart::{self, is_form};
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
            for (name, value) in multipart::texts(body, content_type) {
                take(name, labels.take_passed_field(name, value))?;
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

/// The first of the `required` parameters that such a body lacks. A dot leads into an object:
/// `metadata.run`.
#[must_use]
pub fn lacking<'r>(required: &'r [String], content_type: &str, body: &Bytes) -> Option<&'r str> {
    if required.is_empty() {
        return None;
    }
    let body = if is_form(content_type) {
        let value =
            |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| text.into());
        let texts = multipart::texts(body, content_type).into_iter();
        texts.map(|(name, text)| (name.to_owned(), value(text))).collect()
    } else {
        serde_json::from_slice(body).unwrap_or(Value::Null)
    };
    let has = |path: &str| {
        let found = path.split('.').try_fold(&body, |at, step| at.get(step));
        found.is_some_and(|value| !value.is_null())
    };
    required.iter().map(String::as_str).find(|path| !has(path))
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
        let with = format!("{user}{}{user}{end}", field("litellm_metadata", "{}"));
        assert_eq!(passed(FORM, &with), format!("{user}{user}{end}"));
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
            (JSON, String::new(), Some("user")),
            (FORM, form(&[user.clone(), run.clone()]), None),
            (FORM, form(&[user]), Some("metadata.run")),
            (FORM, form(&[run]), Some("user")),
        ] {
            assert_eq!(lacking(&required, kind, &Bytes::from(body.clone())), expected, "{body}");
        }
        assert_eq!(lacking(&[], JSON, &Bytes::new()), None);
    }
}
