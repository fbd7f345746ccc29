//! A chain of rows: each link's hash covers its row and all rows before it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::ParseIdError;

/// What a chain of rows hashes to up to some row, shown as 64 hex digits. The default is that of no
/// rows.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// That of the chain with one more row: SHA-256 of this hash as it is shown, a line feed, and the
    /// row, so that any tool can recompute it.
    #[must_use]
    pub fn with(self, row: &str) -> Self {
        Self(Sha256::digest(format!("{self}\n{row}")).into())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError {
            text: text.chars().take(64).collect(),
            expected: "a hash (64 hex digits)",
        })?;
        Ok(Self(bytes))
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_covers_its_row_and_those_before_it() {
        let chain =
            |rows: &[&str]| rows.iter().fold(ChainHash::default(), |hash, row| hash.with(row));
        // printf '%064d\n{"number":1}' 0 | sha256sum
        let first = "fdf3caeae8da4690e1dc589ec1bf241530e23941da239304475fb1806c832078";
        assert_eq!(chain(&[r#"{"number":1}"#]).to_string(), first);
        assert_ne!(chain(&["a", "b"]), chain(&["b", "a"]));
        assert_ne!(chain(&["a", "b"]), chain(&["a", "c"]));
        assert_ne!(chain(&["a", "b"]), chain(&["c", "b"]));
        let hash = chain(&["a"]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }
}
