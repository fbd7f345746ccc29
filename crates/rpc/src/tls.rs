//! Who is a member: certificates made from the cluster secret.
//!
//! The secret gives the key of a certificate authority, the same on every node that holds it. At
//! each start a node makes itself a fresh key (one for each secret while one takes the place of
//! another, see `choice.rs`) and has that authority sign it together with the
//! node's id, so nothing but the secret is ever copied between machines. Certificates are valid at
//! any time a clock may show: a node whose clock is wrong must not fall out of the cluster.

use std::sync::Arc;

use dunlin_types::{NodeId, Secret, Secrets};
use hkdf::Hkdf;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, RootCertStore, ServerConfig};
use sha2::Sha256;

use crate::choice::{Choice, Issued, Telling};
use crate::error::Error;

/// The name every node answers to, so that the handshake shows a listener nothing of identities.
const SHARED_NAME: &str = "node.dunlin";

/// Parts the derived key from other uses of the secret. Changing it parts the releases.
const AUTHORITY_LABEL: &[u8] = b"dunlin: authority of node certificates, v1";
const AUTHORITY_NAME_LABEL: &[u8] = b"dunlin: name of that authority, v1";

/// What precedes an Ed25519 seed in PKCS #8 (RFC 8410, section 7).
const ED25519_PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Both ends of TLS 1.3 for one node: each demands a certificate of the other.
pub(crate) struct Credentials {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

/// Makes this node's certificates, one by the authority of each secret, and both configurations.
pub(crate) fn credentials(secrets: &Secrets, me: NodeId) -> Result<Credentials, Error> {
    let mut roots = RootCertStore::empty();
    let mut choices = (Vec::new(), Vec::new());
    for secret in secrets.all() {
        let key = authority_key(secret).map_err(Error::Certificate)?;
        let params = authority_params(secret);
        let authority = params.self_signed(&key).map_err(Error::Certificate)?;
        let mut alone = RootCertStore::empty();
        alone.add(authority.der().clone()).map_err(Error::Tls)?;
        roots.add(authority.der().clone()).map_err(Error::Tls)?;
        let certified = issue(me, &Issuer::new(params, key))?;
        for choice in [&mut choices.0, &mut choices.1] {
            let authority = alone.subjects().remove(0);
            choice.push(Issued { authority, certified: Arc::clone(&certified) });
        }
    }
    let roots = Arc::new(roots);
    Ok(Credentials {
        server: server_config(roots.clone(), Choice(choices.0))?,
        client: client_config(roots, Choice(choices.1))?,
    })
}

fn issue(me: NodeId, issuer: &Issuer<'_, KeyPair>) -> Result<Arc<CertifiedKey>, Error> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(Error::Certificate)?;
    let certificate = leaf_params(me)
        .and_then(|params| params.signed_by(&key, issuer))
        .map_err(Error::Certificate)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider();
    let chain = vec![certificate.der().clone()];
    CertifiedKey::from_der(chain, key, &provider).map(Arc::new).map_err(Error::Tls)
}

/// The name to ask for when connecting to any node.
pub(crate) fn shared_name() -> ServerName<'static> {
    ServerName::try_from(SHARED_NAME).expect("a constant that is a DNS name")
}

/// The node a certificate was issued to. The authority's signature is checked before this.
pub(crate) fn node_of(chain: Option<&[CertificateDer<'_>]>) -> Option<NodeId> {
    let leaf = webpki::EndEntityCert::try_from(chain?.first()?).ok()?;
    leaf.valid_dns_names()
        .find_map(|name| name.strip_suffix(SHARED_NAME)?.strip_suffix('.')?.parse().ok())
}

/// What a failed handshake tells of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// It holds another cluster secret, or none.
    WrongSecret,
    /// It speaks something that is not TLS 1.3.
    NotANode,
    /// Nothing: the connection merely ended.
    Gone,
}

/// Reads the reason out of a failed handshake.
pub(crate) fn stranger(error: &std::io::Error) -> Stranger {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        None => Stranger::Gone,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Stranger::WrongSecret
        }
        Some(rustls::Error::AlertReceived(alert)) if blames_certificate(*alert) => {
            Stranger::WrongSecret
        }
        Some(_) => Stranger::NotANode,
    }
}

fn blames_certificate(alert: AlertDescription) -> bool {
    [
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateUnknown,
        AlertDescription::CertificateRequired,
        AlertDescription::DecryptError,
    ]
    .contains(&alert)
}

fn authority_key(secret: &Secret) -> Result<KeyPair, rcgen::Error> {
    let mut pkcs8 = [0; 48];
    let (head, seed) = pkcs8.split_at_mut(ED25519_PKCS8_HEAD.len());
    head.copy_from_slice(&ED25519_PKCS8_HEAD);
    Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
        .expand(AUTHORITY_LABEL, seed)
        .expect("32 bytes are a valid length for HKDF-SHA256");
    KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(pkcs8.as_slice()),
        &PKCS_ED25519,
    )
}

fn authority_params(secret: &Secret) -> CertificateParams {
    // Two authorities are told apart by name: a node says by it which secrets it knows.
    let mut id = [0; 4];
    Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
        .expand(AUTHORITY_NAME_LABEL, &mut id)
        .expect("4 bytes are a valid length for HKDF-SHA256");
    let mut params = CertificateParams::default();
    let name = format!("dunlin cluster {:08x}", u32::from_be_bytes(id));
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf_params(me: NodeId) -> Result<CertificateParams, rcgen::Error> {
    let names = vec![SHARED_NAME.to_owned(), format!("{me}.{SHARED_NAME}")];
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, me.to_string());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn server_config(
    roots: Arc<RootCertStore>,
    certificates: Choice,
) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(Error::Verifier)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Error::Tls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // All nodes share one name, so a ticket could not say which of them it belongs to.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn client_config(
    roots: Arc<RootCertStore>,
    certificates: Choice,
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities = roots.subjects();
    let inner = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(Error::Verifier)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Error::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Telling { inner, authorities }))
        .with_client_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
