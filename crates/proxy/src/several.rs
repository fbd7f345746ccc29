//! The story of a chat that names several models, with commas between them: each of them is asked by
//! itself, with its own limits, attempts and charge, and the client gets the list of their answers.
//! With `fastest_response` it gets the first of them, and the others are cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use dunlin_llm::{ChatRequest, Endpoint, edit};
use dunlin_router::Catalog;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use serde_json::Value;

use crate::bill::refused;
use crate::chat;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::received::Unread;
use crate::response::error::{Failed, Refused};
use crate::response::told::AnswerHeaders;
use crate::response::{headers, names};
use crate::{Proxy, Serving};

/// Models of one request; more are refused.
const MAX_MODELS: usize = 8;
/// The longest answer that a list can hold.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// The client's wish for one answer.
const FASTEST: &str = "fastest_response";

/// A race of several models, which ends with the first answer.
#[derive(Clone, Default)]
pub(crate) struct Race(Arc<AtomicBool>);

impl Race {
    /// Whether one of them has answered.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is asked of several models.
#[derive(Clone, Copy)]
pub(crate) struct BatchCompletion<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) call: &'a Call,
    pub(crate) serving: &'a Serving,
    pub(crate) caller: &'a Caller,
    pub(crate) head: &'a Parts,
    pub(crate) chat: &'a ChatRequest,
}

/// The models that a request names, if there are several, and none of the whole name.
pub(crate) fn named<'c>(chat: &'c ChatRequest, catalog: &Catalog) -> Option<Vec<&'c str>> {
    let name = chat.model();
    if !name.contains(',') || chat.endpoint() != Endpoint::ChatCompletions {
        return None;
    }
    if catalog.groups.contains_key(name) || catalog.aliases.contains_key(name) {
        return None;
    }
    let models = name.split(',').map(str::trim).filter(|model| !model.is_empty());
    Some(models.collect::<Vec<_>>()).filter(|models| models.len() > 1)
}

/// Answers for all of them.
pub(crate) fn answer<'a>(
    asked: BatchCompletion<'a>,
    models: Vec<&'a str>,
) -> BoxFuture<'a, Result<Response<Body>, Failed>> {
    async move {
        let race = race(asked.chat)?;
        check(asked.chat, &models, race.is_some())?;
        let one = |(at, model)| one(asked, (at, model), race.clone());
        let asking = models.into_iter().enumerate().map(one);
        match &race {
            Some(race) => first(asked, race, asking).await,
            None => all(asked, asking).await,
        }
    }
    .boxed()
}

/// The race that the client wishes, if it does.
fn race(chat: &ChatRequest) -> Result<Option<Race>, Refused> {
    match edit::member(chat.text_as_bytes(), FASTEST) {
        Some("true") => Ok(Some(Race::default())),
        Some("false" | "null") | None => Ok(None),
        Some(other) => {
            let message = format!("{FASTEST} is true or false, not `{other:.40}`.");
            Err(Refused::Unfit { param: FASTEST, message })
        }
    }
}

fn check(chat: &ChatRequest, models: &[&str], races: bool) -> Result<(), Refused> {
    let unfit = |param, message| Err(Refused::Unfit { param, message });
    if models.len() > MAX_MODELS {
        let named = models.len();
        return unfit(
            "model",
            format!("{named} models are named: {MAX_MODELS} at most are asked."),
        );
    }
    if chat.stream() && !races {
        let message = "The answers of several models are a list, which is no stream: name one model, \
                       or send `fastest_response: true` for the first answer.";
        return unfit("stream", message.to_owned());
    }
    Ok(())
}

/// The answer of one of them, whose call is that of the request with its number.
async fn one(
    asked: BatchCompletion<'_>,
    (at, model): (usize, &str),
    race: Option<Race>,
) -> Result<Response<Body>, Failed> {
    let BatchCompletion { proxy, serving, caller, chat, .. } = asked;
    let mut call = asked.call.again(proxy, &asked.head.headers, at + 1);
    call.race = race;
    call.known.is(caller);
    let mut head = asked.head.clone();
    for length in [CONTENT_ENCODING, CONTENT_LENGTH] {
        head.headers.remove(length);
    }
    let body = Bytes::copy_from_slice(chat.text_as_bytes());
    let body = edit::with(body, "model", &Value::from(model).to_string());
    let mut caller = caller.clone();
    let unread = Unread { head, body: Body::from(body), path_model: None };
    let answered = chat::answer_alone(proxy, &call, serving, &mut caller, unread).await;
    let answered = answered.map_err(|failed| failed.of_caller(proxy, &caller));
    answered.map_err(|failed| {
        refused::note(proxy, &call, &failed);
        failed.noted()
    })
}

/// The first answer. Whoever has not answered by then is cancelled. If all fail, the failure is that
/// of the model that was named first.
async fn first(
    asked: BatchCompletion<'_>,
    race: &Race,
    asking: impl Iterator<Item = impl Future<Output = Result<Response<Body>, Failed>>>,
) -> Result<Response<Body>, Failed> {
    let numbered = asking.enumerate().map(|(at, one)| one.map(move |answered| (at, answered)));
    let mut racing: FuturesUnordered<_> = numbered.collect();
    let mut failures = Vec::new();
    while let Some((at, answered)) = racing.next().await {
        match answered {
            Ok(mut response) => {
                race.end();
                let told = response.headers_mut();
                told.insert(names::FASTEST_RESPONSE, HeaderValue::from_static("True"));
                if let Ok(id) = HeaderValue::from_str(&asked.call.call_id) {
                    told.insert(names::CALL_ID, id);
                }
                return Ok(response);
            }
            Err(failure) => failures.push((at, failure)),
        }
    }
    let first = failures.into_iter().min_by_key(|(at, _)| *at);
    Err(first.expect("several were asked").1)
}

/// The list of all answers, errors among them unless there is nothing else.
async fn all(
    asked: BatchCompletion<'_>,
    asking: impl Iterator<Item = impl Future<Output = Result<Response<Body>, Failed>>>,
) -> Result<Response<Body>, Failed> {
    let mut answers = futures::future::join_all(asking).await;
    if answers.iter().all(Result::is_err) {
        return answers.swap_remove(0);
    }
    let error = |failed: Failed| asked.call.endpoint.error_body(&failed.body());
    let mut list = b"[".to_vec();
    for (at, answer) in answers.into_iter().enumerate() {
        if at > 0 {
            list.push(b',');
        }
        let body = match answer {
            Ok(response) => match to_bytes(response.into_body(), MAX_ANSWER_BYTES).await {
                Ok(body) => body,
                Err(_) => error(Refused::LongAnswer { most: MAX_ANSWER_BYTES }.into()),
            },
            Err(failed) => error(failed),
        };
        list.extend_from_slice(&body);
    }
    list.push(b']');
    let told = AnswerHeaders::of_admission(asked.call, asked.caller, &[]).called(asked.call);
    Ok(headers::json(told, Bytes::from(list)))
}
