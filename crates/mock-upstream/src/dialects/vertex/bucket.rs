//! Google's buckets: lists of objects, and objects, which can be put there and taken away. Those whose
//! names begin with `locked` are not the caller's. `/token` gives the tokens that open the others.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};

use super::gemini;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{delete, get, post};
use crate::exchange::{Keys, Mock, Place, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::{Recorded, decoded};

/// When all objects were put there.
const CREATED: &str = "2026-11-20T01:00:00.000Z";

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/storage/v1/b/{bucket}/o", get(Bucket::List))
        .route(
            "/storage/v1/b/{bucket}/o/{object}",
            get(Bucket::Object).merge(delete(Bucket::Delete)),
        )
        .route("/upload/storage/v1/b/{bucket}/o", post(Bucket::Upload))
        .route("/token", post(Bucket::Token))
}

#[derive(Clone, Copy)]
enum Bucket {
    List,
    Object,
    Upload,
    Delete,
    Token,
}

impl Route for Bucket {
    fn keys(&self) -> Keys {
        match self {
            Self::Token => Keys { needed: false, places: &[] },
            Self::List | Self::Object | Self::Upload | Self::Delete => {
                Keys { needed: true, places: &[Place::Bearer] }
            }
        }
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let bucket = request.segment(if let Self::Upload = self { 4 } else { 3 });
        if bucket.starts_with("locked") {
            return Err(Failure::told(
                403,
                "The caller does not have storage.objects.list access.",
            ));
        }
        let name = match self {
            Self::Token => return Ok(Ask::default()),
            Self::List => decoded(request.parameter("prefix").unwrap_or_default()),
            Self::Object | Self::Delete => request.segment(5),
            Self::Upload if request.parameter("uploadType") != Some("media") => {
                return Err(Failure::bad("only uploads of uploadType=media are known here"));
            }
            Self::Upload => decoded(request.parameter("name").unwrap_or_default()),
        };
        let (id, file) = (format!("gs://{bucket}/{name}"), request.body.clone());
        Ok(Ask { id, file, ..Ask::default() })
    }

    fn reply(&self, mock: &Mock, ask: &Ask, _: &Answer) -> Reply {
        match self {
            Self::List => {
                let objects = mock.shelf.below(&ask.id).into_iter();
                let items: Vec<Value> = objects
                    .map(|object| {
                        json!({"name": object.value, "size": object.content.len().to_string(),
                            "timeCreated": CREATED})
                    })
                    .collect();
                Reply::Json(json!({ "items": items }))
            }
            Self::Object => match mock.shelf.find(&ask.id) {
                Some(object) => Reply::Bytes("application/octet-stream", object.content),
                None => Reply::Failed(Failure::absent("object", &ask.id)),
            },
            Self::Upload => {
                mock.shelf.put_object(&ask.id, ask.file.clone());
                Reply::Json(json!({"id": ask.id, "size": ask.file.len().to_string()}))
            }
            Self::Delete if mock.shelf.remove(&ask.id) => Reply::Json(Value::Null),
            Self::Delete => Reply::Failed(Failure::absent("object", &ask.id)),
            Self::Token => {
                let token = mock.settings.key.as_deref().unwrap_or("ya29.mock");
                Reply::Json(
                    json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}),
                )
            }
        }
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        gemini::refuse(failure, true)
    }
}
