//! One way to make TLS connections, as rustls wants it.

use std::fs;
use std::sync::Arc;

use dunlin_types::{Tls, Trust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::Error;

const TRUST: &str = "ssl_verify or SSL_CERT_FILE";
const CLIENT_CERTIFICATE: &str = "ssl_certificate";

pub(crate) fn config(tls: &Tls) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions");
    let builder = match &tls.trust {
        Trust::Public => builder.with_root_certificates(public_roots()),
        Trust::PublicAnd(path) => builder.with_root_certificates(roots_and(path)?),
        Trust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustsAnyone(provider)))
        }
    };
    let Some(path) = &tls.client_certificate else { return Ok(builder.with_no_client_auth()) };
    let pem = read(path, CLIENT_CERTIFICATE)?;
    let wrong = |why: String| Error::Pem { path: path.clone(), setting: CLIENT_CERTIFICATE, why };
    let chain = certificates(&pem).map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| wrong("contains no private key: put it after the certificate".to_owned()))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong(format!("cannot be shown to servers: {error}")))
}

fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn roots_and(path: &Arc<str>) -> Result<RootCertStore, Error> {
    let wrong = |why: String| Error::Pem { path: path.clone(), setting: TRUST, why };
    let mut roots = public_roots();
    for certificate in certificates(&read(path, TRUST)?).map_err(wrong)? {
        roots.add(certificate).map_err(|error| {
            wrong(format!("contains something that is not an authority: {error}"))
        })?;
    }
    Ok(roots)
}

fn read(path: &Arc<str>, setting: &'static str) -> Result<Vec<u8>, Error> {
    fs::read(&**path).map_err(|source| Error::File { path: path.clone(), setting, source })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("is not a PEM file: {error}"))?;
    if certificates.is_empty() {
        return Err("contains no certificate in PEM form".to_owned());
    }
    Ok(certificates)
}

/// For `ssl_verify: false`.
#[derive(Debug)]
struct TrustsAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
