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
mod allowances;
mod budgets;
mod check;
mod deployment;
mod destination;
mod diagnostic;
mod document;
mod explain;
mod grants;
mod key_rules;
mod keys;
mod models;
mod params;
mod parse;
mod pass_through;
mod pricing;
mod report;
mod request_log;
mod resolve;
mod routing;
mod settings;
mod tree;
mod trust;
mod words;

use std::sync::Arc;

use dunlin_prices::Table;
use dunlin_router::Catalog;

pub use budgets::Budgets;
pub use diagnostic::{Diagnostic, Place, Severity, summary};
pub use document::{
    BadRevision, Document, SourceFile, document_from, gather, hashed_bytes, revision_bytes,
};
pub use explain::{Code, codes, explain};
pub use grants::Grants;
pub use key_rules::{KeyRule, KeyRules};
pub use report::{Fate, Note, Setting};
pub use request_log::RequestLog;
pub use resolve::Environment;
pub use settings::{ClusterSection, CountedTokens, Settings, WeakMasterKey, check_master_key};

use models::Reading;
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
    /// `None` if and only if one of the diagnostics is an error.
    pub loaded: Option<Loaded>,
}

/// Reads a document on a node with this environment.
#[must_use]
pub fn load(document: &Document, environment: &Environment, options: &Options) -> Outcome {
    let mut report = Report::new(options.strict);
    let (root, problems) = document::merged(document);
    report.extend(problems);
    // What follows a syntax error is not there to be checked, and would seem to be missing.
    let loaded = root
        .filter(|_| !report.has_errors_of(Code::Syntax))
        .and_then(|root| read(root, environment, options, &mut report));
    let loaded = loaded.filter(|_| !report.has_errors());
    let (diagnostics, notes, settings) = report.finish();
    Outcome { diagnostics, notes, settings, loaded }
}

fn read(
    mut root: Node,
    environment: &Environment,
    options: &Options,
    report: &mut Report,
) -> Option<Loaded> {
    let mut problems = Vec::new();
    let environment = resolve::resolve(&mut root, environment, &mut problems);
    report.extend(problems);
    let root = root.as_map()?;
    check::sections(root, report);
    pricing::refuse_fetching(environment.get("LITELLM_MODEL_COST_MAP_URL"), report);
    let settings = RouterSettings::of(root);
    let reading = Reading {
        timeouts: routing::timeouts(&settings, &environment, report),
        trust: trust::standard(root, &environment, report),
        credentials: models::credentials(root, report),
        limits: deployment::limits::standard(&settings, report),
        dropped_everywhere: params::dropped_everywhere(root, report),
        mended_everywhere: params::mended_everywhere(root, report),
        adjustments: pricing::Adjustments::of(root, report),
        environment: &environment,
        options,
    };
    let models = models::read(root, &reading, report);
    trust::warn(&models, report);
    let tls = reading.trust.tls;
    let endpoints = pass_through::endpoints(root, report);
    Some(Loaded {
        catalog: routing::catalog(&settings, models, endpoints, report),
        settings: Settings {
            tls,
            budgets: budgets::budgets(root, report),
            ..settings::settings(root, &environment, report)
        },
        cluster: settings::cluster(root, report),
    })
}

#[cfg(test)]
mod tests;
