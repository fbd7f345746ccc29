//! Sealing for what is replicated but must not be read at rest: config documents, models and
//! credentials set over the API, all of which may hold provider keys.
//!
//! Does not know what is sealed, or where it is kept. Invariants: what one cluster secret sealed no
//! other opens, and no changed byte; a fingerprint tells nobody without the secret whether a guess
//! of the content is right. XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under a key derived from
//! the cluster secret by HKDF-SHA256; the 24-byte nonce is random and goes first. Read
//! [`Sealer::seal`] first.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use dunlin_types::Secret;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

const NONCE_LEN: usize = 24;

/// Seals and opens under one cluster secret.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    fingerprint_key: [u8; 32],
    master_key_key: [u8; 32],
}

/// The bytes were not sealed under this cluster's secret, or were changed since.
#[derive(Debug, thiserror::Error)]
#[error("sealed under another cluster secret, or damaged")]
pub struct CannotOpen;

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// The sealer of the cluster that has `secret`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        let derive = |label: &[u8]| {
            let mut key = [0; 32];
            hkdf.expand(label, &mut key).expect("32 bytes is a valid HKDF-SHA256 length");
            key
        };
        Self {
            cipher: XChaCha20Poly1305::new(&derive(b"dunlin config seal 1").into()),
            fingerprint_key: derive(b"dunlin config fingerprint 1"),
            master_key_key: derive(b"dunlin master key fingerprint 1"),
        }
    }

    /// Seals `plain`.
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = nonce.to_vec();
        let body = self.cipher.encrypt(&XNonce::from(nonce), plain);
        sealed.extend(body.expect("what is sealed is far below the cipher's length bound"));
        sealed
    }

    /// Opens what [`Sealer::seal`] made.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        self.cipher.decrypt(&XNonce::from(*nonce), body).map_err(|_| CannotOpen)
    }

    /// Names `plain` without letting anyone without the secret test guesses of its content.
    #[must_use]
    pub fn fingerprint(&self, plain: &[u8]) -> String {
        hex::encode(&keyed(&self.fingerprint_key, plain)[..16])
    }

    /// Names a master key, or that there is none, in the same way.
    #[must_use]
    pub fn master_key(&self, key: Option<&Secret>) -> String {
        let plain = key.map_or("", Secret::expose);
        hex::encode(&keyed(&self.master_key_key, plain.as_bytes())[..8])
    }
}

fn keyed(key: &[u8; 32], plain: &[u8]) -> [u8; 32] {
    let inner = Sha256::new().chain_update(key).chain_update(plain).finalize();
    Sha256::new().chain_update(key).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_opens_and_only_unchanged_bytes() {
        let ours = Sealer::new(&Secret::new("a secret of the cluster"));
        let theirs = Sealer::new(&Secret::new("a secret of another one"));
        let mut sealed = ours.seal(b"api_key: sk-1");
        assert_eq!(ours.open(&sealed).expect("ours"), b"api_key: sk-1");
        assert!(theirs.open(&sealed).is_err());
        sealed[30] ^= 1;
        assert!(ours.open(&sealed).is_err());
        assert!(ours.open(b"short").is_err());
        assert_ne!(ours.fingerprint(b"x"), theirs.fingerprint(b"x"));
    }

    #[test]
    fn master_keys_are_compared_within_a_cluster_only() {
        let [ours, again, theirs] = ["one", "one", "two"].map(|s| Sealer::new(&Secret::new(s)));
        let (one, other) = (Secret::new("sk-one"), Secret::new("sk-other"));
        assert_eq!(ours.master_key(Some(&one)), again.master_key(Some(&one)));
        assert_ne!(ours.master_key(Some(&one)), ours.master_key(Some(&other)));
        assert_ne!(ours.master_key(Some(&one)), ours.master_key(None));
        assert_ne!(ours.master_key(Some(&one)), theirs.master_key(Some(&one)));
    }
}
