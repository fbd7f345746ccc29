//! One sealed datagram: XChaCha20-Poly1305 under a key derived from the cluster secret.
//!
//! ```text
//! version 1 | key id 1 | sender 8 | incarnation 8 | counter 8 | nonce 24 | ciphertext and tag
//! ```
//!
//! Everything before the ciphertext, and the cluster's name, is authenticated with it. The key id
//! is derived from the secret too: a foreign datagram is mostly refused without any decryption,
//! and two secrets can live side by side while one replaces the other.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use dunlin_types::{NodeId, Secret, Secrets};
use hkdf::Hkdf;
use sha2::Sha256;

/// The layout above.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 50;
const NONCE_AT: usize = 26;
const TAG_BYTES: usize = 16;
/// What sealing adds to a datagram.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// Parts the derived key from other uses of the secret. Changing it parts the releases.
const SEAL_LABEL: &[u8] = b"dunlin: seal of gossip datagrams, v1";

/// Who sent a datagram, and which of its datagrams this is. Never the same twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sender: NodeId,
    /// The sender's epoch.
    pub(crate) incarnation: u64,
    /// Counts up within the incarnation.
    pub(crate) counter: u64,
}

/// Why a datagram was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// Too short, or of another layout.
    Malformed,
    /// Sealed with another secret or for another cluster, or tampered with.
    Foreign,
}

/// Seals and opens datagrams of one cluster.
pub(crate) struct Seal {
    /// One for each secret.
    keys: Vec<Key>,
    cluster_name: Vec<u8>,
}

struct Key {
    cipher: XChaCha20Poly1305,
    id: u8,
}

impl Key {
    fn new(secret: &Secret) -> Self {
        let mut derived = [0; 33];
        Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
            .expand(SEAL_LABEL, &mut derived)
            .expect("33 bytes are a valid length for HKDF-SHA256");
        let (key, id) = derived.split_at(32);
        let cipher = XChaCha20Poly1305::new_from_slice(key).expect("the key has 32 bytes");
        Self { cipher, id: id[0] }
    }
}

impl Seal {
    pub(crate) fn new(secrets: &Secrets, cluster_name: &str) -> Self {
        let keys = secrets.all().map(Key::new).collect();
        Self { keys, cluster_name: cluster_name.as_bytes().to_vec() }
    }

    /// The sealed datagrams: one under each secret, because a peer may know only one of them. To who
    /// knows both, the second is a replay of the first. `nonce` draws random bytes.
    pub(crate) fn seal(
        &self,
        stamp: Stamp,
        nonce: impl Fn() -> [u8; 24],
        plain: &[u8],
    ) -> Vec<Vec<u8>> {
        self.keys.iter().map(|key| self.seal_under(key, stamp, nonce(), plain)).collect()
    }

    fn seal_under(&self, key: &Key, stamp: Stamp, nonce: [u8; 24], plain: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(plain.len() + OVERHEAD_BYTES);
        datagram.extend([VERSION, key.id]);
        datagram.extend(stamp.sender.0.to_be_bytes());
        datagram.extend(stamp.incarnation.to_be_bytes());
        datagram.extend(stamp.counter.to_be_bytes());
        datagram.extend(nonce);
        let aad = self.authenticated(&datagram);
        let sealed = key
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
            .expect("a datagram is far below the cipher's limit");
        datagram.extend(sealed);
        datagram
    }

    /// What was sealed, and by whom.
    pub(crate) fn open(&self, datagram: &[u8]) -> Result<(Stamp, Vec<u8>), Unopened> {
        if datagram.len() < OVERHEAD_BYTES || datagram[0] != VERSION {
            return Err(Unopened::Malformed);
        }
        let (header, sealed) = datagram.split_at(HEADER_BYTES);
        let mut nonce = [0; HEADER_BYTES - NONCE_AT];
        nonce.copy_from_slice(&header[NONCE_AT..]);
        let aad = self.authenticated(header);
        let payload = || Payload { msg: sealed, aad: &aad };
        let fitting = self.keys.iter().filter(|key| key.id == datagram[1]);
        let plain = fitting
            .filter_map(|key| key.cipher.decrypt(&XNonce::from(nonce), payload()).ok())
            .next()
            .ok_or(Unopened::Foreign)?;
        let stamp = Stamp {
            sender: NodeId(number(header, 2)),
            incarnation: number(header, 10),
            counter: number(header, 18),
        };
        Ok((stamp, plain))
    }

    fn authenticated(&self, header: &[u8]) -> Vec<u8> {
        [header, &self.cluster_name].concat()
    }
}

fn number(header: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[at..at + 8]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { sender: NodeId(0x2a), incarnation: 3, counter: 9 };

    fn seal(secret: &str, cluster: &str) -> Seal {
        Seal::new(&Secret::new(secret).into(), cluster)
    }

    fn sealed(seal: &Seal, plain: &[u8]) -> Vec<u8> {
        seal.seal(STAMP, || [7; 24], plain).remove(0)
    }

    #[test]
    fn while_one_secret_takes_the_place_of_another_all_understand_each_other() {
        let both = Secrets::new(Secret::new("new"), Some(Secret::new("old")));
        let both = Seal::new(&both, "a");
        let (old, new) = (seal("old", "a"), seal("new", "a"));
        for one in [&old, &new] {
            assert_eq!(both.open(&sealed(one, b"hello")), Ok((STAMP, b"hello".to_vec())));
            let heard = both.seal(STAMP, rand::random, b"hello");
            assert_eq!(heard.iter().filter(|datagram| one.open(datagram).is_ok()).count(), 1);
        }
        assert_eq!(new.open(&sealed(&old, b"hello")), Err(Unopened::Foreign));
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_secret_and_cluster_only() {
        let datagram = sealed(&seal("one", "a"), b"hello");
        assert_eq!(datagram.len(), 5 + OVERHEAD_BYTES);
        assert_eq!(seal("one", "a").open(&datagram), Ok((STAMP, b"hello".to_vec())));
        assert_eq!(seal("two", "a").open(&datagram), Err(Unopened::Foreign));
        assert_eq!(seal("one", "b").open(&datagram), Err(Unopened::Foreign));
    }

    #[test]
    fn no_bit_of_a_datagram_can_be_changed_and_no_byte_cut() {
        let seal = seal("one", "a");
        let datagram = sealed(&seal, b"hello");
        for at in 0..datagram.len() {
            for bit in 0..8 {
                let mut changed = datagram.clone();
                changed[at] ^= 1 << bit;
                assert!(seal.open(&changed).is_err(), "byte {at} bit {bit}");
            }
            assert!(seal.open(&datagram[..at]).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn the_text_does_not_show() {
        let datagram = sealed(&seal("one", "a"), b"hello hello hello");
        assert!(!datagram.windows(5).any(|bytes| bytes == b"hello"));
    }
}
