//! The story of a call about something that a provider keeps: whose it is and where, which the
//! id says; then the provider's own call, with ids opened on the way in and sealed on the way out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Response};
use bytes::Bytes;
use dunlin_admission::{Bounds, Demand};
use dunlin_llm::Labels;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::{Deployment, Group};
use dunlin_types::{Served, Tokens};
use dunlin_upstream::{Attempt, Relay};

use crate::attempts::entry::{self, NotAsked};
use crate::attempts::{not_afforded, not_asked};
use crate::bill::report;
use crate::bill::{About as BillAbout, Bill};
use crate::ids::Kind;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::kept::{Sealing, find};
use crate::response::error::{Failed, Refused};
use crate::response::told::AnswerHeaders;
use crate::turns::Stored;
use crate::{Proxy, Serving};

mod accounts;
pub(crate) mod answer;
pub(crate) mod batches;
pub(crate) mod bucket;
pub(crate) mod compaction;
pub(crate) mod conversations;
pub(crate) mod fetch;
pub(crate) mod files;
mod home;
pub(crate) mod input;
pub(crate) mod jobs;
pub(crate) mod lists;
mod made_of;
pub(crate) mod noted;
pub(crate) mod output;
mod refusals;
pub(crate) mod resumed;
pub(crate) mod shares;
mod turn;
pub(crate) mod watch;

use answer::Answer;
use lists::Query;

/// What is asked of a thing.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) kind: Kind,
    /// What follows the id in the path.
    pub(crate) suffix: &'static str,
    /// What LiteLLM's spend logs call it.
    pub(crate) call_type: &'static str,
}

/// Answers one request about one thing.
pub(crate) async fn serve(
    proxy: &Proxy,
    about: About,
    id: &str,
    request: Request,
) -> Response<Body> {
    let call = Call::begin(proxy, about.kind.endpoint(), &request).named(about.call_type);
    let answered = conduct(proxy, &call, about, id, request).await;
    call.answer(proxy, answered)
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    about: About,
    id: &str,
    request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, _body) = request.into_parts();
    let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    call.is_for(&serving.settings, &head, &Bytes::new());
    let opened = proxy.0.ids.open(about.kind, id, caller.owner());
    let kept = opened.map_err(|bad| Refused::no_such(about.kind, id, bad))?;
    let (headers, labels) = (&head.headers, &Labels::default());
    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers, labels };
    if let Some(stored) = Stored::of(&kept) {
        return turn::serve(asking, about, (id, stored), &head).await;
    }
    let home = kept.deployment().and_then(|deployment| find(&serving.catalog, deployment));
    let home = home.ok_or(Refused::homeless(about.kind.noun()))?;

    let (bill, told) = asking.admit(&home.group, Tokens(0), Bounds::default()).await?;
    let is_charged_later = matches!(about.kind, Kind::MessageBatch | Kind::Response);
    if is_charged_later && head.method == Method::DELETE {
        // What it used goes with it.
        watch::look_now(proxy, home, &kept.upstream).await;
    }
    let attempt = asking.attempt(&alone(home), Tokens(0))?;
    let segment = path_segment(&kept.upstream);
    let path = format!("/{}/{segment}{}", about.kind.collection(), about.suffix);
    let query = head.uri.query().map(|query| Query::read(query).passed());
    let asked = Relay { query, ..ask(head.method, path) };
    let answer = asking.send(attempt, asked, (bill, told)).await;
    let answer = answer.map_err(|failed| failed.naming(&kept.upstream, id))?;

    // The master sees a thing under the same id as its owner.
    let sealing = Sealing::new(proxy, kept.owner, home);
    if about.suffix == "/results" {
        watch::charge_now(proxy, home, &kept.upstream).await;
    }
    if matches!(about.suffix, "/content" | "/results") {
        return Ok(answer.content());
    }
    if answer.is_stream() {
        return Ok(answer.resumed(sealing));
    }
    match (about.kind, about.suffix) {
        (_, "/input_items" | "/events") => answer.items().await,
        (_, "/checkpoints") => answer.checkpoints(&sealing).await,
        (kind, _) => answer.object(asking, kind, &sealing).await,
    }
}

/// A call without a body.
pub(crate) fn ask(method: Method, path: String) -> Relay {
    let (query, headers, body) = (None, HeaderMap::new(), Bytes::new());
    Relay { method, path, query, headers, body, secret: None }
}

/// A call with a body of that kind.
pub(crate) fn send(path: &str, kind: &str, body: Bytes) -> Result<Relay, Refused> {
    let mut asked = ask(Method::POST, path.to_owned());
    let kind = HeaderValue::from_str(kind).map_err(|_| Refused::BadEncoding)?;
    asked.headers.insert(CONTENT_TYPE, kind);
    asked.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    asked.body = body;
    Ok(asked)
}

/// The group of only this deployment.
pub(crate) fn alone(home: &Arc<Deployment>) -> Group {
    Group { name: Arc::clone(&home.group), deployments: vec![Arc::clone(home)] }
}

/// A caller who asks one provider something.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) call: &'a Call,
    pub(crate) serving: &'a Serving,
    pub(crate) caller: &'a Caller,
    pub(crate) headers: &'a HeaderMap,
    /// What the body says of on whose behalf it is.
    pub(crate) labels: &'a Labels,
}

impl Asking<'_> {
    /// Takes what the limits allow, and holds what it may cost.
    pub(crate) async fn admit(
        &self,
        served: impl Into<Served>,
        tokens: Tokens,
        cost: Bounds,
    ) -> Result<(Bill, AnswerHeaders), Failed> {
        let Self { proxy, call, serving, headers, .. } = *self;
        let served = served.into();
        let model = &*Arc::clone(&served.row);
        call.known.asks(model, false);
        let mut caller = self.caller.clone();
        let mut origin = call.client.origin(&serving.settings, headers, self.labels)?;
        caller.count_for(proxy, &mut origin).await?;
        caller.check_end_user(&serving.catalog, model)?;
        let demand = self.demand(served, tokens, cost);
        let admitted = proxy.0.admission.admit(caller.key(), demand).await;
        let permit = admitted.map_err(|no| Refused::admission(no, &caller, call.started))?;
        let told = AnswerHeaders::of_admission(call, &caller, permit.limits());
        let told = told.spending(caller.spent(proxy));
        let about = BillAbout::relayed(model, tokens, origin);
        let mut bill = Bill::open(proxy.clone(), permit, call, &caller, about);
        bill.tell(report::of(proxy, &caller, headers));
        Ok((bill, told))
    }

    fn demand(&self, served: impl Into<Served>, tokens: Tokens, cost: Bounds) -> Demand {
        let counted = self.serving.settings.counted;
        Demand { cost, ..Demand::free(self.call.id, served, tokens, counted) }
    }

    /// Holds what it may cost of what may be spent at the one deployment that can be asked.
    async fn afford(&self, bill: &mut Bill, by: &Deployment, cost: Bounds) -> Result<(), Failed> {
        let demand = self.demand(&by.group, Tokens(0), cost);
        let (proxy, catalog) = (self.proxy, &self.serving.catalog);
        match entry::afford(proxy, catalog, by, bill.tags(), &demand).await {
            Ok(entry) => bill.enters(entry),
            Err(why) => return Err(not_afforded(proxy, by, why)),
        }
        Ok(())
    }

    /// For something new: it goes to a deployment that is for its tags.
    pub(crate) fn first_attempt(
        &self,
        bill: &Bill,
        group: &Group,
        tokens: Tokens,
    ) -> Result<Attempt, Failed> {
        let tagged = entry::tagged(&self.serving.catalog, group, bill.tags());
        let tagged = tagged.map_err(|why| not_asked(self.proxy, group, why))?;
        self.attempt(&tagged, tokens)
    }

    pub(crate) fn attempt(&self, group: &Group, tokens: Tokens) -> Result<Attempt, Failed> {
        let strategy = self.serving.catalog.strategy;
        let picked = self.proxy.0.upstream.start_attempt(group, strategy, &BTreeSet::new(), tokens);
        picked.map_err(|none| not_asked(self.proxy, group, NotAsked::None(none)))
    }

    /// Asks, and waits for the head of an answer that says that all went well.
    pub(crate) async fn send(
        &self,
        attempt: Attempt,
        asked: Relay,
        (bill, told): (Bill, AnswerHeaders),
    ) -> Result<Answer, Failed> {
        self.send_within(None, attempt, asked, (bill, told)).await
    }

    /// The same for a client that waits no longer than it says.
    pub(crate) async fn send_within(
        &self,
        timeout: Option<Duration>,
        attempt: Attempt,
        asked: Relay,
        billed: (Bill, AnswerHeaders),
    ) -> Result<Answer, Failed> {
        Answer::get(*self, attempt, asked, billed, timeout).await
    }
}
