//! The causes below a failure, told as one of few reasons.

use std::error::Error;
use std::io;

use dunlin_types::NoConnection;
use rustls::{CertificateError, Error as TlsError};

use crate::connect::AnyError;
use crate::guard::OutOfReach;

/// A name that has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved: {0}")]
pub(crate) struct Unresolved(pub(crate) io::Error);

/// What went wrong on the way to a proxy, or there.
#[derive(Debug, thiserror::Error)]
#[error("at the proxy: {0}")]
pub(crate) struct AtProxy(pub(crate) AnyError);

/// Why no connection could be made: the first cause that tells.
pub(crate) fn of(outermost: &(dyn Error + 'static)) -> NoConnection {
    let mut cause = Some(outermost);
    while let Some(error) = cause {
        if let Some(told) = told(error) {
            return told;
        }
        cause = below(error);
    }
    NoConnection::Other
}

/// What an error of the system's wraps is not among its sources.
fn below<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
}

/// What the system says, as it is told. What wraps another error has a kind that is not among these.
const OF_SYSTEM: &[(io::ErrorKind, NoConnection)] = &[
    (io::ErrorKind::TimedOut, NoConnection::TimedOut),
    (io::ErrorKind::ConnectionRefused, NoConnection::Refused),
    (io::ErrorKind::HostUnreachable, NoConnection::Unroutable),
    (io::ErrorKind::NetworkUnreachable, NoConnection::Unroutable),
    (io::ErrorKind::ConnectionReset, NoConnection::Closed),
    (io::ErrorKind::ConnectionAborted, NoConnection::Closed),
    (io::ErrorKind::BrokenPipe, NoConnection::Closed),
    (io::ErrorKind::UnexpectedEof, NoConnection::Closed),
];

fn told(error: &(dyn Error + 'static)) -> Option<NoConnection> {
    if error.is::<AtProxy>() {
        return Some(NoConnection::Proxy);
    }
    if error.is::<Unresolved>() {
        return Some(NoConnection::Unresolved);
    }
    if error.is::<OutOfReach>() {
        return Some(NoConnection::OutOfReach);
    }
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return Some(of_tls(error));
    }
    let error = error.downcast_ref::<io::Error>()?;
    OF_SYSTEM.iter().find(|(kind, _)| *kind == error.kind()).map(|(_, told)| *told)
}

fn of_tls(error: &TlsError) -> NoConnection {
    if let TlsError::InvalidCertificate(wrong) = error {
        return of_certificate(wrong);
    }
    if matches!(error, TlsError::InvalidMessage(_)) {
        return NoConnection::NotTls;
    }
    NoConnection::Tls
}

fn of_certificate(wrong: &CertificateError) -> NoConnection {
    use CertificateError as Wrong;
    if matches!(wrong, Wrong::UnknownIssuer) {
        NoConnection::UnknownAuthority
    } else if matches!(wrong, Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) {
        NoConnection::OtherName
    } else if matches!(wrong, Wrong::Expired | Wrong::ExpiredContext { .. }) {
        NoConnection::Expired
    } else if matches!(wrong, Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) {
        NoConnection::NotYetValid
    } else {
        NoConnection::BadCertificate
    }
}

/// How a connection broke on which a request was sent.
pub(crate) fn of_break(error: &hyper::Error) -> &'static str {
    if error.is_incomplete_message() {
        "the server closed the connection before it answered"
    } else if error.is_parse() {
        "the server's answer is not HTTP"
    } else {
        "the connection broke before there was an answer"
    }
}
