//! What a deployment does with parameters: `drop_params` and its kin.

use std::sync::Arc;

use dunlin_llm::ParamRules;

use crate::models::Reading;
use crate::report::Report;
use crate::tree::{Map, Node};

/// `litellm_settings.drop_params`: what a deployment cannot take back.
pub(crate) fn dropped_everywhere(root: &Map, report: &mut Report) -> bool {
    let settings = root.get("litellm_settings").and_then(Node::as_map);
    let node = settings.and_then(|settings| settings.get("drop_params"));
    report.flag("litellm_settings.drop_params", node).unwrap_or(false)
}

/// `litellm_settings.modify_params`.
pub(crate) fn mended_everywhere(root: &Map, report: &mut Report) -> bool {
    let settings = root.get("litellm_settings").and_then(Node::as_map);
    let node = settings.and_then(|settings| settings.get("modify_params"));
    report.flag("litellm_settings.modify_params", node).unwrap_or(false)
}

/// The rules in a deployment's `litellm_params`.
pub(crate) fn rules(params: &Map, reading: &Reading<'_>, report: &mut Report) -> ParamRules {
    let dropped = report.flag("litellm_params.drop_params", params.get("drop_params"));
    ParamRules {
        drop_unsupported: reading.dropped_everywhere || dropped.unwrap_or(false),
        always_drop: names("additional_drop_params", params, report),
        allow: names("allowed_openai_params", params, report),
        mend: reading.mended_everywhere,
    }
}

fn names(key: &str, params: &Map, report: &mut Report) -> Vec<Arc<str>> {
    let what = format!("litellm_params.{key}");
    let items = report.list(&what, params.get(key));
    items.iter().filter_map(|item| report.text(&what, Some(item))).map(Arc::from).collect()
}
