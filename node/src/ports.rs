//! The port on which other nodes reach this one: gossip is UDP, calls are TCP, and both are on the
//! same.

use std::net::SocketAddr;

use dunlin_gossip::Bound;
use dunlin_rpc::Error;

/// How often the system chooses another port. One that is free for one of the two is seldom taken for
/// the other.
const MAX_PORTS: usize = 16;

/// Listens by UDP and by TCP. A port that the system chose for one, and that is taken for the other,
/// is given up for another one.
///
/// # Errors
/// A given port cannot be listened on, or none of [`MAX_PORTS`].
pub(crate) fn both<T>(
    listen: SocketAddr,
    mut tcp: impl FnMut(SocketAddr) -> Result<T, Error>,
) -> anyhow::Result<(Bound, T)> {
    // What is held is not chosen again.
    let mut given_up = Vec::new();
    loop {
        let udp = Bound::to(listen)?;
        match tcp(udp.address()) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(Error::Listen { .. }) if listen.port() == 0 && given_up.len() + 1 < MAX_PORTS => {
                given_up.push(udp);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
        TcpListener::bind(address).map_err(|source| Error::Listen { address, source })
    }

    #[test]
    fn a_port_that_is_taken_for_one_is_given_up_unless_it_was_given() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut taken = Vec::new();
        let found = both(any, |address| {
            if taken.len() < 3 {
                taken.push(listen(address)?);
            }
            listen(address)
        });
        let (udp, tcp) = found.expect("the fourth is free for both");
        assert_eq!(tcp.local_addr().expect("bound"), udp.address());
        assert_eq!(taken.len(), 3);

        drop((udp, tcp));
        let given = taken[0].local_addr().expect("bound");
        let refused = both(given, listen).expect_err("it is taken").to_string();
        assert!(refused.contains(&given.to_string()), "{refused}");

        let mut tries = 0;
        let none = both(any, |address| {
            tries += 1;
            let taken = listen(address)?;
            listen(taken.local_addr().expect("bound"))
        });
        assert!(none.is_err() && tries == MAX_PORTS, "{tries}");
    }
}
