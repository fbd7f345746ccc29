//! What users are told of the routes is so.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/management.md");

/// The routes that a part of the page names: `METHOD /path`.
fn named(part: &str) -> BTreeSet<String> {
    let quoted = part.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.contains(" /")).map(str::to_owned).collect()
}

#[test]
fn the_documented_routes_are_those_that_are_served() {
    let (served, absent) = PAGE.split_once("## Not served").expect("two parts");
    let (absent, _) = absent.split_once("\n## ").expect("more follows");
    let (absent_routes, reasons): (Vec<_>, Vec<_>) = absent
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split_once(" | ").expect("a route and a reason"))
        .unzip();
    assert!(reasons.iter().all(|reason| reason.trim().len() > 20), "each has a reason");
    let (_, table) = crate::endpoints::all().done();
    let ours: BTreeSet<String> =
        table.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let lost: Vec<_> = named(served).into_iter().filter(|route| !ours.contains(route)).collect();
    assert!(lost.is_empty(), "documented, and not served: {lost:?}");
    let absent_routes = named(&absent_routes.join("\n"));
    let paths = absent_routes.iter().filter_map(|route| Some(route.split_once(' ')?.1));
    let told: BTreeSet<&str> = crate::endpoints::no_ui::PATHS.into_iter().collect();
    assert_eq!(paths.collect::<BTreeSet<_>>(), told, "each says why it is absent");
    let found: Vec<_> = absent_routes.iter().filter(|it| ours.contains(*it)).collect();
    assert!(found.is_empty(), "served, and documented as absent: {found:?}");
    assert!(named(served).len() > 70 && !absent_routes.is_empty(), "the page is read");
}
