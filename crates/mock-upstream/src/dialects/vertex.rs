//! Google's Vertex AI: Gemini's bodies, and Anthropic's, at the paths of a project; its jobs, and the
//! buckets and tokens of Google's that they need.

use std::sync::Arc;

use axum::Router;
use serde_json::json;

use super::gemini::{self, Gemini, called};
use super::{anthropic, post};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::exchange::{Keys, Mock, Place, Refusal, Reply, Route};
use crate::failure::{Failure, Why};
use crate::record::Recorded;

mod bucket;
mod jobs;

const VERSION: &str = "vertex-2023-10-16";

pub(super) fn router() -> Router<Arc<Mock>> {
    let mut router = Router::new().merge(jobs::router()).merge(bucket::router());
    for version in ["v1", "v1beta1"] {
        let publishers =
            format!("/{version}/projects/{{project}}/locations/{{location}}/publishers");
        router = router
            .route(&format!("{publishers}/google/models/{{call}}"), post(Gemini { vertex: true }))
            .route(&format!("{publishers}/anthropic/models/{{call}}"), post(Claude));
    }
    router
}

#[derive(Clone, Copy)]
struct Claude;

impl Route for Claude {
    fn keys(&self) -> Keys {
        Keys { needed: true, places: &[Place::Bearer] }
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let (model, verb) = called(request)?;
        let mut ask = Ask::json(&request.body)?;
        if verb != "rawPredict" && verb != "streamRawPredict" {
            return Err(Failure::no_model(&verb));
        }
        match ask.body["anthropic_version"].as_str() {
            Some(anthropic::LATEST) => anthropic::check_latest(&ask)?,
            Some(VERSION) => {}
            _ => return Err(Failure::bad("anthropic_version: Field required")),
        }
        if model == "count-tokens" {
            return Ok(Ask { id: model, ..anthropic::understand(ask)? });
        }
        if !ask.model.is_empty() {
            return Err(Failure::bad("model: Extra inputs are not permitted"));
        }
        ask.model = model;
        let ask = anthropic::understand(ask)?;
        anthropic::check_limits(&ask)?;
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if ask.id == "count-tokens" {
            return Reply::Json(json!({"input_tokens": ask.prompt_tokens}));
        }
        anthropic::reply(ask, answer)
    }

    /// What never reached the model is refused in Google's words.
    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        match failure.why {
            Why::NoKey | Why::WrongKey | Why::Unknown => gemini::refuse(failure, true),
            Why::Bad(_) | Why::TooLong { .. } | Why::Loading | Why::Told => {
                anthropic::refuse(failure)
            }
        }
    }
}
