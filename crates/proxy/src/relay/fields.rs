//! The header fields of calls that are passed on: what is between two machines stays between them,
//! and what is ours goes no further.

use axum::http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT, HOST,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName};
use dunlin_llm::credentials::may_hold_key;

use crate::Forwarded;

/// Fields of one connection (RFC 9110, 7.6.1).
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Where else credentials are, what was signed with our keys, and what this hop makes anew. An answer
/// is asked for uncompressed, or it could not be metered; a compressed body was unpacked. A request has
/// one method: what a GET may do is not what a POST costs.
static OURS: [HeaderName; 13] = [
    ACCEPT_ENCODING,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    COOKIE,
    EXPECT,
    HOST,
    HeaderName::from_static("x-amz-content-sha256"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];
const OUR_PREFIX: &str = "x-litellm-";

/// What goes upstream of a client's fields. `key_header` is the operator's own name for where keys
/// are.
pub(super) fn outgoing(client: &HeaderMap, key_header: Option<&str>) -> HeaderMap {
    let ours = |name: &HeaderName| {
        OURS.contains(name)
            || may_hold_key(name)
            || name.as_str().starts_with(OUR_PREFIX)
            || key_header.is_some_and(|own| own.eq_ignore_ascii_case(name.as_str()))
    };
    without_hops(client, ours)
}

/// What goes along of the fields of a client's request that is written anew for its provider: its own
/// `x-` fields but those of its SDK, and what else the operator lets through.
pub(crate) fn along(client: &HeaderMap, lets: Forwarded, key_header: Option<&str>) -> HeaderMap {
    let mut along = outgoing(client, key_header);
    let is_let = |name: &str| match name {
        "openai-organization" => lets.organization,
        "traceparent" => lets.trace,
        _ => lets.own && name.starts_with("x-") && !name.starts_with("x-stainless"),
    };
    let others: Vec<HeaderName> =
        along.keys().filter(|name| !is_let(name.as_str())).cloned().collect();
    for name in others {
        along.remove(name);
    }
    along
}

/// What goes to the client of a provider's fields. Cookies are for the provider's own host.
pub(super) fn incoming(provider: &HeaderMap) -> HeaderMap {
    without_hops(provider, |name| *name == SET_COOKIE)
}

/// Whether a field of that name may be set by a client at all.
pub(super) fn passes(name: &HeaderName) -> bool {
    !HOP_BY_HOP.contains(name) && !OURS.contains(name) && !may_hold_key(name)
}

fn without_hops(fields: &HeaderMap, dropped: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let connection = fields.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<&str> = connection.flat_map(|names| names.split(',')).map(str::trim).collect();
    let mut kept = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let is_listed = listed.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str()));
        if !is_listed && !HOP_BY_HOP.contains(name) && !dropped(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().expect("a value"))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn no_credential_and_nothing_of_this_hop_goes_on() {
        let client = map(&[
            ("authorization", "Bearer sk-ours"),
            ("x-http-method-override", "POST"),
            ("x-api-key", "sk-ours"),
            ("api-key", "sk-ours"),
            ("x-goog-api-key", "sk-ours"),
            ("ocp-apim-subscription-key", "sk-ours"),
            ("x-litellm-api-key", "sk-ours"),
            ("x-litellm-model", "chat"),
            ("x-team-key", "sk-ours"),
            ("x-auth-token", "sk-ours"),
            ("x-amz-date", "20261125T000000Z"),
            ("cookie", "token=sk-ours"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("host", "gateway"),
            ("content-length", "2"),
            ("accept-encoding", "gzip"),
            ("content-type", "application/json"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
        ]);
        let expected = map(&[("content-type", "application/json")]);
        let mut passed = outgoing(&client, Some("X-Team-Key"));
        let betas: Vec<_> = client.get_all("anthropic-beta").iter().collect();
        assert_eq!(passed.get_all("anthropic-beta").iter().collect::<Vec<_>>(), betas);
        passed.remove("anthropic-beta");
        assert_eq!(passed, expected);
    }

    #[test]
    fn an_answer_keeps_its_own_fields() {
        let provider = map(&[
            ("content-type", "text/event-stream"),
            ("request-id", "req_1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
        ]);
        let expected = map(&[("content-type", "text/event-stream"), ("request-id", "req_1")]);
        assert_eq!(incoming(&provider), expected);
    }

    #[test]
    fn what_goes_along_to_a_provider_is_what_the_operator_lets_through() {
        let mut client = HeaderMap::new();
        for name in [
            "x-mine",
            "x-stainless-os",
            "x-litellm-tags",
            "x-api-key",
            "authorization",
            "openai-organization",
            "traceparent",
            "accept",
            "x-key",
        ] {
            client.insert(name, "v".parse().expect("a value"));
        }
        let names = |lets| {
            let along = along(&client, lets, Some("X-Key"));
            let mut names: Vec<String> = along.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        let own = Forwarded { own: true, ..Forwarded::default() };
        assert_eq!(names(own), ["x-mine"]);
        assert_eq!(
            names(Forwarded { organization: true, ..own }),
            ["openai-organization", "x-mine"]
        );
        assert_eq!(names(Forwarded { trace: true, ..Forwarded::default() }), ["traceparent"]);
    }
}
