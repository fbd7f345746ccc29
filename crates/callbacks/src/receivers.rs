//! Who is told of a request: the receivers that the config names for all, and those of its key, else of
//! its team. One that a key or a team has takes the place of the config's of the same name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use dunlin_config::{Callback, CallbackKind, Callbacks};
use dunlin_journal::SpendRecord;
use dunlin_seal::Sealer;
use dunlin_state::{Caller, Key, Kind, Rank, State};
use dunlin_types::Networks;

use crate::own::OwnCallback;
use crate::target::Target;

/// The field of a key's or a team's terms that holds its callbacks.
pub const FIELD: &str = "logging";
/// Lists of keys and teams that are remembered as they were read; beyond this bound, all are read
/// again.
const MAX_READ: usize = 1_024;

type Targets = Arc<[Arc<Target>]>;

/// The receivers that one config revision knows.
#[derive(Default)]
pub(crate) struct Receivers {
    pub(crate) callbacks: Callbacks,
    all: Vec<Arc<Target>>,
    teams: BTreeMap<String, Targets>,
    /// Lists of keys and teams that were read, by their text.
    read: Mutex<HashMap<String, Targets>>,
}

impl Receivers {
    pub(crate) fn new(callbacks: Callbacks) -> Self {
        let all = callbacks.all.iter().map(of_file).collect();
        let teams = callbacks.teams.iter().map(|(team, callbacks)| {
            (team.clone(), callbacks.iter().map(of_file).collect::<Targets>())
        });
        let teams = teams.collect();
        Self { callbacks, all, teams, read: Mutex::default() }
    }

    /// Whether anybody may be told of a request of that caller; `None` is the master key.
    pub(crate) fn want(&self, caller: Option<&Caller>) -> bool {
        if !self.all.is_empty() {
            return true;
        }
        let Some(caller) = caller else { return false };
        if caller.key.terms.other.contains_key(FIELD) {
            return true;
        }
        let team = caller.payers.iter().find(|payer| payer.rank == Rank::Team);
        team.and_then(|payer| payer.entity()).is_some_and(|team| {
            team.terms.other.contains_key(FIELD) || self.teams.contains_key(&team.name)
        })
    }

    /// Whether there may be a callback of that name, in letters of either size.
    pub(crate) fn has(&self, name: &str) -> bool {
        let of_teams = self.teams.values().flat_map(|targets| targets.iter());
        CallbackKind::ALL.iter().any(|kind| kind.name().eq_ignore_ascii_case(name))
            || self.all.iter().chain(of_teams).any(|to| to.callback.name.eq_ignore_ascii_case(name))
    }

    /// Who is told of a request.
    pub(crate) fn of(
        &self,
        state: &State,
        record: &SpendRecord,
        sealer: &Sealer,
    ) -> Vec<Arc<Target>> {
        let own = self.own(state, record, sealer);
        let own = own.as_deref().unwrap_or_default();
        let is_replaced =
            |target: &Target| own.iter().any(|own| own.callback.name == target.callback.name);
        let all = self.all.iter().filter(|target| !is_replaced(target));
        let told = own.iter().chain(all).filter(|target| target.wants(record.outcome));
        told.map(Arc::clone).collect()
    }

    fn own(&self, state: &State, record: &SpendRecord, sealer: &Sealer) -> Option<Targets> {
        let key = record.key.and_then(|token| state.key(&token));
        if let Some(text) = key.and_then(|key| key.terms.other.get(FIELD)) {
            return Some(self.read(text, sealer));
        }
        let team = record.whose.team.as_deref()?;
        let known = state.entity(Kind::Team, team);
        match known.and_then(|team| team.terms.other.get(FIELD)) {
            Some(text) => Some(self.read(text, sealer)),
            None => self.teams.get(team).cloned(),
        }
    }

    /// The receivers that a key has, or else its team, by their names; one without a target is nowhere.
    pub(crate) fn own_of(
        &self,
        state: &State,
        key: &Key,
        sealer: &Sealer,
    ) -> Vec<(Arc<str>, Option<Arc<Target>>)> {
        let of_team = || {
            let team = state.entity(Kind::Team, key.team.as_deref()?)?;
            team.terms.other.get(FIELD)
        };
        if let Some(text) = key.terms.other.get(FIELD).or_else(of_team) {
            let own = OwnCallback::opened(text, sealer);
            return own.iter().map(|own| (own.kind.name().into(), self.target(own))).collect();
        }
        let of_file = key.team.as_ref().and_then(|team| self.teams.get(team));
        let named =
            |target: &Arc<Target>| (Arc::clone(&target.callback.name), Some(Arc::clone(target)));
        of_file.iter().flat_map(|targets| targets.iter()).map(named).collect()
    }

    fn read(&self, text: &str, sealer: &Sealer) -> Targets {
        let mut read = self.read.lock().expect("no panic while a list is read");
        if let Some(known) = read.get(text) {
            return Arc::clone(known);
        }
        if read.len() >= MAX_READ {
            read.clear();
        }
        let own = OwnCallback::opened(text, sealer);
        let targets: Targets = own.iter().filter_map(|own| self.target(own)).collect();
        read.insert(text.to_owned(), Arc::clone(&targets));
        targets
    }

    /// The receiver that a key or a team names.
    pub(crate) fn target(&self, own: &OwnCallback) -> Option<Arc<Target>> {
        let name: Arc<str> = own.kind.name().into();
        let on = own.outcomes();
        if own.variables.is_empty() {
            let shared = self.shared(own.kind)?;
            let callback = Callback { name, on, ..shared.callback.clone() };
            return Some(Arc::new(Target { callback, ..Target::clone(&shared) }));
        }
        let receiver = own.receiver()?;
        let callback = Callback { name, receiver, on, messages: true };
        Some(Arc::new(Target { callback, networks: self.callbacks.networks.clone() }))
    }

    /// What the config and its variables say of a receiver of that kind.
    pub(crate) fn shared(&self, kind: CallbackKind) -> Option<Arc<Target>> {
        let listed = self.all.iter().find(|target| *target.callback.name == *kind.name());
        listed.cloned().or_else(|| {
            let found = self.callbacks.shared.iter().find(|found| found.receiver.kind() == kind);
            found.map(of_file)
        })
    }

    /// The receiver of a name in the config.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Target>> {
        let listed = self.all.iter().find(|target| *target.callback.name == *name);
        listed.cloned().or_else(|| self.shared(CallbackKind::named(name)?))
    }
}

/// The operator's own word: it may be anywhere.
fn of_file(callback: &Callback) -> Arc<Target> {
    Arc::new(Target { callback: callback.clone(), networks: Networks::Anywhere })
}
