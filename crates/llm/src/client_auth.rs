//! What clients may bring of their own: a provider's key, and the address of a server that knows it.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_types::{Networks, Secret};
use http::Uri;
use memchr::memmem;
use regex::Regex;

use crate::edit;
use crate::endpoint::Endpoint;
use crate::json::string;
use crate::parse::{BadRequest, object, refuse_duplicates};
use crate::target::Target;

/// The endpoints whose requests may bring a credential.
const ENDPOINTS: [Endpoint; 5] = [
    Endpoint::ChatCompletions,
    Endpoint::Completions,
    Endpoint::Embeddings,
    Endpoint::Messages,
    Endpoint::Responses,
];
const KEY: &str = "api_key";
const BASE: &str = "api_base";
const MAX_KEY_BYTES: usize = 4 << 10;
const MAX_BASE_BYTES: usize = 2 << 10;
/// Headers that belong to the account whose key they come with.
const OF_ACCOUNT: [&str; 6] = [
    "api-key",
    "authorization",
    "openai-organization",
    "openai-project",
    "x-api-key",
    "x-goog-api-key",
];

/// What a request may bring to a deployment.
#[derive(Clone, Debug, Default)]
pub struct ClientAuth {
    /// A key, which takes the place of the deployment's.
    pub key: bool,
    /// With a key, an address that one of these describes.
    pub bases: Vec<Pattern>,
    /// Where such an address may lead.
    pub networks: Networks,
    /// The deployment has no key of its own, and lacks nothing else.
    pub is_needed: bool,
}

/// A regular expression that describes whole texts.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        // A text that is none by itself must not become one by what is put around it.
        Regex::new(text)?;
        Regex::new(&format!("^(?:{text})$")).map(Self)
    }

    fn describes(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// A credential that a request brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredential {
    /// `api_key`.
    pub key: Secret,
    /// `api_base`, without a slash at its end.
    pub base: Option<Arc<str>>,
}

impl ClientCredential {
    /// Takes it out of a body, which is given back without it. `None`: there is none, or none may be.
    ///
    /// # Errors
    /// It is not what it should be.
    pub fn take(endpoint: Endpoint, body: &Bytes) -> Result<Option<(Self, Bytes)>, BadRequest> {
        let has_key = || memmem::find(body, b"\"api_key\"").is_some();
        if !ENDPOINTS.contains(&endpoint) || !has_key() {
            return Ok(None);
        }
        let members = object(body)?;
        let of = |name: &str| {
            let mut all = members.iter().filter(|member| member.name == name);
            all.find(|member| member.value != "null").map(|member| string(member.value))
        };
        let Some(key) = of(KEY) else { return Ok(None) };
        refuse_duplicates(&members)?;
        let invalid = |name: &str, expected| BadRequest::Invalid {
            route: endpoint.route(),
            name: name.to_owned(),
            expected,
        };
        let key = key.filter(|key| is_key(key));
        let key = key.ok_or(invalid(KEY, "a text of 1 to 4096 visible characters"))?;
        let base = of(BASE).map(|base| {
            let base = base.filter(|base| is_base(base));
            base.ok_or(invalid(BASE, "a URL of http or https without a query"))
        });
        let base = base.transpose()?.map(|base| base.trim_end_matches('/').into());
        let key = Secret::new(key.into_owned());
        Ok(Some((Self { key, base }, edit::without(body.clone(), &[KEY, BASE]))))
    }
}

fn is_key(text: &str) -> bool {
    let is_visible = |byte: u8| byte.is_ascii_graphic();
    (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(is_visible)
}

/// Whoever is named before an `@` is not who is called: such an address would deceive a pattern.
fn is_base(text: &str) -> bool {
    let Some(uri) = text.parse::<Uri>().ok().filter(|_| text.len() <= MAX_BASE_BYTES) else {
        return false;
    };
    let is_plain = !text.contains(['@', '#', '?', '\\']);
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    is_plain && has_host && matches!(uri.scheme_str(), Some("http" | "https"))
}

impl Target {
    /// The same for a request that brings `own`. Nothing that belongs to the deployment's account goes
    /// along, and to an address of the client's none of its headers.
    ///
    /// # Errors
    /// The name of what may not be brought.
    pub fn of_client(&self, own: &ClientCredential) -> Result<Self, &'static str> {
        if !self.clients.key {
            return Err(KEY);
        }
        let api_key = Some(own.key.clone());
        let mut target = Self { api_key, identity: None, is_clients: true, ..self.clone() };
        target.headers.retain(|(name, _)| !OF_ACCOUNT.contains(&&*name.to_ascii_lowercase()));
        if let Some(base) = &own.base {
            if !self.clients.bases.iter().any(|pattern| pattern.describes(base)) {
                return Err(BASE);
            }
            target.headers.clear();
            target.api_base = Arc::clone(base);
            target.networks = self.clients.networks.clone();
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(endpoint: Endpoint, body: &str) -> Result<Option<(ClientCredential, Bytes)>, String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        ClientCredential::take(endpoint, &body).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_key_is_taken_out_of_the_bodies_that_may_bring_one() {
        let chat = Endpoint::ChatCompletions;
        let body = r#"{"model":"m","api_key":"sk-mine", "messages":[],"api_base":"https://a/v1/"}"#;
        let (own, rest) = taken(chat, body).expect("it is right").expect("there is one");
        assert_eq!((own.key.expose(), own.base.as_deref()), ("sk-mine", Some("https://a/v1")));
        assert_eq!(rest, r#"{"model":"m", "messages":[]}"#);
        assert!(!format!("{own:?}").contains("sk-mine"));
        for (endpoint, body) in [
            (Endpoint::Moderations, r#"{"api_key":"sk-mine"}"#),
            (chat, r#"{"api_key":null,"messages":[]}"#),
            (chat, r#"{"api_base":"https://a/v1"}"#),
            (chat, r#"{"messages":[{"content":"\"api_key\" is a field"}]}"#),
            (chat, r#"{"messages":[{"api_key":"x"}]}"#),
        ] {
            assert_eq!(taken(endpoint, body), Ok(None), "{body}");
        }
        for (body, told) in [
            (r#"{"api_key":7}"#, "'api_key': expected"),
            (r#"{"api_key":""}"#, "'api_key': expected"),
            (r#"{"api_key":"a b"}"#, "'api_key': expected"),
            (r#"{"api_key":"a","api_key":"b"}"#, "'api_key'"),
            (r#"{"api_key":"a","api_base":7}"#, "'api_base': expected"),
            (r#"{"api_key":"a","api_base":"ftp://a"}"#, "'api_base': expected"),
            (r#"{"api_key":"a","api_base":"https://good@bad/v1"}"#, "'api_base': expected"),
            (r#"{"api_key":"a","api_base":"https://a/v1?x=good"}"#, "'api_base': expected"),
            (r#"{"api_key":"a""#, "Invalid JSON"),
        ] {
            let bad = taken(chat, body).expect_err(body);
            assert!(bad.contains(told), "{body}: {bad}");
        }
    }

    #[test]
    fn a_target_takes_what_it_is_open_to_and_gives_nothing_of_its_account_away() {
        let own = |base: Option<&str>| ClientCredential {
            key: Secret::new("sk-mine"),
            base: base.map(Into::into),
        };
        let header = |name: &str| (name.into(), Secret::new("x"));
        let closed = Target {
            api_base: "https://own/v1".into(),
            api_key: Some(Secret::new("sk-own")),
            headers: ["Authorization", "OpenAI-Organization", "x-team"].map(header).into(),
            ..Target::default()
        };
        assert_eq!(closed.of_client(&own(None)).err(), Some("api_key"));
        let pattern = Pattern::new(r"https://[^/]*\.direct\.ai/v1").expect("a pattern");
        let bases = vec![pattern];
        let networks = Networks::Only(Arc::default());
        let clients = ClientAuth { key: true, bases, networks, is_needed: false };
        let open = Target { clients, ..closed };
        let target = open.of_client(&own(None)).expect("a key");
        assert_eq!(target.api_key, Some(Secret::new("sk-mine")));
        assert!(target.is_clients && target.headers == [header("x-team")]);
        assert_eq!((&*target.api_base, &target.networks), ("https://own/v1", &Networks::Anywhere));
        let there = "https://eu.direct.ai/v1";
        let target = open.of_client(&own(Some(there))).expect("it is described");
        assert_eq!((&*target.api_base, target.headers.len()), (there, 0));
        assert_ne!(target.networks, Networks::Anywhere);
        for elsewhere in ["https://eu.direct.ai/v1/x", "https://bad/eu.direct.ai/v1", "http://x"] {
            let refused = open.of_client(&own(Some(elsewhere))).err();
            assert_eq!(refused, Some("api_base"), "{elsewhere}");
        }
        assert!(Pattern::new("a)|(b").is_err());
    }
}
