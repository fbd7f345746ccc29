//! The records of requests that are refused before anything is tried for them. They cost nothing, so
//! that anybody can cause many: of each key a few a second are on record, the others are counted. Of
//! all keys that do not exist fewer still, so that who has none pushes nothing out of the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use axum::http::HeaderMap;
use dunlin_journal::{Course, Origin, SpendRecord};
use dunlin_llm::MAX_MODEL_BYTES;
use dunlin_llm::credentials::{CredentialError, client_key};
use dunlin_types::{KeyDigest, MonoMillis};
use tracing::{error, warn};

use crate::Proxy;
use crate::bill::record;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::{Failed, Refused};

/// Refused requests of one key that are on record, in a second.
const MAX_OF_KEY: u32 = 10;
/// Refused requests that are on record, in a second.
const MAX_OF_ALL: u32 = 100;
/// Those of them whose key nobody is known to have.
const MAX_OF_STRANGERS: u32 = 5;
/// How often it is told how many are not, in milliseconds.
const TELL_EVERY: u64 = 60_000;

/// What is known of a request so far, for the record that it leaves if it is refused.
#[derive(Default)]
pub(crate) struct RecordDraft {
    who: OnceLock<Who>,
    what: OnceLock<Asked>,
    origin: OnceLock<Origin>,
}

/// For whom a request is refused.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    Master,
    Key(KeyDigest),
    /// Shows a key that this node does not know.
    Stranger(KeyDigest),
}

impl Who {
    /// Somebody who was let in: `None` with the master key.
    pub(crate) fn of(key: Option<KeyDigest>) -> Self {
        key.map_or(Self::Master, Self::Key)
    }
}

struct Asked {
    model: String,
    stream: bool,
}

impl RecordDraft {
    /// Who asks is known.
    pub(crate) fn is(&self, caller: &Caller) {
        self.is_of(Who::of(caller.key().map(|caller| caller.token)));
    }

    /// The same of somebody who was let in before.
    pub(crate) fn is_of(&self, who: Who) {
        // Who asks once, asks for all of it.
        let _known_already = self.who.set(who);
    }

    /// Who asks is not let in; the key that it shows says who it would be.
    pub(crate) fn claims(&self, headers: &HeaderMap, key_header: Option<&str>, why: &Refused) {
        if let Ok(key) = client_key(headers, key_header) {
            let key = KeyDigest::of(key.expose());
            let who = if is_of_stranger(why) { Who::Stranger(key) } else { Who::Key(key) };
            let _known_already = self.who.set(who);
        }
    }

    /// What is asked for. What is heard first holds.
    pub(crate) fn asks(&self, model: &str, stream: bool) {
        let model = model[..model.floor_char_boundary(MAX_MODEL_BYTES)].to_owned();
        let _known_already = self.what.set(Asked { model, stream });
    }

    /// On whose behalf it is asked for. What is heard first holds.
    pub(crate) fn is_for(&self, origin: Origin) {
        let _known_already = self.origin.set(origin);
    }
}

/// Whether nobody is known to have the key that a request shows.
fn is_of_stranger(why: &Refused) -> bool {
    use CredentialError::{Malformed, Missing, NotVirtual, Unknown};
    matches!(
        why,
        Refused::NotReady
            | Refused::CannotKnow { .. }
            | Refused::Overloaded { .. }
            | Refused::Credential(Missing | Malformed | NotVirtual { .. } | Unknown { .. })
    )
}

/// How many refusals are on record in this second.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Second>);

#[derive(Default)]
struct Second {
    began: MonoMillis,
    all: u32,
    strangers: u32,
    by_key: BTreeMap<Option<KeyDigest>, u32>,
    left_out: u64,
    told: MonoMillis,
}

impl Refusals {
    /// Whether one more of a key, or of the master key, goes on record.
    pub(crate) fn admit(&self, who: Who, now: MonoMillis) -> bool {
        let (admitted, left_out) =
            self.0.lock().expect("no panic while it is held").admit(who, now);
        if let Some(requests) = left_out {
            warn!(requests, "refused requests came too fast to be on record one by one");
        }
        admitted
    }
}

impl Second {
    /// Whether it goes on record, and how many did not, if that is due to be told.
    fn admit(&mut self, who: Who, now: MonoMillis) -> (bool, Option<u64>) {
        if now.since(self.began).as_secs() >= 1 {
            self.began = now;
            (self.all, self.strangers) = (0, 0);
            self.by_key.clear();
        }
        let admitted = match who {
            Who::Stranger(_) => take(&mut self.strangers, MAX_OF_STRANGERS),
            // The table has as many keys as there are records in a second, at most.
            Who::Master | Who::Key(_) if self.all >= MAX_OF_ALL => false,
            Who::Master => take(self.by_key.entry(None).or_default(), MAX_OF_KEY),
            Who::Key(key) => take(self.by_key.entry(Some(key)).or_default(), MAX_OF_KEY),
        };
        if admitted {
            self.all += u32::from(!matches!(who, Who::Stranger(_)));
            return (true, None);
        }
        self.left_out += 1;
        if now.0.saturating_sub(self.told.0) < TELL_EVERY {
            return (false, None);
        }
        self.told = now;
        (false, Some(std::mem::take(&mut self.left_out)))
    }
}

/// Takes one of `most`, if one is left.
fn take(taken: &mut u32, most: u32) -> bool {
    let is_left = *taken < most;
    *taken += u32::from(is_left);
    is_left
}

/// Puts a request on record that was refused, unless it is or nobody knows whose it was.
pub(crate) fn note(proxy: &Proxy, call: &Call, failed: &Failed) {
    if failed.is_on_record() {
        return;
    }
    let counts = &proxy.0.open.counts;
    let unrecorded = || counts.unrecorded(call.call_type, failed.body().code);
    let Some(who) = call.known.who.get() else { return unrecorded() };
    let key = match who {
        Who::Master => None,
        Who::Key(key) | Who::Stranger(key) => Some(*key),
    };
    if !proxy.0.refusals.admit(*who, proxy.0.clock.mono()) {
        return unrecorded();
    }
    let mut record = SpendRecord {
        request: call.id,
        key,
        started: call.started,
        ended: proxy.0.clock.unix(),
        call_id: call.call_id.clone(),
        fault: Some(Box::new(record::fault(failed.body()))),
        origin: call.known.origin.get().cloned().unwrap_or_default(),
        course: Course { call_type: call.call_type.to_owned(), ..Course::default() },
        ..SpendRecord::default()
    };
    if let Some(Asked { model, stream }) = call.known.what.get() {
        model.clone_into(&mut record.model);
        record.stream = *stream;
    }
    if let Err(error) = proxy.0.admission.note(record) {
        error!(request.id = %call.id, %error, "cannot record a refused request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_a_bounded_number_of_records() {
        let refusals = Refusals::default();
        let key = |number: u32| Who::Key(KeyDigest::of(&format!("sk-{number}")));
        let admitted = |keys: std::ops::Range<u32>, times: u32, now| {
            let one = |number| (0..times).filter(|_| refusals.admit(key(number), now)).count();
            keys.map(one).sum::<usize>() as u32
        };
        let now = MonoMillis(5_000);
        assert_eq!(admitted(0..1, 1_000, now), MAX_OF_KEY);
        assert_eq!(admitted(0..1_000, 5, now), MAX_OF_ALL - MAX_OF_KEY);
        assert_eq!(admitted(0..1, 1, MonoMillis(5_999)), 0, "the second is not over");
        assert_eq!(admitted(0..1, 1_000, MonoMillis(6_000)), MAX_OF_KEY);
        assert!(refusals.0.lock().expect("not held").by_key.len() <= MAX_OF_ALL as usize);
    }

    #[test]
    fn a_flood_of_keys_that_do_not_exist_takes_no_room_of_those_that_do() {
        let refusals = Refusals::default();
        let now = MonoMillis(5_000);
        let digest = |number: u32| KeyDigest::of(&format!("sk-{number}"));
        let strangers = (0..1_000).filter(|at| refusals.admit(Who::Stranger(digest(*at)), now));
        assert_eq!(strangers.count() as u32, MAX_OF_STRANGERS);
        let known = (0..1_000).filter(|at| refusals.admit(Who::Key(digest(*at)), now));
        assert_eq!(known.count() as u32, MAX_OF_ALL);
        assert!(!refusals.admit(Who::Master, now), "all of a second are on record");
        let later = MonoMillis(6_000);
        assert!(refusals.admit(Who::Stranger(digest(0)), later), "the next second has its own");
    }
}
