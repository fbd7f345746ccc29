//! The story of a call of a provider's own API: who asks, which models are named, whose credential
//! is lent, whether the limits allow it; then the call is passed on as it is, and the answer as it
//! comes, metered on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, Response};
use bytes::Bytes;
use dunlin_journal::Origin;
use dunlin_ledger::Pricing;
use dunlin_llm::credentials::key_in_query;
use dunlin_llm::{Endpoint, Labels, Named};
use dunlin_providers::relay::sent_model;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::relay::{Asked, Lenders, lenders};
use dunlin_router::tool_models::take_in;
use dunlin_router::{Catalog, Strategy};
use dunlin_upstream::{Attempt, Failure, Progress, Relay, Upload};

use crate::attempts::entry;
use crate::attempts::{GroupFailed, not_asked};
use crate::bill::Bill;
use crate::bill::report;
use crate::request::body;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::{Failed, Refused, Unanswered};
use crate::response::headers;
use crate::response::told::AnswerHeaders;
use crate::stored::Asking;
use crate::{Proxy, Serving, gemini};

mod batches;
pub(crate) mod configured;
mod counts;
pub(crate) mod fields;
mod passing;
mod path;
pub(crate) mod price;
mod understood;
mod upload;
mod usage;
mod wanted;

use batches::Heard;
use batches::shown::{Answered, Shown, Whole};
use price::Price;
use understood::Understood;
use upload::Sent;
use wanted::Wanted;

/// The header by which a client chooses whose credential is lent.
const MODEL_HEADER: HeaderName = HeaderName::from_static("x-litellm-model");

/// What LiteLLM's spend logs call a call that is passed on.
pub(crate) const PASSED: &str = "pass_through_endpoint";

/// One of our prefixes that leads to a provider's own API.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) prefix: &'static str,
    pub(crate) providers: &'static [&'static str],
    /// It has a path of ours without the prefix, and what is made by it is its maker's alone.
    pub(crate) owned: bool,
}

/// Where batches of messages are made.
pub(crate) const MESSAGE_BATCHES: Way =
    Way { prefix: "anthropic", providers: &["anthropic"], owned: true };

/// Answers one request.
pub(crate) async fn serve(proxy: &Proxy, way: Way, request: Request) -> Response<Body> {
    // Errors of ours are in OpenAI's form, as LiteLLM has them on the routes with a prefix.
    let endpoint = if way.owned { Endpoint::Messages } else { Endpoint::ChatCompletions };
    let call = Call::begin(proxy, endpoint, &request).named(PASSED);
    if counts::is_one(&request, way) {
        return counts::serve(proxy, way, &call, request).await;
    }
    let answered = conduct(proxy, &call, way, request).await;
    call.answer(proxy, answered)
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
    let path = path::below(&head.uri, way)?;
    let path = &*path;
    let Passing { labels, body, upload, wanted, mut origin } =
        read(call, (way, path), &serving, &caller, (&head, body)).await?;
    let refused = |origin: &Origin, failed| refused(call, &wanted, origin, failed);
    let heard = wanted.batch.as_ref().map(|batch| batch.hear(&caller)).transpose();
    let heard = heard.map_err(|failed| refused(&origin, failed))?;
    let counted = caller.count_for(proxy, &mut origin).await;
    counted.map_err(|no| refused(&origin, no.into()))?;
    let lenders = choose(&serving, &caller, way, &head, (&wanted, heard.as_ref()));
    let lenders = lenders.map_err(|failed| refused(&origin, failed))?;
    let lenders = ready(proxy, &serving.catalog, lenders, &origin.tags);

    let demand = wanted.demand((proxy, call), &serving, way, &lenders);
    let known = wanted.check_known(&caller, &demand, proxy.0.clock.unix());
    known.map_err(|no| refused(&origin, no.into()))?;
    let admitted = proxy.0.admission.admit(caller.key(), demand.clone()).await;
    let permit = admitted.map_err(|no| {
        let no = Refused::admission(no, &caller, call.started).bounded_by(wanted.bounded_by());
        refused(&origin, no.into())
    })?;
    let told =
        AnswerHeaders::of_admission(call, &caller, permit.limits()).spending(caller.spent(proxy));
    let mut bill = Bill::open(proxy.clone(), permit, call, &caller, wanted.about(origin));
    bill.await_answer(None);
    bill.tell(report::of(proxy, &caller, &head.headers));

    let asking = entry::Asking {
        proxy,
        catalog: &serving.catalog,
        demand: &demand,
        revision: serving.settings.revision,
        load: demand.prompt,
        tags: bill.tags(),
        strategy: if lenders.any { Strategy::LeastBusy } else { serving.catalog.strategy },
        cost: &|_| demand.cost,
    };
    let (attempt, entry) = match entry::pick(asking, &lenders.group, &BTreeSet::new()).await {
        Ok(picked) => picked,
        Err(why) => return Err(bill.fail(not_asked(proxy, &lenders.group, why))),
    };
    bill.enters(entry);
    let deployment = Arc::clone(attempt.deployment());
    bill.served_by(&deployment);
    let upstream = sent_model(&deployment.provider, &deployment.target);
    let names @ (renamed, _) = (lenders.renamed.as_deref().unwrap_or(upstream), upstream);
    let headers = fields::outgoing(&head.headers, serving.settings.key_header.as_deref());
    let passed = passed(&head.method, (path, query), headers, &body, &wanted.named, names);
    if let Some(mut heard) = heard {
        let (headers, labels) = (&head.headers, &labels);
        let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers, labels };
        heard.owned = way.owned;
        heard.served = demand.served;
        return heard.make(asking, &wanted.models(), attempt, passed, (bill, told)).await;
    }
    let model = if wanted.model() == renamed { upstream } else { wanted.model() };
    let (catalog, published) = (Arc::clone(&serving.catalog), proxy.0.published.clone());
    let by = Arc::clone(&deployment);
    let mut price = Price { catalog, published, way, by, model: String::new() };
    bill.priced_as("", Pricing::Unpriced);
    price.learn(&mut bill, model);
    let shown = Shown::of(way, &head.method, path);
    let picked =
        Picked { proxy, call, wanted: &wanted, group: &lenders.group.name, attempt, price };
    picked.answer((passed, upload), shown, (bill, told)).await
}

/// A call of a provider's own API, and who was picked for it.
struct Picked<'a> {
    proxy: &'a Proxy,
    call: &'a Call,
    wanted: &'a Wanted,
    group: &'a Arc<str>,
    attempt: Attempt,
    price: Price,
}

impl Picked<'_> {
    /// Passes it on. Its answer comes as it is.
    async fn answer(
        self,
        (passed, upload): (Relay, Option<Upload>),
        shown: Option<Shown>,
        (mut bill, told): (Bill, AnswerHeaders),
    ) -> Result<Response<Body>, Failed> {
        let Self { proxy, call, wanted, group, attempt, price } = self;
        let deployment = Arc::clone(attempt.deployment());
        if let Some(shown) = &shown {
            shown.before(proxy, &deployment).await;
        }
        let (timeout, retry) = (deployment.timeout, price.catalog.retry);
        let progress = upload.as_ref().map(Upload::progress);
        let (method, path) = (passed.method.clone(), passed.path.clone());
        let relaying = proxy.0.upstream.relay(attempt, (passed, upload), timeout, retry);
        let relayed = match relaying.await {
            Ok(relayed) => relayed,
            Err(failure) => {
                let failed = unanswered(group, failure, progress.as_deref());
                return Err(bill.fail(failed));
            }
        };
        let told = told.lent(call, &deployment);
        let answered = match shown {
            Some(shown) => shown.answered(proxy, &deployment, relayed).await,
            None => Ok(Answered::Passing(Box::new(relayed))),
        };
        match answered {
            Ok(Answered::Passing(relayed)) => {
                let at = (&method, &*path, wanted.later);
                let made = understood::made(at, wanted.read.as_ref(), deployment, &mut bill);
                let (status, headers) = (relayed.status, fields::incoming(&relayed.headers));
                let (body, known) = passing::body(*relayed, bill, Some(price), made);
                let told = match known {
                    Some(known) => told.cost(known),
                    None => told,
                };
                Ok(headers::relayed(told, status, headers, body))
            }
            Ok(Answered::Whole(Whole { status, fields, body })) => {
                bill.delivered_free();
                Ok(headers::relayed(told, status, fields, body))
            }
            Err(refused) => Err(bill.fail(refused)),
        }
    }
}

/// A call that was read.
struct Passing {
    labels: Labels,
    body: Bytes,
    upload: Option<Upload>,
    wanted: Wanted,
    origin: Origin,
}

/// Reads a call. One that cannot be read is on record with what it names.
async fn read(
    call: &Call,
    (way, path): (Way, &str),
    serving: &Serving,
    caller: &Caller,
    (head, body): (&Parts, Body),
) -> Result<Passing, Refused> {
    let settings = &serving.settings;
    let (most, at) = (settings.max_request_bytes, (way.prefix, path));
    let Sent { whole: sent, upload } = upload::take(body, head, caller, at, most).await?;
    let read = || {
        let heard = batches::is_heard(way, head, path);
        let (labels, body) = caller.said(head, sent.clone(), heard)?;
        let body = usage::asked_for(settings, way, path, body);
        let wanted = Wanted::read(way, head, path, &body)?;
        let origin = call.client.origin(settings, &head.headers, &labels)?;
        Ok((labels, body, wanted, origin))
    };
    let read = read().inspect_err(|_| {
        let named = Named::read(path, body::kind(&head.headers), &sent);
        let model = named.as_ref().ok().and_then(|named| named.models().next());
        call.known.asks(model.unwrap_or_default(), false);
        call.is_for(settings, head, &sent);
    });
    let (labels, body, wanted, origin) = read?;
    Ok(Passing { labels, body, upload, wanted, origin })
}

/// A call that was read is refused: what it asks for goes on record.
fn refused(call: &Call, wanted: &Wanted, origin: &Origin, failed: Failed) -> Failed {
    call.known.asks(wanted.model(), false);
    call.known.is_for(origin.clone());
    failed
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

/// The query as it is passed on. Google's clients put their key there: it is taken for a header.
fn query(head: &mut Parts, way: Way) -> Option<String> {
    let query = head.uri.query()?;
    if !is_of_google(way) {
        return Some(query.to_owned());
    }
    gemini::take_key(key_in_query(query), &mut head.headers);
    let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("key=")).collect();
    Some(others.join("&"))
}

fn is_of_google(way: Way) -> bool {
    matches!(way.prefix, "gemini" | "vertex-ai" | "vertex_ai")
}

fn choose(
    serving: &Serving,
    caller: &Caller,
    way: Way,
    head: &Parts,
    (wanted, heard): (&Wanted, Option<&Heard<'_>>),
) -> Result<Lenders, Failed> {
    let models = wanted.models();
    let header =
        head.headers.get(MODEL_HEADER).and_then(|model| std::str::from_utf8(model.as_bytes()).ok());
    let reads = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let asked = Asked { providers: way.providers, models: &models, chosen: header, reads };
    let found = lenders(&serving.catalog, caller.access(), asked).and_then(|mut lenders| {
        let (catalog, access, named) =
            (&serving.catalog, caller.access(), &wanted.named.tool_models);
        let tools = named.names().chain(named.fallbacks().map(|one| &*one.model));
        take_in(catalog, access, way.providers, tools, &mut lenders.served)?;
        Ok(lenders)
    });
    let mut lenders = match &wanted.batch {
        Some(batch) => batch.lent(found, serving, way, caller)?,
        None => found.map_err(|none| Refused::no_lender(none, way, caller))?,
    };
    heard.map_or(Ok(()), |heard| heard.take_tools(&mut lenders, serving, way, caller))?;
    Ok(lenders)
}

/// Those of the first account where somebody may answer a request with these tags, and is ready.
fn ready(proxy: &Proxy, catalog: &Catalog, lenders: Lenders, tags: &[String]) -> Lenders {
    lenders.ranked(|group| match entry::tagged(catalog, group, tags) {
        Ok(group) => {
            let nobody = BTreeSet::new();
            u8::from(!proxy.0.upstream.has_ready(&group, Strategy::LeastBusy, &nobody))
        }
        Err(_) => 2,
    })
}

/// Nobody answered, unless it was the client who gave up.
fn unanswered(group: &Arc<str>, failure: Failure, progress: Option<&Progress>) -> Failed {
    if let Some(refused) = upload::fault(progress) {
        return refused.into();
    }
    let failure = Box::new(failure);
    let failed = GroupFailed::Attempt { failure, retries: 0, max_retries: 0 };
    Failed::from(Unanswered { failures: vec![(Arc::clone(group), failed)] })
}
