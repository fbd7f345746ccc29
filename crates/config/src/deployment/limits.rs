//! What a deployment may be sent. Its `rpm` and `tpm` are shares of the traffic; they, and `itpm`
//! and `otpm`, are limits only where that is asked for, or the strategy goes by them. But `rpm` and
//! `tpm` bound how many requests are open there at once, unless `max_parallel_requests` says it
//! better.

use dunlin_router::{DeploymentLimits, Weight};

use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;
use crate::routing::RouterSettings;
use crate::strategy;
use crate::tree::{Map, Node};
use crate::words;

/// One of `optional_pre_call_checks` that is served.
const ENFORCE: &str = "enforce_model_rate_limits";

/// Another one. Budgets of deployments and providers are kept whether it is asked for or not, as in
/// LiteLLM where any is set.
const BUDGETS: &str = "router_budget_limiting";

/// Those of LiteLLM's that are not served.
const OTHERS: &[&str] = &[
    "deployment_affinity",
    "encrypted_content_affinity",
    "forward_client_headers_by_model_group",
    "prompt_caching",
    "responses_api_deployment_check",
    "session_affinity",
];

/// What the settings say for all deployments.
#[derive(Default)]
pub(crate) struct Standard {
    enforced: bool,
    parallel: Option<u64>,
}

pub(crate) fn standard(settings: &RouterSettings<'_>, report: &mut Report) -> Standard {
    let mut enforced = strategy::keeps_limits(settings);
    let what = "optional_pre_call_checks";
    for check in report.list(what, settings.get(what)) {
        match report.text(what, Some(check)) {
            Some(ENFORCE) => enforced = true,
            Some(BUDGETS) => {}
            Some(other) if OTHERS.contains(&other) => report.not_yet(format!("{what}: {other}")),
            Some(other) => unknown(other, check, report),
            None => {}
        }
    }
    let what = "default_max_parallel_requests";
    Standard { enforced, parallel: report.count(what, settings.get(what)) }
}

/// A slip would take a limit off.
fn unknown(check: &str, node: &Node, report: &mut Report) {
    let near = words::did_you_mean(check, OTHERS.iter().copied().chain([ENFORCE, BUDGETS]));
    let message = format!("there is no check `{check}` among optional_pre_call_checks");
    report.push(Diagnostic::error(Code::WrongValue, message).at(node.place, near));
}

pub(crate) fn of(
    params: &Map,
    weight: &Weight,
    standard: &Standard,
    report: &mut Report,
) -> DeploymentLimits {
    let mut count = |what| report.count(&format!("litellm_params.{what}"), params.get(what));
    let own = count("max_parallel_requests");
    let [input, output] = ["itpm", "otpm"].map(|what| count(what).filter(|of| *of > 0));
    // Zero is none, as in LiteLLM.
    let [rpm, tpm] = [weight.rpm, weight.tpm].map(|limit| limit.map(whole).filter(|of| *of > 0));
    let by_tokens = tpm.map(|tpm| (tpm.saturating_mul(6) / 1000).max(1));
    let enforced = |limit: Option<u64>| limit.filter(|_| standard.enforced);
    DeploymentLimits {
        requests: enforced(rpm),
        tokens: enforced(tpm),
        input: enforced(input),
        output: enforced(output),
        parallel: own.or(rpm).or(by_tokens).or(standard.parallel).filter(|of| *of > 0),
    }
}

/// The whole part of a number that is not negative.
fn whole(number: f64) -> u64 {
    format!("{:.0}", number.floor()).parse().unwrap_or(u64::MAX)
}
