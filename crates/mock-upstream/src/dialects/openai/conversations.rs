//! `/v1/conversations`: what responses said in one, and what was put into it.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{CREATED, KEYS, files, refuse};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{delete, get, post};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

pub(super) fn router() -> Router<Arc<Mock>> {
    const ONE: &str = "/v1/conversations/{id}";
    Router::new()
        .route("/v1/conversations", post(Conversations::Create))
        .route(
            ONE,
            get(Conversations::Show)
                .merge(post(Conversations::Update))
                .merge(delete(Conversations::Delete)),
        )
        .route(
            "/v1/conversations/{id}/items",
            get(Conversations::Items).merge(post(Conversations::Add)),
        )
        .route(
            "/v1/conversations/{id}/items/{item}",
            get(Conversations::Item).merge(delete(Conversations::DeleteItem)),
        )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Conversations {
    Create,
    Show,
    Update,
    Delete,
    Items,
    Add,
    Item,
    DeleteItem,
}

/// The items of a conversation.
pub(super) fn items(thing: &Thing) -> Vec<Value> {
    serde_json::from_slice(&thing.content).expect("they were written here")
}

/// Puts items behind those of a conversation, with ids where they have none. They come back.
pub(super) fn add(mock: &Mock, mut thing: Thing, new: &[Value]) -> Vec<Value> {
    let mut all = items(&thing);
    let added = new.iter().enumerate().map(|(at, item)| {
        let mut item = item.clone();
        if !item["id"].is_string() {
            item["id"] = format!("msg_{}", all.len() + at).into();
        }
        item
    });
    let added: Vec<Value> = added.collect();
    all.extend(added.iter().cloned());
    thing.content = Bytes::from(json!(all).to_string());
    mock.shelf.put(thing);
    added
}

impl Route for Conversations {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask = match self {
            Self::Create | Self::Update | Self::Add => Ask::json(&request.body)?,
            Self::Show | Self::Delete | Self::Items | Self::Item | Self::DeleteItem => {
                Ask::default()
            }
        };
        for ours in ["model", "custom_llm_provider", "litellm_metadata"] {
            if !ask.body[ours].is_null() {
                return Err(Failure::parameter(ours, format!("Unknown parameter: '{ours}'.")));
            }
        }
        let model = request.segment(4);
        Ok(Ask { id: request.segment(2), model, ..ask })
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let new = ask.body["items"].as_array().cloned().unwrap_or_default();
        if let Self::Create = self {
            let id = format!("conv_{}", answer.id);
            let metadata = ask.body.get("metadata").cloned().unwrap_or_else(|| json!({}));
            let value = json!({"id": id, "object": "conversation", "created_at": CREATED,
                "metadata": metadata});
            let content = Bytes::from_static(b"[]");
            add(mock, Thing { id, value: value.clone(), content }, &new);
            return Reply::Json(value);
        }
        let Some(mut thing) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("conversation", &ask.id));
        };
        // The item's id came in the place of a model's name.
        let is_meant = |item: &Value| item["id"] == *ask.model;
        match self {
            Self::Create | Self::Show => Reply::Json(thing.value),
            Self::Update => {
                thing.value["metadata"] = ask.body["metadata"].clone();
                mock.shelf.put(thing.clone());
                Reply::Json(thing.value)
            }
            Self::Delete => {
                let deleted = mock.shelf.remove(&ask.id);
                let object = "conversation.deleted";
                Reply::Json(json!({"id": ask.id, "object": object, "deleted": deleted}))
            }
            Self::Items => Reply::Json(files::list(items(&thing).into_iter().rev().collect())),
            Self::Add => Reply::Json(files::list(add(mock, thing, &new))),
            Self::Item => match items(&thing).into_iter().find(is_meant) {
                Some(item) => Reply::Json(item),
                None => Reply::Failed(Failure::absent("item", &ask.model)),
            },
            Self::DeleteItem => {
                let rest: Vec<Value> =
                    items(&thing).into_iter().filter(|item| !is_meant(item)).collect();
                thing.content = Bytes::from(json!(rest).to_string());
                mock.shelf.put(thing.clone());
                Reply::Json(thing.value)
            }
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}
