//! What leaves the node, seen by local proxies and TLS servers.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_egress::{Egress, Proxies};
use dunlin_types::{Network, Networks, NoConnection, Tls, Trust};
use http::Request;
use http_body_util::{BodyExt, Full};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const NAME: &str = "models.test";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("as set up");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("as set up"))
                .expect("as set up"),
        )
    }

    /// A certificate and its key.
    fn issue(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("as set up");
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("as set up");
        (params.signed_by(&key, &self.0).expect("as set up"), key)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("as set up");
        Arc::new(roots)
    }
}

/// A TLS server that answers every request; gives its port.
async fn tls_server(authority: &Authority, asks_clients: bool) -> u16 {
    let (certificate, key) = authority.issue();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("as set up");
    let builder = if asks_clients {
        let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider);
        builder.with_client_cert_verifier(verifier.build().expect("as set up"))
    } else {
        builder.with_no_client_auth()
    };
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("as set up");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("as set up");
    let port = listener.local_addr().expect("as set up").port();
    TaskTracker::new().spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            TaskTracker::new().spawn(async move {
                if let Ok(mut stream) = acceptor.accept(socket).await {
                    head(&mut stream).await;
                    stream.write_all(ANSWER.as_bytes()).await.expect("as set up");
                }
            });
        }
    });
    port
}

/// Reads one head.
async fn head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(seen).expect("as set up")
}

/// A proxy that shows the heads it gets; tunnels all end at `port`. Gives its port.
async fn proxy(port: u16, heads: mpsc::Sender<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("as set up");
    let own = listener.local_addr().expect("as set up").port();
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let head = head(&mut socket).await;
            let tunnel = head.starts_with("CONNECT ");
            heads.send(head).await.expect("as set up");
            if !tunnel {
                socket.write_all(ANSWER.as_bytes()).await.expect("as set up");
                continue;
            }
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("as set up");
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("as set up");
            TaskTracker::new().spawn(async move {
                copy_bidirectional(&mut socket, &mut server).await.ok();
            });
        }
    });
    own
}

async fn get(egress: &Egress, tls: &Tls, url: &str) -> Result<String, String> {
    get_within(egress, (tls, &Networks::Anywhere), url).await
}

async fn get_within(
    egress: &Egress,
    (tls, networks): (&Tls, &Networks),
    url: &str,
) -> Result<String, String> {
    let client = egress.client(tls, networks).map_err(|error| error.to_string())?;
    let request = Request::get(url).body(Full::<Bytes>::default()).expect("as set up");
    let answer = client.request(request).await.map_err(|failure| failure.to_string())?;
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).expect("as set up"))
}

fn trusting(trust: Trust) -> Tls {
    Tls { trust, client_certificate: None }
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> Arc<str> {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("as set up");
    path.to_str().expect("as set up").into()
}

#[tokio::test]
async fn a_server_is_trusted_by_public_roots_a_file_or_not_at_all() {
    let authority = Authority::new();
    let url = format!("https://127.0.0.1:{}/", tls_server(&authority, false).await);
    let folder = tempfile::tempdir().expect("as set up");
    let ca = file(&folder, "ca.pem", &authority.0.pem());
    let egress = Egress::new(Proxies::default());

    let refused = get(&egress, &trusting(Trust::Public), &url).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    let other = file(&folder, "other.pem", &Authority::new().0.pem());
    assert!(get(&egress, &trusting(Trust::PublicAnd(other)), &url).await.is_err());
    assert_eq!(get(&egress, &trusting(Trust::PublicAnd(ca)), &url).await.as_deref(), Ok("hi"));
    assert_eq!(get(&egress, &trusting(Trust::Anyone), &url).await.as_deref(), Ok("hi"));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new();
    let url = format!("https://127.0.0.1:{}/", tls_server(&authority, true).await);
    let folder = tempfile::tempdir().expect("as set up");
    let (certificate, key) = authority.issue();
    let both = certificate.pem() + &key.serialize_pem();
    let trust = Trust::PublicAnd(file(&folder, "ca.pem", &authority.0.pem()));
    let egress = Egress::new(Proxies::default());

    assert!(get(&egress, &trusting(trust.clone()), &url).await.is_err());
    let own = Some(file(&folder, "client.pem", &both));
    let tls = Tls { trust, client_certificate: own };
    assert_eq!(get(&egress, &tls, &url).await.as_deref(), Ok("hi"));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("as set up");
    let (certificate, _) = Authority::new().issue();
    let keyless = Tls {
        client_certificate: Some(file(&folder, "keyless.pem", &certificate.pem())),
        ..Tls::default()
    };
    let cases = [
        (trusting(Trust::PublicAnd("/no/such.pem".into())), "/no/such.pem"),
        (trusting(Trust::PublicAnd(file(&folder, "text.pem", "hello"))), "contains no certificate"),
        (keyless, "contains no private key"),
    ];
    let egress = Egress::new(Proxies::default());
    for (tls, expected) in cases {
        let said = egress.client(&tls, &Networks::Anywhere).err().expect("as set up").to_string();
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_and_plain_requests_to_the_proxy_itself() {
    let authority = Authority::new();
    let (heads, mut seen) = mpsc::channel(4);
    let proxy = proxy(tls_server(&authority, false).await, heads).await;
    let folder = tempfile::tempdir().expect("as set up");
    let tls = trusting(Trust::PublicAnd(file(&folder, "ca.pem", &authority.0.pem())));
    let address = format!("http://user:pass@127.0.0.1:{proxy}");
    let variable = |name: &str| (name == "ALL_PROXY").then_some(address.as_str());
    let egress = Egress::new(Proxies::from_variables(variable).expect("as set up"));

    let answer = get(&egress, &tls, &format!("https://{NAME}/v1/models")).await;
    assert_eq!(answer.as_deref(), Ok("hi"));
    let shown = seen.recv().await.expect("as set up");
    assert!(shown.starts_with(&format!("CONNECT {NAME}:443 ")), "{shown}");
    let credentials = "proxy-authorization: Basic dXNlcjpwYXNz\r\n";
    assert!(shown.to_ascii_lowercase().contains(&credentials.to_ascii_lowercase()), "{shown}");

    let answer = get(&egress, &tls, &format!("http://{NAME}/v1/models?a=b")).await;
    assert_eq!(answer.as_deref(), Ok("hi"));
    let shown = seen.recv().await.expect("as set up");
    assert!(shown.starts_with(&format!("GET http://{NAME}/v1/models?a=b ")), "{shown}");
    assert!(shown.contains(credentials), "{shown}");

    // Loopback is reached without it: the server's own certificate answers.
    let own = TcpListener::bind("127.0.0.1:0").await.expect("as set up");
    let url = format!("http://{}/", own.local_addr().expect("as set up"));
    let asked = get(&egress, &tls, &url);
    let (answer, ()) = tokio::join!(asked, async {
        let (mut socket, _) = own.accept().await.expect("as set up");
        let seen = head(&mut socket).await;
        assert!(seen.starts_with("GET / ") && !seen.contains("roxy"), "{seen}");
        socket.write_all(ANSWER.as_bytes()).await.expect("as set up");
    });
    assert_eq!(answer.as_deref(), Ok("hi"));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("as set up");
    let address = listener.local_addr().expect("as set up").to_string();
    TaskTracker::new().spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("as set up");
        head(&mut socket).await;
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        socket.write_all(answer).await.expect("as set up");
    });
    let variable = |name: &str| (name == "https_proxy").then_some(address.as_str());
    let egress = Egress::new(Proxies::from_variables(variable).expect("as set up"));
    let said = get(&egress, &Tls::default(), &format!("https://{NAME}/")).await.unwrap_err();
    assert!(said.contains("proxy authorization required"), "{said}");
}

#[tokio::test]
async fn an_address_out_of_reach_is_not_connected_to_whatever_it_is_called() {
    let (heads, mut seen) = mpsc::channel(8);
    let server = proxy(0, heads).await;
    let egress = Egress::new(Proxies::default());
    let only = |network: Network| Networks::Only(Arc::new([network]));
    let tls = Tls::default();
    for host in ["127.0.0.1", "localhost", "2130706433"] {
        let url = format!("http://{host}:{server}/");
        let public = only(Network::Public);
        let refused = get_within(&egress, (&tls, &public), &url).await.unwrap_err();
        assert!(refused.contains("in these networks: public"), "{host}: {refused}");
        let looked = egress.look(&url.parse().expect("as set up"), &public).await;
        assert!(looked.is_err(), "{host} is seen beforehand too");
        let local = only(Network::Loopback);
        assert_eq!(get_within(&egress, (&tls, &local), &url).await.as_deref(), Ok("hi"), "{host}");
        assert!(egress.look(&url.parse().expect("as set up"), &local).await.is_ok());
        assert!(seen.recv().await.is_some_and(|head| head.starts_with("GET / ")));
        assert!(seen.try_recv().is_err(), "nothing was sent before");
    }
    let unknown = "http://no-such-host.invalid/".parse().expect("as set up");
    assert!(egress.look(&unknown, &only(Network::Public)).await.is_ok(), "it may come to be");
}

#[tokio::test]
async fn a_proxy_is_reached_wherever_it_is() {
    let (heads, mut seen) = mpsc::channel(8);
    let address = format!("http://127.0.0.1:{}", proxy(0, heads).await);
    let variable = |name: &str| (name == "http_proxy").then_some(&*address);
    let egress = Egress::new(Proxies::from_variables(variable).expect("as set up"));
    let public = Networks::Only(Arc::new([Network::Public]));
    let way = (&Tls::default(), &public);
    assert_eq!(get_within(&egress, way, "http://models.test/").await.as_deref(), Ok("hi"));
    assert!(seen.recv().await.is_some());
    let refused = get_within(&egress, way, "http://10.0.0.1/").await.unwrap_err();
    assert!(refused.contains("10.0.0.1 is 10.0.0.1"), "{refused}");
}

/// A server without TLS that waits for nothing; gives its port.
async fn speaks_first() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("as set up");
    let port = listener.local_addr().expect("as set up").port();
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(ANSWER.as_bytes()).await.ok();
        }
    });
    port
}

/// Why nothing could be connected at `url`.
async fn no_connection(egress: &Egress, tls: &Tls, url: &str) -> Option<NoConnection> {
    let client = egress.client(tls, &Networks::Anywhere).expect("as set up");
    let request = Request::get(url).body(Full::<Bytes>::default()).expect("as set up");
    client.request(request).await.err().expect("nothing answers").no_connection()
}

#[tokio::test]
async fn why_no_connection_could_be_made_is_told_in_few_words() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("as set up");
    let ca = file(&folder, "ca.pem", &authority.0.pem());
    let ours = trusting(Trust::PublicAnd(ca));
    let tls_port = tls_server(&authority, false).await;
    let plain = speaks_first().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("as set up");
    let free = closed.local_addr().expect("as set up").port();
    drop(closed);
    let egress = Egress::new(Proxies::default());
    for (url, tls, why) in [
        ("http://no-such-host.invalid/".to_owned(), &ours, NoConnection::Unresolved),
        ("https://no-such-host.invalid/".to_owned(), &ours, NoConnection::Unresolved),
        (format!("http://127.0.0.1:{free}/"), &ours, NoConnection::Refused),
        (format!("https://127.0.0.1:{free}/"), &ours, NoConnection::Refused),
        (format!("https://127.0.0.1:{plain}/"), &ours, NoConnection::NotTls),
        (format!("https://localhost:{tls_port}/"), &ours, NoConnection::OtherName),
        (format!("https://127.0.0.1:{tls_port}/"), &Tls::default(), NoConnection::UnknownAuthority),
    ] {
        assert_eq!(no_connection(&egress, tls, &url).await, Some(why), "{url}");
    }
    let to_nobody = format!("http://127.0.0.1:{free}");
    let variable = |name: &str| (name == "ALL_PROXY").then_some(&*to_nobody);
    let egress = Egress::new(Proxies::from_variables(variable).expect("as set up"));
    for url in ["http://models.test/", "https://models.test/"] {
        let why = no_connection(&egress, &ours, url).await;
        assert_eq!(why, Some(NoConnection::Proxy), "{url}");
    }
}
