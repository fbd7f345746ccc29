//! Who may call what, by which name, and what is tried after it.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_ledger::Pricing;

use dunlin_llm::Fallback;
use dunlin_types::DeploymentId;

use super::*;
use crate::catalog::Keepalive;

fn deployment(group: &str, upstream: &str) -> Arc<Deployment> {
    Arc::new(crate::tests::deployment(group, upstream))
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
    catalog.fallbacks = after(&[("chat", &["big", "last"]), ("*", &["last"])]);
    catalog
}

fn after(map: &[(&str, &[&str])]) -> FallbackMap {
    let list = |names: &[&str]| names.iter().map(|name| Fallback::to(name)).collect();
    map.iter().map(|(of, names)| ((*of).into(), list(names))).collect()
}

/// The groups that are given while each fails so, as one text.
fn walk(mut found: Candidates<'_>, by: FailedBy) -> String {
    let mut seen = Vec::new();
    while let Some(next) = found.next_group() {
        let changes = next.changes.as_deref().unwrap_or_default();
        seen.push(format!(
            "{}={}{changes}",
            next.group.name, next.group.deployments[0].target.model
        ));
        found.failed(&next.group.name, by);
    }
    seen.join(" ")
}

fn first<'c>(catalog: &'c Catalog, model: &str) -> Cow<'c, Group> {
    group(catalog, None, model).expect("known")
}

/// The groups for `model`, or the refusal, as one text.
fn route(models: &[&str], aliases: &[(&str, &str)], model: &str, wishes: &Extras) -> String {
    let catalog = catalog();
    let models: Vec<String> = models.iter().map(|name| (*name).to_owned()).collect();
    let aliases: BTreeMap<String, String> =
        aliases.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let access = Access::of(&models, &aliases);
    match candidates(&catalog, Some(access), model, wishes) {
        Ok(found) => walk(found, FailedBy::Other),
        Err(NoRoute::Unknown { patterns, .. }) => format!("unknown, patterns: {patterns}"),
        Err(NoRoute::NotAllowed { model, .. }) => format!("not allowed: {model}"),
        Err(NoRoute::OutOfRegion { model, .. }) => format!("elsewhere: {model}"),
    }
}

#[test]
fn names_lead_to_groups() {
    let to = |model| route(&[], &[], model, &Extras::ALONE);
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
    let to = |models: &[&str], model| route(models, &[("mine", "big")], model, &Extras::ALONE);
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
    let to = |models: &[&str], model, wishes: &Extras| route(models, &[], model, wishes);
    let named =
        |map: &[(&str, &[&str])]| Extras { fallbacks: Some(after(map)), ..Extras::default() };
    let all: &[&str] = &[];
    let configured = Extras::default();
    assert_eq!(to(all, "chat", &configured), "chat=m big=m2 last=m3");
    assert_eq!(to(&["chat"], "chat", &configured), "chat=m big=m2 last=m3", "no right needed");
    assert_eq!(to(all, "big", &configured), "big=m2 last=m3", "by the star");
    let any = named(&[("*", &["last", "chat", "nobody"])]);
    assert_eq!(to(all, "chat", &any), "chat=m last=m3", "none twice");
    assert_eq!(to(&["chat"], "chat", &any), "not allowed: last");
    assert_eq!(to(all, "gpt-4", &named(&[("gpt-4", &["big"])])), "chat=m big=m2", "by its alias");
    assert_eq!(to(all, "chat", &named(&[("other", &["big"])])), "chat=m", "none for this one");
    let few = Extras { max_fallbacks: Some(1), ..Extras::default() };
    assert_eq!(to(all, "chat", &few), "chat=m big=m2");
}

#[test]
fn the_fallbacks_of_what_was_asked_for_come_before_those_of_what_is_behind_it() {
    let mut catalog = catalog();
    catalog.fallbacks = after(&[
        ("chat", &["big"]),
        ("gpt-4", &["last"]),
        ("e/*", &["big"]),
        ("e/exact", &["last"]),
    ]);
    for (model, expected) in [
        ("chat", "chat=m big=m2"),
        ("gpt-4", "chat=m last=m3"),
        ("e/exact", "e/*=exact last=m3"),
        ("e/other", "e/*=other big=m2"),
    ] {
        let wishes = Extras::default();
        let found = candidates(&catalog, None, model, &wishes).expect(model);
        assert_eq!(walk(found, FailedBy::Other), expected, "{model}");
    }
}

#[test]
fn of_two_lists_the_keys_own_refuses_first_whatever_it_refuses() {
    let (catalog, aliases) = (catalog(), BTreeMap::new());
    let fallbacks = after(&[("*", &["big"])]);
    let wishes = Extras { fallbacks: Some(fallbacks), ..Extras::default() };
    let lists = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let refused = |model, own: &[&str], team: &[&str], member: &[&str]| {
        let (own, team, member) = (lists(own), lists(team), lists(member));
        let mut access = Access::of(&own, &aliases);
        (access.bounds[0], access.bounds[1]) = (&team, &member);
        match candidates(&catalog, Some(access), model, &wishes).map(drop) {
            Err(NoRoute::NotAllowed { model, by }) => (model, by),
            other => panic!("{other:?}"),
        }
    };
    let told = |model: &str, by| (model.to_owned(), by);
    assert_eq!(refused("chat", &["chat"], &["big"], &[]), told("big", 0), "before its team's");
    assert_eq!(refused("chat", &[], &["chat"], &["big"]), told("big", 1), "before its member's");
    assert_eq!(refused("chat", &["last"], &["last"], &[]), told("chat", 0), "the model first");
    assert_eq!(refused("chat", &["big"], &["chat"], &[]), told("chat", 0));
    assert_eq!(refused("nobody", &[], &["nobody"], &[]), told("big", 1), "before it is looked for");
}

#[test]
fn a_fallback_has_fallbacks_and_they_come_before_its_sibling() {
    let mut catalog = catalog();
    let all: [(&str, &[&str]); 3] =
        [("chat", &["big", "e/x"]), ("big", &["last", "chat"]), ("last", &["chat"])];
    catalog.fallbacks = after(&all);
    let wishes = Extras::default();
    let found = || candidates(&catalog, None, "chat", &wishes).expect("a route");
    assert_eq!(walk(found(), FailedBy::Other), "chat=m big=m2 last=m3 e/*=x");
    let mut one = found();
    one.next_group();
    assert!(one.has_fallbacks("chat") && !one.has_fallbacks("last"), "what was tried is none");
    let bound = Extras { max_fallbacks: Some(2), ..Extras::default() };
    let found = candidates(&catalog, None, "chat", &bound).expect("a route");
    assert_eq!(walk(found, FailedBy::Other), "chat=m big=m2 last=m3");
}

#[test]
fn a_guarded_fallback_needs_the_keys_right() {
    let mut catalog = catalog();
    catalog.guards_fallbacks = true;
    let (models, aliases) = (["chat", "last"].map(str::to_owned), BTreeMap::new());
    let access = Access::of(&models, &aliases);
    let wishes = Extras::default();
    let found = candidates(&catalog, Some(access), "chat", &wishes).expect("a route");
    assert_eq!(walk(found, FailedBy::Other), "chat=m last=m3");
}

#[test]
fn the_same_model_with_another_request_is_another_attempt() {
    let catalog = catalog();
    let changed = Fallback { model: "chat".into(), changes: Some("{n}".into()) };
    let list = vec![Fallback::to("chat"), changed.clone(), changed];
    let fallbacks = Some(FallbackMap::from([("*".into(), list)]));
    let wishes = Extras { fallbacks, ..Extras::default() };
    let found = candidates(&catalog, None, "chat", &wishes).expect("a route");
    assert_eq!(walk(found, FailedBy::Other), "chat=m chat=m{n}");
}

#[test]
fn lists_show_what_may_be_called() {
    let names = |models: &[&str]| {
        let models: Vec<String> = models.iter().map(|name| (*name).to_owned()).collect();
        let none = BTreeMap::new();
        let access = Access::of(&models, &none);
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
    assert_eq!(&*first(&catalog, "id-big").deployments[0].target.model, "m2");
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
    let price = |model| first(&catalog, model).deployments[0].price.clone();
    assert_eq!(price("s/known"), Pricing::Free);
    assert_eq!(price("s/other"), Pricing::Unpriced);
}

#[test]
fn a_clients_spelling_makes_no_new_backend() {
    let catalog = catalog();
    let backend = |model| first(&catalog, model).deployments[0].backend.clone();
    assert_eq!(backend("e/x1"), backend("e/x2"));
}

#[test]
fn a_long_or_filtered_prompt_has_fallbacks_of_its_own() {
    let mut catalog = catalog();
    catalog.fallbacks = after(&[("chat", &["last"])]);
    catalog.context_window_fallbacks = Some(after(&[("chat", &["big"]), ("big", &["e/x"])]));
    catalog.content_policy_fallbacks = Some(after(&[("other", &["big"])]));
    let walk = |wishes: &Extras, by| {
        walk(candidates(&catalog, None, "chat", wishes).expect("a route"), by)
    };
    let none = Extras::default();
    assert_eq!(walk(&none, FailedBy::ContextWindow), "chat=m big=m2 e/*=x");
    assert_eq!(walk(&none, FailedBy::ContentPolicy), "chat=m", "a map without an entry means none");
    assert_eq!(walk(&Extras::ALONE, FailedBy::ContextWindow), "chat=m");
    let fallbacks = Some(after(&[("*", &["last"])]));
    let mut wishes = Extras { fallbacks, ..Extras::default() };
    assert_eq!(walk(&wishes, FailedBy::ContentPolicy), "chat=m last=m3", "the client's word wins");
    wishes.content_policy_fallbacks = Some(after(&[("chat", &["big"])]));
    assert_eq!(walk(&wishes, FailedBy::ContentPolicy), "chat=m big=m2");
}

#[test]
fn a_stream_is_kept_alive_as_all_of_its_deployments_have_it() {
    let secs = |seconds: u64| Some(Duration::from_secs(seconds));
    let group = |all: &[(Option<Duration>, bool)]| {
        let deployments = all.iter().map(|&(every, client_may)| {
            let keepalive = Keepalive { every, client_may };
            Arc::new(Deployment { keepalive, ..Deployment::clone(&deployment("g", "m")) })
        });
        Group { name: "g".into(), deployments: deployments.collect() }
    };
    for (all, wish, every) in [
        (&[(None, false)][..], secs(5), None),
        (&[(None, true)], secs(5), secs(5)),
        (&[(secs(9), false)], secs(5), secs(9)),
        (&[(secs(9), true)], secs(5), secs(5)),
        (&[(secs(9), true)], secs(0), None),
        (&[(secs(0), true)], secs(5), None),
        (&[(secs(9), true), (secs(8), true)], secs(5), None),
        (&[(Some(Duration::from_millis(1)), false)], None, secs(1)),
        (&[(secs(9000), false)], None, secs(300)),
    ] {
        assert_eq!(group(all).keepalive(wish), every, "{all:?} {wish:?}");
    }
}

#[test]
fn whoever_a_key_belongs_to_bounds_it() {
    let mut catalog = catalog();
    catalog.access_groups.insert("big".into(), BTreeSet::from(["beta".into()]));
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    };
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let team_aliases = map(&[("ours", "big")]);
    for (key, aliases, team, user, model, allowed) in [
        (&[][..], map(&[]), &["chat"][..], &[][..], "chat", true),
        (&[], map(&[]), &["chat"], &[], "big", false),
        (&["big"], map(&[]), &["chat"], &[], "big", false),
        (&["all-team-models"], map(&[]), &["chat"], &[], "chat", true),
        (&["all-team-models"], map(&[]), &["chat"], &[], "big", false),
        (&[], map(&[]), &["chat", "big"], &["big"], "chat", false),
        (&[], map(&[]), &["chat"], &["no-default-models"], "chat", false),
        (&[], map(&[]), &["all-proxy-models"], &[], "big", true),
        // The team's names are its own; the key's do not get past the team's list.
        (&[], map(&[]), &["ours"], &[], "ours", true),
        (&["ours"], map(&[]), &["big"], &[], "ours", true),
        (&["chat"], map(&[("chat", "big")]), &["chat"], &[], "chat", false),
        (&["mine"], map(&[("mine", "ours")]), &["big"], &[], "mine", false),
        // Access groups stand for their models, on any list.
        (&["beta"], map(&[]), &[], &[], "big", true),
        (&["beta"], map(&[]), &[], &[], "chat", false),
        (&[], map(&[]), &["beta"], &[], "big", true),
        // No pattern means one.
        (&["be*"], map(&[]), &[], &[], "big", false),
        (&[], map(&[]), &["*eta"], &[], "big", false),
        (&["b*g"], map(&[]), &[], &[], "big", true),
    ] {
        let (key, team, user) = (list(key), list(team), list(user));
        let mut access = Access::of(&key, &aliases);
        access.team_aliases = Some(&team_aliases);
        access.bounds[0] = &team;
        access.bounds[1] = &user;
        let found = group(&catalog, Some(access), model).is_ok();
        assert_eq!(found, allowed, "{model} by {key:?} with {aliases:?} in {team:?} of {user:?}");
    }
}

#[test]
fn an_end_users_requests_stay_where_they_must() {
    let placed = |group: &str, regions: &[Option<Region>]| {
        let of = regions.iter().map(|region| {
            let upstream = region.map_or("anywhere", Region::name);
            Arc::new(Deployment {
                region: *region,
                ..Deployment::clone(&deployment(group, upstream))
            })
        });
        (Arc::from(group), Group { name: group.into(), deployments: of.collect() })
    };
    let catalog = Catalog {
        groups: [
            placed("both", &[None, Some(Region::Us), Some(Region::Eu)]),
            placed("unknown", &[None]),
        ]
        .into(),
        fallbacks: after(&[("both", &["unknown", "both"])]),
        ..Catalog::default()
    };
    let (none, aliases) = (Vec::new(), BTreeMap::new());
    let access = Access { region: Some(Region::Eu), ..Access::of(&none, &aliases) };
    let found = group(&catalog, Some(access), "both").expect("one is there");
    assert_eq!(found.deployments.iter().map(|of| &*of.target.model).collect::<Vec<_>>(), ["eu"]);
    assert_eq!(group(&catalog, None, "both").expect("all").deployments.len(), 3);
    let refused = NoRoute::OutOfRegion { model: "unknown".to_owned(), region: Region::Eu };
    assert_eq!(group(&catalog, Some(access), "unknown").err(), Some(refused));
    // Not even where the configuration leads after a failure.
    let wishes = Extras::default();
    let mut walk = candidates(&catalog, Some(access), "both", &wishes).expect("one is there");
    walk.next_group().expect("the first");
    walk.failed("both", FailedBy::Other);
    assert!(walk.next_group().is_none());
}

#[test]
fn a_teams_own_model_is_known_to_the_team_alone() {
    let own = |name: &str, id: &str| {
        let mut deployment = Deployment::clone(&deployment(name, "of-the-team"));
        deployment.id = DeploymentId(id.into());
        (Arc::from(name), Group { name: name.into(), deployments: vec![Arc::new(deployment)] })
    };
    let shared =
        |name: &str| Group { name: name.into(), deployments: vec![deployment(name, "all")] };
    let catalog = Catalog {
        groups: [("chat".into(), shared("chat")), ("other".into(), shared("other"))].into(),
        team_groups: [(
            "blue".into(),
            [own("chat", "own-chat"), own("secret", "own-secret")].into(),
        )]
        .into(),
        ..Catalog::default()
    };
    let (none, aliases) = (Vec::new(), BTreeMap::new());
    let of = |models: &'static [&'static str]| -> Vec<String> {
        models.iter().map(|model| (*model).to_owned()).collect()
    };
    let upstream = |access: Option<Access<'_>>, model: &str| {
        let found = group(&catalog, access, model).ok()?;
        Some(found.deployments[0].target.model.to_string())
    };
    let blue = |models| Access { team: Some("blue"), ..Access::of(models, &aliases) };
    let red = || Access { team: Some("red"), ..Access::of(&none, &aliases) };
    for (access, model, expected) in [
        (Some(blue(&none)), "chat", Some("of-the-team")),
        (Some(blue(&none)), "own-chat", Some("of-the-team")),
        (Some(blue(&none)), "other", Some("all")),
        (Some(blue(&none)), "secret", Some("of-the-team")),
        (Some(red()), "chat", Some("all")),
        (Some(red()), "secret", None),
        (Some(red()), "own-secret", None),
        (Some(Access::of(&none, &aliases)), "secret", None),
        (None, "secret", None),
        (None, "own-secret", Some("of-the-team")),
    ] {
        assert_eq!(upstream(access, model).as_deref(), expected, "{model} for {access:?}");
    }
    // The team's list bounds what is everybody's; the key's own bounds all, and so do others.
    let (chat, other) = (of(&["chat"]), of(&["other"]));
    let bound = |first, second| {
        let mut access = blue(&none);
        (access.bounds[0], access.bounds[1]) = (first, second);
        access
    };
    assert!(upstream(Some(bound(&other, &none)), "secret").is_some());
    assert!(upstream(Some(bound(&none, &other)), "secret").is_none());
    assert!(upstream(Some(blue(&chat)), "secret").is_none());
    let names = |access| listed(&catalog, access).join(" ");
    assert_eq!(names(Some(blue(&none))), "other chat secret");
    assert_eq!(names(Some(red())), "chat other");
    assert_eq!(names(Some(blue(&chat))), "chat");
    assert_eq!(catalog.deployments().count(), 4);
}
