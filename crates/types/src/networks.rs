//! Where calls may go: everywhere, or to some networks only. An address that someone set over an API
//! must not lead into the node's own machine, or to the service that hands out its cloud's
//! credentials.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// Where calls may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Networks {
    /// Everywhere: the address is the operator's own word.
    #[default]
    Anywhere,
    /// To these networks.
    Only(Arc<[Network]>),
}

/// Addresses that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// `public`: all that belong to no other kind.
    Public,
    /// `private`: RFC 1918, RFC 4193 and the shared addresses of RFC 6598, less the metadata
    /// services of clouds that are there.
    Private,
    /// `loopback`.
    Loopback,
    /// `link-local`, less the metadata services of clouds that are there.
    LinkLocal,
    /// `any`.
    Any,
    /// `address/length`: all that begin alike.
    Range {
        /// Any of them.
        address: IpAddr,
        /// How many bits are alike.
        length: u8,
    },
}

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is neither public, private, loopback, link-local or any, nor a network such as 10.1.0.0/16"
)]
pub struct NoNetwork;

/// What an address is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Public,
    Private,
    Loopback,
    LinkLocal,
    /// Where a cloud hands out credentials.
    Metadata,
    /// No server's: unspecified, multicast, broadcast, reserved.
    Nobody,
}

impl Networks {
    /// Whether calls may go to an address.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Only(networks) => {
                let address = plain(address);
                networks.iter().any(|network| network.holds(address))
            }
        }
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        let sort = sort(address);
        match *self {
            Self::Public => sort == Sort::Public,
            Self::Private => sort == Sort::Private,
            Self::Loopback => sort == Sort::Loopback,
            Self::LinkLocal => sort == Sort::LinkLocal,
            Self::Any => true,
            Self::Range { address: of, length } => match (of, address) {
                (IpAddr::V4(of), IpAddr::V4(address)) => {
                    alike(of.to_bits().into(), address.to_bits().into(), 32, length)
                }
                (IpAddr::V6(of), IpAddr::V6(address)) => {
                    alike(of.to_bits(), address.to_bits(), 128, length)
                }
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
            },
        }
    }
}

fn alike(one: u128, other: u128, bits: u8, length: u8) -> bool {
    (one ^ other).checked_shr(u32::from(bits - length)).unwrap_or_default() == 0
}

/// The IPv4 address inside an IPv6 one that stands for it: mapped, compatible, or by NAT64 or 6to4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let bits = six.to_bits();
    let [a, b, c, ..] = six.segments();
    let inside = |low: u128| {
        let low = u32::try_from(low & u128::from(u32::MAX)).expect("32 bits");
        IpAddr::V4(Ipv4Addr::from_bits(low))
    };
    match six.to_ipv4_mapped() {
        Some(four) => IpAddr::V4(four),
        None if (a, b) == (0x64, 0xff9b) && (c == 0 || c == 1) => inside(bits),
        None if a == 0x2002 => inside(bits >> 80),
        None if bits >> 32 == 0 && bits > 1 => inside(bits),
        None => address,
    }
}

fn sort(address: IpAddr) -> Sort {
    match address {
        IpAddr::V4(address) => sort_of_v4(address),
        IpAddr::V6(address) => sort_of_v6(address),
    }
}

/// AWS, Azure, Google, DigitalOcean and others; Alibaba; Oracle; Azure's wire server.
const METADATA: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// AWS.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn sort_of_v4(address: Ipv4Addr) -> Sort {
    let [a, b, ..] = address.octets();
    if METADATA.contains(&address) {
        Sort::Metadata
    } else if address.is_loopback() {
        Sort::Loopback
    } else if address.is_link_local() {
        Sort::LinkLocal
    } else if address.is_private() || (a == 100 && (64..128).contains(&b)) {
        Sort::Private
    } else if a == 0 || a >= 224 || (a == 192 && b == 0) {
        Sort::Nobody
    } else {
        Sort::Public
    }
}

fn sort_of_v6(address: Ipv6Addr) -> Sort {
    if address == METADATA_V6 {
        Sort::Metadata
    } else if address.is_loopback() {
        Sort::Loopback
    } else if address.is_unicast_link_local() {
        Sort::LinkLocal
    } else if address.is_unique_local() {
        Sort::Private
    } else if address.is_unspecified() || address.is_multicast() {
        Sort::Nobody
    } else {
        Sort::Public
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        Ok(match text {
            "public" => Self::Public,
            "private" => Self::Private,
            "loopback" => Self::Loopback,
            "link-local" => Self::LinkLocal,
            "any" => Self::Any,
            _ => {
                let (address, length) = match text.split_once('/') {
                    Some((address, length)) => (address, Some(length)),
                    None => (text, None),
                };
                let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
                let most = if address.is_ipv4() { 32 } else { 128 };
                let length = length.map_or(Ok(most), str::parse).map_err(|_| NoNetwork)?;
                if length > most {
                    return Err(NoNetwork);
                }
                Self::Range { address, length }
            }
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Private => f.write_str("private"),
            Self::Loopback => f.write_str("loopback"),
            Self::LinkLocal => f.write_str("link-local"),
            Self::Any => f.write_str("any"),
            Self::Range { address, length } => write!(f, "{address}/{length}"),
        }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anywhere => f.write_str("any"),
            Self::Only(networks) => {
                let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
                f.write_str(&networks.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(networks: &[&str]) -> Networks {
        Networks::Only(networks.iter().map(|text| text.parse().expect("a network")).collect())
    }

    #[test]
    fn an_address_is_allowed_by_the_kind_it_is_however_it_is_written() {
        let public = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"];
        let private = [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "::10.0.0.1",
        ];
        let loopback = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"];
        let link_local = ["169.254.1.1", "fe80::1"];
        let metadata = [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ];
        let nobody = ["0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "::", "ff02::1"];
        let sorts: [(&str, &[&str]); 6] = [
            ("public", &public),
            ("private", &private),
            ("loopback", &loopback),
            ("link-local", &link_local),
            ("metadata", &metadata),
            ("nobody", &nobody),
        ];
        for (sort, addresses) in sorts {
            for text in addresses {
                let address: IpAddr = text.parse().expect(text);
                for word in ["public", "private", "loopback", "link-local"] {
                    assert_eq!(only(&[word]).allows(address), word == sort, "{word} {text}");
                }
                assert!(only(&["any"]).allows(address) && Networks::Anywhere.allows(address));
            }
        }
    }

    #[test]
    fn a_range_holds_what_begins_alike() {
        let lan = only(&["10.1.0.0/16", "fd12:3456::/32", "169.254.169.254"]);
        for (text, held) in [
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("fd12:3456::9", true),
            ("fd12:3457::9", false),
            ("169.254.169.254", true),
            ("::ffff:10.1.0.1", true),
        ] {
            assert_eq!(lan.allows(text.parse().expect(text)), held, "{text}");
        }
        assert!(only(&["0.0.0.0/0"]).allows("127.0.0.1".parse().expect("an address")));
        for text in ["", "lan", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/-1", "host/8"] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
