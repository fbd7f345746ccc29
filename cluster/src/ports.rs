//! Free ports on loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use anyhow::bail;

const LOWEST: u16 = 10_240;
/// Below what Linux gives to outgoing connections, when it does not say.
const USUAL_OUTGOING: u16 = 32_768;
/// A port is taken now and then; this many in a row means that something else is wrong.
const TRIES: usize = 200;

/// `count` different ports that are free for TCP and UDP right now.
///
/// They lie below the range from which outgoing connections take theirs, so that a node that is
/// killed finds its own ports still free when it comes back.
///
/// # Errors
/// No free port was found.
pub fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let highest = outgoing_from().max(LOWEST + 1);
    let mut held = Vec::new();
    for _ in 0..TRIES {
        if held.len() == count {
            return Ok(held.into_iter().map(|(port, _, _)| port).collect());
        }
        let port = rand::random_range(LOWEST..highest);
        let address = (Ipv4Addr::LOCALHOST, port);
        if let (Ok(tcp), Ok(udp)) = (TcpListener::bind(address), UdpSocket::bind(address)) {
            held.push((port, tcp, udp));
        }
    }
    bail!("found {} free ports of {count} on 127.0.0.1", held.len())
}

fn outgoing_from() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(USUAL_OUTGOING)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_free_different_and_out_of_the_way_of_outgoing_connections() {
        let ports = free_ports(8).expect("free ports");
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 8);
        for port in ports {
            assert!(port < outgoing_from());
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("released");
        }
    }
}
