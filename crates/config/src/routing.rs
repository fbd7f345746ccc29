//! `router_settings`, and those of its settings that stand in `litellm_settings`: strategy,
//! retries, aliases and fallbacks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_llm::{Fallback, FallbackMap};
use dunlin_router::{Alias, Catalog, PassThrough, Retry};

use crate::Environment;
use crate::allowances;
use crate::deployment::Timeouts;
use crate::diagnostic::{Code, Diagnostic};
use crate::models::Models;
use crate::policies;
use crate::report::Report;
use crate::strategy;
use crate::tree::{Map, Node, Value};

/// LiteLLM's bound on a request for which nobody set one.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(6000);

/// The settings that both sections may hold; `router_settings` wins.
pub(crate) struct RouterSettings<'t> {
    router: Option<&'t Map>,
    litellm: Option<&'t Map>,
    general: Option<&'t Map>,
}

impl<'t> RouterSettings<'t> {
    pub(crate) fn of(root: &'t Map) -> Self {
        let section = |name| root.get(name).and_then(Node::as_map);
        Self {
            router: section("router_settings"),
            litellm: section("litellm_settings"),
            general: section("general_settings"),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'t Node> {
        let there =
            |section: Option<&'t Map>| section?.get(key).filter(|node| node.value_is_there());
        there(self.router).or_else(|| there(self.litellm))
    }
}

/// Whole numbers that two sections may hold, and times in seconds.
const COUNTS: [&str; 4] =
    ["allowed_fails", "default_max_parallel_requests", "max_fallbacks", "num_retries"];
const SECONDS: [&str; 5] =
    ["cooldown_time", "request_timeout", "retry_after", "stream_timeout", "timeout"];

/// One that stands where another section's wins is no less wrong for that: it wins once that is gone.
fn check_hidden(settings: &RouterSettings<'_>, report: &mut Report) {
    let policy = settings.get("retry_policy").and_then(Node::as_map);
    for (section, map) in [("litellm_settings", settings.litellm), ("retry_policy", policy)] {
        let hidden = |key: &&str| {
            let node = map?.get(key)?;
            let wins = settings.get(key).is_some_and(|wins| !std::ptr::eq(wins, node));
            wins.then(|| (format!("{section}.{key}"), node))
        };
        for (name, node) in COUNTS.iter().filter_map(hidden) {
            let _only_checked: Option<u64> = report.count(&name, Some(node));
        }
        for (name, node) in SECONDS.iter().filter_map(hidden) {
            let _only_checked = report.seconds(&name, Some(node));
        }
    }
}

/// The bounds on attempts whose deployment sets none.
pub(crate) fn timeouts(
    settings: &RouterSettings<'_>,
    environment: &Environment,
    report: &mut Report,
) -> Timeouts {
    let whole = report.bound("timeout", settings.get("timeout"));
    let request = report.bound("request_timeout", settings.get("request_timeout"));
    let variable = || environment.get("REQUEST_TIMEOUT")?.parse().ok();
    let variable = || Duration::try_from_secs_f64(variable()?).ok().filter(|time| !time.is_zero());
    Timeouts {
        whole: whole.or(request).or_else(variable).unwrap_or(DEFAULT_TIMEOUT),
        stream: report.bound("stream_timeout", settings.get("stream_timeout")),
    }
}

/// The catalog: `models` and how to route between them.
pub(crate) fn catalog(
    settings: &RouterSettings<'_>,
    models: Models,
    endpoints: Vec<PassThrough>,
    report: &mut Report,
) -> Catalog {
    check_hidden(settings, report);
    let aliases = aliases(settings, &models, report);
    let mut fallbacks = |key| fallbacks(settings, key, &models, &aliases, report);
    let context_window_fallbacks = fallbacks("context_window_fallbacks");
    let content_policy_fallbacks = fallbacks("content_policy_fallbacks");
    let mut ordinary = fallbacks("fallbacks").unwrap_or_default();
    let default = default_fallbacks(settings, &models, &aliases, report);
    if !default.is_empty() {
        ordinary.entry("*".into()).or_default().extend(default);
    }
    let takes_client_keys = models.deployments().any(|known| known.target.clients.key);
    Catalog {
        aliases,
        fallbacks: ordinary,
        context_window_fallbacks,
        content_policy_fallbacks,
        guards_fallbacks: guards_fallbacks(settings, report),
        strategy: strategy::strategy(settings, report),
        tag_filter: strategy::tag_filter(settings, report),
        checks_length: report
            .flag("enable_pre_call_checks", settings.get("enable_pre_call_checks"))
            .unwrap_or_default(),
        retry: retry(settings, report),
        retry_policy: policies::retry(settings, report),
        group_retry_policies: policies::retry_of_groups(settings, report),
        provider_budgets: allowances::of_providers(settings, &models, report),
        tag_budgets: allowances::of_tags(settings, report),
        takes_client_keys,
        access_groups: models.access_groups,
        key_limits: models.key_limits,
        groups: models.groups,
        team_groups: models.team_groups,
        pass_through: models.pass_through,
        endpoints,
    }
}

fn guards_fallbacks(settings: &RouterSettings<'_>, report: &mut Report) -> bool {
    let key = "enforce_fallback_model_access";
    let node = settings.general.and_then(|general| general.get(key));
    report.flag(&format!("general_settings.{key}"), node).unwrap_or_default()
}

fn retry(settings: &RouterSettings<'_>, report: &mut Report) -> Retry {
    let standard = Retry::default();
    let policy = settings.get("retry_policy").and_then(Node::as_map);
    // The flat form of the policy says the same as the settings beside it, which win.
    let get = |key| settings.get(key).or_else(|| policy?.get(key));
    Retry {
        num_retries: report
            .count("num_retries", get("num_retries"))
            .unwrap_or(standard.num_retries),
        retry_after: report
            .seconds("retry_after", get("retry_after"))
            .unwrap_or(standard.retry_after),
        max_fallbacks: report
            .count("max_fallbacks", get("max_fallbacks"))
            .unwrap_or(standard.max_fallbacks),
        cooldown: report
            .seconds("cooldown_time", get("cooldown_time"))
            .unwrap_or(standard.cooldown),
        allowed_fails: policies::allowed_fails(
            "",
            (get("allowed_fails"), settings.get("allowed_fails_policy")),
            report,
        ),
        disable_cooldowns: report
            .flag("disable_cooldowns", get("disable_cooldowns"))
            .unwrap_or(standard.disable_cooldowns),
    }
}

type Aliases = BTreeMap<Arc<str>, Alias>;

fn aliases(settings: &RouterSettings<'_>, models: &Models, report: &mut Report) -> Aliases {
    let mut aliases = Aliases::new();
    // LiteLLM knows this map below its model list, where /v1/models does not see it.
    for section in [settings.general, settings.litellm] {
        let map = section.and_then(|section| section.get("model_alias_map"));
        alias_map("model_alias_map", map, true, models, &mut aliases, report);
    }
    let map = settings.get("model_group_alias");
    alias_map("model_group_alias", map, false, models, &mut aliases, report);
    aliases
}

fn alias_map(
    what: &str,
    map: Option<&Node>,
    hidden: bool,
    models: &Models,
    aliases: &mut Aliases,
    report: &mut Report,
) {
    for (key, node) in report.map(what, map).into_iter().flat_map(|map| &map.entries) {
        let alias = key.text.as_str();
        let (target, hidden) = match node.as_map() {
            Some(long) => {
                let asked = report.flag(&format!("{what}.{alias}.hidden"), long.get("hidden"));
                (long.get("model"), asked.unwrap_or(hidden))
            }
            None => (Some(node), hidden),
        };
        let Some(group) = report.text(&format!("{what}.{alias}"), target) else { continue };
        if !models.serve(group) {
            let place = target.map_or(node.place, |target| target.place);
            report.dangling(models.unknown(&format!("alias `{alias}` stands for"), group, place));
        } else if models.groups.contains_key(alias) && alias != group {
            let message = format!("alias `{alias}` hides the model of the same name");
            let label = format!("calls for it go to `{group}`");
            report.push(Diagnostic::warning(Code::ShadowedModel, message).at(key.place, label));
        }
        aliases.insert(alias.into(), Alias { group: group.into(), hidden });
    }
}

/// One of the three maps of fallbacks; `None` if there is none.
fn fallbacks(
    settings: &RouterSettings<'_>,
    key: &'static str,
    models: &Models,
    aliases: &Aliases,
    report: &mut Report,
) -> Option<FallbackMap> {
    let list = settings.get(key).filter(|node| !node.is_idle())?;
    let mut fallbacks = FallbackMap::new();
    for entry in report.list(key, Some(list)) {
        let map = report.map(&format!("an entry of {key}"), Some(entry));
        for (of, list) in map.into_iter().flat_map(|map| &map.entries) {
            let known = models.serve(&of.text) || aliases.contains_key(&*of.text);
            if of.text != "*" && !known {
                let mut problem =
                    models.unknown(&format!("{key} are given for"), &of.text, of.place);
                problem.severity = crate::Severity::Warning;
                report.push(problem);
            }
            let names = targets(&of.text, Some(list), models, aliases, report);
            fallbacks.entry(of.text.as_str().into()).or_default().extend(names);
        }
    }
    Some(fallbacks)
}

fn default_fallbacks(
    settings: &RouterSettings<'_>,
    models: &Models,
    aliases: &Aliases,
    report: &mut Report,
) -> Vec<Fallback> {
    targets("*", settings.get("default_fallbacks"), models, aliases, report)
}

/// What a list of fallbacks names, by the names of groups.
fn targets(
    of: &str,
    list: Option<&Node>,
    models: &Models,
    aliases: &Aliases,
    report: &mut Report,
) -> Vec<Fallback> {
    let what = format!("fallbacks of `{of}`");
    let items = report.list(&what, list).iter();
    let targets = items.filter_map(|item| {
        let (named, changes) = target(&what, item, report)?;
        let name = report.text(&what, Some(named))?;
        if !models.serve(name) && !aliases.contains_key(name) {
            let names = format!("a fallback of `{of}` names");
            report.dangling(models.unknown(&names, name, named.place));
        }
        let group = aliases.get(name).map_or_else(|| name.into(), |alias| Arc::clone(&alias.group));
        Some(Fallback { model: group, changes })
    });
    targets.collect()
}

/// The name in one target of a fallback, and what changes in the request: a text, or a map.
fn target<'n>(
    what: &str,
    item: &'n Node,
    report: &mut Report,
) -> Option<(&'n Node, Option<Arc<str>>)> {
    let Value::Map(map) = &item.value else { return Some((item, None)) };
    let what = format!("{what}: a target");
    let name = report.expect(&what, item, "a name or a map with `model`", map.get("model"))?;
    match Fallback::changing(&item.json()) {
        Ok(fallback) => Some((name, fallback.changes)),
        Err(expected) => report.wrong_value(&what, item, &format!("must be among {expected}")),
    }
}
