//! Which headers of clients go along to providers, and to which models.

use std::collections::BTreeSet;

use crate::report::Report;
use crate::settings::Forwarded;
use crate::tree::{Map, Node};

const OWN: &str = "forward_client_headers_to_llm_api";

/// The models to which clients' own headers go along.
#[derive(Default)]
pub(crate) struct Models {
    all: bool,
    named: BTreeSet<String>,
}

impl Models {
    pub(crate) fn has(&self, group: &str) -> bool {
        self.all || self.named.contains(group)
    }
}

/// `forward_client_headers_to_llm_api`, for all models and for those of `model_group_settings`.
pub(crate) fn models(root: &Map, report: &mut Report) -> Models {
    let section = |name| root.get(name).and_then(Node::as_map);
    let node = section("general_settings").and_then(|general| general.get(OWN));
    let all = report.flag(&format!("general_settings.{OWN}"), node).unwrap_or_default();
    let what = "litellm_settings.model_group_settings";
    let groups = section("litellm_settings").and_then(|map| map.get("model_group_settings"));
    let groups = report.map(what, groups);
    for (key, _) in groups.into_iter().flat_map(|map| &map.entries) {
        if key.text != OWN {
            report.not_yet(format!("{what}.{}", key.text));
        }
    }
    let what = format!("{what}.{OWN}");
    let names = report.list(&what, groups.and_then(|groups| groups.get(OWN)));
    let named = names.iter().filter_map(|name| report.text(&what, Some(name)));
    Models { all, named: named.map(str::to_owned).collect() }
}

/// What goes along at all.
pub(crate) fn forwarded(root: &Map, report: &mut Report) -> Forwarded {
    let Models { all, named } = models(root, &mut Report::new(false));
    let mut flag = |section: &str, key: &str| {
        let node = root.get(section).and_then(Node::as_map).and_then(|map| map.get(key));
        report.flag(&format!("{section}.{key}"), node).unwrap_or_default()
    };
    Forwarded {
        own: all || !named.is_empty(),
        organization: flag("general_settings", "forward_openai_org_id"),
        trace: flag("litellm_settings", "forward_traceparent_to_llm_provider"),
    }
}
