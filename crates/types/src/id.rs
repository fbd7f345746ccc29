//! Identities. A node's id belongs to its data directory, never to a host name or address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseIdError {
    /// The text as given.
    pub text: String,
    /// What would have been valid, as a noun phrase.
    pub expected: &'static str,
}

/// A node of the cluster: 64 random bits drawn once per data directory, shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl FromStr for NodeId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u64::from_str_radix(text, 16) {
            Ok(id) if valid => Ok(Self(id)),
            Ok(_) | Err(_) => {
                Err(ParseIdError { text: text.to_owned(), expected: "a node id (16 hex digits)" })
            }
        }
    }
}

/// The cluster: 128 random bits drawn when it is formed, shown as a UUID without dashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterId({self})")
    }
}

impl FromStr for ClusterId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(id) if valid => Ok(Self(id)),
            Ok(_) | Err(_) => Err(ParseIdError {
                text: text.to_owned(),
                expected: "a cluster id (32 hex digits)",
            }),
        }
    }
}

/// Something that has terms and spends: a key, a team, a user, a membership, a tag. Numbered by the
/// replicated state and never used again, so that what settles late cannot reach a namesake.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct EntityId(pub u64);

/// One of an entity's pots of money.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Line {
    /// Everything it spends.
    Main,
    /// Everything, in a budget window beside the main one, named by its duration.
    Window(String),
    /// What it spends on one model.
    Model(String),
}

/// Where money is counted: an entity and one of its pots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PotId {
    /// Whose it is.
    pub of: EntityId,
    /// Which one.
    pub line: Line,
}

/// SHA-256 of a whole client key, `sk-` included: the form in which a key is stored, compared and
/// shown (as 64 hex digits). Comparison takes the same time wherever the digests differ.
#[derive(Clone, Copy, Eq, PartialOrd, Ord, Default)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key as the client sends it.
    #[must_use]
    pub fn of(clear: &str) -> Self {
        Self(Sha256::digest(clear.as_bytes()).into())
    }

    /// The raw 32 bytes, for hashing into other structures.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for KeyDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).expect("two digits a byte");
        f.write_str(std::str::from_utf8(&digits).expect("digits are ASCII"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({}…)", &hex::encode(self.0)[..8])
    }
}

impl FromStr for KeyDigest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError {
            // The text may be a clear key: it is not repeated.
            text: "…".to_owned(),
            expected: "a key hash (64 hex digits)",
        })?;
        Ok(Self(bytes))
    }
}

/// A deployment: hex of the hash of its unresolved parameters without secrets, or the
/// `model_info.id` the user gave it. The same on every node and after every restart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct DeploymentId(pub std::sync::Arc<str>);

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a node's process: counts up at each start, kept in the data directory.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

/// A request, unique in the cluster: made by the node that accepted it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RequestId(pub u128);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for RequestId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseIdError {
            text: text.to_owned(),
            expected: "a request id (32 hex digits)",
        })
    }
}

/// Ids travel as the same text that people see where people read, else as their bytes.
macro_rules! serde_as_text {
    ($($id:ty),*) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if !from.is_human_readable() {
                    return Deserialize::deserialize(from).map(Self);
                }
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(NodeId, ClusterId, KeyDigest, RequestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_digest_is_the_hash_litellm_stores() {
        // printf 'sk-1234' | sha256sum
        let known = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b";
        assert_eq!(KeyDigest::of("sk-1234").to_string(), known);
        assert_eq!(known.parse(), Ok(KeyDigest::of("sk-1234")));
    }

    #[test]
    fn a_clear_key_given_as_a_hash_is_not_repeated_in_the_error() {
        let error = "sk-secret".parse::<KeyDigest>().expect_err("not a hash");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn ids_survive_their_text() {
        let node = NodeId(0x2a);
        assert_eq!(node.to_string().parse(), Ok(node));
        assert!("2a".parse::<NodeId>().is_err());
        assert!("+00000000000002a".parse::<NodeId>().is_err());
    }
}
