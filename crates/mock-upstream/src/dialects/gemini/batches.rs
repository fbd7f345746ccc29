//! `/v1beta/batches`: made by `:batchGenerateContent`, of requests that are in the batch. One is over
//! when it is looked at for the first time.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Gemini, refuse};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::{delete, get};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route, within};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

pub(super) fn router() -> Router<Arc<Mock>> {
    let one = get(Batches::Show).merge(delete(Batches::Delete));
    Router::new().route("/v1beta/batches/{id}", one)
}

#[derive(Clone, Copy)]
enum Batches {
    Show,
    Delete,
}

impl Route for Batches {
    fn keys(&self) -> Keys {
        Gemini { vertex: false }.keys()
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        Ok(Ask { id: format!("batches/{}", request.segment(2)), ..Ask::default() })
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let Some(mut batch) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("batch", &ask.id));
        };
        match self {
            Self::Delete => {
                mock.shelf.remove(&ask.id);
                Reply::Json(json!({}))
            }
            Self::Show => {
                if batch.value["done"] != true {
                    run(mock, &mut batch, answer);
                    mock.shelf.put(batch.clone());
                }
                Reply::Json(batch.value)
            }
        }
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure, false)
    }
}

pub(super) fn create(mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
    let input = &ask.body["batch"]["input_config"]["requests"]["requests"];
    if !input.is_array() {
        return Reply::Failed(Failure::bad("* batch.input_config: input is not specified"));
    }
    let id = format!("batches/{}", answer.id);
    let metadata = json!({"@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": format!("models/{}", ask.model), "name": id, "state": "BATCH_STATE_PENDING",
        "displayName": ask.body["batch"]["display_name"]});
    let value = json!({"name": id, "metadata": metadata});
    mock.shelf.put(Thing { id, value: value.clone(), content: Bytes::from(input.to_string()) });
    Reply::Json(value)
}

/// Answers every request.
fn run(mock: &Mock, batch: &mut Thing, answer: &Answer) {
    let requests: Vec<Value> = serde_json::from_slice(&batch.content).unwrap_or_default();
    let model = batch.value["metadata"]["model"].as_str().unwrap_or_default().to_owned();
    let path = format!("/v1beta/{model}:generateContent");
    let answers = requests.iter().map(|request| {
        let asked = Recorded::within(&path, &request["request"]);
        let (status, body) = within(mock, &asked, &Gemini { vertex: false }, answer);
        let answer = if status == 200 { "response" } else { "error" };
        json!({answer: body, "metadata": request["metadata"]})
    });
    let inlined = json!({"inlinedResponses": answers.collect::<Vec<_>>()});
    batch.value["metadata"]["state"] = json!("BATCH_STATE_SUCCEEDED");
    batch.value["done"] = json!(true);
    batch.value["response"] = json!({"inlinedResponses": inlined});
}
