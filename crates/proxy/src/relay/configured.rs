//! Calls of paths that the configuration leads elsewhere. Whatever no route of ours takes ends here.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use dunlin_admission::{Bounds, Demand};
use dunlin_ledger::Pricing;
use dunlin_llm::{Endpoint, tokens_in};
use dunlin_providers::sigv4::path_segment;
use dunlin_router::{PassThrough, find_pass_through};
use dunlin_upstream::{Relay, Upload};

use crate::attempts::hold;
use crate::bill::report;
use crate::bill::{About, Bill};
use crate::relay::upload::{self, Sent};
use crate::relay::{PASSED, fields, passing, path};
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::response::told::AnswerHeaders;
use crate::server::front;
use crate::{Proxy, Serving};

/// What every server needs to know of a request.
static ALWAYS: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];
/// LiteLLM's way to send a header on whatever is set: this is cut off its name.
const PASS: &str = "x-pass-";

/// Answers one request that no route takes.
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let serving = proxy.0.serving.load_full();
    let found = find_pass_through(&serving.catalog.endpoints, request.uri().path());
    let Some((endpoint, rest)) = found else { return front::not_found() };
    let method = request.method().as_str();
    if !endpoint.methods.is_empty() && !endpoint.methods.iter().any(|takes| **takes == *method) {
        return front::wrong_method().await;
    }
    let call = Call::begin(&proxy, Endpoint::ChatCompletions, &request).named(PASSED);
    let rest = rest.to_owned();
    let answered = conduct(&proxy, &call, &serving, (endpoint, &rest), request).await;
    call.answer(&proxy, answered)
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    serving: &Arc<Serving>,
    (endpoint, rest): (&PassThrough, &str),
    request: Request,
) -> Result<Response<Body>, Failed> {
    let (head, body) = request.into_parts();
    let mut caller = match endpoint.needs_key {
        true => call.identify(proxy, serving, &head.headers, &head.uri).await?,
        // Nobody: no limits, and spend that is on record for no key.
        false => Caller::Master,
    };
    if let Some(why) = &endpoint.parked {
        let reason = format!("the pass-through endpoint {} is parked: {why}", endpoint.path);
        return Err(Refused::CannotKnow { reason }.into());
    }
    if path::climbs(rest) {
        return Err(Refused::UnclearPath(path::CLIMBS).into());
    }
    let most = serving.settings.max_request_bytes;
    let Sent { whole: body, upload } = upload::take_any(body, &head, &caller, most).await?;
    let progress = upload.as_ref().map(Upload::progress);
    call.known.asks(&endpoint.path, false);
    call.is_for(&serving.settings, &head, &body);
    let (labels, body) = caller.said(&head, body, false)?;
    let mut origin = call.client.origin(&serving.settings, &head.headers, &labels)?;
    caller.count_for(proxy, &mut origin).await?;
    let prompt_estimate = tokens_in(body.len() as u64);
    let fee = Bounds { likely: endpoint.fee, most: endpoint.fee };
    let demand = Demand {
        cost: hold::larger(Bounds::UNKNOWN, fee),
        ..Demand::free(call.id, &endpoint.path, prompt_estimate, serving.settings.counted)
    };
    let admitted = proxy.0.admission.admit(caller.key(), demand).await;
    let permit = admitted.map_err(|refusal| Refused::admission(refusal, &caller, call.started))?;
    let told = AnswerHeaders::of_admission(call, &caller, permit.limits());
    let told = told.spending(caller.spent(proxy)).called(call);
    let about = About::relayed(&endpoint.path, prompt_estimate, origin);
    let mut bill = Bill::open(proxy.clone(), permit, call, &caller, about);
    bill.tell(report::of(proxy, &caller, &head.headers));
    bill.priced_as("", Pricing::Unpriced);
    bill.fee(endpoint.fee);

    let passed = Relay {
        method: head.method,
        path: String::new(),
        query: None,
        headers: outgoing(endpoint, &head.headers, serving.settings.key_header.as_deref()),
        body,
        secret: None,
    };
    let url = url(endpoint, rest, head.uri.query());
    let relayed = match proxy.0.upstream.fetch(url, (passed, upload), endpoint.timeout).await {
        Ok(relayed) => relayed,
        Err(error) => {
            let refused = upload::fault(progress.as_deref());
            let refused = refused.unwrap_or_else(|| Refused::Answered(Box::new(error)));
            return Err(bill.fail(refused));
        }
    };
    let (status, headers) = (relayed.status, fields::incoming(&relayed.headers));
    let (body, _) = passing::body(relayed, bill, None, passing::Made::Nothing);
    Ok(headers::relayed(told, status, headers, body))
}

/// The target with what follows, the client's parameters, and those that it leaves to the operator.
fn url(endpoint: &PassThrough, rest: &str, query: Option<&str>) -> String {
    let said: Vec<&str> = query.into_iter().flat_map(|query| query.split('&')).collect();
    let names = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let defaults = endpoint.query.iter().filter_map(|(name, value)| {
        let name = path_segment(name);
        let is_said = said.iter().any(|pair| names(pair) == name);
        (!is_said).then(|| format!("{name}={}", path_segment(value)))
    });
    let pairs = said.iter().filter(|pair| !pair.is_empty()).map(|pair| (*pair).to_owned());
    let pairs: Vec<String> = pairs.chain(defaults).collect();
    let mark = if pairs.is_empty() { "" } else { "?" };
    format!("{}{rest}{mark}{}", endpoint.target, pairs.join("&"))
}

fn outgoing(endpoint: &PassThrough, client: &HeaderMap, key_header: Option<&str>) -> HeaderMap {
    let clean = fields::outgoing(client, key_header);
    let mut headers = HeaderMap::new();
    for (name, value) in &clean {
        if let Some(other) = name.as_str().strip_prefix(PASS) {
            let other = HeaderName::from_bytes(other.as_bytes()).ok();
            if let Some(other) = other.filter(fields::passes) {
                headers.append(other, value.clone());
            }
        } else if endpoint.forwards_headers || ALWAYS.contains(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    for (name, value) in &endpoint.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the configuration was checked");
        let mut value = HeaderValue::from_str(value.expose()).expect("as was this");
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dunlin_types::{NanoUsd, Secret};

    use super::*;

    fn endpoint() -> PassThrough {
        PassThrough {
            path: "/search".into(),
            target: "https://t/v2".into(),
            with_subpaths: true,
            methods: Vec::new(),
            headers: vec![("authorization".into(), Secret::new("bearer theirs"))],
            forwards_headers: false,
            query: vec![("lang".into(), "de&x".into()), ("page".into(), "1".into())],
            needs_key: true,
            fee: NanoUsd::ZERO,
            timeout: Duration::from_secs(1),
            parked: None,
        }
    }

    #[test]
    fn what_the_client_says_stands_over_the_defaults() {
        let cases = [
            ("", None, "https://t/v2?lang=de%26x&page=1"),
            ("/a%2Fb", Some("page=7&q=x"), "https://t/v2/a%2Fb?page=7&q=x&lang=de%26x"),
        ];
        for (rest, query, expected) in cases {
            assert_eq!(url(&endpoint(), rest, query), expected);
        }
    }

    #[test]
    fn the_clients_headers_go_along_only_where_that_is_set() {
        let client: HeaderMap = [
            ("authorization", "Bearer sk-ours"),
            ("content-type", "text/plain"),
            ("x-other", "1"),
            ("x-pass-host", "elsewhere"),
            ("x-pass-team", "a"),
            ("x-pass-transfer-encoding", "chunked"),
        ]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
        .collect();
        for forwards_headers in [false, true] {
            let sent = outgoing(&PassThrough { forwards_headers, ..endpoint() }, &client, None);
            assert_eq!(sent["authorization"], "bearer theirs");
            assert_eq!(
                (&sent["content-type"], &sent["team"]),
                (&client["content-type"], &client["x-pass-team"])
            );
            assert!(!sent.contains_key("host") && !sent.contains_key("transfer-encoding"));
            assert_eq!(sent.contains_key("x-other"), forwards_headers);
        }
    }
}
