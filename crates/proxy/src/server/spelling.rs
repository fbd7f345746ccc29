//! The one way to write a path: `/v1/%66iles` is `/v1/files` (RFC 3986, 6.2.2.2). What it leads to, who
//! may call it and what that costs go by this, and so it is passed on.

use axum::http::Uri;

/// The same address with no character escaped that needs none. `None`: it is so already.
pub(super) fn plain(uri: &Uri) -> Option<Uri> {
    let (mut rest, mut plain) = (uri.path(), String::new());
    // Most have none.
    while let Some(at) = memchr::memchr(b'%', rest.as_bytes()) {
        let escape = rest.get(at + 1..at + 3);
        let code = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        let (kept, next) = match code.filter(|code| is_unreserved(*code)) {
            Some(code) => (code.to_string(), at + 3),
            None => ("%".to_owned(), at + 1),
        };
        plain.push_str(&rest[..at]);
        plain.push_str(&kept);
        rest = &rest[next..];
    }
    if plain.is_empty() {
        return None;
    }
    plain.push_str(rest);
    if plain == uri.path() {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{plain}{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

fn is_unreserved(code: char) -> bool {
    code.is_ascii_alphanumeric() || matches!(code, '-' | '.' | '_' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_escape_has_none_and_all_else_stays() {
        for (path, expected) in [
            ("/v1/%66iles?a=%66", Some("/v1/files?a=%66")),
            ("/%76%31/a%2Db%5f%7E", Some("/v1/a-b_~")),
            ("/x/%2e%2E/y", Some("/x/../y")),
            ("/m%3A0/a%2fb/%C3%A9/%20", None),
            ("/%2566/%2", None),
            ("/%zz/%+1/%", None),
            ("/v1/files", None),
            ("http://h:1/%61", Some("http://h:1/a")),
        ] {
            let uri = path.parse().expect("an address");
            let found = plain(&uri).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
