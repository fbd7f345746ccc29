//! The models that tools of a provider's ask for a request, by the provider's names for them: whether
//! its caller may have them asked, and what serves them. They run where the request's own model does.

use std::sync::Arc;

use dunlin_types::Served;

use crate::access::Access;
use crate::candidates::{NoRoute, find};
use crate::catalog::{Catalog, Deployment};
use crate::relay::{is_called, is_usable};
use crate::served;
use crate::wildcard;

/// Takes them into what serves the request: what holds for them holds for it.
///
/// # Errors
/// [`NoRoute::NotAllowed`].
pub fn take_in<'m>(
    catalog: &Catalog,
    access: Option<Access<'_>>,
    providers: &[&str],
    models: impl Iterator<Item = &'m str>,
    served: &mut Served,
) -> Result<(), NoRoute> {
    for model in models {
        let known = known(catalog, providers, model);
        let is_open =
            |by: &Deployment| access.is_none_or(|access| reaches(catalog, access, by, model));
        let open: Vec<_> = known.iter().filter(|by| is_open(by)).collect();
        open.iter().for_each(|by| served::add(served, catalog, by, model));
        if known.is_empty() {
            served.called(model);
        }
        let may = || access.is_none_or(|access| is_listed(catalog, access, model, &known));
        if open.is_empty() && !may() {
            let by = match find(catalog, access, model) {
                Err(NoRoute::NotAllowed { by, .. }) => by,
                Err(NoRoute::Unknown { .. } | NoRoute::OutOfRegion { .. }) | Ok(_) => 0,
            };
            return Err(NoRoute::NotAllowed { model: model.to_owned(), by });
        }
    }
    Ok(())
}

/// Those whose model it is. An exact name says more than a star.
fn known<'c>(catalog: &'c Catalog, providers: &[&str], model: &str) -> Vec<&'c Arc<Deployment>> {
    let all = || {
        let all = catalog.groups.values().flat_map(|group| &group.deployments);
        all.filter(|known| is_usable(known, providers))
    };
    let exact: Vec<_> = all().filter(|known| is_called(known, model)).collect();
    if exact.is_empty() {
        return all().filter(|known| wildcard::matches(&known.target.model, model)).collect();
    }
    exact
}

fn reaches(catalog: &Catalog, access: Access<'_>, by: &Deployment, model: &str) -> bool {
    let is_named = |name: String| access.reaches(catalog, &by.group, &name);
    access.reaches(catalog, &by.group, &by.group)
        || served::name_of(catalog, by, model).is_some_and(is_named)
}

/// Whether a model that nobody here serves is on the caller's lists by its provider's name, which is
/// no other's here.
fn is_listed(
    catalog: &Catalog,
    access: Access<'_>,
    model: &str,
    known: &[&Arc<Deployment>],
) -> bool {
    let is_ours = catalog.groups.contains_key(model) || catalog.aliases.contains_key(model);
    !access.is_restricted() || (known.is_empty() && !is_ours && access.allows(&[model]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalog::Group;

    #[test]
    fn a_key_has_the_models_asked_that_it_may_call() {
        let mut catalog = Catalog::default();
        for (row, upstream) in
            [("big", "gpt-5"), ("draw", "gpt-image-1"), ("opus", "sonnet"), ("w/*", "w-*")]
        {
            let by = crate::tests::deployment(row, upstream);
            let by = Arc::new(Deployment { provider: "openai".into(), ..by });
            let group = Group { name: row.into(), deployments: vec![by] };
            catalog.groups.insert(row.into(), group);
        }
        let aliases = BTreeMap::new();
        for (allowed, model, expected) in [
            (&[][..], "gpt-image-1", "big draw"),
            (&[], "unheard-of", "big unheard-of"),
            (&["big"], "gpt-image-1", "not gpt-image-1"),
            (&["big", "draw"], "gpt-image-1", "big draw"),
            // By our name for it nobody would be asked upstream.
            (&["big", "draw"], "draw", "not draw"),
            (&["big", "gpt-image-2"], "gpt-image-2", "big gpt-image-2"),
            // That is the name of another model here.
            (&["big", "opus"], "opus", "not opus"),
            (&["w/a"], "w-a", "big w/* w/a"),
            (&["w/b"], "w-a", "not w-a"),
        ] {
            let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
            let mut served = Served::from("big");
            let access = Some(Access::of(&allowed, &aliases));
            let models = [model].into_iter();
            let told = match take_in(&catalog, access, &["openai"], models, &mut served) {
                Ok(()) => served.all().map(|name| &**name).collect::<Vec<_>>().join(" "),
                Err(NoRoute::NotAllowed { model, .. }) => format!("not {model}"),
                Err(other) => other.to_string(),
            };
            assert_eq!(told, expected, "{allowed:?} {model}");
        }
    }
}
