//! A stream looks whole only if it is: `[DONE]` comes after all of it, and a stream that broke says
//! so, by an error event or a cut connection.

use super::{Invariant, Verdict};
use crate::history::{History, StreamEnd};

pub(super) const INVARIANT: Invariant =
    Invariant { name: "streams", promise: "a broken stream never ends like a whole one", check };

fn check(history: &History) -> Verdict {
    let (mut looked_at, mut cut, mut broken) = (0, 0, Vec::new());
    for chat in history.calls() {
        let Some(end) = chat.stream else { continue };
        looked_at += 1;
        cut += usize::from(!end.done);
        if let Some(why) = fault(end) {
            broken.push(format!("{} {why}", chat.name()));
        }
    }
    let figure = match looked_at {
        0 => "no streams here".to_owned(),
        _ => format!("{looked_at} streams, {cut} broke and said so"),
    };
    Verdict { looked_at, figure, broken }
}

fn fault(end: StreamEnd) -> Option<String> {
    let StreamEnd { done, error, complete, tokens, expected } = end;
    if done && error {
        Some("said [DONE] after an error".to_owned())
    } else if done && tokens != expected {
        Some(format!("said [DONE] after {tokens} of {expected} tokens"))
    } else if complete && !done && !error {
        Some(format!("ended like a whole answer after {tokens} of {expected} tokens"))
    } else if tokens > expected {
        Some(format!("brought {tokens} tokens of {expected}: two answers in one"))
    } else {
        None
    }
}
