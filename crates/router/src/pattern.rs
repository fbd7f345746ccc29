//! Names in which each `*` stands for any text: wildcard models, and what a key may call.

/// True if `name` is a pattern and not the name of one model.
#[must_use]
pub fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// What each `*` of `pattern` stands for in `name`; as in a regular expression the first one takes
/// as much as it can. `None`: no match.
pub(crate) fn captures<'n>(pattern: &str, name: &'n str) -> Option<Vec<&'n str>> {
    let mut literals = pattern.split('*');
    let head = literals.next().expect("a split has a first part");
    let mut rest = name.strip_prefix(head)?;
    let mut captured = Vec::new();
    // From the back, each literal at its last place: that leaves the most to the stars before it.
    for (from_back, literal) in literals.rev().enumerate() {
        let at = if from_back == 0 {
            rest.len().checked_sub(literal.len()).filter(|_| rest.ends_with(literal))?
        } else {
            rest.rfind(literal)?
        };
        captured.push(&rest[at + literal.len()..]);
        rest = &rest[..at];
    }
    if captured.is_empty() {
        return rest.is_empty().then_some(captured);
    }
    // Each entry so far is what followed a literal: the last star's text is empty, and the first
    // star's is what is left.
    captured.remove(0);
    captured.push(rest);
    captured.reverse();
    Some(captured)
}

/// True if `name` is `pattern`, or matches it.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    pattern == name || (is_pattern(pattern) && captures(pattern, name).is_some())
}

/// How exactly a pattern says what it matches: LiteLLM's order, the length and then the special
/// characters of the regular expression that stands for it.
pub(crate) fn specificity(pattern: &str) -> (usize, usize) {
    let length = |c: char| match c {
        '*' => "(.*)".len(),
        c if c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | ':' | '@' | ',') => 1,
        _ => 2,
    };
    let special = |c: &char| "*+?\\^$|()".contains(*c);
    (pattern.chars().map(length).sum(), pattern.chars().filter(special).count())
}

/// The upstream's name for a model called by a pattern: the captured texts in place of the stars
/// of `target`. A target without stars is meant as it is; one with too few cannot be filled, so
/// the client's own name is used.
pub(crate) fn fill(target: &str, captured: &[&str], name: &str) -> String {
    let stars = target.matches('*').count();
    if stars == 0 {
        return target.to_owned();
    }
    if captured.len() > stars {
        return name.to_owned();
    }
    let mut filled = String::with_capacity(target.len() + name.len());
    let mut captured = captured.iter();
    for (ordinal, literal) in target.split('*').enumerate() {
        if ordinal > 0 {
            filled.push_str(captured.next().copied().unwrap_or("*"));
        }
        filled.push_str(literal);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_capture_like_greedy_groups() {
        let cases: &[(&str, &str, Option<&[&str]>)] = &[
            ("*", "a/b", Some(&["a/b"])),
            ("openai/*", "openai/gpt-4o", Some(&["gpt-4o"])),
            ("openai/*", "open", None),
            ("*llama*", "my-llama-llama-3", Some(&["my-llama-", "-3"])),
            ("a::*::b::*", "a::1::b::2", Some(&["1", "2"])),
            ("a*b", "ab", Some(&[""])),
            ("a*ba", "aba", Some(&[""])),
            ("aa*a", "aa", None),
            ("a*b", "abc", None),
            ("plain", "plain", Some(&[])),
            ("plain", "plainer", None),
        ];
        for (pattern, name, expected) in cases {
            let captured = captures(pattern, name);
            assert_eq!(captured.as_deref(), *expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn captured_text_takes_the_stars_place() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("*", &["gpt-4o"], "gpt-4o"),
            ("x-*-*", &["1", "2"], "x-1-2"),
            ("fixed", &["gpt-4o"], "fixed"),
            ("*", &["1", "2"], "whole"),
        ];
        for (target, captured, expected) in cases {
            assert_eq!(fill(target, captured, "whole"), *expected, "{target}");
        }
    }

    #[test]
    fn the_longer_pattern_is_the_more_exact_one() {
        let mut patterns = ["*", "openai/gpt-*", "openai/*", "*llama*"];
        patterns.sort_by_key(|pattern| std::cmp::Reverse(specificity(pattern)));
        assert_eq!(patterns, ["openai/gpt-*", "*llama*", "openai/*", "*"]);
    }
}
