//! What is said in the log of those who knock without the cluster secret: at most one line a
//! second, however many knock, and of one that goes on knocking one a minute.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use tracing::warn;

/// What was just said is not said again for so many seconds.
const QUIET: u32 = 60;

/// Collects refused connections between two lines of the log.
#[derive(Default)]
pub(crate) struct Strangers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    noted: Option<Noted>,
    /// Whom the last line was about, and why.
    told: Option<(IpAddr, &'static str)>,
    /// Seconds until it may be repeated.
    quiet: u32,
}

#[derive(Debug, PartialEq, Eq)]
struct Noted {
    address: SocketAddr,
    reason: &'static str,
    others: u64,
}

impl Kept {
    fn repeats(&self, address: SocketAddr, reason: &'static str) -> bool {
        self.quiet > 0 && self.told == Some((address.ip(), reason))
    }

    fn due(&mut self) -> Option<Noted> {
        self.quiet = self.quiet.saturating_sub(1);
        let noted = self.noted.take_if(|noted| {
            self.quiet == 0 || self.told != Some((noted.address.ip(), noted.reason))
        })?;
        (self.told, self.quiet) = (Some((noted.address.ip(), noted.reason)), QUIET);
        Some(noted)
    }
}

impl Strangers {
    /// Remembers the first since the last line that is not said already; counts the rest.
    pub(crate) fn note(&self, address: SocketAddr, reason: &'static str) {
        let mut kept = self.0.lock().expect("no panic while it is held");
        let says_more = kept.noted.as_ref().is_none_or(|noted| {
            kept.repeats(noted.address, noted.reason) && !kept.repeats(address, reason)
        });
        let others = kept.noted.as_ref().map_or(0, |noted| noted.others + 1);
        match kept.noted.as_mut().filter(|_| !says_more) {
            Some(noted) => noted.others = others,
            None => kept.noted = Some(Noted { address, reason, others }),
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
        self.0.lock().expect("no panic while it is held").due()
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

    #[test]
    fn one_that_goes_on_knocking_is_told_of_once_a_minute_and_hides_nobody() {
        let strangers = Strangers::default();
        let [peer, other] = [1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], 7)));
        let second = |address| {
            strangers.note(address, "no");
            strangers.due().map(|noted| (noted.address, noted.others))
        };
        let lines: Vec<_> = (0..150).filter_map(|_| second(peer)).collect();
        assert_eq!(lines, [(peer, 0), (peer, 59), (peer, 59)]);
        strangers.note(peer, "no");
        assert_eq!(second(other).map(|(address, _)| address), Some(other));
        assert_eq!(second(other), None);
    }
}
