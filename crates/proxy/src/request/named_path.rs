//! Paths that name a model with slashes in it, such as `/engines/openai/gpt-4o/chat/completions`: the
//! name is made one segment, as routes have it.

use axum::http::Uri;

/// The same address with its model in one segment. `None`: it is so already, or names none here.
/// `prefixes` come before a model and `routes` behind it; the longest of these that fits is meant.
pub(crate) fn with_one_segment<'r>(
    uri: &Uri,
    prefixes: &[&str],
    routes: impl Iterator<Item = &'r str>,
) -> Option<Uri> {
    let path = uri.path();
    let rest = prefixes
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')))?;
    let fitting = routes.filter_map(|route| rest.strip_suffix(route));
    let model = fitting.min_by_key(|model| model.len())?;
    if !model.contains('/') || model.split('/').any(str::is_empty) {
        return None;
    }
    let before = &path[..path.len() - rest.len()];
    let behind = &rest[model.len()..];
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{before}{}{behind}{query}", model.replace('/', "%2F")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_slashes_are_no_ends_of_segments() {
        let prefixes = ["/engines", "/openai/deployments"];
        let routes = ["/completions", "/chat/completions"];
        for (path, expected) in [
            ("/engines/a/b/chat/completions", Some("/engines/a%2Fb/chat/completions")),
            (
                "/openai/deployments/a/b/c/completions?v=1",
                Some("/openai/deployments/a%2Fb%2Fc/completions?v=1"),
            ),
            ("/engines/a/chat/completions", None),
            ("/engines/a%2Fb/chat/completions", None),
            ("/engines//b/chat/completions", None),
            ("/engines/a/b/unknown", None),
            ("/engine/a/b/completions", None),
        ] {
            let uri = path.parse().expect("a path");
            let found = with_one_segment(&uri, &prefixes, routes.into_iter());
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), expected, "{path}");
        }
    }
}
