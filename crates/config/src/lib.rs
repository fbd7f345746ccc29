//! The config format: LiteLLM's `config.yaml` and a `cluster:` section of our own, parsed into a
//! catalog of models and settings, with every mistake found in one pass and shown where it stands.
//!
//! Does not know files, the environment or the network: the node reads both and hands them in as
//! a [`Document`] and an [`Environment`]. Does not know which providers are served: the node says
//! so in [`Options`]. Invariants: [`Outcome::loaded`] is there if and only if no diagnostic is an
//! error; no message, note or rendered line shows a credential; a deployment's id depends on what
//! is written in the files, never on the environment. Read [`load`] first, then `keys.rs`, the
//! table of all settings and how each stands.

mod about;
mod additions;
mod allowances;
mod budgets;
mod cache_points;
mod callbacks;
mod catch_all;
mod changes;
mod check;
mod client_auth;
mod demands;
mod deployment;
mod destination;
mod diagnostic;
mod document;
mod edit;
mod explain;
mod fields;
mod forwarding;
mod grants;
mod health_check;
mod key_rules;
mod keys;
mod metrics;
mod models;
mod params;
mod parse;
mod pass_through;
mod policies;
mod pricing;
mod report;
mod request_log;
mod resolve;
mod routing;
mod rules;
mod secret_manager;
mod settings;
mod strategy;
mod target_uri;
mod tree;
mod trust;
mod words;

use std::sync::Arc;

use dunlin_prices::Table;
use dunlin_router::Catalog;

pub use about::published_of;
pub use additions::{AddedCredential, AddedGroup, AddedModel, Additions, Basis, Judged, LeftOut};
pub use budgets::Budgets;
pub use callbacks::{
    BadReceiver, Callback, CallbackKind, Callbacks, GenericApi, Langfuse, LogFormat, MAX_CALLBACKS,
    Otel, Outcomes, Receiver, Variable, nearest_callback,
};
pub use changes::{diff, masked};
pub use demands::Demands;
pub use diagnostic::{Diagnostic, Place, Severity, summary};
pub use document::{
    BadRevision, Document, SourceFile, document_from, gather, hashed_bytes, revision_bytes,
};
pub use edit::{
    Edit, EditProblem, Edited, of_files, of_no_settings, setting, shown_section, shown_setting,
    shown_yaml, undone,
};
pub use explain::{Code, codes, explain};
pub use fields::{FieldKind, GENERAL_FIELDS, ROUTER_FIELDS, SettingField};
pub use grants::Grants;
pub use key_rules::{KeyRule, KeyRules};
pub use metrics::{LITELLM_LABELS, LITELLM_METRICS, MetricsSettings};
pub use report::{Fate, Note, Setting};
pub use request_log::RequestLog;
pub use resolve::Environment;
pub use settings::{
    ClusterSection, CountedTokens, DrainEndpoint, Forwarded, OnStale, Settings, WeakMasterKey,
    check_master_key,
};
pub use words::without_logins;

use report::Report;
use routing::RouterSettings;
use tree::Node;

/// How a document is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Unknown keys and keys in the wrong section are errors.
    pub strict: bool,
    /// The providers this version serves.
    pub providers: Vec<Provider>,
    /// Those that are known and not served: name and reason.
    pub unserved: &'static [(&'static str, &'static str)],
    /// What is published about models.
    pub prices: Arc<Table>,
    /// The cluster has accepted the config: names in it that lead nowhere are warned of, since a
    /// model that was set over the API may be gone, and so is what earlier versions let in.
    pub accepted: bool,
}

/// A provider, as far as a configuration needs to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// Its prefix in `litellm_params.model`.
    pub id: &'static str,
    /// Its own base URL.
    pub default_base: Option<&'static str>,
    /// Variables that may hold the key of a deployment that has none, in order.
    pub key_variables: &'static [&'static str],
    /// Variables that may hold the base URL of one that has none, in order.
    pub base_variables: &'static [&'static str],
    /// True if its own address refuses calls without a key.
    pub needs_key: bool,
}

/// What a document says.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The models and how to route between them.
    pub catalog: Catalog,
    /// For the client API.
    pub settings: Settings,
    /// For this node.
    pub cluster: ClusterSection,
    /// Judges what is to be added.
    pub basis: Arc<Basis>,
}

/// A document read: all that is wrong with it, all there is to say, and what it means.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// A line each, for the start of a node.
    pub notes: Vec<Note>,
    /// The settings that are known, in the order of the files; those that are refused are among the
    /// diagnostics.
    pub settings: Vec<Setting>,
    /// Additions that are not part of what was loaded.
    pub left_out: Vec<LeftOut>,
    /// `None` if and only if one of the diagnostics is an error.
    pub loaded: Option<Loaded>,
}

/// Reads a document on a node with this environment.
#[must_use]
pub fn load(document: &Document, environment: &Environment, options: &Options) -> Outcome {
    load_with(document, &Additions::default(), environment, options)
}

/// Reads a document, and what was set over the API beside it. What is wrong with an addition is no
/// error of the document: the addition is left out.
#[must_use]
pub fn load_with(
    document: &Document,
    additions: &Additions,
    environment: &Environment,
    options: &Options,
) -> Outcome {
    let mut report = Report::new(options.strict);
    let (root, problems) = document::merged(document);
    report.extend(problems);
    let mut left_out = Vec::new();
    // What follows a syntax error is not there to be checked, and would seem to be missing.
    let loaded = root
        .filter(|_| !report.has_errors_of(Code::Syntax))
        .and_then(|root| read(root, additions, (environment, options), &mut report, &mut left_out));
    let loaded = loaded.filter(|_| !report.has_errors());
    let (diagnostics, notes, settings) = report.finish();
    Outcome { diagnostics, notes, settings, left_out, loaded }
}

fn read(
    mut root: Node,
    additions: &Additions,
    (environment, options): (&Environment, &Options),
    report: &mut Report,
    left_out: &mut Vec<LeftOut>,
) -> Option<Loaded> {
    let mut problems = Vec::new();
    let environment = resolve::resolve(&mut root, environment, &mut problems);
    report.extend(problems);
    check::sections(root.as_map()?, report);
    pricing::refuse_fetching(environment.get("LITELLM_MODEL_COST_MAP_URL"), report);
    let stores_models = settings::stores_models(root.as_map()?, &environment, report);
    report.is_accepted(options.accepted);
    report.let_names_dangle(options.accepted || stores_models == Some(true));
    let (basis, refused) = Basis::new(root, environment, options, &additions.credentials, report);
    left_out.extend(refused);
    let (root, environment) = (basis.map(), basis.environment());
    let settings = RouterSettings::of(root);
    let reading = basis.reading(report);
    let (mut models, refused) = basis.models(&additions.models, &reading, report);
    left_out.extend(refused);
    Basis::group(&mut models, &additions.access_groups);
    trust::warn(&models, report);
    let tls = reading.trust.tls;
    let endpoints = pass_through::endpoints(root, report);
    Some(Loaded {
        catalog: routing::catalog(&settings, models, endpoints, report),
        settings: Settings {
            tls,
            stores_models,
            budgets: budgets::budgets(root, report),
            callbacks: callbacks::read(root, environment, report),
            ..settings::settings(root, environment, report)
        },
        cluster: settings::cluster(root, report),
        basis: Arc::new(basis),
    })
}

#[cfg(test)]
mod tests;
