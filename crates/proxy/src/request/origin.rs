//! On whose behalf a request is made: what its labels say, and where it came from.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use dunlin_journal::Origin;
use dunlin_llm::Labels;
use dunlin_llm::client::{self, Peer};

use crate::Settings;
use crate::response::error::Refused;

/// As much of a `User-Agent` as is kept.
const MAX_USER_AGENT: usize = 256;

/// Where a request came from.
#[derive(Clone, Default)]
pub(crate) struct Client {
    peer: Option<Peer>,
    /// Who the last proxy on the way says that it is.
    forwarded: Option<IpAddr>,
    user_agent: Option<String>,
}

impl Client {
    pub(crate) fn of(request: &Request) -> Self {
        let headers = request.headers();
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        // A header's text is ASCII: it may be cut anywhere.
        let agent = agent.map(|agent| agent[..agent.len().min(MAX_USER_AGENT)].to_owned());
        let peer = request.extensions().get::<Peer>().copied();
        Self { peer, forwarded: client::forwarded(headers), user_agent: agent }
    }

    /// With what the body and the headers say.
    pub(crate) fn origin(
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

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

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
}
