//! Whether all of a call's arguments are there.

/// How far a JSON object that comes in pieces has come.
#[derive(Default)]
pub(crate) struct Extent {
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
    has_closed: bool,
}

impl Extent {
    pub(crate) fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_in_string => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                _ if self.is_in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.has_closed = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.has_closed && self.depth == 0
    }
}
