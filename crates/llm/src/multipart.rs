//! Uploads: `multipart/form-data` bodies (RFC 7578), looked at without being taken apart. What must
//! change is changed in place, as in JSON bodies; the file itself is never copied for it.

mod facts;
pub(crate) mod nested;

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value};

use crate::json::Span;
use crate::named::{UnclearModel, decoded};
use crate::parse::BadRequest;
use crate::request::Splice;
use crate::tool_models::ToolModels;

pub(crate) use facts::read;

/// More parts than any client sends.
const MAX_PARTS: usize = 256;
/// A text field longer than this is no name of a model, and no number.
const MAX_FIELD_BYTES: usize = 16 << 10;

/// One part of a body.
struct Part<'a> {
    name: &'a str,
    is_file: bool,
    filename: Option<Cow<'a, str>>,
    /// From its delimiter to the next one.
    whole: Span,
    value: Span,
}

/// The `model` of a form whose other fields are not known; none if it cannot be read.
pub(crate) fn model(
    body: &[u8],
    content_type: &str,
) -> Result<Option<(String, Span)>, UnclearModel> {
    let parts = boundary(content_type).and_then(|boundary| split(body, boundary).ok());
    let parts = parts.unwrap_or_default();
    let mut models = parts.iter().filter(|part| part.name.eq_ignore_ascii_case("model"));
    let (first, second) = (models.next(), models.next());
    if second.is_some() {
        return Err(UnclearModel::Twice);
    }
    Ok(first.and_then(|part| {
        let name = std::str::from_utf8(&body[part.value.range()]).ok()?;
        (name.len() <= MAX_FIELD_BYTES).then(|| (name.to_owned(), part.value))
    }))
}

/// The short texts among the fields of a form that may be none, with their names.
pub(crate) fn texts<'a>(body: &'a [u8], content_type: &str) -> Vec<(&'a str, &'a str)> {
    let parts = boundary(content_type).and_then(|boundary| split(body, boundary).ok());
    let texts = parts.into_iter().flatten().filter(|part| !part.is_file);
    texts.filter_map(|part| Some((part.name, short_text(&body[part.value.range()])?))).collect()
}

/// The first text field of that name, if it is short.
pub(crate) fn text_field<'a>(body: &'a [u8], content_type: &str, name: &str) -> Option<&'a str> {
    texts(body, content_type).into_iter().find(|(known, _)| *known == name).map(|(_, text)| text)
}

/// The models that who reads the form may ask beside the one that it names.
pub(crate) fn tool_models(body: &[u8], content_type: &str) -> ToolModels {
    let texts = texts(body, content_type).into_iter();
    let mut models = ToolModels::default();
    for (name, value) in nested::object(texts.filter(|(name, _)| nested::base(name) == "svg")) {
        models.take(&name, &value.to_string());
    }
    models
}

/// The form without its text fields of that name, and without what is nested in them.
pub(crate) fn without(body: &Bytes, content_type: &str, name: &str) -> Bytes {
    let parts = boundary(content_type).and_then(|boundary| split(body, boundary).ok());
    let mut out = Splice::of(body, 0);
    for part in
        parts.iter().flatten().filter(|part| nested::base(part.name) == name && !part.is_file)
    {
        out.replace(part.whole);
    }
    out.finish()
}

/// How many files there are.
pub(crate) fn files(body: &[u8], content_type: &str) -> u64 {
    let parts = boundary(content_type).and_then(|boundary| split(body, boundary).ok());
    parts.map_or(0, |parts| parts.iter().filter(|part| part.is_file).count() as u64)
}

/// The content of the first file.
pub(crate) fn file<'a>(body: &'a [u8], content_type: &str) -> Option<&'a [u8]> {
    let parts = split(body, boundary(content_type)?).ok()?;
    let part = parts.iter().find(|part| part.is_file)?;
    body.get(part.value.range())
}

/// A form with files, for who knows its fields.
#[derive(Clone, Debug)]
pub struct Upload {
    body: Bytes,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    is_file: bool,
    filename: Option<String>,
    whole: Span,
    value: Span,
}

impl Upload {
    /// Takes a form apart whose `Content-Type` is `content_type`.
    ///
    /// # Errors
    /// It is no form, or has two fields of one name: servers differ in which of them counts.
    pub fn read(body: Bytes, content_type: &str) -> Result<Self, BadRequest> {
        let boundary = boundary(content_type).ok_or(BadRequest::Multipart {
            problem: "the Content-Type header names no boundary of 1 to 70 characters",
        })?;
        let mut fields: Vec<Field> = Vec::new();
        for part in split(&body, boundary)? {
            let Part { name, is_file, filename, whole, value } = part;
            if fields.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
                return Err(BadRequest::Duplicate { name: name.to_owned() });
            }
            let (name, filename) = (name.to_owned(), filename.map(Cow::into_owned));
            fields.push(Field { name, is_file, filename, whole, value });
        }
        Ok(Self { fields, body })
    }

    /// The field of that name, if it is a short text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name && !field.is_file)?;
        short_text(&self.body[field.value.range()])
    }

    /// What the file in the field of that name is called.
    #[must_use]
    pub fn filename(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name)?.filename.as_deref()
    }

    /// The content of the field of that name, whether or not it calls itself a file.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Bytes> {
        let file = self.fields.iter().find(|field| field.name == name)?;
        Some(self.body.slice(file.value.range()))
    }

    /// What its fields say, but for those that are files: lists and objects as SDKs write them. What is
    /// too long or too deep to be any is an empty text.
    pub(crate) fn values(&self) -> Map<String, Value> {
        let texts = self.fields.iter().filter(|field| !field.is_file);
        let mut all = nested::object(texts.clone().map(|field| {
            let text = short_text(&self.body[field.value.range()]);
            (&*field.name, text.unwrap_or_default())
        }));
        for field in texts {
            all.entry(nested::base(&field.name)).or_insert_with(|| "".into());
        }
        all
    }

    /// The form with only the fields whose names `keeps` says, and with `content`, if it is given, in
    /// the field called `file`. All else byte for byte.
    #[must_use]
    pub fn written(
        &self,
        keeps: impl Fn(&str) -> bool,
        file: &str,
        content: Option<Bytes>,
    ) -> Bytes {
        let mut out = Splice::of(&self.body, content.as_ref().map_or(0, Bytes::len));
        let mut content = content;
        for field in &self.fields {
            if !keeps(nested::base(&field.name)) {
                out.replace(field.whole);
            } else if field.name == file
                && let Some(content) = content.take()
            {
                out.replace(field.value).extend_from_slice(&content);
            }
        }
        out.finish()
    }
}

fn short_text(value: &[u8]) -> Option<&str> {
    let short = Some(value).filter(|value| value.len() <= MAX_FIELD_BYTES);
    short.and_then(|value| std::str::from_utf8(value).ok())
}

/// Whether a body of that `Content-Type` is a form with files.
pub(crate) fn is_form(content_type: &str) -> bool {
    content_type.to_ascii_lowercase().contains("multipart/")
}

/// The boundary that a `Content-Type` names.
fn boundary(content_type: &str) -> Option<&str> {
    let mut params = content_type.split(';').map(str::trim);
    let is_form = params.next()?.eq_ignore_ascii_case("multipart/form-data");
    let boundary = params.find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value.trim_matches('"'))
    })?;
    (is_form && (1..=70).contains(&boundary.len())).then_some(boundary)
}

/// The parts between the delimiters, up to the closing one.
fn split<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, BadRequest> {
    let broken = |problem| BadRequest::Multipart { problem };
    let delimiter = format!("--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut at = finder.find(body).ok_or(broken("the boundary does not occur in the body"))?;
    let mut parts = Vec::new();
    loop {
        let start = at + delimiter.len();
        if body[start..].starts_with(b"--") {
            return Ok(parts);
        }
        let next = finder.find(&body[start..]).map(|next| start + next);
        let next = next.ok_or(broken("the closing boundary is missing"))?;
        if parts.len() == MAX_PARTS {
            return Err(broken("there are more than 256 parts"));
        }
        parts.push(part(body, at, start, next).ok_or(broken(
            "a part has no Content-Disposition with a name, or no blank line before its value",
        ))?);
        at = next;
    }
}

fn part(body: &[u8], begin: usize, start: usize, next: usize) -> Option<Part<'_>> {
    let head_length = memmem::find(&body[start..next], b"\r\n\r\n")?;
    let head = std::str::from_utf8(&body[start..start + head_length]).ok()?;
    let value_start = start + head_length + 4;
    // The line end before a delimiter belongs to the delimiter.
    let value_end = next.checked_sub(2).filter(|end| *end >= value_start)?;
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let param = |wanted: &str| {
        let (_, value) = params(disposition).find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        Some(value)
    };
    // RFC 7578 has no place for the latter, but some clients send nothing else.
    let filename = param("filename*").map(extended).or(param("filename").map(Cow::Borrowed));
    Some(Part {
        name: param("name")?,
        is_file: filename.is_some(),
        filename,
        whole: Span { start: begin, end: next },
        value: Span { start: value_start, end: value_end },
    })
}

/// The parameters of a header. A `;` in quotes ends none.
fn params(header: &str) -> impl Iterator<Item = (&str, &str)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let ends = move |c: char| {
        let is_plain = !std::mem::take(&mut is_escaped);
        match c {
            '\\' => is_escaped = is_quoted && is_plain,
            '"' if is_plain => is_quoted = !is_quoted,
            _ => {}
        }
        c == ';' && !is_quoted
    };
    header.split(ends).skip(1).filter_map(|param| {
        let (name, value) = param.trim().split_once('=')?;
        Some((name, value.trim_matches('"')))
    })
}

/// A value in RFC 5987's form: a character set, perhaps a language, and the text, percent-encoded. One
/// in another set stays as it is.
fn extended(value: &str) -> Cow<'_, str> {
    let mut parts = value.splitn(3, '\'');
    let is_utf8 = parts.next().is_some_and(|set| set.eq_ignore_ascii_case("utf-8"));
    let text = parts.nth(1).filter(|_| is_utf8);
    text.map_or(Cow::Borrowed(value), |text| Cow::Owned(decoded(text)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::Upload;
    use crate::named::Named;
    use crate::{BadRequest, ChatRequest, Endpoint, parse_upload};

    const FORM: &str = "multipart/form-data; boundary=XX";

    fn body(parts: &[(&str, &str)]) -> String {
        let mut body: String = parts
            .iter()
            .map(|(disposition, value)| {
                format!("--XX\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
            })
            .collect();
        body.push_str("--XX--\r\n");
        body
    }

    fn upload(body: &str) -> Result<ChatRequest, BadRequest> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        parse_upload(Endpoint::Transcriptions, body, FORM, None)
    }

    #[test]
    fn only_the_model_and_the_gateways_own_fields_change() {
        let file = ("name=\"file\"; filename=\"a.wav\"", "--X\r\n\0RIFF");
        let sent = body(&[
            ("name=\"metadata\"", "{}"),
            ("name=\"model\"", "alias"),
            file,
            ("name=\"timeout\"", "3"),
            ("name=\"language\"", "de"),
        ]);
        let request = upload(&sent).expect("an upload");
        assert_eq!(request.model(), "alias");
        assert!(request.extras().timeout.is_some());
        let expected = body(&[("name=\"model\"", "whisper-1"), file, ("name=\"language\"", "de")]);
        assert_eq!(request.encode_for("whisper-1", &[]), expected);
    }

    #[test]
    fn whoever_is_to_write_a_picture_as_svg_is_named() {
        let sent = body(&[
            ("name=\"model\"", "m"),
            ("name=\"image\"; filename=\"a.png\"", "PNG"),
            ("name=\"svg[model]\"", "author"),
            ("name=\"svg[reasoning][effort]\"", "low"),
            ("name=\"prompt\"", "p"),
        ]);
        let bytes = Bytes::copy_from_slice(sent.as_bytes());
        let request = parse_upload(Endpoint::ImageEdits, bytes, FORM, None).expect("an upload");
        assert_eq!(request.tool_models().names().collect::<Vec<_>>(), ["author"]);
        assert_eq!(request.encode_for("m", &[]), sent);
        let passed = Named::read("/v1/images/edits", FORM, sent.as_bytes()).expect("one model");
        assert_eq!(&passed.tool_models, request.tool_models());
    }

    #[test]
    fn lists_and_objects_are_read_as_sdks_write_them() {
        let file = ("name=\"file\"; filename=\"a.wav\"", "RIFF");
        let (model, words) =
            (("name=\"model\"", "m"), ("name=\"timestamp_granularities[]\"", "word"));
        let sent = body(&[
            model,
            ("name=\"tags[]\"", "a"),
            ("name=\"metadata[tags][]\"", "b"),
            ("name=\"metadata[user_id]\"", "007"),
            file,
            ("name=\"litellm_metadata[session_id]\"", "s"),
            ("name=\"additional_drop_params[]\"", "language"),
            ("name=\"cache[no-cache]\"", "true"),
            words,
        ]);
        let request = upload(&sent).expect("an upload");
        let labels = request.labels();
        assert_eq!(labels.tags, ["a", "b"]);
        assert_eq!(labels.end_user.as_deref(), Some("007"));
        assert_eq!(labels.session.as_deref(), Some("s"));
        assert_eq!(request.encode_for("m", &[]), body(&[model, file, words]));
    }

    #[test]
    fn a_form_passes_without_the_gateways_fields_and_with_another_content() {
        let sent = body(&[
            ("name=\"model\"", "alias"),
            ("name=\"purpose\"", "batch"),
            ("name=\"file\"; filename=\"a\"", "{}"),
        ]);
        let form = Upload::read(sent.clone().into(), FORM).expect("a form");
        assert_eq!((form.field("purpose"), form.field("file")), (Some("batch"), None));
        assert_eq!(form.content("file").expect("it is there"), "{}");
        assert_eq!(form.written(|_| true, "file", None), sent);
        let passed = form.written(|name| name != "model", "file", Some("{\"a\":1}".into()));
        let expected =
            [("name=\"purpose\"", "batch"), ("name=\"file\"; filename=\"a\"", "{\"a\":1}")];
        assert_eq!(passed, body(&expected));
        assert!(Upload::read(sent.into(), "application/json").is_err());
        let twice = body(&[("name=\"model\"", "a"), ("name=\"Model\"; filename=\"b\"", "b")]);
        assert!(matches!(Upload::read(twice.into(), FORM), Err(BadRequest::Duplicate { .. })));
    }

    #[test]
    fn a_file_may_be_called_in_any_script() {
        let model = ("name=\"model\"", "m");
        for (disposition, name) in [
            ("name=\"file\"; filename*=UTF-8''na%C3%AFve%20a.wav", "na\u{ef}ve a.wav"),
            ("name=\"file\"; filename=\"x\"; filename*=utf-8'de'%e2%82%ac", "\u{20ac}"),
            ("filename*=utf-8''a.wav; name=\"file\"", "a.wav"),
            ("name=\"file\"; filename*=koi8-r''%c1", "koi8-r''%c1"),
            ("name=\"file\"; filename*=\"utf-8''%ff\"", "\u{fffd}"),
            ("name=\"file\"; filename=\"a;b.wav\"", "a;b.wav"),
            ("name=\"file\"; filename=\"a\\\";name=model;.wav\"", "a\\\";name=model;.wav"),
        ] {
            let sent = body(&[model, (disposition, "RIFF")]);
            assert_eq!(upload(&sent).expect(disposition).model(), "m");
            let form = Upload::read(sent.into(), FORM).expect(disposition);
            assert_eq!(form.filename("file"), Some(name), "{disposition}");
        }
    }

    #[test]
    fn what_is_no_upload_is_refused_with_its_reason() {
        let file = ("name=\"file\"; filename=\"a\"", "x");
        let model = ("name=\"model\"", "m");
        let cases = [
            (body(&[model]), "Missing required parameter: 'file'"),
            (body(&[file]), "model=None"),
            (body(&[file, model, model]), "duplicate field 'model'"),
            (body(&[file, model, ("name=\"api_base\"", "x")]), "'api_base' is not allowed"),
            (body(&[file, model, ("name=\"api_base[a]\"", "x")]), "'api_base' is not allowed"),
            (body(&[file, model, ("name=\"guardrails[]\"", "x")]), "'guardrails'"),
            (body(&[file, model, ("name=\"tags[]\"", "")]), "'tags'"),
            (body(&[file, model, ("x=\"y\"", "z")]), "no Content-Disposition with a name"),
            (body(&[file, model]).replace("--XX--", ""), "closing boundary"),
            ("nothing".to_owned(), "does not occur"),
        ];
        for (body, reason) in cases {
            let error = upload(&body).expect_err(&body).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(text in "(--XX|\r\n|Content-Disposition: form-data; name=|model|[a-z\";=-]){0,40}") {
            let _: Result<ChatRequest, BadRequest> = upload(&text);
        }
    }
}
