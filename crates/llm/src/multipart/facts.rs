//! What a form asks for: the facts of a request, from its fields.

use dunlin_types::Tokens;

use super::{Part, boundary, nested, short_text, split};
use crate::answers::choices as choices_in;
use crate::endpoint::Endpoint;
use crate::estimate::prompt_tokens;
use crate::extras::Extras;
use crate::fields::{Label, Role, role};
use crate::json::Span;
use crate::labels::LabelReader;
use crate::parse::BadRequest;
use crate::request::{Edit, Facts, Text};
use crate::tool_models::ToolModels;

/// Reads the facts of an upload whose `Content-Type` is `content_type`.
pub(crate) fn read(
    endpoint: Endpoint,
    body: &[u8],
    content_type: &str,
    path_model: Option<&str>,
) -> Result<Facts, BadRequest> {
    let boundary = boundary(content_type).ok_or(BadRequest::Multipart {
        problem: "the Content-Type header names no boundary of 1 to 70 characters",
    })?;
    let parts = split(body, boundary)?;
    if !parts.iter().any(|part| part.is_file) {
        return Err(BadRequest::Missing {
            route: endpoint.route(),
            name: endpoint.file_field().expect("an endpoint of uploads has a file"),
        });
    }
    let mut reader = FormReader::of(endpoint, body);
    for part in parts.iter().filter(|part| !part.is_file) {
        reader.take(part)?;
    }
    reader.finish(path_model)
}

/// Collects what the fields of a form say, in whatever order they come.
struct FormReader<'a> {
    endpoint: Endpoint,
    body: &'a [u8],
    model: Option<(&'a str, Span)>,
    prompt: Span,
    choices: u32,
    extras: Extras,
    labels: LabelReader,
    /// What has brackets in its name.
    nested: Vec<(&'a str, &'a str)>,
    edits: Vec<Edit>,
}

impl<'a> FormReader<'a> {
    fn of(endpoint: Endpoint, body: &'a [u8]) -> Self {
        Self {
            endpoint,
            body,
            model: None,
            prompt: Span::point(0),
            choices: 1,
            extras: Extras::default(),
            labels: LabelReader::default(),
            nested: Vec::new(),
            edits: Vec::new(),
        }
    }

    fn take(&mut self, part: &Part<'a>) -> Result<(), BadRequest> {
        let (endpoint, name) = (self.endpoint, part.name);
        let base = nested::base(name);
        match role(endpoint, base) {
            role @ (Role::Extra | Role::Label(_)) if nested::is_nested(name) => {
                self.nested.push((name, self.text(part)?));
                if matches!(role, Role::Extra | Role::Label(Label::Ours)) {
                    self.cut(part);
                }
            }
            Role::Upstream if base == "svg" => self.nested.push((name, self.text(part)?)),
            Role::Model | Role::Prompt | Role::Choices if nested::is_nested(name) => {}
            Role::Model if self.model.is_some() => {
                return Err(BadRequest::Duplicate { name: "model".to_owned() });
            }
            Role::Model => self.model = Some((self.text(part)?, part.value)),
            Role::Prompt => self.prompt = part.value,
            Role::Choices => {
                let choices = choices_in(self.text(part)?);
                self.choices = choices.ok_or_else(|| self.invalid("n", "a whole number"))?;
            }
            Role::Extra => {
                let taken = self.extras.take(name, self.text(part)?);
                taken.map_err(|expected| self.invalid(name, expected))?;
                self.cut(part);
            }
            Role::Label(label) => {
                let taken = self.labels.take_field(label, name, self.text(part)?);
                taken.map_err(|expected| self.invalid(name, expected))?;
                if label == Label::Ours {
                    self.cut(part);
                }
            }
            Role::Refused => {
                return Err(BadRequest::credential(endpoint, base));
            }
            Role::Guard => return Err(BadRequest::not_enforced(endpoint, base)),
            Role::Dropped => self.cut(part),
            Role::Stream | Role::MaxTokens | Role::MaxCompletionTokens | Role::Upstream => {}
        }
        Ok(())
    }

    fn finish(mut self, path_model: Option<&str>) -> Result<Facts, BadRequest> {
        let mut tool_models = ToolModels::default();
        for (name, value) in nested::object(std::mem::take(&mut self.nested)) {
            let value = value.to_string();
            if name == "svg" {
                tool_models.take(&name, &value);
                continue;
            }
            let taken = if let Role::Label(label) = role(self.endpoint, &name) {
                self.labels.take(label, &name, &value)
            } else {
                self.extras.take(&name, &value)
            };
            taken.map_err(|expected| self.invalid(&name, expected))?;
        }
        if let Some(expected) = tool_models.fault() {
            return Err(self.invalid("svg", expected));
        }
        let Self { endpoint, body, model, prompt, choices, extras, labels, mut edits, .. } = self;
        edits.extend(model.map(|(_, at)| Edit { at, to: Text::PlainModel }));
        let named = model.map(|(name, _)| name).or(path_model).ok_or(BadRequest::MissingModel)?;
        edits.sort_unstable_by_key(|edit| edit.at);
        Ok(Facts {
            endpoint,
            model: named.into(),
            model_from_path: model.is_none(),
            stream: false,
            usage_wish: None,
            hides_usage: false,
            max_output: Some(Tokens(0)),
            choices,
            most_choices: choices,
            prompts: 1,
            prompt,
            prompt_tokens: prompt_tokens(&body[prompt.range()]),
            labels: labels.finish(),
            extras,
            tool_models,
            names: Vec::new(),
            edits,
            end: body.len(),
        })
    }

    fn cut(&mut self, part: &Part<'_>) {
        self.edits.push(Edit { at: part.whole, to: Text::Fixed("") });
    }

    fn text(&self, part: &Part<'_>) -> Result<&'a str, BadRequest> {
        let text = short_text(&self.body[part.value.range()]);
        text.ok_or_else(|| self.invalid(part.name, "a short text"))
    }

    fn invalid(&self, name: &str, expected: &'static str) -> BadRequest {
        BadRequest::Invalid { route: self.endpoint.route(), name: name.to_owned(), expected }
    }
}
