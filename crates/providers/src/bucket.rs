//! Buckets in which Bedrock's and Vertex AI's jobs leave their answers: S3's, and Google's. Only
//! reading: what is there, and one object.

use bytes::Bytes;
use dunlin_llm::Target;
use dunlin_types::{Credential, UnixMillis};
use http::header::AUTHORIZATION;
use http::{Request, Uri};
use serde::Deserialize;

use crate::bedrock::region;
use crate::encode::{EncodeError, secret_value};
use crate::sigv4::{self, Keys, Scope, decoded, path_segment, path_segments};

/// The most objects that one page lists: neither store has longer ones.
pub const PAGE: usize = 1_000;

/// What is asked of a bucket.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// The names of objects that begin so.
    List {
        /// Their beginning.
        prefix: &'a str,
        /// What the page before named as its end.
        after: Option<&'a str>,
        /// So many at most.
        most: usize,
    },
    /// An object.
    Object(&'a str),
}

/// A page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects' whole names.
    pub names: Vec<String>,
    /// The next page begins after this. `None`: there is none.
    pub next: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    S3,
    Google,
}

impl Store {
    fn of(provider: &str) -> Option<Self> {
        match provider {
            "bedrock" | "bedrock_converse" => Some(Self::S3),
            "vertex_ai" | "vertex_ai_beta" => Some(Self::Google),
            _ => None,
        }
    }
}

/// The call that asks a bucket where the jobs of `to`'s provider leave their answers. It carries none
/// of the deployment's headers: those are for the provider.
///
/// # Errors
/// The provider has no such buckets, their address cannot be called, or the credential opens none.
pub fn request(
    (provider, to): (&'static str, &Target),
    bucket: &str,
    asked: Asked<'_>,
    credential: &Credential,
    now: UnixMillis,
) -> Result<Request<Bytes>, EncodeError> {
    let route = "buckets";
    let none = EncodeError::UnsupportedEndpoint { provider, route };
    let (Some(store), Some(base)) = (Store::of(provider), &to.buckets) else { return Err(none) };
    let url = url(store, base, bucket, asked);
    let uri = Uri::try_from(&*url).ok().filter(|uri| uri.authority().is_some());
    let mut call = Request::new(Bytes::new());
    *call.uri_mut() = uri.ok_or(EncodeError::BadUrl { url })?;
    match (store, credential) {
        (Store::S3, Credential::Aws { access_key_id, secret_access_key, session_token }) => {
            let session_token = session_token.as_ref();
            let keys = Keys { access_key_id, secret_access_key, session_token };
            sigv4::sign(&mut call, keys, Scope { service: "s3", region: region(to) }, now)?;
        }
        (Store::Google, Credential::Token(token)) => {
            let bearer = format!("Bearer {}", token.expose());
            let bearer = secret_value(AUTHORIZATION.as_str(), &bearer)?;
            call.headers_mut().insert(AUTHORIZATION, bearer);
        }
        (Store::S3, _) => {
            let needed = "AWS keys to read buckets: a Bedrock API key opens none";
            return Err(EncodeError::WrongCredential { provider, needed });
        }
        (Store::Google, _) => {
            let needed = "vertex_credentials to read buckets: an API key opens none";
            return Err(EncodeError::WrongCredential { provider, needed });
        }
    }
    Ok(call)
}

/// The bucket is in the path: other addresses than S3's own have no names for each.
fn url(store: Store, base: &str, bucket: &str, asked: Asked<'_>) -> String {
    let (base, bucket) = (base.trim_end_matches('/'), path_segment(bucket));
    match (store, asked) {
        (Store::S3, Asked::Object(name)) => format!("{base}/{bucket}/{}", path_segments(name)),
        (Store::Google, Asked::Object(name)) => {
            format!("{base}/storage/v1/b/{bucket}/o/{}?alt=media", path_segment(name))
        }
        (Store::S3, Asked::List { prefix, after, most }) => {
            let after = after.map(|after| format!("&continuation-token={}", path_segment(after)));
            // Some names cannot stand in XML as they are.
            format!(
                "{base}/{bucket}?list-type=2&encoding-type=url&max-keys={most}&prefix={}{}",
                path_segment(prefix),
                after.unwrap_or_default()
            )
        }
        (Store::Google, Asked::List { prefix, after, most }) => {
            let after = after.map(|after| format!("&pageToken={}", path_segment(after)));
            format!(
                "{base}/storage/v1/b/{bucket}/o?fields=items(name),nextPageToken&maxResults={most}\
                 &prefix={}{}",
                path_segment(prefix),
                after.unwrap_or_default()
            )
        }
    }
}

/// Reads a page of a list. `None`: it is none.
#[must_use]
pub fn page(provider: &str, body: &[u8]) -> Option<Page> {
    match Store::of(provider)? {
        Store::S3 => page_of_s3(std::str::from_utf8(body).ok()?),
        Store::Google => page_of_google(body),
    }
}

fn page_of_google(body: &[u8]) -> Option<Page> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        #[serde(default)]
        items: Vec<Item>,
        next_page_token: Option<String>,
    }
    #[derive(Deserialize)]
    struct Item {
        name: String,
    }
    let wire: Wire = serde_json::from_slice(body).ok()?;
    let names = wire.items.into_iter().map(|item| item.name).collect();
    Some(Page { names, next: wire.next_page_token })
}

/// Of S3's XML a handful of elements is read. Names are encoded as in a URL, tokens are Base64.
fn page_of_s3(xml: &str) -> Option<Page> {
    let (_, list) = xml.split_once("<ListBucketResult")?;
    let mut page = Page::default();
    let mut rest = list;
    while let Some((name, behind)) = element(rest, "Key") {
        let name = name.replace('+', "%20");
        page.names.push(String::from_utf8(decoded(&name)).ok()?);
        rest = behind;
    }
    page.next = element(list, "NextContinuationToken").map(|(token, _)| token.to_owned());
    Some(page)
}

/// The text of the first element of that name, and what follows on it.
fn element<'x>(xml: &'x str, name: &str) -> Option<(&'x str, &'x str)> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    behind.split_once(&format!("</{name}>"))
}

#[cfg(test)]
mod tests {
    use dunlin_types::Secret;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn aws() -> Credential {
        Credential::Aws {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("s"),
            session_token: Some(Secret::new("t")),
        }
    }

    fn asked(
        provider: &'static str,
        asked: Asked<'_>,
        credential: &Credential,
    ) -> Result<Request<Bytes>, EncodeError> {
        let to = Target {
            buckets: Some("https://h/".into()),
            region: Some("eu-west-1".into()),
            headers: vec![("x-team".into(), Secret::new("a"))],
            ..Target::default()
        };
        request((provider, &to), "b.c", asked, credential, NOW)
    }

    #[test]
    fn each_store_is_asked_in_its_own_way() {
        let token = Credential::Token(Secret::new("t"));
        let list = Asked::List { prefix: "a b/", after: Some("x="), most: 1 };
        let object = Asked::Object("a b/c:1.jsonl");
        let cases = [
            (
                "bedrock",
                list,
                aws(),
                "https://h/b.c?list-type=2&encoding-type=url&max-keys=1&prefix=a%20b%2F\
                 &continuation-token=x%3D",
            ),
            ("bedrock_converse", object, aws(), "https://h/b.c/a%20b/c%3A1.jsonl"),
            (
                "vertex_ai",
                list,
                token.clone(),
                "https://h/storage/v1/b/b.c/o?fields=items(name),nextPageToken&maxResults=1\
                 &prefix=a%20b%2F&pageToken=x%3D",
            ),
            (
                "vertex_ai",
                object,
                token.clone(),
                "https://h/storage/v1/b/b.c/o/a%20b%2Fc%3A1.jsonl?alt=media",
            ),
        ];
        for (provider, what, credential, expected) in cases {
            let call = asked(provider, what, &credential).expect("it can be sent");
            assert_eq!(call.uri().to_string(), expected);
            assert!(!call.headers().contains_key("x-team"), "it is the provider's");
            let shown = call.headers()[AUTHORIZATION].to_str().expect("text");
            let right = shown.contains("/eu-west-1/s3/aws4_request") || shown == "Bearer t";
            assert!(right, "{provider}: {shown}");
        }
        let key = Credential::Key(Secret::new("k"));
        for provider in ["bedrock", "vertex_ai"] {
            let refused = asked(provider, object, &key).expect_err("it opens no bucket");
            assert!(refused.to_string().contains("to read buckets"), "{refused}");
        }
        assert!(asked("openai", object, &key).is_err());
    }

    #[test]
    fn a_page_of_each_store_is_read() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"u\"><Prefix>a</Prefix>\
            <NextContinuationToken>x=</NextContinuationToken><Contents><Key>a/b+c%26.out</Key>\
            <Size>1</Size></Contents><Contents><Key>a/d</Key></Contents></ListBucketResult>";
        let json = br#"{"items":[{"name":"a/b c&.out"},{"name":"a/d"}],"nextPageToken":"x="}"#;
        let names = vec!["a/b c&.out".to_owned(), "a/d".to_owned()];
        let expected = Some(Page { names, next: Some("x=".to_owned()) });
        assert_eq!(page("bedrock", xml.as_bytes()), expected);
        assert_eq!(page("vertex_ai", json), expected);
        assert_eq!(page("vertex_ai", b"{}"), Some(Page::default()));
        assert_eq!(page("bedrock", b"<Error><Code>AccessDenied</Code></Error>"), None);
    }
}
