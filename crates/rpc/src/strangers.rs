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

#[derive(Debug, PartialEq, Eq)]
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
        if let Some(Noted { address, reason, others }) = self.due() {
            warn!(
                peer.address = %address,
                others,
                "refused a connection to this node's cluster port: {reason}"
            );
        }
    }

    fn due(&self) -> Option<Noted> {
        self.noted.lock().expect("no panic while it is held").take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_strangers_make_one_line_with_the_first_of_them_and_a_count() {
        let strangers = Strangers::default();
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        for port in 1..=1000 {
            strangers.note(address(port), "no");
        }
        let line = Noted { address: address(1), reason: "no", others: 999 };
        assert_eq!((strangers.due(), strangers.due()), (Some(line), None));
    }
}
