//! One post to a receiver, and what became of it.

use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::Egress;
use dunlin_types::{Networks, Secret, Tls, UnixMillis};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};

/// A receiver that has not answered by then is tried again.
pub(crate) const POST_WITHIN: Duration = Duration::from_secs(10);
/// As long as a receiver's answer is read.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// As much of a receiver's words as is passed on.
const MAX_SAID_CHARS: usize = 300;
/// A receiver that wants to be left alone for longer is asked again after that.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What is posted.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) to: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The records in it.
    pub(crate) count: usize,
}

/// What became of a post.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The receiver has it.
    Taken,
    /// The receiver has it, but for so many records.
    Partly { rejected: usize, why: String },
    /// It will never take it.
    Refused(String),
    /// It is too large.
    TooLarge,
    /// It may take it later; perhaps it says when.
    Later { after: Option<Duration>, why: String },
}

/// How many records of a post that was taken were not, by the receiver's answer, and why.
pub(crate) type Judge = fn(&[u8]) -> Option<(usize, String)>;

/// The way to a receiver.
pub(crate) struct Way<'w> {
    pub(crate) egress: &'w Egress,
    pub(crate) tls: &'w Tls,
    pub(crate) networks: &'w Networks,
    pub(crate) now: UnixMillis,
}

impl Way<'_> {
    /// Posts once.
    pub(crate) async fn post(&self, post: &Post, judge: Judge) -> Fate {
        let sent = tokio::time::timeout(POST_WITHIN, self.send(post));
        let (status, after, body) = match sent.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Fate::Later { after: None, why },
            Err(_) => {
                let why = format!("no answer in {} s", POST_WITHIN.as_secs());
                return Fate::Later { after: None, why };
            }
        };
        if status.is_success() {
            return match judge(&body) {
                None => Fate::Taken,
                Some((rejected, why)) => {
                    Fate::Partly { rejected: rejected.min(post.count), why: words(&why) }
                }
            };
        }
        let said = words(&String::from_utf8_lossy(&body));
        let why = format!("{status}: {said}").trim_end_matches([':', ' ']).to_owned();
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Fate::TooLarge,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Fate::Later { after, why }
            }
            _ if status.is_server_error() => Fate::Later { after, why },
            _ => Fate::Refused(why),
        }
    }

    async fn send(&self, post: &Post) -> Result<(StatusCode, Option<Duration>, Bytes), String> {
        let client = self.egress.client(self.tls, self.networks);
        let client = client.map_err(|error| error.to_string())?;
        let mut request = Request::new(Full::new(post.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = post.to.clone();
        *request.headers_mut() = post.headers.clone();
        let answer = client.request(request).await.map_err(|failure| failure.to_string())?;
        let (head, body) = answer.into_parts();
        let after = retry_after(&head.headers, self.now);
        // What is too long to be read says nothing that must be known.
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        Ok((head.status, after, body.map(|body| body.to_bytes()).unwrap_or_default()))
    }
}

/// `Retry-After`: seconds, or a moment.
fn retry_after(headers: &HeaderMap, now: UnixMillis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
            Duration::from_millis(u64::try_from(at).ok()?.saturating_sub(now.0))
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Somebody else's words, on one line and not too many.
fn words(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(MAX_SAID_CHARS).collect()
}

/// Puts headers on a request; nobody who prints it sees their values.
pub(crate) fn insert_all(headers: &mut HeaderMap, more: &[(HeaderName, Secret)]) {
    for (name, value) in more {
        headers.insert(name.clone(), sensitive(value.expose()));
    }
}

/// A header's value that is not printed.
pub(crate) fn sensitive(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).expect("it was checked when it was read");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_says_when_is_believed_up_to_a_bound() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, UnixMillis(1_445_412_480_000))
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(of("86400"), Some(MAX_RETRY_AFTER));
        assert_eq!(of("soon"), None);
    }

    #[test]
    fn a_receivers_words_are_one_short_line() {
        let said = words(&format!("no\nsuch {}", "x".repeat(1_000)));
        assert!(said.starts_with("no such x") && said.len() == MAX_SAID_CHARS, "{said}");
    }
}
