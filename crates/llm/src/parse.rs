//! A request body read in one pass: validated whole, taken apart only at its top level.

use std::borrow::Cow;

use bytes::Bytes;
use dunlin_types::Tokens;
use http::HeaderMap;

use crate::answers::{COUNT, choices, count, prompts};
use crate::endpoint::{Dialect, Endpoint};
use crate::estimate::prompt_tokens;
use crate::extras::Extras;
use crate::fallbacks;
use crate::fields::{Label, Role, is_set, is_spelled, role};
use crate::json::{Member, Span, members, string};
use crate::labels::LabelReader;
use crate::multipart;
use crate::request::{ChatRequest, Edit, Facts, Name, Text};
use crate::tool_models::ToolModels;

mod bad;
pub(crate) mod bounds;
mod heard;

pub use bad::BadRequest;
use bounds::Bounds;
pub(crate) use heard::{Heard, heard};

/// What a model reads beside its prompt, and may be as long: instructions, tools, documents to rank.
const BESIDE: [&str; 8] = [
    "documents",
    "functions",
    "instructions",
    "suffix",
    "system",
    "systemInstruction",
    "system_instruction",
    "tools",
];
/// The longest name of a model. It goes into records, messages and headers.
pub const MAX_MODEL_BYTES: usize = 512;

/// Reads a client's body. The bytes stay with the request. `path_model` is the model that the
/// path names, for a body that names none.
///
/// # Errors
/// Not a JSON object, a top-level name twice, no model or prompt, a field of the gateway's with a
/// wrong value, or a credential where none may be.
pub fn parse(
    endpoint: Endpoint,
    body: Bytes,
    path_model: Option<&str>,
) -> Result<ChatRequest, BadRequest> {
    let facts = read(endpoint, text(&body)?, path_model)?;
    check_length(endpoint, &facts.model)?;
    let (content_type, headers, api_version) = (None, HeaderMap::new(), None);
    let request = ChatRequest { body, facts, content_type, headers, api_version };
    request.with_extra_body(path_model)
}

/// Reads a client's upload, whose header `Content-Type` is `content_type`.
///
/// # Errors
/// Not a form, no model or file, a field of the gateway's with a wrong value, or a credential where
/// none may be.
pub fn parse_upload(
    endpoint: Endpoint,
    body: Bytes,
    content_type: &str,
    path_model: Option<&str>,
) -> Result<ChatRequest, BadRequest> {
    let facts = multipart::read(endpoint, &body, content_type, path_model)?;
    check_length(endpoint, &facts.model)?;
    Ok(ChatRequest {
        body,
        facts,
        content_type: Some(content_type.into()),
        headers: HeaderMap::new(),
        api_version: None,
    })
}

fn check_length(endpoint: Endpoint, model: &str) -> Result<(), BadRequest> {
    if model.len() <= MAX_MODEL_BYTES {
        return Ok(());
    }
    Err(BadRequest::Invalid {
        route: endpoint.route(),
        name: "model".to_owned(),
        expected: "a name of at most 512 bytes",
    })
}

/// Makes sure that a body is one JSON object, and says everything once.
///
/// # Errors
/// It is not, or does not.
pub fn check_object(body: &[u8]) -> Result<(), BadRequest> {
    refuse_duplicates(&object(body)?)
}

/// The members of the object that a body must be, duplicates included.
pub(crate) fn object(body: &[u8]) -> Result<Vec<Member<'_>>, BadRequest> {
    let text = text(body)?;
    members(text).map_err(|error| not_an_object(text, &error))
}

fn text(body: &[u8]) -> Result<&str, BadRequest> {
    std::str::from_utf8(body).map_err(|error| {
        let valid = String::from_utf8_lossy(&body[..error.valid_up_to()]);
        malformed_at("invalid UTF-8", &valid)
    })
}

fn read(endpoint: Endpoint, text: &str, path_model: Option<&str>) -> Result<Facts, BadRequest> {
    let members = members(text).map_err(|error| not_an_object(text, &error))?;
    refuse_duplicates(&members)?;
    let mut reader = Reader::of(endpoint, text, &members)?;
    reader.bounds.without(&reader.extras.additional_drop_params);
    let path_model = path_model.or(endpoint.default_model());
    let path_model = reader.model.is_none().then_some(path_model).flatten();
    let (model, model_edit) = match (reader.model, path_model) {
        (Some(model), _) => (model.name, Some(Edit { at: model.at, to: Text::Model })),
        // Google's paths name the model upstream too.
        (None, Some(name)) if endpoint.dialect() == Dialect::Gemini => (name.into(), None),
        (None, Some(name)) => {
            let open = text.find('{').expect("an object has a brace");
            (name.into(), Some(Edit { at: Span::point(open + 1), to: Text::ModelMember }))
        }
        (None, None) => return Err(BadRequest::MissingModel),
    };
    let missing = BadRequest::Missing { route: endpoint.route(), name: endpoint.prompt_field() };
    let prompt = reader.prompt.or_else(|| prompt_elsewhere(endpoint, text, &members));
    let prompt = prompt.ok_or(missing)?;
    if endpoint == Endpoint::Messages && !reader.has_max_tokens {
        let route = endpoint.route();
        return Err(BadRequest::Missing { route, name: "max_tokens" });
    }
    let is_anthropic = endpoint.dialect() == Dialect::Anthropic;
    let options = members.iter().find(|member| member.name == "stream_options");
    let mut edits = reader.cuts.edits;
    let usage_wish = match reader.stream {
        Some(_) if is_anthropic => Some(true),
        Some(stream) if endpoint.dialect() == Dialect::OpenAi => {
            let (wanted, edit) = usage_wish(endpoint, text, stream, options)?;
            edits.extend(edit);
            wanted
        }
        Some(_) | None => None,
    };
    edits.extend(model_edit);
    // An insertion at a point comes before a cut that begins there.
    edits.sort_unstable_by_key(|edit| edit.at);
    Ok(Facts {
        endpoint,
        model,
        model_from_path: path_model.is_some(),
        stream: reader.stream.is_some() || endpoint == Endpoint::StreamGenerateContent,
        usage_wish,
        hides_usage: false,
        max_output: reader.bounds.most(),
        choices: reader.bounds.choices,
        most_choices: reader.bounds.most_choices(),
        prompts: prompts(endpoint, &text[prompt.range()]),
        prompt,
        prompt_tokens: prompt_tokens(&text.as_bytes()[prompt.range()]) + reader.beside,
        labels: reader.labels.finish(),
        extras: reader.extras,
        tool_models: reader.tool_models,
        names: reader.names,
        edits,
        end: reader.cuts.end,
    })
}

/// The place of no prompt, where the provider keeps what is asked: a prompt or a conversation.
fn prompt_elsewhere(endpoint: Endpoint, text: &str, members: &[Member<'_>]) -> Option<Span> {
    let is_kept = |member: &Member<'_>| {
        matches!(&*member.name, "conversation" | "prompt") && member.value != "null"
    };
    let is_elsewhere = endpoint == Endpoint::Responses && members.iter().any(is_kept);
    is_elsewhere.then(|| Span::point(text.find('{').expect("an object has a brace") + 1))
}

/// Collects the facts member by member.
struct Reader<'a> {
    endpoint: Endpoint,
    text: &'a str,
    model: Option<Model>,
    /// The value of `stream`, if it is true.
    stream: Option<Span>,
    prompt: Option<Span>,
    /// Of what belongs to the prompt and stands beside it.
    beside: Tokens,
    has_max_tokens: bool,
    bounds: Bounds,
    labels: LabelReader,
    extras: Extras,
    tool_models: ToolModels,
    names: Vec<Name>,
    cuts: Cuts,
}

struct Model {
    name: Box<str>,
    at: Span,
}

impl<'a> Reader<'a> {
    fn new(endpoint: Endpoint, text: &'a str) -> Self {
        let open = text.find('{').expect("an object has a brace");
        Self {
            endpoint,
            text,
            model: None,
            stream: None,
            prompt: None,
            beside: Tokens(0),
            has_max_tokens: false,
            bounds: Bounds::new(endpoint),
            labels: LabelReader::default(),
            extras: Extras::default(),
            tool_models: ToolModels::default(),
            names: Vec::with_capacity(12),
            cuts: Cuts { edits: Vec::with_capacity(4), any_kept: false, end: open + 1 },
        }
    }

    fn of(endpoint: Endpoint, text: &'a str, members: &[Member<'_>]) -> Result<Self, BadRequest> {
        let mut reader = Self::new(endpoint, text);
        members.iter().try_for_each(|member| reader.take(member))?;
        Ok(reader)
    }

    fn take(&mut self, member: &Member<'_>) -> Result<(), BadRequest> {
        let (value, at) = (member.value, Span::of(member.value, self.text));
        let is_null = value == "null";
        match self.role(member)? {
            Role::Model if is_null => {}
            Role::Model => {
                let name = string(value).ok_or_else(|| self.invalid(member, "a string"))?;
                self.model = Some(Model { name: name.into(), at });
            }
            Role::Stream => match value {
                "true" => self.stream = Some(at),
                "false" | "null" => {}
                _ => return Err(self.invalid(member, "a boolean")),
            },
            Role::Prompt => self.prompt = (!is_null).then_some(at),
            Role::MaxTokens | Role::MaxCompletionTokens => {
                self.check_bound(member)?;
                self.has_max_tokens |= !is_null && member.name == "max_tokens";
                // Servers that have responses do not read the names of chats there.
                if self.endpoint == Endpoint::Responses && member.name != "max_output_tokens" {
                    self.bounds.beside(&member.name, value);
                } else {
                    self.bounds.own(value);
                }
            }
            Role::Choices => self.bounds.choices = self.bounds.choices.max(self.answers(member)?),
            Role::Label(label) => {
                let taken = self.labels.take(label, &member.name, value);
                taken.map_err(|expected| self.invalid(member, expected))?;
                // Google refuses what it does not know.
                if label == Label::Ours || self.endpoint.dialect() == Dialect::Gemini {
                    self.cuts.cut(at, self.text);
                    return Ok(());
                }
            }
            Role::Upstream => self.upstream(member)?,
            Role::Extra => {
                let taken = self.extras.take(&member.name, value);
                taken.map_err(|expected| self.invalid(member, expected))?;
                self.cuts.cut(at, self.text);
                return Ok(());
            }
            Role::Refused if !is_null => {
                return Err(BadRequest::credential(self.endpoint, &member.name));
            }
            Role::Guard if is_set(value) => {
                return Err(BadRequest::not_enforced(self.endpoint, &member.name));
            }
            Role::Refused | Role::Guard | Role::Dropped => {
                self.cuts.cut(at, self.text);
                return Ok(());
            }
        }
        self.cuts.keep(at);
        self.names.push(match member.name {
            Cow::Borrowed(name) => Name::At(Span::of(name, self.text)),
            Cow::Owned(ref name) => Name::Unescaped(name.as_str().into()),
        });
        Ok(())
    }

    /// What a member is. Fallbacks in Anthropic's form are for the provider, and ours where that has no
    /// such.
    fn role(&mut self, member: &Member<'_>) -> Result<Role, BadRequest> {
        let role = role(self.endpoint, &member.name);
        let is_either = self.endpoint.dialect() == Dialect::Anthropic
            && member.name == "fallbacks"
            && fallbacks::are_anthropics(member.value);
        if !is_either {
            return Ok(role);
        }
        let taken = self.extras.take_either(member.value);
        taken.map(|()| Role::Upstream).map_err(|expected| self.invalid(member, expected))
    }

    /// A member that is the provider's to read.
    fn upstream(&mut self, member: &Member<'_>) -> Result<(), BadRequest> {
        if BESIDE.contains(&&*member.name) {
            self.beside = self.beside + prompt_tokens(member.value.as_bytes());
        }
        self.tool_models.take(&member.name, member.value);
        if let Some(expected) = self.tool_models.fault() {
            return Err(self.invalid(member, expected));
        }
        if !self.endpoint.is_chat() {
            return Ok(());
        }
        if self.endpoint.dialect() == Dialect::Gemini
            && is_spelled(&member.name, "generationConfig")
        {
            return self.gemini_bounds(member.value);
        }
        self.bounds.beside(&member.name, member.value);
        if member.name == "top_logprobs" {
            self.check_bound(member)?;
        }
        Ok(())
    }

    /// A bound on what is counted. Local servers are told by -1 that there is none.
    fn check_bound(&self, member: &Member<'_>) -> Result<(), BadRequest> {
        if !matches!(member.value, "null" | "-1") && count(member.value).is_none() {
            return Err(self.invalid(member, COUNT));
        }
        Ok(())
    }

    /// How many answers `n` asks for, or `best_of`, which may be 0.
    fn answers(&self, member: &Member<'_>) -> Result<u32, BadRequest> {
        let is_none = member.name == "n" && count(member.value) == Some(0);
        let asked = choices(member.value).filter(|_| !is_none);
        asked.ok_or_else(|| self.invalid(member, "a whole number, and at least one answer"))
    }

    /// Google's bounds stand one level down. A bound that is no number is for Google to refuse.
    fn gemini_bounds(&mut self, config: &str) -> Result<(), BadRequest> {
        for member in members(config).unwrap_or_default() {
            if is_spelled(&member.name, "maxOutputTokens") {
                self.bounds.own(member.value);
            } else if is_spelled(&member.name, "candidateCount") {
                self.bounds.choices = self.bounds.choices.max(self.answers(&member)?);
            } else {
                self.bounds.beside(&member.name, member.value);
            }
        }
        Ok(())
    }

    fn invalid(&self, member: &Member<'_>, expected: &'static str) -> BadRequest {
        let name = member.name.to_string();
        BadRequest::Invalid { route: self.endpoint.route(), name, expected }
    }
}

/// The edits that remove members, each with one of the commas beside it.
struct Cuts {
    edits: Vec<Edit>,
    any_kept: bool,
    /// Behind the previous member's value; behind the brace and removed commas at first.
    end: usize,
}

impl Cuts {
    fn keep(&mut self, value: Span) {
        self.any_kept = true;
        self.end = value.end;
    }

    /// Removes a member: with the comma before it, or, where nothing before it stays, with the one
    /// behind it.
    fn cut(&mut self, value: Span, text: &str) {
        let comma = text[value.end..].find([',', '}']).expect("an object has an end");
        let next = value.end + comma;
        let comma_follows = text.as_bytes()[next] == b',';
        let end = if !self.any_kept && comma_follows { next + 1 } else { value.end };
        self.edits.push(Edit { at: Span { start: self.end, end }, to: Text::Fixed("") });
        self.end = end;
    }
}

/// Whether the client wants the usage frame of its stream, if it says so, and the edit that makes the
/// provider send one in any case.
fn usage_wish(
    endpoint: Endpoint,
    text: &str,
    stream: Span,
    options: Option<&Member<'_>>,
) -> Result<(Option<bool>, Option<Edit>), BadRequest> {
    let edit = |at, to| Some(Edit { at, to: Text::Usage(to) });
    let Some(options) = options else {
        let added = r#","stream_options":{"include_usage":true}"#;
        return Ok((None, edit(Span::point(stream.end), added)));
    };
    let at = Span::of(options.value, text);
    if options.value == "null" {
        return Ok((None, edit(at, r#"{"include_usage":true}"#)));
    }
    let invalid = |name: &str, expected| BadRequest::Invalid {
        route: endpoint.route(),
        name: name.to_owned(),
        expected,
    };
    let inner = members(options.value).map_err(|_| invalid("stream_options", "an object"))?;
    refuse_duplicates(&inner)?;
    let first = Span::point(at.start + 1);
    match inner.iter().find(|member| member.name == "include_usage") {
        Some(wish) => match wish.value {
            "true" => Ok((Some(true), None)),
            "false" => Ok((Some(false), edit(Span::of(wish.value, text), "true"))),
            "null" => Ok((None, edit(Span::of(wish.value, text), "true"))),
            _ => Err(invalid("stream_options.include_usage", "a boolean")),
        },
        None if inner.is_empty() => Ok((None, edit(first, r#""include_usage":true"#))),
        None => Ok((None, edit(first, r#""include_usage":true,"#))),
    }
}

pub(crate) fn refuse_duplicates(members: &[Member<'_>]) -> Result<(), BadRequest> {
    let mut names: Vec<&str> = members.iter().map(|member| &*member.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(BadRequest::Duplicate { name: pair[0].chars().take(64).collect() }),
        None => Ok(()),
    }
}

fn not_an_object(text: &str, error: &serde_json::Error) -> BadRequest {
    if error.is_data() {
        return BadRequest::NotAnObject;
    }
    if error.is_eof() {
        return malformed_at("unexpected end of data", text);
    }
    // serde_json counts bytes in a line from 1, and 0 for its line end.
    let line_start: usize = text.split_inclusive('\n').take(error.line() - 1).map(str::len).sum();
    let mut place = (line_start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    malformed_at("unexpected character", &text[..place])
}

/// The error at the end of `before`, placed as Python's decoder places it.
fn malformed_at(problem: &'static str, before: &str) -> BadRequest {
    let last_line = before.rsplit('\n').next().unwrap_or(before);
    BadRequest::Malformed {
        problem,
        line: before.matches('\n').count() + 1,
        column: last_line.chars().count() + 1,
        char: before.chars().count(),
    }
}

#[cfg(test)]
mod tests;
