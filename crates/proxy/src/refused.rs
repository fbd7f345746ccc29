//! The records of requests that are refused before anything is tried for them. They cost nothing, so
//! that anybody can cause many: of each key a few a second are on record, the others are counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use dunlin_journal::{Course, Origin, SpendRecord};
use dunlin_llm::credentials::client_key;
use dunlin_types::{KeyDigest, MonoMillis};
use tracing::{error, warn};

use crate::caller::Caller;
use crate::chat::Call;
use crate::error::Failed;
use crate::{Proxy, record};

/// Refused requests of one key that are on record, in a second.
const MAX_OF_KEY: u32 = 10;
/// Refused requests that are on record, in a second.
const MAX_OF_ALL: u32 = 100;
/// How often it is told how many are not, in milliseconds.
const TELL_EVERY: u64 = 60_000;

/// What is known of a request so far, for the record that it leaves if it is refused.
#[derive(Default)]
pub(crate) struct Known {
    who: OnceLock<Who>,
    what: OnceLock<What>,
}

enum Who {
    Master,
    Key(KeyDigest),
}

struct What {
    model: String,
    stream: bool,
    call_type: &'static str,
    origin: Origin,
}

impl Known {
    /// Who asks is known.
    pub(crate) fn is(&self, caller: &Caller) {
        let who = match caller {
            Caller::Master => Who::Master,
            Caller::Key { caller, .. } => Who::Key(caller.token),
        };
        // Who asks once, asks for all of it.
        let _known_already = self.who.set(who);
    }

    /// Who asks is not let in; the key that it shows says who it would be.
    pub(crate) fn claims(&self, headers: &HeaderMap, key_header: Option<&str>) {
        if let Ok(key) = client_key(headers, key_header) {
            let _known_already = self.who.set(Who::Key(KeyDigest::of(key.expose())));
        }
    }

    /// What was asked for, once that is refused.
    pub(crate) fn asks(&self, model: &str, stream: bool, call_type: &'static str, of: &Origin) {
        let (model, origin) = (model.to_owned(), of.clone());
        let _known_already = self.what.set(What { model, stream, call_type, origin });
    }
}

/// How many refusals are on record in this second.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Second>);

#[derive(Default)]
struct Second {
    began: MonoMillis,
    all: u32,
    by_key: BTreeMap<Option<KeyDigest>, u32>,
    left_out: u64,
    told: MonoMillis,
}

impl Refusals {
    /// Whether one more of a key, or of the master key, goes on record.
    pub(crate) fn admit(&self, key: Option<KeyDigest>, now: MonoMillis) -> bool {
        let mut second = self.0.lock().expect("no panic while it is held");
        if now.since(second.began).as_secs() >= 1 {
            second.began = now;
            second.all = 0;
            second.by_key.clear();
        }
        // The table has as many keys as there are records in a second, at most.
        let of_key = second.by_key.get(&key).copied().unwrap_or_default();
        if of_key >= MAX_OF_KEY || second.all >= MAX_OF_ALL {
            second.left_out += 1;
            if now.0.saturating_sub(second.told.0) >= TELL_EVERY {
                second.told = now;
                let requests = std::mem::take(&mut second.left_out);
                warn!(requests, "refused requests came too fast to be on record one by one");
            }
            return false;
        }
        second.all += 1;
        second.by_key.insert(key, of_key + 1);
        true
    }
}

/// What the client of a request is told that is not answered; it is on record from here on.
pub(crate) fn answer(proxy: &Proxy, call: &Call, failed: Failed) -> Response<Body> {
    note(proxy, call, &failed);
    failed.response(call)
}

/// Puts a request on record that was refused, unless it is or nobody knows whose it was.
pub(crate) fn note(proxy: &Proxy, call: &Call, failed: &Failed) {
    if failed.is_on_record() {
        return;
    }
    let counts = &proxy.0.open.counts;
    let unrecorded = || counts.unrecorded(call.endpoint.call_type(), failed.body().code);
    let Some(who) = call.known.who.get() else { return unrecorded() };
    let key = match who {
        Who::Master => None,
        Who::Key(key) => Some(*key),
    };
    if !proxy.0.refusals.admit(key, proxy.0.clock.mono()) {
        return unrecorded();
    }
    let mut record = SpendRecord {
        request: call.id,
        key,
        started: call.started,
        ended: proxy.0.clock.unix(),
        call_id: call.call_id.clone(),
        fault: Some(Box::new(record::fault(failed.body()))),
        course: Course { call_type: call.endpoint.call_type().to_owned(), ..Course::default() },
        ..SpendRecord::default()
    };
    if let Some(What { model, stream, call_type, origin }) = call.known.what.get() {
        model.clone_into(&mut record.model);
        record.stream = *stream;
        (*call_type).clone_into(&mut record.course.call_type);
        record.origin = origin.clone();
    }
    if let Err(error) = proxy.0.admission.note(record) {
        error!(request.id = %call.id, %error, "a refused request is not on record");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_a_bounded_number_of_records() {
        let refusals = Refusals::default();
        let key = |number: u32| Some(KeyDigest::of(&format!("sk-{number}")));
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
}
