//! Tokens counted here, without a provider: exactly for `OpenAI`'s models, whose encodings are
//! compiled in; by a stated ratio for other models; by the length of the text while an encoding is
//! loading or if the text is long. Every [`Count`] says which it is.
//!
//! Does not know prices, open requests or limits. Invariants: a count never waits for an encoding
//! (callers that want to wait use [`Tokenizer::warm`]) and takes a bounded time; text is never
//! counted as nothing. An edge crate because an encoding is loaded once, in the background: the
//! handle is cheap to clone. Read `family.rs` for how each model is counted, `chat.rs` for what a
//! chat adds to its texts.

mod chat;
mod family;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dunlin_llm::tokens_in;
use dunlin_types::Tokens;
use tiktoken_rs::CoreBPE;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use family::{Encoding, Family};

/// Longer texts are estimated: an encoding takes some 50 µs a kilobyte, and a chat's prompt may be
/// megabytes.
pub const MAX_COUNTED_BYTES: usize = 1024 * 1024;
/// Longer texts are counted off the threads that serve.
const INLINE_BYTES: usize = 16 * 1024;
/// A run of letters, of marks or of spaces is one piece to an encoding, whose time grows faster than
/// the piece: texts with longer ones are estimated.
const MAX_PIECE_BYTES: usize = 1024;
/// How long who asks for a count waits for its encoding to be loaded: some 250 ms on a free machine.
pub const LOADING: Duration = Duration::from_secs(2);
/// How long who needs texts made of tokens waits for that.
pub const READING: Duration = Duration::from_secs(20);
/// How estimates by length call themselves.
const BY_LENGTH: &str = "bytes/4";

/// A number of tokens and how it was come by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// The number.
    pub tokens: Tokens,
    /// The encoding, with the ratio if it stands in for another, or `bytes/4`.
    pub tokenizer: &'static str,
    /// The provider would count the same.
    pub exact: bool,
}

/// Why a body cannot be counted.
#[derive(Debug, thiserror::Error)]
#[error("this is not a chat: {0}")]
pub struct NotAChat(#[from] serde_json::Error);

/// Why ids of tokens cannot be read as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoText {
    /// The encoding has no token of that id.
    #[error("{0} is no token of cl100k_base")]
    Unknown(u32),
    /// The encoding was not loaded within [`READING`].
    #[error("the encoding cl100k_base is not loaded yet")]
    NotLoaded,
}

/// Counts tokens. A clone is a pointer.
#[derive(Clone)]
pub struct Tokenizer(Arc<Shared>);

struct Shared {
    tasks: TaskTracker,
    some_loaded: Notify,
    /// By [`Encoding`].
    slots: [Slot; 4],
}

#[derive(Default)]
struct Slot {
    asked: AtomicBool,
    loaded: OnceLock<CoreBPE>,
}

impl Tokenizer {
    /// An encoding is loaded on `tasks` when it is first asked for: few nodes are ever asked, and
    /// each costs tens of megabytes. What is counted meanwhile is an estimate and says so.
    #[must_use]
    pub fn new(tasks: &TaskTracker) -> Self {
        Self(Arc::new(Shared {
            tasks: tasks.clone(),
            some_loaded: Notify::new(),
            slots: Default::default(),
        }))
    }

    /// Waits until the model's texts can be counted by its encoding, but no longer than
    /// [`LOADING`]: for those who ask for the count itself.
    pub async fn warm(&self, model: &str) {
        let loading = self.loading(Family::of(model).encoding);
        let _counts_by_length_then = tokio::time::timeout(LOADING, loading).await;
    }

    /// The texts that clients made `lists` of: by `cl100k_base`, which all of OpenAI's models for
    /// embeddings have, and which LiteLLM and LangChain take for any other. A character that was cut
    /// in two becomes a replacement character.
    ///
    /// # Errors
    /// An id is of no token, or the encoding takes longer than [`READING`] to load.
    pub async fn texts_of(&self, lists: Vec<Vec<u32>>) -> Result<Vec<String>, NoText> {
        let loading = self.loading(Encoding::Cl100k);
        tokio::time::timeout(READING, loading).await.map_err(|_| NoText::NotLoaded)?;
        let this = self.clone();
        let reading = self.0.tasks.spawn_blocking(move || {
            let encoding = this.loaded(Encoding::Cl100k).ok_or(NoText::NotLoaded)?;
            let text = |list: &Vec<u32>| match encoding.decode_bytes(list) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(unknown) => Err(NoText::Unknown(unknown.token)),
            };
            lists.iter().map(text).collect()
        });
        // Only a node that ends cancels its tasks.
        reading.await.unwrap_or(Err(NoText::NotLoaded))
    }

    async fn loading(&self, encoding: Encoding) {
        loop {
            let mut some_loaded = pin!(self.0.some_loaded.notified());
            some_loaded.as_mut().enable();
            if self.loaded(encoding).is_some() {
                return;
            }
            some_loaded.await;
        }
    }

    /// The tokens of a text on its own.
    #[must_use]
    pub fn count_text(&self, model: &str, text: &str) -> Count {
        self.count(&Family::of(model), &[text], 0)
    }

    /// The prompt tokens of a chat in `OpenAI`'s form.
    ///
    /// # Errors
    /// The body is not a chat.
    pub fn count_chat(&self, model: &str, body: &[u8]) -> Result<Count, NotAChat> {
        let family = Family::of(model);
        let chat = chat::read(body, family.encoding)?;
        let texts: Vec<&str> = chat.texts.iter().map(|text| &**text).collect();
        let count = self.count(&family, &texts, chat.framing);
        Ok(Count { exact: count.exact && chat.exact, ..count })
    }

    /// The texts' tokens, each text on its own, and `framing`.
    fn count(&self, family: &Family, texts: &[&str], framing: u64) -> Count {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let in_bounds =
            bytes <= MAX_COUNTED_BYTES && texts.iter().all(|text| has_no_long_piece(text));
        let encoding = self.loaded(family.encoding).filter(|_| in_bounds);
        let Some(encoding) = encoding else {
            let tokens = tokens_in(bytes as u64) + Tokens(framing);
            return Count { tokens, tokenizer: BY_LENGTH, exact: false };
        };
        let count = || texts.iter().map(|text| encoding.count_ordinary(text)).sum::<usize>();
        let counted = if bytes > INLINE_BYTES { beside_others(count) } else { count() };
        let (times, by) = family.ratio;
        let tokens = Tokens((counted as u64 * times).div_ceil(by) + framing);
        Count { tokens, tokenizer: family.name, exact: family.exact }
    }

    fn loaded(&self, encoding: Encoding) -> Option<&CoreBPE> {
        let loaded = self.0.slots[encoding as usize].loaded.get();
        if loaded.is_none() {
            self.load(encoding);
        }
        loaded
    }

    fn load(&self, encoding: Encoding) {
        if self.0.slots[encoding as usize].asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(&self.0);
        self.0.tasks.spawn_blocking(move || match encoding.load() {
            Ok(bpe) => {
                // Asked for once, so the slot is empty.
                drop(shared.slots[encoding as usize].loaded.set(bpe));
                shared.some_loaded.notify_waiters();
                debug!(tokens.encoding = encoding.name(), "an encoding is loaded");
            }
            Err(text) => {
                error!(
                    tokens.encoding = encoding.name(),
                    error = text,
                    "cannot load an encoding: its tokens are estimated"
                );
            }
        });
    }
}

/// Runs `count`, which takes long, so that the other tasks of this thread go on elsewhere.
fn beside_others<T>(count: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
    match runtime {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(count),
        Ok(_) | Err(_) => count(),
    }
}

/// What an encoding takes apart first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Space,
    Mark,
}

fn has_no_long_piece(text: &str) -> bool {
    let (mut of, mut length) = (Kind::Mark, 0);
    text.len() <= MAX_PIECE_BYTES
        || text.chars().all(|char| {
            let kind = match char {
                _ if char.is_alphabetic() => Kind::Letter,
                _ if char.is_whitespace() => Kind::Space,
                _ if char.is_numeric() => Kind::Digit,
                _ => Kind::Mark,
            };
            length = if kind == of { length + char.len_utf8() } else { char.len_utf8() };
            of = kind;
            length <= MAX_PIECE_BYTES
        })
}
