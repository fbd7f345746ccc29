//! Calls of OpenAI's own API that are charged by other measures than the tokens which their answers
//! count: sounds and pictures. They are read as those of our own routes are.

use std::sync::Arc;

use axum::http::Method;
use axum::http::request::Parts;
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::{ChatRequest, Endpoint, edit, parse, parse_upload};
use dunlin_router::Deployment;
use dunlin_router::relay::Lenders;
use dunlin_types::Tokens;

use super::passing::Made;
use crate::attempts::hold;
use crate::bill::Bill;
use crate::request::body;

/// Google's verbs by which a model is asked, and the ends of other providers' paths.
const READING_VERBS: [&str; 7] = [
    "batchEmbedContents",
    "embedContent",
    "generateContent",
    "predict",
    "rawPredict",
    "streamGenerateContent",
    "streamRawPredict",
];
const READING_ENDS: [&str; 12] = [
    "chat",
    "completions",
    "converse",
    "converse-stream",
    "embed",
    "embeddings",
    "generate",
    "invoke",
    "invoke-with-response-stream",
    "messages",
    "rerank",
    "responses",
];

/// Google's verb by which films are made, and what is behind OpenAI's `videos`.
const FILM_VERB: &str = "predictLongRunning";
const FILMS: [&str; 4] = ["videos", "edits", "extensions", "remix"];

/// Such a call.
pub(super) struct Understood {
    pub(super) chat: ChatRequest,
    pub(super) by: Arc<Deployment>,
}

/// The request, if it is one of these. One that cannot be read is its provider's to refuse.
pub(super) fn read(head: &Parts, path: &str, body: &Bytes, model: &str) -> Option<ChatRequest> {
    if head.method != Method::POST {
        return None;
    }
    let kind = body::kind(&head.headers);
    let endpoint = endpoint(path)?;
    let path_model = Some(model).filter(|model| !model.is_empty());
    let read = if kind.to_ascii_lowercase().contains("multipart/") {
        parse_upload(endpoint, body.clone(), kind, path_model)
    } else {
        parse(endpoint, body.clone(), path_model)
    };
    read.ok()
}

/// What a call of that path asks for, if it is one of these.
pub(super) fn endpoint(path: &str) -> Option<Endpoint> {
    let asked = [
        ("/audio/speech", Endpoint::Speech),
        ("/audio/transcriptions", Endpoint::Transcriptions),
        ("/audio/translations", Endpoint::Translations),
        ("/images/generations", Endpoint::ImageGenerations),
        ("/images/edits", Endpoint::ImageEdits),
    ];
    asked.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, endpoint)| endpoint)
}

/// What it may cost at the dearest of those who may lend their credential.
pub(super) fn bounds(chat: &ChatRequest, lenders: &Lenders) -> Bounds {
    let estimate = hold::Estimate::new(chat, Some(Tokens(0)));
    let all = lenders.group.deployments.iter();
    all.map(|by| estimate.at(by)).fold(Bounds::default(), hold::larger)
}

/// Whether a model reads what is sent to that path, which then costs something whatever is answered.
fn is_read(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    match last.rsplit_once(':') {
        Some((_, verb)) => READING_VERBS.contains(&verb),
        // A message of a thread waits there until somebody is to answer it.
        None => READING_ENDS.contains(&last) && !path.contains("/threads/"),
    }
}

/// Whether what is made there is finished after the answer, which does not say what it costs: films,
/// the runs of threads that are not streamed, and what managed agents do.
pub(super) fn is_later(path: &str, body: &[u8]) -> bool {
    let path = path.trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let has = |segment: &str| path.split('/').any(|part| part == segment);
    let is_film = FILMS.contains(&last) && has("videos");
    let is_run = last == "runs" && has("threads") && !edit::is_set(body, "stream");
    last.ends_with(FILM_VERB) || is_film || is_run || is_of_agents(path)
}

/// Whether Anthropic's agents are set to work there.
fn is_of_agents(path: &str) -> bool {
    let steps: Vec<&str> = path.split('/').skip_while(|step| *step != "v1").skip(1).collect();
    matches!(
        steps[..],
        ["deployments" | "dreams" | "sessions"]
            | ["deployments", _, "run" | "unpause"]
            | ["sessions", _, "events"]
    )
}

/// What the call makes, which the bill is told.
pub(super) fn made(
    (method, path, is_later): (&Method, &str, bool),
    read: Option<&ChatRequest>,
    by: Arc<Deployment>,
    bill: &mut Bill,
) -> Made {
    match read {
        Some(chat) => {
            bill.is_of(chat.endpoint());
            Made::Understood(Box::new(Understood { chat: chat.clone(), by }))
        }
        None if is_later => Made::Later,
        None if *method == Method::POST => Made::Something { reads: is_read(path) },
        None => Made::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finished_after_its_answer_is_known_by_its_path() {
        for path in [
            "/v1/videos",
            "/v1beta/models/veo:predictLongRunning",
            "/v1/threads/runs",
            "/v1/sessions",
            "/v1/sessions/sesn_1/events/",
            "/v1/dreams",
            "/v1/deployments",
            "/v1/deployments/d/run",
        ] {
            assert!(is_later(path, b"{}"), "{path}");
        }
        for path in [
            "/v1/messages",
            "/v1/agents",
            "/v1/realtime/sessions",
            "/v1/sessions/sesn_1/archive",
            "/openai/deployments/d/chat/completions",
        ] {
            assert!(!is_later(path, b"{}"), "{path}");
        }
        assert!(!is_later("/v1/threads/t/runs", br#"{"stream":true}"#), "its end counts it");
    }
}
