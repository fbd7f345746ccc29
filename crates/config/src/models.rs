//! `model_list`: which names can be called and which deployments serve them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_router::{Deployment, Group, KeyLimits, TeamGroups};
use dunlin_types::DeploymentId;

use crate::catch_all;
use crate::check::{self, Unknown};
use crate::deployment::{Draft, Timeouts, limits};
use crate::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::forwarding;
use crate::keys;
use crate::pricing::{self, Adjustments};
use crate::report::Report;
use crate::rules::Rules;
use crate::tree::{Key, Map, Node, Value};
use crate::trust;
use crate::words;
use crate::{Environment, Options};

/// The models of a config, and where each was written.
#[derive(Default)]
pub(crate) struct Models {
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    /// By team.
    pub(crate) team_groups: TeamGroups,
    pub(crate) pass_through: BTreeSet<DeploymentId>,
    /// By model.
    pub(crate) access_groups: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// By model.
    pub(crate) key_limits: BTreeMap<Arc<str>, KeyLimits>,
    names: BTreeMap<String, Place>,
    ids: BTreeMap<String, Place>,
    list: Option<Place>,
}

impl Models {
    /// True if a call for `name` finds deployments: a model, a wildcard's match, or an id.
    pub(crate) fn serve(&self, name: &str) -> bool {
        self.names.keys().any(|pattern| words::matches(pattern, name))
            || self.ids.contains_key(name)
    }

    /// Takes in the models of one entry.
    ///
    /// # Errors
    /// An id that is taken; nothing is taken in.
    pub(crate) fn absorb(&mut self, other: Self) -> Result<(), String> {
        if let Some(taken) = other.ids.keys().find(|id| self.ids.contains_key(*id)) {
            return Err(taken.clone());
        }
        self.ids.extend(other.ids);
        self.pass_through.extend(other.pass_through);
        for (name, place) in other.names {
            self.names.entry(name).or_insert(place);
        }
        for (model, groups) in other.access_groups {
            self.access_groups.entry(model).or_default().extend(groups);
        }
        for (model, limits) in other.key_limits {
            self.limit_keys(&model, limits);
        }
        join(&mut self.groups, other.groups);
        for (team, groups) in other.team_groups {
            join(self.team_groups.entry(team).or_default(), groups);
        }
        Ok(())
    }

    fn limit_keys(&mut self, model: &Arc<str>, limits: KeyLimits) {
        if limits == KeyLimits::default() {
            return;
        }
        let known = self.key_limits.entry(Arc::clone(model)).or_default();
        let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        known.rpm = least(known.rpm, limits.rpm);
        known.tpm = least(known.tpm, limits.tpm);
    }

    /// All deployments, those of single teams too.
    pub(crate) fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        let of_teams = self.team_groups.values().flat_map(BTreeMap::values);
        self.groups.values().chain(of_teams).flat_map(|group| &group.deployments)
    }

    /// Says that `name`, written at `place`, is no model, and points at what is there instead.
    pub(crate) fn unknown(&self, what: &str, name: &str, place: Place) -> Diagnostic {
        let message = format!("{what} `{name}`, which is not in model_list");
        let near = words::nearest(name, self.names.keys().map(String::as_str));
        let label = words::did_you_mean(name, self.names.keys().map(String::as_str));
        let problem = Diagnostic::error(Code::UnknownModel, message).at(place, label);
        match (near.and_then(|near| Some((near, self.names.get(near)?))), self.list) {
            (Some((near, place)), _) => problem.related(*place, format!("`{near}` is here")),
            (None, Some(list)) => problem.related(list, "the models are listed here"),
            (None, None) => problem,
        }
    }
}

fn join(groups: &mut BTreeMap<Arc<str>, Group>, more: BTreeMap<Arc<str>, Group>) {
    for (name, group) in more {
        match groups.get_mut(&name) {
            Some(known) => known.deployments.extend(group.deployments),
            None => {
                groups.insert(name, group);
            }
        }
    }
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A config file: the operator.
    File,
    /// An admin, over the API.
    Added,
}

/// The values of a credential, and who gave them.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) values: &'a Map,
    pub(crate) origin: Origin,
}

/// What a model's entry is read with.
pub(crate) struct Reading<'a> {
    pub(crate) environment: &'a Environment,
    /// What is lent of it to addresses that were set over the API.
    pub(crate) lent: &'a Environment,
    pub(crate) rules: &'a Rules,
    pub(crate) options: &'a Options,
    pub(crate) timeouts: Timeouts,
    pub(crate) trust: trust::Standard,
    pub(crate) adjustments: Adjustments,
    pub(crate) limits: limits::Standard,
    pub(crate) credentials: BTreeMap<String, Named<'a>>,
    /// To which clients' own headers go along.
    pub(crate) forwarding: forwarding::Models,
    /// Whether clients may bring a key to every one.
    pub(crate) client_keys: bool,
    /// `litellm_settings.drop_params`.
    pub(crate) dropped_everywhere: bool,
    pub(crate) mended_everywhere: bool,
}

/// `credential_list`, by name.
pub(crate) fn credentials<'t>(root: &'t Map, report: &mut Report) -> BTreeMap<String, Named<'t>> {
    let mut named = BTreeMap::new();
    for entry in report.list("credential_list", root.get("credential_list")) {
        let Some(entry) = report.map("a credential_list entry", Some(entry)) else { continue };
        let name = report.text("credential_name", entry.get("credential_name"));
        let values = report.map("credential_values", entry.get("credential_values"));
        if let (Some(name), Some(values)) = (name, values) {
            named.insert(name.to_owned(), Named { values, origin: Origin::File });
        }
    }
    named
}

/// Reads `model_list`.
pub(crate) fn read(root: &Map, reading: &Reading<'_>, report: &mut Report) -> Models {
    let mut models = Models::default();
    let Some((key, list)) = root.find("model_list") else {
        let message = "there is no model_list: nothing can be called";
        report.push(Diagnostic::warning(Code::Missing, message));
        return models;
    };
    models.list = Some(key.place);
    let entries = report.list("model_list", Some(list));
    let is_empty = match &list.value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => false,
    };
    if is_empty {
        let problem =
            Diagnostic::error(Code::Missing, "model_list is empty: nothing can be called");
        report.dangling(problem.at(key.place, "needs an entry with model_name and litellm_params"));
    }
    let (catch_alls, plain): (Vec<_>, Vec<_>) =
        entries.iter().partition(|node| catch_all::is(node, reading));
    for node in plain {
        entry(node, Origin::File, reading, &mut models, report);
    }
    let taken: BTreeSet<_> = models.groups.keys().cloned().collect();
    for node in catch_alls {
        catch_all::entry(node, &taken, reading, &mut models, report);
    }
    if !report.has_errors() {
        let place = |found: &Deployment| models.ids.get(&*found.id.0).copied();
        pricing::warn_of_unpriced(models.deployments(), place, report);
    }
    models
}

/// Reads one entry, as `model_list` has them.
pub(crate) fn entry(
    node: &Node,
    origin: Origin,
    reading: &Reading<'_>,
    models: &mut Models,
    report: &mut Report,
) {
    let Some(entry) = report.map("a model_list entry", Some(node)) else { return };
    for (key, node) in &entry.entries {
        check::one(&[&keys::ENTRY], key, node, Unknown::Warned, report);
    }
    let name_node = entry.get("model_name");
    let name = required("model_name", node, name_node, report);
    let params = entry.find("litellm_params").filter(|(_, node)| node.value_is_there());
    let Some((params_key, params)) = params else {
        let message = "a model_list entry has no litellm_params";
        report.push(Diagnostic::error(Code::Missing, message).at(node.place, ""));
        return;
    };
    let empty = Map::default();
    let info = report.map("model_info", entry.get("model_info")).unwrap_or(&empty);
    let (Some(name), Some(params)) = (name, report.map("litellm_params", Some(params))) else {
        return;
    };
    let of_team = of_team(name, info, report);
    if let (Some(place), None) = (name_node.map(|node| node.place), &of_team) {
        models.names.entry(name.to_owned()).or_insert(place);
    }
    let name = of_team.as_ref().map_or(name, |of_team| of_team.name);
    let written = origin;
    let (params, origin, mut unusable) = with_credential(params, origin, reading, report);
    if origin == Origin::Added {
        let broken = restrict(written, report, |report| reading.rules.check(&params, report));
        unusable = unusable.or(broken);
    }
    let group: Arc<str> = name.into();
    for node in report.list("model_info.access_groups", info.get("access_groups")) {
        if let Some(name) = report.text("model_info.access_groups", Some(node)) {
            let groups = models.access_groups.entry(Arc::clone(&group)).or_default();
            groups.insert(name.into());
        }
    }
    let mut limit = |name: &str| report.count(&format!("litellm_params.{name}"), params.get(name));
    let rpm = limit("default_api_key_rpm_limit");
    let tpm = limit("default_api_key_tpm_limit");
    models.limit_keys(&group, KeyLimits { rpm, tpm });
    for (ordinal, params) in per_organization(params).into_iter().enumerate() {
        let draft = Draft::new(&group, params_key, &params, info, reading, (origin, written));
        let Some(mut made) = draft.parked(unusable.clone()).finish(report) else { continue };
        if origin == Origin::Added {
            let check = |report: &mut _| reading.rules.check_identity(&params, &made, report);
            let broken = restrict(written, report, check);
            made.parked = made.parked.or(broken.map(Arc::from));
        }
        let at = params.get("model").map(|node| node.place);
        let id = identify(&made, (info, at), ordinal, models, report);
        let setting = "use_in_pass_through";
        let set_aside = report.flag(&format!("litellm_params.{setting}"), params.get(setting));
        models.pass_through.extend(set_aside.unwrap_or(false).then(|| id.clone()));
        let deployment = Arc::new(Deployment { id, ..made });
        let groups = match &of_team {
            Some(of_team) => models.team_groups.entry(of_team.team.into()).or_default(),
            None => &mut models.groups,
        };
        let known = groups.entry(Arc::clone(&group));
        let known =
            known.or_insert_with(|| Group { name: Arc::clone(&group), deployments: vec![] });
        known.deployments.push(deployment);
    }
}

/// Whose model it is alone, and how the team calls it.
struct OfTeam<'n> {
    team: &'n str,
    name: &'n str,
}

/// `model_info.team_id` and `team_public_model_name`. LiteLLM gives such a model a `model_name` that
/// nobody calls it by.
fn of_team<'n>(name: &'n str, info: &'n Map, report: &mut Report) -> Option<OfTeam<'n>> {
    let team = report.text("model_info.team_id", info.get("team_id"))?;
    let setting = "team_public_model_name";
    let public = report.text(&format!("model_info.{setting}"), info.get(setting));
    let is_given = |text: &&str| !text.is_empty();
    let name = public.filter(is_given).unwrap_or(name);
    Some(team).filter(is_given).map(|team| OfTeam { team, name })
}

/// Checks what was set over the API. A credential from there must not put the file that names it out
/// of force: the deployment is parked, for the reason that is given.
fn restrict(
    written: Origin,
    report: &mut Report,
    check: impl FnOnce(&mut Report),
) -> Option<String> {
    let (mut broken, mut reason) = (Report::new(false), None);
    check(&mut broken);
    for mut problem in broken.finish().0 {
        if written == Origin::File {
            reason.get_or_insert_with(|| problem.message.clone());
            problem.severity = Severity::Warning;
        }
        report.push(problem);
    }
    reason
}

fn required<'n>(
    what: &str,
    entry: &Node,
    node: Option<&'n Node>,
    report: &mut Report,
) -> Option<&'n str> {
    if node.is_some_and(Node::value_is_there) {
        return report.text(what, node).filter(|text| !text.is_empty());
    }
    let message = format!("a model_list entry has no {what}");
    report.push(Diagnostic::error(Code::Missing, message).at(entry.place, ""));
    None
}

/// The parameters with those of the credential that they name; their own win. Who gave the credential
/// counts too: values set over the API are trusted no more in a model of a file. Without the
/// credential there is a reason to park.
fn with_credential(
    params: &Map,
    origin: Origin,
    reading: &Reading<'_>,
    report: &mut Report,
) -> (Map, Origin, Option<String>) {
    let mut params = params.clone();
    let what = "litellm_params.litellm_credential_name";
    let node = params.get("litellm_credential_name").cloned();
    let (Some(name), Some(node)) = (report.text(what, node.as_ref()), &node) else {
        return (params, origin, None);
    };
    let Some(named) = reading.credentials.get(name) else {
        let message = match origin {
            Origin::File => format!("there is no credential `{name}` in credential_list"),
            Origin::Added => format!("there is no credential `{name}`"),
        };
        let label = words::did_you_mean(name, reading.credentials.keys().map(String::as_str));
        report.dangling(Diagnostic::error(Code::UnknownCredential, &message).at(node.place, label));
        return (params, origin, Some(message));
    };
    for (key, node) in &named.values.entries {
        if params.get(&key.text).is_none() {
            params.entries.push((key.clone(), node.clone()));
        }
    }
    let origin = if named.origin == Origin::Added { Origin::Added } else { origin };
    (params, origin, None)
}

/// A list of organizations stands for one deployment each.
fn per_organization(params: Map) -> Vec<Map> {
    let organizations = params.get("organization").map(Node::items).unwrap_or_default();
    if organizations.is_empty() {
        return vec![params];
    }
    let with = |organization: &Node| {
        let mut params = params.clone();
        if let Some(node) = params.get_mut("organization") {
            *node = organization.clone();
        }
        params
    };
    organizations.iter().map(with).collect()
}

/// The deployment's id in this config: unique, and the same on every node.
fn identify(
    deployment: &Deployment,
    (info, at): (&Map, Option<Place>),
    ordinal: usize,
    models: &mut Models,
    report: &mut Report,
) -> DeploymentId {
    let id = &deployment.id.0;
    let own: Option<(&Key, &Node)> = info.find("id").filter(|(_, node)| node.as_text().is_some());
    let place = own.map(|(_, node)| node.place).or(at).or(models.list);
    let place = place.unwrap_or(Place::new(0, 0, 0));
    if let (Some(first), Some(_), 0) = (models.ids.get(&**id), own, ordinal) {
        let message = format!("two deployments have the id `{id}`");
        let problem = Diagnostic::error(Code::DuplicateId, message).at(place, "again here");
        report.push(problem.related(*first, "first here"));
    }
    let candidates =
        std::iter::once(id.to_string()).chain((2..).map(|count| format!("{id}-{count}")));
    let free = candidates.into_iter().find(|id| !models.ids.contains_key(id));
    let id = free.expect("the candidates do not end");
    models.ids.insert(id.clone(), place);
    DeploymentId(id.into())
}
