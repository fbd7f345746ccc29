//! What providers keep for clients: files, batches, responses. Most keep it as OpenAI does, and are
//! asked in its words. Where files are objects in buckets and batches are jobs over them, the same call
//! is carried out by several of theirs: [`Keeper::answer`] is each of these stories.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dunlin_egress::BodyError;
use dunlin_llm::{BadRequest, Upload as Form};
use dunlin_providers::bucket::{Asked, Listed, PAGE, Page, page};
use dunlin_providers::jobs::{self, Address, Asks, Call, Jobs, Part, Place, Wanted, Wish};
use dunlin_providers::{EncodeError, ProviderError, relay};
use dunlin_router::{Deployment, Outcome, Retry};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::attempt::Attempt;
use crate::call::PLAIN;
use crate::error::Failure;
use crate::relay::{Relay, Relayed, in_time, provider_of};
use crate::{MAX_HELD_REPLY_BYTES, Upstream};

mod answers;
mod listed;

use answers::Answers;

/// The most objects of one folder that are looked at.
pub const MAX_OBJECTS: usize = 10_000;
/// What a provider that keeps nothing is not asked for.
const KEPT: &str = "files, batches and stored responses";
/// So many bytes of lines are put into a provider's words before others get a turn.
const TURN_BYTES: usize = 256 << 10;

const JSON: &str = "application/json";

impl Upstream {
    /// Passes on a call about something that the deployment's provider keeps: the call's path is a
    /// route such as `/files/file-1`. The answer is in OpenAI's words.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer, or the provider keeps nothing.
    pub async fn relay_kept(
        &self,
        attempt: Attempt,
        mut call: Relay,
        first: Duration,
        retry: Retry,
    ) -> Result<Relayed, Failure> {
        call.headers.insert(ACCEPT_ENCODING, PLAIN);
        let by = Arc::clone(&attempt.deployment);
        let provider = provider_of(&by);
        let jobs = Jobs::of(provider, &by.target);
        if let Some((jobs, wanted)) = jobs.zip(Wanted::read(&call.method, &call.path)) {
            let keeper = Keeper { upstream: self, by: &by, attempt, jobs, within: first };
            let answered = in_time(first, None, keeper.answer(wanted, call)).await;
            return answered
                .unwrap_or_else(|| Err(Failure::new(&by, ProviderError::timeout(first, first))));
        }
        let Some(url) = provider.kept_url(&by.target, &call.path) else {
            let none = EncodeError::UnsupportedEndpoint { provider: provider.id(), route: KEPT };
            return Err(Failure::unsendable(&by, provider.speaker(), &none));
        };
        let url = match call.query.as_deref().filter(|query| !query.is_empty()) {
            Some(query) if url.contains('?') => format!("{url}&{query}"),
            Some(query) => format!("{url}?{query}"),
            None => url,
        };
        let mut relayed = self.pass_on(attempt, url, (call, None), (first, retry)).await?;
        if relayed.status == StatusCode::NOT_FOUND {
            // It is the thing that is not there: the deployment does well.
            relayed.body.outcome = Outcome::Success;
        }
        Ok(relayed)
    }
}

/// Carries out what is asked of one deployment's files and batches. How that goes says nothing of the
/// deployment's models.
struct Keeper<'u> {
    upstream: &'u Upstream,
    by: &'u Arc<Deployment>,
    attempt: Attempt,
    jobs: Jobs<'u>,
    within: Duration,
}

/// Why there is no more to a story.
enum Stop {
    /// The provider's refusal is the answer.
    Refused(Box<Relayed>),
    Failed(Box<Failure>),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl Keeper<'_> {
    async fn answer(self, wanted: Wanted, call: Relay) -> Result<Relayed, Failure> {
        let query = call.query.as_deref().unwrap_or_default();
        let answered = match wanted {
            Wanted::Upload => self.upload(&call).await,
            Wanted::Files => self.files(query).await,
            Wanted::File(id) => self.file(&id).await,
            Wanted::Content(id) => self.content(&id).await,
            Wanted::Deletion(id) => self.delete(&id).await,
            Wanted::Creation => self.create(&call.body).await,
            Wanted::Batches => self.batches(query).await,
            Wanted::Batch(id) => self.batch(&id).await,
            Wanted::Cancellation(id) => self.cancel(&id).await,
        };
        match answered {
            Ok(relayed) => Ok(relayed),
            Err(Stop::Refused(relayed)) => Ok(*relayed),
            Err(Stop::Failed(failure)) => Err(*failure),
        }
    }

    /// Every line is put into the provider's words, and all of them into the bucket.
    async fn upload(&self, call: &Relay) -> Result<Relayed, Stop> {
        let kind = call.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let form = Form::read(call.body.clone(), kind.unwrap_or_default());
        let form = form.map_err(|bad| self.unsendable(&bad.into()))?;
        let (purpose, filename) = (form.field("purpose"), form.filename("file"));
        let name = rand::random();
        let shelved = |asks| self.jobs.shelved(purpose, filename, (name, asks));
        // What has no place need not be read.
        shelved(Asks::default()).map_err(|error| self.unsendable(&error))?;
        let content = form.content("file").unwrap_or_default();
        let (object, asks) = self.translated(&content).await?;
        let missing = BadRequest::Missing { route: "/files", name: "file" }.into();
        let asks = asks.ok_or_else(|| self.unsendable(&missing))?;
        let at = shelved(asks).map_err(|error| self.unsendable(&error))?;
        let bytes = object.len() as u64;
        self.ask_bucket(&at, Asked::Put { name: &at.name, content: &object }).await?;
        let put = Listed { name: at.name.clone(), bytes, made: self.now() };
        Ok(self.json(jobs::file(&self.jobs, &at.into(), &[put])))
    }

    /// The lines in the provider's words, and what they ask for. `None`: there are none.
    async fn translated(&self, content: &Bytes) -> Result<(Bytes, Option<Asks>), Stop> {
        let (mut out, mut turn) = (BytesMut::with_capacity(content.len()), 0);
        let mut asks = None;
        for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
            let request = self.jobs.request(&content.slice_ref(line), &mut asks);
            let request = request.map_err(|error| {
                self.unsendable(&EncodeError::Line { number, error: Box::new(error) })
            })?;
            if let Some(request) = request {
                out.extend_from_slice(&request);
                out.extend_from_slice(b"\n");
            }
            turn += line.len();
            if turn > TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok((out.freeze(), asks))
    }

    async fn file(&self, id: &str) -> Result<Relayed, Stop> {
        let place = self.place(id)?;
        let objects = self.objects(&place.at).await?;
        if objects.is_empty() {
            return Err(self.absent("file", id));
        }
        Ok(self.json(jobs::file(&self.jobs, &place, &objects)))
    }

    /// A client's file as it was put there; answers as OpenAI's lines.
    async fn content(self, id: &str) -> Result<Relayed, Stop> {
        let Place { at, part } = self.place(id)?;
        if !at.is_folder() {
            return self.ask_bucket(&at, Asked::Object(&at.name)).await;
        }
        let objects = self.objects(&at).await?;
        let Some(first) = objects.first() else { return Err(self.absent("file", id)) };
        let read = self.ask_bucket(&at, Asked::Object(&first.name)).await?;
        let answers = Answers::new(&self, Place { at, part }, objects, read);
        Ok(answers.relayed(self.attempt, provider_of(self.by).speaker()))
    }

    /// Errors are told from the same objects as answers, and go with those, if there are any.
    async fn delete(&self, id: &str) -> Result<Relayed, Stop> {
        let Place { at, part } = self.place(id)?;
        if part == Part::Errors && self.is_any(Place { at: at.clone(), part: Part::Output }).await?
        {
            let name = "file_id".to_owned();
            let expected = "the output file of the batch, with which its error file is deleted";
            let kept = BadRequest::Invalid { route: "/files", name, expected };
            return Err(self.unsendable(&kept.into()));
        }
        let names = match at.is_folder() {
            true => self.all(&at).await?.into_iter().map(|object| object.name).collect(),
            false => vec![at.name.clone()],
        };
        for name in &names {
            self.ask_bucket(&at, Asked::Delete(name)).await?;
        }
        Ok(self.json(jobs::deleted(id)))
    }

    /// Whether there is a line of this.
    async fn is_any(&self, place: Place) -> Result<bool, Stop> {
        let objects = self.objects(&place.at).await?;
        let Some(first) = objects.first() else { return Ok(false) };
        let read = self.ask_bucket(&place.at, Asked::Object(&first.name)).await?;
        let first = Answers::new(self, place, objects, read).next().await;
        Ok(first.map_err(|error| self.failed(error))?.is_some())
    }

    /// What a batch costs is counted by its answers: none is made whose answers could not be seen.
    async fn create(&self, body: &Bytes) -> Result<Relayed, Stop> {
        let wish = Wish::read(body).map_err(|error| self.unsendable(&error))?;
        let asked = self.jobs.creation(&wish, rand::random());
        let (call, input) = asked.map_err(|error| self.unsendable(&error))?;
        self.list(&self.jobs.output(), None, 1).await?;
        if self.objects(&input).await?.is_empty() {
            return Err(self.absent("file", &self.jobs.id(&input)));
        }
        let job = self.ask(call).await?;
        let batch = self.jobs.read(&job).ok_or_else(|| self.failed(self.jobs.no_job()))?;
        let batch = batch.made(&wish, self.now());
        Ok(self.json(batch.write(&self.jobs, Some(&wish))))
    }

    async fn batch(&self, id: &str) -> Result<Relayed, Stop> {
        let shown = self.jobs.show(id).map_err(|error| self.unsendable(&error))?;
        let job = self.ask(shown).await?;
        let mut batch = self.jobs.read(&job).ok_or_else(|| self.failed(self.jobs.no_job()))?;
        if let Some(at) = batch.in_doubt()
            && self.objects(at).await.is_ok_and(|answers| answers.is_empty())
        {
            batch = batch.unanswered();
        }
        Ok(self.json(batch.write(&self.jobs, None)))
    }

    async fn cancel(&self, id: &str) -> Result<Relayed, Stop> {
        let stop = self.jobs.stop(id).map_err(|error| self.unsendable(&error))?;
        self.ask(stop).await?;
        self.batch(id).await
    }

    fn place(&self, id: &str) -> Result<Place, Stop> {
        self.jobs.place(id).ok_or_else(|| self.absent("file", id))
    }

    /// The object that is there, or the answers in a folder.
    async fn objects(&self, at: &Address) -> Result<Vec<Listed>, Stop> {
        if at.is_folder() {
            return Ok(self.jobs.answers(self.all(at).await?));
        }
        // Of all names that begin so, the shortest comes first.
        let mut objects = self.list(at, None, 1).await?.objects;
        objects.retain(|object| object.name == at.name);
        Ok(objects)
    }

    /// All objects below a folder.
    async fn all(&self, at: &Address) -> Result<Vec<Listed>, Stop> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let Page { objects, next } = self.list(at, after.as_deref(), PAGE).await?;
            all.extend(objects);
            if all.len() > MAX_OBJECTS {
                let why = format!("there are more than {MAX_OBJECTS} objects below `{}`", at.name);
                return Err(self.failed(ProviderError::lacking(self.speaker(), &why)));
            }
            // A page that is empty and leads on would lead on for ever.
            match next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                Some(_) | None => return Ok(all),
            }
        }
    }

    async fn list(&self, at: &Address, after: Option<&str>, most: usize) -> Result<Page, Stop> {
        let asked = Asked::List { prefix: &at.name, after, most };
        let body = self.whole(self.ask_bucket(at, asked).await?).await?;
        page(provider_of(self.by).id(), &body).ok_or_else(|| {
            self.failed(ProviderError::lacking(self.speaker(), "the answer is no list of objects"))
        })
    }

    async fn ask_bucket(&self, at: &Address, asked: Asked<'_>) -> Result<Relayed, Stop> {
        let answered = self.upstream.ask_bucket(self.by, &at.bucket, asked, self.within).await?;
        self.unless_refused(answered)
    }

    async fn ask(&self, Call { method, path, query, body }: Call) -> Result<Bytes, Stop> {
        let (id, base) = (provider_of(self.by).id(), &self.by.target.api_base);
        let url = relay::url(id, base, &path, query.as_deref());
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(JSON))]);
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        let call = Relay { method, path, query: None, headers, body, secret: None };
        let answered = self.upstream.relay_to(&self.attempt, url, call, None).await?;
        self.whole(self.unless_refused(answered)?).await
    }

    fn unless_refused(&self, answered: Relayed) -> Result<Relayed, Stop> {
        if answered.status.is_success() {
            return Ok(answered);
        }
        Err(Stop::Refused(Box::new(answered)))
    }

    async fn whole(&self, mut answered: Relayed) -> Result<Bytes, Stop> {
        let mut body = BytesMut::new();
        while let Some(piece) = std::future::poll_fn(|cx| answered.body.poll_next(cx)).await {
            body.extend_from_slice(&piece.map_err(|error| self.failed(error))?);
            if body.len() > MAX_HELD_REPLY_BYTES {
                let most = MAX_HELD_REPLY_BYTES;
                return Err(self.failed(ProviderError::long_reply(self.speaker(), most)));
            }
        }
        Ok(body.freeze())
    }

    fn json(&self, body: Bytes) -> Relayed {
        self.told(StatusCode::OK, body)
    }

    fn absent(&self, noun: &str, id: &str) -> Stop {
        let body = jobs::absent(&format!("No {noun} found with id '{id}'."));
        Stop::Refused(Box::new(self.told(StatusCode::NOT_FOUND, body)))
    }

    fn told(&self, status: StatusCode, body: Bytes) -> Relayed {
        let body = Full::new(body).map_err(BodyError::from).boxed_unsync();
        Relayed::written(status, JSON, body, self.speaker())
    }

    fn unsendable(&self, error: &EncodeError) -> Stop {
        Failure::unsendable(self.by, self.speaker(), error).into()
    }

    fn failed(&self, error: ProviderError) -> Stop {
        Failure::new(self.by, error).into()
    }

    fn speaker(&self) -> &'static str {
        provider_of(self.by).speaker()
    }

    /// In seconds since 1970.
    fn now(&self) -> u64 {
        self.upstream.0.clock.unix().0 / 1000
    }
}
