//! Names of tools. APIs differ in what they take for one: a name that breaks the provider's rule is
//! shortened on the way there, as LiteLLM shortens it, and is the client's own again in the answer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::Dialect;
use crate::endpoint::Endpoint;
use crate::form::{Chat, Delta, Part, PartKind, Tool, ToolChoice};
use crate::request::ChatRequest;

/// How much is kept of a name that is shortened, before `_` and the beginning of its digest: every API
/// takes this.
const KEPT: usize = 55;
/// Digits of the digest.
const DIGITS: usize = 8;

/// What an API takes for the name of a tool: ASCII letters, digits, `_`, `-`, and more.
#[derive(Clone, Copy, Debug)]
pub struct NameRule {
    /// The most letters.
    pub most: usize,
    /// What else may be in it.
    pub signs: &'static str,
    /// The first is a letter or `_`.
    pub begins_with_letter: bool,
}

impl NameRule {
    /// Whether a name keeps to it.
    #[must_use]
    pub fn takes(self, name: &str) -> bool {
        let is_known = |c: char| is_plain(c) || self.signs.contains(c);
        let begins = name.chars().next().is_some_and(|c| !self.begins_with_letter || is_first(c));
        name.len() <= self.most && begins && name.chars().all(is_known)
    }

    fn fit(self, name: &mut String) {
        if !self.takes(name) {
            *name = shortened(name);
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn is_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// The same for the same, whatever the rule: so it can be found again in the answer.
fn shortened(name: &str) -> String {
    let before = name.chars().next().filter(|c| is_plain(*c) && !is_first(*c)).map(|_| '_');
    let plain = name.chars().map(|c| if is_plain(c) { c } else { '_' });
    let kept: String = before.into_iter().chain(plain).take(KEPT).collect();
    let digest = hex::encode(Sha256::digest(name));
    format!("{kept}_{}", &digest[..DIGITS])
}

/// Whether a name may be one that was shortened.
fn looks_shortened(name: &str) -> bool {
    let digits = name.rsplit_once('_').map(|(_, digits)| digits.as_bytes());
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(is_digit))
}

impl Chat {
    /// Gives the tools names that `rule` allows, wherever they are named.
    pub fn fit_names(&mut self, rule: NameRule) {
        for tool in &mut self.tools {
            if let Tool::Function { name, .. } = tool {
                rule.fit(name);
            }
        }
        if let Some(ToolChoice::Named(name)) = &mut self.tool_choice {
            rule.fit(name);
        }
        if let Some(allowed) = self.allowed.take_if(|all| !all.iter().all(|one| rule.takes(one))) {
            let fit = |mut name: String| {
                rule.fit(&mut name);
                name
            };
            self.allowed = Some(allowed.into_iter().map(fit).collect::<BTreeSet<_>>());
        }
        for part in self.messages.iter_mut().flat_map(|message| &mut message.parts) {
            match &mut part.kind {
                PartKind::ToolCall(call) => rule.fit(&mut call.name),
                PartKind::ToolResult { name: Some(name), .. } => rule.fit(name),
                PartKind::Text(_)
                | PartKind::Refusal(_)
                | PartKind::Image { .. }
                | PartKind::Audio { .. }
                | PartKind::File { .. }
                | PartKind::Thinking { .. }
                | PartKind::RedactedThinking(_)
                | PartKind::ToolResult { name: None, .. }
                | PartKind::Other(_) => {}
            }
        }
    }
}

/// The names that the client gave its tools, for an answer that calls them by others. The request is
/// read again only if one of those that come looks shortened.
#[derive(Clone, Debug)]
pub struct ToolNames {
    endpoint: Endpoint,
    body: Bytes,
    own: Option<BTreeMap<String, String>>,
}

impl ToolNames {
    /// Those of `request`.
    #[must_use]
    pub fn of(request: &ChatRequest) -> Self {
        Self { endpoint: request.endpoint(), body: request.body.clone(), own: None }
    }

    /// Lets a piece of a stream call a tool by the client's own name.
    pub fn restore(&mut self, delta: &mut Delta) {
        if let Delta::ToolCall { name, .. } = delta {
            self.restore_name(name);
        }
    }

    /// Lets a part of an answer do so.
    pub(crate) fn restore_in(&mut self, part: &mut Part) {
        if let PartKind::ToolCall(call) = &mut part.kind {
            self.restore_name(&mut call.name);
        }
    }

    fn restore_name(&mut self, name: &mut String) {
        if !looks_shortened(name) {
            return;
        }
        let own = self.own.get_or_insert_with(|| own_names(self.endpoint, &self.body));
        if let Some(own) = own.get(name) {
            name.clone_from(own);
        }
    }
}

/// What the client calls its tools, by what they are called once they are shortened.
fn own_names(endpoint: Endpoint, body: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    // It was read before it was sent, but for what the operator leaves out.
    let chat = endpoint.read_chat(text, Chat::new(Dialect::OpenAi)).unwrap_or_default();
    let names = chat.tools.into_iter().filter_map(|tool| match tool {
        Tool::Function { name, .. } => Some((shortened(&name), name)),
        Tool::Hosted(_) => None,
    });
    names.collect()
}
