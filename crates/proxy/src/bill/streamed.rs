//! What has been passed on of an answer that comes in pieces, and what of it is charged.

use dunlin_llm::Usage;
use dunlin_metrics::Raised;
use dunlin_types::Tokens;

/// What has been passed on of a stream.
#[derive(Default)]
pub(super) struct Streamed {
    /// The last count.
    pub(super) usage: Option<Usage>,
    /// Bytes of text in all.
    pub(super) text_bytes: u64,
    /// Of these, those that came after the last count.
    uncounted: u64,
    /// Anything was.
    pub(super) any: bool,
    /// It is one of the answers that are being passed on.
    pub(super) open: Option<Raised>,
}

impl Streamed {
    /// One piece; what it counts includes its own text.
    pub(super) fn piece(&mut self, usage: Option<Usage>, text_bytes: u64) {
        self.any = true;
        self.text_bytes = self.text_bytes.saturating_add(text_bytes);
        self.uncounted = self.uncounted.saturating_add(text_bytes);
        if let Some(counted) = usage {
            // Google's first pieces may count the prompt alone.
            if counted.completion > Tokens(0) {
                self.uncounted = 0;
            }
            self.usage = Some(counted);
        }
    }

    /// The sums of all pieces so far: bytes of text, and how many of them no count includes.
    pub(super) fn sums(&mut self, usage: Option<Usage>, (text_bytes, uncounted): (u64, u64)) {
        self.any = true;
        (self.usage, self.text_bytes, self.uncounted) = (usage, text_bytes, uncounted);
    }

    /// Whether the provider has counted all of it, and what it answers.
    pub(super) fn is_counted(&self) -> bool {
        self.usage.as_ref().is_some_and(|usage| !usage.lacks_prompt()) && self.uncounted == 0
    }

    /// The usage, and whether it is an estimate: of everything, by its completion, if nothing was
    /// counted. A provider that counts only at the start, as Anthropic does until its last event,
    /// has not counted the text that came since: at least what was `written` is charged.
    pub(super) fn used(
        &self,
        written: Tokens,
        estimate: impl FnOnce(Tokens) -> Usage,
    ) -> (Usage, bool) {
        match self.usage.clone() {
            Some(usage) if self.uncounted == 0 || written <= usage.completion => (usage, false),
            Some(usage) => (Usage { completion: written, ..usage }, true),
            None => (estimate(written), true),
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_llm::tokens_in;

    use super::*;

    fn usage(prompt: u64, completion: u64) -> Usage {
        Usage { prompt: Tokens(prompt), completion: Tokens(completion), ..Usage::default() }
    }

    #[test]
    fn text_that_no_count_includes_is_estimated() {
        // Pieces, each with its count and its bytes of text; what they come to, and if estimated.
        type Piece = (Option<(u64, u64)>, u64);
        let cases: &[(&[Piece], (u64, u64), bool)] = &[
            (&[], (7, 0), true),
            (&[(None, 400)], (7, 100), true),
            // Anthropic's placeholder; its last word.
            (&[(Some((9, 1)), 0), (None, 400)], (9, 100), true),
            (&[(Some((9, 1)), 0), (None, 400), (Some((9, 88)), 0)], (9, 88), false),
            (&[(Some((9, 1)), 0)], (9, 1), false),
            (&[(Some((9, 0)), 400)], (9, 100), true),
            // The prompt was in a cache, and nobody counted it: the bill does.
            (&[(Some((0, 88)), 400)], (0, 88), false),
            // A running count, as Google's, includes the piece that it comes with.
            (&[(Some((9, 30)), 100), (Some((9, 60)), 100)], (9, 60), false),
            (&[(Some((9, 500)), 100), (None, 100)], (9, 500), false),
        ];
        for (pieces, (prompt, completion), estimated) in cases {
            let (mut streamed, mut sums) = (Streamed::default(), Streamed::default());
            for (count, bytes) in *pieces {
                streamed.piece(count.map(|(prompt, completion)| usage(prompt, completion)), *bytes);
                sums.sums(streamed.usage.clone(), (streamed.text_bytes, streamed.uncounted));
            }
            let expected = (usage(*prompt, *completion), *estimated);
            let estimate = |completion: Tokens| usage(7, completion.0);
            let written = tokens_in(streamed.text_bytes);
            assert_eq!(streamed.used(written, estimate), expected, "{pieces:?}");
            assert_eq!(sums.used(written, estimate), expected, "{pieces:?}");
        }
    }
}
