//! Words as people write them: near misses, lists in sentences, and lines without their secrets.

use dunlin_types::is_secret;

/// The known word that `word` most likely stands for: within two edits, or one where that would
/// be most of the word.
pub(crate) fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let close = known.into_iter().filter_map(|candidate| {
        let shorter = word.len().min(candidate.len());
        let bound = if shorter < 5 { 1 } else { 2 };
        let distance = strsim::damerau_levenshtein(word, candidate);
        (shorter > 2 && distance <= bound).then_some((distance, candidate))
    });
    close.min().map(|(_, candidate)| candidate)
}

/// `did you mean …?` for the label under a word, or nothing.
pub(crate) fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("did you mean `{near}`?"))
}

/// True if `name` matches a pattern in which each `*` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(tail, &rest[at..]))
}

/// Names of secrets that people mistype, and then still write the secret behind them.
const MISTYPED: &[&str] = &["api_key", "authorization", "master_key", "password", "secret"];

/// The lines of a text with the value of each secret key starred out, also where it stands on the
/// lines below its key.
pub(crate) fn mask_all(lines: &[&str]) -> Vec<String> {
    let mut below: Option<usize> = None;
    let shown = lines.iter().map(|line| {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() || text.starts_with('#') {
            return mask(line);
        }
        // A list may stand as far left as its key.
        let is_below = |key| indent > key || (indent == key && text.starts_with("- "));
        if below.is_some_and(is_below) {
            return mask_value(line);
        }
        let entry = text.trim_start_matches(['-', ' ']);
        let (key, value) = entry.split_once(':').unwrap_or((entry, entry));
        let value = value.split(" #").next().unwrap_or_default().trim();
        let is_open = value.is_empty() || value.starts_with(['|', '>', '{', '[', '&', '!']);
        let begins = names_secret(key.trim_matches(['"', '\'']));
        below = (is_open && begins).then_some(line.len() - entry.len());
        mask(line)
    });
    shown.collect()
}

/// A line that is part of a secret: what its own key names, or all of it.
fn mask_value(line: &str) -> String {
    let at = line.find(": ").map_or(line.len() - line.trim_start().len(), |colon| colon + 1);
    let (key, value) = line.split_at(at);
    star(key, value)
}

fn star(before: &str, value: &str) -> String {
    // What is on or off is no secret.
    let says_nothing = matches!(value.trim(), "" | "true" | "false" | "null");
    let stays = value.contains("os.environ/") || says_nothing || value.ends_with(':');
    let value = value.chars().map(|c| if c == ' ' || stays { c } else { '*' });
    before.chars().chain(value).collect()
}

fn names_secret(key: &str) -> bool {
    is_secret(key) || nearest(key, MISTYPED.iter().copied()).is_some()
}

/// The line with the value of each secret key starred out, character by character. References to
/// the environment stay: they are no secrets.
pub(crate) fn mask(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(colon) = rest.find(':') {
        let (head, tail) = rest.split_at(colon + 1);
        out += head;
        let key = head[..colon].rsplit([' ', '{', ',', '"', '\'']).find(|word| !word.is_empty());
        rest = tail;
        if key.is_some_and(names_secret) && tail.starts_with([' ', '{']) {
            let (value, after) = tail.split_at(value_end(tail));
            out += &star("", value);
            rest = after;
        }
    }
    without_logins(out + rest)
}

/// A line in which no URL tells who logs in: `https://user:password@host`.
#[must_use]
pub fn without_logins(line: String) -> String {
    let Some(at) = line.find("://") else { return line };
    let (head, tail) = line.split_at(at + 3);
    let host = tail.find(['/', '?', '#', ' ', '"', '\'', ',', '}', ']']).unwrap_or(tail.len());
    let Some(login) = tail[..host].rfind('@') else {
        return head.to_owned() + &without_logins(tail.to_owned());
    };
    let stars = "*".repeat(tail[..login].chars().count());
    format!("{head}{stars}{}", without_logins(tail[login..].to_owned()))
}

/// Where a value ends that starts `text` on one line, as far as a line alone can tell.
fn value_end(text: &str) -> usize {
    let start = text.len() - text.trim_start().len();
    let value = &text[start..];
    let length = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|at| at + 2),
        Some('{') => value.find('}').map(|at| at + 1),
        Some(_) | None => value.find([',', '}']),
    };
    start + length.unwrap_or(value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand_in_a_line() {
        let cases = [
            ("      api_key: sk-abc", "      api_key: ******"),
            ("{model: a/b, api_key: sk-abc, rpm: 6}", "{model: a/b, api_key: ******, rpm: 6}"),
            ("master_key: \"sk-1, 2\" # why", "master_key: ****** ** # why"),
            ("      api_kye: sk-abc", "      api_kye: ******"),
            ("api_key: os.environ/KEY", "api_key: os.environ/KEY"),
            ("headers: {X-Key: v1}", "headers: ******* ***"),
            ("database_url: postgres://u:p@h/d", "database_url: ******************"),
            ("model: http://a:8000/v1", "model: http://a:8000/v1"),
            ("target: http://me:pw@a/v1@2", "target: http://*****@a/v1@2"),
            ("[\"http://a\", \"http://x:y@b\"]", "[\"http://a\", \"http://***@b\"]"),
            ("alerting_webhook: https://h/S", "alerting_webhook: ***********"),
            ("environment_variables: {A: b}", "environment_variables: *** **"),
        ];
        for (line, masked) in cases {
            assert_eq!(mask(line), masked);
        }
    }

    #[test]
    fn secrets_below_their_keys_are_masked_too() {
        let text = "\
general_settings:
  pass_through_endpoints:
    - path: /v1
      headers:
        x-token: abc   # mine
        x-env: os.environ/T

        nested:
        - deep
      timeout: 5
litellm_params:
  - extra_headers: {
      X-Flow: v1
    }
    model: a/b
  api_key: |
    sk-abc
    # no comment: it is in the text
  credentials:
  - one
  rpm: 6";
        let masked = "\
general_settings:
  pass_through_endpoints:
    - path: /v1
      headers:
        x-token: ***   * ****
        x-env: os.environ/T

        nested:
        * ****
      timeout: 5
litellm_params:
  - extra_headers: *
      X-Flow: **
    }
    model: a/b
  api_key: *
    ******
    # no comment: it is in the text
  credentials:
  * ***
  rpm: 6";
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(mask_all(&lines), masked.lines().collect::<Vec<_>>());
    }

    #[test]
    fn a_near_miss_is_told_from_another_word() {
        let known = ["api_base", "model", "rpm", "tpm", "timeout"];
        let cases = [
            ("api_bse", Some("api_base")),
            ("modle", Some("model")),
            ("rpn", Some("rpm")),
            ("top", None),
            ("seed", None),
            ("temperature", None),
        ];
        for (word, near) in cases {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [("*", "a"), ("openai/*", "openai/gpt"), ("a*b*c", "a--b--c")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("openai/*", "open"), ("a*b", "a-bc"), ("a", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
