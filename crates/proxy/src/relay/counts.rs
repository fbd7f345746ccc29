//! Calls of a provider's own API that only count tokens: passed on as all others are, but as with our
//! own of that kind they cost nothing, take nothing of a limit, and leave nothing on record.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response};
use dunlin_providers::relay::sent_model;
use dunlin_types::Tokens;

use super::{Passing, Way, choose, fields, passed, path, query, read, ready, unanswered};
use crate::Proxy;
use crate::attempts::entry::{self, NotAsked};
use crate::attempts::not_asked;
use crate::request::call::Call;
use crate::response::error::Failed;
use crate::response::headers;
use crate::response::told::AnswerHeaders;
use crate::stored::resumed;

/// How the paths of such calls end: of OpenAI's, Anthropic's and Bedrock's APIs.
const ENDS: [&str; 3] = ["/responses/input_tokens", "/messages/count_tokens", "/count-tokens"];
/// The same of Google's: of any model, and of Anthropic's on Vertex AI.
const VERBS: [&str; 2] = [":countTokens", "/models/count-tokens:rawPredict"];

/// Whether a request only counts.
pub(super) fn is_one(request: &Request, way: Way) -> bool {
    let counts = |path: &str| {
        let path = path.trim_end_matches('/');
        ENDS.iter().chain(&VERBS).any(|end| path.ends_with(end))
    };
    *request.method() == Method::POST
        && path::below(request.uri(), way).is_ok_and(|path| counts(&path))
}

/// Answers one of them.
pub(super) async fn serve(
    proxy: &Proxy,
    way: Way,
    call: &Call,
    request: Request,
) -> Response<Body> {
    match conduct(proxy, way, call, request).await {
        Ok(response) => response,
        Err(failed) => failed.response(call),
    }
}

async fn conduct(
    proxy: &Proxy,
    way: Way,
    call: &Call,
    request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (mut head, body) = request.into_parts();
    let query = query(&mut head, way);
    let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    let path = path::below(&head.uri, way)?;
    let Passing { body, upload, wanted, origin, .. } =
        read(call, (way, &path), &serving, &caller, (&head, body)).await?;
    let lenders = choose(&serving, &caller, way, &head, (&wanted, None))?;
    let lenders = ready(proxy, &serving.catalog, lenders, &origin.tags);
    let (group, catalog) = (&lenders.group, &serving.catalog);
    let tagged = entry::tagged(catalog, group, &origin.tags);
    let tagged = tagged.map_err(|why| not_asked(proxy, group, why))?;
    let (upstream, nobody) = (&proxy.0.upstream, BTreeSet::new());
    let attempt = upstream.start_attempt(&tagged, catalog.strategy, &nobody, Tokens(0));
    let attempt = attempt.map_err(|none| not_asked(proxy, group, NotAsked::None(none)))?;

    let by = Arc::clone(attempt.deployment());
    let theirs = sent_model(&by.provider, &by.target);
    let names = (lenders.renamed.as_deref().unwrap_or(theirs), theirs);
    let headers = fields::outgoing(&head.headers, serving.settings.key_header.as_deref());
    let passed = passed(&head.method, (&path, query), headers, &body, &wanted.named, names);
    let relayed = upstream.relay(attempt, (passed, upload), by.timeout, catalog.retry).await;
    let relayed = relayed.map_err(|failure| unanswered(&group.name, failure, None))?;
    let told = AnswerHeaders::of_admission(call, &caller, &[]);
    let told = told.spending(caller.spent(proxy)).lent(call, &by);
    let (status, fields) = (relayed.status, fields::incoming(&relayed.headers));
    Ok(headers::relayed(told, status, fields, resumed::bytes(relayed)))
}
