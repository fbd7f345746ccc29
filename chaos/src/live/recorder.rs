//! Writes the history of a live run, from all tasks at once.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use dunlin_types::NanoUsd;

use crate::clock;
use crate::history::{Act, Bounds, Call, CallId, History, Outcome, StreamEnd, What};
use crate::workload::Operation;

/// A handle to one history.
#[derive(Clone)]
pub(crate) struct Recorder {
    began: Instant,
    progress: fn(&str),
    written: Arc<Mutex<Written>>,
}

struct Written {
    history: History,
    calls: u64,
}

impl Recorder {
    pub(crate) fn new(nodes: usize, bounds: Bounds, progress: fn(&str)) -> Self {
        let history = History { bounds, ..History::new(nodes) };
        let written = Arc::new(Mutex::new(Written { history, calls: 0 }));
        Self { began: clock::now(), progress, written }
    }

    /// The time is read under the lock: the history is in its order.
    fn write(&self, what: impl FnOnce(&mut Written) -> What) {
        let mut written = self.written.lock().expect("no code panics while it writes");
        let at = u64::try_from((clock::now() - self.began).as_millis()).expect("a short run");
        let what = what(&mut written);
        written.history.add(at, what);
    }

    /// A client is about to send.
    pub(crate) fn sent(&self, node: usize, operation: Operation, most: NanoUsd) -> CallId {
        let mut id = CallId(0);
        self.write(|written| {
            written.calls += 1;
            id = CallId(written.calls);
            What::Sent(Call { id, node, operation, most })
        });
        id
    }

    pub(crate) fn admitted(&self, call: CallId, request: String) {
        self.write(|_| What::Admitted { call, request });
    }

    pub(crate) fn ended(&self, call: CallId, outcome: Outcome, stream: Option<StreamEnd>) {
        self.write(|_| What::Ended { call, outcome, stream });
    }

    /// Something is done to the cluster: said before it is done, and after it is over.
    pub(crate) fn done(&self, act: Act) {
        (self.progress)(&act.words());
        self.write(|_| What::Done(act));
    }

    pub(crate) fn seen(&self, node: usize, sight: crate::history::Sight) {
        self.write(|_| What::Seen { node, sight });
    }

    /// The history so far.
    pub(crate) fn take(&self) -> History {
        self.written.lock().expect("no code panics while it writes").history.clone()
    }
}
