//! Models, credentials and access groups that are set over the API, beside the files of a config.
//! They are read by the same rules; one that is wrong is left out and named, and the rest stays in
//! force. What a person at a distance sets is trusted less than a file: see `rules.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use dunlin_ledger::{Pricing, Sheet};
use dunlin_prices::Asked;
use dunlin_router::Deployment;
use serde_json::Value as Json;

use crate::deployment::limits;
use crate::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::forwarding;
use crate::models::{self, Models, Named, Origin, Reading};
use crate::report::Report;
use crate::routing::{self, RouterSettings};
use crate::rules::Rules;
use crate::tree::{Key, Map, Node, Value};
use crate::{Environment, Options, client_auth, params, pricing, published_of, trust};

/// What is set over the API.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// Deployments, in the order in which they join their groups.
    pub models: Vec<AddedModel>,
    /// What models name by `litellm_credential_name`.
    pub credentials: Vec<AddedCredential>,
    /// Groups of models, beside those that models name themselves.
    pub access_groups: Vec<AddedGroup>,
}

/// Models that lists of models may name together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedGroup {
    /// Its name.
    pub name: String,
    /// Public names of models; those that there are not yet, or no more, count from when they are.
    pub models: Vec<String>,
}

/// One deployment.
#[derive(Clone, PartialEq)]
pub struct AddedModel {
    /// Its id.
    pub id: String,
    /// The public name it serves.
    pub name: String,
    /// `litellm_params`. May hold secrets.
    pub params: serde_json::Map<String, Json>,
    /// `model_info`.
    pub info: serde_json::Map<String, Json>,
}

/// Values that models share.
#[derive(Clone, PartialEq)]
pub struct AddedCredential {
    /// Its name.
    pub name: String,
    /// `credential_values`. May hold secrets.
    pub values: serde_json::Map<String, Json>,
}

impl fmt::Debug for AddedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddedModel({} for {})", self.id, self.name)
    }
}

impl fmt::Debug for AddedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddedCredential({})", self.name)
    }
}

/// An addition that is not in force, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What it is and its name, such as ``model `id` ``.
    pub what: String,
    /// All that is wrong with it.
    pub why: Vec<String>,
}

/// What an addition would be.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// One, or one for each organization.
    pub deployments: Vec<Arc<Deployment>>,
    /// Why it is refused. Empty: it is not.
    pub problems: Vec<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// A config that was read, ready to judge what is to be added to it. Holds secrets.
pub struct Basis {
    root: Node,
    environment: Environment,
    /// What is lent to addresses that were set over the API.
    lent: Environment,
    options: Options,
    rules: Rules,
    /// Those set over the API.
    credentials: BTreeMap<String, Map>,
}

impl fmt::Debug for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basis")
    }
}

/// There is no text to point at.
fn nowhere() -> Place {
    Place::new(usize::MAX, 0, 0)
}

impl Basis {
    /// The basis that a config's resolved `root` and the credentials beside it make.
    pub(crate) fn new(
        root: Node,
        environment: Environment,
        options: &Options,
        credentials: &[AddedCredential],
        report: &mut Report,
    ) -> (Self, Vec<LeftOut>) {
        let rules = Rules::of(root.as_map().unwrap_or(&Map::default()), report);
        let lent = rules.lent(&environment);
        let (options, none) = (options.clone(), BTreeMap::new());
        let mut basis = Self { root, environment, lent, options, rules, credentials: none };
        let mut left_out = Vec::new();
        for added in credentials {
            let (values, why) = basis.values(added);
            if why.is_empty() {
                basis.credentials.insert(added.name.clone(), values);
            } else {
                left_out.push(LeftOut { what: format!("credential `{}`", added.name), why });
            }
        }
        (basis, left_out)
    }

    /// What a model would be in this config, were it set over the API.
    #[must_use]
    pub fn judge(&self, model: &AddedModel) -> Judged {
        let mut unsaid = Report::new(false);
        let reading = self.reading(&mut unsaid);
        let (models, diagnostics) = self.added(model, &reading);
        let told = |severity| diagnostics.iter().filter(move |found| found.severity == severity);
        // One that is parked everywhere is as good as refused, and is better told at once.
        let parked = |found: &&Diagnostic| matches!(found.code, Code::NotServed | Code::Parked);
        let problems = told(Severity::Error).chain(told(Severity::Warning).filter(parked));
        let mut warnings: Vec<_> = told(Severity::Warning).map(told_at_once).collect();
        let deployments: Vec<_> = models.deployments().cloned().collect();
        let mut unpriced = Report::new(false);
        pricing::warn_of_unpriced(deployments.iter(), |_| None, &mut unpriced);
        warnings.extend(unpriced.finish().0.iter().map(told_at_once));
        Judged { deployments, problems: problems.map(told_at_once).collect(), warnings }
    }

    /// What is published about a model, served here or not, and what it costs by that and by the
    /// config's discounts and margins.
    #[must_use]
    pub fn published(&self, model: &str) -> Option<(Pricing, serde_json::Map<String, Json>)> {
        let prices = &self.options.prices;
        let info = published_of(prices, None, model)?;
        let text = |name: &str| info.get(name).and_then(Json::as_str).unwrap_or_default();
        let (provider, name) = (text("litellm_provider"), text("key"));
        let under = name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
        let model = under.unwrap_or(name);
        let asked = Asked { provider, model, base_model: None, own_address: false };
        let adjustments = pricing::Adjustments::of(self.map(), &mut Report::new(false));
        let adjustment = adjustments.of_provider(provider);
        let price = prices.pricing(&asked, &Sheet::default(), adjustment);
        Some((price, info))
    }

    /// What is wrong with a credential, were it set over the API.
    #[must_use]
    pub fn judge_credential(&self, credential: &AddedCredential) -> Vec<String> {
        self.values(credential).1
    }

    /// Whether the config itself has a credential of that name.
    #[must_use]
    pub fn has_credential(&self, name: &str) -> bool {
        let named = models::credentials(self.map(), &mut Report::new(false));
        named.contains_key(name)
    }

    /// All models: those of the files, and those of `additions` that are right.
    pub(crate) fn models(
        &self,
        additions: &[AddedModel],
        reading: &Reading<'_>,
        report: &mut Report,
    ) -> (Models, Vec<LeftOut>) {
        let mut models = models::read(self.map(), reading, report);
        let mut left_out = Vec::new();
        for model in additions {
            let (added, diagnostics) = self.added(model, reading);
            let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error);
            let mut why: Vec<_> = errors.map(told_at_once).collect();
            if why.is_empty()
                && let Err(taken) = models.absorb(added)
            {
                why.push(format!("a deployment of the config has the id `{taken}`"));
            }
            if why.is_empty() {
                report.extend(diagnostics);
            } else {
                let what = format!("model `{}` ({})", model.name, model.id);
                left_out.push(LeftOut { what, why });
            }
        }
        (models, left_out)
    }

    /// Puts models into the groups that are set over the API.
    pub(crate) fn group(models: &mut Models, groups: &[AddedGroup]) {
        for AddedGroup { name, models: members } in groups {
            for model in members {
                let known = models.groups.get_key_value(model.as_str());
                if let Some((model, _)) = known {
                    let of_model = models.access_groups.entry(Arc::clone(model)).or_default();
                    of_model.insert(name.as_str().into());
                }
            }
        }
    }

    pub(crate) fn map(&self) -> &Map {
        self.root.as_map().expect("a config without a map has no basis")
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Whether what is set over the API may name a variable of the nodes.
    pub(crate) fn lends(&self, variable: &str) -> bool {
        self.rules.lends(variable)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What entries are read with.
    pub(crate) fn reading(&self, report: &mut Report) -> Reading<'_> {
        let (root, settings) = (self.map(), RouterSettings::of(self.map()));
        let mut credentials = models::credentials(root, report);
        for (name, values) in &self.credentials {
            let added = Named { values, origin: Origin::Added };
            credentials.entry(name.clone()).or_insert(added);
        }
        Reading {
            timeouts: routing::timeouts(&settings, &self.environment, report),
            trust: trust::standard(root, &self.environment, report),
            credentials,
            limits: limits::standard(&settings, report),
            forwarding: forwarding::models(root, report),
            client_keys: client_auth::everywhere(root, report),
            dropped_everywhere: params::dropped_everywhere(root, report),
            mended_everywhere: params::mended_everywhere(root, report),
            adjustments: pricing::Adjustments::of(root, report),
            environment: &self.environment,
            lent: &self.lent,
            rules: &self.rules,
            options: &self.options,
        }
    }

    fn added(&self, model: &AddedModel, reading: &Reading<'_>) -> (Models, Vec<Diagnostic>) {
        let mut report = Report::new(false);
        let mut params = map(&model.params);
        let own = self.rules.own_variables(&params, &self.options);
        self.resolve(&mut params, &own, &mut report);
        let mut info = map(&model.info);
        self.resolve(&mut info, &[], &mut report);
        info.remove("id");
        info.entries.push((key("id"), text(&model.id)));
        let entry = Map {
            entries: vec![
                (key("model_name"), text(&model.name)),
                (key("litellm_params"), Node::new(Value::Map(params), nowhere())),
                (key("model_info"), Node::new(Value::Map(info), nowhere())),
            ],
        };
        let entry = Node::new(Value::Map(entry), nowhere());
        let mut models = Models::default();
        models::entry(&entry, Origin::Added, reading, &mut models, &mut report);
        (models, report.finish().0)
    }

    fn values(&self, credential: &AddedCredential) -> (Map, Vec<String>) {
        let mut report = Report::new(false);
        let mut values = map(&credential.values);
        self.resolve(&mut values, &[], &mut report);
        self.rules.check(&values, &mut report);
        let diagnostics = report.finish().0;
        let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error);
        (values, errors.map(told_at_once).collect())
    }

    /// Replaces references to the environment that may stand here: `own`, and what the operator
    /// lends.
    fn resolve(&self, map: &mut Map, own: &[&str], report: &mut Report) {
        for (key, node) in &mut map.entries {
            node.walk(&mut |node| {
                let Some(name) = crate::resolve::reference(node).map(str::to_owned) else { return };
                if own.contains(&&*name) || self.rules.lends(&name) {
                    crate::resolve::replace(node, &self.environment, &mut Vec::new());
                    return;
                }
                let message = format!("`{}` may not refer to the variable `{name}`", key.text);
                let problem = Diagnostic::error(Code::NotAllowed, message).note(
                    "what is set over the API may name a variable of the nodes only if \
                     general_settings.api_model_environment lists it",
                );
                report.push(problem);
            });
        }
    }
}

/// A finding as one text.
pub(crate) fn told_at_once(found: &Diagnostic) -> String {
    let label = found.place.as_ref().map(|(_, label)| label.as_str()).unwrap_or_default();
    let label = if label.is_empty() { String::new() } else { format!(" ({label})") };
    let notes: String = found.notes.iter().map(|note| format!("; {note}")).collect();
    format!("{}{label}{notes} [{}]", found.message, found.code)
}

pub(crate) fn key(name: &str) -> Key {
    Key { text: name.to_owned(), place: nowhere() }
}

fn text(text: &str) -> Node {
    Node::new(Value::Text(text.to_owned()), nowhere())
}

fn map(json: &serde_json::Map<String, Json>) -> Map {
    Map { entries: json.iter().map(|(name, value)| (key(name), node(value))).collect() }
}

pub(crate) fn node(json: &Json) -> Node {
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(number) => Value::Number(number.to_string()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(node).collect()),
        Json::Object(json) => Value::Map(map(json)),
    };
    Node::new(value, nowhere())
}
