//! On whose behalf a request is made: what its labels say, and where it came from.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use dunlin_journal::Origin;
use dunlin_llm::Labels;
use dunlin_llm::client::{self, Peer};

use crate::Settings;
use crate::response::error::Refused;
use crate::response::words;

/// As much of a `User-Agent` as is kept.
const MAX_USER_AGENT: usize = 256;

/// Where a request came from.
#[derive(Clone, Default)]
pub(crate) struct Client {
    peer: Option<Peer>,
    /// Who the last proxy on the way says that it is.
    forwarded: Option<IpAddr>,
    user_agent: Option<String>,
    /// Whether something is asked for: by POST, or in a conversation.
    asks: bool,
}

impl Client {
    pub(crate) fn of(request: &Request) -> Self {
        let headers = request.headers();
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        // A header's text is ASCII: it may be cut anywhere.
        let agent = agent.map(|agent| agent[..agent.len().min(MAX_USER_AGENT)].to_owned());
        let peer = request.extensions().get::<Peer>().copied();
        let asks = request.method() == Method::POST && !only_counts(request.uri().path())
            || headers.contains_key(header::UPGRADE);
        Self { peer, forwarded: client::forwarded(headers), user_agent: agent, asks }
    }

    /// With what the body and the headers say, which is what all requests must say.
    pub(crate) fn origin(
        &self,
        settings: &Settings,
        headers: &HeaderMap,
        body: &Labels,
    ) -> Result<Origin, Refused> {
        let demands = &settings.demands;
        let origin = self.said(settings, headers, body)?;
        if demands.no_tags && !origin.tags.is_empty() {
            return Err(Refused::Unfit { param: "metadata.tags", message: words::NO_TAGS.into() });
        }
        if demands.user && self.asks && origin.end_user.is_none() {
            return Err(Refused::MissingParam("user".to_owned()));
        }
        Ok(origin)
    }

    /// With what the body and the headers say, whatever that is.
    pub(crate) fn said(
        &self,
        settings: &Settings,
        headers: &HeaderMap,
        body: &Labels,
    ) -> Result<Origin, Refused> {
        let labels = body.with_headers(headers, &settings.end_user_headers);
        let Labels { end_user, tags, spend_metadata, session } =
            labels.map_err(Refused::BadRequest)?;
        let ip = client::address(self.peer, self.forwarded, settings.trusts_forwarded_for);
        let user_agent = self.user_agent.clone();
        Ok(Origin { end_user, tags, spend_metadata, session, ip, user_agent })
    }
}

/// Whether a request is for the number of its tokens: no model is asked, and nothing is demanded.
pub(crate) fn only_counts(path: &str) -> bool {
    ["/count_tokens", ":countTokens", "/input_tokens"].iter().any(|end| path.ends_with(end))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::Demands;

    #[test]
    fn a_proxy_is_believed_only_where_it_is_trusted_and_only_its_own_word() {
        let request = Request::builder()
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-for", "7.7.7.7, 10.0.0.9")
            .header("user-agent", "a".repeat(MAX_USER_AGENT + 1))
            .extension(Peer([127, 0, 0, 1].into()))
            .body(Body::empty())
            .expect("a request");
        let client = Client::of(&request);
        for (trusts_forwarded_for, ip) in [(false, [127, 0, 0, 1]), (true, [10, 0, 0, 9])] {
            let settings = Settings { trusts_forwarded_for, ..Settings::default() };
            let origin = client.origin(&settings, request.headers(), &Labels::default());
            let Ok(origin) = origin else { panic!("it says nothing wrong") };
            assert_eq!(origin.ip, Some(IpAddr::from(ip)));
            assert_eq!(origin.user_agent.map(|agent| agent.len()), Some(MAX_USER_AGENT));
        }
    }

    #[test]
    fn what_is_demanded_of_all_requests_is_demanded_wherever_they_come_in() {
        let demands = Demands { user: true, no_tags: true, ..Demands::default() };
        let settings = Settings { demands, ..Settings::default() };
        let origin_of = |method: Method, user: Option<&str>, tags: &[&str], header: &str| {
            let request = Request::builder().method(method).header("x-litellm-tags", header);
            let request = request.body(Body::empty()).expect("a request");
            let end_user = user.map(str::to_owned);
            let tags = tags.iter().map(ToString::to_string).collect();
            let body = Labels { end_user, tags, ..Labels::default() };
            let client = Client::of(&request);
            let found = client.origin(&settings, request.headers(), &body);
            found.map(|_| ()).map_err(|refused| {
                if let Refused::MissingParam(name) = &refused {
                    return name.clone();
                }
                let Refused::Unfit { param, .. } = refused else { panic!("another reason") };
                param.to_owned()
            })
        };
        let origin = |method, user, tags: &[&str]| origin_of(method, user, tags, "");
        assert_eq!(origin(Method::POST, Some("u"), &[]), Ok(()));
        assert_eq!(origin(Method::POST, None, &[]), Err("user".to_owned()));
        assert_eq!(origin(Method::GET, None, &[]), Ok(()), "it has no body to say it in");
        assert_eq!(origin(Method::POST, Some("u"), &["t"]), Err("metadata.tags".to_owned()));
        let by_header = origin_of(Method::POST, Some("u"), &[], "t");
        assert_eq!(by_header, Err("metadata.tags".to_owned()), "a header says it, too");
    }
}
