//! How LiteLLM stores secrets: each text by itself, under a key made of its salt key. Three forms
//! are in use, told by how the text begins:
//!
//! - `v3:gcm:` AES-256-GCM, the key by HKDF-SHA256 of the salt key
//! - `v2:gcm:` AES-256-GCM, the key by SHA-256 of the salt key
//! - anything else: XSalsa20-Poly1305 (NaCl's secret box), the key by SHA-256 of the salt key
//!
//! Behind the mark there is base64: the nonce, then what the cipher gave.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use dunlin_types::Secret;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{digest, hkdf};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use subtle::ConstantTimeEq;

const V3: &str = "v3:gcm:";
const V2: &str = "v2:gcm:";
const V3_INFO: &[u8] = b"litellm-at-rest-v3";
/// Of the secret box.
const BOX_NONCE: usize = 24;
const TAG: usize = 16;

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Sealed {
    /// It has none of the forms.
    #[error("it is not encrypted as LiteLLM does it")]
    Strange,
    /// It has, and another key opens it.
    #[error("the salt key does not open it: it was stored under another one")]
    Locked,
}

/// The text that was stored.
pub(crate) fn open(stored: &str, salt: &Secret) -> Result<String, Sealed> {
    let clear = if let Some(text) = stored.strip_prefix(V3) {
        gcm(text, hkdf_key(salt))?
    } else if let Some(text) = stored.strip_prefix(V2) {
        gcm(text, sha_key(salt))?
    } else {
        secret_box(stored, sha_key(salt))?
    };
    String::from_utf8(clear).map_err(|_| Sealed::Locked)
}

/// Whether a text looks like one of the forms.
pub(crate) fn is_sealed(stored: &str) -> bool {
    stored.starts_with(V3)
        || stored.starts_with(V2)
        || decode(stored).is_ok_and(|bytes| bytes.len() >= BOX_NONCE + TAG)
}

fn decode(text: &str) -> Result<Vec<u8>, Sealed> {
    let bytes = BASE64_URL_SAFE.decode(text).or_else(|_| BASE64_STANDARD.decode(text));
    bytes.map_err(|_| Sealed::Strange)
}

fn sha_key(salt: &Secret) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, salt.expose().as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn hkdf_key(salt: &Secret) -> [u8; 32] {
    let none = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
    let mut key = [0; 32];
    none.extract(salt.expose().as_bytes())
        .expand(&[V3_INFO], hkdf::HKDF_SHA256)
        .and_then(|made| made.fill(&mut key))
        .expect("32 bytes are what it is made for");
    key
}

fn gcm(text: &str, key: [u8; 32]) -> Result<Vec<u8>, Sealed> {
    let mut bytes = decode(text)?;
    if bytes.len() < NONCE_LEN + TAG {
        return Err(Sealed::Strange);
    }
    let mut sealed = bytes.split_off(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(&bytes).expect("it has that length");
    let key = UnboundKey::new(&AES_256_GCM, &key).expect("the key has that length");
    let clear = LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), &mut sealed);
    Ok(clear.map_err(|_| Sealed::Locked)?.to_vec())
}

/// NaCl's secret box: the first 32 bytes of the key stream authenticate what the rest hides.
fn secret_box(text: &str, key: [u8; 32]) -> Result<Vec<u8>, Sealed> {
    let bytes = decode(text)?;
    let Some((nonce, sealed)) = bytes.split_first_chunk::<BOX_NONCE>() else {
        return Err(Sealed::Strange);
    };
    let Some((tag, hidden)) = sealed.split_first_chunk::<TAG>() else {
        return Err(Sealed::Strange);
    };
    let mut stream = XSalsa20::new(&key.into(), nonce.into());
    let mut authenticates = [0; 32];
    stream.apply_keystream(&mut authenticates);
    let found = Poly1305::new(&authenticates.into()).compute_unpadded(hidden);
    if !bool::from(found.as_slice().ct_eq(tag)) {
        return Err(Sealed::Locked);
    }
    let mut clear = hidden.to_vec();
    stream.apply_keystream(&mut clear);
    Ok(clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by PyNaCl and by Python's `cryptography`, under the salt key of the tests.
    const BOXED: &str = "a4ayc_80_OGda4BO_1o_V0etpOqiLx1JlJhpqJjLUmn7rF0cGzBMFUUyAEj4uh8LBo1R5vk=";
    const EMPTY: &str = "SkTcFTZCBKgP6A6QOUVcwWCCgYIP4rJP40DcSkWzqgz-43KclTalBA==";
    const SECOND: &str = "v2:gcm:1HNeOiZeFu7gP1lxkREOQ8CoDPa1scHmUTYfU5m3gOKLhci-acSQwcE=";
    const THIRD: &str = "v3:gcm:T8grJq7LR9KGjE773dY4qyJSvpz20Dge237MjgURZEYEiCzJP1afeu0y";

    #[test]
    fn each_form_opens_with_its_key_and_with_no_other() {
        let salt = Secret::new("sk-salt-of-the-test-0123");
        let boxed = BOXED.replace('-', "+").replace('_', "/");
        for (stored, clear) in [
            (BOXED, "openai/gpt-4o"),
            (boxed.as_str(), "openai/gpt-4o"),
            (EMPTY, ""),
            (SECOND, "openai/gpt-4o"),
            (THIRD, "pässwörd ✓"),
        ] {
            assert_eq!(open(stored, &salt).as_deref(), Ok(clear), "{stored}");
            assert!(is_sealed(stored));
            assert_eq!(open(stored, &Secret::new("sk-other")), Err(Sealed::Locked), "{stored}");
        }
        for strange in ["gpt-4o", "v3:gcm:", "v3:gcm:AAAA", "AAAA", "sk-abc def"] {
            assert_eq!(open(strange, &salt), Err(Sealed::Strange), "{strange}");
        }
        assert!(!is_sealed("https://example.org/v1"));
    }
}
