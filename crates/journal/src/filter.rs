//! Which words a segment has none of: a Bloom filter, so that most segments need not be read for one
//! request or one key.

/// Bits of a filter that is being filled: 16 for each of the words of a full segment of small
/// records.
const BITS: usize = 1 << 19;
/// Bits that stand for one word.
const PROBES: u64 = 4;
/// A filter is folded until more than one in so many of its bits would be set.
const SPARSE: usize = 8;
/// No filter is smaller.
const MIN_WORDS: usize = 8;

/// A set of words that may seem to hold a few it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(Vec<u64>);

impl Default for Filter {
    fn default() -> Self {
        Self(vec![0; BITS / 64])
    }
}

impl Filter {
    /// Puts words in, each by its [`hash`].
    pub(crate) fn add(&mut self, words: &[u64]) {
        let places = self.0.len();
        for bit in words.iter().flat_map(|word| bits(*word, places)) {
            self.0[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False: the word was never put in.
    pub(crate) fn may_have(&self, kind: u8, word: &[u8]) -> bool {
        bits(hash(kind, word), self.0.len()).all(|bit| self.0[bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// The same set in as little space as leaves it of use.
    pub(crate) fn folded(mut self) -> Self {
        loop {
            let set: u32 = self.0.iter().map(|word| word.count_ones()).sum();
            let half = self.0.len() / 2;
            if half < MIN_WORDS || set as usize * SPARSE > half * 64 {
                return self;
            }
            let (low, high) = self.0.split_at(half);
            self.0 = low.iter().zip(high).map(|(low, high)| low | high).collect();
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// `None`: they are no filter's.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let sound = rest.is_empty() && words.len().is_power_of_two() && words.len() <= BITS / 64;
        sound.then(|| Self(words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
    }
}

/// The bits of a word in a filter of `words` times 64: its hash, stepped through. Lower bits are those
/// of a smaller filter, which makes folding possible.
fn bits(start: u64, words: usize) -> impl Iterator<Item = usize> {
    let mask = words as u64 * 64 - 1;
    let step = (start >> 32) | 1;
    #[expect(clippy::cast_possible_truncation, reason = "the mask is a place in memory")]
    (0..PROBES).map(move |probe| (start.wrapping_add(probe.wrapping_mul(step)) & mask) as usize)
}

/// Stands for a word of some kind: FNV-1a, mixed so that the high bits depend on every byte.
pub(crate) fn hash(kind: u8, word: &[u8]) -> u64 {
    let byte = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let hash = [kind].iter().chain(word).fold(0xcbf2_9ce4_8422_2325, byte);
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_however_it_is_folded_and_little_else_is() {
        for count in [0, 10, 1_000, 30_000] {
            let mut filter = Filter::default();
            let word = |number: usize| format!("chatcmpl-{number}").into_bytes();
            (0..count).for_each(|number| filter.add(&[hash(1, &word(number))]));
            let folded = filter.folded();
            let folded = Filter::of_bytes(&folded.bytes()).expect("a filter");
            assert!((0..count).all(|number| folded.may_have(1, &word(number))), "{count}");
            let strangers = 10_000..20_000;
            let seeming = strangers.filter(|number| folded.may_have(2, &word(*number))).count();
            assert!(seeming < 400, "{seeming} of 10000 strangers seem to be among {count}");
        }
    }

    #[test]
    fn a_small_set_is_a_small_filter() {
        let mut filter = Filter::default();
        (0..100_u32).for_each(|number| filter.add(&[hash(0, &number.to_le_bytes())]));
        assert!(filter.folded().bytes().len() <= 1024);
    }
}
