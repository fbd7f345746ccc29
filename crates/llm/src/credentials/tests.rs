//! Headers in, keys and refusals out.

use http::HeaderValue;

use super::*;

fn key_of(headers: &[(&'static str, &str)]) -> Result<String, CredentialError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).expect("a header"));
    }
    client_key(&map, Some("X-My-Key")).map(|key| key.expose().to_owned())
}

#[test]
fn every_sdks_header_is_read_in_litellms_order() {
    // Each place beats all that follow it.
    let places = [
        ("x-my-key", "Bearer sk-0"),
        ("x-litellm-api-key", "sk-1"),
        ("authorization", "Bearer sk-2"),
        ("api-key", "sk-3"),
        ("x-api-key", "sk-4"),
        ("x-goog-api-key", "sk-5"),
        ("ocp-apim-subscription-key", "sk-6"),
    ];
    for first in 0..places.len() {
        assert_eq!(key_of(&places[first..]), Ok(format!("sk-{first}")));
    }
    assert_eq!(key_of(&[]), Err(CredentialError::Missing));
}

#[test]
fn authorization_needs_a_scheme_that_carries_a_key() {
    for value in ["Bearer sk-1", "bearer sk-1", "Basic sk-1", "Bearer   sk-1"] {
        assert_eq!(key_of(&[("authorization", value)]).as_deref(), Ok("sk-1"), "{value}");
    }
    let signed = "AWS4-HMAC-SHA256 Credential=Bearer sk-1/20260101/us/bedrock/aws4_request, SignedHeaders=host";
    assert_eq!(key_of(&[("authorization", signed)]).as_deref(), Ok("sk-1"));
    for value in ["sk-1", "", "Bearer ", "Digest sk-1"] {
        assert_eq!(key_of(&[("authorization", value)]), Err(CredentialError::Malformed), "{value}");
    }
}

#[test]
fn refusals_are_worded_and_typed_as_litellms() {
    let check = |error: CredentialError, message: &str, kind: &str, param: &str| {
        let body = ErrorBody::from(&error);
        assert_eq!(body.message, message);
        assert_eq!((body.kind.as_deref(), body.param.as_deref()), (Some(kind), Some(param)));
        assert_eq!(body.code, 401);
    };
    check(
        CredentialError::Missing,
        "Authentication Error, No api key passed in.",
        "auth_error",
        "None",
    );
    check(
        virtual_key(&Secret::new("abcd-secret-wxyz")).expect_err("no sk-"),
        "Authentication Error, LiteLLM Virtual Key expected. Received=abcd****wxyz, expected to start with 'sk-'.",
        "auth_error",
        "None",
    );
    let key = Secret::new("sk-1234");
    let digest = virtual_key(&key).expect("a virtual key");
    check(
        CredentialError::Unknown { name: key_name(&key), digest },
        "Authentication Error, Invalid proxy server token passed. Received API Key = sk-...1234, Key Hash (Token) =88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b. Unable to find token in cache or `LiteLLM_VerificationTokenTable`",
        "token_not_found_in_db",
        "key",
    );
}

#[test]
fn short_texts_are_not_shown() {
    let error = virtual_key(&Secret::new("hunter2")).expect_err("no sk-");
    assert!(!error.to_string().contains("hunter"), "{error}");
}

#[test]
fn a_key_may_stand_in_the_query() {
    let key = |query| key_in_query(query).map(|key| key.expose().to_owned());
    for (query, expected) in [
        ("key=sk-1", Some("sk-1")),
        ("alt=sse&key=sk%2D1%2b", Some("sk-1+")),
        ("alt=sse&monkey=sk-1", None),
        ("key=", None),
        ("key=%f", None),
        ("key=%ff", None),
    ] {
        assert_eq!(key(query).as_deref(), expected, "{query}");
    }
}
