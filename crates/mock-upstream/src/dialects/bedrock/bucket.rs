//! S3, below `/s3`: lists of objects, and objects, which can be put there and taken away. Buckets whose
//! names begin with `locked` are not the caller's.

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodFilter;
use bytes::Bytes;
use serde_json::json;

use super::signature;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{delete, get, to};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::{Failure, Why};
use crate::record::{Recorded, decoded};

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new().route("/s3/{bucket}", get(Bucket::List)).route(
        "/s3/{bucket}/{*key}",
        get(Bucket::Object).merge(to(MethodFilter::PUT, Bucket::Put)).merge(delete(Bucket::Delete)),
    )
}

#[derive(Clone, Copy)]
enum Bucket {
    List,
    Object,
    Put,
    Delete,
}

impl Route for Bucket {
    fn keys(&self) -> Keys {
        Keys { needed: false, places: &[] }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        signature::check_of_s3(mock, request)?;
        let path = decoded(request.path.trim_start_matches("/s3/"));
        if path.starts_with("locked") {
            return Err(Failure::told(403, "Access Denied"));
        }
        let Self::List = self else {
            return Ok(Ask { id: path, file: request.body.clone(), ..Ask::default() });
        };
        if request.parameter("list-type") != Some("2") {
            return Err(Failure::bad("only ListObjectsV2 is spoken here"));
        }
        let prefix = decoded(request.parameter("prefix").unwrap_or_default());
        Ok(Ask { id: format!("{path}/{prefix}"), ..Ask::default() })
    }

    fn reply(&self, mock: &Mock, ask: &Ask, _: &Answer) -> Reply {
        let uri = format!("s3://{}", ask.id);
        match self {
            Self::List => {
                let keys = mock.shelf.below(&uri).into_iter().map(|object| {
                    let key = object.value.as_str().unwrap_or_default().to_owned();
                    let size = object.content.len();
                    format!(
                        "<Contents><Key>{key}</Key><LastModified>2026-11-20T01:00:00.000Z\
                         </LastModified><Size>{size}</Size></Contents>"
                    )
                });
                let keys: String = keys.collect();
                let list = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
                     xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{keys}</ListBucketResult>"
                );
                Reply::Bytes("application/xml", list.into())
            }
            Self::Put => {
                mock.shelf.put_object(&uri, ask.file.clone());
                Reply::Bytes("application/xml", Bytes::new())
            }
            Self::Delete => {
                mock.shelf.remove(&uri);
                Reply::Bytes("application/xml", Bytes::new())
            }
            Self::Object => match mock.shelf.find(&uri) {
                Some(object) => Reply::Bytes("binary/octet-stream", object.content),
                None => Reply::Failed(Failure::absent("object", &ask.id)),
            },
        }
    }

    /// S3's own are XML, of which nobody reads more than the status.
    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        let status = match failure.why {
            Why::NoKey | Why::WrongKey => 403,
            Why::Bad(_) | Why::TooLong { .. } | Why::Loading | Why::Told | Why::Unknown => {
                failure.status
            }
        };
        Refusal::new(status, json!({ "message": failure.message }))
    }
}
