//! An `api_base` as portals show it: with the path of a call and its version, which are no part of what
//! paths are added to.

/// Ends that a provider's addresses may be written with: those of calls that dunlin adds itself.
const ENDS: &[(&[&str], &[&str])] = &[
    (
        &["azure", "azure_ai", "azure_text"],
        &["/chat/completions", "/completions", "/embeddings", "/images/generations", "/responses"],
    ),
    (&["ollama", "ollama_chat"], &["/api/chat", "/api/generate"]),
];
/// What names a version of Azure's, where nothing else is asked for.
const VERSION: &str = "api-version=";

/// An address without what belongs to one call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TargetUri {
    pub(crate) base: String,
    /// It goes before `api_version`, as in LiteLLM.
    pub(crate) version: Option<String>,
}

impl TargetUri {
    /// Of a provider's: what it does not know stays as it is.
    pub(crate) fn read(provider: &str, written: &str) -> Self {
        let known = ENDS.iter().find(|(providers, _)| providers.contains(&provider));
        let Some((_, ends)) = known else {
            return Self { base: written.to_owned(), version: None };
        };
        let split = written.split_once('?').filter(|_| provider.starts_with("azure"));
        let versioned = split.and_then(|(path, query)| Some((path, query.strip_prefix(VERSION)?)));
        let versioned = versioned.filter(|(_, version)| !version.contains('&'));
        let (path, version) = versioned.map_or((written, None), |(path, of)| (path, Some(of)));
        let path = path.trim_end_matches('/');
        let base = ends.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
        let version = version.filter(|version| !version.is_empty()).map(str::to_owned);
        Self { base: base.trim_end_matches('/').to_owned(), version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_call_is_no_part_of_the_address() {
        let d = "https://r.openai.azure.com/openai/deployments/d";
        let f = "https://r.services.ai.azure.com";
        for (provider, written, base, version) in [
            (
                "azure_ai",
                format!("{f}/models/chat/completions?api-version=v"),
                format!("{f}/models"),
                Some("v"),
            ),
            ("azure_ai", format!("{f}/models/embeddings"), format!("{f}/models"), None),
            ("azure_ai", f.to_owned(), f.to_owned(), None),
            ("azure_ai", format!("{f}/v1/rerank"), format!("{f}/v1/rerank"), None),
            (
                "azure",
                format!("{d}/chat/completions?api-version=2024-10-21"),
                d.to_owned(),
                Some("2024-10-21"),
            ),
            ("azure", format!("{d}?a=b"), format!("{d}?a=b"), None),
            ("ollama", "http://o:1/api/generate".to_owned(), "http://o:1".to_owned(), None),
            ("ollama_chat", "http://o:1/api/chat/".to_owned(), "http://o:1".to_owned(), None),
            ("openai", format!("{d}/chat/completions"), format!("{d}/chat/completions"), None),
        ] {
            let version = version.map(str::to_owned);
            assert_eq!(
                TargetUri::read(provider, &written),
                TargetUri { base, version },
                "{written}"
            );
        }
    }
}
