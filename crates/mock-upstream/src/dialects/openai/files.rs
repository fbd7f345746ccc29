//! `/v1/files`.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};

use super::{CREATED, KEYS, refuse};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{delete, get, post};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::form;
use crate::record::Recorded;
use crate::shelf::Thing;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/files", post(Files::Upload).merge(get(Files::List)))
        .route("/v1/files/{id}", get(Files::Show).merge(delete(Files::Delete)))
        .route("/v1/files/{id}/content", get(Files::Content))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    Upload,
    List,
    Show,
    Content,
    Delete,
}

impl Route for Files {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        if *self != Self::Upload {
            return Ok(Ask { id: request.segment(2), ..Ask::default() });
        }
        let ask = form::read(request, "file")?;
        if !ask.body["purpose"].is_string() {
            return Err(Failure::missing("purpose"));
        }
        Ok(ask)
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if let Self::Upload = self {
            let id = format!("file-{}", answer.id);
            let value = described(&id, ask.file.len(), &ask.body["filename"], &ask.body["purpose"]);
            mock.shelf.put(Thing { id, value: value.clone(), content: ask.file.clone() });
            return Reply::Json(value);
        }
        if let Self::List = self {
            return Reply::Json(list(mock.shelf.all("file-")));
        }
        let Some(file) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("file", &ask.id));
        };
        match self {
            Self::Content => Reply::Bytes("application/octet-stream", file.content),
            Self::Delete => {
                let deleted = mock.shelf.remove(&file.id);
                Reply::Json(json!({"id": file.id, "object": "file", "deleted": deleted}))
            }
            Self::Show | Self::Upload | Self::List => Reply::Json(file.value),
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

pub(super) fn described(id: &str, bytes: usize, filename: &Value, purpose: &Value) -> Value {
    json!({"id": id, "object": "file", "bytes": bytes, "created_at": CREATED, "expires_at": null,
        "filename": filename, "purpose": purpose, "status": "processed", "status_details": null})
}

/// A list as of files and batches; the mock never has more.
pub(super) fn list(data: Vec<Value>) -> Value {
    let id = |one: Option<&Value>| one.map(|one| one["id"].clone());
    json!({"object": "list", "first_id": id(data.first()), "last_id": id(data.last()),
        "has_more": false, "data": data})
}
