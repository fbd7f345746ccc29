//! GET of a list: for the master key what the provider lists, for other keys what is noted of theirs.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response};
use dunlin_admission::Bounds;
use dunlin_llm::Endpoint;
use dunlin_types::Tokens;
use dunlin_upstream::Relay;

use super::home::{Home, OURS, Wish};
use super::{Asking, ask, noted};
use crate::Proxy;
use crate::bill::refused;
use crate::chat::Call;
use crate::ids::Kind;
use crate::request::kept::Sealing;
use crate::response::error::{Failed, Refused};

/// Answers one request for a list. `provider` is the one that the path names.
pub(crate) async fn list(
    proxy: &Proxy,
    kind: Kind,
    provider: Option<&str>,
    request: Request,
) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request);
    match conduct(proxy, &call, (kind, provider), request).await {
        Ok(response) => response,
        Err(failed) => refused::answer(proxy, &call, failed),
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
    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers: &head.headers };
    let query = Query::read(head.uri.query().unwrap_or_default());
    if caller.key().is_some() {
        return noted::list(asking, kind, &query).await;
    }
    let wish = Wish::read(provider, |name| query.get(name), &head.headers);
    let home = Home::find(&asking, wish, &BTreeSet::new(), true)?;
    let after = query.get("after").map(|id| {
        let opened = proxy.0.ids.open(kind, id, caller.owner());
        opened.map_err(|bad| Refused::no_such(kind, id, bad))
    });
    let after = after.transpose()?.map(|kept| kept.upstream);

    let (bill, told) = asking.admit(&home.lenders.group.name, Tokens(0), Bounds::default()).await?;
    let attempt = asking.attempt(&home.lenders.group, Tokens(0))?;
    let query = Some(query.written(after.as_deref()));
    let asked = Relay { query, ..ask(Method::GET, format!("/{}", kind.collection())) };
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    let homes = noted::homes(asking, &[kind, Kind::File], &answer.by).await;
    let sealing = Sealing::new(proxy, caller.owner(), &answer.by).with_homes(homes);
    answer.list(kind, &sealing).await
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

    /// Without what is for the gateway, and after the provider's own id.
    fn written(&self, after: Option<&str>) -> String {
        let passed = self.0.iter().filter(|(name, _)| !OURS.contains(name) && *name != "after");
        let passed = passed.map(|(name, value)| format!("{name}={value}"));
        let after = after.map(|id| format!("after={id}"));
        passed.chain(after).collect::<Vec<_>>().join("&")
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
    }
}
