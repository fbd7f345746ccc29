//! Who lends its credential, and to whom.

use std::collections::BTreeMap;

use dunlin_ledger::Pricing;
use dunlin_types::DeploymentId;

use super::*;
use crate::catalog::Alias;

fn deployment(group: &str, provider: &str, upstream: &str, parked: bool) -> Arc<Deployment> {
    Arc::new(Deployment {
        provider: provider.into(),
        parked: parked.then(|| "no key".into()),
        ..crate::tests::deployment(group, upstream)
    })
}

fn catalog(set_aside: Option<&str>) -> Catalog {
    let mut catalog = Catalog::default();
    for (name, provider, upstream, parked) in [
        ("a-parked", "openai", "gpt-0", true),
        ("big", "openai", "gpt-5", false),
        ("claude", "anthropic", "claude-4", false),
        ("small", "openai", "gpt-5-nano", false),
        ("wild/*", "openai", "*", false),
    ] {
        let deployments = vec![deployment(name, provider, upstream, parked)];
        catalog.groups.insert(name.into(), Group { name: name.into(), deployments });
    }
    catalog.aliases.insert("large".into(), Alias { group: "big".into(), hidden: false });
    catalog.pass_through.extend(set_aside.map(|id| DeploymentId(id.into())));
    catalog
}

/// Who lends to whom, as `group` or `group=upstream` if the name is ours; else why nobody does.
fn lent(set_aside: Option<&str>, allowed: &[&str], models: &[&str], reads: bool) -> String {
    let catalog = catalog(set_aside);
    let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    let aliases = BTreeMap::from([("mine".to_owned(), "small".to_owned())]);
    let access = Access::of(&allowed, &aliases);
    let asked = Asked { providers: &["openai"], models, chosen: None, reads };
    match lenders(&catalog, Some(access), asked) {
        Ok(Lenders { group, renamed: Some(_), .. }) => {
            format!("{}={}", group.name, group.deployments[0].target.model)
        }
        Ok(Lenders { group, renamed: None, .. }) => group.name.to_string(),
        Err(NoLender::NotAllowed { model, .. }) => format!("not {model}"),
        Err(NoLender::OutOfRegion { model, .. }) => format!("away {model}"),
        Err(NoLender::Unnamed) => "unnamed".to_owned(),
        Err(NoLender::None) => "none".to_owned(),
    }
}

#[test]
fn a_model_of_bedrocks_is_known_by_its_id_whatever_stands_before_it() {
    let bedrock = |upstream: &str| deployment("nova", "bedrock", upstream, false);
    for written in ["nova-v1:0", "converse/nova-v1:0", "us-east-1/nova-v1:0"] {
        assert!(is_called(&bedrock(written), "nova-v1:0"), "{written}");
    }
    assert!(!is_called(&bedrock("converse/super-nova-v1:0"), "nova-v1:0"));
    assert!(!is_called(&deployment("m", "openai", "org/m", false), "m"), "a part of its name");
}

#[test]
fn a_model_beside_another_is_known_by_its_providers_name_and_must_be_allowed() {
    let catalog = catalog(None);
    let by = &catalog.groups["big"].deployments[0];
    let called = |allowed: &[&str], model: &str| {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let aliases = BTreeMap::new();
        match beside(&catalog, Some(Access::of(&allowed, &aliases)), by, model) {
            Ok(served) => served.all().map(|name| name.to_string()).collect::<Vec<_>>().join(" "),
            Err(refused) => refused.to_string(),
        }
    };
    for (allowed, model, expected) in [
        (&[][..], "gpt-5-nano", "small"),
        (&["small"], "GPT-5-nano", "small"),
        (&["big"], "gpt-5-nano", "the key may not call `gpt-5-nano`"),
        // A name of ours is none that the provider knows.
        (&["small"], "small", "the key may not call `small`"),
        (&[], "whisper-1", "wild/* wild/whisper-1"),
        (&["big"], "whisper-1", "the key may not call `whisper-1`"),
    ] {
        assert_eq!(called(allowed, model), expected, "{allowed:?} {model}");
    }
}

#[test]
fn a_model_is_known_by_our_name_and_by_the_providers() {
    let cases: &[(&[&str], &str)] = &[
        (&["small"], "small=gpt-5-nano"),
        (&["large"], "big=gpt-5"),
        (&["mine"], "small=gpt-5-nano"),
        (&["gpt-5-nano"], "small"),
        (&["wild/gpt-4"], "wild/*=gpt-4"),
        (&["gpt-4"], "wild/*"),
        (&["small", "gpt-5"], "small=gpt-5-nano"),
        // Another provider's model is none of this one's names.
        (&["claude"], "wild/*"),
        (&[], "openai/*"),
    ];
    for (models, expected) in cases {
        assert_eq!(lent(None, &[], models, false), *expected, "{models:?}");
    }
    assert_eq!(lent(Some("id-small"), &[], &[], false), "openai/*");
    assert_eq!(lent(Some("id-small"), &[], &["big"], false), "big=gpt-5");
}

#[test]
fn a_restricted_key_reaches_its_own_models_and_no_others() {
    let cases: &[(&[&str], &[&str], bool, &str)] = &[
        (&["small"], &["small"], false, "small=gpt-5-nano"),
        (&["small"], &["gpt-5-nano"], false, "small"),
        (&["small"], &["mine"], false, "small=gpt-5-nano"),
        (&["small"], &["big"], false, "not big"),
        (&["small"], &["gpt-5"], false, "not gpt-5"),
        (&["small"], &["gpt-4"], false, "not gpt-4"),
        (&["small"], &["small", "gpt-5"], false, "not gpt-5"),
        (&["small"], &["gpt-5", "small"], false, "not gpt-5"),
        (&["small"], &[], false, "unnamed"),
        (&["small"], &[], true, "openai/*"),
        (&["wild/*"], &["gpt-4"], false, "wild/*"),
        (&["claude"], &[], true, "none"),
        (&["no-default-models"], &["small"], false, "not small"),
        (&["all-proxy-models"], &[], false, "openai/*"),
    ];
    for (allowed, models, reads, expected) in cases {
        let told = lent(None, allowed, models, *reads);
        assert_eq!(told, *expected, "{allowed:?} {models:?}");
    }
}

#[test]
fn where_no_model_is_named_all_that_may_lend_do_account_by_account() {
    let mut catalog = catalog(None);
    let other = deployment("another", "openai", "gpt-5", false);
    let mut elsewhere = Deployment::clone(&other);
    elsewhere.target.api_base = "http://elsewhere/v1".into();
    let group = Group { name: "another".into(), deployments: vec![Arc::new(elsewhere), other] };
    catalog.groups.insert("another".into(), group);
    let accounts = |catalog: &Catalog, allowed: &[&str], models: &[&str]| {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let aliases = BTreeMap::new();
        let access = Some(Access::of(&allowed, &aliases));
        let asked = Asked { providers: &["openai"], models, chosen: None, reads: true };
        let found = lenders(catalog, access, asked).expect("somebody lends");
        let all = iter::once(&found.group).chain(&found.elsewhere);
        let names = |group: &Group| -> String {
            let names: Vec<_> = group.deployments.iter().map(|known| &*known.group).collect();
            names.join(" ")
        };
        (found.any, all.map(names).collect::<Vec<_>>())
    };
    let all = ["another".to_owned(), "another big small wild/*".to_owned()];
    assert_eq!(accounts(&catalog, &[], &[]), (true, all.to_vec()));
    let own = ["small wild/*".to_owned()];
    assert_eq!(accounts(&catalog, &["small", "wild/*"], &[]), (true, own.to_vec()));
    assert_eq!(accounts(&catalog, &[], &["small"]), (false, vec!["small".to_owned()]));
    catalog.pass_through.insert(DeploymentId("id-big".into()));
    assert_eq!(accounts(&catalog, &[], &[]), (true, vec!["big".to_owned()]));

    catalog.pass_through.clear();
    let asked = Asked { providers: &["openai"], models: &[], chosen: None, reads: true };
    let found = lenders(&catalog, None, asked).expect("somebody lends");
    let ready = found.clone().ranked(|group| group.deployments.len() < 2);
    assert_eq!(ready.group.deployments.len(), 4, "the account that ranks lowest");
    assert_eq!(found.ranked(|_| 0).group.deployments.len(), 1, "of equals the first");
}

#[test]
fn choosing_a_lender_says_nothing_of_what_is_called() {
    let catalog = catalog(None);
    let allowed = ["small".to_owned()];
    let aliases = BTreeMap::new();
    let lent = |chosen: &str, models: &[&str]| {
        let access = Access::of(&allowed, &aliases);
        let asked = Asked { providers: &["openai"], models, chosen: Some(chosen), reads: false };
        lenders(&catalog, Some(access), asked).map(|lenders| lenders.group.name.to_string())
    };
    assert_eq!(lent("small", &["gpt-5-nano"]).as_deref(), Ok("small"));
    assert_eq!(lent("small", &[]), Err(NoLender::Unnamed));
    let refused = |model: &str| Err(NoLender::NotAllowed { model: model.to_owned(), by: 0 });
    assert_eq!(lent("small", &["gpt-5"]), refused("gpt-5"));
    assert_eq!(lent("big", &["gpt-5-nano"]), refused("big"));
}

#[test]
fn whose_list_lacks_the_model_is_told() {
    let catalog = catalog(None);
    let (key, team) = (["small".to_owned(), "big".to_owned()], ["small".to_owned()]);
    let aliases = BTreeMap::new();
    let mut access = Access::of(&key, &aliases);
    access.bounds[0] = &team;
    for (models, by) in [(&["gpt-5"][..], Some(1)), (&["claude"], Some(0)), (&["small"], None)] {
        let asked = Asked { providers: &["openai"], models, chosen: None, reads: false };
        let refused = lenders(&catalog, Some(access), asked).err();
        let refused = refused.map(|none| match none {
            NoLender::NotAllowed { by, .. } => by,
            NoLender::OutOfRegion { .. } | NoLender::Unnamed | NoLender::None => {
                panic!("{models:?}: {none}")
            }
        });
        assert_eq!(refused, by, "{models:?}");
    }
}

/// The name would go to the provider untranslated, unpriced, and out of the model's own bounds.
#[test]
fn who_is_bound_to_a_region_is_lent_nothing_for_a_model_that_is_elsewhere() {
    let mut catalog = catalog(None);
    let here = catalog.groups.get_mut("small").expect("it is there");
    Arc::make_mut(&mut here.deployments[0]).region = Some(Region::Eu);
    let (models, aliases) = (Vec::new(), BTreeMap::new());
    let access = Access { region: Some(Region::Eu), ..Access::of(&models, &aliases) };
    let lent = |provider, models| {
        let asked = Asked { providers: &[provider], models, chosen: None, reads: false };
        lenders(&catalog, Some(access), asked).map(|lenders| lenders.group.name.to_string())
    };
    let away =
        |model: &str| Err(NoLender::OutOfRegion { model: model.to_owned(), region: Region::Eu });
    assert_eq!(lent("openai", &["small"]), Ok("small".to_owned()));
    assert_eq!(lent("openai", &["big"]), away("big"));
    assert_eq!(lent("openai", &["gpt-5"]), away("gpt-5"));
    assert_eq!(lent("anthropic", &[]), away("anthropic/*"));
    assert_eq!(lent("cohere", &[]), Err(NoLender::None));
}

#[test]
fn a_model_is_charged_by_its_own_deployment() {
    let mut catalog = catalog(None);
    let wild = catalog.groups.get_mut("wild/*").expect("it is there");
    let star = &mut wild.deployments[0];
    let own = BTreeMap::from([("gpt-4".into(), Pricing::Unpriced)]);
    *star = Arc::new(Deployment { prices: Arc::new(own), ..Deployment::clone(star) });
    let priced =
        |provider, model| prices(&catalog, &[provider], &[], model).first().copied().cloned();
    assert_eq!(priced("openai", "gpt-5-nano"), Some(Pricing::Free));
    assert_eq!(priced("openai", "gpt-4"), Some(Pricing::Unpriced));
    assert_eq!(priced("openai", "gpt-4o"), Some(Pricing::Free));
    assert_eq!(priced("anthropic", "claude-4"), Some(Pricing::Free));
    assert_eq!(priced("anthropic", "gpt-5-nano"), None);
}

#[test]
fn who_serves_a_model_says_what_it_costs() {
    let mut catalog = catalog(None);
    let unpriced = |group, upstream| {
        let by = Deployment::clone(&deployment(group, "openai", upstream, false));
        Arc::new(Deployment { price: Pricing::Unpriced, ..by })
    };
    let (exact, star) = (unpriced("second", "gpt-5"), unpriced("stars", "gpt-*"));
    for one in [&exact, &star] {
        let group = Group { name: one.group.clone(), deployments: vec![one.clone()] };
        catalog.groups.insert(Arc::clone(&one.group), group);
    }
    let (free, unpriced) = (&Pricing::Free, &Pricing::Unpriced);
    let big = Arc::clone(&catalog.groups["big"].deployments[0]);
    for (first, model, expected) in [
        (vec![exact.clone()], "gpt-5", vec![unpriced]),
        (vec![star.clone()], "gpt-5", vec![unpriced]),
        (vec![big.clone()], "gpt-5", vec![free]),
        (vec![big, exact.clone()], "gpt-5", vec![free, unpriced]),
        (vec![exact], "gpt-5-nano", vec![free]),
        (vec![], "gpt-5", vec![free, unpriced]),
    ] {
        assert_eq!(prices(&catalog, &["openai"], &first, model), expected, "{first:?} {model}");
    }
}

#[test]
fn a_version_of_a_model_is_told_from_another_model() {
    let cases = [
        ("gpt-4o", "gpt-4o", true),
        ("gpt-4o-2024-08-06", "gpt-4o", true),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", true),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5", true),
        ("gemini-2.0-flash-001", "gemini-2.0-flash", true),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4", false),
        ("gpt-4o-mini-2024-07-18", "gpt-4o", false),
        ("gpt-4o", "gpt-4o-mini", false),
        ("gpt-4o-", "gpt-4o", false),
    ];
    for (model, name, expected) in cases {
        assert_eq!(is_version(model, name), expected, "{model} of {name}");
    }
}
