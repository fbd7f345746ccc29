//! The deployment that the tests of this crate start from.

use std::sync::Arc;
use std::time::Duration;

use dunlin_ledger::Pricing;
use dunlin_llm::Target;
use dunlin_types::DeploymentId;

use crate::by_error::AllowedFails;
use crate::catalog::{BackendId, Deployment, DeploymentLimits, Keepalive, Weight};

/// Free, without limits, with the name of its group in its id.
pub(crate) fn deployment(group: &str, upstream: &str) -> Deployment {
    let target =
        Target { api_base: "http://b/v1".into(), model: upstream.into(), ..Target::default() };
    Deployment {
        id: DeploymentId(format!("id-{group}").into()),
        backend: BackendId::new(&target.api_base, upstream),
        group: group.into(),
        provider: "openai".into(),
        target,
        weight: Weight::default(),
        limits: DeploymentLimits::default(),
        budget: None,
        tags: Arc::default(),
        region: None,
        max_input: None,
        order: 0,
        timeout: Duration::from_secs(1),
        stream_timeout: Duration::from_secs(1),
        keepalive: Keepalive::default(),
        num_retries: None,
        cooldown: None,
        allowed_fails: AllowedFails::default(),
        price: Pricing::Free,
        prices: Arc::default(),
        about: Arc::default(),
        parked: None,
    }
}
