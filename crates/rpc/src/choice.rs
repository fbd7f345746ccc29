//! Which certificate a node shows while one cluster secret takes the place of another. It has one of
//! each; the other end says which authorities it trusts, and gets one that it can check.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

/// A certificate, and by which authority.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) authority: DistinguishedName,
    pub(crate) certified: Arc<CertifiedKey>,
}

/// A node's certificates, that of the secret which stays first.
#[derive(Debug)]
pub(crate) struct Choice(pub(crate) Vec<Issued>);

impl Choice {
    /// One by an authority that the other end trusts; if it trusts none, the first: the other end
    /// then says what is wrong.
    fn of<'a>(&self, trusted: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Arc<CertifiedKey>> {
        let is_trusted =
            |issued: &&Issued| trusted.clone().any(|name| name == issued.authority.as_ref());
        let found = self.0.iter().find(is_trusted).or(self.0.first());
        found.map(|issued| Arc::clone(&issued.certified))
    }
}

impl ResolvesClientCert for Choice {
    fn resolve(&self, trusted: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.of(trusted.iter().copied())
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let trusted = hello.certificate_authorities().unwrap_or_default();
        self.of(trusted.iter().map(AsRef::as_ref))
    }
}

/// Checks servers as rustls does, and tells them by which authorities.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) inner: Arc<WebPkiServerVerifier>,
    pub(crate) authorities: Vec<DistinguishedName>,
}

impl ServerCertVerifier for Telling {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.authorities)
    }
}
