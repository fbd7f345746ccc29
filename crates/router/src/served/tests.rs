//! What is served has one name on all paths.

use std::sync::Arc;

use super::*;
use crate::candidates::group;
use crate::relay::{Asked, of_models};

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (row, provider, upstream) in [
        ("big", "openai", "gpt-5"),
        ("fixed/*", "openai", "gpt-4o"),
        ("o/*", "openai", "*"),
        ("o/gpt-*", "openai", "gpt-*"),
        ("rock/*", "bedrock", "*"),
        ("two*-*", "openai", "*"),
        ("z/*", "azure", "dep-*"),
    ] {
        let mut by = crate::tests::deployment(row, upstream);
        by.provider = provider.into();
        let deployments = vec![Arc::new(by)];
        catalog.groups.insert(row.into(), Group { name: row.into(), deployments });
    }
    catalog
}

fn names(served: &Served) -> Vec<&str> {
    served.all().map(|name| &**name).collect()
}

#[test]
fn a_name_behind_a_pattern_is_that_of_what_is_sent() {
    let catalog = catalog();
    for (asked, expected, is_one) in [
        ("big", &["big"][..], false),
        ("o/x", &["o/*", "o/x"], true),
        ("o/o_series/x", &["o/*", "o/x"], false),
        ("o/gpt-x", &["o/gpt-*", "o/gpt-x"], true),
        ("rock/us.nova", &["rock/*", "rock/us.nova"], true),
        ("rock/converse/us.nova", &["rock/*", "rock/us.nova"], false),
        ("o/GPT-x", &["o/*", "o/GPT-x", "o/gpt-*"], true),
        ("fixed/x", &["fixed/*"], false),
        ("twoa-b", &["two*-*"], false),
    ] {
        let found = group(&catalog, None, asked).expect("somebody serves it");
        assert_eq!(names(&served(&catalog, &found)), expected, "{asked}");
        assert_eq!(is_served_as(&catalog, &found, asked), is_one, "{asked}");
    }
}

#[test]
fn a_call_below_a_prefix_is_served_by_the_same() {
    let catalog = catalog();
    let of = |provider, models: &[&str], reads| {
        let asked = Asked { providers: &[provider], models, chosen: None, reads };
        let served = of_models(&catalog, None, asked);
        (names(&served).join(" "), served.unclear)
    };
    for (provider, model, expected) in [
        ("openai", "gpt-5", "big"),
        ("openai", "GPT-5", "big"),
        ("openai", "o/x", "o/* o/x"),
        ("openai", "x", "o/* o/x two*-*"),
        ("openai", "GPT-x", "o/* o/GPT-x o/gpt-* o/gpt-x two*-*"),
        ("azure", "DEP-X", "z/* z/x"),
        ("bedrock", "us.nova", "rock/* rock/us.nova"),
    ] {
        assert_eq!(of(provider, &[model], false), (expected.to_owned(), false), "{model}");
    }
    assert_eq!(of("openai", &["gpt-5", "x"], false).0, "big o/* o/x two*-*", "both");
    let all_of_azures = "z/*";
    assert_eq!(of("azure", &[], false), (format!(" {all_of_azures}"), true), "it names none");
    assert_eq!(of("azure", &["own"], false), (format!("own {all_of_azures}"), true));
    assert_eq!(of("azure", &[], true), (String::new(), false), "no model is asked");
}
