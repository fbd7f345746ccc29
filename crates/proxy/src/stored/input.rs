//! What a batch asks for, which the lines of its input say: counted before it is made for those who
//! may make so many tokens of batches a day.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use dunlin_admission::{CountedBatch, counts_batches};
use dunlin_llm::batch::asked_in_line;
use dunlin_llm::tokens_in;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::Deployment;
use dunlin_types::Tokens;
use dunlin_upstream::Relayed;

use super::lines::{Line, Lines};
use super::{Asking, fetch};
use crate::response::error::Refused;

impl Asking<'_> {
    /// Counts the batch whose input the provider calls `file`. `None`: nobody's tokens are counted.
    pub(super) async fn count_batch(
        &self,
        home: &Arc<Deployment>,
        file: &str,
    ) -> Result<Option<CountedBatch>, Refused> {
        let Some(key) = self.caller.key().filter(|key| counts_batches(key)) else {
            return Ok(None);
        };
        let path = format!("/files/{}/content", path_segment(file));
        let input = fetch::get(self.proxy, self.serving, home, path).await;
        let tokens = read(input).await.ok_or_else(|| Refused::CannotKnow {
            reason: "the input file of the batch cannot be read, and its tokens count against a \
                     tpd_limit"
                .to_owned(),
        })?;
        let counted = self.proxy.0.admission.count_batch(key, tokens).await;
        let refused = |why| Refused::admission(why, self.caller, self.call.started);
        counted.map(Some).map_err(refused)
    }
}

/// Reads an input to its end. `None`: it cannot be read.
async fn read(input: Option<Relayed>) -> Option<Tokens> {
    let mut input = input.filter(|input| input.status.is_success())?;
    let mut sum = Sum::default();
    while let Some(piece) = poll_fn(|cx| input.poll_next(cx)).await {
        sum.push(piece.ok()?);
    }
    Some(sum.end())
}

#[derive(Default)]
struct Sum {
    lines: Lines,
    tokens: u64,
}

impl Sum {
    fn push(&mut self, piece: Bytes) {
        let Self { lines, tokens } = self;
        lines.push(piece, |line| *tokens = tokens.saturating_add(asked(line).0));
    }

    fn end(mut self) -> Tokens {
        let mut last = Tokens(0);
        self.lines.end(|line| last = asked(line));
        Tokens(self.tokens.saturating_add(last.0))
    }
}

fn asked(line: Line<'_>) -> Tokens {
    match line {
        Line::Whole(line) => asked_in_line(line),
        Line::Long(bytes) => tokens_in(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_summed_however_it_is_cut() {
        let line = r#"{"custom_id":"a","body":{"messages":[],"max_tokens":100}}"#;
        let input = format!("{line}\n\nno json\n{line}");
        let whole = {
            let mut sum = Sum::default();
            sum.push(Bytes::from(input.clone()));
            sum.end()
        };
        assert!((200..260).contains(&whole.0), "{whole:?}");
        for size in [1, 7] {
            let mut sum = Sum::default();
            for piece in input.as_bytes().chunks(size) {
                sum.push(Bytes::copy_from_slice(piece));
            }
            assert_eq!(sum.end(), whole, "{size}");
        }
    }
}
