//! The API that clients speak: OpenAI's, Anthropic's and Google's endpoints, and providers' own
//! APIs.
//!
//! Does not know how a limit is counted, how a deployment is picked or how a provider is called: it
//! conducts the crates that do. Invariants: nothing of a body is kept before its sender is known;
//! the status is sent once the first part of an answer is at hand; every admitted request ends in
//! exactly one settled or voided permit; a stream that breaks never ends like a complete one. Read
//! `chat.rs`: the path of a request.

mod admit;
mod attempts;
mod background;
mod bill;
mod chat;
mod gemini;
mod ids;
mod questions;
mod realtime;
mod relay;
mod request;
mod response;
mod routes;
pub mod server;
mod several;
mod socket;
mod stale;
mod stored;
mod tool_models;
mod turns;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
pub use axum::http::HeaderName;
use dunlin_admission::{Admission, Awaited};
use dunlin_callbacks::Callbacks;
use dunlin_router::Catalog;
use dunlin_store::Store;
use dunlin_tokens::Tokenizer;
use dunlin_types::{Clock, Secret};
use dunlin_upstream::Upstream;
use tokio_util::task::TaskTracker;

use server::Open;

pub use dunlin_admission::Counted;
pub use ids::Ids;
pub use questions::published::Published;
pub use routes::router;
pub use server::front::Front;
pub use server::metrics::METRICS;
pub use stale::{Detour, OnStale};

use background::tape::Tapes;
use bill::refused::Refusals;
use stored::output::Reading;

/// The routes of an HTTP API, to be merged with others and served.
pub type Routes = Router;

/// A longer request body is answered 413, unless the configuration says otherwise.
pub const MAX_REQUEST_BYTES: usize = 32 << 20;

/// What a config revision tells the client API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Callers with this key may call everything, without limits.
    pub master_key: Option<Secret>,
    /// Another header that may hold the key.
    pub key_header: Option<String>,
    /// A longer request body is answered 413.
    pub max_request_bytes: usize,
    /// Headers that may say who the client's user is.
    pub end_user_headers: Vec<HeaderName>,
    /// The number of the config revision.
    pub revision: u64,
    /// Which tokens count against limits of tokens.
    pub counted: Counted,
    /// Whether the proxy in front says who the client is, in `X-Forwarded-For`.
    pub trusts_forwarded_for: bool,
    /// Whether prompts and answers go on record.
    pub keeps_said: bool,
    /// Whether nothing of what is said may be on a disk.
    pub redacts: bool,
    /// What every request must have.
    pub demands: Demands,
    /// Streams tell their usage unasked.
    pub always_tells_usage: bool,
    /// The body of an error has the id of its call.
    pub names_call_in_errors: bool,
    /// Headers of clients that go along to providers.
    pub forwarded: Forwarded,
}

/// What every request must have, and must not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// It says who its user is.
    pub user: bool,
    /// Its body has these, unless it is of the master key.
    pub params: Arc<[String]>,
    /// Its client gives it no tags.
    pub no_tags: bool,
}

/// Headers of clients that go along to providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `x-...`, for deployments that are sent them.
    pub own: bool,
    /// `openai-organization`.
    pub organization: bool,
    /// `traceparent`.
    pub trace: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            master_key: None,
            key_header: None,
            max_request_bytes: MAX_REQUEST_BYTES,
            end_user_headers: Vec::new(),
            revision: 0,
            counted: Counted::default(),
            trusts_forwarded_for: false,
            keeps_said: false,
            redacts: false,
            demands: Demands::default(),
            always_tells_usage: false,
            names_call_in_errors: false,
            forwarded: Forwarded::default(),
        }
    }
}

/// What the client API is given beside its neighbours.
pub struct Config {
    /// The ids of what providers keep.
    pub ids: Ids,
    /// Stores responses for providers that keep none.
    pub store: Store,
    /// Counts tokens.
    pub tokenizer: Tokenizer,
    /// What is published about models.
    pub published: Published,
    /// Tells others of requests.
    pub callbacks: Callbacks,
    /// Where short tasks run.
    pub tasks: TaskTracker,
    /// What the server ends when it leaves.
    pub open: Open,
    /// The path under which all routes also answer: what is told of paths here begins so.
    pub root_path: String,
}

/// The client API of a node. Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

struct Shared {
    clock: Clock,
    admission: Admission,
    upstream: Upstream,
    ids: Ids,
    store: Store,
    tokenizer: Tokenizer,
    published: Published,
    callbacks: Callbacks,
    tasks: TaskTracker,
    reading: Reading,
    refusals: Refusals,
    tapes: Tapes,
    open: Open,
    /// Without a slash at its end.
    root_path: Arc<str>,
    serving: ArcSwap<Serving>,
}

/// One config revision as requests see it: whole, never half of one and half of another.
#[derive(Default)]
struct Serving {
    catalog: Arc<Catalog>,
    settings: Settings,
    /// False until the first revision.
    ready: bool,
}

/// What former lives of a node held for what nobody waits for, as its notes say.
pub fn awaited(store: Store) -> impl Future<Output = Vec<Awaited>> + Send + 'static {
    stored::watch::held(store)
}

impl Proxy {
    /// A client API that answers 503 until a config is published. `tasks` runs what outlives its
    /// request.
    #[must_use]
    pub fn new(clock: Clock, admission: Admission, upstream: Upstream, config: Config) -> Self {
        let Config { ids, store, tokenizer, published, callbacks, tasks, open, root_path } = config;
        let leaving = open.leaving.clone();
        let proxy = Self(Arc::new(Shared {
            clock,
            admission,
            upstream,
            ids,
            store,
            tokenizer,
            published,
            callbacks,
            tasks,
            reading: Reading::default(),
            refusals: Refusals::default(),
            tapes: Tapes::default(),
            open,
            root_path: root_path.trim_end_matches('/').into(),
            serving: ArcSwap::from_pointee(Serving::default()),
        }));
        proxy.0.tasks.spawn(stored::watch::run(proxy.clone(), leaving));
        proxy
    }

    /// Serves another config revision from the next request on.
    pub fn publish(&self, catalog: Arc<Catalog>, settings: Settings) {
        self.0.serving.store(Arc::new(Serving { catalog, settings, ready: true }));
    }
}
