//! What clients send back of earlier answers, which another model may have given: servers that speak
//! OpenAI's dialect differ in what they take of it.

use bytes::Bytes;
use dunlin_llm::form::without_seal;
use dunlin_llm::{Word, edit};
use sha2::{Digest, Sha256};

/// What is behind the id of a call that has a seal.
static SEAL: Word = Word::new(b"__thought__");
static CALLS: Word = Word::new(br#""tool_call"#);
static SEALED: Word = Word::new(br#""encrypted_content""#);

/// What the ids of items hold that were made here, of responses that are stored.
static MADE_HERE: Word = Word::new(b"_dn1");
/// OpenAI takes ids of so many characters.
const LONGEST_ID: usize = 64;

/// How the seals of OpenAI's own models begin.
const OPENAIS: &str = "\"gAAAA";

/// What a server takes of a history.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// What it refuses in the model's messages, by path.
    pub(crate) refuses: &'static [&'static str],
    /// Ids of calls are nine letters and digits, as Mistral makes them.
    pub(crate) short_ids: bool,
    /// A turn that calls must say what was thought.
    pub(crate) thoughts: bool,
    /// What is behind the ids of calls is for Google's models, which may answer.
    pub(crate) seals: bool,
}

impl Replayed {
    pub(crate) const ANY: Self =
        Self { refuses: &[], short_ids: false, thoughts: false, seals: false };
    /// Of servers that refuse what OpenAI's requests do not have.
    pub(crate) const STRICT: Self = Self { refuses: ANSWERS_ONLY, ..Self::ANY };
    /// Of those that take back what was thought.
    pub(crate) const BUT_THOUGHTS: Self = Self { refuses: OURS, ..Self::ANY };

    /// The body of a chat with a history that the server takes.
    pub(crate) fn fit(self, mut body: Bytes) -> Bytes {
        if !self.refuses.is_empty() {
            body = edit::each(body, "messages", |message| self.without_refused(message));
        }
        if self.thoughts && CALLS.is_in(&body) {
            body = edit::each(body, "messages", thinking);
        }
        if self.short_ids && CALLS.is_in(&body) {
            return rename_calls(body, &short);
        }
        if !self.seals && SEAL.is_in(&body) { rename_calls(body, &unsealed) } else { body }
    }

    fn without_refused(self, message: &str) -> Option<Bytes> {
        let has = |path: &&str| message.contains(path.rsplit('.').next().unwrap_or(path));
        let refused: Vec<&str> = self.refuses.iter().copied().filter(has).collect();
        if refused.is_empty() || !is_answer(message) {
            return None;
        }
        Some(edit::without(Bytes::copy_from_slice(message.as_bytes()), &refused))
    }
}

/// What answers have and requests do not: OpenAI's own, and what is added for those that think.
const ANSWERS_ONLY: &[&str] = &[
    "annotations",
    "audio",
    "images",
    "provider_specific_fields",
    "reasoning_content",
    "reasoning_details",
    "refusal",
    "thinking_blocks",
    "tool_calls[*].extra_content",
    "tool_calls[*].provider_specific_fields",
];

/// What only gateways add.
const OURS: &[&str] =
    &["provider_specific_fields", "thinking_blocks", "tool_calls[*].provider_specific_fields"];

fn is_answer(message: &str) -> bool {
    edit::member(message.as_bytes(), "role") == Some("\"assistant\"")
}

/// A turn that calls, with the least that can be said of a thought that is not known.
fn thinking(message: &str) -> Option<Bytes> {
    let said = |name| edit::member(message.as_bytes(), name).filter(|it| *it != "null");
    let calls = said("tool_calls").is_some_and(|calls| calls != "[]");
    let thought = said("reasoning_content").or(said("reasoning"));
    if !calls || !is_answer(message) || thought.is_some_and(|thought| thought != "\"\"") {
        return None;
    }
    let message = Bytes::copy_from_slice(message.as_bytes());
    Some(edit::with(message, "reasoning_content", "\" \""))
}

fn rename_calls(body: Bytes, to: &dyn Fn(&str) -> Option<String>) -> Bytes {
    let body = edit::rewritten(body, "messages[*].tool_calls[*].id", to);
    edit::rewritten(body, "messages[*].tool_call_id", to)
}

fn unsealed(id: &str) -> Option<String> {
    let bare = without_seal(id);
    (bare != id).then(|| bare.to_owned())
}

/// The same for the same, so that a result is known for that of its call.
fn short(id: &str) -> Option<String> {
    let is_short = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (!is_short).then(|| hex::encode(Sha256::digest(without_seal(id)))[..9].to_owned())
}

/// The body of a response's creation for OpenAI, without what others sealed and ids that are too long
/// for it: it would be refused.
pub(crate) fn as_openais(body: Bytes) -> Bytes {
    let body = if MADE_HERE.is_in(&body) { edit::each(body, "input", short_id) } else { body };
    let body = if SEALED.is_in(&body) {
        edit::each(body, "input", |item| {
            let said = |name| edit::member(item.as_bytes(), name);
            let is_foreign = said("type") == Some("\"reasoning\"")
                && said("encrypted_content")
                    .is_some_and(|seal| seal != "null" && !seal.starts_with(OPENAIS));
            is_foreign.then(Bytes::new)
        })
    } else {
        body
    };
    if SEAL.is_in(&body) { edit::rewritten(body, "input[*].call_id", &unsealed) } else { body }
}

/// An item without its id if that is too long, or with a shorter one where there must be one.
fn short_id(item: &str) -> Option<Bytes> {
    let said = |name| edit::member(item.as_bytes(), name);
    let quotes = 2;
    said("id").filter(|id| id.len() > LONGEST_ID + quotes)?;
    let whole = Bytes::copy_from_slice(item.as_bytes());
    match said("type") {
        Some("\"item_reference\"") => None,
        Some("\"image_generation_call\"" | "\"local_shell_call\"") => {
            let shorter = |id: &str| {
                let kind = id.split('_').next().unwrap_or_default();
                Some(format!("{kind}_{}", &hex::encode(Sha256::digest(id))[..32]))
            };
            Some(edit::rewritten(whole, "id", &shorter))
        }
        Some(_) | None => Some(edit::without(whole, &["id"])),
    }
}
