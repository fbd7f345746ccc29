//! The config in force. Raft holds it and a file is only a proposal: at start the node offers its
//! file; from then on it follows the replicated revisions. A revision that this node cannot apply
//! leaves the last good one in force.

use std::sync::Arc;

use dunlin_admin::Admin;
use dunlin_admission::Admission;
use dunlin_config::{CountedTokens, Document, Environment, Loaded, Options};
use dunlin_consensus::{Consensus, ProposeError};
use dunlin_identity::Identity;
use dunlin_journal::Bounds;
use dunlin_proxy::{Counted, HeaderName, Proxy};
use dunlin_records::Records;
use dunlin_state::{Command, ConfigRevision, Rejected, State};
use dunlin_types::Secret;
use dunlin_upstream::Upstream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::rules::rules;
use crate::seal::Sealer;

/// What a node works by.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// The config revision; 0 before the first.
    pub(crate) revision: u64,
    /// The fingerprint of its master key; empty before the first.
    pub(crate) master_key: String,
}

/// Follows the replicated config and hands each revision to those who work by it.
pub(crate) struct Revisions {
    pub(crate) consensus: Consensus,
    pub(crate) upstream: Upstream,
    pub(crate) identity: Identity,
    pub(crate) proxy: Proxy,
    pub(crate) admin: Admin,
    pub(crate) admission: Admission,
    pub(crate) records: Records,
    /// As large as the request log may become, in bytes.
    pub(crate) log_bytes: u64,
    pub(crate) sealer: Sealer,
    pub(crate) environment: Environment,
    pub(crate) options: Options,
    /// For revisions that set no master key.
    pub(crate) master_key: Option<Secret>,
    /// What is in force on this node.
    pub(crate) in_force: watch::Sender<InForce>,
    pub(crate) stop: CancellationToken,
}

impl Revisions {
    /// Offers `own` once the cluster stands, then follows every revision until the node stops.
    pub(crate) async fn follow(self, own: Option<Document>) {
        let mut applied = self.consensus.applied();
        let followed = async {
            self.consensus.formed().await;
            if let Some(document) = &own {
                self.offer(document).await;
            }
            let mut seen = 0;
            loop {
                let state = self.consensus.state();
                if let Some(revision) = state.config().filter(|config| config.revision > seen) {
                    seen = revision.revision;
                    self.apply(revision);
                }
                if applied.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = followed => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Proposes the file unless the cluster has it, or has moved on from it. A node that lags
    /// behind or meets another proposal looks again.
    async fn offer(&self, document: &Document) {
        let plain = dunlin_config::revision_bytes(document);
        let hash = self.sealer.fingerprint(&dunlin_config::hashed_bytes(document));
        loop {
            let state = self.consensus.state();
            let current = state.config().map_or(0, |config| config.revision);
            if let Some(known) = find(&state, &hash) {
                if known < current {
                    warn!(
                        "the config file is the cluster's old revision {known}: ignored, revision \
                         {current} stays in force; to bring it back as a new revision, change a \
                         value in it or add a key such as `note: back to {known}`"
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
            let command = Command::ProposeConfig {
                hash: hash.clone(),
                sealed: self.sealer.seal(&plain),
                source: document.files[0].path.clone(),
                after: current,
            };
            match self.consensus.propose(command).await {
                Ok(_) => return,
                Err(ProposeError::Rejected(Rejected::StaleRevision { .. })) => {}
                Err(ProposeError::Stopping) => return,
                Err(ProposeError::Rejected(rejected)) => {
                    error!("the config file was not accepted by the cluster: {rejected}");
                    return;
                }
                Err(error) => {
                    warn!(%error, "the config file is not proposed yet");
                    tokio::time::sleep(RETRY_OFFER).await;
                }
            }
        }
    }

    fn has_no_models(&self, document: &Document) -> bool {
        let loaded = dunlin_config::load(document, &self.environment, &self.options).loaded;
        loaded.is_none_or(|loaded| loaded.catalog.groups.is_empty())
    }

    fn apply(&self, revision: &ConfigRevision) {
        let number = revision.revision;
        match self.open(revision) {
            Ok(Loaded { catalog, settings, .. }) => {
                let catalog = Arc::new(catalog);
                let rules = rules(&settings, &catalog);
                let master_key = settings.master_key.or_else(|| self.master_key.clone());
                let key_header = settings.key_header;
                let trusts_forwarded_for = settings.trusts_forwarded_for;
                self.identity.publish(settings.tls);
                let calendar = settings.budgets.calendar.clone();
                let max_budget = settings.budgets.most;
                self.admission.govern(rules);
                self.upstream.publish(&catalog);
                let usual = Bounds::default().age;
                let age = settings.log.age.or(usual);
                self.records.keep(Bounds { age, bytes: self.log_bytes });
                self.proxy.publish(
                    Arc::clone(&catalog),
                    dunlin_proxy::Settings {
                        master_key: master_key.clone(),
                        key_header: key_header.clone(),
                        max_request_bytes: settings
                            .max_request_bytes
                            .unwrap_or(dunlin_proxy::MAX_REQUEST_BYTES),
                        end_user_headers: names(&settings.end_user_headers),
                        revision: number,
                        counted: counted(settings.counted),
                        keeps_said: settings.log.keeps_said,
                        trusts_forwarded_for,
                    },
                );
                let models = catalog.groups.len();
                let fingerprint = self.sealer.master_key(master_key.as_ref());
                let grants = settings.grants;
                let settings = dunlin_admin::Settings {
                    master_key,
                    key_header,
                    key_defaults: grants.key_defaults,
                    key_bounds: grants.key_bounds,
                    user_defaults: grants.user_defaults,
                    team_defaults: grants.team_defaults,
                    key_rules: grants.key_rules,
                    calendar,
                    max_budget,
                    trusts_forwarded_for,
                };
                self.admin.publish(catalog, settings);
                self.in_force.send_replace(InForce { revision: number, master_key: fingerprint });
                info!(
                    config.revision = number,
                    models, "config revision {number} is in force (from {})", revision.source
                );
            }
            Err(error) => error!(
                config.revision = number,
                "config revision {number} cannot be applied here, revision {} stays in force: \
                 {error:#}",
                self.in_force.borrow().revision
            ),
        }
    }

    fn open(&self, revision: &ConfigRevision) -> anyhow::Result<Loaded> {
        let plain = self.sealer.open(&revision.sealed)?;
        let document = dunlin_config::document_from(&plain)?;
        let outcome = dunlin_config::load(&document, &self.environment, &self.options);
        for warning in &outcome.diagnostics {
            warn!(config.revision = revision.revision, "{}", warning.headline());
        }
        outcome.loaded.ok_or_else(|| anyhow::anyhow!("it has errors"))
    }
}

/// How long a file waits for a cluster that cannot take it, before it is offered again.
const RETRY_OFFER: std::time::Duration = std::time::Duration::from_secs(1);

fn names(headers: &[String]) -> Vec<HeaderName> {
    let name =
        |name: &String| HeaderName::try_from(name.as_str()).expect("the configuration was checked");
    headers.iter().map(name).collect()
}

fn counted(counted: CountedTokens) -> Counted {
    match counted {
        CountedTokens::Total => Counted::Total,
        CountedTokens::Input => Counted::Input,
        CountedTokens::Output => Counted::Output,
    }
}

fn find(state: &State, hash: &str) -> Option<u64> {
    state.config_history().find(|known| *known.hash == *hash).map(|known| known.revision)
}
