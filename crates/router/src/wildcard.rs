//! Model names with `*`: what they match and what the stars stand for.

/// What each `*` of `pattern` stands for in `name`; `None` if it does not match. Each star takes as
/// much as it can, and as in LiteLLM a pattern matches the whole name.
pub(crate) fn captures<'n>(pattern: &str, name: &'n str) -> Option<Vec<&'n str>> {
    let (head, rest) = pattern.split_once('*')?;
    let name = name.strip_prefix(head)?;
    let mut captured = Vec::new();
    fill(rest, name, &mut captured).then_some(captured)
}

/// Whether `name` is what `pattern` matches, in any case.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let lower = || captures(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase()).is_some();
    pattern.contains('*') && (captures(pattern, name).is_some() || lower())
}

/// Matches `name` against a star followed by `pattern`.
fn fill<'n>(pattern: &str, name: &'n str, captured: &mut Vec<&'n str>) -> bool {
    let Some((literal, rest)) = pattern.split_once('*') else {
        let star = name.strip_suffix(pattern);
        captured.extend(star);
        return star.is_some();
    };
    for (at, _) in name.rmatch_indices(literal) {
        captured.push(&name[..at]);
        if fill(rest, &name[at + literal.len()..], captured) {
            return true;
        }
        captured.pop();
    }
    false
}

/// `target` with its stars replaced in order. A target without stars is used as it is; more
/// captures than stars: the client's `name` is sent.
pub(crate) fn substitute(target: &str, captured: &[&str], name: &str) -> String {
    let stars = target.matches('*').count();
    if stars == 0 {
        return target.to_owned();
    }
    if captured.len() > stars {
        return name.to_owned();
    }
    let mut parts = target.split('*');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        out += captured.get(at).unwrap_or(&"*");
        out += part;
    }
    out
}

/// More specific patterns first: the longer one, then the one with more special characters.
pub(crate) fn specificity(pattern: &str) -> impl Ord + use<> {
    let special = pattern.chars().filter(|c| !c.is_alphanumeric()).count();
    std::cmp::Reverse((pattern.len(), special))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_and_carry_over() {
        let cases = [
            ("openai/*", "openai/gpt-4o", "*", Some("gpt-4o")),
            ("*", "anything", "openai/*", Some("openai/anything")),
            ("*llama*", "meta-llama-3", "vllm/*", Some("meta-llama-3")),
            ("a::*::b::*", "a::x::b::y", "*-*", Some("x-y")),
            ("e/*", "e/", "fixed", Some("fixed")),
            ("openai/*", "azure/gpt", "*", None),
            ("a*b", "ac", "*", None),
            ("*-*", "a-b-c", "*/*", Some("a-b/c")),
        ];
        for (pattern, name, target, expected) in cases {
            let got = captures(pattern, name).map(|got| substitute(target, &got, name));
            assert_eq!(got.as_deref(), expected, "{pattern} on {name} into {target}");
        }
    }
}
