//! What clients and the admin do, drawn from a seed: the same for simulated and for real nodes.

use std::fmt;

use crate::random::Random;

/// A key of the run, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub u32);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.0)
    }
}

/// What a key may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Requests in any 60 s.
    pub requests: Option<u64>,
    /// Requests at once.
    pub parallel: Option<u64>,
    /// Whether not even the loss of nodes lets more through: `on_loss: share`.
    pub shared: bool,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A chat completion.
    Chat {
        /// Whose.
        key: Key,
        /// Whether it is streamed.
        stream: bool,
        /// Tokens of the answer.
        tokens: u64,
    },
    /// A new key.
    Create {
        /// Which.
        key: Key,
        /// What it may use.
        allowed: Allowed,
    },
    /// A key is refused from now on.
    Block {
        /// Which.
        key: Key,
    },
    /// A key works again.
    Unblock {
        /// Which.
        key: Key,
    },
    /// A key is no more.
    Delete {
        /// Which.
        key: Key,
    },
}

impl Operation {
    /// Whose key it is about.
    #[must_use]
    pub fn key(self) -> Key {
        match self {
            Self::Chat { key, .. }
            | Self::Create { key, .. }
            | Self::Block { key }
            | Self::Unblock { key }
            | Self::Delete { key } => key,
        }
    }

    /// Whether it changes a key.
    #[must_use]
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Chat { .. })
    }
}

/// The keys that are there from the beginning and stay: without limits, with few and with many
/// requests a minute, with few at once.
pub const STANDING: [Allowed; 5] = [
    Allowed { requests: None, parallel: None, shared: false },
    Allowed { requests: Some(8), parallel: None, shared: false },
    Allowed { requests: Some(60), parallel: None, shared: false },
    Allowed { requests: Some(900), parallel: None, shared: false },
    Allowed { requests: None, parallel: Some(3), shared: false },
];
/// In one of so many runs the limits of requests are shared while nodes are lost.
const SHARING: u64 = 5;
/// Keys that come and go, at most: what is looked at in the end is all of them.
const MOST_KEYS: usize = 60;

/// The source of operations.
#[derive(Debug)]
pub struct Workload {
    random: Random,
    keys: Vec<Place>,
    /// The key that was changed last: what follows at once is what may go wrong.
    last: Option<Key>,
    /// Whether the limits of the standing keys are shared.
    shares: bool,
}

/// What the clients believe of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is being made.
    Asked,
    Open,
    Blocked,
    Deleted,
}

impl Workload {
    /// What comes of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            keys: Vec::new(),
            last: None,
            shares: seed % SHARING == 3,
        }
    }

    /// The standing keys, to be made first.
    pub fn begin(&mut self) -> Vec<Operation> {
        self.keys = vec![Place::Asked; STANDING.len()];
        let numbered = (0..).zip(STANDING);
        let made = numbered.map(|(key, allowed)| {
            let shared = self.shares && allowed.requests.is_some();
            Operation::Create { key: Key(key), allowed: Allowed { shared, ..allowed } }
        });
        made.collect()
    }

    /// The next chat: most with the standing keys, some with keys that came, a few with keys that
    /// should be refused.
    pub fn chat(&mut self) -> Operation {
        let places = self.keys.iter().enumerate().skip(STANDING.len());
        let of = |wanted: Place| {
            places.clone().filter(move |(_, place)| **place == wanted).map(|(key, _)| key)
        };
        let drawn = self.random.below(100);
        let choice: Vec<usize> = match drawn {
            0..60 => Vec::new(),
            60..80 => of(Place::Open).collect(),
            80..92 => of(Place::Blocked).collect(),
            _ => of(Place::Deleted).collect(),
        };
        // The latest few: what has just changed is what may go wrong.
        let latest = &choice[choice.len().saturating_sub(3)..];
        let standing = self.random.below(STANDING.len() as u64);
        let key = self.random.pick(latest).map_or(standing, |key| *key as u64);
        let key = Key(u32::try_from(key).expect("few keys"));
        let (stream, tokens) = (self.random.percent(40), self.random.between(1, 12));
        Operation::Chat { key, stream, tokens }
    }

    /// The next admin write. It must be over, one way or the other, before the one after it.
    pub fn write(&mut self) -> Operation {
        let last = self.last.take().filter(|key| key.0 as usize >= STANDING.len());
        if let Some(key) = last
            && self.random.percent(30)
        {
            match self.keys[key.0 as usize] {
                Place::Open if self.random.percent(50) => return Operation::Delete { key },
                Place::Open => return Operation::Block { key },
                Place::Blocked => return Operation::Unblock { key },
                Place::Asked | Place::Deleted => {}
            }
        }
        let standing = STANDING.len();
        let of = |wanted: Place| -> Vec<u32> {
            let places = (0..).zip(&self.keys).skip(standing);
            places.filter(|(_, place)| **place == wanted).map(|(key, _)| key).collect()
        };
        let (open, blocked) = (of(Place::Open), of(Place::Blocked));
        let drawn = self.random.below(100);
        let make = drawn < 40 && self.keys.len() < MOST_KEYS;
        let existing = match drawn {
            _ if make => None,
            0..65 => self.random.pick(&open).map(|key| Operation::Block { key: Key(*key) }),
            65..75 => self.random.pick(&blocked).map(|key| Operation::Unblock { key: Key(*key) }),
            75..88 => self.random.pick(&open).map(|key| Operation::Delete { key: Key(*key) }),
            _ => self.random.pick(&blocked).map(|key| Operation::Delete { key: Key(*key) }),
        };
        existing.unwrap_or_else(|| {
            let key = Key(u32::try_from(self.keys.len()).expect("few keys"));
            self.keys.push(Place::Asked);
            Operation::Create { key, allowed: Allowed::default() }
        })
    }

    /// A write was acknowledged.
    pub fn written(&mut self, operation: Operation) {
        let place = match operation {
            Operation::Chat { .. } => return,
            Operation::Create { .. } | Operation::Unblock { .. } => Place::Open,
            Operation::Block { .. } => Place::Blocked,
            Operation::Delete { .. } => Place::Deleted,
        };
        self.keys[operation.key().0 as usize] = place;
        self.last = Some(operation.key());
    }

    /// All keys that were ever asked for.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        (0..).map(Key).take(self.keys.len())
    }

    /// A random number for whoever does the work.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}
