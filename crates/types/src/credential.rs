//! What authorises a call to a provider.

use crate::Secret;

/// A credential at the moment of sending.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Credential {
    /// None is needed.
    #[default]
    None,
    /// A key, sent where the provider wants keys.
    Key(Secret),
    /// A token of an identity service, sent as `Authorization: Bearer`.
    Token(Secret),
    /// What an AWS request is signed with.
    Aws {
        /// Which key; not secret.
        access_key_id: String,
        /// The key.
        secret_access_key: Secret,
        /// Beside keys that expire.
        session_token: Option<Secret>,
    },
}
