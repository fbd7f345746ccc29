//! Why nobody serves what a request names, or not to its caller.

use dunlin_llm::Endpoint;
use dunlin_router::relay::NoLender;
use dunlin_router::{NoRoute, Region};

use super::Refused;
use crate::relay::Way;
use crate::request::caller::Caller;
use crate::response::words;

impl Refused {
    /// A model that nobody serves, or not to this caller.
    pub(crate) fn no_route(no_route: NoRoute, endpoint: Endpoint, caller: &Caller) -> Self {
        match no_route {
            NoRoute::NotAllowed { model, by } => Self::not_allowed(model, by, caller),
            NoRoute::OutOfRegion { model, region } => Self::out_of_region(&model, region),
            NoRoute::Unknown { model, patterns } => {
                Self::UnknownModel { model, route: endpoint.route(), patterns }
            }
        }
    }

    /// A model that is not on one of the lists that bind the caller; `by` says on which.
    pub(crate) fn not_allowed(model: String, by: usize, caller: &Caller) -> Self {
        let lister = caller.key().and_then(|key| key.lister(by));
        let by = lister.map_or_else(
            || ("key", "the key".to_owned()),
            |payer| {
                let kind = match payer.title() {
                    "team" => "team",
                    "organization" => "org",
                    "user" => "user",
                    "end user" => "customer",
                    _ => "team_member",
                };
                (kind, format!("the {} `{}`", payer.title(), payer.name()))
            },
        );
        Self::NotAllowed { model, by }
    }

    /// A model with no deployment where the caller's end user must stay.
    pub(crate) fn out_of_region(model: &str, region: Region) -> Self {
        Self::Unfit { param: "model", message: words::out_of_region(model, region) }
    }

    /// A call of a provider's own API that nobody lends a credential for, or not to this caller.
    pub(crate) fn no_lender(none: NoLender, way: Way, caller: &Caller) -> Self {
        match none {
            NoLender::NotAllowed { model, by } => Self::not_allowed(model, by, caller),
            NoLender::OutOfRegion { model, region } => Self::out_of_region(&model, region),
            NoLender::Unnamed => Self::NoModelNamed,
            NoLender::None => Self::NoLender { prefix: way.prefix, provider: way.providers[0] },
        }
    }
}
