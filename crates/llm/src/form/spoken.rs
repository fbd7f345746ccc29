//! Sounds that a model makes, in base64: in which form their bytes are, and the pieces of one as one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::form::PartKind;

/// Samples without a file around them, in Google's words: 16 bits at 24 kHz, as OpenAI streams them.
const SAMPLES: &str = "L16;codec=pcm;rate=24000";
/// As many characters as tell the form: twelve bytes.
const HEAD: usize = 16;

/// The form of a sound that comes in pieces: that which the first of them tells.
#[derive(Debug, Default)]
pub(crate) struct SoundForm(Option<String>);

impl SoundForm {
    /// More of the sound.
    pub(crate) fn fit(&mut self, mut more: PartKind) -> PartKind {
        if let PartKind::Audio { data, format, .. } = &mut more
            && !data.is_empty()
        {
            format.clone_from(self.0.get_or_insert_with(|| format.clone()));
        }
        more
    }
}

/// The form of a sound by how it begins: OpenAI's answers do not say what the client asked for.
pub(crate) fn sound_format(data: &str) -> &'static str {
    let head = data.get(..HEAD.min(data.len())).unwrap_or_default();
    match STANDARD.decode(head).unwrap_or_default()[..] {
        [b'R', b'I', b'F', b'F', ..] => "wav",
        [b'f', b'L', b'a', b'C', ..] => "flac",
        [b'O', b'g', b'g', b'S', ..] => "ogg",
        [b'I', b'D', b'3', ..] => "mp3",
        [0xFF, 0xF1 | 0xF9, ..] => "aac",
        // A frame of layer III whose rates are none of those that do not exist.
        [0xFF, layer, rates, ..]
            if layer & 0xE6 == 0xE2 && rates & 0xF0 != 0xF0 && rates & 0x0C != 0x0C =>
        {
            "mp3"
        }
        _ => SAMPLES,
    }
}

/// The pieces of a sound as one. They are one text that was cut, or each ends by itself.
pub(crate) fn joined_sound(pieces: &[impl AsRef<str>]) -> String {
    let bytes = pieces.iter().map(|piece| STANDARD.decode(piece.as_ref()));
    match bytes.collect::<Result<Vec<_>, _>>() {
        Ok(bytes) => STANDARD.encode(bytes.concat()),
        Err(_) => pieces.iter().map(AsRef::as_ref).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_says_by_its_first_bytes_what_it_is() {
        let cases: [(&[u8], &str); 8] = [
            (b"RIFF\x24\0\0\0WAVEfmt ", "wav"),
            (b"fLaC\0\0\0\x22", "flac"),
            (b"OggS\0\x02", "ogg"),
            (b"ID3\x04\0\0", "mp3"),
            (&[0xFF, 0xF3, 0xE4, 0xC4], "mp3"),
            (&[0xFF, 0xF1, 0x50, 0x80], "aac"),
            // Near silence.
            (&[0xFF, 0xFF, 0xFE, 0xFF], SAMPLES),
            (&[], SAMPLES),
        ];
        for (bytes, format) in cases {
            assert_eq!(sound_format(&STANDARD.encode(bytes)), format, "{bytes:?}");
        }
    }

    #[test]
    fn pieces_of_a_sound_are_one() {
        for pieces in [["aGk=", "aG8="], ["aGl", "obw=="]] {
            assert_eq!(joined_sound(&pieces), "aGlobw==", "{pieces:?}");
        }
    }
}
