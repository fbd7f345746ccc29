//! What is said in the log of those who knock without the cluster secret: at most one line a
//! second, however many knock.

use std::net::SocketAddr;
use std::sync::Mutex;

use tracing::warn;

/// Collects refused connections between two lines of the log.
#[derive(Default)]
pub(crate) struct Strangers {
    noted: Mutex<Option<Noted>>,
}

struct Noted {
    address: SocketAddr,
    reason: &'static str,
    others: u64,
}

impl Strangers {
    /// Remembers the first since the last line; counts the rest.
    pub(crate) fn note(&self, address: SocketAddr, reason: &'static str) {
        let mut noted = self.noted.lock().expect("no panic while it is held");
        match noted.as_mut() {
            Some(noted) => noted.others += 1,
            None => *noted = Some(Noted { address, reason, others: 0 }),
        }
    }

    /// Writes the line that is due, if any; called once a second.
    pub(crate) fn report(&self) {
        let noted = self.noted.lock().expect("no panic while it is held").take();
        if let Some(Noted { address, reason, others }) = noted {
            warn!(peer.address = %address, others, "refused a connection from another machine or \
                 program to this node's cluster port: {reason}");
        }
    }
}
