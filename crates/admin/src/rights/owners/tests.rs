//! Who may move a key where, as tables.

use dunlin_state::Command;

use super::*;
use crate::rights::tests::{bearer, entity, key, made, member, world_and};
use crate::rows::row::tests::view_of;

/// The world, where `permitted` is a team of the organization `p` that dev belongs to and that lets
/// its members do everything with their keys; lead leads `led`, which is of no organization, and
/// `too`, which is of `o` like `t`.
fn owners() -> State {
    let mut permitted = entity(Kind::Team, "permitted", None);
    permitted.organization = Some("p".to_owned());
    let routes = r#"["/key/generate", "/key/update", "/key/service-account/generate"]"#;
    let field = "team_member_permissions".to_owned();
    permitted.terms.other.insert(field, routes.to_owned());
    let mut too = entity(Kind::Team, "too", None);
    too.organization = Some("o".to_owned());
    let of_p = Key { organization: Some("p".to_owned()), ..key("sk-of-p", Some("dev"), None) };
    world_and([
        made(entity(Kind::Organization, "p", None), Vec::new()),
        made(permitted, vec![member("dev", "user")]),
        made(entity(Kind::Team, "led", None), vec![member("lead", "admin")]),
        made(too, vec![member("lead", "admin"), member("boss", "user")]),
        Command::CreateKey { key: Box::new(of_p) },
    ])
}

/// A key of a user, a team and an organization; `-` for none.
fn of(owners: &str) -> Key {
    let named: Vec<_> = owners.split(' ').map(|name| (name != "-").then_some(name)).collect();
    let [user, team, organization] = named[..] else { panic!("three owners: {owners}") };
    Key { organization: organization.map(str::to_owned), ..key("sk-new", user, team) }
}

#[test]
fn who_has_a_key_sheds_nothing_that_binds_it() {
    let view = view_of(owners());
    let state = &view.state;
    let update = "/key/update";
    for (who, before, after, allowed) in [
        // From the user.
        ("sk-dev", "dev - -", "- - -", false),
        ("sk-dev", "dev permitted -", "- permitted -", false),
        ("sk-lead", "dev t -", "- t -", true),
        ("sk-boss", "dev t -", "- t -", true),
        ("sk-root", "dev - -", "- - -", true),
        // From the organization.
        ("sk-dev", "dev - o", "dev - -", false),
        ("sk-dev", "dev - o", "dev - o", true),
        ("sk-dev", "dev permitted p", "dev permitted -", true),
        ("sk-lead", "lead t o", "lead t -", true),
        ("sk-boss", "boss t -", "boss - o", true),
        ("sk-boss", "boss t -", "boss - -", false),
        ("sk-boss", "boss - o", "boss - -", false),
        ("sk-root", "dev - o", "dev - -", true),
        // Into another one.
        ("sk-lead", "lead t -", "lead t p", false),
        ("sk-lead", "lead t -", "lead t o", true),
        ("sk-dev", "dev permitted -", "dev permitted o", false),
        ("sk-dev", "dev - o", "dev permitted o", false),
        ("sk-boss", "boss t -", "boss t p", false),
        // Out of the team, and into one.
        ("sk-dev", "dev t -", "dev - -", false),
        ("sk-dev", "dev t -", "dev permitted -", false),
        ("sk-dev", "dev permitted -", "dev - -", false),
        ("sk-dev", "dev - -", "dev permitted -", false),
        ("sk-dev", "dev - -", "- permitted -", false),
        ("sk-dev", "dev permitted -", "dev t -", false),
        ("sk-dev", "dev permitted -", "dev permitted -", true),
        ("sk-dev", "dev - -", "dev t -", false),
        ("sk-lead", "lead t -", "lead - -", false),
        ("sk-lead", "lead - -", "- led -", false),
        ("sk-lead", "lead - -", "lead led -", false),
        ("sk-lead", "- t -", "lead t -", true),
        ("sk-lead", "- t -", "- - -", false),
        ("sk-lead", "- t -", "- led -", false),
        ("sk-boss", "- t -", "- too -", true),
        ("sk-lead", "lead t -", "lead too -", false),
        ("sk-lead", "dev t -", "dev - -", false),
        ("sk-root", "- t -", "- - -", true),
    ] {
        let found = bearer(state, who).may_give(&view, &of(after), Some(&of(before)), update);
        assert_eq!(found.is_ok(), allowed, "{who}: {before} to {after}: {found:?}");
    }
}

#[test]
fn a_user_whose_budgets_bind_the_teams_keys_too_is_not_taken_from_them() {
    let mut view = view_of(owners());
    for (binds, allowed) in [(false, true), (true, false)] {
        view.binds_users_of_teams = binds;
        let lead = bearer(&view.state, "sk-lead");
        let found = lead.may_give(&view, &of("- t -"), Some(&of("lead t -")), "/key/update");
        assert_eq!(found.is_ok(), allowed, "{found:?}");
    }
}

#[test]
fn a_new_key_is_its_makers_or_its_teams_and_in_the_teams_organization() {
    let view = view_of(owners());
    let state = &view.state;
    for (who, new, route, allowed) in [
        ("sk-dev", "- - -", "/key/generate", false),
        ("sk-dev", "- permitted -", "/key/service-account/generate", true),
        ("sk-dev", "- permitted o", "/key/service-account/generate", false),
        ("sk-dev", "- t -", "/key/service-account/generate", false),
        ("sk-dev", "dev permitted p", "/key/generate", true),
        ("sk-dev", "dev permitted o", "/key/generate", false),
        ("sk-lead", "lead t o", "/key/generate", true),
        ("sk-lead", "lead t p", "/key/generate", false),
        ("sk-lead", "- led o", "/key/generate", false),
        ("sk-boss", "- t o", "/key/generate", true),
        ("sk-boss", "- t p", "/key/generate", false),
        ("sk-boss", "boss - o", "/key/generate", true),
        ("sk-boss", "boss - p", "/key/generate", false),
        ("sk-boss", "boss permitted o", "/key/generate", false),
        ("sk-root", "- - p", "/key/generate", true),
    ] {
        let found = bearer(state, who).may_give(&view, &of(new), None, route);
        assert_eq!(found.is_ok(), allowed, "{who}: {new}: {found:?}");
    }
}

#[test]
fn a_key_of_an_organization_makes_keys_of_it_only() {
    let view = view_of(owners());
    let state = &view.state;
    for (new, allowed) in [
        ("dev - -", false),
        ("dev - o", false),
        ("dev - p", true),
        ("dev permitted -", true),
        ("dev permitted p", true),
    ] {
        let caller = bearer(state, "sk-of-p");
        let found = caller.may_give(&view, &of(new), None, "/key/generate");
        assert_eq!(found.is_ok(), allowed, "{new}: {found:?}");
    }
}
