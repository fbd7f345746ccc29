//! Which deployment takes a new file: the one of the model that the request, or the lines of its
//! batch, name; else one of the provider that is named; else OpenAI's.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use axum::http::HeaderMap;
use dunlin_llm::Target;
use dunlin_providers::jobs::{self, Jobs};
use dunlin_router::relay::{Asked, Lenders, NoLender, lenders};
use dunlin_router::{Deployment, NoRoute, group, listed};

use super::Asking;
use crate::response::error::{Failed, Place, Refused};
use crate::response::words;

const MODEL_HEADER: &str = "x-litellm-model";
const PROVIDER_HEADER: &str = "custom-llm-provider";
/// Whose files they are if nothing is said, as LiteLLM has it.
pub(super) const DEFAULT_PROVIDER: &str = "openai";
/// By which a form, a query or a JSON object names it.
pub(super) const NAMES: [&str; 3] = ["model", "target_model_names", "custom_llm_provider"];

/// What a request says of where its things belong.
#[derive(Clone, Copy, Default)]
pub(super) struct Wish<'a> {
    /// One model, or several with commas between them.
    pub(super) models: Option<&'a str>,
    pub(super) provider: Option<&'a str>,
}

impl<'a> Wish<'a> {
    /// What `field` and the headers say, the path's provider first.
    pub(super) fn read(
        in_path: Option<&'a str>,
        field: impl Fn(&str) -> Option<&'a str>,
        headers: &'a HeaderMap,
    ) -> Self {
        let header = |name: &str| {
            headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
        };
        let named = field("target_model_names").or_else(|| field("model"));
        let provider = in_path.or_else(|| field("custom_llm_provider"));
        Self {
            models: named.or_else(|| header(MODEL_HEADER)),
            provider: provider.or_else(|| header(PROVIDER_HEADER)),
        }
    }

    pub(super) fn says_nothing(&self) -> bool {
        self.models.is_none() && self.provider.is_none()
    }
}

/// The deployments that may take it.
pub(super) struct Home {
    pub(super) lenders: Lenders,
    /// The model that led there, as the client named it.
    pub(super) name: Option<String>,
}

impl Home {
    /// Decides by the wish and by the models that the lines of a batch name, each with the first line
    /// that does. All of them must be ones that the caller may call.
    pub(super) fn find(
        asking: &Asking<'_>,
        wish: Wish<'_>,
        lines: &BTreeMap<String, u64>,
        reads: bool,
    ) -> Result<Self, Failed> {
        let wished = wish.models.into_iter().flat_map(|names| names.split(',')).map(str::trim);
        let wished: BTreeSet<&str> = wished.filter(|name| !name.is_empty()).collect();
        let name = wished.first().copied().or_else(|| lines.keys().next().map(String::as_str));
        asking.call.known.asks(name.unwrap_or_default(), false);
        if wished.len() > 1 || (wished.is_empty() && lines.len() > 1) {
            return Err(Refused::several_models(lines).into());
        }
        let others = lines.keys().map(String::as_str).filter(|line| Some(*line) != name);
        let models: Vec<&str> = name.into_iter().chain(others).collect();
        let found = match (wish.provider, name) {
            (Some(provider), _) => lend(asking, &[provider], &models, reads),
            (None, Some(_)) => lend(asking, &keepers(), &models, reads),
            // The other providers are better than nobody.
            (None, None) => lend(asking, &[DEFAULT_PROVIDER], &models, reads)
                .or_else(|_| lend(asking, &keepers(), &models, reads)),
        };
        let lenders = found.map_err(|none| {
            let (model, refused) = match (none, name) {
                (NoLender::NotAllowed { model, by }, _) => {
                    (Some(model.clone()), Refused::not_allowed(model, by, asking.caller))
                }
                (NoLender::OutOfRegion { model, region }, _) => {
                    (Some(model.clone()), Refused::out_of_region(&model, region))
                }
                (NoLender::Unnamed, _) => (None, Refused::NoModelNamed),
                (NoLender::None, Some(name)) => {
                    (Some(name.to_owned()), unkept(asking, wish.provider, name))
                }
                (NoLender::None, None) => {
                    (None, Refused::no_home(wish.provider.unwrap_or(DEFAULT_PROVIDER)))
                }
            };
            let line = model.filter(|model| !wished.contains(&**model));
            match line.and_then(|model| lines.get(&model)) {
                Some(line) => Failed::from(refused).at(Place::line(*line)),
                None => refused.into(),
            }
        })?;
        Ok(Self { lenders, name: name.map(str::to_owned) })
    }

    /// Whether all lines are for the model of `by`, under either name.
    pub(super) fn serves(&self, by: &Deployment, lines: &BTreeMap<String, u64>) -> bool {
        let name = self.name.as_deref();
        lines.keys().all(|line| Some(&**line) == name || **line == *by.target.model)
    }
}

/// Why nobody keeps files for a model: there is none of that name, or its provider keeps none.
fn unkept(asking: &Asking<'_>, provider: Option<&str>, name: &str) -> Refused {
    let (catalog, access) = (&asking.serving.catalog, asking.caller.access());
    match group(catalog, access, name) {
        Err(NoRoute::NotAllowed { model, by }) => Refused::not_allowed(model, by, asking.caller),
        Err(NoRoute::Unknown { model, patterns }) => {
            let near = words::near(&model, &listed(catalog, access));
            let message = words::unknown_model(&model, "/files", patterns) + &near;
            Refused::Unfit { param: "model", message }
        }
        Err(NoRoute::OutOfRegion { model, region }) => Refused::out_of_region(&model, region),
        Ok(_) => Refused::keeps_none(name, provider),
    }
}

fn lend(
    asking: &Asking<'_>,
    providers: &[&str],
    models: &[&str],
    reads: bool,
) -> Result<Lenders, NoLender> {
    let asked = Asked { providers, models, chosen: None, reads };
    let Lenders { group, elsewhere, renamed, served, any } =
        lenders(&asking.serving.catalog, asking.caller.access(), asked)?;
    let accounts = iter::once(group).chain(elsewhere).map(|mut account| {
        account.deployments.retain(|known| keeps(known));
        account
    });
    let group = { accounts }.find(|account| !account.deployments.is_empty());
    let group = group.ok_or(NoLender::None)?;
    let found = Lenders { group, elsewhere: Vec::new(), renamed, served, any };
    // A model that nobody has is no reason to take another's deployment.
    if !models.is_empty() && !found.group.deployments.iter().any(|by| is_named(&found, by, models))
    {
        return Err(NoLender::None);
    }
    Ok(found)
}

fn is_named(found: &Lenders, by: &Deployment, models: &[&str]) -> bool {
    found.renamed.is_some() || models.contains(&&*by.target.model)
}

/// Whether files and batches can be kept where that deployment is.
pub(super) fn keeps(known: &Deployment) -> bool {
    let provider = dunlin_providers::find(&known.provider);
    provider.is_some_and(|provider| {
        provider.kept_url(&known.target, "/files").is_some()
            || Jobs::of(provider, &known.target).is_some()
    })
}

/// The ids of all providers that may keep files.
fn keepers() -> Vec<&'static str> {
    let all = dunlin_providers::ALL.iter();
    let keeping = all.filter(|known| {
        known.kept_url(&Target::default(), "/files").is_some() || jobs::may_keep(known.id())
    });
    keeping.map(|known| known.id()).collect()
}
