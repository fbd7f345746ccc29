//! The path of a call below a prefix. What it asks for, who may ask and what that costs is read in it;
//! its provider's server may read it in another way. One that can be read in two ways is refused.

use std::borrow::Cow;

use axum::http::Uri;
use dunlin_llm::batch::passed::Shelf;
use dunlin_llm::{decoded, precedes_name};

use super::{Way, is_of_google, understood};
use crate::response::error::Refused;

/// The words by which calls are told apart. Azure's servers, and some others, read them in any case.
const WORDS: &[&str] = &[
    "api",
    "audio",
    "batch",
    "batches",
    "batchPredictionJobs",
    "chat",
    "completions",
    "converse",
    "converse-stream",
    "deployments",
    "edits",
    "endpoints",
    "engines",
    "files",
    "generate",
    "generations",
    "images",
    "invoke",
    "invoke-with-response-stream",
    "jobs",
    "messages",
    "model",
    "model-invocation-job",
    "models",
    "parts",
    "responses",
    "results",
    "speech",
    "transcriptions",
    "translations",
    "tunedModels",
    "uploads",
];

pub(super) const CLIMBS: &str = "a path may not have `.` or `..` in it";
const EMPTY: &str = "a path of a provider's API may not have `//` in it";
const ESCAPED: &str = "a path of a provider's API may have no other escapes than of names: `%2F` \
    only in a model's name or an ARN, and nowhere `%00` to `%1F`, `%23`, `%25`, `%3B`, `%3F`, `%5C`, \
    `\\` or `;`";
const OTHER_CASE: &str =
    "a path of a provider's API is to be written as its documentation has it, in the same case";

/// The path below the prefix of `way`, as it is passed on: as it was written, but for Google's colons.
pub(super) fn below(uri: &Uri, way: Way) -> Result<Cow<'_, str>, Refused> {
    let path = match uri.path() {
        path if way.owned => path,
        path => path.trim_start_matches('/').strip_prefix(way.prefix).expect("the route begins so"),
    };
    let path = match is_of_google(way) && path.contains('%') {
        // What is to be done stands behind one.
        true => Cow::Owned(path.replace("%3A", ":").replace("%3a", ":")),
        false => Cow::Borrowed(path),
    };
    match fault(way.prefix, &path) {
        Some(why) => Err(Refused::UnclearPath(why)),
        None => Ok(path),
    }
}

/// Whether it leads upward, and could leave what the deployment's address begins with.
pub(super) fn climbs(path: &str) -> bool {
    decoded(path).split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

/// Why it can be read in two ways.
fn fault(prefix: &str, path: &str) -> Option<&'static str> {
    if climbs(path) {
        return Some(CLIMBS);
    }
    let mut before = "";
    for segment in path.split('/').skip(1) {
        let is_name = precedes_name(before) || decoded(segment).starts_with("arn:");
        let is_other = |word: &&str| word.eq_ignore_ascii_case(segment) && **word != *segment;
        match segment {
            "" => return Some(EMPTY),
            _ if !is_clear(segment, is_name) => return Some(ESCAPED),
            _ if !is_name && WORDS.iter().any(is_other) => return Some(OTHER_CASE),
            _ => before = segment,
        }
    }
    // The slash of a name may not make another call of it.
    let plain = decoded(path);
    let kind = |path: &str| (understood::endpoint(path), Shelf::of_making(prefix, path).is_some());
    (kind(&plain) != kind(path)).then_some(ESCAPED)
}

/// Whether whoever reads a segment, and whenever it is decoded, finds the same in it.
fn is_clear(segment: &str, is_name: bool) -> bool {
    let mut escapes = segment.split('%');
    let plain = escapes.next().unwrap_or_default();
    let is_known = |escape: &str| {
        let digits = escape.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_some_and(|code| match code {
            b'/' | b' ' => is_name,
            b'#' | b'%' | b';' | b'?' | b'\\' => false,
            code => !code.is_ascii_control(),
        })
    };
    let is_raw = |text: &str| !text.contains(['\\', ';']);
    is_raw(plain) && escapes.all(|escape| is_known(escape) && is_raw(escape))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(way: Way, uri: &str) -> Option<String> {
        let uri: Uri = uri.parse().expect("a path");
        below(&uri, way).ok().map(Cow::into_owned)
    }

    #[test]
    fn a_path_stays_below_its_prefix_and_as_it_was_written() {
        let way = Way { prefix: "azure", providers: &["azure"], owned: false };
        for path in [
            "/v1/models?x=1",
            "/v1/a..c/...",
            "/v1/a%3Ab/%C3%A9",
            "/v1/models/org%2Fm",
            "/openai/deployments/d%2Fe/chat/completions",
            "/openai/deployments/local%2Faudio/embeddings",
            "/openai/deployments/Models/audio/speech",
            "/v1/Team/x",
            "/model/us.claude-v1%3A0/invoke",
            "/model/arn%3Aaws%3Abedrock%3Ar%3A1%3Aprofile%2Fp/converse",
            "/guardrail/arn%3Aaws%3Abedrock%3Ar%3A1%3Aguardrail%2Fg/version/1/apply",
        ] {
            let expected = path.split('?').next();
            assert_eq!(passed(way, &format!("/azure{path}")).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        let way = Way { prefix: "azure", providers: &["azure"], owned: false };
        for path in [
            "/../admin",
            "/v1/%2e%2E/x",
            "/v1/models/a%2f..%2fb",
            "/v1/a%5c..%5cb",
            "/./x",
            "//v1/files",
            "/v1//audio/speech",
            "/v1/audio%2Fspeech",
            "/v1%2faudio/speech",
            "/v1/audio\\speech",
            "/v1/audio%5Cspeech",
            "/v1/audio/speech;x=1",
            "/v1/audio/speech%3Bx",
            "/v1/audio/speech%3Fx",
            "/v1/audio/speech%23",
            "/v1/audio/speech%00",
            "/v1/audio/speech%20",
            "/v1/audio/%2573peech",
            "/v1/audio/%zz",
            "/v1/audio/%2",
            "/v1/audio/%+1",
            "/v1/audio/Speech",
            "/v1/IMAGES/generations",
            "/openai/Deployments/dear/chat/completions",
            "/openai/deployments%2Fdear/chat/completions",
            "/openai/deployments/tts%2Faudio%2Fspeech",
            "/openai/deployments/tts%2Faudio/speech",
            "/openai/deployments/x%2Fbatches",
            "/model/m%25/invoke",
        ] {
            assert_eq!(passed(way, &format!("/azure{path}")), None, "{path}");
        }
    }

    #[test]
    fn googles_colons_are_colons_however_they_are_written() {
        let way = Way { prefix: "gemini", providers: &["gemini"], owned: false };
        for (path, expected) in [
            ("/v1beta/models/m%3agenerateContent", Some("/v1beta/models/m:generateContent")),
            ("/v1beta/models/a%2Fb:predict", Some("/v1beta/models/a%2Fb:predict")),
            ("/v1beta/models%2Fm:generateContent", None),
        ] {
            assert_eq!(passed(way, &format!("/gemini{path}")).as_deref(), expected, "{path}");
        }
    }
}
