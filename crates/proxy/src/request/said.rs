//! What a path or a query says, read as axum reads it; what cannot be read is refused in the words of
//! the dialect that is spoken there.

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{self, FromRequestParts};
use axum::http::Response;
use axum::http::request::Parts;
use dunlin_llm::Endpoint;

use crate::Proxy;
use crate::request::call::Call;
use crate::response::error::{Failed, Refused};

/// What stands in the places of a route.
pub(crate) struct Path<T>(pub(crate) T);

/// What stands behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T> FromRequestParts<Proxy> for Path<T>
where
    extract::Path<T>: FromRequestParts<Proxy, Rejection = PathRejection>,
{
    type Rejection = Response<Body>;

    async fn from_request_parts(head: &mut Parts, proxy: &Proxy) -> Result<Self, Response<Body>> {
        match extract::Path::from_request_parts(head, proxy).await {
            Ok(extract::Path(said)) => Ok(Self(said)),
            Err(bad) => Err(refusal(head, proxy, "path", bad.body_text())),
        }
    }
}

impl<T> FromRequestParts<Proxy> for Query<T>
where
    extract::Query<T>: FromRequestParts<Proxy, Rejection = QueryRejection>,
{
    type Rejection = Response<Body>;

    async fn from_request_parts(head: &mut Parts, proxy: &Proxy) -> Result<Self, Response<Body>> {
        match extract::Query::from_request_parts(head, proxy).await {
            Ok(extract::Query(said)) => Ok(Self(said)),
            Err(bad) => Err(refusal(head, proxy, "query", bad.body_text())),
        }
    }
}

fn refusal(head: &Parts, proxy: &Proxy, param: &'static str, message: String) -> Response<Body> {
    let path = head.uri.path();
    let endpoint = if head.headers.contains_key("anthropic-version") || path.contains("/messages") {
        Endpoint::Messages
    } else if path.contains("/v1beta/") || path.contains(':') {
        Endpoint::GenerateContent
    } else {
        Endpoint::ChatCompletions
    };
    let call = Call::of_headers(proxy, endpoint, &head.headers);
    Failed::from(Refused::Unfit { param, message }).response(&call)
}
