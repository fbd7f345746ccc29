//! OpenAI's files and batches at providers that have objects in buckets, and jobs over them, instead:
//! Vertex AI and Bedrock. What becomes of a client's lines, which calls make, show and stop a job, and
//! how what comes back is told. Read [`Jobs`] first.

use bytes::Bytes;
use dunlin_llm::batch::passed::Form;
use dunlin_llm::{BadRequest, Buckets, Target};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bucket::{Listed, Store};
use crate::encode::EncodeError;
use crate::{Provider, ProviderError};

mod address;
mod answers;
mod asks;
mod bedrock;
mod names;
mod shown;
mod vertex;
mod wanted;

pub use address::{Address, Part, Place};
pub use answers::{Told, too_long};
pub use asks::Asks;
pub use shown::{Batch, absent, deleted, file, list};
pub use wanted::Wanted;

/// What files are for here.
const PURPOSE: &str = "batch";
/// Below the folder of files: where jobs leave their answers.
const ANSWERS: &str = "litellm-batch-outputs/";

/// A deployment whose files are objects, and whose batches are jobs.
#[derive(Clone)]
pub struct Jobs<'t> {
    provider: &'static dyn Provider,
    store: Store,
    to: &'t Target,
    buckets: &'t Buckets,
    /// Below this the files of clients are put.
    files: Address,
}

/// A call of a provider's jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// The path below the provider's base.
    pub path: String,
    /// What follows the `?`.
    pub query: Option<String>,
    /// JSON, or nothing.
    pub body: Bytes,
}

impl Call {
    fn new(method: Method, path: String) -> Self {
        Self { method, path, query: None, body: Bytes::new() }
    }
}

/// A batch that is to be made, in OpenAI's words.
#[derive(Debug, Deserialize)]
pub struct Wish<'a> {
    input_file_id: Option<String>,
    endpoint: Option<String>,
    completion_window: Option<String>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

impl<'a> Wish<'a> {
    /// From the body of a request.
    ///
    /// # Errors
    /// It is none, or asks for what no batch is of here.
    pub fn read(body: &'a [u8]) -> Result<Self, EncodeError> {
        let wish: Self = serde_json::from_slice(body)
            .map_err(|_| invalid("/batches", "input_file_id", "a text, as all but metadata are"))?;
        match wish.endpoint.as_deref().map(Asks::of) {
            Some(Some(_)) => Ok(wish),
            Some(None) => Err(invalid("/batches", "endpoint", asks::ALL)),
            None => Err(BadRequest::Missing { route: "/batches", name: "endpoint" }.into()),
        }
    }

    fn hours(&self) -> u32 {
        let hours = self.completion_window.as_deref().and_then(|window| window.strip_suffix('h'));
        hours.and_then(|hours| hours.parse().ok()).unwrap_or(24)
    }
}

/// Whether deployments of that provider have jobs, if they have a bucket.
#[must_use]
pub fn may_keep(provider: &str) -> bool {
    Store::of(provider).is_some()
}

impl<'t> Jobs<'t> {
    /// `None`: it has none, or no bucket for files.
    #[must_use]
    pub fn of(provider: &'static dyn Provider, to: &'t Target) -> Option<Self> {
        let (store, buckets) = (Store::of(provider.id())?, to.buckets.as_ref()?);
        let files = Address::configured(buckets.files.as_deref()?)?;
        Some(Self { provider, store, to, buckets, files })
    }

    fn scheme(&self) -> &'static str {
        match self.store {
            Store::S3 => "s3://",
            Store::Google => "gs://",
        }
    }

    /// Where the files of clients are, each below its model.
    #[must_use]
    pub fn shelf(&self) -> Address {
        self.files.below(match self.store {
            Store::S3 => "litellm-bedrock-files/",
            Store::Google => "litellm-vertex-files/",
        })
    }

    /// Where all answers are.
    #[must_use]
    pub fn output(&self) -> Address {
        let own = self.buckets.answers.as_deref().and_then(Address::configured);
        own.unwrap_or_else(|| self.files.clone()).below(ANSWERS)
    }

    /// What the provider calls an object or a folder.
    #[must_use]
    pub fn id(&self, at: &Address) -> String {
        format!("{}{}/{}", self.scheme(), at.bucket, at.name)
    }

    /// What OpenAI calls the id of a file.
    #[must_use]
    pub fn file_id(&self, Place { at, part }: &Place) -> String {
        format!("{}{}", self.id(at), part.mark())
    }

    /// The object that is called so.
    fn address(&self, id: &str) -> Option<Address> {
        let (bucket, name) = id.strip_prefix(self.scheme())?.split_once('/')?;
        Address::new(bucket, name)
    }

    /// Where a file is.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<Place> {
        self.address(id).map(Place::from)
    }

    /// Where a client's file is put whose `name` nobody else has.
    ///
    /// # Errors
    /// The model has no batches, or the file is for something else.
    pub fn shelved(
        &self,
        purpose: Option<&str>,
        filename: Option<&str>,
        (name, asks): (u128, Asks),
    ) -> Result<Address, EncodeError> {
        if purpose != Some(PURPOSE) {
            return Err(invalid("/files", "purpose", PURPOSE));
        }
        let model = match self.store {
            Store::S3 => Some(crate::bedrock::sent_id(self.to).to_owned()),
            Store::Google => crate::vertex_ai::in_jobs(&self.to.model),
        };
        let route = "batches of this model";
        let none = EncodeError::UnsupportedEndpoint { provider: self.provider.id(), route };
        let model = model.ok_or(none)?;
        let filename = address::plain(filename.unwrap_or_default());
        Ok(self.shelf().below(&format!("{model}/{name:032x}{}/{filename}", asks.mark())))
    }

    /// The model that a file is for.
    fn model_of(&self, file: &Address) -> Option<String> {
        let shelf = self.shelf();
        let below = file.name.strip_prefix(&*shelf.name).filter(|_| file.bucket == shelf.bucket)?;
        below.rsplitn(3, '/').nth(2).map(str::to_owned)
    }

    /// The call that makes a job of that `name`, which nobody else has, and where its input is.
    ///
    /// # Errors
    /// The input is none that was put here, or the deployment lacks what a job needs.
    pub fn creation(&self, wish: &Wish<'_>, name: u128) -> Result<(Call, Address), EncodeError> {
        let input = wish.input_file_id.as_deref().and_then(|id| self.address(id));
        let found = input.and_then(|input| Some((self.model_of(&input)?, input)));
        let not_ours = || invalid("/batches", "input_file_id", "a file that was uploaded here");
        let (model, input) = found.ok_or_else(not_ours)?;
        let asks = Asks::of_file(&input.name);
        if wish.endpoint.as_deref() != Some(asks.url()) {
            return Err(invalid("/batches", "endpoint", asks.as_its_file()));
        }
        let name = format!("dunlin-{name:032x}");
        let job = Job { model, name, input, hours: wish.hours(), asks };
        let (path, body) = match self.store {
            Store::S3 => (self.jobs()?, bedrock::job(self, &job)?),
            Store::Google => (self.jobs()?, vertex::job(self, &job)),
        };
        let body = Bytes::from(body.to_string());
        Ok((Call { body, ..Call::new(Method::POST, path) }, job.input))
    }

    /// The path of all jobs.
    fn jobs(&self) -> Result<String, EncodeError> {
        match self.store {
            Store::S3 => Ok(bedrock::JOBS.to_owned()),
            Store::Google => vertex::jobs(self.provider.id(), self.to),
        }
    }

    /// The call that shows a job.
    ///
    /// # Errors
    /// The deployment lacks what its address needs.
    pub fn show(&self, id: &str) -> Result<Call, EncodeError> {
        let id = crate::sigv4::path_segment(id);
        Ok(Call::new(Method::GET, format!("{}/{id}", self.jobs()?)))
    }

    /// The call that stops a job.
    ///
    /// # Errors
    /// The deployment lacks what its address needs.
    pub fn stop(&self, id: &str) -> Result<Call, EncodeError> {
        let mut call = Call { method: Method::POST, ..self.show(id)? };
        call.path += match self.store {
            Store::S3 => "/stop",
            Store::Google => ":cancel",
        };
        Ok(call)
    }

    /// The call that lists jobs, behind what the page before named as its end.
    ///
    /// # Errors
    /// The deployment lacks what its address needs.
    pub fn listing(&self, after: Option<&str>) -> Result<Call, EncodeError> {
        let mut call = Call::new(Method::GET, self.jobs()?);
        let (path, query) = match self.store {
            Store::S3 => bedrock::listing(after),
            Store::Google => vertex::listing(after),
        };
        call.path += path;
        call.query = Some(query);
        Ok(call)
    }

    /// A job as the provider shows it. `None`: it is none.
    #[must_use]
    pub fn read(&self, job: &[u8]) -> Option<Batch> {
        match self.store {
            Store::S3 => shown::read::<bedrock::Wire>(job),
            Store::Google => shown::read::<vertex::Wire>(job),
        }
    }

    /// A page of jobs, and where the next begins. `None`: it is none.
    #[must_use]
    pub fn read_list(&self, page: &[u8]) -> Option<(Vec<Batch>, Option<String>)> {
        match self.store {
            Store::S3 => shown::read_list::<bedrock::Wire>(page),
            Store::Google => shown::read_list::<vertex::Wire>(page),
        }
    }

    /// Which of these objects hold answers.
    #[must_use]
    pub fn answers(&self, mut objects: Vec<Listed>) -> Vec<Listed> {
        let form = match self.store {
            Store::S3 => Form::Bedrock,
            Store::Google => Form::Vertex,
        };
        let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
        let left = form.left(&names).answers;
        objects.retain(|object| left.contains(&&*object.name));
        objects
    }

    /// An answer as a line of OpenAI's. `None`: it belongs to the other part.
    #[must_use]
    pub fn answer(&self, line: &[u8], part: Part, told: &Told<'_>) -> Option<Vec<u8>> {
        let found = match self.store {
            Store::S3 => bedrock::answered(line),
            Store::Google => vertex::answered(line),
        };
        let failed = found.as_ref().is_none_or(answers::Found::failed);
        let is_asked = part.holds(failed);
        is_asked.then(|| answers::written(self.provider, found, told))
    }

    /// The error of an answer that is none of the provider's jobs.
    #[must_use]
    pub fn no_job(&self) -> ProviderError {
        ProviderError::lacking(self.provider.speaker(), "the answer is no batch job")
    }
}

/// What a job is made of.
struct Job {
    model: String,
    name: String,
    input: Address,
    hours: u32,
    asks: Asks,
}

fn invalid(route: &'static str, name: &str, expected: &'static str) -> EncodeError {
    BadRequest::Invalid { route, name: name.to_owned(), expected }.into()
}

#[cfg(test)]
mod tests;
