//! How a server is trusted and how one shows who one is, as the configuration says it.

use std::sync::Arc;

/// One way to make TLS connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tls {
    /// Which servers are trusted.
    pub trust: Trust,
    /// `ssl_certificate`: a PEM file with a certificate and its key, shown to servers that ask.
    pub client_certificate: Option<Arc<str>>,
}

/// Which servers are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Those whose certificate a public authority has signed.
    #[default]
    Public,
    /// Those, and what the authorities in this PEM file have signed.
    PublicAnd(Arc<str>),
    /// `ssl_verify: false`: whoever answers. Anyone on the way may read and change everything.
    Anyone,
}
