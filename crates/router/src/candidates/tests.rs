//! Who may call what, by which name, and what is tried after it.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_ledger::Pricing;
use dunlin_types::DeploymentId;

use super::*;
use crate::catalog::{BackendId, Weight};

fn deployment(group: &str, upstream: &str) -> Arc<Deployment> {
    Arc::new(Deployment {
        id: DeploymentId(format!("id-{group}").into()),
        backend: BackendId::new("http://b/v1", upstream),
        group: group.into(),
        provider: "openai".into(),
        target: Target {
            api_base: "http://b/v1".into(),
            model: upstream.into(),
            ..Target::default()
        },
        weight: Weight::default(),
        order: 0,
        timeout: Duration::from_secs(1),
        stream_timeout: Duration::from_secs(1),
        num_retries: None,
        cooldown: None,
        price: Pricing::Free,
        prices: Arc::default(),
        about: Arc::default(),
        parked: None,
    })
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (name, upstream) in
        [("chat", "m"), ("big", "m2"), ("e/*", "*"), ("e/gpt*", "g*"), ("last", "m3")]
    {
        let group = Group { name: name.into(), deployments: vec![deployment(name, upstream)] };
        catalog.groups.insert(name.into(), group);
    }
    let alias = |group: &str, hidden| Alias { group: group.into(), hidden };
    catalog.aliases.insert("gpt-4".into(), alias("chat", false));
    catalog.aliases.insert("secret".into(), alias("big", true));
    catalog.fallbacks.insert("chat".into(), vec!["big".into(), "last".into()]);
    catalog.fallbacks.insert("*".into(), vec!["last".into()]);
    catalog
}

/// The groups for `model`, or the refusal, as one text.
fn route(models: &[&str], aliases: &[(&str, &str)], model: &str, fallbacks: Fallbacks) -> String {
    let catalog = catalog();
    let models: Vec<String> = models.iter().map(|name| (*name).to_owned()).collect();
    let aliases: BTreeMap<String, String> =
        aliases.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let access = Access { models: &models, aliases: &aliases };
    match candidates(&catalog, Some(access), model, fallbacks, 5) {
        Ok(found) => {
            let name = |group: &Cow<Group>| {
                format!("{}={}", group.name, group.deployments[0].target.model)
            };
            found.groups.iter().map(name).collect::<Vec<_>>().join(" ")
        }
        Err(NoRoute::Unknown { patterns, .. }) => format!("unknown, patterns: {patterns}"),
        Err(NoRoute::NotAllowed { model }) => format!("not allowed: {model}"),
    }
}

#[test]
fn names_lead_to_groups() {
    let to = |model| route(&[], &[], model, Fallbacks::Disabled);
    assert_eq!(to("chat"), "chat=m");
    assert_eq!(to("gpt-4"), "chat=m", "an alias");
    assert_eq!(to("secret"), "big=m2", "hidden works");
    assert_eq!(to("e/x"), "e/*=x", "a pattern");
    assert_eq!(to("e/gpt-5"), "e/gpt*=g-5", "the closer pattern");
    assert_eq!(to("id-big"), "big=m2", "a deployment's id");
    assert_eq!(to("nothing"), "unknown, patterns: true");
}

#[test]
fn a_key_calls_what_it_lists_by_any_name_for_it() {
    let to = |models: &[&str], model| route(models, &[("mine", "big")], model, Fallbacks::Disabled);
    assert_eq!(to(&["chat"], "gpt-4"), "chat=m", "the group is listed");
    assert_eq!(to(&["gpt-4"], "gpt-4"), "chat=m", "the alias is listed");
    assert_eq!(to(&["gpt-4"], "chat"), "not allowed: chat");
    assert_eq!(to(&["chat"], "id-big"), "not allowed: id-big", "an id is no way round");
    assert_eq!(to(&["chat"], "secret"), "not allowed: secret");
    assert_eq!(to(&["mine"], "mine"), "big=m2", "the key's own alias");
    assert_eq!(to(&["chat"], "mine"), "not allowed: mine");
    assert_eq!(to(&["e/*"], "e/x"), "e/*=x");
    assert_eq!(to(&["no-default-models"], "chat"), "not allowed: chat");
    assert_eq!(to(&["all-proxy-models"], "chat"), "chat=m");
    assert_eq!(to(&["chat"], "nothing"), "not allowed: nothing", "and learns nothing");
}

#[test]
fn fallbacks_follow_in_order() {
    let to = |models: &[&str], model, fallbacks| route(models, &[], model, fallbacks);
    let all: &[&str] = &[];
    let named = ["last".to_owned(), "chat".to_owned()];
    let refused = ["big".to_owned()];
    assert_eq!(to(all, "chat", Fallbacks::Configured), "chat=m big=m2 last=m3");
    assert_eq!(to(&["chat"], "chat", Fallbacks::Configured), "chat=m big=m2 last=m3");
    assert_eq!(to(all, "big", Fallbacks::Configured), "big=m2 last=m3", "by the star");
    assert_eq!(to(all, "chat", Fallbacks::Named(&named)), "chat=m last=m3", "none twice");
    assert_eq!(to(&["chat"], "chat", Fallbacks::Named(&refused)), "not allowed: big");
    let catalog = catalog();
    let bounded = candidates(&catalog, None, "chat", Fallbacks::Configured, 1).expect("known");
    assert_eq!(bounded.groups.len(), 2);
}

#[test]
fn lists_show_what_may_be_called() {
    let names = |models: &[&str]| {
        let models: Vec<String> = models.iter().map(|name| (*name).to_owned()).collect();
        let access = Access { models: &models, aliases: &BTreeMap::new() };
        listed(&catalog(), Some(access)).join(" ")
    };
    assert_eq!(names(&[]), "big chat last gpt-4");
    assert_eq!(names(&["chat"]), "chat gpt-4");
    assert_eq!(names(&["no-default-models"]), "");
    let mut twice = catalog();
    twice.aliases.insert("big".into(), Alias { group: "chat".into(), hidden: false });
    assert_eq!(listed(&twice, None).join(" "), "big chat last gpt-4", "each name once");
}

#[test]
fn an_id_pins_its_deployment_beside_a_star() {
    let mut catalog = catalog();
    let star = Group { name: "*".into(), deployments: vec![deployment("*", "*")] };
    catalog.groups.insert("*".into(), star);
    let found = candidates(&catalog, None, "id-big", Fallbacks::Disabled, 5).expect("known");
    assert_eq!(&*found.groups[0].deployments[0].target.model, "m2");
}

#[test]
fn a_star_costs_what_its_model_costs() {
    let mut catalog = catalog();
    let star = Deployment {
        price: Pricing::Unpriced,
        prices: Arc::new(BTreeMap::from([("known".into(), Pricing::Free)])),
        ..Deployment::clone(&deployment("s/*", "*"))
    };
    let group = Group { name: "s/*".into(), deployments: vec![Arc::new(star)] };
    catalog.groups.insert("s/*".into(), group);
    let price = |model| {
        let found = candidates(&catalog, None, model, Fallbacks::Disabled, 5).expect("known");
        found.groups[0].deployments[0].price.clone()
    };
    assert_eq!(price("s/known"), Pricing::Free);
    assert_eq!(price("s/other"), Pricing::Unpriced);
}

#[test]
fn a_clients_spelling_makes_no_new_backend() {
    let catalog = catalog();
    let backend = |model| {
        let found = candidates(&catalog, None, model, Fallbacks::Disabled, 5).expect("known");
        found.groups[0].deployments[0].backend.clone()
    };
    assert_eq!(backend("e/x1"), backend("e/x2"));
}

#[test]
fn a_named_fallback_that_is_not_there_does_not_refuse_the_model() {
    let catalog = catalog();
    let named = ["nobody".to_owned()];
    assert!(candidates(&catalog, None, "chat", Fallbacks::Named(&named), 5).is_ok());
}

#[test]
fn a_long_or_filtered_prompt_has_fallbacks_of_its_own() {
    let mut catalog = catalog();
    let map = |of: &str, to: &str| Some([(of.into(), vec![to.into()])].into());
    catalog.fallbacks.insert("chat".into(), vec!["last".into()]);
    catalog.context_window_fallbacks = map("chat", "big");
    catalog.content_policy_fallbacks = map("other", "big");
    let names = |groups: &Option<Vec<Cow<'_, Group>>>| {
        groups.as_ref().map(|groups| groups.iter().map(|g| g.name.to_string()).collect::<Vec<_>>())
    };
    let found = candidates(&catalog, None, "chat", Fallbacks::Configured, 5).expect("a route");
    assert_eq!(names(&found.context_window), Some(vec!["big".to_owned()]));
    assert_eq!(names(&found.content_policy), Some(vec![]), "a map without an entry means none");
    let found = candidates(&catalog, None, "chat", Fallbacks::Disabled, 5).expect("a route");
    assert_eq!((found.context_window.is_none(), found.groups.len()), (true, 1));
}
