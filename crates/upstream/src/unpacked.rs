//! Answers that are compressed although they were asked for plain. Who passes them on looks inside for
//! what they cost and what they made, and the client that gets them has not asked for them so.

use std::io::{Error, Write};

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// So much is unpacked at once: it may become a thousand times as much.
const PIECE: usize = 4 << 10;

/// Unpacks a body as it comes.
pub(crate) struct Unpacker {
    decoder: Decoder,
    /// What has come and is not unpacked yet.
    packed: Bytes,
    has_begun: bool,
}

enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
}

impl Unpacker {
    /// `None`: the body is plain, or in a form that nobody here can read.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let encoding = headers.get(CONTENT_ENCODING)?.to_str().ok()?.trim().to_ascii_lowercase();
        let decoder = match &*encoding {
            "gzip" | "x-gzip" => Decoder::Gzip(MultiGzDecoder::new(Vec::new())),
            "deflate" => Decoder::Deflate(ZlibDecoder::new(Vec::new())),
            _ => return None,
        };
        Some(Self { decoder, packed: Bytes::new(), has_begun: false })
    }

    /// More of the body. All that came before has been taken out.
    pub(crate) fn push(&mut self, packed: Bytes) {
        self.has_begun |= !packed.is_empty();
        self.packed = packed;
    }

    /// The next plain bytes. `None`: more must come first.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.packed.is_empty() {
            let piece = self.packed.split_to(PIECE.min(self.packed.len()));
            let plain = match &mut self.decoder {
                Decoder::Gzip(decoder) => {
                    decoder.write_all(&piece)?;
                    decoder.flush()?;
                    std::mem::take(decoder.get_mut())
                }
                Decoder::Deflate(decoder) => {
                    decoder.write_all(&piece)?;
                    decoder.flush()?;
                    std::mem::take(decoder.get_mut())
                }
            };
            if !plain.is_empty() {
                return Ok(Some(plain.into()));
            }
        }
        Ok(None)
    }

    /// What is left at the end of the body, which is an error if it has been cut.
    pub(crate) fn end(&mut self) -> Result<Bytes, Error> {
        if !self.has_begun {
            return Ok(Bytes::new());
        }
        let plain = match &mut self.decoder {
            Decoder::Gzip(decoder) => {
                decoder.try_finish()?;
                std::mem::take(decoder.get_mut())
            }
            Decoder::Deflate(decoder) => {
                decoder.try_finish()?;
                std::mem::take(decoder.get_mut())
            }
        };
        Ok(plain.into())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    fn unpacker(encoding: &'static str) -> Option<Unpacker> {
        let value = HeaderValue::from_static(encoding);
        Unpacker::of(&HeaderMap::from_iter([(CONTENT_ENCODING, value)]))
    }

    /// What comes out of `pieces`, and the longest piece of it.
    fn unpacked(
        encoding: &'static str,
        pieces: impl Iterator<Item = Bytes>,
    ) -> Result<(Vec<u8>, usize), Error> {
        let mut unpacker = unpacker(encoding).expect("it is known");
        let (mut all, mut longest) = (Vec::new(), 0);
        for piece in pieces {
            unpacker.push(piece);
            while let Some(plain) = unpacker.next()? {
                longest = longest.max(plain.len());
                all.extend_from_slice(&plain);
            }
        }
        all.extend_from_slice(&unpacker.end()?);
        Ok((all, longest))
    }

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("a Vec takes all");
        encoder.finish().expect("a Vec takes all").into()
    }

    fn zlib(text: &[u8]) -> Bytes {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("a Vec takes all");
        encoder.finish().expect("a Vec takes all").into()
    }

    #[test]
    fn a_body_is_unpacked_however_it_is_cut() {
        let text = br#"{"id":"resp_1","status":"completed"}"#;
        for (encoding, body) in
            [("gzip", gzip(text)), ("X-GZIP", gzip(text)), ("deflate", zlib(text))]
        {
            for cut in 0..=body.len() {
                let pieces = [body.slice(..cut), body.slice(cut..)].into_iter();
                assert_eq!(unpacked(encoding, pieces).unwrap().0, text, "{encoding} {cut}");
            }
            let cut = [body.slice(..body.len() - 5)].into_iter();
            assert!(unpacked(encoding, cut).is_err(), "{encoding}");
            assert_eq!(unpacked(encoding, std::iter::empty()).unwrap().0, b"", "no body");
        }
        assert!(unpacked("gzip", [Bytes::from_static(b"{}")].into_iter()).is_err(), "a lie");
        assert!(unpacker("identity").is_none() && unpacker("br").is_none());
    }

    #[test]
    fn a_little_that_becomes_much_comes_in_pieces() {
        let much = vec![0; 64 << 20];
        let (all, longest) = unpacked("gzip", [gzip(&much)].into_iter()).unwrap();
        assert_eq!(all.len(), much.len());
        assert!(longest <= 8 << 20, "{longest}");
    }
}
