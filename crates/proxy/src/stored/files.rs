//! POST /v1/files: an upload goes to the deployment of the model that it, or the lines of its
//! batch, names.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::batch::{Beside, Shape};
use dunlin_llm::{Endpoint, Upload, rename_ids};
use dunlin_types::Tokens;

use super::answer::Made;
use super::home::{Home, Wish};
use super::input::{Input, MODEL, note_model};
use super::lists::Query;
use super::send;
use crate::Proxy;
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::kept::Sealing;
use crate::request::posted::Posted;
use crate::response::error::{Failed, Refused};

const ROUTE: &str = "/files";
/// What LiteLLM's spend logs call it.
const CALL_TYPE: &str = "acreate_file";

/// Answers one upload. `provider` is the one that the path names.
pub(crate) async fn upload(
    proxy: &Proxy,
    provider: Option<&str>,
    request: Request,
) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request).named(CALL_TYPE);
    let answered = conduct(proxy, &call, provider, request).await;
    call.answer(proxy, answered)
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    provider: Option<&str>,
    request: Request,
) -> Result<Response<Body>, Failed> {
    let is_around = |kind: &str, body: &Bytes| {
        Upload::read(body.clone(), kind).is_ok_and(|form| is_batch(&form))
    };
    let posted = Posted::read_unless(proxy, call, request, is_around).await?;
    let (Posted { head, caller, .. }, kind) = (&posted, posted.kind());
    let form = Upload::read(posted.body.clone(), kind).map_err(Refused::BadRequest)?;
    let beside = Beside::of_form(ROUTE, &["metadata"], &form).map_err(Refused::BadRequest)?;
    let content = form.content("file").unwrap_or_default();
    let is_batch = is_batch(&form);
    if is_batch && content.trim_ascii().is_empty() {
        return Err(Refused::no_lines().into());
    }
    // Whatever a file is said to be for, a key of certain models can make a batch of no others.
    let is_restricted = caller.access().is_some_and(|access| access.is_restricted());
    let lines = if is_batch || is_restricted { models(&content) } else { BTreeMap::new() };
    let heard = is_batch.then(|| Input::of(&content, caller.required())).transpose()?;

    let asking = posted.asking(proxy, call);
    let query = Query::read(head.uri.query().unwrap_or_default());
    let field = |name: &str| form.field(name).or_else(|| query.get(name));
    let wish = Wish::read(provider, field, &head.headers);
    if is_batch && lines.is_empty() && wish.says_nothing() {
        return Err(Refused::no_model_in_lines().into());
    }
    let home = Home::find(&asking, wish, &lines, false)?;
    let name = home.name.as_deref().unwrap_or_default();
    if let Some((input, _)) = &heard {
        asking.check_labels(&input.labels, "line").await?;
        asking.served_at(&home.lenders.group.deployments[0], input)?;
    }
    let (bill, told) = asking.admit(name, Tokens(0), Bounds::default()).await?;
    let attempt = asking.first_attempt(&bill, &home.lenders.group, Tokens(0))?;
    let by = attempt.deployment().clone();
    if is_batch && !home.serves(&by, &lines) {
        return Err(Refused::several_models(&lines).into());
    }
    let names = (name, by.target.sent_model());
    let content = heard.as_ref().map(|(_, has_ours)| passed_on(&content, names, *has_ours));
    let written = form.written(|field| beside.keeps(field), "file", content);
    let asked = send(ROUTE, kind, written)?;
    let answer = asking.send_within(beside.timeout, attempt, asked, (bill, told)).await?;
    let sealing = Sealing::new(proxy, caller.owner(), &by);
    let input = heard.map(|(input, _)| input.named(home.name));
    let made = Made { input, ..Made::default() };
    answer.made(asking, Kind::File, &sealing, made).await
}

/// Whether a file is one of requests.
fn is_batch(form: &Upload) -> bool {
    form.field("purpose") == Some("batch")
}

/// The models that the lines of a batch name, if it is one, each with the first line that does.
fn models(content: &Bytes) -> BTreeMap<String, u64> {
    let mut models = BTreeMap::new();
    for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        note_model(&mut models, (number, &content.slice_ref(line)));
    }
    models
}

/// The lines with the model's name upstream, and without what is the gateway's alone if there is such;
/// all else byte for byte.
fn passed_on(content: &Bytes, (from, to): (&str, &str), has_ours: bool) -> Bytes {
    if from == to && !has_ours {
        return content.clone();
    }
    let mut out = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let (text, end) = line.split_at(line.len() - usize::from(line.ends_with(b"\n")));
        let mut text = content.slice_ref(text);
        if has_ours {
            text = Shape::Line.without_ours(text);
        }
        let Ok(text) = rename_ids(&text, MODEL, &mut |model: &str| {
            Ok::<_, Infallible>((model == from).then(|| to.to_owned()))
        });
        out.extend_from_slice(&text);
        out.extend_from_slice(end);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_model_of_a_batch_changes() {
        let lines = "{\"custom_id\":\"1\",\"body\":{\"model\":\"chat\",\"n\":1.0}}\r\n\n{\"model\":\"chat\",\"body\":{\"model\":\"other\"}}";
        let content = Bytes::from_static(lines.as_bytes());
        let named = BTreeMap::from([("chat".to_owned(), 1), ("other".to_owned(), 3)]);
        assert_eq!(models(&content), named);
        let expected = lines.replacen("\"model\":\"chat\",\"n\"", "\"model\":\"up\",\"n\"", 1);
        assert_eq!(passed_on(&content, ("chat", "up"), false), expected);
        assert_eq!(passed_on(&content, ("chat", "up"), true), expected);
        assert_eq!(models(&Bytes::from_static(b"\xff\xd8 no text\n")), BTreeMap::new());
    }
}
