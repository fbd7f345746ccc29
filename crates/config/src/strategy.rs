//! How a deployment is chosen within its group: `routing_strategy` and `routing_strategy_args`.

use dunlin_router::{Strategy, TagFilter};

use crate::check::{self, Unknown};
use crate::diagnostic::{Code, Diagnostic};
use crate::keys;
use crate::report::Report;
use crate::routing::RouterSettings;
use crate::words;

const SHUFFLE: &str = "simple-shuffle";
const LEAST_BUSY: &str = "least-busy";
const CHEAPEST: &str = "cost-based-routing";
const FASTEST: &str = "latency-based-routing";
const LEAST_USED: [&str; 2] = ["usage-based-routing", "usage-based-routing-v2"];
/// LiteLLM's router that learns from answers.
const LEARNED: &str = "lar1";

/// Whether the strategy makes limits of a deployment's `rpm` and `tpm`, as in LiteLLM all do that go
/// by what is measured or known.
pub(crate) fn keeps_limits(settings: &RouterSettings<'_>) -> bool {
    let name = settings.get("routing_strategy").and_then(|node| node.as_text());
    name.is_some_and(|name| name == CHEAPEST || name == FASTEST || LEAST_USED.contains(&name))
}

pub(crate) fn strategy(settings: &RouterSettings<'_>, report: &mut Report) -> Strategy {
    let within = buffer(settings, report);
    let node = settings.get("routing_strategy");
    match (report.text("routing_strategy", node), node) {
        (Some(LEAST_BUSY), _) => Strategy::LeastBusy,
        (Some(CHEAPEST), _) => Strategy::Cheapest,
        (Some(FASTEST), _) => Strategy::Fastest { within, stream: false },
        (Some(name), _) if LEAST_USED.contains(&name) => Strategy::LeastUsed,
        (Some(LEARNED), _) => {
            report.not_yet(format!("routing_strategy {LEARNED} ({SHUFFLE} is used)"));
            Strategy::Shuffle
        }
        (Some(name), Some(node)) if name != SHUFFLE => {
            let served = [SHUFFLE, LEAST_BUSY, CHEAPEST, FASTEST];
            let served = served.into_iter().chain(LEAST_USED);
            let message = format!("`{name}` is not a routing_strategy");
            let label = words::did_you_mean(name, served.clone());
            let problem = Diagnostic::error(Code::WrongValue, message).at(node.place, label);
            let served: Vec<&str> = served.collect();
            report.push(problem.note(format!("served are {}", served.join(", "))));
            Strategy::Shuffle
        }
        _ => Strategy::Shuffle,
    }
}

/// `routing_strategy_args.lowest_latency_buffer`.
fn buffer(settings: &RouterSettings<'_>, report: &mut Report) -> f64 {
    let (what, key) = ("routing_strategy_args", "lowest_latency_buffer");
    let args = report.map(what, settings.get(what));
    for (key, node) in args.into_iter().flat_map(|map| &map.entries) {
        check::one(&[&keys::STRATEGY_ARGS], key, node, Unknown::Warned, report);
    }
    let node = args.and_then(|args| args.get(key));
    let most = 1e6;
    report.amount(&format!("{what}.{key}"), node).unwrap_or_default().min(most)
}

/// `enable_tag_filtering` and `tag_filtering_match_any`.
pub(crate) fn tag_filter(settings: &RouterSettings<'_>, report: &mut Report) -> Option<TagFilter> {
    let mut flag = |key| report.flag(key, settings.get(key));
    let any = flag("tag_filtering_match_any").unwrap_or(true);
    flag("enable_tag_filtering").unwrap_or_default().then_some(TagFilter { any })
}
