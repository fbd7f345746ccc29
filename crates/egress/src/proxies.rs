//! Which requests go by a proxy, told by the variables that every HTTP client reads:
//! `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in small letters first.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use crate::Error;

/// Google's metadata server by name; by address it is link-local.
const GOOGLE_METADATA: &str = "metadata.google.internal";

/// The proxies in use, and what they are not used for.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exempt: Vec<Exempt>,
}

#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) address: Uri,
    pub(crate) authorization: Option<HeaderValue>,
}

/// One word of `NO_PROXY`: a host and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exempt {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// This name and every name below it.
    Below(String),
    Network(IpAddr, u32),
}

impl Proxies {
    /// Reads the variables.
    ///
    /// # Errors
    /// A proxy that is no URL, or is spoken to in another way than HTTP.
    pub fn from_variables<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Error> {
        let proxy = |small: &'static str, capital: &'static str| {
            let set = |name| variable(name).map(str::trim).filter(|value| !value.is_empty());
            let found = set(small).map(|value| (small, value));
            let found = found.or_else(|| set(capital).map(|value| (capital, value)));
            found
                .map(|(variable, value)| {
                    Proxy::parse(value).map_err(|why| Error::Proxy { variable, why })
                })
                .transpose()
        };
        let all = proxy("all_proxy", "ALL_PROXY")?;
        let exempt = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
        let words = exempt.split([',', ' ']).filter(|word| !word.is_empty());
        Ok(Self {
            http: proxy("http_proxy", "HTTP_PROXY")?.or_else(|| all.clone()),
            https: proxy("https_proxy", "HTTPS_PROXY")?.or(all),
            exempt: words.map(Exempt::parse).collect(),
        })
    }

    /// Which proxies are used, for the log and without their passwords; `None` if none is.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let name = |scheme: &str, proxy: &Option<Proxy>| {
            let address = proxy.as_ref()?.address.authority()?;
            Some(format!("{scheme} requests go by the proxy {address}"))
        };
        let used = [name("http", &self.http), name("https", &self.https)];
        let used: Vec<String> = used.into_iter().flatten().collect();
        (!used.is_empty()).then(|| used.join(", "))
    }

    /// The proxy for `to`, if one is to be used.
    pub(crate) fn of(&self, to: &Uri) -> Option<&Proxy> {
        let https = to.scheme() == Some(&Scheme::HTTPS);
        let proxy = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = to.host()?.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let port = to.port_u16().unwrap_or(if https { 443 } else { 80 });
        let address: Option<IpAddr> = host.parse().ok();
        let at_hand = address.map_or_else(|| is_local_name(&host), is_local);
        let exempt = self.exempt.iter().any(|exempt| exempt.holds(&host, address, port));
        (!at_hand && !exempt).then_some(proxy)
    }

    /// What a proxy wants to see on a request that it gets in the clear.
    pub(crate) fn plain_authorization(&self, to: &Uri) -> Option<&HeaderValue> {
        if to.scheme() == Some(&Scheme::HTTPS) {
            return None;
        }
        self.of(to)?.authorization.as_ref()
    }
}

impl Proxy {
    /// `http://user:password@host:port`, or without the scheme, as is common.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err("proxies are reached over http://; TLS goes through them"),
            _ => return Err("only http:// proxies are supported, not SOCKS"),
        }
        let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (credentials, host) = match rest.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, rest),
        };
        let authority: Authority = host.parse().map_err(|_| "it is not a URL")?;
        if authority.host().is_empty() {
            return Err("it has no host");
        }
        let address = Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query("/");
        let authorization = credentials.map(authorization).transpose()?;
        Ok(Self { address: address.build().map_err(|_| "it is not a URL")?, authorization })
    }
}

fn authorization(credentials: &str) -> Result<HeaderValue, &'static str> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let basic = format!("Basic {}", BASE64_STANDARD.encode(plain));
    let mut value = HeaderValue::from_str(&basic).map_err(|_| "its credentials cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

impl Exempt {
    fn parse(word: &str) -> Self {
        if let Some(network) = network(word) {
            return Self { hosts: network, port: None };
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => (word, None),
            },
            None => (word, None),
        };
        let host = host.trim_matches(['[', ']']);
        let hosts = network(host).unwrap_or_else(|| {
            let below = host.strip_prefix('*').unwrap_or(host).trim_matches('.');
            if below.is_empty() { Hosts::All } else { Hosts::Below(below.to_ascii_lowercase()) }
        });
        Self { hosts, port }
    }

    fn holds(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let there = match &self.hosts {
            Hosts::All => true,
            Hosts::Below(name) => {
                let above = host.strip_suffix(name.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            Hosts::Network(network, bits) => {
                address.is_some_and(|address| is_in(address, *network, *bits))
            }
        };
        there && self.port.is_none_or(|own| own == port)
    }
}

/// `10.0.0.0/8`, or one address.
fn network(text: &str) -> Option<Hosts> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some(Hosts::Network(address, bits))
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

fn is_local_name(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host == GOOGLE_METADATA
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &'static str)]) -> Result<Proxies, Error> {
        Proxies::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        })
    }

    #[test]
    fn no_proxy_names_hosts_networks_and_ports() {
        let cases = [
            ("", "https://a.example/", true),
            ("*", "https://a.example/", false),
            ("a.example", "https://a.example/", false),
            ("A.Example", "https://a.EXAMPLE:8443/", false),
            ("example", "https://a.example/", false),
            (".example", "https://a.example/", false),
            ("*.example", "https://a.example/", false),
            ("a.example", "https://ba.example/", true),
            ("a.example:8443", "https://a.example:8443/", false),
            ("a.example:8443", "https://a.example/", true),
            ("a.example:443", "https://a.example/", false),
            ("x, 10.0.0.0/8", "http://10.1.2.3/", false),
            ("x 10.0.0.0/8", "http://11.1.2.3/", true),
            ("10.0.0.0/8", "http://ten.example/", true),
            ("10.1.2.3", "http://10.1.2.3:9/", false),
            ("10.1.2.3:9", "http://10.1.2.3:8/", true),
            ("0.0.0.0/0", "http://1.1.1.1/", false),
            ("0.0.0.0/0", "http://[2001:db8::1]/", true),
            ("2001:db8::/32", "http://[2001:db8::1]/", false),
            ("[2001:db8::1]:80", "http://[2001:db8::1]/", false),
            ("", "http://localhost:1/", true),
        ];
        for (exempt, to, expected) in cases {
            let proxies = proxies(&[("all_proxy", "http://proxy:3128"), ("NO_PROXY", exempt)]);
            let by_proxy = proxies.unwrap().of(&to.parse().unwrap()).is_some();
            let expected = expected && to != "http://localhost:1/";
            assert_eq!(by_proxy, expected, "no_proxy {exempt:?}, {to}");
        }
    }

    #[test]
    fn what_is_at_hand_needs_no_proxy() {
        let proxies = proxies(&[("ALL_PROXY", "http://proxy:3128")]).unwrap();
        for to in [
            "http://127.0.0.1:8000/",
            "http://[::1]:8000/",
            "http://localhost/",
            "http://a.localhost/",
            "http://169.254.169.254/",
            "http://[fe80::1]/",
            "http://metadata.google.internal/",
        ] {
            assert!(proxies.of(&to.parse().unwrap()).is_none(), "{to}");
        }
    }

    #[test]
    fn small_letters_and_the_schemes_own_variable_come_first() {
        let proxies = proxies(&[
            ("https_proxy", "small:1"),
            ("HTTPS_PROXY", "http://capital:2"),
            ("http_proxy", " "),
            ("ALL_PROXY", "http://user%40a:p%3As@all:3/"),
        ]);
        let proxies = proxies.unwrap();
        let address = |to: &str| proxies.of(&to.parse().unwrap()).map(|p| p.address.to_string());
        assert_eq!(address("https://a.example/").as_deref(), Some("http://small:1/"));
        assert_eq!(address("http://a.example/").as_deref(), Some("http://all:3/"));
        let authorization = proxies.plain_authorization(&"http://a.example/".parse().unwrap());
        // user@a:p:s
        assert_eq!(authorization.unwrap(), "Basic dXNlckBhOnA6cw==");
        let said = "http requests go by the proxy all:3, https requests go by the proxy small:1";
        assert_eq!(proxies.summary().as_deref(), Some(said));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_without_its_password() {
        for value in ["socks5://u:secret@p:1", "https://u:secret@p:1", "http://u:secret@", "a b"] {
            let error = proxies(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("secret"), "{error}");
        }
    }
}
