//! One cluster secret takes the place of another: once all members know it, the leader has everything
//! that is sealed under the former one sealed anew.

use std::sync::Arc;
use std::time::Duration;

use dunlin_callbacks::{FIELD, OwnCallback};
use dunlin_consensus::{Consensus, Role};
use dunlin_gossip::Gossip;
use dunlin_seal::Sealer;
use dunlin_state::{
    Command, ConfigRevision, Kind, ResealedField, ResealedResource, ResealedRevision, ResourceKind,
    SealedFor, State,
};
use dunlin_types::Secrets;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many sealed bytes go into one command, or a single longer thing.
const BATCH_BYTES: usize = 1 << 20;

/// What the change of a secret is about.
pub(crate) struct Reseal {
    pub(crate) secrets: Secrets,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) consensus: Consensus,
    pub(crate) gossip: Gossip,
}

impl Reseal {
    /// Has this node seal under the secret that the cluster has agreed on, and as the leader brings
    /// the cluster to agree on the one that stays. Ends at once if there is one only.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if self.secrets.previous.is_none() {
            return;
        }
        let mut applied = self.consensus.applied();
        let mut told = None;
        loop {
            self.turn(&self.consensus.state());
            if self.consensus.status().role == Role::Leader {
                self.lead(&mut told).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = applied.changed() => {}
            }
        }
    }

    fn current(&self) -> String {
        self.sealer.known().next().unwrap_or_default()
    }

    fn turn(&self, state: &State) {
        self.secrets.turn(state.sealed_under() == Some(&*self.current()));
    }

    async fn lead(&self, told: &mut Option<usize>) {
        let state = self.consensus.state();
        let current = self.current();
        let agreed = state.sealed_under() == Some(&*current);
        let (revisions, resources) = self.batch(&state);
        let fields = self.fields(&state);
        if agreed && revisions.is_empty() && resources.is_empty() && fields.is_empty() {
            return;
        }
        let unaware = dunlin_admin::unaware(&state, &self.gossip.view(), &current);
        // A member that is away may come back knowing the former one only.
        if !agreed && !unaware.is_empty() {
            if *told != Some(unaware.len()) {
                info!("waiting to use the new cluster secret until {unaware:?} know it too");
                *told = Some(unaware.len());
            }
            return;
        }
        let count = revisions.len() + resources.len() + fields.len();
        let command = Command::Reseal { secret: current, revisions, resources, fields };
        match self.consensus.propose(command).await {
            Ok(_) if !agreed => {
                info!(
                    "all members know the new cluster secret: everything is sealed under it from \
                     now on"
                );
            }
            Ok(_) => info!(count, "sealed under the new cluster secret"),
            Err(cause) => warn!(error = %cause, "cannot reseal anything yet"),
        }
    }

    /// Some of what is sealed under another secret, sealed anew.
    fn batch(&self, state: &State) -> (Vec<ResealedRevision>, Vec<ResealedResource>) {
        let (mut revisions, mut resources, mut bytes) = (Vec::new(), Vec::new(), 0);
        for known in state.config_history().rev() {
            if bytes < BATCH_BYTES && !known.sealed.is_empty() && !self.is_current(&known.sealed) {
                bytes += known.sealed.len();
                revisions.extend(self.revision(known));
            }
        }
        for kind in ResourceKind::ALL {
            for known in state.resources(kind).filter(|known| !self.is_current(&known.sealed)) {
                if bytes >= BATCH_BYTES {
                    break;
                }
                bytes += known.sealed.len();
                if let Ok(plain) = self.sealer.open(&known.sealed) {
                    let sealed = self.sealer.seal_anew(&plain).into();
                    let (id, version) = (known.id.clone(), known.version);
                    resources.push(ResealedResource { kind, id, version, sealed });
                }
            }
        }
        (revisions, resources)
    }

    /// Some of the callbacks of keys and teams, whose secrets are sealed.
    fn fields(&self, state: &State) -> Vec<ResealedField> {
        let keys = state.keys().map(|key| (SealedFor::Key(key.token), &key.terms));
        let teams = state.entities(Kind::Team);
        let teams =
            teams.map(|team| (SealedFor::Entity(Kind::Team, team.name.clone()), &team.terms));
        let (mut fields, mut bytes) = (Vec::new(), 0);
        for (of, terms) in keys.chain(teams) {
            let Some(before) = terms.other.get(FIELD) else { continue };
            let Some(after) = OwnCallback::resealed(before, &self.sealer) else { continue };
            bytes += before.len() + after.len();
            fields.push(ResealedField {
                of,
                name: FIELD.to_owned(),
                before: before.clone(),
                after,
            });
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        fields
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        self.sealer.is_current(sealed)
    }

    fn revision(&self, known: &ConfigRevision) -> Option<ResealedRevision> {
        let plain = self.sealer.open(&known.sealed).ok()?;
        let document = match dunlin_config::document_from(&plain) {
            Ok(document) => document,
            Err(cause) => {
                error!("config revision {} cannot be read: {cause}", known.revision);
                return None;
            }
        };
        Some(ResealedRevision {
            revision: known.revision,
            hash: self.sealer.fingerprint_anew(&dunlin_config::hashed_bytes(&document)),
            sealed: self.sealer.seal_anew(&plain).into(),
        })
    }
}
