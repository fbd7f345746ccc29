//! Why no connection could be made.

/// Why no connection could be made, in words that name no address: clients read them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoConnection {
    /// There is no address of that name.
    #[error("the host name cannot be resolved")]
    Unresolved,
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// Nothing came back.
    #[error("the connection timed out")]
    TimedOut,
    /// This machine knows no way there.
    #[error("there is no route to the host")]
    Unroutable,
    /// It ended before it was set up.
    #[error("the server closed the connection while it was set up")]
    Closed,
    /// What is set forbids the address.
    #[error("the address is outside the networks that are allowed")]
    OutOfReach,
    /// A proxy stands between, and did not pass it on.
    #[error("the proxy on the way cannot be reached or refuses to connect")]
    Proxy,
    /// What answered speaks no TLS.
    #[error("the server does not speak TLS there (is its URL to begin with http://?)")]
    NotTls,
    /// A certificate that nobody who is trusted vouches for.
    #[error("the server's TLS certificate is not from an authority that is trusted here")]
    UnknownAuthority,
    /// A certificate of somebody else.
    #[error("the server's TLS certificate is for another host name")]
    OtherName,
    /// A certificate whose time is over.
    #[error("the server's TLS certificate has expired")]
    Expired,
    /// A certificate whose time has not come, or this machine's clock is slow.
    #[error("the server's TLS certificate is not valid yet")]
    NotYetValid,
    /// Any other fault of a certificate.
    #[error("the server's TLS certificate is not valid")]
    BadCertificate,
    /// The two agree on no TLS.
    #[error("the TLS handshake failed")]
    Tls,
    /// Anything else.
    #[error("the connection could not be set up")]
    Other,
}
