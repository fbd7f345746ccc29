//! Routes by name, as data: one catalog, a line per request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_ledger::Price;
use dunlin_types::DeploymentId;

use super::{FallbackChoice, NoRoute, candidates, listed};
use crate::{Access, Alias, BackendId, Catalog, Deployment, Group, Weight};

const CONFIGURED: FallbackChoice<'_> = FallbackChoice { named: None, disabled: false, max: None };

fn deployment(group: &str, id: &str, upstream: &str) -> Arc<Deployment> {
    Arc::new(Deployment {
        id: DeploymentId(id.into()),
        backend: BackendId::new("http://b", upstream),
        group: group.into(),
        provider: "openai".into(),
        upstream_model: upstream.into(),
        api_base: "http://b".into(),
        api_key: None,
        headers: Vec::new(),
        body_defaults: Vec::new(),
        weight: Weight::default(),
        order: 0,
        timeout: Duration::from_secs(1),
        stream_timeout: Duration::from_secs(1),
        num_retries: None,
        cooldown: None,
        price: Price::default(),
        parked: None,
    })
}

fn catalog() -> Catalog {
    let groups = [
        ("big", &["id-big-1", "id-big-2"][..], "up-big"),
        ("small", &["id-small"], "up-small"),
        ("vendor/tiny", &["id-tiny"], "up-tiny"),
        ("e/*", &["id-e"], "*"),
        ("e/fast-*", &["id-e-fast"], "quick-*"),
    ];
    let groups = groups.map(|(name, ids, upstream)| {
        let deployments = ids.iter().map(|id| deployment(name, id, upstream)).collect();
        (Arc::from(name), Group { name: name.into(), deployments })
    });
    let alias = |group: &str, hidden| Alias { group: group.into(), hidden };
    Catalog {
        groups: groups.into(),
        aliases: [("gpt", alias("big", false)), ("secret", alias("small", true))]
            .map(|(name, alias)| (Arc::from(name), alias))
            .into(),
        fallbacks: [
            ("big", vec!["small", "big", "nobody"]),
            ("small", vec!["e/x"]),
            ("tiny", vec!["big"]),
        ]
        .map(|(name, list)| (Arc::from(name), list.into_iter().map(Arc::from).collect()))
        .into(),
        ..Catalog::default()
    }
}

fn route(access: Option<Access<'_>>, model: &str, asked: FallbackChoice<'_>) -> String {
    match candidates(&catalog(), access, model, asked) {
        Ok(groups) => {
            let shown = groups.iter().map(|group| {
                let to = &group.deployments[0];
                format!("{}={}x{}", group.name, to.upstream_model, group.deployments.len())
            });
            shown.collect::<Vec<_>>().join(" ")
        }
        Err(NoRoute::UnknownModel { model, wildcards }) => format!("unknown {model} {wildcards}"),
        Err(NoRoute::NotAllowed { model }) => format!("refused {model}"),
    }
}

#[test]
fn a_name_leads_to_its_group_and_then_to_its_fallbacks() {
    let cases = [
        ("big", "big=up-bigx2 small=up-smallx1 e/x=xx1"),
        ("gpt", "big=up-bigx2 small=up-smallx1 e/x=xx1"),
        ("secret", "small=up-smallx1 e/x=xx1"),
        ("vendor/tiny", "vendor/tiny=up-tinyx1 big=up-bigx2 small=up-smallx1 e/x=xx1"),
        ("id-big-2", "big=up-bigx1 small=up-smallx1 e/x=xx1 big=up-bigx2"),
        ("e/gpt-4o", "e/gpt-4o=gpt-4ox1"),
        ("e/fast-1", "e/fast-1=quick-1x1"),
        ("e/*", "e/*=*x1"),
        ("other", "unknown other true"),
    ];
    for (model, expected) in cases {
        assert_eq!(route(None, model, CONFIGURED), expected, "{model}");
    }
}

#[test]
fn the_request_decides_about_its_fallbacks() {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (tiny, unknown) = (named(&["id-tiny", "gpt"]), named(&["nobody", "small"]));
    let cases = [
        (FallbackChoice { disabled: true, ..CONFIGURED }, "big=up-bigx2"),
        (FallbackChoice { max: Some(0), ..CONFIGURED }, "big=up-bigx2"),
        (FallbackChoice { max: Some(1), ..CONFIGURED }, "big=up-bigx2 small=up-smallx1"),
        (FallbackChoice { named: Some(&tiny), ..CONFIGURED }, "big=up-bigx2 vendor/tiny=up-tinyx1"),
        (FallbackChoice { named: Some(&unknown), ..CONFIGURED }, "big=up-bigx2 small=up-smallx1"),
    ];
    for (asked, expected) in cases {
        assert_eq!(route(None, "big", asked), expected, "{asked:?}");
    }
}

#[test]
fn a_key_calls_what_it_may_and_nothing_else() {
    let aliases = BTreeMap::from([("mine".to_owned(), "gpt".to_owned())]);
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "mine", "big=up-bigx2 small=up-smallx1 e/x=xx1"),
        (&["big"], "big", "big=up-bigx2 small=up-smallx1 e/x=xx1"),
        (&["big"], "gpt", "big=up-bigx2 small=up-smallx1 e/x=xx1"),
        (&["big"], "mine", "big=up-bigx2 small=up-smallx1 e/x=xx1"),
        (&["big"], "id-big-1", "big=up-bigx1 small=up-smallx1 e/x=xx1 big=up-bigx2"),
        (&["big"], "small", "refused small"),
        (&["big"], "id-small", "refused id-small"),
        (&["big"], "other", "refused other"),
        (&["e/*"], "e/x", "e/x=xx1"),
        (&["e/fast-*"], "e/x", "refused e/x"),
        (&["all-proxy-models"], "e/x", "e/x=xx1"),
        (&["no-default-models"], "big", "refused big"),
        (&["all-team-models"], "big", "refused big"),
    ];
    for (models, model, expected) in cases {
        let models: Vec<String> = models.iter().map(|name| (*name).to_owned()).collect();
        let access = Access { models: &models, aliases: &aliases };
        assert_eq!(route(Some(access), model, CONFIGURED), *expected, "{models:?} {model}");
    }
}

#[test]
fn a_fallback_that_the_client_names_must_be_allowed_too() {
    let (models, aliases) = (vec!["big".to_owned()], BTreeMap::new());
    let access = Access { models: &models, aliases: &aliases };
    let named = vec!["small".to_owned()];
    let asked = FallbackChoice { named: Some(&named), ..CONFIGURED };
    assert_eq!(route(Some(access), "big", asked), "refused small");
}

#[test]
fn a_list_shows_what_can_be_called() {
    let catalog = catalog();
    let all = ["big", "e/*", "e/fast-*", "gpt", "small", "vendor/tiny"].map(Arc::from);
    assert_eq!(listed(&catalog, None), all);
    let (models, aliases) = (vec!["big".to_owned(), "v*".to_owned()], BTreeMap::new());
    let access = Access { models: &models, aliases: &aliases };
    assert_eq!(listed(&catalog, Some(access)), ["big", "gpt", "vendor/tiny"].map(Arc::from));
}
