//! `cache_control_injection_points`: where prompts are marked for their provider's cache.

use dunlin_llm::form::{Cache, CachePlace, CachePoint, Role};

use crate::report::Report;
use crate::tree::{Map, Node};

const NAME: &str = "litellm_params.cache_control_injection_points";

pub(crate) fn points(params: &Map, report: &mut Report) -> Vec<CachePoint> {
    let list = report.list(NAME, params.get("cache_control_injection_points"));
    list.iter().filter_map(|node| point(node, report)).collect()
}

fn point(node: &Node, report: &mut Report) -> Option<CachePoint> {
    let map = report.map(NAME, Some(node))?;
    let at = match report.text(&format!("{NAME}: location"), map.get("location"))? {
        "tool_config" => CachePlace::Tools,
        "message" => of_message(map, node, report)?,
        _ => return report.wrong_value(NAME, node, "must have location message or tool_config"),
    };
    let control = report.map(&format!("{NAME}: control"), map.get("control"));
    let ttl = control.and_then(|control| report.text(&format!("{NAME}: ttl"), control.get("ttl")));
    let cache = match ttl {
        None | Some("5m") => Cache::Short,
        Some("1h") => Cache::Hour,
        Some(_) => return report.wrong_value(NAME, node, "must have the ttl 5m or 1h"),
    };
    Some(CachePoint { at, cache })
}

/// The number goes before the role, as in LiteLLM.
fn of_message(map: &Map, node: &Node, report: &mut Report) -> Option<CachePlace> {
    if let Some(index) = report.present(&format!("{NAME}: index"), map.get("index")) {
        let number = index.number().filter(|number| number.fract() == 0.0);
        let whole = number.and_then(|number| format!("{number}").parse().ok());
        let what = format!("{NAME}: index");
        return report.expect(&what, index, "a whole number", whole).map(CachePlace::Message);
    }
    let role = match report.text(&format!("{NAME}: role"), map.get("role")) {
        Some("system" | "developer") => Role::System,
        Some("user" | "tool") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(_) | None => {
            return report.wrong_value(NAME, node, "must have an index or a known role");
        }
    };
    Some(CachePlace::Role(role))
}
