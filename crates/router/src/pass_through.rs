//! Paths of ours that lead to addresses of the operator's choosing:
//! `general_settings.pass_through_endpoints`.

use std::sync::Arc;
use std::time::Duration;

use dunlin_types::{NanoUsd, Secret};

/// One such path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassThrough {
    /// Begins with a slash and does not end in one.
    pub path: Arc<str>,
    /// The URL it stands for, without a slash at its end and without a query.
    pub target: Arc<str>,
    /// Whether what follows the path is added to the target; else only the path itself leads there.
    pub with_subpaths: bool,
    /// The methods it takes, in capitals. Empty: all.
    pub methods: Vec<Arc<str>>,
    /// Headers that are added, whatever the client sends.
    pub headers: Vec<(Arc<str>, Secret)>,
    /// Whether the client's own headers go along.
    pub forwards_headers: bool,
    /// Query parameters that the client may override.
    pub query: Vec<(Arc<str>, Arc<str>)>,
    /// Whether it takes a key of ours.
    pub needs_key: bool,
    /// What a call costs beside its tokens.
    pub fee: NanoUsd,
    /// Bound on the wait for the head of an answer.
    pub timeout: Duration,
    /// Why it takes no traffic on this node, such as an unset environment variable.
    pub parked: Option<Arc<str>>,
}

/// The endpoint that `path` leads to, and what follows on its own path. The longest wins.
#[must_use]
pub fn find<'e, 'p>(all: &'e [PassThrough], path: &'p str) -> Option<(&'e PassThrough, &'p str)> {
    let leads = |endpoint: &'e PassThrough| {
        let rest = path.strip_prefix(&*endpoint.path)?;
        let fits = rest.is_empty() || (endpoint.with_subpaths && rest.starts_with('/'));
        fits.then_some((endpoint, rest))
    };
    all.iter().filter_map(leads).max_by_key(|(endpoint, _)| endpoint.path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(path: &str, with_subpaths: bool) -> PassThrough {
        PassThrough {
            path: path.into(),
            target: "http://t".into(),
            with_subpaths,
            methods: Vec::new(),
            headers: Vec::new(),
            forwards_headers: false,
            query: Vec::new(),
            needs_key: true,
            fee: NanoUsd::ZERO,
            timeout: Duration::from_secs(1),
            parked: None,
        }
    }

    #[test]
    fn the_longest_path_wins_and_whole_segments_count() {
        let all = [endpoint("/a", true), endpoint("/a/b", true), endpoint("/a/b/c", false)];
        let cases = [
            ("/a", Some(("/a", ""))),
            ("/a/x", Some(("/a", "/x"))),
            ("/a/b/x", Some(("/a/b", "/x"))),
            ("/a/b/c", Some(("/a/b/c", ""))),
            ("/a/b/c/d", Some(("/a/b", "/c/d"))),
            ("/ab", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            let found = find(&all, path).map(|(endpoint, rest)| (&*endpoint.path, rest));
            assert_eq!(found, expected, "{path}");
        }
    }
}
