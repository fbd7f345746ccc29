//! Batches of providers' own APIs: which calls make them and which are about one, what they ask for,
//! whether they are over, and what each of their answers used.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{BadBatch, Beside, Hearing, KeptBatch, Shape};
use crate::bound::Bound;
use crate::edit::{self, member};
use crate::estimate::prompt_tokens;
use crate::ids::{Place, rename_ids};
use crate::json::string;
use crate::meter::Meter;
use crate::parse::{BadRequest, check_object};
use crate::said::Required;

mod jobs;
mod listed;

pub use jobs::{Folder, Left};

/// Where batches of Anthropic's name models.
const MODELS: &[&Place] = &[&["requests", "*", "params", "model"]];
const MODEL_OF_REQUEST: &[&Place] = &[&["params", "model"]];
/// Where jobs of Bedrock's and of Vertex AI's do.
const MODELS_OF_BEDROCK: &[&Place] = &[&["modelId"]];
const MODELS_OF_VERTEX: &[&Place] = &[&["model"]];
/// Google's words for a batch to which nothing will be added, behind `BATCH_STATE` or `JOB_STATE`.
const OVER: [&str; 4] = ["_SUCCEEDED", "_FAILED", "_CANCELLED", "_EXPIRED"];

/// The form of an API's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The requests are in the batch, each with its model; the answers have an address of their own.
    Anthropic,
    /// The model is in the path; requests and answers are in the batch, or in files.
    Google,
    /// Requests and answers are in files: OpenAI's, and Mistral's.
    OpenAi,
    /// The batch names the model; requests and answers are objects in buckets of S3.
    Bedrock,
    /// The same in buckets of Google's, or in tables.
    Vertex,
}

/// Where batches are behind one of our prefixes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Their form.
    pub form: Form,
    /// The path below which they are, without a slash at its end.
    pub path: String,
}

/// A call about one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Whether the answer to a GET may hold what the batch has answered.
    pub shows_answers: bool,
}

/// A batch as its provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its id.
    pub id: String,
    /// Nothing will be added to it.
    pub finished: bool,
    /// What it has answered.
    pub answers: Answers,
}

/// Where the answers of a batch are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// There are none.
    None,
    /// In the batch itself.
    Here(Vec<String>),
    /// One in each line of what is at that path, asked with that query.
    At(String, Option<&'static str>),
    /// One in each line of objects in a bucket.
    Below {
        /// Where those are.
        folder: Folder,
        /// Whether there must be some.
        expected: bool,
    },
    /// Where nobody looks for them, such as in a table.
    Elsewhere,
}

/// Where Anthropic's own API has its batches, and ours those that are made by that.
const MESSAGES: &str = "/v1/messages/batches";

/// What one answer of a batch used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The model that it names.
    pub model: Option<String>,
    /// What was counted, or else is taken to be used.
    pub usage: Usage,
    /// Whether nobody counted.
    pub estimated: bool,
}

/// What one request of a batch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    /// The model, where each request names its own.
    pub model: Option<&'a str>,
    /// Its length.
    pub bytes: u64,
    /// Its prompt, estimated.
    pub prompt: Tokens,
    /// How long its answers may be.
    pub bound: Bound,
}

impl Shelf {
    /// Where a POST of `path` behind `prefix` makes a batch. `None`: it makes none.
    #[must_use]
    pub fn of_making(prefix: &str, path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        if is_google(prefix) {
            let (models, call) = path.rsplit_once('/')?;
            let (_, verb) = call.rsplit_once(':')?;
            let makes = matches!(verb, "batchGenerateContent" | "asyncBatchEmbedContent");
            let (version, _) = models.rsplit_once('/').filter(|_| makes)?;
            return Some(Self { form: Form::Google, path: version.to_owned() });
        }
        let form = form(prefix, path)?;
        Some(Self { form, path: path.to_owned() })
    }

    /// Which batch a call of `path` is about, and where that is.
    #[must_use]
    pub fn of_one(prefix: &str, path: &str) -> Option<(Self, Named)> {
        let path = path.trim_end_matches('/');
        if is_google(prefix) {
            let (version, id) = path.rsplit_once("/batches/")?;
            let id = id.split(':').next().filter(|id| !id.is_empty() && !id.contains('/'))?;
            let shelf = Self { form: Form::Google, path: version.to_owned() };
            return Some((shelf, Named { id: format!("batches/{id}"), shows_answers: true }));
        }
        let (above, results) = match path.strip_suffix("/results") {
            Some(above) => (above, true),
            None => (path, false),
        };
        let (above, id) = above.rsplit_once('/')?;
        let form = form(prefix, above)?;
        let id = crate::named::decoded(id);
        // A job of Bedrock's is named by its ARN, too. Whoever finds one over can read its answers.
        let id = if form == Form::Bedrock { jobs::last_segment(&id) } else { id };
        let shows_answers = results || form.is_of_buckets();
        Some((Self { form, path: above.to_owned() }, Named { id, shows_answers }))
    }

    /// The path at which a batch is asked after. `None`: nothing is called so.
    #[must_use]
    pub fn path_of(&self, id: &str) -> Option<String> {
        let name = match self.form {
            Form::Google => id.strip_prefix("batches/")?,
            Form::Anthropic | Form::OpenAi | Form::Bedrock | Form::Vertex => id,
        };
        is_name(name).then(|| format!("{}/{id}", self.path))
    }

    /// Batches of messages.
    #[must_use]
    pub fn of_messages() -> Self {
        Self { form: Form::Anthropic, path: MESSAGES.to_owned() }
    }

    /// A batch that says where its answers are as they are reached here, below `root`: Anthropic's own
    /// address would be shown the client's key.
    #[must_use]
    pub fn answered_here(&self, batch: Bytes, root: &str) -> Bytes {
        const PLACE: &str = "results_url";
        let says = member(&batch, PLACE).is_some_and(|place| place.starts_with('"'));
        let path = text(&batch, "id").filter(|_| self.form == Form::Anthropic && says);
        let Some(path) = path.and_then(|id| self.path_of(&id)) else { return batch };
        edit::with(batch, PLACE, &Value::from(format!("{root}{path}/results")).to_string())
    }

    /// A batch as its provider shows it. `None`: it is none.
    #[must_use]
    pub fn read(&self, body: &[u8]) -> Option<Passed> {
        let passed = match self.form {
            Form::Anthropic => {
                let id = text(body, "id")?;
                let finished = text(body, "processing_status")? == "ended";
                let answers = match finished {
                    true => Answers::At(format!("{}/results", self.path_of(&id)?), None),
                    false => Answers::None,
                };
                Passed { id, finished, answers }
            }
            Form::Google => self.read_google(body)?,
            Form::Bedrock => jobs::read_bedrock(body)?,
            Form::Vertex => jobs::read_vertex(body)?,
            Form::OpenAi => {
                let batch = KeptBatch::read(body)?;
                let file = batch.output_file_id.filter(|file| is_name(file));
                let above = self.path.trim_end_matches("/batches").trim_end_matches("/batch/jobs");
                let at = |file| Answers::At(format!("{above}/files/{file}/content"), None);
                let answers = file.map_or(Answers::None, at);
                Passed { id: batch.id, finished: batch.finished, answers }
            }
        };
        self.path_of(&passed.id)?;
        Some(passed)
    }

    /// Google shows an operation with the batch in it, whose answers stand at either place.
    fn read_google(&self, body: &[u8]) -> Option<Passed> {
        let id = text(body, "name")?;
        let inner = |name| member(body, name).map(str::as_bytes);
        let batch = inner("metadata").unwrap_or(body);
        let state = text(batch, "state").unwrap_or_default();
        let is_over = OVER.iter().any(|over| state.ends_with(over));
        let finished = is_over || member(body, "done") == Some("true");
        let places = [inner("response"), member(batch, "output").map(str::as_bytes)];
        let mut found = places.into_iter().flatten().map(|output| self.google_answers(output));
        let answers = found.find(|found| *found != Answers::None).unwrap_or(Answers::None);
        Some(Passed { id, finished, answers })
    }

    fn google_answers(&self, output: &[u8]) -> Answers {
        if let Some(file) = text(output, "responsesFile")
            .filter(|file| file.strip_prefix("files/").is_some_and(is_name))
        {
            // Files are downloaded beside the version.
            let at = format!("/download{}/{file}:download", self.path);
            return Answers::At(at, Some("alt=media"));
        }
        let list = ["inlinedResponses", "inlinedEmbedContentResponses"];
        let list = list.into_iter().find_map(|name| list_in(output, name));
        list.map_or(Answers::None, |list| {
            Answers::Here(list.into_iter().map(str::to_owned).collect())
        })
    }
}

impl Form {
    /// The models that the requests of a batch name, all of them, each with the number of the first
    /// request that does.
    #[must_use]
    pub fn models(self, body: &Bytes) -> BTreeMap<String, u64> {
        let mut models = BTreeMap::new();
        if self != Self::Anthropic {
            let _same = self.with_models(body, &mut |model: &str| {
                models.insert(model.to_owned(), 1);
                None
            });
            return models;
        }
        for (number, request) in (1..).zip(requests(body).unwrap_or_default()) {
            let request = body.slice_ref(request.as_bytes());
            let Ok(_) = rename_ids(&request, MODEL_OF_REQUEST, &mut |model: &str| {
                models.entry(model.to_owned()).or_insert(number);
                Ok::<_, Infallible>(None)
            });
        }
        models
    }

    /// The body with other names for models; `None` leaves one as it is.
    #[must_use]
    pub fn with_models(
        self,
        body: &Bytes,
        rename: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Bytes {
        let places = match self {
            Self::Anthropic => MODELS,
            Self::Bedrock => MODELS_OF_BEDROCK,
            Self::Vertex => MODELS_OF_VERTEX,
            Self::Google | Self::OpenAi => return body.clone(),
        };
        let mut rename = |named: &str| {
            let model = jobs::model_of(named);
            let other = rename(model);
            if self != Self::Vertex || (other.is_none() && model != named) {
                return Ok::<_, Infallible>(other);
            }
            let model = other.as_deref().unwrap_or(model);
            Ok(Some(jobs::named_at_vertex(model)))
        };
        let Ok(body) = rename_ids(body, places, &mut rename);
        body
    }

    /// Hears the requests of a batch, each of which must have all that is `required`; those in files
    /// are heard nowhere.
    ///
    /// # Errors
    /// [`BadBatch`].
    pub fn hear(self, body: &Bytes, required: Required<'_>) -> Result<Hearing, BadBatch> {
        let mut hearing = Hearing::default();
        if !self.is_heard() {
            return Ok(hearing);
        }
        let whole = |bad: BadRequest| BadBatch { request: None, why: bad.into() };
        check_object(body).map_err(whole)?;
        let (route, name) = (Shape::Message.route(), "requests");
        let expected = "a list of requests, one at least";
        let invalid = BadRequest::Invalid { route, name: name.to_owned(), expected };
        let requests = requests(body).filter(|all| !all.is_empty());
        for (number, request) in (1..).zip(requests.ok_or(whole(invalid))?) {
            let request = body.slice_ref(request.as_bytes());
            let heard = hearing.hear((number, Shape::Message), &request, required);
            heard.map_err(|why| BadBatch { request: Some(number), why })?;
        }
        Ok(hearing)
    }

    /// Whether its requests, each with its model, are in the batch and heard one by one.
    #[must_use]
    pub fn is_heard(self) -> bool {
        self == Self::Anthropic
    }

    /// What is said to the gateway beside the requests; nothing where those are not heard.
    ///
    /// # Errors
    /// As [`Beside::of_body`].
    pub fn beside(self, body: &Bytes) -> Result<Beside, BadRequest> {
        let route = Shape::Message.route();
        if self.is_heard() { Beside::of_body(route, &[], body) } else { Ok(Beside::default()) }
    }

    /// Whether its answers are objects in buckets, which the provider's API does not show.
    #[must_use]
    pub fn is_of_buckets(self) -> bool {
        matches!(self, Self::Bedrock | Self::Vertex)
    }

    /// Where a job that is to be made is to leave its answers. `None`: where nobody looks for them.
    #[must_use]
    pub fn place(self, body: &[u8]) -> Option<Folder> {
        match self {
            Self::Bedrock => jobs::place_of_bedrock(body),
            Self::Vertex => jobs::place_of_vertex(body),
            Self::Anthropic | Self::Google | Self::OpenAi => None,
        }
    }

    /// Which of the objects that a job has left are its answers.
    #[must_use]
    pub fn left(self, names: &[String]) -> Left<'_> {
        match self {
            Self::Bedrock => jobs::left_by_bedrock(names),
            Self::Vertex => jobs::left_by_vertex(names),
            Self::Anthropic | Self::Google | Self::OpenAi => Left::default(),
        }
    }

    /// What all answers of a job used, by what its provider has left beside them.
    #[must_use]
    pub fn summed(self, sum: &[u8]) -> Option<Usage> {
        if self == Self::Bedrock { jobs::summed(sum) } else { None }
    }

    /// What a batch asks for. `None`: its requests are in a file.
    #[must_use]
    pub fn wishes(self, body: &[u8]) -> Option<Vec<Wish<'_>>> {
        match self {
            Self::Anthropic => {
                let all = requests(body)?;
                let wishes = all.into_iter().map(|request| {
                    let params = member(request.as_bytes(), "params").unwrap_or(request);
                    let model = member(params.as_bytes(), "model").and_then(unquoted);
                    wish(model, params, Bound::of_call("anthropic", "/messages", params.as_bytes()))
                });
                Some(wishes.collect())
            }
            Self::Google => {
                let batch = member(body, "batch")?.as_bytes();
                let input = ["inputConfig", "input_config"];
                let input = input.into_iter().find_map(|name| member(batch, name))?;
                let all = list_in(input.as_bytes(), "requests")?;
                let wishes = all.into_iter().map(|entry| {
                    let request = member(entry.as_bytes(), "request").unwrap_or(entry);
                    let bound = Bound::of_call("gemini", ":generateContent", request.as_bytes());
                    wish(None, request, bound)
                });
                Some(wishes.collect())
            }
            Self::OpenAi | Self::Bedrock | Self::Vertex => None,
        }
    }

    /// The field by which each request bounds its answer, as messages call it.
    #[must_use]
    pub fn bound_field(self) -> &'static str {
        match self {
            Self::Anthropic | Self::OpenAi | Self::Bedrock => "max_tokens",
            Self::Google | Self::Vertex => "generationConfig.maxOutputTokens",
        }
    }

    /// What the answer in a line used, or in an entry of a list. `None`: no model answered there.
    #[must_use]
    pub fn answered(self, line: &[u8]) -> Option<Answered> {
        let answer = match self {
            Self::Anthropic => member(member(line, "result")?.as_bytes(), "message")?,
            Self::Google => member(line, "response")?,
            Self::Bedrock => member(line, "modelOutput")?,
            Self::Vertex => {
                if let Some(usage) = jobs::vectors(line) {
                    return Some(Answered { model: None, usage, estimated: false });
                }
                member(line, "response")?
            }
            Self::OpenAi => member(member(line, "response")?.as_bytes(), "body")?,
        };
        let meter = Meter::of_json(answer);
        let model = meter.model().map(str::to_owned);
        if let Some(usage) = meter.usage().and_then(Usage::if_credible) {
            return Some(Answered { model, usage, estimated: false });
        }
        let failed = member(answer.as_bytes(), "error").is_some_and(|error| error != "null");
        let completion = prompt_tokens(answer.as_bytes());
        let usage = Usage { completion, ..Usage::default() };
        (!failed && !matches!(answer, "null" | "{}")).then_some(Answered {
            model,
            usage,
            estimated: true,
        })
    }
}

fn is_google(prefix: &str) -> bool {
    prefix == "gemini"
}

/// The form of the batches that are made at `path`.
fn form(prefix: &str, path: &str) -> Option<Form> {
    match prefix {
        "bedrock" => path.ends_with("/model-invocation-job").then_some(Form::Bedrock),
        "vertex-ai" | "vertex_ai" => path.ends_with("/batchPredictionJobs").then_some(Form::Vertex),
        "gemini" => None,
        _ if path.ends_with("/messages/batches") => Some(Form::Anthropic),
        "anthropic" => None,
        _ => {
            let makes = path.ends_with("/batches") || path.ends_with("/batch/jobs");
            makes.then_some(Form::OpenAi)
        }
    }
}

/// Whether a provider's id can stand in a path as it is.
fn is_name(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.bytes().all(plain) && !id.starts_with('.')
}

fn text(body: &[u8], name: &str) -> Option<String> {
    Some(string(member(body, name)?)?.into_owned())
}

/// A text without escapes.
fn unquoted(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'))
}

fn list(value: &str) -> Option<Vec<&str>> {
    let all: Vec<&RawValue> = serde_json::from_str(value).ok()?;
    Some(all.into_iter().map(RawValue::get).collect())
}

/// Those of a batch of Anthropic's.
fn requests(body: &[u8]) -> Option<Vec<&str>> {
    list(member(body, "requests")?)
}

/// The list called `name`, which Google has in an object of the same name.
fn list_in<'b>(body: &'b [u8], name: &str) -> Option<Vec<&'b str>> {
    let value = member(body, name)?;
    list(value).or_else(|| list(member(value.as_bytes(), name)?))
}

fn wish<'a>(model: Option<&'a str>, request: &str, bound: Bound) -> Wish<'a> {
    let (bytes, prompt) = (request.len() as u64, prompt_tokens(request.as_bytes()));
    Wish { model, bytes, prompt, bound }
}

#[cfg(test)]
mod tests;
