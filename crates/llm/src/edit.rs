//! Members taken out of a body, renamed or rewritten in it, by path; all else stays byte for byte.
//!
//! A path is LiteLLM's: names with dots between them, `[*]` for all elements of a list and `[0]`
//! for one, as in `tools[*].function.strict`. A backslash makes a dot part of a name. What a path
//! does not find is not there to be changed.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::json::{Member, Span, members, string, write_string};

/// Deeper paths find nothing: no request is that deep.
const MAX_STEPS: usize = 16;

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    Elements,
}

/// `body` without what `paths` name. The same `Bytes` if nothing is found.
#[must_use]
pub fn without<P: AsRef<str>>(mut body: Bytes, paths: &[P]) -> Bytes {
    for path in paths {
        body = edited(body, path.as_ref(), Change::Cut);
    }
    body
}

/// `body` with the members that `path` names called `to`. A member of that name beside one gives
/// way.
#[must_use]
pub fn renamed(body: Bytes, path: &str, to: &str) -> Bytes {
    edited(body, path, Change::Rename(to))
}

/// `body` with the texts that `path` names as `to` makes them; `None` leaves one as it is.
#[must_use]
pub fn rewritten(body: Bytes, path: &str, to: &dyn Fn(&str) -> Option<String>) -> Bytes {
    edited(body, path, Change::Rewrite(to))
}

/// `body` with the elements of its list `name` as `to` makes them; `None` leaves one as it is, and an
/// empty one is left out.
#[must_use]
pub fn each(body: Bytes, name: &str, to: impl Fn(&str) -> Option<Bytes>) -> Bytes {
    let elements: Vec<&RawValue> =
        member(&body, name).and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    let changed = elements.iter().map(|element| to(element.get())).collect::<Vec<_>>();
    if changed.iter().all(Option::is_none) {
        return body;
    }
    let mut list = vec![b'['];
    for (element, changed) in elements.iter().zip(&changed) {
        let element = changed.as_deref().unwrap_or(element.get().as_bytes());
        if list.len() > 1 && !element.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(element);
    }
    list.push(b']');
    let at = Span::of(member(&body, name).expect("it was found"), as_text(&body));
    Bytes::from([&body[..at.start], &list, &body[at.end..]].concat())
}

fn as_text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap_or_default()
}

/// `body` with `json`, the text of a value, as its member `name`, whatever that was before. The same
/// `Bytes` if it is no object.
#[must_use]
pub fn with(body: Bytes, name: &str, json: &str) -> Bytes {
    let mut kept = without(body, &[name.replace('.', r"\.")]);
    let Ok(members) = members(as_text(&kept)) else { return kept };
    let is_first = members.is_empty();
    let end = kept.iter().rposition(|byte| *byte == b'}').expect("an object has an end");
    let mut out = Vec::with_capacity(kept.len() + name.len() + json.len() + 8);
    out.extend_from_slice(&kept.split_to(end));
    if !is_first {
        out.push(b',');
    }
    write_string(&mut out, name);
    out.push(b':');
    out.extend_from_slice(json.as_bytes());
    out.extend_from_slice(&kept);
    Bytes::from(out)
}

/// `body` without the members that are not to be kept of each object at `path`; of the body itself
/// where that is empty.
#[must_use]
pub fn sifted(body: Bytes, path: &str, keeps: &dyn Fn(&str) -> bool) -> Bytes {
    edited(body, path, Change::Sift(keeps))
}

/// The names of the members at the top of a body; none if it is no object.
#[must_use]
pub fn names(body: &[u8]) -> Vec<String> {
    let members = members(as_text(body)).unwrap_or_default();
    members.into_iter().map(|member| member.name.into_owned()).collect()
}

/// The JSON text of the member `name` at the top of a body.
#[must_use]
pub fn member<'b>(body: &'b [u8], name: &str) -> Option<&'b str> {
    let members = members(std::str::from_utf8(body).ok()?).ok()?;
    members.into_iter().find(|member| member.name == name).map(|member| member.value)
}

/// Whether a member `name` at the top of a body is `true`, if only one of several that have this name.
#[must_use]
pub fn is_set(body: &[u8], name: &str) -> bool {
    let members = members(as_text(body)).unwrap_or_default();
    members.iter().any(|member| member.name == name && member.value == "true")
}

#[derive(Clone, Copy)]
enum Change<'a> {
    Cut,
    Rename(&'a str),
    Rewrite(&'a dyn Fn(&str) -> Option<String>),
    /// Cuts members of what is found.
    Sift(&'a dyn Fn(&str) -> bool),
}

fn edited(body: Bytes, path: &str, change: Change<'_>) -> Bytes {
    let (Some(steps), Ok(text)) = (steps(path), std::str::from_utf8(&body)) else { return body };
    let mut edits = Vec::new();
    find(text, Span { start: 0, end: text.len() }, &steps, change, &mut edits);
    if edits.is_empty() {
        return body;
    }
    let (mut out, mut copied) = (Vec::with_capacity(body.len()), 0);
    for (at, to) in edits {
        out.extend_from_slice(&body[copied..at.start]);
        if let Some(text) = to {
            write_string(&mut out, &text);
        }
        copied = at.end;
    }
    out.extend_from_slice(&body[copied..]);
    Bytes::from(out)
}

/// `None` for a path that cannot be read or is too long. An empty one leads nowhere else.
fn steps(path: &str) -> Option<Vec<Step>> {
    let (mut steps, mut name, mut rest) = (Vec::new(), String::new(), path);
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '\\' if rest.starts_with('.') => {
                name.push('.');
                rest = &rest[1..];
            }
            '.' => steps.extend(named(&mut name)),
            '[' => {
                steps.extend(named(&mut name));
                let (inside, behind) = rest.split_once(']')?;
                steps.push(if inside == "*" {
                    Step::Elements
                } else {
                    Step::Element(inside.parse().ok()?)
                });
                rest = behind;
            }
            letter => name.push(letter),
        }
    }
    steps.extend(named(&mut name));
    (steps.len() <= MAX_STEPS).then_some(steps)
}

fn named(name: &mut String) -> Option<Step> {
    (!name.is_empty()).then(|| Step::Member(std::mem::take(name)))
}

type Edits<'a> = Vec<(Span, Option<Cow<'a, str>>)>;

/// Appends the edits of the value at `at`, in their order.
fn find<'a>(text: &str, at: Span, steps: &[Step], change: Change<'a>, edits: &mut Edits<'a>) {
    let value = &text[at.range()];
    let Some((step, rest)) = steps.split_first() else {
        if let Change::Sift(_) = change {
            let members = members(value).unwrap_or_default();
            change_members(text, at, &members, "", change, edits);
        }
        return;
    };
    match step {
        Step::Member(name) if rest.is_empty() && !matches!(change, Change::Sift(_)) => {
            let members = members(value).unwrap_or_default();
            change_members(text, at, &members, name, change, edits);
        }
        Step::Member(name) => {
            for member in members(value).unwrap_or_default() {
                if member.name == *name {
                    find(text, Span::of(member.value, text), rest, change, edits);
                }
            }
        }
        Step::Element(_) | Step::Elements => {
            let elements: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
            for (number, element) in elements.into_iter().enumerate() {
                if *step == Step::Elements || *step == Step::Element(number) {
                    find(text, Span::of(element.get(), text), rest, change, edits);
                }
            }
        }
    }
}

fn change_members<'a>(
    text: &str,
    at: Span,
    members: &[Member<'_>],
    name: &str,
    change: Change<'a>,
    edits: &mut Edits<'a>,
) {
    if let Change::Rewrite(to) = change {
        for member in members.iter().filter(|member| member.name == name) {
            let at = Span::of(member.value, text);
            let said = string(member.value).and_then(|said| to(&said));
            edits.extend(said.map(|said| (at, Some(Cow::Owned(said)))));
        }
        return;
    }
    let gives_way = |known: &str| match change {
        Change::Cut | Change::Rewrite(_) => known == name,
        Change::Rename(to) => known == to,
        Change::Sift(keeps) => !keeps(known),
    };
    if matches!(change, Change::Rename(_)) && !members.iter().any(|member| member.name == name) {
        return;
    }
    // Behind the brace, or behind the last value that stays or was cut.
    let (mut end, mut any_kept) = (at.start + 1, false);
    for member in members {
        let value = Span::of(member.value, text);
        if gives_way(&member.name) {
            let comma = text[value.end..at.end].find(|c: char| !c.is_ascii_whitespace());
            let next = value.end + comma.expect("an object has an end");
            let comma_follows = text.as_bytes()[next] == b',';
            let cut = if !any_kept && comma_follows { next + 1 } else { value.end };
            edits.push((Span { start: end, end: cut }, None));
            end = cut;
            continue;
        }
        if let (Change::Rename(to), true) = (change, member.name == name) {
            let quote = text[end..value.start].find('"').expect("a member has a name");
            let colon = text[end..value.start].rfind(':').expect("a member has a colon");
            let quoted = text[end + quote..end + colon].trim_end();
            let start = end + quote;
            edits.push((Span { start, end: start + quoted.len() }, Some(Cow::Borrowed(to))));
        }
        any_kept = true;
        end = value.end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(body: &'static str, path: &str) -> String {
        let bytes = without(Bytes::from_static(body.as_bytes()), &[path]);
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[test]
    fn what_a_path_names_is_cut_and_nothing_else_changes() {
        let tools = r#"{"tools":[{"function":{"name":"a","strict":true}},{"function":{"strict":false ,"x":1}}],"n":1}"#;
        for (body, path, left) in [
            (r#"{ "a" : 1.50 , "b":[2] }"#, "a", r#"{ "b":[2] }"#),
            (r#"{"a":1,"b":2 }"#, "b", r#"{"a":1 }"#),
            (r#"{"a":1}"#, "a", "{}"),
            (r#"{"a":1,"a":2,"b":3}"#, "a", r#"{"b":3}"#),
            (r#"{"\u0061":1,"b":3}"#, "a", r#"{"b":3}"#),
            (r#"{"a":{"b":{"c":1,"d":2}}}"#, "a.b.c", r#"{"a":{"b":{"d":2}}}"#),
            (r#"{"a.b":1,"c":2}"#, r"a\.b", r#"{"c":2}"#),
            (
                tools,
                "tools[1].function.strict",
                r#"{"tools":[{"function":{"name":"a","strict":true}},{"function":{"x":1}}],"n":1}"#,
            ),
            (
                tools,
                "tools[*].function.strict",
                r#"{"tools":[{"function":{"name":"a"}},{"function":{"x":1}}],"n":1}"#,
            ),
            (tools, "tools[*]", tools),
            (tools, "tools[7].function", tools),
            (tools, "tools.function", tools),
            (tools, "tools[", tools),
            (tools, "", tools),
            (tools, "nothing", tools),
        ] {
            assert_eq!(cut(body, path), left, "{path}");
        }
        let body = Bytes::from_static(br#"{"a":1}"#);
        assert_eq!(without(body.clone(), &["b"]).as_ptr(), body.as_ptr(), "not copied");
    }

    #[test]
    fn texts_and_elements_are_made_anew_where_there_is_something_to_make() {
        let body = r#"{"m":[{"id":"a\"b","n":1}, {"id":7},{"c":[{"id":"x"}]}],"id":"x"}"#;
        let upper = |text: &str| (text != "x").then(|| text.to_uppercase());
        let made = |path: &str| {
            let bytes = rewritten(Bytes::from_static(body.as_bytes()), path, &upper);
            String::from_utf8(bytes.to_vec()).expect("text")
        };
        assert_eq!(made("m[*].id"), body.replace(r#"a\"b"#, r#"A\"B"#));
        for path in ["m[*].c[*].id", "id", "m[*].n", "m"] {
            assert_eq!(made(path), body, "{path}");
        }
        let numbered = |text: &str| text.contains("id\":7").then(|| Bytes::from_static(b"0"));
        let bytes = each(Bytes::from_static(body.as_bytes()), "m", numbered);
        let left = r#"{"m":[{"id":"a\"b","n":1},0,{"c":[{"id":"x"}]}],"id":"x"}"#;
        assert_eq!(bytes, left.as_bytes());
        let bytes = Bytes::from_static(body.as_bytes());
        let bytes_without = each(bytes.clone(), "m", |text| (!text.contains('7')).then(Bytes::new));
        assert_eq!(bytes_without, r#"{"m":[{"id":7}],"id":"x"}"#.as_bytes());
        for name in ["id", "none"] {
            let same = each(bytes.clone(), name, numbered);
            assert_eq!(same.as_ptr(), bytes.as_ptr(), "not copied");
        }
    }

    #[test]
    fn a_member_is_put_in_the_place_of_what_it_was() {
        for (body, left) in [
            ("{}", r#"{"a.b":[1]}"#),
            (r#"{"x":1} "#, r#"{"x":1,"a.b":[1]} "#),
            (r#"{"a.b":null,"x":"}"}"#, r#"{"x":"}","a.b":[1]}"#),
            ("[{}]", "[{}]"),
        ] {
            assert_eq!(with(Bytes::from_static(body.as_bytes()), "a.b", "[1]"), left, "{body}");
        }
    }

    #[test]
    fn a_member_gets_another_name() {
        for (body, path, left) in [
            (r#"{"x":1, "old" :5,"y":2}"#, "old", r#"{"x":1, "new" :5,"y":2}"#),
            (r#"{"new":4,"old":5}"#, "old", r#"{"new":5}"#),
            (r#"{"old":5,"new":4}"#, "old", r#"{"new":5}"#),
            (r#"{"o\u006cd":5}"#, "old", r#"{"new":5}"#),
            (r#"{"x":[{"old":"a:\"b"}]}"#, "x[*].old", r#"{"x":[{"new":"a:\"b"}]}"#),
            (r#"{"new":4}"#, "old", r#"{"new":4}"#),
        ] {
            let bytes = renamed(Bytes::from_static(body.as_bytes()), path, "new");
            assert_eq!(std::str::from_utf8(&bytes), Ok(left), "{body}");
        }
    }

    proptest! {
        /// What is left is the same JSON without the member.
        #[test]
        fn a_cut_leaves_json_without_the_member(
            members in prop::collection::vec(("[abc]", "[0-9]|\\[1, 2\\]|\\{\"a\": 1\\}|\"a,}\""), 0..6),
            space in "[ \n]{0,2}",
        ) {
            let text = members.iter().map(|(name, value)| format!("{space}\"{name}\"{space}:{space}{value}{space}"));
            let text = format!("{{{}}}", text.collect::<Vec<_>>().join(","));
            let left = without(Bytes::from(text.clone()), &["a"]);
            let kept: Vec<_> = members.iter().filter(|(name, _)| name != "a").map(|(name, _)| name.clone()).collect();
            prop_assert_eq!(names(&left), kept, "{}", text);
        }
    }
}
