//! Frames of a WebSocket (RFC 6455, section 5.2), looked at as they pass: where one ends, and what
//! the messages say that are to be read.

/// A longer frame ends a conversation. OpenAI's events have at most 15 MB.
pub(super) const MAX_FRAME_BYTES: u64 = 16 << 20;
/// A longer message passes unread.
const MAX_READ_BYTES: usize = 1 << 20;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A frame beyond the bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A text that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// Where its last frame ends in the piece that was pushed.
    pub(super) end: usize,
}

/// One direction of a conversation.
#[derive(Default)]
pub(super) struct Frames {
    /// Of the frame that passes; empty between frames.
    head: Vec<u8>,
    /// Of its payload; `None` while its head is not whole.
    left: Option<u64>,
    /// By which its payload is masked; nothing where it is not.
    mask: [u8; 4],
    /// Whether it is one of a text's.
    is_text: bool,
    /// The text so far; `None` if there is none, or none that is read.
    message: Option<Vec<u8>>,
    closed: bool,
}

impl Frames {
    /// Whether the next byte begins a frame.
    pub(super) fn at_boundary(&self) -> bool {
        self.head.is_empty()
    }

    /// Whether this side has said that it is done.
    pub(super) fn has_closed(&self) -> bool {
        self.closed
    }

    /// Takes the next bytes; appends the texts that end in them to `texts`.
    pub(super) fn push(&mut self, piece: &[u8], texts: &mut Vec<Text>) -> Result<(), TooLong> {
        let mut bytes = piece;
        while !bytes.is_empty() {
            match self.left {
                None => {
                    self.head.push(bytes[0]);
                    bytes = &bytes[1..];
                    self.begin()?;
                }
                Some(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.keep(&bytes[..most]);
                    self.left = Some(left - most as u64);
                    bytes = &bytes[most..];
                }
            }
            if self.left == Some(0)
                && let Some(text) = self.end()
            {
                texts.push(Text { bytes: text, end: piece.len() - bytes.len() });
            }
        }
        Ok(())
    }

    /// Begins the payload if the head is whole.
    fn begin(&mut self) -> Result<(), TooLong> {
        let [first, second, rest @ ..] = &self.head[..] else { return Ok(()) };
        let wide = match second & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & MASKED == 0 { 0 } else { 4 };
        if rest.len() < wide + mask {
            return Ok(());
        }
        let short = u64::from(second & !MASKED);
        let length = rest[..wide].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let length = if wide == 0 { short } else { length };
        if length > MAX_FRAME_BYTES {
            return Err(TooLong);
        }
        let code = first & 0x0f;
        self.closed |= code == CLOSE;
        self.is_text = code == TEXT || code == CONTINUATION;
        if code == TEXT {
            self.message = Some(Vec::new());
        }
        self.mask = rest[wide..][..mask].try_into().unwrap_or_default();
        self.left = Some(length);
        Ok(())
    }

    fn keep(&mut self, payload: &[u8]) {
        let Some(message) = self.message.as_mut().filter(|_| self.is_text) else { return };
        if message.len() + payload.len() > MAX_READ_BYTES {
            self.message = None;
        } else {
            message.extend(masked(payload, &self.mask));
        }
        // What comes next of this frame goes on where this ended.
        self.mask.rotate_left(payload.len() % 4);
    }

    /// The text that ends with this frame, if one does.
    fn end(&mut self) -> Option<Vec<u8>> {
        let is_final = self.head[0] & FINAL != 0;
        self.head.clear();
        self.left = None;
        if self.is_text && is_final { self.message.take() } else { None }
    }
}

/// A text in one frame; `mask` where it comes from a client.
pub(super) fn text(text: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    frame(TEXT, text.as_bytes(), mask)
}

/// The frame that ends a conversation; `mask` where it comes from a client.
pub(super) fn close(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    frame(CLOSE, &payload, mask)
}

fn frame(code: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![FINAL | code];
    let is_masked = if mask.is_some() { MASKED } else { 0 };
    match payload.len() {
        short @ 0..126 => frame.push(is_masked | u8::try_from(short).expect("less than 126")),
        length => {
            let length = u16::try_from(length).expect("what the gateway says itself is short");
            frame.push(is_masked | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask.unwrap_or_default()[..if mask.is_some() { 4 } else { 0 }]);
    let key = mask.unwrap_or_default();
    frame.extend(masked(payload, &key));
    frame
}

/// To mask twice is not to mask.
fn masked(payload: &[u8], key: &[u8; 4]) -> impl Iterator<Item = u8> {
    payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames: a text in two pieces with a ping between them, a masked binary, a close.
    fn bytes() -> Vec<u8> {
        let mut bytes = vec![TEXT, 3, b'a', b'b', b'c'];
        bytes.extend([FINAL | 9, 1, b'!']);
        bytes.extend([FINAL | CONTINUATION, 126, 1, 0]);
        bytes.extend([b'd'; 256]);
        bytes.extend([FINAL | 2, MASKED | 2, 1, 2, 3, 4, b'x', b'y']);
        bytes.extend([FINAL | TEXT, 0]);
        bytes.extend(close(1001, "away", None));
        bytes
    }

    fn read(frames: &mut Frames, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        frames.push(piece, &mut texts).expect("short");
        texts.into_iter().map(|text| text.bytes).collect()
    }

    #[test]
    fn texts_are_read_however_the_bytes_are_cut() {
        let bytes = bytes();
        for step in 1..=bytes.len() {
            let mut frames = Frames::default();
            let texts = bytes.chunks(step).flat_map(|piece| read(&mut frames, piece));
            let first = [&b"abc"[..], &[b'd'; 256]].concat();
            assert_eq!(texts.collect::<Vec<_>>(), [first, Vec::new()], "in pieces of {step}");
            assert!(frames.at_boundary() && frames.has_closed());
        }
        let mut frames = Frames::default();
        read(&mut frames, &bytes[..4]);
        assert!(!frames.at_boundary());
        let end = close(1001, "away", None).len();
        read(&mut frames, &bytes[4..bytes.len() - end]);
        assert!(frames.at_boundary() && !frames.has_closed());
    }

    #[test]
    fn what_a_client_masks_is_read_and_each_text_has_its_place() {
        let key = Some([1, 2, 3, 4]);
        let all = [text("one, longer", key), text("two", key)].concat();
        for step in 1..=all.len() {
            let mut frames = Frames::default();
            let texts = all.chunks(step).flat_map(|piece| read(&mut frames, piece));
            assert_eq!(texts.collect::<Vec<_>>(), [&b"one, longer"[..], b"two"], "by {step}");
        }
        let mut texts = Vec::new();
        Frames::default().push(&all, &mut texts).expect("short");
        let ends: Vec<_> = texts.iter().map(|text| text.end).collect();
        assert_eq!(ends, [text("one, longer", key).len(), all.len()]);
    }

    #[test]
    fn a_frame_beyond_the_bound_is_refused_and_a_long_message_passes_unread() {
        let head = |length: u64| [&[FINAL | TEXT, 127][..], &length.to_be_bytes()].concat();
        let refused = Frames::default().push(&head(MAX_FRAME_BYTES + 1), &mut Vec::new());
        assert_eq!(refused, Err(TooLong));
        let mut frames = Frames::default();
        let long = MAX_READ_BYTES + 1;
        read(&mut frames, &head(long as u64));
        assert!(read(&mut frames, &vec![b'x'; long]).is_empty());
        assert_eq!(read(&mut frames, &text("after", None)), [b"after"]);
    }

    #[test]
    fn what_the_gateway_says_is_framed_as_its_side_must() {
        assert_eq!(close(1008, "no", None), [0x88, 4, 3, 0xf0, b'n', b'o']);
        let masked = close(1008, "no", Some([1, 2, 3, 4]));
        assert_eq!(masked, [0x88, 0x84, 1, 2, 3, 4, 3 ^ 1, 0xf0 ^ 2, b'n' ^ 3, b'o' ^ 4]);
        let long = "x".repeat(300);
        assert_eq!(text(&long, None)[..4], [0x81, 126, 1, 44]);
    }
}
