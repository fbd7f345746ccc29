//! How many files this process may have open, and what that leaves for clients. A node that ran out of
//! them could not reach its providers, its peers or its own disk.

use dunlin_proxy::server::MAX_CONNECTIONS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, info, warn};

/// Kept for the log store, the journal and its copies, the other nodes, and probes.
const KEPT: u64 = 256;
/// A client, and the provider that answers it.
const PER_CLIENT: u64 = 2;
/// Less room than this is worth a warning.
const FEW_CLIENTS: usize = 1_000;

/// Raises the limit on open files as far as the system lets this process, and returns how many clients
/// fit below it: at least one, [`MAX_CONNECTIONS`] at most.
pub(crate) fn room_for_clients() -> usize {
    let granted = raise();
    let room = room(granted);
    let granted = granted.unwrap_or(u64::MAX);
    if room < FEW_CLIENTS {
        warn!(
            "at most {granted} files may be open: {room} clients are served at once and further \
             ones wait; raise the limit with `ulimit -n` or LimitNOFILE"
        );
    } else if room < MAX_CONNECTIONS {
        info!("at most {granted} files may be open: {room} clients are served at once");
    }
    room
}

fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    match raised {
        Ok(()) => maximum,
        Err(error) => {
            debug!(%error, "the limit on open files stays as it is");
            current
        }
    }
}

fn room(granted: Option<u64>) -> usize {
    let Some(granted) = granted else { return MAX_CONNECTIONS };
    let clients = granted.saturating_sub(KEPT) / PER_CLIENT;
    usize::try_from(clients).map_or(MAX_CONNECTIONS, |clients| clients.clamp(1, MAX_CONNECTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_the_node_itself_leaves() {
        assert_eq!(room(None), MAX_CONNECTIONS);
        assert_eq!(room(Some(1 << 20)), MAX_CONNECTIONS);
        assert_eq!(room(Some(1024)), 384);
        assert_eq!(room(Some(64)), 1);
    }
}
