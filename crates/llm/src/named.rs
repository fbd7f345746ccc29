//! Which models a call of a provider's own API names, in its path and in its body: for who may make
//! it, and who is to answer. Nothing else of the call is understood.

use std::ops::Range;

use bytes::Bytes;

use crate::json::{self, Span};
use crate::multipart;
use crate::tool_models::ToolModels;

/// What precedes a model's name in the paths of Azure, Vertex AI, OpenAI's first API, Bedrock, and
/// Gemini.
const BEFORE_NAME: [&str; 6] =
    ["deployments", "endpoints", "engines", "model", "models", "tunedModels"];

/// Whether what follows that segment of a path is a name.
#[must_use]
pub fn precedes_name(segment: &str) -> bool {
    BEFORE_NAME.contains(&segment)
}

/// Which models are asked is not to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnclearModel {
    /// One is named twice: the provider may read the other one.
    #[error("the request body has more than one `model`")]
    Twice,
    /// What is expected of those that are named beside it.
    #[error("the models that the request body names must be {0}")]
    Beside(&'static str),
}

/// The models that a call names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The last one is the one that answers, and all count for who may call it.
    in_path: Vec<(String, Range<usize>)>,
    in_body: Option<(String, Span)>,
    /// What a job of Vertex AI's has before it, such as `publishers/google/models/`.
    before: String,
    /// Whether the body is JSON, and the name in it a JSON string.
    is_json: bool,
    /// Those that tools may ask, and others that may answer.
    pub tool_models: ToolModels,
}

impl Named {
    /// Looks for models in a path as it was sent, and in a body of that `Content-Type`.
    ///
    /// # Errors
    /// [`UnclearModel`].
    pub fn read(path: &str, content_type: &str, body: &[u8]) -> Result<Self, UnclearModel> {
        let in_path = in_path(path);
        if multipart::is_form(content_type) {
            let in_body = multipart::model(body, content_type)?;
            let tool_models = multipart::tool_models(body, content_type);
            return Ok(Self { in_path, in_body, tool_models, ..Self::default() });
        }
        let text = std::str::from_utf8(body).unwrap_or_default();
        let mut named = Self { in_path, is_json: true, ..Self::default() };
        for member in json::members(text).unwrap_or_default() {
            // Some servers read names in any case.
            if member.name.eq_ignore_ascii_case("model") {
                let Some(model) = json::string(member.value) else { continue };
                let (before, model) = of_publisher(&model);
                before.clone_into(&mut named.before);
                let said = (model.to_owned(), Span::of(member.value, text));
                if named.in_body.replace(said).is_some() {
                    return Err(UnclearModel::Twice);
                }
            } else {
                named.tool_models.take(&member.name.to_ascii_lowercase(), member.value);
            }
        }
        match named.tool_models.fault() {
            Some(expected) => Err(UnclearModel::Beside(expected)),
            None => Ok(named),
        }
    }

    /// All of them, the path's first: the one that answers.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let in_path = self.in_path.iter().rev().map(|(model, _)| model);
        let in_body = self.in_body.as_ref().map(|(model, _)| model);
        in_path.chain(in_body).map(String::as_str).chain(self.tool_models.others())
    }

    /// The path with `to` where it says `from`. `encode` makes a segment of a path of a name.
    #[must_use]
    pub fn path_with(
        &self,
        path: &str,
        from: &str,
        to: &str,
        encode: fn(&str) -> String,
    ) -> String {
        let mut out = path.to_owned();
        for (_, at) in self.in_path.iter().rev().filter(|(model, _)| model == from && from != to) {
            out.replace_range(at.clone(), &encode(to));
        }
        out
    }

    /// The body with `to` where it says `from`: else the same bytes.
    #[must_use]
    pub fn body_with(&self, body: &Bytes, from: &str, to: &str) -> Bytes {
        match &self.in_body {
            Some((model, at)) if model == from && from != to && self.is_json => {
                json::splice_string(body, *at, &format!("{}{to}", self.before))
            }
            Some((model, at)) if model == from && from != to => {
                [&body[..at.start], to.as_bytes(), &body[at.end..]].concat().into()
            }
            Some(_) | None => body.clone(),
        }
    }
}

/// A name in two parts, of which the second is the model's.
fn of_publisher(named: &str) -> (&str, &str) {
    let at = named.rfind("/models/").filter(|_| named.starts_with("publishers/"));
    named.split_at(at.map_or(0, |at| at + "/models/".len()))
}

/// The names after words that precede names, and where they are. Google puts what is to be done
/// behind them: `models/gemini:generateContent`.
fn in_path(path: &str) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    let (mut start, mut before) = (0, "");
    for segment in path.split('/') {
        if precedes_name(before) && !segment.is_empty() {
            let verb = (before != "model").then(|| segment.rfind(':')).flatten();
            let name = &segment[..verb.unwrap_or(segment.len())];
            found.push((decoded(name), start..start + name.len()));
        }
        before = segment;
        start += segment.len() + 1;
    }
    found
}

/// A path, or a segment of one, without its `%XX`. What is no UTF-8 names nothing.
#[must_use]
pub fn decoded(text: &str) -> String {
    let mut bytes = text.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some((&first, rest)) = bytes.split_first() {
        let digits = rest.get(..2).filter(|_| first == b'%');
        let code =
            digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        out.push(code.unwrap_or(first));
        bytes = if code.is_some() { &rest[2..] } else { rest };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const FORM: &str = "multipart/form-data; boundary=x";

    fn models(path: &str, kind: &str, body: &str) -> Result<String, UnclearModel> {
        let named = Named::read(path, kind, body.as_bytes())?;
        Ok(named.models().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn models_are_found_where_providers_want_them() {
        let form =
            "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--x--\r\n";
        let cases = [
            ("/v1/chat/completions", JSON, r#"{"a":{"model":"no"},"model":"m"}"#, "m"),
            ("/v1/chat/completions", "", r#"{"\u004dodel":"m"}"#, "m"),
            ("/api/v1/chat", JSON, r#"{"model":"m","models":["a","b"]}"#, "m a b"),
            ("/v1beta/models/gemini-2:streamGenerateContent", JSON, "{}", "gemini-2"),
            ("/v1/projects/p/publishers/google/models/g:predict", JSON, "", "g"),
            ("/projects/models/a/models/b:predict", JSON, "", "b a"),
            ("/model/eu.claude-v1%3A0/invoke", JSON, "{}", "eu.claude-v1:0"),
            ("/model/eu.claude-v1:0/converse", JSON, "{}", "eu.claude-v1:0"),
            ("/openai/deployments/d%2Fe/chat", JSON, r#"{"model":"m"}"#, "d/e m"),
            ("/v1/audio/transcriptions", FORM, form, "whisper"),
            ("/v1/jobs", JSON, r#"{"model":"publishers/google/models/g"}"#, "g"),
            ("/v1/chat", JSON, r#"{"model":"org/models/g"}"#, "org/models/g"),
            ("/v1/models", "", "", ""),
            ("/v1/files", JSON, "[1]", ""),
            ("/v1/files", JSON, r#"{"model":7}"#, ""),
        ];
        for (path, kind, body, expected) in cases {
            assert_eq!(models(path, kind, body).as_deref(), Ok(expected), "{path} {body}");
        }
        let twice = r#"{"model":"a","Model":"b"}"#;
        assert_eq!(models("/v1/chat", JSON, twice), Err(UnclearModel::Twice));
        let form = form.replace("--x--\r\n", form);
        assert_eq!(models("/v1/audio", FORM, &form), Err(UnclearModel::Twice), "{form}");
    }

    #[test]
    fn only_the_name_changes() {
        let encode = |name: &str| name.replace(':', "%3A");
        let body = Bytes::from_static(br#"{"x":1.0, "model" : "chat", "y":"chat"}"#);
        let named = Named::read("/model/chat/invoke", JSON, &body).expect("clear");
        assert_eq!(
            named.path_with("/model/chat/invoke", "chat", "a:0", encode),
            "/model/a%3A0/invoke"
        );
        let renamed = named.body_with(&body, "chat", "m");
        assert_eq!(renamed, r#"{"x":1.0, "model" : "m", "y":"chat"}"#);
        let same = named.body_with(&body, "other", "m");
        assert_eq!(same.as_ptr(), body.as_ptr());
        let body = Bytes::from_static(br#"{"model":"publishers/google/models/chat"}"#);
        let named = Named::read("/v1/jobs", JSON, &body).expect("clear");
        let renamed = named.body_with(&body, "chat", "m");
        assert_eq!(renamed, r#"{"model":"publishers/google/models/m"}"#);
    }
}
