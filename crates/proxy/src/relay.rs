//! The story of a call of a provider's own API: who asks, which models are named, whose credential
//! is lent, whether the limits allow it; then the call is passed on as it is, and the answer as it
//! comes, metered on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, Response, Uri};
use bytes::Bytes;
use dunlin_admission::{Bounds, Demand, Refusal};
use dunlin_journal::Origin;
use dunlin_ledger::Pricing;
use dunlin_llm::credentials::key_in_query;
use dunlin_llm::{Bound, ChatRequest, Endpoint, Labels, Named, tokens_in};
use dunlin_providers::sigv4::path_segment;
use dunlin_router::Catalog;
use dunlin_router::relay::{Asked, Lenders, lenders, priced};
use dunlin_upstream::Relay;

use crate::attempts::{GroupFailed, not_asked};
use crate::bill::{About, Bill};
use crate::caller::Caller;
use crate::chat::Call;
use crate::error::{Failed, Refused, Unanswered};
use crate::headers;
use crate::told::Told;
use crate::{Proxy, Serving, body, entry, gemini, hold, refused, report};

pub(crate) mod configured;
mod fields;
mod passing;
mod understood;

use understood::Understood;

/// The header by which a client chooses whose credential is lent.
const MODEL_HEADER: HeaderName = HeaderName::from_static("x-litellm-model");

/// One of our prefixes that leads to a provider's own API.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) prefix: &'static str,
    pub(crate) providers: &'static [&'static str],
}

/// Answers one request.
pub(crate) async fn serve(proxy: &Proxy, way: Way, request: Request) -> Response<Body> {
    // Errors of ours are in OpenAI's form, as LiteLLM has them on these routes.
    let call = Call::begin(proxy, Endpoint::ChatCompletions, &request);
    match conduct(proxy, &call, way, request).await {
        Ok(response) => response,
        Err(failed) => refused::answer(proxy, &call, failed),
    }
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    way: Way,
    request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (mut head, body) = request.into_parts();
    let query = query(&mut head, way);
    let mut caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    let body = body::read(body, &head.headers, serving.settings.max_request_bytes).await?;
    let path = path(&head.uri, way.prefix)?;
    let named = Named::read(path, kind(&head.headers), &body).map_err(Refused::UnclearModel)?;
    let lenders = choose(&serving, &caller, way, &head, &named)?;
    let mut origin = call.client.origin(&serving.settings, &head.headers, &Labels::default())?;
    caller.count_for(proxy, &mut origin).await?;

    let model = named.models().next().unwrap_or_default();
    let read = understood::read(&head, path, &body, model);
    let read = read.as_ref();
    let prompt_estimate = read.map_or(tokens_in(body.len() as u64), ChatRequest::prompt_estimate);
    let size @ (_, bound) = (body.len() as u64, Bound::of_call(way.prefix, path, &body));
    let of_length = || cost(&serving.catalog, way, &head.method, &lenders, model, size);
    let demand = Demand {
        cost: read.map_or_else(of_length, |chat| understood::bounds(chat, &lenders)),
        ..Demand::free(call.id, model, prompt_estimate, serving.settings.counted)
    };
    let admitted = proxy.0.admission.admit(caller.key(), demand.clone()).await;
    let permit = admitted.map_err(|no| refusal(call, &caller, (model, bound), &origin, no))?;
    let told = Told::of_admission(call, &caller, permit.limits());
    let media = read.map(understood::media).unwrap_or_default();
    let about = About { media, ..About::relayed(model, prompt_estimate, origin) };
    let mut bill = Bill::open(proxy.clone(), permit, call, &caller, about);
    bill.await_answer();
    bill.tell(report::of(proxy, &caller, &head.headers));

    let asking = entry::Asking {
        proxy,
        catalog: &serving.catalog,
        demand: &demand,
        revision: serving.settings.revision,
        load: prompt_estimate,
        tags: bill.tags(),
        cost: &|_| demand.cost,
    };
    let attempt = match entry::pick(asking, &lenders.group, &BTreeSet::new()).await {
        Ok((attempt, entry)) => {
            bill.enters(entry);
            attempt
        }
        Err(why) => return Err(bill.fail(not_asked(proxy, &lenders.group.name, why))),
    };
    let deployment = Arc::clone(attempt.deployment());
    bill.served_by(&deployment);
    let upstream = &*deployment.target.model;
    let names @ (renamed, _) = (lenders.renamed.as_deref().unwrap_or(upstream), upstream);
    let headers = fields::outgoing(&head.headers, serving.settings.key_header.as_deref());
    let passed = passed(&head.method, (path, query), headers, &body, &named, names);
    let mut price = Price { catalog: Arc::clone(&serving.catalog), way, model: String::new() };
    bill.priced_as("", Pricing::Unpriced);
    price.learn(&mut bill, if model == renamed { upstream } else { model });
    let retry = serving.catalog.retry;
    let relayed = proxy.0.upstream.relay(attempt, passed, deployment.timeout, retry).await;
    let relayed = match relayed {
        Ok(relayed) => relayed,
        Err(failure) => {
            let failure = Box::new(failure);
            let failed = GroupFailed::Attempt { failure, retries: 0, max_retries: 0 };
            return Err(bill.fail(unanswered(&lenders, failed)));
        }
    };
    let told = told.lent(call, &deployment);
    let made = understood::made(&head.method, read, deployment, &mut bill);
    let (status, headers) = (relayed.status, fields::incoming(&relayed.headers));
    let body = passing::body(relayed, bill, Some(price), made);
    Ok(headers::relayed(told, status, headers, body))
}

/// The call as its provider gets it, which knows the model by the second name.
fn passed(
    method: &Method,
    (path, query): (&str, Option<String>),
    headers: HeaderMap,
    body: &Bytes,
    named: &Named,
    (ours, theirs): (&str, &str),
) -> Relay {
    let path = named.path_with(path, ours, theirs, path_segment);
    let body = named.body_with(body, ours, theirs);
    Relay { method: method.clone(), path, query, headers, body, secret: None }
}

/// What a call may cost, by its length and by how long its answers may be. A call that makes
/// nothing costs nothing.
fn cost(
    catalog: &Catalog,
    way: Way,
    method: &Method,
    lenders: &Lenders,
    model: &str,
    (bytes, bound): (u64, Bound),
) -> Bounds {
    if *method != Method::POST {
        return Bounds::default();
    }
    if lenders.renamed.as_deref() == Some(model) {
        let all = lenders.group.deployments.iter();
        return all
            .map(|by| hold::of_bytes(&by.price, bytes, bound))
            .reduce(hold::larger)
            .unwrap_or_default();
    }
    let pricing = priced(catalog, way.providers, model).unwrap_or(Pricing::Unpriced);
    hold::of_bytes(&pricing, bytes, bound)
}

/// The query as it is passed on. Google's clients put their key there: it is taken for a header.
fn query(head: &mut Parts, way: Way) -> Option<String> {
    let query = head.uri.query()?;
    if !matches!(way.prefix, "gemini" | "vertex-ai" | "vertex_ai") {
        return Some(query.to_owned());
    }
    gemini::take_key(key_in_query(query), &mut head.headers);
    let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("key=")).collect();
    Some(others.join("&"))
}

fn kind(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

/// The path below `prefix`, as it was written. One that leads upward could leave what the
/// deployment's address begins with.
fn path<'u>(uri: &'u Uri, prefix: &str) -> Result<&'u str, Refused> {
    let path = uri.path().trim_start_matches('/');
    let rest = path.strip_prefix(prefix).expect("the route begins so");
    if climbs(rest) { Err(Refused::ClimbingPath) } else { Ok(rest) }
}

fn climbs(path: &str) -> bool {
    dunlin_llm::decoded(path).split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

fn choose(
    serving: &Serving,
    caller: &Caller,
    way: Way,
    head: &Parts,
    named: &Named,
) -> Result<Lenders, Refused> {
    let models: Vec<&str> = named.models().collect();
    let header = head.headers.get(MODEL_HEADER).and_then(|model| model.to_str().ok());
    let reads = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let asked = Asked { providers: way.providers, models: &models, chosen: header, reads };
    let found = lenders(&serving.catalog, caller.access(), asked);
    found.map_err(|none| Refused::no_lender(none, way, caller))
}

fn refusal(
    call: &Call,
    caller: &Caller,
    (model, bound): (&str, Bound),
    origin: &Origin,
    no: Refusal,
) -> Refused {
    call.known.asks(model, false, "pass_through_endpoint", origin);
    Refused::admission(no, caller, call.started).bounded_by(bound.field)
}

fn unanswered(lenders: &Lenders, failed: GroupFailed) -> Failed {
    Failed::from(Unanswered { failures: vec![(Arc::clone(&lenders.group.name), failed)] })
}

/// By whose price an answer is charged: that of the deployment whose model it was.
struct Price {
    catalog: Arc<Catalog>,
    way: Way,
    /// The model, as soon as it is known.
    model: String,
}

impl Price {
    /// The request says which model it is, or else the answer.
    fn learn(&mut self, bill: &mut Bill, model: &str) {
        if model.is_empty() || !self.model.is_empty() {
            return;
        }
        model.clone_into(&mut self.model);
        let pricing = priced(&self.catalog, self.way.providers, model);
        let pricing = pricing.unwrap_or(Pricing::Unpriced);
        bill.priced_as(model, pricing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_prefix_and_as_it_was_written() {
        let below = |uri: &str| {
            let uri: Uri = uri.parse().expect("a path");
            path(&uri, "openai").ok().map(str::to_owned)
        };
        let cases = [
            ("/openai/v1/models?x=1", Some("/v1/models")),
            ("/openai/v1/a%2Fb..c/...", Some("/v1/a%2Fb..c/...")),
            ("/openai/../admin", None),
            ("/openai/v1/%2e%2E/x", None),
            ("/openai/v1/a%2f..%2fb", None),
            ("/openai/v1/a%5c..%5cb", None),
            ("/openai/./x", None),
        ];
        for (uri, expected) in cases {
            assert_eq!(below(uri).as_deref(), expected, "{uri}");
        }
    }
}
