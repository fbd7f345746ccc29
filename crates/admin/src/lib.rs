//! The admin API: keys, teams, users and all other spenders, models and credentials, health and the
//! cluster's status, in LiteLLM's shapes.
//!
//! Decides nothing: a handler turns a request into a command, or the published state into an
//! answer; `dunlin_state` decides what a command does. Does not know how the cluster agrees or how
//! limits are counted. Invariants: each path says who may call it, and no caller grants more than
//! the caller has; every change made for someone is in the audit log; a clear key is shown once, in
//! the answer that created it, and never logged; a field that would guard money or access and is
//! not enforced is refused, never silently kept; what this node cannot know is a 503, never a 401.
//! Read `endpoints.rs` (the list), `routes.rs` and `rights.rs` (permissions), then
//! `endpoints/create_key.rs`.

mod changes;
mod endpoints;
mod error;
mod health;
mod reports;
mod request;
mod rights;
mod routes;
mod rows;
mod terms;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::Router;
use dunlin_admission::{Admission, EndUsers};
use dunlin_callbacks::Callbacks;
use dunlin_config::{Basis, DrainEndpoint, KeyRules};
use dunlin_consensus::Consensus;
use dunlin_gossip::Gossip;
use dunlin_ledger::Calendar;
use dunlin_metrics::Metrics;
use dunlin_records::Records;
use dunlin_router::Catalog;
use dunlin_seal::Sealer;
use dunlin_state::{Command, Reply, State};
use dunlin_types::{Clock, NanoUsd, NodeId, Secret};
use dunlin_upstream::Upstream;
use tokio::sync::{Semaphore, watch};

use crate::error::Error;
use crate::health::checks::Checks;
use crate::health::readiness::Readiness;
use crate::routes::Request;
use crate::rows::row::View;

pub use crate::changes::import::Preview;
pub use crate::changes::stored::additions;
pub use crate::endpoints::unaware;
pub use crate::health::readiness::{WRONG_SECRET, is_sealed_elsewhere};

/// A longer request body is answered 413.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// How long a read waits for the leader before it answers from this node's own state.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// What the admin API tells of its own node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node.
    pub me: NodeId,
    /// Where clients reach it.
    pub api: String,
    /// Seals what is set over the API.
    pub sealer: Arc<Sealer>,
    /// Behind by more, it serves no clients itself; none: it does.
    pub max_staleness: Option<Duration>,
    /// The path under which all routes also answer: what is told of paths here begins so.
    pub root_path: String,
}

/// What the node works by from now on.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The number of the config revision.
    pub revision: u64,
    /// All models.
    pub catalog: Arc<Catalog>,
    /// What the config revision says.
    pub settings: Settings,
    /// Judges what is to be added.
    pub basis: Arc<Basis>,
    /// The version of the state's models and credentials that are part of it.
    pub resources: u64,
}

/// What the admin API is built on.
pub struct Parts {
    /// The node's clock.
    pub clock: Clock,
    /// The replicated state.
    pub consensus: Consensus,
    /// What is heard of other nodes.
    pub gossip: Gossip,
    /// The node's calls to providers.
    pub upstream: Upstream,
    /// Who lets calls to models in, and charges them.
    pub admission: Admission,
    /// The request log.
    pub records: Records,
    /// Who is told of requests.
    pub callbacks: Callbacks,
    /// What Prometheus is told.
    pub metrics: Metrics,
}

/// What a config revision tells the admin API.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its bearer may do everything. Without one, everyone who reaches this node may.
    pub master_key: Option<Secret>,
    /// Another header that may hold the key.
    pub key_header: Option<String>,
    /// `default_key_generate_params`: JSON text of fields that a new key has unless it is told.
    pub key_defaults: BTreeMap<String, String>,
    /// `upperbound_key_generate_params`: JSON text of the most that a key may have.
    pub key_bounds: BTreeMap<String, String>,
    /// `default_internal_user_params`: JSON text of fields that a new user has unless it is told.
    pub user_defaults: BTreeMap<String, String>,
    /// `default_internal_user_params.available_teams`: teams that users may join by themselves.
    pub available_teams: Vec<String>,
    /// `default_team_params`: JSON text of fields that a new team has unless it is told.
    pub team_defaults: BTreeMap<String, String>,
    /// `key_generation_settings`.
    pub key_rules: KeyRules,
    /// Where budgets' periods begin.
    pub calendar: Calendar,
    /// `apply_user_budget_to_team_keys`.
    pub binds_users_of_teams: bool,
    /// What binds end users who have no budget of their own.
    pub end_users: EndUsers,
    /// `budget_rollover`: what was overspent counts for the next period, too.
    pub rollover: bool,
    /// The budget of the whole cluster.
    pub max_budget: Option<NanoUsd>,
    /// Whether the proxy in front says who the client is.
    pub trusts_forwarded_for: bool,
    /// Whether everyone may read the metrics: `require_auth_for_metrics_endpoint: false`.
    pub open_metrics: bool,
    /// `store_model_in_db`: whether models may be set over the API.
    pub stores_models: bool,
    /// Who may have this node drained beside admins.
    pub drain: DrainEndpoint,
}

/// The admin API of a node. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Shared>);

struct Shared {
    config: Config,
    clock: Clock,
    consensus: Consensus,
    gossip: Gossip,
    upstream: Upstream,
    admission: Admission,
    records: Records,
    callbacks: Callbacks,
    metrics: Metrics,
    checks: Checks,
    /// None until the first config revision.
    published: ArcSwapOption<Published>,
    /// The version of the models and credentials in force.
    resources: watch::Sender<u64>,
    /// The config revision in force.
    revision: watch::Sender<u64>,
    readiness: Readiness,
    /// One change of the config at a time: others on this node would only be overtaken by it.
    config_changes: Semaphore,
}

/// One config revision.
struct Published {
    revision: u64,
    catalog: Arc<Catalog>,
    settings: Settings,
    basis: Arc<Basis>,
}

impl Admin {
    /// An admin API that answers 503 until a config is published. It has no tasks of its own.
    #[must_use]
    pub fn start(config: Config, parts: Parts) -> Self {
        let Parts { clock, consensus, gossip, upstream, admission, records, callbacks, metrics } =
            parts;
        Self(Arc::new(Shared {
            config,
            clock,
            consensus,
            gossip,
            upstream,
            admission,
            records,
            callbacks,
            metrics,
            checks: Checks::default(),
            published: ArcSwapOption::empty(),
            resources: watch::Sender::default(),
            revision: watch::Sender::default(),
            readiness: Readiness::default(),
            config_changes: Semaphore::new(1),
        }))
    }

    /// Works by another config revision, or other models, from the next request on.
    pub fn publish(&self, in_force: InForce) {
        let InForce { revision, catalog, settings, basis, resources } = in_force;
        self.0.published.store(Some(Arc::new(Published { revision, catalog, settings, basis })));
        self.0.resources.send_replace(resources);
        self.0.revision.send_replace(revision);
    }

    /// What the config in force says.
    fn settings(&self) -> Result<Arc<Published>, Error> {
        self.0.published.load_full().ok_or(Error::NotReady)
    }

    /// A state, as answers show it.
    fn view(&self, state: Arc<State>) -> View {
        let published = self.0.published.load_full();
        let settings = published.as_ref().map(|published| &published.settings);
        View {
            state,
            calendar: settings.map(|settings| settings.calendar.clone()).unwrap_or_default(),
            binds_users_of_teams: settings.is_some_and(|settings| settings.binds_users_of_teams),
            end_users: settings.map(|settings| settings.end_users.clone()).unwrap_or_default(),
            key_defaults: settings
                .map(|settings| settings.key_defaults.clone())
                .unwrap_or_default(),
            rollover: settings.is_some_and(|settings| settings.rollover),
            now: self.0.clock.unix(),
        }
    }

    /// Whether a text is the master key, or stands for it in the request log.
    fn is_master(&self, text: &str) -> bool {
        let published = self.0.published.load_full();
        let master = published.as_ref().and_then(|one| one.settings.master_key.as_ref());
        text == reports::log_query::MASTER
            || master.is_some_and(|master| Secret::new(text) == *master)
    }

    /// Proposes a command for the caller, and returns the state that includes it.
    async fn carry_out(
        &self,
        asked: &Request,
        mut command: Command,
    ) -> Result<(Reply, View), Error> {
        if let Some(published) = self.0.published.load_full() {
            let state = self.0.consensus.state();
            terms::model_names::check(&published.catalog, &state, &command)?;
        }
        let mut found = changes::logging::Found::default();
        self.seal_callbacks(&self.0.consensus.state(), &mut command, &mut found)?;
        self.judge_callbacks(&found.fresh).await?;
        let seen = found.seen;
        if !seen.is_empty() {
            command = Command::IfUnchanged { seen, command: Box::new(command) };
        }
        let reply = self.0.consensus.propose_as(asked.actor.clone(), command).await?;
        Ok((reply, self.view(self.0.consensus.state())))
    }

    /// The state to answer a read from.
    async fn read(&self) -> Read {
        let consensus = &self.0.consensus;
        let fresh = tokio::time::timeout(READ_PATIENCE, consensus.barrier()).await;
        let stale = match fresh {
            Ok(Ok(())) => None,
            Ok(Err(_)) | Err(_) => {
                let heard = consensus.leader_heard();
                Some(Stale { age: heard.map(|heard| self.0.clock.mono().since(heard)) })
            }
        };
        Read { state: consensus.state(), stale }
    }
}

/// A state, and how far it may lie behind.
struct Read {
    state: Arc<State>,
    /// None: it holds all that was acknowledged before the read began.
    stale: Option<Stale>,
}

/// No leader could be asked.
struct Stale {
    /// Since the leader was last heard; none if it never was.
    age: Option<Duration>,
}

/// The routes and their paths. Paths and methods that do not exist are the whole server's matter.
pub fn router(admin: Admin) -> (Router, Vec<String>) {
    let (routes, table) = endpoints::all().done();
    let mut paths: Vec<_> = table.iter().map(|route| route.path.to_owned()).collect();
    paths.dedup();
    (routes.with_state(admin), paths)
}
