//! What a cell's text means: PostgreSQL's own forms, and those that other tools write into CSV.

use dunlin_types::UnixMillis;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// A moment in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    At(UnixMillis),
    Never,
}

/// A timestamp with a zone, or in UTC, which is how LiteLLM stores those without.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if text == "infinity" {
        return Some(Moment::Never);
    }
    let zoned = || text.parse::<Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let at = zoned().or_else(|| Some(local()?.timestamp()))?;
    Some(Moment::At(UnixMillis(u64::try_from(at.as_millisecond()).unwrap_or_default())))
}

/// A moment as the admin API takes it.
pub(crate) fn iso(at: UnixMillis) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", at.unwrap_or(Timestamp::MAX))
}

/// True or false.
pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "1" => Some(true),
        "f" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// JSON. Some versions of LiteLLM stored an object as the text of one.
pub(crate) fn json(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    let inner = match &value {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            serde_json::from_str(text).ok()
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    };
    Some(inner.unwrap_or(value))
}

/// Texts: PostgreSQL's `{a,"b c",NULL}`, or a list in JSON. What is null in it is left out.
pub(crate) fn array(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.starts_with('[') && !text.contains("]={") {
        return serde_json::from_str(text).ok();
    }
    // `[0:1]={...}`: bounds, where they are not the usual ones.
    let text = text.split_once("]=").map_or(text, |(_, items)| items);
    let mut rest = text.strip_prefix('{')?;
    let mut items = Vec::new();
    if let Some(behind) = rest.strip_prefix('}') {
        return behind.is_empty().then_some(items);
    }
    loop {
        let (item, behind) = item(rest)?;
        items.extend(item);
        if let Some(behind) = behind.strip_prefix('}') {
            return behind.is_empty().then_some(items);
        }
        rest = behind.strip_prefix(',')?;
    }
}

/// One item of an array, and what follows.
fn item(text: &str) -> Option<(Option<String>, &str)> {
    let quoted = text.strip_prefix('"');
    let mut value = String::new();
    let body = quoted.unwrap_or(text);
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '"' if quoted.is_some() => return Some((Some(value), &body[at + 1..])),
            ',' | '}' if quoted.is_none() => {
                let item = if value.eq_ignore_ascii_case("null") { None } else { Some(value) };
                return Some((item, &body[at..]));
            }
            '{' if quoted.is_none() => return None,
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_in_both_forms() {
        for (text, items) in [
            ("{}", Some(vec![])),
            ("[]", Some(vec![])),
            (
                r#"{a,"b c","d,\"e\"","f\\g",NULL,"NULL"}"#,
                Some(vec!["a", "b c", "d,\"e\"", "f\\g", "NULL"]),
            ),
            (r#"["a", "b"]"#, Some(vec!["a", "b"])),
            ("[0:1]={x,y}", Some(vec!["x", "y"])),
            (r#"{"",ü}"#, Some(vec!["", "ü"])),
            ("{a", None),
            ("{{a}}", None),
            ("a", None),
            ("{a}b", None),
        ] {
            let items = items.map(|items| items.into_iter().map(str::to_owned).collect());
            assert_eq!(array(text), items, "{text}");
        }
    }

    #[test]
    fn moments_have_a_zone_or_are_in_utc() {
        let at = |ms| Some(Moment::At(UnixMillis(ms)));
        assert_eq!(moment("1970-01-02 00:00:00.5"), at(86_400_500));
        assert_eq!(moment("1970-01-02 02:00:00+02"), at(86_400_000));
        assert_eq!(moment("1970-01-02 05:30:00.000+05:30"), at(86_400_000));
        assert_eq!(moment("1970-01-02T00:00:00Z"), at(86_400_000));
        assert_eq!(moment("1960-01-01 00:00:00"), at(0));
        assert_eq!(moment("infinity"), Some(Moment::Never));
        assert_eq!(moment("soon"), None);
        assert_eq!(iso(UnixMillis(86_400_500)), "1970-01-02T00:00:00.500Z");
    }

    #[test]
    fn json_in_json_is_unpacked_once() {
        assert_eq!(json(r#""{\"a\": 1}""#), Some(serde_json::json!({"a": 1})));
        assert_eq!(json(r#""plain""#), Some(serde_json::json!("plain")));
        assert_eq!(json("{"), None);
    }
}
