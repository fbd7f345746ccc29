//! What a body says to the gateway beside the requests of a batch, or beside a file: by the one list
//! of a chat's parameters it is carried out, or it is refused. Nothing of it goes to a provider.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use crate::edit;
use crate::endpoint::Endpoint;
use crate::extras::Extras;
use crate::fields::{Role, is_met_alone, is_set, role};
use crate::multipart::Upload;
use crate::parse::{BadRequest, check_object, object};

/// What such a body says.
#[derive(Debug, Default)]
pub struct Beside {
    /// How long its client waits for an answer.
    pub timeout: Option<Duration>,
    /// What is not the provider's.
    ours: BTreeSet<String>,
}

impl Beside {
    /// Of a JSON body of that `route`, whose members of the names `kept` are the provider's there.
    ///
    /// # Errors
    /// It is no object, says something twice, or says what is not carried out.
    pub fn of_body(route: &'static str, kept: &[&str], body: &Bytes) -> Result<Self, BadRequest> {
        check_object(body)?;
        let mut reader = Reader::new(route, kept);
        for member in object(body)? {
            reader.take(&member.name, member.value)?;
        }
        Ok(reader.end())
    }

    /// Of a form.
    ///
    /// # Errors
    /// It says what is not carried out.
    pub fn of_form(route: &'static str, kept: &[&str], form: &Upload) -> Result<Self, BadRequest> {
        let mut reader = Reader::new(route, kept);
        for (name, value) in form.values() {
            reader.take(&name, &value.to_string())?;
        }
        Ok(reader.end())
    }

    /// Whether the provider gets what has that name.
    #[must_use]
    pub fn keeps(&self, name: &str) -> bool {
        !self.ours.contains(name)
    }

    /// The body as the provider gets it.
    #[must_use]
    pub fn passed_on(&self, body: Bytes) -> Bytes {
        edit::sifted(body, "", &|name| self.keeps(name))
    }
}

struct Reader<'k> {
    route: &'static str,
    kept: &'k [&'k str],
    extras: Extras,
    ours: BTreeSet<String>,
}

impl<'k> Reader<'k> {
    fn new(route: &'static str, kept: &'k [&'k str]) -> Self {
        Self { route, kept, extras: Extras::default(), ours: BTreeSet::new() }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), BadRequest> {
        let (route, owned) = (self.route, name.to_owned());
        if self.kept.contains(&name) {
            return Ok(());
        }
        match role(Endpoint::ChatCompletions, name) {
            Role::Upstream | Role::Prompt => return Ok(()),
            Role::Extra => {
                let taken = self.extras.take(name, value);
                taken.map_err(|expected| BadRequest::Invalid {
                    route,
                    name: name.into(),
                    expected,
                })?;
                let is_timeout = matches!(name, "timeout" | "request_timeout");
                if !is_timeout && !is_met_alone(name, value) {
                    return Err(BadRequest::NotCarriedOut { route, name: owned });
                }
            }
            Role::Refused if value != "null" => {
                return Err(BadRequest::CredentialInBody { route, name: owned });
            }
            Role::Guard if is_set(value) => {
                return Err(BadRequest::NotEnforced { route, name: owned });
            }
            // Labels are heard elsewhere. The rest is a chat's, and means nothing here.
            Role::Label(_)
            | Role::Refused
            | Role::Guard
            | Role::Dropped
            | Role::Model
            | Role::Stream
            | Role::MaxTokens
            | Role::MaxCompletionTokens
            | Role::Choices => {}
        }
        self.ours.insert(owned);
        Ok(())
    }

    fn end(self) -> Beside {
        Beside { timeout: self.extras.timeout, ours: self.ours }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = "/batches";

    #[test]
    fn what_is_the_gateways_is_carried_out_or_refused_and_never_passed_on() {
        let passed = |said: &str| {
            let body = Bytes::from(format!(r#"{{"input_file_id":"f" ,{said}}}"#));
            let beside = Beside::of_body(ROUTE, &["metadata"], &body)?;
            let body = beside.passed_on(body).to_vec();
            Ok::<_, BadRequest>((String::from_utf8(body).expect("text"), beside.timeout))
        };
        for said in [
            r#""model":"m""#,
            r#""api_key":null,"guardrails":[]"#,
            r#""user":"ann","tags":["a"],"litellm_metadata":{}"#,
            r#""litellm_call_id":"x","litellm_[x]":1,"mock_response":"hi","no-log":true"#,
            r#""target_model_names":"m","custom_llm_provider":"azure""#,
            r#""num_retries":0,"disable_fallbacks":true,"fallbacks":[],"drop_params":false"#,
            r#""max_tokens":7,"stream":false,"input_cost_per_token":0"#,
        ] {
            let (passed, _) = passed(said).expect(said);
            assert_eq!(passed, r#"{"input_file_id":"f"}"#, "{said}");
        }
        let kept = r#""metadata":{"run":"7"},"output_expires_after":{"seconds":7},"later":1"#;
        assert_eq!(passed(kept).expect(kept).0, format!(r#"{{"input_file_id":"f" ,{kept}}}"#));
        let (_, timeout) = passed(r#""timeout":"2.5""#).expect("a number");
        assert_eq!(timeout, Some(Duration::from_millis(2500)));
        for (said, told) in [
            (r#""api_key":"sk""#, "'api_key' is not allowed"),
            (r#""\u0061pi_base":"http://x""#, "'api_base' is not allowed"),
            (r#""guardrails":["pii"]"#, "'guardrails' is not enforced"),
            (r#""policies":["p"]"#, "'policies' is not enforced"),
            (r#""fallbacks":["m"]"#, "'fallbacks' is not carried out"),
            (r#""num_retries":3"#, "'num_retries' is not carried out"),
            (r#""timeout":"soon""#, "'timeout': expected a positive number"),
            (r#""timeout":1,"timeout":2"#, "duplicate field 'timeout'"),
        ] {
            let bad = passed(said).expect_err(said).to_string();
            assert!(bad.contains(told), "{said}: {bad}");
        }
        let nothing = Beside::of_body(ROUTE, &[], &Bytes::from_static(b"[]"));
        assert_eq!(nothing.err(), Some(BadRequest::NotAnObject));
    }

    #[test]
    fn a_form_is_read_like_a_body() {
        let form = |fields: &[(&str, &str)]| {
            let field = |(name, value): &(&str, &str)| {
                format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let body = fields.iter().map(field).collect::<String>() + "--X--\r\n";
            Upload::read(body.into(), "multipart/form-data; boundary=X").expect("a form")
        };
        let said = form(&[
            ("purpose", "batch"),
            ("timeout", "3"),
            ("litellm_metadata[tags][]", "a"),
            ("api_key", "null"),
            ("expires_after[seconds]", "7"),
        ]);
        let beside = Beside::of_form("/files", &[], &said).expect("all is right");
        assert_eq!(beside.timeout, Some(Duration::from_secs(3)));
        let written = said.written(|name| beside.keeps(name), "file", None);
        let expected = form(&[("purpose", "batch"), ("expires_after[seconds]", "7")]);
        assert_eq!(written, expected.written(|_| true, "file", None));
        let long = "x".repeat(20 << 10);
        for (name, value) in [
            ("api_base", "http://x"),
            ("guardrails[]", "pii"),
            ("guardrails", &long),
            ("fallbacks[][a][]", "b"),
        ] {
            let told = Beside::of_form("/files", &[], &form(&[(name, value)])).expect_err(name);
            assert!(told.to_string().contains(name.split('[').next().expect("a name")), "{told}");
        }
    }
}
