//! Sealing for content that is replicated but must not be readable at rest: config documents,
//! models and credentials set over the API, all of which may hold provider keys.
//!
//! Does not know what is sealed, or where it is kept. Invariants: content sealed under one cluster
//! secret cannot be opened with another, nor after any byte was changed; without the secret, a
//! fingerprint does not reveal whether a guess of the content is right. XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha) under a key derived from the cluster secret by HKDF-SHA256. Sealed
//! bytes begin with the key's id, so that two secrets can live side by side while one replaces the
//! other, and with a random nonce. Read [`Sealer::seal`] first.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use dunlin_types::{Secret, Secrets};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

const ID_LEN: usize = 4;
const NONCE_LEN: usize = 24;

/// Seals and opens under the cluster secret, and opens what the one before it sealed.
pub struct Sealer {
    secrets: Secrets,
    /// In the order of [`Secrets::all`].
    keys: Vec<Key>,
}

/// What is derived from one secret.
struct Key {
    id: [u8; ID_LEN],
    cipher: XChaCha20Poly1305,
    fingerprint: [u8; 32],
    master_key: [u8; 32],
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

impl Key {
    fn new(secret: &Secret) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        let mut id = [0; ID_LEN];
        hkdf.expand(b"dunlin config seal id 1", &mut id).expect("4 bytes is a valid length");
        let derive = |label: &[u8]| {
            let mut key = [0; 32];
            hkdf.expand(label, &mut key).expect("32 bytes is a valid HKDF-SHA256 length");
            key
        };
        Self {
            id,
            cipher: XChaCha20Poly1305::new(&derive(b"dunlin config seal 1").into()),
            fingerprint: derive(b"dunlin config fingerprint 1"),
            master_key: derive(b"dunlin master key fingerprint 1"),
        }
    }
}

impl Sealer {
    /// The sealer of the cluster that has these secrets.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        Self { secrets: secrets.clone(), keys: secrets.all().map(Key::new).collect() }
    }

    /// Seals `plain` so that all members can open it.
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        seal(&self.keys[self.secrets.sealing()], plain)
    }

    /// Seals `plain` under the secret that stays.
    #[must_use]
    pub fn seal_anew(&self, plain: &[u8]) -> Vec<u8> {
        seal(&self.keys[0], plain)
    }

    /// Opens what [`Sealer::seal`] made.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (id, rest) = sealed.split_first_chunk::<ID_LEN>().ok_or(CannotOpen)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        let payload = || Payload { msg: body, aad: id };
        let fitting = self.keys.iter().filter(|key| key.id == *id);
        fitting
            .filter_map(|key| key.cipher.decrypt(&XNonce::from(*nonce), payload()).ok())
            .next()
            .ok_or(CannotOpen)
    }

    /// The names of the secrets that are known here, the one that stays first.
    pub fn known(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| hex::encode(key.id))
    }

    /// Whether bytes are sealed under a secret that is not known here.
    #[must_use]
    pub fn is_of_another(&self, sealed: &[u8]) -> bool {
        !self.keys.iter().any(|key| sealed.starts_with(&key.id))
    }

    /// Whether bytes are sealed under the secret that stays.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.keys[0].id)
    }

    /// Names `plain` without letting anyone without the secret test guesses of its content.
    #[must_use]
    pub fn fingerprint(&self, plain: &[u8]) -> String {
        fingerprint(&self.keys[self.secrets.sealing()], plain)
    }

    /// The same under the secret that stays.
    #[must_use]
    pub fn fingerprint_anew(&self, plain: &[u8]) -> String {
        fingerprint(&self.keys[0], plain)
    }

    /// The names that `plain` may have been given.
    pub fn fingerprints(&self, plain: &[u8]) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| fingerprint(key, plain))
    }

    /// Names a master key, or that there is none, in the same way: a word for each secret.
    #[must_use]
    pub fn master_key(&self, key: Option<&Secret>) -> String {
        let plain = key.map_or("", Secret::expose).as_bytes();
        let words = self.keys.iter().map(|key| hex::encode(&keyed(&key.master_key, plain)[..8]));
        words.collect::<Vec<_>>().join(" ")
    }
}

fn seal(key: &Key, plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = rand::random();
    let mut sealed = key.id.to_vec();
    sealed.extend(nonce);
    let body = key.cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &key.id });
    sealed.extend(body.expect("what is sealed is far below the cipher's length bound"));
    sealed
}

fn fingerprint(key: &Key, plain: &[u8]) -> String {
    hex::encode(&keyed(&key.fingerprint, plain)[..16])
}

fn keyed(key: &[u8; 32], plain: &[u8]) -> [u8; 32] {
    let inner = Sha256::new().chain_update(key).chain_update(plain).finalize();
    Sha256::new().chain_update(key).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(current: &str, previous: Option<&str>) -> (Secrets, Sealer) {
        let secrets = Secrets::new(Secret::new(current), previous.map(Secret::new));
        let sealer = Sealer::new(&secrets);
        (secrets, sealer)
    }

    #[test]
    fn only_the_same_secret_opens_and_only_unchanged_bytes() {
        let (_, ours) = of("a secret of the cluster", None);
        let (_, theirs) = of("a secret of another one", None);
        let sealed = ours.seal(b"api_key: sk-1");
        assert_eq!(ours.open(&sealed).expect("ours"), b"api_key: sk-1");
        assert!(theirs.open(&sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ours.open(&changed).is_err(), "byte {at}");
        }
        assert!(theirs.is_of_another(&sealed) && !ours.is_of_another(&sealed));
        assert!(ours.open(b"short").is_err());
        assert_ne!(ours.fingerprint(b"x"), theirs.fingerprint(b"x"));
    }

    #[test]
    fn one_secret_takes_the_place_of_another() {
        let ((_, old), (secrets, both), (_, new)) =
            (of("old", None), of("new", Some("old")), of("new", None));
        let from_old = old.seal(b"x");
        assert_eq!(both.open(&from_old).expect("known"), b"x");
        assert!(!both.is_current(&from_old) && new.open(&from_old).is_err());
        let for_all = both.seal(b"x");
        assert!(old.open(&for_all).is_ok(), "somebody may know the old one only");
        assert_eq!(both.fingerprint(b"x"), old.fingerprint(b"x"));
        secrets.turn(true);
        let turned = both.seal(b"x");
        assert!(
            new.open(&turned).is_ok() && both.is_current(&turned) && old.open(&turned).is_err()
        );
        assert!(both.fingerprints(b"x").eq([new.fingerprint(b"x"), old.fingerprint(b"x")]));
        assert!(new.open(&both.seal_anew(b"x")).is_ok());
    }

    #[test]
    fn master_keys_are_compared_within_a_cluster_only() {
        let [ours, again, theirs] = ["one", "one", "two"].map(|secret| of(secret, None).1);
        let (one, other) = (Secret::new("sk-one"), Secret::new("sk-other"));
        assert_eq!(ours.master_key(Some(&one)), again.master_key(Some(&one)));
        assert_ne!(ours.master_key(Some(&one)), ours.master_key(Some(&other)));
        assert_ne!(ours.master_key(Some(&one)), ours.master_key(None));
        assert_ne!(ours.master_key(Some(&one)), theirs.master_key(Some(&one)));
    }
}
