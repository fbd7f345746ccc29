//! What this node works by. Raft holds the config and a file is only a proposal: the node serves at
//! once by the newest revision that it holds, and offers its file meanwhile. Models and credentials
//! that are set over the API stand beside the revision; whenever either changes, both are read anew.
//! What this node cannot apply leaves the last good state in force.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dunlin_admin::Admin;
use dunlin_admission::Admission;
use dunlin_callbacks::Callbacks;
use dunlin_config::{
    Budgets, CountedTokens, Document, Environment, Loaded, Options, Outcome, Settings,
};
use dunlin_consensus::{Consensus, ProposeError};
use dunlin_exporter::{Custom, Exporter};
use dunlin_identity::Identity;
use dunlin_journal::Bounds;
use dunlin_metrics::Kept;
use dunlin_proxy::{Counted, HeaderName, MAX_REQUEST_BYTES, Proxy};
use dunlin_records::Records;
use dunlin_seal::Sealer;
use dunlin_state::{Command, ConfigRevision, Rejected, State};
use dunlin_types::Secret;
use dunlin_upstream::Upstream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::rules::rules;

/// What a node works by.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// The config revision; 0 before the first.
    pub(crate) revision: u64,
    /// The fingerprint of its master key; empty before the first.
    pub(crate) master_key: String,
}

/// Follows the replicated config and models, and hands them to those who work by them.
pub(crate) struct Revisions {
    pub(crate) consensus: Consensus,
    pub(crate) upstream: Upstream,
    pub(crate) identity: Identity,
    pub(crate) proxy: Proxy,
    pub(crate) admin: Admin,
    pub(crate) admission: Admission,
    pub(crate) records: Records,
    pub(crate) exporter: Exporter,
    pub(crate) callbacks: Callbacks,
    /// As large as the request log may become, in bytes.
    pub(crate) log_bytes: u64,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) environment: Environment,
    pub(crate) options: Options,
    /// For revisions that set no master key.
    pub(crate) master_key: Option<Secret>,
    /// What is in force on this node.
    pub(crate) in_force: watch::Sender<InForce>,
    pub(crate) stop: CancellationToken,
}

/// What was read already, so that only what changed is read, and said, again.
#[derive(Default)]
struct Known {
    /// The newest revision that was looked at, and the version of the models beside it.
    seen: (u64, u64),
    /// The revision that this node can apply.
    good: Option<(ConfigRevision, Document)>,
    /// Warnings that were said.
    said: BTreeSet<String>,
}

impl Revisions {
    /// Once the cluster stands, serves by every revision that comes, until the node stops, and offers
    /// `own` as one.
    pub(crate) async fn follow(self, own: Option<Document>) {
        let followed = async {
            self.consensus.formed().await;
            let mut offering = std::pin::pin!(async {
                if let Some(document) = &own {
                    self.offer(document).await;
                }
            });
            // Whoever restarts a node with a new file wants to meet it with that file in force; but
            // clients do not wait for a cluster that cannot take it.
            tokio::select! {
                () = &mut offering => self.serve().await,
                () = tokio::time::sleep(OFFER_FIRST) => {
                    tokio::join!(offering, self.serve());
                }
            }
        };
        tokio::select! {
            () = followed => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Serves by the newest state, over and over.
    async fn serve(&self) {
        let mut applied = self.consensus.applied();
        let mut known = Known::default();
        loop {
            let state = self.consensus.state();
            let newest = state.config().map_or(0, |config| config.revision);
            let now = (newest, state.resources_version());
            if newest > 0 && now != known.seen {
                // Thousands of models take their time to read.
                tokio::task::block_in_place(|| self.apply(&state, &mut known));
                known.seen = now;
            }
            if applied.changed().await.is_err() {
                break;
            }
        }
    }

    /// Proposes the file unless the cluster has it, or has moved on from it. A node that lags
    /// behind or meets another proposal looks again.
    async fn offer(&self, document: &Document) {
        let plain = dunlin_config::revision_bytes(document);
        let named = dunlin_config::hashed_bytes(document);
        let hashes: Vec<_> = self.sealer.fingerprints(&named).collect();
        loop {
            let state = self.consensus.state();
            let current = state.config().map_or(0, |config| config.revision);
            if let Some(known) = find(&state, &hashes) {
                if known < current {
                    warn!(
                        "the config file is the cluster's old revision {known}: ignored, revision \
                         {current} stays in force; what was changed since: dunlin config diff {known} \
                         {current}; to bring the file back: dunlin config rollback {known}"
                    );
                }
                return;
            }
            if current > 0 && self.has_no_models(document) {
                error!(
                    "the config file has no models, and revision {current} has: it is not proposed"
                );
                return;
            }
            let undone = self.undone(&state, document);
            let command = Command::ProposeConfig {
                hash: self.sealer.fingerprint(&named),
                sealed: self.sealer.seal(&plain),
                source: document.files[0].path.clone(),
                after: current,
            };
            match self.consensus.propose(command).await {
                Ok(_) => {
                    if let Some(undone) = undone {
                        warn!(
                            "the config file replaces what was set over the API: {undone}; to \
                             bring that back: dunlin config rollback {current}"
                        );
                    }
                    return;
                }
                Err(ProposeError::Rejected(Rejected::StaleRevision { .. })) => {}
                Err(ProposeError::Stopping) => return,
                Err(ProposeError::Rejected(rejected)) => {
                    error!("the config file was not accepted by the cluster: {rejected}");
                    return;
                }
                Err(error) => {
                    warn!(%error, "the config file could not be proposed yet");
                    tokio::time::sleep(RETRY_OFFER).await;
                }
            }
        }
    }

    /// The settings that were set over the API and that a file changes, in words.
    fn undone(&self, state: &State, file: &Document) -> Option<String> {
        let newest = state.config().filter(|newest| newest.edited)?;
        let base = state.config_history().rev().find(|known| !known.edited)?;
        let open = |revision: &ConfigRevision| {
            let plain = self.sealer.open(&revision.sealed).ok()?;
            dunlin_config::document_from(&plain).ok()
        };
        let (Some(base), Some(newest)) = (open(base), open(newest)) else {
            return Some(
                "the revision of the previous file is no longer kept, so it is not known \
                 what"
                    .to_owned(),
            );
        };
        let undone = dunlin_config::undone(&base, &newest, file);
        (!undone.is_empty()).then(|| undone.join(", "))
    }

    fn has_no_models(&self, document: &Document) -> bool {
        let loaded = dunlin_config::load(document, &self.environment, &self.options).loaded;
        loaded.is_none_or(|loaded| loaded.catalog.groups.is_empty())
    }

    /// Works by the newest revision that can be applied here, with the models beside it.
    fn apply(&self, state: &State, known: &mut Known) {
        let newest = state.config().map_or(0, |config| config.revision);
        if newest != known.seen.0 {
            self.find_good(state, known);
        }
        let Some((revision, document)) = &known.good else { return };
        let (additions, unreadable) = dunlin_admin::additions(state, &self.sealer);
        let options = Options { accepted: true, ..self.options.clone() };
        let outcome = dunlin_config::load_with(document, &additions, &self.environment, &options);
        let Outcome { diagnostics, left_out, loaded, .. } = outcome;
        let left_out = unreadable.iter().chain(&left_out);
        let left_out = left_out.map(|out| {
            format!("{} is set over the API but left out: {}", out.what, out.why.join("; "))
        });
        let said: BTreeSet<String> =
            diagnostics.iter().map(dunlin_config::Diagnostic::headline).chain(left_out).collect();
        for warning in said.difference(&known.said) {
            warn!(config.revision = revision.revision, "{warning}");
        }
        let loaded = loaded.unwrap_or_else(|| {
            error!(
                "the models and credentials set over the API conflict with the config: all of \
                    them are left out"
            );
            let alone = dunlin_config::load(document, &self.environment, &options).loaded;
            alone.expect("it was loaded when it was found good")
        });
        self.put_in_force(revision, loaded, state.resources_version(), newest != known.seen.0);
        known.said = said;
    }

    /// Looks for the newest revision that loads on this node: at a start there may be a newer one
    /// that does not.
    fn find_good(&self, state: &State, known: &mut Known) {
        let mut newest_fails = None;
        for revision in state.config_history().rev() {
            let same =
                known.good.as_ref().is_some_and(|(good, _)| good.revision == revision.revision);
            if same || revision.sealed.is_empty() {
                break;
            }
            match self.open(revision) {
                Ok(document) => {
                    known.good = Some((revision.clone(), document));
                    break;
                }
                Err(why) => {
                    newest_fails.get_or_insert((revision.revision, why));
                }
            }
        }
        let Some((number, why)) = newest_fails else { return };
        match &known.good {
            Some((good, _)) => error!(
                config.revision = number,
                "cannot apply config revision {number}, revision {} stays in force: {why:#}",
                good.revision
            ),
            None if dunlin_admin::is_sealed_elsewhere(state, &self.sealer) => {
                error!("{}", dunlin_admin::WRONG_SECRET);
            }
            None => error!(
                config.revision = number,
                "cannot apply config revision {number}, nor an older one: this node serves \
                 nothing until it can: {why:#}"
            ),
        }
    }

    /// The document of a revision, if it loads here.
    fn open(&self, revision: &ConfigRevision) -> anyhow::Result<Document> {
        let plain = self.sealer.open(&revision.sealed)?;
        let document = dunlin_config::document_from(&plain)?;
        let options = Options { accepted: true, ..self.options.clone() };
        let outcome = dunlin_config::load(&document, &self.environment, &options);
        let is_error =
            |found: &&dunlin_config::Diagnostic| found.severity == dunlin_config::Severity::Error;
        let errors = outcome.diagnostics.iter().filter(is_error);
        let errors: Vec<_> = errors.map(dunlin_config::Diagnostic::headline).collect();
        anyhow::ensure!(outcome.loaded.is_some(), "{}", errors.join("; "));
        Ok(document)
    }

    /// Hands everything to those who work by it.
    fn put_in_force(&self, revision: &ConfigRevision, loaded: Loaded, resources: u64, new: bool) {
        let Loaded { catalog, settings, basis, .. } = loaded;
        let number = revision.revision;
        let catalog = Arc::new(catalog);
        let rules = rules(&settings, &catalog);
        self.exporter.publish(Arc::clone(&catalog), told(&settings));
        let (callbacks, tls) = (settings.callbacks.clone(), settings.tls.clone());
        let callbacks = dunlin_callbacks::Settings { callbacks, tls };
        self.callbacks.publish(Arc::clone(&catalog), callbacks);
        let master_key = settings.master_key.or_else(|| self.master_key.clone());
        let key_header = settings.key_header;
        let trusts_forwarded_for = settings.trusts_forwarded_for;
        self.identity.publish(settings.tls);
        let (calendar, end_users) = (rules.calendar.clone(), rules.end_users.clone());
        let Budgets { most: max_budget, rollover, binds_users_of_teams, .. } = settings.budgets;
        let max_request_bytes = settings.max_request_bytes.unwrap_or(MAX_REQUEST_BYTES);
        self.admission.govern(rules);
        self.upstream.publish(&catalog);
        let age = settings.log.age.or(Bounds::default().age);
        self.records.keep(Bounds { age, bytes: self.log_bytes });
        self.proxy.publish(
            Arc::clone(&catalog),
            dunlin_proxy::Settings {
                master_key: master_key.clone(),
                key_header: key_header.clone(),
                max_request_bytes,
                demands: demands(&settings.demands),
                always_tells_usage: settings.always_tells_usage,
                names_call_in_errors: settings.names_call_in_errors,
                forwarded: forwarded(settings.forwarded),
                end_user_headers: names(&settings.end_user_headers),
                revision: number,
                counted: counted(settings.counted),
                trusts_forwarded_for,
                keeps_said: settings.log.keeps_said,
                redacts: settings.log.redacts,
            },
        );
        let (models, grants) = (catalog.groups.len(), settings.grants);
        let fingerprint = self.sealer.master_key(master_key.as_ref());
        let settings = dunlin_admin::Settings {
            master_key,
            key_header,
            key_defaults: grants.key_defaults,
            key_bounds: grants.key_bounds,
            user_defaults: grants.user_defaults,
            available_teams: grants.available_teams,
            team_defaults: grants.team_defaults,
            key_rules: grants.key_rules,
            calendar,
            binds_users_of_teams,
            end_users,
            rollover,
            max_budget,
            trusts_forwarded_for,
            open_metrics: settings.metrics.open,
            stores_models: settings.stores_models.unwrap_or(true),
            drain: settings.drain,
        };
        let in_force =
            dunlin_admin::InForce { revision: number, catalog, settings, basis, resources };
        self.admin.publish(in_force);
        self.in_force.send_replace(InForce { revision: number, master_key: fingerprint });
        if new {
            info!(
                config.revision = number,
                models, "config revision {number} is in force (from {})", revision.source
            );
        } else {
            info!(config.revision = number, models, "the models set over the API were reloaded");
        }
    }
}

/// How long a file waits for a cluster that cannot take it, before it is offered again.
const RETRY_OFFER: Duration = Duration::from_secs(1);
/// How long a node that starts waits for its own file to become the config, before it serves by what
/// it holds.
const OFFER_FIRST: Duration = Duration::from_secs(1);

fn names(headers: &[String]) -> Vec<HeaderName> {
    let name =
        |name: &String| HeaderName::try_from(name.as_str()).expect("the configuration was checked");
    headers.iter().map(name).collect()
}

/// Which labels Prometheus gets, and how finely.
fn told(settings: &Settings) -> dunlin_exporter::Settings {
    let default = dunlin_exporter::Settings::default();
    dunlin_exporter::Settings {
        end_users: settings.metrics.end_users,
        buckets: settings.metrics.buckets.clone().unwrap_or(default.buckets),
        calendar: settings.budgets.calendar.clone(),
        kept: settings.metrics.only.clone().map(|only| Arc::new(Kept(only))),
        custom: Custom::new(&settings.metrics.metadata, &settings.metrics.tags),
    }
}

fn demands(of: &dunlin_config::Demands) -> dunlin_proxy::Demands {
    let dunlin_config::Demands { user, params, no_tags } = of.clone();
    dunlin_proxy::Demands { user, params: params.into(), no_tags }
}

fn forwarded(of: dunlin_config::Forwarded) -> dunlin_proxy::Forwarded {
    let dunlin_config::Forwarded { own, organization, trace } = of;
    dunlin_proxy::Forwarded { own, organization, trace }
}

fn counted(counted: CountedTokens) -> Counted {
    match counted {
        CountedTokens::Total => Counted::Total,
        CountedTokens::Input => Counted::Input,
        CountedTokens::Output => Counted::Output,
    }
}

fn find(state: &State, hashes: &[String]) -> Option<u64> {
    let found = state.config_history().rev().find(|known| hashes.contains(&known.hash));
    found.map(|known| known.revision)
}
