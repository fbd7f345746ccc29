//! What a request says of itself for the books: on whose behalf it is made, its tags, the session it
//! is part of, and what the operator's records are to hold of it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::extras::any_of_ours;
use crate::fields::Label;
use crate::json::{members, string, write_string};
use crate::parse::BadRequest;

/// More tags than one request can need; each may have a budget and limits that are looked up.
pub const MAX_TAGS: usize = 64;
/// As long as a tag may be.
pub const MAX_TAG_BYTES: usize = 256;
/// As long as the id of a user or a session may be. Claude Code's are 150 bytes.
pub const MAX_ID_BYTES: usize = 512;
/// As long as what is kept of a request for the operator's own records may be.
pub const MAX_SPEND_METADATA_BYTES: usize = 8 << 10;

const TAGS: &str = "a list of at most 64 texts, each of 1 to 256 bytes";
const ID: &str = "a text of at most 512 bytes";
const SPEND_METADATA: &str = "a JSON object of at most 8 KiB";

/// What a request says of itself, within the bounds above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Who the client says its user is.
    pub end_user: Option<String>,
    /// Each once, in the order in which they are named.
    pub tags: Vec<String>,
    /// `spend_logs_metadata`, a JSON object.
    pub spend_metadata: Option<String>,
    /// What several requests have in common: a conversation, a run of an agent.
    pub session: Option<String>,
}

/// An end user and a session.
type Named<'h> = (Option<&'h str>, Option<&'h str>);

impl Labels {
    /// These, completed by what the headers say: `x-litellm-customer-id`, `x-litellm-end-user-id`
    /// and the operator's `end_user_headers`, `x-litellm-tags`, `x-litellm-spend-logs-metadata`,
    /// `x-litellm-trace-id`, `x-litellm-session-id` and other clients' headers for a session. All
    /// tags count; in everything else a header wins.
    ///
    /// # Errors
    /// A header of the gateway's is longer than its bound, no UTF-8, or not what it should be.
    pub fn with_headers(
        &self,
        headers: &HeaderMap,
        end_user_headers: &[HeaderName],
    ) -> Result<Self, BadRequest> {
        let mut all = self.clone();
        let ours = any_of_ours(headers).then(|| all.take_ours(headers)).transpose()?;
        let (customer, session) = ours.unwrap_or_default();
        let mut theirs = end_user_headers.iter().map(HeaderName::as_str);
        let theirs = theirs.find_map(|name| text(headers, name, MAX_ID_BYTES).transpose());
        let end_user = customer.or(theirs.transpose().or(Err(bad("user_header_mappings", ID)))?);
        all.end_user = end_user.map(str::to_owned).or(all.end_user);
        let session = session.or_else(|| clients_session(headers));
        all.session = session.map(str::to_owned).or(all.session);
        Ok(all)
    }

    /// Takes the tags and the metadata of the gateway's own headers; gives the end user and the session
    /// that they name.
    fn take_ours<'h>(&mut self, headers: &'h HeaderMap) -> Result<Named<'h>, BadRequest> {
        let said = |name: &'static str, most, expected| {
            text(headers, name, most).map_err(|Unreadable| bad(name, expected))
        };
        let id = |name| said(name, MAX_ID_BYTES, ID);
        let customer = id("x-litellm-customer-id")?.or(id("x-litellm-end-user-id")?);
        let name = "x-litellm-tags";
        // Who stands between may add a line of his own.
        for line in headers.get_all(name) {
            let line = std::str::from_utf8(line.as_bytes()).or(Err(bad(name, TAGS)))?;
            for tag in line.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                self.add_tag(tag).map_err(|expected| bad(name, expected))?;
            }
        }
        let name = "x-litellm-spend-logs-metadata";
        if let Some(metadata) = said(name, MAX_SPEND_METADATA_BYTES, SPEND_METADATA)? {
            let metadata = spend_metadata(metadata).map_err(|expected| bad(name, expected))?;
            self.spend_metadata = metadata.or(self.spend_metadata.take());
        }
        Ok((customer, id("x-litellm-trace-id")?.or(id("x-litellm-session-id")?)))
    }

    fn add_tag(&mut self, tag: &str) -> Result<(), &'static str> {
        if self.tags.iter().any(|known| known == tag) {
            return Ok(());
        }
        if tag.is_empty() || tag.len() > MAX_TAG_BYTES || self.tags.len() == MAX_TAGS {
            return Err(TAGS);
        }
        self.tags.push(tag.to_owned());
        Ok(())
    }

    /// Those of a list that may hold a provider's own things.
    fn add_what_is_a_tag(&mut self, value: &str) {
        let tags: Vec<Cow<'_, str>> = serde_json::from_str(value).unwrap_or_default();
        for tag in tags {
            // What is beyond a bound there is for the provider to refuse.
            self.add_tag(&tag).ok();
        }
    }

    fn add_tags(&mut self, value: &str) -> Result<(), &'static str> {
        let tags: Vec<Cow<'_, str>> = serde_json::from_str(value).or(Err(TAGS))?;
        tags.iter().try_for_each(|tag| self.add_tag(tag))
    }
}

/// `x-claude-code-session-id` and the like; too long a one is none of ours to refuse.
fn clients_session(headers: &HeaderMap) -> Option<&str> {
    let is_vendors = |name: &str| name.starts_with("x-") && name.ends_with("-session-id");
    let vendors = headers.keys().map(HeaderName::as_str).filter(|name| is_vendors(name));
    let mut names = vendors.chain(["session_id"]);
    names.find_map(|name| text(headers, name, MAX_ID_BYTES).ok().flatten())
}

/// A header is longer than its bound, or no UTF-8.
struct Unreadable;

/// What a header says, unless that is nothing. Its bytes are read as UTF-8, as bodies are.
fn text<'h>(
    headers: &'h HeaderMap,
    name: &str,
    most: usize,
) -> Result<Option<&'h str>, Unreadable> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).or(Err(Unreadable))?.trim();
    if text.len() > most { Err(Unreadable) } else { Ok((!text.is_empty()).then_some(text)) }
}

fn bad(name: &'static str, expected: &'static str) -> BadRequest {
    BadRequest::BadHeader { name, expected }
}

/// The object, if it says anything.
fn spend_metadata(value: &str) -> Result<Option<String>, &'static str> {
    let members = members(value).or(Err(SPEND_METADATA))?;
    if value.len() > MAX_SPEND_METADATA_BYTES {
        return Err(SPEND_METADATA);
    }
    Ok((!members.is_empty()).then(|| value.to_owned()))
}

/// Collects labels from the members of a body, in whatever order they come.
#[derive(Debug, Default)]
pub(crate) struct LabelReader {
    labels: Labels,
    user: Option<String>,
    /// `litellm_metadata.user`
    metadata_user: Option<String>,
    /// `metadata.user_id`
    user_id: Option<String>,
    safety_identifier: Option<String>,
}

impl LabelReader {
    /// Takes a member of a JSON body. The error is what was expected instead.
    pub(crate) fn take(
        &mut self,
        label: Label,
        name: &str,
        value: &str,
    ) -> Result<(), &'static str> {
        match label {
            Label::User => self.user = named(value)?,
            Label::SafetyIdentifier => self.safety_identifier = id(value)?,
            // What it should be is for the provider to say.
            Label::Foreign => {
                let members = members(value).unwrap_or_default();
                let of = |name: &str| members.iter().find(|member| member.name == name);
                self.labels.add_what_is_a_tag(of("tags").map_or("[]", |tags| tags.value));
                self.user_id = of("user_id").map_or(Ok(None), |user| id(user.value))?;
            }
            Label::Ours => self.take_ours(name, value)?,
        }
        Ok(())
    }

    /// Takes a member of a body that is a provider's, if it is one of a label.
    pub(crate) fn take_passed(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        passed_label(name).map_or(Ok(()), |label| self.take(label, name, value))
    }

    /// Takes a field of a form that is a provider's, if it is one of a label.
    pub(crate) fn take_passed_field(
        &mut self,
        name: &str,
        value: &str,
    ) -> Result<(), &'static str> {
        passed_label(name).map_or(Ok(()), |label| self.take_field(label, name, value))
    }

    /// Takes a field of a form, whose texts have no quotes.
    pub(crate) fn take_field(
        &mut self,
        label: Label,
        name: &str,
        value: &str,
    ) -> Result<(), &'static str> {
        let is_json = name == "tags" || name.ends_with("metadata");
        if is_json {
            return self.take(label, name, value);
        }
        let mut quoted = Vec::with_capacity(value.len() + 2);
        write_string(&mut quoted, value);
        self.take(label, name, std::str::from_utf8(&quoted).expect("JSON is UTF-8"))
    }

    fn take_ours(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            _ if value == "null" => Ok(()),
            "tags" => self.labels.add_tags(value),
            "litellm_session_id" | "litellm_trace_id" => {
                self.labels.session = id(value)?.or(self.labels.session.take());
                Ok(())
            }
            // Some SDKs send an object as a text.
            "metadata" | "litellm_metadata" => match string(value) {
                Some(text) => self.metadata(&text),
                None => self.metadata(value),
            },
            _ => unreachable!("`fields` sends only the names above"),
        }
    }

    fn metadata(&mut self, value: &str) -> Result<(), &'static str> {
        for member in members(value).or(Err("an object"))? {
            let value = member.value;
            match &*member.name {
                _ if value == "null" => {}
                "tags" => self.labels.add_tags(value)?,
                "spend_logs_metadata" => {
                    let metadata = spend_metadata(value)?;
                    self.labels.spend_metadata = metadata.or(self.labels.spend_metadata.take());
                }
                "guardrails" | "policies" if !matches!(value, "[]" | "{}") => {
                    return Err(
                        "an object without guardrails and policies, which are not enforced",
                    );
                }
                "user" => self.metadata_user = id(value)?,
                "user_id" => self.user_id = id(value)?,
                "session_id" | "trace_id" if self.labels.session.is_none() => {
                    self.labels.session = id(value)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Labels {
        let Self { labels, user, metadata_user, user_id, safety_identifier } = self;
        let end_user = user.or(metadata_user).or(user_id).or(safety_identifier);
        Labels { end_user, ..labels }
    }
}

/// Which label a member of a body is that is a provider's.
fn passed_label(name: &str) -> Option<Label> {
    Some(match name {
        "user" => Label::User,
        "safety_identifier" => Label::SafetyIdentifier,
        "metadata" => Label::Foreign,
        "tags" | "litellm_metadata" | "litellm_session_id" | "litellm_trace_id" => Label::Ours,
        _ => return None,
    })
}

/// A text that names somebody; null and an empty one name nobody. OpenAI takes nothing else.
fn named(value: &str) -> Result<Option<String>, &'static str> {
    if value == "null" || string(value).is_some() { id(value) } else { Err("a string") }
}

/// A text or a number; every other kind of value names nobody, and neither does an empty text.
fn id(value: &str) -> Result<Option<String>, &'static str> {
    let number = || serde_json::from_str::<serde_json::Number>(value).ok();
    let id = string(value).map(Cow::into_owned).or_else(|| number().map(|n| n.to_string()));
    match id.filter(|id| !id.is_empty()) {
        Some(id) if id.len() > MAX_ID_BYTES => Err(ID),
        id => Ok(id),
    }
}

#[cfg(test)]
mod tests;
