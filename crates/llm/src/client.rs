//! From which address a client asks.

use std::net::IpAddr;

use http::HeaderMap;

/// The address at the other end of a request's connection, as the server hands it on beside the
/// request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Who the last proxy on the way says that the client is. What comes before the last entry anyone may
/// have written. To be believed only where there is a proxy in front.
#[must_use]
pub fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// The client's address: the peer's, or what a trusted proxy says.
#[must_use]
pub fn address(
    peer: Option<Peer>,
    forwarded: Option<IpAddr>,
    trusts_forwarded_for: bool,
) -> Option<IpAddr> {
    forwarded.filter(|_| trusts_forwarded_for).or(peer.map(|peer| peer.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_only_where_it_is_trusted_and_only_its_own_word() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6".parse().expect("a value"));
        headers.append("x-forwarded-for", "7.7.7.7, 10.0.0.9".parse().expect("a value"));
        let of = |trusts| address(Some(Peer([127, 0, 0, 1].into())), forwarded(&headers), trusts);
        assert_eq!(of(false), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(of(true), Some(IpAddr::from([10, 0, 0, 9])));
        let unsaid = address(Some(Peer([127, 0, 0, 1].into())), forwarded(&HeaderMap::new()), true);
        assert_eq!(unsaid, Some(IpAddr::from([127, 0, 0, 1])));
    }
}
