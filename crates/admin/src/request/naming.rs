//! How a key is named in a request, and how a new one is drawn.

use dunlin_types::{KeyDigest, Secret};
use rand::RngExt;

use crate::error::Error;

/// A shorter key could be guessed.
const MIN_KEY_BYTES: usize = 16;
/// It must fit into a header beside others.
const MAX_KEY_BYTES: usize = 256;
/// Random characters of a drawn key: 132 bits.
const DRAWN: usize = 22;
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The hash of a key that is named by its clear text or by its hash; none if it is neither.
pub(crate) fn digest_of(named: &str) -> Option<KeyDigest> {
    if named.starts_with("sk-") { Some(KeyDigest::of(named)) } else { named.parse().ok() }
}

/// A name for what was given none: a random UUID.
pub(crate) fn draw_id() -> String {
    let bits: u128 = rand::rng().random();
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A key that nobody can guess.
pub(crate) fn draw() -> Secret {
    let mut random = rand::rng();
    let tail = std::iter::repeat_with(|| URL_SAFE[random.random_range(0..URL_SAFE.len())]);
    Secret::new("sk-".chars().chain(tail.take(DRAWN).map(char::from)).collect::<String>())
}

/// A key that the client has chosen.
pub(crate) fn chosen(key: String) -> Result<Secret, Error> {
    let reason = if !key.starts_with("sk-") {
        "it must start with 'sk-'"
    } else if key.len() < MIN_KEY_BYTES {
        "it must have at least 16 characters"
    } else if key.len() > MAX_KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        "it must have at most 256 characters, all printable ASCII and no spaces"
    } else {
        return Ok(Secret::new(key));
    };
    Err(Error::BadField { name: "key", reason: format!("Invalid key format: {reason}.") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_key_is_one_that_could_be_chosen_and_never_drawn_twice() {
        let (one, other) = (draw(), draw());
        assert_eq!(one.expose().len(), 25);
        assert!(chosen(one.expose().to_owned()).is_ok());
        assert_ne!(one, other);
    }

    #[test]
    fn a_drawn_name_has_the_form_of_a_uuid() {
        let id = draw_id();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }

    #[test]
    fn a_key_is_named_in_clear_or_by_hash() {
        let digest = KeyDigest::of("sk-some-key");
        assert_eq!(digest_of("sk-some-key"), Some(digest));
        assert_eq!(digest_of(&digest.to_string()), Some(digest));
        assert_eq!(digest_of("some-key"), None);
    }

    #[test]
    fn a_chosen_key_must_be_usable_and_hard_to_guess() {
        for key in
            ["no-prefix-0123456789", "sk-short", "sk-with a space in it", "sk-ümläut-0123456"]
        {
            assert!(chosen(key.to_owned()).is_err(), "{key}");
        }
    }
}
