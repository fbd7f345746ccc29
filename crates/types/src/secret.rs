//! A text that cannot be printed, logged or serialized by accident.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use subtle::ConstantTimeEq;

/// A key, token or password. `Debug` shows only that it is there; there is no `Display` and no
/// `Serialize`. Equality takes the same time wherever the texts differ.
#[derive(Clone, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the wire, never for people.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The cluster secret, and the one whose place it takes while that goes on: what either has sealed is
/// opened. Clones are one: they seal under the same.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// The one that stays.
    pub current: Secret,
    /// The one that goes.
    pub previous: Option<Secret>,
    turned: Arc<AtomicBool>,
}

impl Secrets {
    /// Both, if there are two.
    #[must_use]
    pub fn new(current: Secret, previous: Option<Secret>) -> Self {
        Self { current, previous, turned: Arc::default() }
    }

    /// All of them, the one that stays first.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        [&self.current].into_iter().chain(&self.previous)
    }

    /// Which of [`Secrets::all`] seals what every member must be able to open: the one that goes,
    /// until [`Secrets::turn`] says that all of them know the one that stays.
    #[must_use]
    pub fn sealing(&self) -> usize {
        usize::from(self.previous.is_some() && !self.turned.load(Ordering::Relaxed))
    }

    /// Seals under the one that stays, or under the one that goes again.
    pub fn turn(&self, turned: bool) {
        self.turned.store(turned, Ordering::Relaxed);
    }
}

impl From<Secret> for Secrets {
    fn from(current: Secret) -> Self {
        Self::new(current, None)
    }
}
