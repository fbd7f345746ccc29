//! Buckets in which Bedrock's and Vertex AI's jobs find their requests and leave their answers: S3's,
//! and Google's. What is there, and one object: read, put, taken away.

use bytes::Bytes;
use dunlin_llm::{Buckets, Target};
use dunlin_types::{Credential, UnixMillis};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use jiff::Timestamp;
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
    /// That there be an object, in place of one of that name.
    Put {
        /// Its name.
        name: &'a str,
        /// All of it.
        content: &'a Bytes,
    },
    /// That there be no such object.
    Delete(&'a str),
}

/// An object of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its whole name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was put there, in seconds since 1970; 0 if that is not said.
    pub made: u64,
}

/// A page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What is there.
    pub objects: Vec<Listed>,
    /// The next page begins after this. `None`: there is none.
    pub next: Option<String>,
}

/// Whose buckets a provider's jobs work in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    S3,
    Google,
}

impl Store {
    pub(crate) fn of(provider: &str) -> Option<Self> {
        match provider {
            "bedrock" | "bedrock_converse" => Some(Self::S3),
            "vertex_ai" | "vertex_ai_beta" => Some(Self::Google),
            _ => None,
        }
    }
}

/// The call that asks a bucket of the jobs of `to`'s provider. It carries none of the deployment's
/// headers: those are for the provider.
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
    let (Some(store), Some(buckets)) = (Store::of(provider), &to.buckets) else { return Err(none) };
    let mut call = unsigned(store, buckets, bucket, asked)?;
    match (store, credential) {
        (Store::S3, Credential::Aws { access_key_id, secret_access_key, session_token }) => {
            let session_token = session_token.as_ref();
            let keys = Keys { access_key_id, secret_access_key, session_token };
            let region = buckets.region.as_deref().unwrap_or_else(|| region(to));
            sigv4::sign(&mut call, keys, Scope { service: "s3", region }, now)?;
        }
        (Store::Google, Credential::Token(token)) => {
            let bearer = format!("Bearer {}", token.expose());
            let bearer = secret_value(AUTHORIZATION.as_str(), &bearer)?;
            call.headers_mut().insert(AUTHORIZATION, bearer);
        }
        (Store::S3, _) => {
            let needed = "AWS keys for buckets: a Bedrock API key opens none";
            return Err(EncodeError::WrongCredential { provider, needed });
        }
        (Store::Google, _) => {
            let needed = "vertex_credentials for buckets: an API key opens none";
            return Err(EncodeError::WrongCredential { provider, needed });
        }
    }
    Ok(call)
}

fn unsigned(
    store: Store,
    buckets: &Buckets,
    bucket: &str,
    asked: Asked<'_>,
) -> Result<Request<Bytes>, EncodeError> {
    let url = url(store, &buckets.store, bucket, asked);
    let uri = Uri::try_from(&*url).ok().filter(|uri| uri.authority().is_some());
    let mut call = Request::new(Bytes::new());
    *call.uri_mut() = uri.ok_or(EncodeError::BadUrl { url })?;
    *call.method_mut() = match (store, asked) {
        (_, Asked::List { .. } | Asked::Object(_)) => Method::GET,
        (Store::S3, Asked::Put { .. }) => Method::PUT,
        (Store::Google, Asked::Put { .. }) => Method::POST,
        (_, Asked::Delete(_)) => Method::DELETE,
    };
    if let Asked::Put { content, .. } = asked {
        *call.body_mut() = content.clone();
        call.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    }
    Ok(call)
}

/// The bucket is in the path: other addresses than S3's own have no names for each.
fn url(store: Store, base: &str, bucket: &str, asked: Asked<'_>) -> String {
    let (base, bucket) = (base.trim_end_matches('/'), path_segment(bucket));
    match (store, asked) {
        (Store::S3, Asked::Object(name) | Asked::Put { name, .. } | Asked::Delete(name)) => {
            format!("{base}/{bucket}/{}", path_segments(name))
        }
        (Store::Google, Asked::Object(name)) => {
            format!("{base}/storage/v1/b/{bucket}/o/{}?alt=media", path_segment(name))
        }
        (Store::Google, Asked::Put { name, .. }) => {
            let name = path_segment(name);
            format!("{base}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}")
        }
        (Store::Google, Asked::Delete(name)) => {
            format!("{base}/storage/v1/b/{bucket}/o/{}", path_segment(name))
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
                "{base}/storage/v1/b/{bucket}/o?fields=items(name,size,timeCreated),nextPageToken\
                 &maxResults={most}&prefix={}{}",
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
    #[serde(rename_all = "camelCase")]
    struct Item {
        name: String,
        #[serde(default)]
        size: String,
        #[serde(default)]
        time_created: String,
    }
    let wire: Wire = serde_json::from_slice(body).ok()?;
    let objects = wire.items.into_iter().map(|Item { name, size, time_created }| Listed {
        name,
        bytes: size.parse().unwrap_or_default(),
        made: seconds(&time_created).unwrap_or_default(),
    });
    Some(Page { objects: objects.collect(), next: wire.next_page_token })
}

/// A moment as both stores and both job APIs write it, in seconds since 1970.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_second()).ok()
}

/// Of S3's XML a handful of elements is read. Names are encoded as in a URL, tokens are Base64.
fn page_of_s3(xml: &str) -> Option<Page> {
    let (_, list) = xml.split_once("<ListBucketResult")?;
    let mut page = Page::default();
    let mut rest = list;
    while let Some((object, behind)) = element(rest, "Contents") {
        let text = |name: &str| element(object, name).map_or("", |(text, _)| text);
        let name = String::from_utf8(decoded(&text("Key").replace('+', "%20"))).ok()?;
        let bytes = text("Size").parse().unwrap_or_default();
        let made = seconds(text("LastModified")).unwrap_or_default();
        page.objects.push(Listed { name, bytes, made });
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
            buckets: Some(Buckets { store: "https://h/".into(), ..Buckets::default() }),
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
        let content = Bytes::from_static(b"{}");
        let put = Asked::Put { name: "a b/c:1.jsonl", content: &content };
        let gone = Asked::Delete("a b/c:1.jsonl");
        let cases = [
            (
                "bedrock",
                list,
                aws(),
                "GET https://h/b.c?list-type=2&encoding-type=url&max-keys=1&prefix=a%20b%2F\
                 &continuation-token=x%3D",
            ),
            ("bedrock_converse", object, aws(), "GET https://h/b.c/a%20b/c%3A1.jsonl"),
            ("bedrock", put, aws(), "PUT https://h/b.c/a%20b/c%3A1.jsonl"),
            ("bedrock", gone, aws(), "DELETE https://h/b.c/a%20b/c%3A1.jsonl"),
            (
                "vertex_ai",
                list,
                token.clone(),
                "GET https://h/storage/v1/b/b.c/o?fields=items(name,size,timeCreated),nextPageToken\
                 &maxResults=1&prefix=a%20b%2F&pageToken=x%3D",
            ),
            (
                "vertex_ai",
                object,
                token.clone(),
                "GET https://h/storage/v1/b/b.c/o/a%20b%2Fc%3A1.jsonl?alt=media",
            ),
            (
                "vertex_ai",
                put,
                token.clone(),
                "POST https://h/upload/storage/v1/b/b.c/o?uploadType=media&name=a%20b%2Fc%3A1.jsonl",
            ),
            (
                "vertex_ai",
                gone,
                token.clone(),
                "DELETE https://h/storage/v1/b/b.c/o/a%20b%2Fc%3A1.jsonl",
            ),
        ];
        for (provider, what, credential, expected) in cases {
            let call = asked(provider, what, &credential).expect("it can be sent");
            assert_eq!(format!("{} {}", call.method(), call.uri()), expected);
            assert_eq!(call.body().is_empty(), !matches!(what, Asked::Put { .. }));
            assert!(!call.headers().contains_key("x-team"), "it is the provider's");
            let shown = call.headers()[AUTHORIZATION].to_str().expect("text");
            let right = shown.contains("/eu-west-1/s3/aws4_request") || shown == "Bearer t";
            assert!(right, "{provider}: {shown}");
        }
        let key = Credential::Key(Secret::new("k"));
        for provider in ["bedrock", "vertex_ai"] {
            let refused = asked(provider, object, &key).expect_err("it opens no bucket");
            assert!(refused.to_string().contains("for buckets"), "{refused}");
        }
        assert!(asked("openai", object, &key).is_err());
    }

    #[test]
    fn a_page_of_each_store_is_read() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"u\"><Prefix>a</Prefix>\
            <NextContinuationToken>x=</NextContinuationToken><Contents><Key>a/b+c%26.out</Key>\
            <LastModified>2023-11-14T22:13:20.000Z</LastModified><Size>7</Size></Contents>\
            <Contents><Key>a/d</Key></Contents></ListBucketResult>";
        let json = br#"{"items":[{"name":"a/b c&.out","size":"7","timeCreated":
            "2023-11-14T22:13:20.5Z"},{"name":"a/d"}],"nextPageToken":"x="}"#;
        let listed = |name: &str, bytes, made| Listed { name: name.to_owned(), bytes, made };
        let objects = vec![listed("a/b c&.out", 7, 1_700_000_000), listed("a/d", 0, 0)];
        let expected = Some(Page { objects, next: Some("x=".to_owned()) });
        assert_eq!(page("bedrock", xml.as_bytes()), expected);
        assert_eq!(page("vertex_ai", json), expected);
        assert_eq!(page("vertex_ai", b"{}"), Some(Page::default()));
        assert_eq!(page("bedrock", b"<Error><Code>AccessDenied</Code></Error>"), None);
    }
}
