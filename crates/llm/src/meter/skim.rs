//! What is left of a long JSON text without the members that make it long: enough to tell what it
//! counts, in a bounded room. Read byte by byte, however it is cut.

/// A longer member of an answer is left out.
const MAX_MEMBER_BYTES: usize = 1 << 20;
/// A longer string in what is left out is taken for a picture or a sound, not for words.
const MAX_WORDS_BYTES: u64 = 64 << 10;

/// A text on its way.
#[derive(Debug, Default)]
pub(super) struct Skim {
    left: Vec<u8>,
    /// How many brackets are open.
    depth: usize,
    /// How deep the members of an answer are: 1, or 2 in an array of answers.
    members: usize,
    /// Where the value of a member begins in what is left.
    value: Option<usize>,
    is_dropped: bool,
    string: Option<Text>,
    /// Bytes of words in the member, and in all that are left out.
    words: u64,
    words_left_out: u64,
}

/// A string that is not over.
#[derive(Debug, Default)]
struct Text {
    bytes: u64,
    is_escaped: bool,
}

impl Skim {
    /// Reads on. Whether what is left fits into `most` bytes.
    pub(super) fn push(&mut self, read: &[u8], most: usize) -> bool {
        for &byte in read {
            self.byte(byte);
        }
        self.left.len() <= most
    }

    /// What is left, and the bytes of words in what is not.
    pub(super) fn finish(self) -> (Vec<u8>, u64) {
        (self.left, self.words_left_out)
    }

    fn byte(&mut self, byte: u8) {
        if self.string.is_some() {
            self.in_string(byte);
            return self.keep(byte);
        }
        match byte {
            b'"' => self.string = Some(Text::default()),
            b'{' | b'[' => {
                if self.depth == 0 {
                    self.members = if byte == b'{' { 1 } else { 2 };
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.end_at(self.members);
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.end_at(self.members),
            b':' if self.depth == self.members => {
                self.keep(byte);
                (self.value, self.words) = (Some(self.left.len()), 0);
                return;
            }
            _ => {}
        }
        self.keep(byte);
    }

    fn in_string(&mut self, byte: u8) {
        let Some(text) = &mut self.string else { return };
        match byte {
            _ if text.is_escaped => text.is_escaped = false,
            b'\\' => text.is_escaped = true,
            b'"' => {
                if text.bytes <= MAX_WORDS_BYTES {
                    self.words += text.bytes;
                }
                self.string = None;
                return;
            }
            _ => {}
        }
        text.bytes += 1;
    }

    fn keep(&mut self, byte: u8) {
        if self.is_dropped {
            return;
        }
        self.left.push(byte);
        if let Some(value) = self.value
            && self.left.len() - value > MAX_MEMBER_BYTES
        {
            self.left.truncate(value);
            self.left.extend_from_slice(b"null");
            self.is_dropped = true;
        }
    }

    /// A member is over, if members are as deep as this.
    fn end_at(&mut self, depth: usize) {
        if self.depth != depth {
            return;
        }
        if std::mem::take(&mut self.is_dropped) {
            self.words_left_out += self.words;
        }
        self.value = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skimmed(text: &str, size: usize) -> (String, u64) {
        let mut skim = Skim::default();
        assert!(text.as_bytes().chunks(size).all(|read| skim.push(read, usize::MAX)));
        let (left, words) = skim.finish();
        (String::from_utf8(left).expect("it was"), words)
    }

    #[test]
    fn long_members_are_left_out_and_their_words_are_counted() {
        let picture = "A".repeat(2 << 20);
        let words = r#"{"text":"four\" {[,:","n":1}"#;
        let many = vec![words; (1 << 20) / words.len() + 1].join(",");
        let numbers = vec!["0.123"; 1 << 18].join(",");
        for size in [1, 7, 1 << 16] {
            for (text, left, count) in [
                (r#"{"a": [1, "x,}"], "b":{}}"#.to_owned(), r#"{"a": [1, "x,}"], "b":{}}"#, 0),
                (format!(r#"{{"data":["{picture}"],"usage":1}}"#), r#"{"data":null,"usage":1}"#, 0),
                (format!(r#"{{"usage":1,"data":[{numbers}] }}"#), r#"{"usage":1,"data":null}"#, 0),
                (format!(r#"[{{"a":"{picture}"}}, {{"b":1}}]"#), r#"[{"a":null}, {"b":1}]"#, 0),
            ] {
                assert_eq!(skimmed(&text, size), (left.to_owned(), count));
            }
            let (left, count) = skimmed(&format!(r#"{{"choices":[{many}],"u":1}}"#), size);
            assert_eq!(left, r#"{"choices":null,"u":1}"#);
            assert_eq!(count, 16 * (many.len() as u64 + 1) / (words.len() as u64 + 1));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end(text in "[\\[\\]{}:,\"\\\\a1 ]{0,80}", size in 1_usize..9) {
            prop_assert_eq!(skimmed(&text, size).0, text);
        }
    }
}
