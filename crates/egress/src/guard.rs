//! Which addresses may be connected to, asked at the last moment: after a name was resolved and before
//! a packet leaves, so that a name that is another address by then leads nowhere else.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use dunlin_types::Networks;
use http::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use crate::connect::AnyError;
use crate::reason::Unresolved;

/// An address that calls may not go to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} is {address}, but addresses set over the API may only be in these networks: {networks}"
)]
pub struct OutOfReach {
    host: String,
    address: IpAddr,
    networks: Networks,
}

/// Resolves names to the addresses within networks.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    names: GaiResolver,
    networks: Networks,
}

impl GuardedResolver {
    pub(crate) fn new(networks: Networks) -> Self {
        Self { names: GaiResolver::new(), networks }
    }

    /// Refuses an address that is written out: nobody resolves it.
    pub(crate) fn check(&self, to: &Uri) -> Result<(), OutOfReach> {
        literal(to)
            .map_or(Ok(()), |address| within(&self.networks, &address.to_string(), [address]))
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, AnyError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        self.names.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (host, networks) = (name.as_str().to_owned(), self.networks.clone());
        let resolving = self.names.call(name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = resolving.await.map_err(Unresolved)?.collect();
            within(&networks, &host, found.iter().map(SocketAddr::ip))?;
            let allowed = found.into_iter().filter(|found| networks.allows(found.ip()));
            Ok(allowed.collect::<Vec<_>>().into_iter())
        })
    }
}

/// Whether calls to `to` could go anywhere: its address, or one of those its name has now. A name
/// that is not known now may be later, and is asked for again then.
///
/// # Errors
/// [`OutOfReach`].
pub(crate) async fn look(to: &Uri, networks: &Networks) -> Result<(), OutOfReach> {
    if let Some(address) = literal(to) {
        return within(networks, &address.to_string(), [address]);
    }
    let Some(host) = to.host() else { return Ok(()) };
    let Ok(found) = tokio::net::lookup_host((host, 0)).await else { return Ok(()) };
    within(networks, host, found.map(|found| found.ip()))
}

fn literal(to: &Uri) -> Option<IpAddr> {
    to.host()?.trim_matches(['[', ']']).parse().ok()
}

/// Fails if there are addresses and none of them is allowed.
fn within(
    networks: &Networks,
    host: &str,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> Result<(), OutOfReach> {
    let mut refused = None;
    for address in addresses {
        if networks.allows(address) {
            return Ok(());
        }
        refused.get_or_insert(address);
    }
    refused.map_or(Ok(()), |address| {
        Err(OutOfReach { host: host.to_owned(), address, networks: networks.clone() })
    })
}
