//! What can go wrong with a mock, and the order in which it does.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

/// What is wrong with the mock, from one moment to the next. Chunks are counted in tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The process is gone: connections break, new ones are refused.
    Refuse,
    /// Answers with an error.
    Status {
        /// The status.
        code: u16,
        /// The `retry-after` header, in seconds.
        retry_after: Option<u64>,
    },
    /// Takes requests, health checks too, and never answers.
    Hang,
    /// Resets the connection after this many chunks of a stream, or half-way through a whole answer.
    /// The client may not get to see all that was sent before.
    ResetMidStream(u32),
    /// Ends a stream after this many chunks as if it were whole, but without its last words.
    CutMidStream(u32),
    /// Sends an error event after this many chunks of a stream, in the dialect's own way.
    ErrorMidStream(u32),
    /// Sends nothing for so long after this many chunks of a stream, then goes on.
    StallMidStream(u32, Duration),
    /// 503 on all routes: the model is being loaded.
    Loading,
    /// Answers without usage, even where it is asked for.
    MissingUsage,
    /// 404: the model has another name.
    WrongName,
    /// This much more before the first byte.
    SlowFirstToken(Duration),
    /// So many tokens per second, whatever the settings say.
    TokensPerSecond(u32),
    /// A 200 whose JSON breaks off in the middle.
    TruncatedJson,
    /// A 200 with JSON that is none; in a stream, one such frame among good ones.
    MalformedJson,
    /// A 200 with text that is not UTF-8; in a stream, one such frame among good ones.
    BadUtf8,
    /// A 200 with a page of HTML, as a proxy in between would send.
    Html,
    /// An answer with this many bytes of text.
    HugeReply(usize),
    /// A stream with one frame of this many bytes of text.
    HugeFrame(usize),
    /// A stream that arrives in pieces of this many bytes, wherever they cut.
    Chopped(usize),
}

impl Fault {
    /// A fault by the name it has in a request's wish, with its number.
    pub(crate) fn named(name: &str, number: Option<u32>) -> Option<Self> {
        let after = number.unwrap_or(1);
        let wait = Duration::from_millis(u64::from(number.unwrap_or(1000)));
        Some(match name {
            "hang" => Self::Hang,
            "reset" => Self::ResetMidStream(after),
            "cut" => Self::CutMidStream(after),
            "error" => Self::ErrorMidStream(after),
            "stall" => Self::StallMidStream(1, wait),
            "loading" => Self::Loading,
            "no-usage" => Self::MissingUsage,
            "wrong-name" => Self::WrongName,
            "slow" => Self::SlowFirstToken(wait),
            "rate" => Self::TokensPerSecond(after),
            "truncated" => Self::TruncatedJson,
            "malformed" => Self::MalformedJson,
            "bad-utf8" => Self::BadUtf8,
            "html" => Self::Html,
            "huge" => Self::HugeReply(number.unwrap_or(1 << 20) as usize),
            "huge-frame" => Self::HugeFrame(number.unwrap_or(1 << 20) as usize),
            "chopped" => Self::Chopped(after as usize),
            _ => return None,
        })
    }
}

/// The faults to come.
#[derive(Default)]
pub(crate) struct Plan(Mutex<Order>);

#[derive(Default)]
struct Order {
    /// One for each of the next requests.
    queue: VecDeque<Fault>,
    /// What holds after them, and for how many requests more if not for all.
    standing: Fault,
    left: Option<u64>,
}

impl Plan {
    pub(crate) fn set(&self, standing: Fault, left: Option<u64>) {
        *self.0.lock().expect("no one panics with it") =
            Order { queue: VecDeque::new(), standing, left };
    }

    pub(crate) fn queue(&self, faults: Vec<Fault>) {
        *self.0.lock().expect("no one panics with it") =
            Order { queue: faults.into(), ..Order::default() };
    }

    /// The fault, without counting a request.
    pub(crate) fn current(&self) -> Fault {
        let order = self.0.lock().expect("no one panics with it");
        order.queue.front().unwrap_or(&order.standing).clone()
    }

    /// The fault for one request.
    pub(crate) fn take(&self) -> Fault {
        let mut order = self.0.lock().expect("no one panics with it");
        if let Some(fault) = order.queue.pop_front() {
            return fault;
        }
        match order.left {
            Some(0) => *order = Order::default(),
            Some(ref mut left) => *left -= 1,
            None => {}
        }
        order.standing.clone()
    }
}
