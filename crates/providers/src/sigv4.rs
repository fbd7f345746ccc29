//! AWS Signature Version 4, in headers: what Bedrock, S3 and STS want to see on a request.
//!
//! Sign last: every header of the request is signed, so that none can be changed on the way. A
//! path is encoded once for the wire and once more to be signed (all services but S3 want that);
//! [`path_segment`] does the first for a model id with `:` or `/` in it.

use std::fmt::Write as _;

use bytes::Bytes;
use dunlin_types::{Secret, UnixMillis};
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, CONNECTION, EXPECT, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Uri};
use sha2::{Digest, Sha256};

use crate::encode::{EncodeError, secret_value};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
/// S3 wants to see the hash of the body, and the path as it is on the wire.
const S3: &str = "s3";
const HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// What this request itself brings about, or clients and proxies on the way may change.
const UNSIGNED: &[HeaderName] = &[AUTHORIZATION, CONNECTION, EXPECT, TRANSFER_ENCODING, USER_AGENT];

/// What to sign with.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Which key.
    pub access_key_id: &'a str,
    /// The key.
    pub secret_access_key: &'a Secret,
    /// Beside keys that expire.
    pub session_token: Option<&'a Secret>,
}

/// Whom a signature is for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Such as `bedrock`.
    pub service: &'a str,
    /// Such as `us-east-1`.
    pub region: &'a str,
}

/// Adds `host`, `x-amz-date`, the session's token and the signature.
///
/// # Errors
/// The keys hold characters that HTTP forbids.
pub fn sign(
    request: &mut Request<Bytes>,
    keys: Keys<'_>,
    scope: Scope<'_>,
    now: UnixMillis,
) -> Result<(), EncodeError> {
    let time = timestamp(now);
    let date = &time[..8];
    if !request.headers().contains_key(HOST) {
        let host = host(request.uri());
        request.headers_mut().insert(HOST, plain_value(HOST.as_str(), &host)?);
    }
    request.headers_mut().insert(DATE, plain_value(DATE.as_str(), &time)?);
    request.headers_mut().remove(TOKEN);
    if let Some(token) = keys.session_token {
        let token = secret_value(TOKEN.as_str(), token.expose())?;
        request.headers_mut().insert(TOKEN, token);
    }

    let hash = hex::encode(Sha256::digest(request.body()));
    if scope.service == S3 {
        request.headers_mut().insert(HASH, plain_value(HASH.as_str(), &hash)?);
    }

    let path = request.uri().path();
    let path = if scope.service == S3 { path.to_owned() } else { canonical_path(path) };
    let (signed_headers, canonical) = canonical_request(request, &path, &hash);
    let scope_text = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let hash = hex::encode(Sha256::digest(&canonical));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope_text}\n{hash}");
    let secret = format!("AWS4{}", keys.secret_access_key.expose());
    let mut key = mac(secret.as_bytes(), date);
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex::encode(mac(&key, &to_sign));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope_text}, SignedHeaders={signed_headers}, \
         Signature={signature}",
        keys.access_key_id
    );
    let authorization = secret_value(AUTHORIZATION.as_str(), &authorization)?;
    request.headers_mut().insert(AUTHORIZATION, authorization);
    Ok(())
}

/// `text` as one segment of a path: all but letters, digits and `-._~` as `%XX`.
#[must_use]
pub fn path_segment(text: &str) -> String {
    encoded(text.as_bytes(), b"")
}

/// The same of a path, whose slashes stay.
pub(crate) fn path_segments(text: &str) -> String {
    encoded(text.as_bytes(), b"/")
}

/// The names of the signed headers, and the request in the form that is hashed.
fn canonical_request(request: &Request<Bytes>, path: &str, body: &str) -> (String, Vec<u8>) {
    let mut names: Vec<&HeaderName> =
        request.headers().keys().filter(|name| !UNSIGNED.contains(name)).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let signed: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let signed = signed.join(";");

    let query = canonical_query(request.uri().query().unwrap_or(""));
    let mut text = format!("{}\n{path}\n{query}\n", request.method()).into_bytes();
    for name in names {
        text.extend_from_slice(name.as_str().as_bytes());
        text.push(b':');
        for (at, value) in request.headers().get_all(name).iter().enumerate() {
            if at > 0 {
                text.push(b',');
            }
            let words = value.as_bytes().split(|byte| matches!(byte, b' ' | b'\t'));
            text.extend(words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' '));
        }
        text.push(b'\n');
    }
    text.extend_from_slice(format!("\n{signed}\n{body}").as_bytes());
    (signed, text)
}

/// The path of the wire without empty and dotted segments, encoded once more.
fn canonical_path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let joined = format!("/{}", segments.join("/"));
    let is_folder = path.ends_with('/') && joined.len() > 1;
    encoded(format!("{joined}{}", if is_folder { "/" } else { "" }).as_bytes(), b"/")
}

/// The query's parameters, re-encoded and sorted.
fn canonical_query(query: &str) -> String {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut parameters: Vec<(String, String)> = parameters
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| (encoded(&decoded(name), b""), encoded(&decoded(value), b"")))
        .collect();
    parameters.sort_unstable();
    let parameters = parameters.into_iter().map(|(name, value)| format!("{name}={value}"));
    parameters.collect::<Vec<_>>().join("&")
}

fn encoded(bytes: &[u8], kept: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if unreserved || kept.contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes everything");
        }
    }
    text
}

/// Undoes percent encoding; a `%` that begins none stands for itself.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        match byte.and_then(|digits| hex::decode(digits).ok()) {
            Some(byte) => {
                decoded.extend(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// As HTTP clients write it: without the scheme's own port.
fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let own = match uri.scheme_str() {
        Some("https") => 443,
        Some(_) | None => 80,
    };
    match uri.port_u16().filter(|port| *port != own) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn plain_value(name: &str, value: &str) -> Result<HeaderValue, EncodeError> {
    HeaderValue::from_str(value).map_err(|_| EncodeError::BadHeader { name: name.to_owned() })
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// `20150830T123600Z`.
fn timestamp(now: UnixMillis) -> String {
    let seconds = now.0 / 1000;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = date(seconds / 86_400);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The Gregorian date of a day after 1970-01-01. Years begin in March here, so that the day that
/// comes and goes is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let since_march_of_0 = days + 719_468;
    let (era, day_of_era) = (since_march_of_0 / 146_097, since_march_of_0 % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case of the Signature Version 4 test suite that AWS publishes (in awslabs/aws-c-auth,
    /// `tests/aws-signing-test-suite/v4`, `header-signed-request.txt` of each; documented, read
    /// 2026-11-25).
    struct Case {
        name: &'static str,
        method: &'static str,
        path: &'static str,
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
        token: Option<&'static str>,
        signed: &'static str,
        signature: &'static str,
    }

    const VANILLA: Case = Case {
        name: "get-vanilla",
        method: "GET",
        path: "/",
        headers: &[],
        body: "",
        token: None,
        signed: "host;x-amz-date",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    };

    const CASES: &[Case] = &[
        VANILLA,
        Case {
            name: "get-vanilla-with-session-token",
            token: Some("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"),
            signed: "host;x-amz-date;x-amz-security-token",
            signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ..VANILLA
        },
        Case {
            name: "get-vanilla-query-order-encoded",
            path: "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            ..VANILLA
        },
        Case {
            name: "get-vanilla-empty-query-key",
            path: "/?Param1=value1",
            signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
            ..VANILLA
        },
        Case {
            name: "get-vanilla-query-order-key-case",
            path: "/?Param2=value2&Param1=value1",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ..VANILLA
        },
        Case {
            name: "get-unreserved",
            path: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ..VANILLA
        },
        Case { name: "get-slash-dot-slash-normalized", path: "/./", ..VANILLA },
        Case {
            name: "get-relative-relative-normalized",
            path: "/example1/example2/../..",
            ..VANILLA
        },
        Case {
            name: "get-slashes-normalized",
            path: "//example//",
            signature: "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
            ..VANILLA
        },
        Case {
            name: "get-header-key-duplicate",
            headers: &[
                ("my-header1", "value2"),
                ("my-header1", "value2"),
                ("my-header1", "value1"),
            ],
            signed: "host;my-header1;x-amz-date",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ..VANILLA
        },
        Case {
            name: "get-header-value-trim",
            headers: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            signed: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ..VANILLA
        },
        Case {
            name: "post-x-www-form-urlencoded",
            method: "POST",
            headers: &[
                ("content-type", "application/x-www-form-urlencoded"),
                ("content-length", "13"),
                (
                    "x-amz-content-sha256",
                    "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
                ),
            ],
            body: "Param1=value1",
            signed: "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            ..VANILLA
        },
    ];

    /// 2015-08-30T12:36:00Z.
    const NOW: UnixMillis = UnixMillis(1_440_938_160_000);

    #[test]
    fn signatures_are_those_of_the_published_test_suite() {
        for case in CASES {
            let mut request = Request::builder()
                .method(case.method)
                .uri(format!("https://example.amazonaws.com{}", case.path));
            for (name, value) in case.headers {
                request = request.header(*name, *value);
            }
            let mut request = request.body(Bytes::from(case.body)).unwrap();
            let token = case.token.map(Secret::new);
            let keys = Keys {
                access_key_id: "AKIDEXAMPLE",
                secret_access_key: &Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                session_token: token.as_ref(),
            };
            sign(&mut request, keys, Scope { service: "service", region: "us-east-1" }, NOW)
                .unwrap();
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={}, Signature={}",
                case.signed, case.signature
            );
            assert_eq!(request.headers()[AUTHORIZATION], expected, "{}", case.name);
            assert_eq!(request.headers()[DATE], "20150830T123600Z");
        }
    }

    #[test]
    fn a_model_id_is_encoded_once_on_the_wire_and_twice_when_signed() {
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.m-v1:0";
        let wire = format!("/model/{}/converse", path_segment(arn));
        assert_eq!(
            wire,
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.m-v1%3A0/converse"
        );
        assert_eq!(canonical_path(&wire), wire.replace('%', "%25"));
    }

    /// The example "GET Object" of S3's reference (`sig-v4-header-based-auth`).
    #[test]
    fn s3_signs_the_path_of_the_wire_and_the_hash_of_the_body() {
        let uri = "https://examplebucket.s3.amazonaws.com/test.txt";
        let mut request =
            Request::get(uri).header("range", "bytes=0-9").body(Bytes::new()).unwrap();
        let keys = Keys {
            access_key_id: "AKIAIOSFODNN7EXAMPLE",
            secret_access_key: &Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        // 2013-05-24T00:00:00Z.
        let now = UnixMillis(1_369_353_600_000);
        sign(&mut request, keys, Scope { service: "s3", region: "us-east-1" }, now).unwrap();
        let signed = request.headers()[AUTHORIZATION].to_str().unwrap();
        let expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert!(signed.ends_with(&format!("Signature={expected}")), "{signed}");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(timestamp(UnixMillis(seconds * 1000)), expected);
        }
    }

    #[test]
    fn only_a_port_that_is_not_the_schemes_own_is_part_of_the_host() {
        for (uri, expected) in [
            ("https://a.example:443/", "a.example"),
            ("https://a.example:8443/", "a.example:8443"),
            ("http://127.0.0.1:80/", "127.0.0.1"),
        ] {
            assert_eq!(host(&uri.parse().unwrap()), expected);
        }
    }
}
