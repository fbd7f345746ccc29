//! Which deployment lends its credential to a call of a provider's own API, and whether the caller
//! may make it. The call may name models, by our names or by the provider's.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;

use dunlin_ledger::Pricing;
use dunlin_types::Served;

use crate::access::Access;
use crate::candidates::{NoRoute, find};
use crate::catalog::{Catalog, Deployment, Group, is_beside};
use crate::region::Region;
use crate::served;
use crate::wildcard;

/// A shorter number in a model's name tells another model, as the 5 of `claude-sonnet-4-5` does.
const FEWEST_DIGITS: usize = 3;

/// Who may lend.
#[derive(Clone, Debug)]
pub struct Lenders {
    /// The deployments among which the pick is. Never empty.
    pub group: Group,
    /// The name of ours that was asked for, which the provider does not know.
    pub renamed: Option<String>,
    /// Our names of all models that the call names, by whichever names: what holds for these holds for
    /// the call. One that names none, or one that no row has, may ask any model of the provider's.
    pub served: Served,
    /// Whether any model of the provider would do, since none that is named has a deployment.
    pub any: bool,
    /// Then, the provider's other accounts: what is kept in one is not in another.
    pub elsewhere: Vec<Group>,
}

impl Lenders {
    /// Those of the account whose group ranks lowest; of equals, the first.
    #[must_use]
    pub fn ranked<R: Ord>(self, rank: impl Fn(&Group) -> R) -> Self {
        let accounts = iter::once(self.group).chain(self.elsewhere);
        let group = accounts.min_by_key(rank).expect("there is one at least");
        Self { group, elsewhere: Vec::new(), ..self }
    }
}

/// Why there is nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLender {
    /// The key may not call the model.
    #[error("the key may not call `{model}`")]
    NotAllowed {
        /// As it was named.
        model: String,
        /// The list that lacks it, as in [`NoRoute::NotAllowed`].
        by: usize,
    },
    /// The key may call certain models only, and what this call does is not known.
    #[error("the key may call certain models only, and the request names none")]
    Unnamed,
    /// None of those that would lend is where the end user's requests must stay.
    #[error("`{model}` has no deployment in `{}`", region.name())]
    OutOfRegion {
        /// As it was named; all of the provider's if none was.
        model: String,
        /// Where they must stay.
        region: Region,
    },
    /// No deployment of the provider is usable here.
    #[error("no deployment of the provider is usable here")]
    None,
}

impl From<NoRoute> for NoLender {
    fn from(none: NoRoute) -> Self {
        match none {
            NoRoute::NotAllowed { model, by } => Self::NotAllowed { model, by },
            NoRoute::OutOfRegion { model, region } => Self::OutOfRegion { model, region },
            NoRoute::Unknown { .. } => Self::None,
        }
    }
}

/// What a call says of models.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The ids of the providers whose API it is.
    pub providers: &'a [&'a str],
    /// The models it names: the first is the one that answers.
    pub models: &'a [&'a str],
    /// The model whose deployments are to lend, which says nothing of what the call does.
    pub chosen: Option<&'a str>,
    /// Whether it only reads, so that no model answers.
    pub reads: bool,
}

/// The deployments that may lend their credential: those of the model that is named, else those
/// that are set aside for it with `use_in_pass_through`, else all of the provider's.
///
/// # Errors
/// [`NoLender`].
pub fn lenders(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    asked: Asked<'_>,
) -> Result<Lenders, NoLender> {
    let restricted = access.as_ref().is_some_and(Access::is_restricted);
    if restricted && asked.models.is_empty() && !asked.reads {
        return Err(NoLender::Unnamed);
    }
    let mut chosen = None;
    for model in asked.chosen.iter().chain(asked.models) {
        let found = of_model(catalog, access, asked.providers, model);
        let is_away = |access| of_model(catalog, access, asked.providers, model).is_some();
        if found.is_none()
            && let Some(region) = bound_to(access, is_away)
        {
            return Err(NoLender::OutOfRegion { model: (*model).to_owned(), region });
        }
        if found.is_none() && restricted {
            let by = refuser(catalog, access, asked.providers, model);
            return Err(NoLender::NotAllowed { model: (*model).to_owned(), by });
        }
        chosen = chosen.or(found);
    }
    let lenders = chosen.or_else(|| any(catalog, access, asked.providers)).ok_or_else(|| {
        match bound_to(access, |access| any(catalog, access, asked.providers).is_some()) {
            Some(region) => NoLender::OutOfRegion { model: of_all(asked.providers[0]), region },
            None => NoLender::None,
        }
    })?;
    let mut served = of_models(catalog, access, asked);
    // Those who lend may be others than those of the models, and have a name for them too.
    let theirs = asked.models.iter().filter(|model| lenders.renamed.as_deref() != Some(**model));
    for model in theirs {
        let serves = |by: &&Arc<Deployment>| {
            is_called(by, model) || served::name_of(catalog, by, model).is_some()
        };
        let lending = lenders.group.deployments.iter().filter(serves);
        lending.for_each(|by| served::add(&mut served, catalog, by, model));
    }
    Ok(Lenders { served, ..lenders })
}

/// What serves a call that names these models, by whichever names.
#[must_use]
pub fn of_models(catalog: &Catalog, access: Option<Access<'_>>, asked: Asked<'_>) -> Served {
    let found: Vec<Option<Lenders>> = asked
        .models
        .iter()
        .map(|model| of_model(catalog, access, asked.providers, model))
        .collect();
    let first = found.iter().flatten().next().map(|lenders| Arc::clone(&lenders.group.name));
    let first = first.unwrap_or_else(|| asked.models.first().copied().unwrap_or_default().into());
    let mut served = Served::from(first);
    for (model, lenders) in asked.models.iter().zip(&found) {
        for by in lenders.iter().flat_map(|lenders| &lenders.group.deployments) {
            let is_ours = lenders.as_ref().is_some_and(|lenders| lenders.renamed.is_some());
            let called = if is_ours { served::called_by(by) } else { model };
            served::add(&mut served, catalog, by, called);
        }
    }
    let is_unclear = found.is_empty() || found.iter().any(Option::is_none);
    if is_unclear && !asked.reads {
        served.unclear = true;
        usable(catalog, access, asked.providers).for_each(|by| served.called(&by.group));
    }
    served
}

/// What serves a model that works in a conversation beside the one of `by`, such as one that writes
/// down what is heard. It is known by its provider's name.
///
/// # Errors
/// [`NoRoute`].
pub fn beside(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    by: &Deployment,
    model: &str,
) -> Result<Served, NoRoute> {
    let providers = [&*by.provider];
    let find = |access| theirs(catalog, access, &providers, model);
    if let Some(group) = find(access) {
        let mut served = Served::from(&group.name);
        group.deployments.iter().for_each(|by| served::add(&mut served, catalog, by, model));
        return Ok(served);
    }
    let model = model.to_owned();
    if let Some(region) = bound_to(access, |access| find(access).is_some()) {
        return Err(NoRoute::OutOfRegion { model, region });
    }
    if access.as_ref().is_some_and(Access::is_restricted) {
        let by = refuser(catalog, access, &providers, &model);
        return Err(NoRoute::NotAllowed { model, by });
    }
    let mut served = Served { unclear: true, ..Served::from(&*model) };
    usable(catalog, access, &providers).for_each(|by| served.called(&by.group));
    Ok(served)
}

/// The region that the caller is bound to, if somebody `is_away`: would lend to one who is bound to
/// none.
fn bound_to<'a>(
    access: Option<Access<'a>>,
    is_away: impl FnOnce(Option<Access<'a>>) -> bool,
) -> Option<Region> {
    let access = access?;
    let region = access.region?;
    is_away(Some(Access { region: None, ..access })).then_some(region)
}

/// What all models of a provider are called together.
fn of_all(provider: &str) -> String {
    format!("{provider}/*")
}

/// What a provider's own `model` costs by the deployments whose model it is: by those of `first` that
/// are so called, else by all of the providers'. An exact name says more than a star.
#[must_use]
pub fn prices<'c>(
    catalog: &'c Catalog,
    providers: &[&str],
    first: &'c [Arc<Deployment>],
    model: &str,
) -> Vec<&'c Pricing> {
    let groups = catalog.groups.values();
    let all = groups.flat_map(|group| &group.deployments);
    let all: Vec<_> = all.filter(|known| providers.contains(&&*known.provider)).collect();
    let first: Vec<_> = first.iter().collect();
    let exact = |known: &Deployment| is_called(known, model);
    let star = |known: &Deployment| wildcard::matches(&known.target.model, model);
    let of = |from: &[&'c Arc<Deployment>], fits: &dyn Fn(&Deployment) -> bool| -> Vec<_> {
        let fitting = from.iter().filter(|known| fits(known));
        fitting.map(|known| known.price_of(model)).collect()
    };
    let mut found = [&first, &all].into_iter().flat_map(|from| [of(from, &exact), of(from, &star)]);
    found.find(|prices| !prices.is_empty()).unwrap_or_default()
}

/// Whether that is the provider's name for a deployment's model, in any case: Azure's servers read
/// names so. Before Bedrock's there may be more, as in `converse/us.amazon.nova-pro-v1:0`, and behind
/// them the ARN of what is called.
pub(crate) fn is_called(known: &Deployment, model: &str) -> bool {
    let written = &*known.target.model;
    let is_tail =
        || written.rsplit_once('/').is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(model));
    let is_id = || known.target.model_id.as_deref() == Some(model);
    let is_bedrock = || known.provider.starts_with("bedrock");
    written.eq_ignore_ascii_case(model) || (is_bedrock() && (is_tail() || is_id()))
}

/// Whether `model` is a version of the one called `name`, or that itself: providers answer for
/// `gpt-4o` as `gpt-4o-2024-08-06`.
#[must_use]
pub fn is_version(model: &str, name: &str) -> bool {
    let Some(rest) = model.strip_prefix(name) else { return false };
    let Some(version) = rest.strip_prefix(['-', '@']) else { return rest.is_empty() };
    let first = version.split('-').next().unwrap_or_default();
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    first.len() >= FEWEST_DIGITS && version.bytes().all(is_number)
}

/// On whose list the model is not; 0 also where it may be called, but not there.
fn refuser(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    providers: &[&str],
    model: &str,
) -> usize {
    let known = of_model(catalog, None, providers, model);
    let name = known.as_ref().map_or(model, |lenders| &*lenders.group.name);
    match find(catalog, access, name) {
        Err(NoRoute::NotAllowed { by, .. }) => by,
        Err(NoRoute::Unknown { .. } | NoRoute::OutOfRegion { .. }) | Ok(_) => 0,
    }
}

fn of_model(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    providers: &[&str],
    model: &str,
) -> Option<Lenders> {
    let ours: Result<Cow<'_, Group>, NoRoute> = find(catalog, access, model);
    if let Ok(group) = ours {
        let fit = group.deployments.iter().filter(|known| is_usable(known, providers));
        let deployments: Vec<_> = fit.map(Arc::clone).collect();
        if !deployments.is_empty() {
            let group = Group { name: Arc::clone(&group.name), deployments };
            return Some(Lenders { renamed: Some(model.to_owned()), ..of_group(group) });
        }
    }
    theirs(catalog, access, providers, model).map(of_group)
}

/// Those whose model that is by its provider's name.
fn theirs(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    providers: &[&str],
    model: &str,
) -> Option<Group> {
    let theirs = usable(catalog, access, providers)
        .filter(|known| is_called(known, model) || wildcard::matches(&known.target.model, model));
    // An exact name says more than a star.
    let mut theirs: Vec<_> = theirs.map(Arc::clone).collect();
    if theirs.iter().any(|known| is_called(known, model)) {
        theirs.retain(|known| is_called(known, model));
    }
    let name = Arc::clone(&theirs.first()?.group);
    Some(Group { name, deployments: theirs })
}

fn of_group(group: Group) -> Lenders {
    let served = Served::from(&group.name);
    Lenders { group, renamed: None, served, any: false, elsewhere: Vec::new() }
}

/// Files and batches are where they were made: one account goes before the others.
fn any(catalog: &Catalog, access: Option<Access<'_>>, providers: &[&str]) -> Option<Lenders> {
    let usable: Vec<_> = usable(catalog, access, providers).map(Arc::clone).collect();
    let mut lending = usable.clone();
    lending.retain(|known| catalog.pass_through.contains(&known.id));
    if lending.is_empty() {
        lending = usable;
    }
    let mut accounts: Vec<Group> = Vec::new();
    for known in lending {
        match accounts.iter_mut().find(|account| is_beside(&account.deployments[0], &known)) {
            Some(account) => account.deployments.push(known),
            None => {
                let name = of_all(&known.provider).into();
                accounts.push(Group { name, deployments: vec![known] });
            }
        }
    }
    let mut accounts = accounts.into_iter();
    let group = accounts.next()?;
    Some(Lenders { any: true, elsewhere: accounts.collect(), ..of_group(group) })
}

fn usable<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'c>>,
    providers: &'c [&'c str],
) -> impl Iterator<Item = &'c Arc<Deployment>> {
    let groups = catalog.groups.values();
    let open = groups.filter(move |group| {
        access.is_none_or(|access| access.reaches(catalog, &group.name, &group.name))
    });
    let region = access.and_then(|access| access.region);
    let all = open.flat_map(|group| &group.deployments);
    all.filter(move |known| is_usable(known, providers))
        .filter(move |known| region.is_none_or(|region| known.region == Some(region)))
}

pub(crate) fn is_usable(deployment: &Deployment, providers: &[&str]) -> bool {
    deployment.parked.is_none() && providers.contains(&&*deployment.provider)
}

#[cfg(test)]
mod tests;
