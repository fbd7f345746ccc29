//! Turns of a conversation that are stored nowhere else: its later turns go on from them, as long as
//! the connection lasts.

use std::collections::VecDeque;

use bytes::Bytes;
use dunlin_llm::BadRequest;
use dunlin_llm::responses::socket::{Loose, previous};

/// What the turns of one connection may take together: the oldest go first.
const MAX_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(super) struct LooseTurns {
    turns: VecDeque<Loose>,
    bytes: usize,
}

impl LooseTurns {
    /// Keeps a turn, as long as there is room.
    pub(super) fn keep(&mut self, turn: Loose) {
        self.bytes += turn.size();
        self.turns.push_back(turn);
        while self.bytes > MAX_BYTES {
            let oldest = self.turns.pop_front().expect("bytes are those of turns");
            self.bytes -= oldest.size();
        }
    }

    /// `request` with what was said before it, where that is here.
    pub(super) fn before(&self, request: Bytes) -> Result<Bytes, BadRequest> {
        let previous = previous(&request);
        let known = previous.and_then(|id| self.turns.iter().rev().find(|turn| turn.id == id));
        known.map_or(Ok(request.clone()), |turn| turn.before(&request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_turns_make_room() {
        let mut turns = LooseTurns::default();
        let text = "a".repeat(MAX_BYTES / 3);
        for number in 0..3 {
            let request = Bytes::from(format!(r#"{{"store":false,"input":"{text}"}}"#));
            let response = format!(r#"{{"id":"resp_{number}","output":[]}}"#);
            turns.keep(Loose::of(&request, response.as_bytes(), true).expect("a turn"));
        }
        let next = |id: usize| {
            let next = format!(r#"{{"previous_response_id":"resp_{id}","input":"b"}}"#);
            turns.before(Bytes::from(next)).expect("a request").len() > text.len()
        };
        assert_eq!([next(0), next(1), next(2)], [false, true, true]);
        assert!(turns.before(Bytes::from_static(b"{}")).is_ok());
    }
}
