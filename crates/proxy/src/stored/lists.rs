//! GET of a list: for the master key what the providers list, account after account; for other keys,
//! and of batches of messages, what is noted of theirs.

use std::iter;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::batch::KeptBatch;
use dunlin_llm::{Labels, decoded, is_gateways_own};
use dunlin_router::Deployment;
use dunlin_types::Tokens;
use futures::StreamExt;

use super::accounts::{Account, Listed, Unlisted};
use super::answer::MAX_OBJECT_BYTES;
use super::home::Wish;
use super::noted::Mastered;
use super::{Asking, noted, watch};
use crate::Proxy;
use crate::ids::Kind;
use crate::relay::PASSED;
use crate::request::call::Call;
use crate::request::kept::{Sealing, find};
use crate::response::error::{Failed, Refused};
use crate::response::headers;

/// Accounts that are asked at the same time.
const MAX_ASKED_AT_ONCE: usize = 8;
/// As many of those that cannot be asked are named.
const MAX_MISSING: usize = 16;

/// Answers one request for a list. `provider` is the one that the path names.
pub(crate) async fn list(
    proxy: &Proxy,
    kind: Kind,
    provider: Option<&str>,
    request: Request,
) -> Response<Body> {
    let call = Call::begin(proxy, kind.endpoint(), &request).named(call_type(kind));
    let answered = conduct(proxy, &call, (kind, provider), request).await;
    call.answer(proxy, answered)
}

/// What LiteLLM's spend logs call a list of such.
fn call_type(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "afile_list",
        Kind::Batch => "alist_batches",
        Kind::MessageBatch => PASSED,
        Kind::Job => "alist_fine_tuning_jobs",
        Kind::Response | Kind::Conversation | Kind::Call | Kind::Message => {
            unreachable!("no route lists them")
        }
    }
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    (kind, provider): (Kind, Option<&str>),
    request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, _body) = request.into_parts();
    let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    call.is_for(&serving.settings, &head, &Bytes::new());
    let (headers, labels) = (&head.headers, &Labels::default());
    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers, labels };
    let query = Query::read(head.uri.query().unwrap_or_default());
    if caller.key().is_some() || kind == Kind::MessageBatch {
        return noted::list(asking, kind, &query).await;
    }
    let wish = Wish::read(provider, |name| query.get(name), &head.headers);
    let mut accounts = Account::wished(&asking, wish)?;
    let after = go_to(asking, kind, &query, &mut accounts)?;

    let (bill, told) = asking.admit(kind.collection(), Tokens(0), Bounds::default()).await?;
    match Page::read(asking, kind, (&query, after), accounts).await {
        Ok(Page { objects, has_more, missing, over }) => {
            watch::charge_all_now(proxy, over).await;
            bill.delivered_free();
            let told = told.called(call).missing(&missing);
            Ok(headers::json(told, noted::written(&objects, has_more)))
        }
        Err(failed) => Err(bill.fail(failed)),
    }
}

/// Leaves of the accounts that of the last thing that the client has and those behind it. Comes back
/// with the provider's own id of that thing.
fn go_to(
    asking: Asking<'_>,
    kind: Kind,
    query: &Query<'_>,
    accounts: &mut Vec<Account>,
) -> Result<Option<String>, Refused> {
    let Some(id) = query.get("after") else { return Ok(None) };
    let opened = asking.proxy.0.ids.open(kind, id, asking.caller.owner());
    let kept = opened.map_err(|bad| Refused::no_such(kind, id, bad))?;
    let home = kept.deployment().and_then(|home| find(&asking.serving.catalog, home));
    let at = home.and_then(|home| accounts.iter().position(|account| account.has(home)));
    accounts.drain(..at.ok_or(Refused::homeless(kind.noun()))?);
    Ok(Some(kept.upstream))
}

/// What some accounts list, one after the other, each in its provider's order.
#[derive(Default)]
struct Page {
    objects: Vec<Bytes>,
    has_more: bool,
    /// Deployments of accounts that could not be asked.
    missing: Vec<String>,
    /// Batches that are over, each with a deployment of its account.
    over: Vec<(Arc<Deployment>, String)>,
}

impl Page {
    /// # Errors
    /// No account answered: why the first did not.
    async fn read(
        asking: Asking<'_>,
        kind: Kind,
        (query, after): (&Query<'_>, Option<String>),
        accounts: Vec<Account>,
    ) -> Result<Self, Failed> {
        let most = query.limit(kind)?.unwrap_or(usize::MAX);
        let mastered = Mastered::read(asking.proxy, &[kind, Kind::File]).await;
        // Only the first has been begun.
        let afters = after.into_iter().map(Some).chain(iter::repeat(None));
        let reading = accounts.into_iter().zip(afters).map(|(account, after)| async move {
            let listed = account.list(asking, kind, query.written(after.as_deref())).await;
            (listed.map(|listed| listed.behind(after.as_deref())), account)
        });
        let mut reading = futures::stream::iter(reading).buffered(MAX_ASKED_AT_ONCE);
        let (mut page, mut bytes) = (Self::default(), 0);
        let (mut answered, mut first_failed) = (false, None);
        while let Some((listed, account)) = reading.next().await {
            let listed = match listed {
                Ok(listed) => listed,
                Err(Unlisted { keeps_none, failed }) => {
                    if !keeps_none && page.missing.len() < MAX_MISSING {
                        page.missing.push(account.first().id.0.to_string());
                    }
                    first_failed.get_or_insert(failed);
                    continue;
                }
            };
            answered = true;
            let Listed { objects, has_more } = listed;
            let by = account.first();
            let homes = mastered.homes(&asking.serving.catalog, by);
            let sealing = Sealing::new(asking.proxy, asking.caller.owner(), by).with_homes(homes);
            for object in objects {
                page.has_more = page.objects.len() >= most || bytes > MAX_OBJECT_BYTES;
                if page.has_more {
                    return Ok(page);
                }
                bytes += object.len();
                let batch = KeptBatch::read(&object).filter(|_| kind == Kind::Batch);
                if let Some(batch) = batch.filter(|batch| batch.finished) {
                    page.over.push((Arc::clone(by), batch.id));
                }
                page.objects.push(sealing.object(&object, kind, by));
            }
            // What follows in this account comes before the others.
            if has_more {
                page.has_more = true;
                return Ok(page);
            }
        }
        first_failed.filter(|_| !answered).map_or(Ok(page), Err)
    }
}

/// The pairs of a query, as they were written. Names and ids need no escapes.
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    pub(super) fn read(query: &'a str) -> Self {
        Self(query.split('&').filter_map(|pair| pair.split_once('=')).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// How many things its client wants at most, which its vendor bounds.
    pub(super) fn limit(&self, kind: Kind) -> Result<Option<usize>, Refused> {
        let (most, expected) = match kind {
            Kind::MessageBatch => (1_000, "a whole number from 1 to 1000"),
            Kind::Batch => (100, "a whole number from 1 to 100"),
            Kind::File => (10_000, "a whole number from 1 to 10000"),
            Kind::Job | Kind::Response | Kind::Conversation | Kind::Call | Kind::Message => {
                (usize::MAX, "a whole number of 1 or more")
            }
        };
        let Some(said) = self.get("limit").map(decoded) else { return Ok(None) };
        let limit = said.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.map(Some).ok_or_else(|| Refused::bad_query("limit", &said, expected))
    }

    /// Whether the oldest come first.
    pub(super) fn is_ascending(&self) -> Result<bool, Refused> {
        match self.get("order") {
            Some("asc") => Ok(true),
            None | Some("desc") => Ok(false),
            Some(other) => Err(Refused::bad_query("order", other, "`asc` or `desc`")),
        }
    }

    /// Without what is for the gateway.
    pub(super) fn passed(&self) -> String {
        self.without("", None)
    }

    /// The same after the provider's own id.
    fn written(&self, after: Option<&str>) -> String {
        self.without("after", after.map(|id| format!("after={id}")))
    }

    fn without(&self, unwanted: &str, more: Option<String>) -> String {
        let is_ours = |name: &str| name == "model" || name == unwanted || is_gateways_own(name);
        let passed = self.0.iter().filter(|(name, _)| !is_ours(name));
        let passed = passed.map(|(name, value)| format!("{name}={value}"));
        passed.chain(more).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_keeps_what_is_the_providers() {
        let query = Query::read("model=chat&limit=2&after=file-dn1x&purpose=batch&order");
        assert_eq!(query.get("model"), Some("chat"));
        assert_eq!(query.written(Some("file-1")), "limit=2&purpose=batch&after=file-1");
        assert_eq!(query.passed(), "limit=2&after=file-dn1x&purpose=batch");
        let ours = Query::read("custom_llm_provider=azure&api_base=x&litellm_call_id=1&a=b");
        assert_eq!(ours.written(None), "a=b");
    }

    #[test]
    fn a_limit_is_what_the_vendor_says() {
        for (kind, most) in [(Kind::MessageBatch, 1_000), (Kind::Batch, 100), (Kind::File, 10_000)]
        {
            let read =
                |said: &str| Query::read(&format!("limit={said}")).limit(kind).ok().flatten();
            assert_eq!(read(&most.to_string()), Some(most));
            assert_eq!((read("1"), read("%32")), (Some(1), Some(2)));
            for bad in ["0", "-1", "abc", "", "1.5", &(most + 1).to_string()] {
                let told = Query::read(&format!("limit={bad}")).limit(kind).err();
                let told = Failed::from(told.expect(bad)).body();
                assert_eq!((told.code, told.param.as_deref()), (400, Some("limit")), "{bad}");
                assert!(told.message.contains(&most.to_string()), "{}", told.message);
            }
            assert!(matches!(Query::read("").limit(kind), Ok(None)));
        }
    }
}
