//! Who may do what, as tables.

use dunlin_state::{Command, Member};
use dunlin_types::{KeyDigest, NanoUsd, UnixMillis};

use super::*;
use crate::rights::caller::Bearer;
use crate::routes::{Request, Who, admitted};
use crate::rows::row::tests::{bare, state_after, view_of};

/// The bearer of a key that is in the state.
pub(crate) fn bearer(state: &State, clear: &str) -> Caller {
    let caller = state.authenticate(KeyDigest::of(clear), &[], UnixMillis(0)).expect("a key");
    Caller::Key(Box::new(Bearer::of(state, caller, "sk-...".to_owned())))
}

/// A request of a caller.
pub(crate) fn asked_by(caller: Caller) -> Request {
    let (actor, bytes) = (dunlin_state::Actor::default(), bytes::Bytes::new());
    let at = dunlin_types::UnixMillis(0);
    Request { caller, actor, route: "/", named: None, query: Vec::new(), bytes, at }
}

pub(crate) fn entity(kind: Kind, name: &str, role: Option<&str>) -> Entity {
    Entity { kind, name: name.to_owned(), role: role.map(str::to_owned), ..Entity::default() }
}

pub(crate) fn member(user: &str, role: &str) -> Member {
    Member { user: user.to_owned(), role: role.to_owned(), ..Member::default() }
}

pub(crate) fn made(entity: Entity, members: Vec<Member>) -> Command {
    Command::CreateEntity { entity: Box::new(entity), members }
}

pub(crate) fn key(clear: &str, user: Option<&str>, team: Option<&str>) -> Key {
    let named = |name: Option<&str>| name.map(str::to_owned);
    Key { user: named(user), team: named(team), ..bare(clear) }
}

/// Users of every role with a key each (`sk-` and the user's name), a team `t` of organization `o`,
/// a team `other`, and keys of all sorts.
pub(crate) fn world() -> State {
    world_and([])
}

/// The same after more commands.
pub(crate) fn world_and(more_commands: impl IntoIterator<Item = Command>) -> State {
    let users = [
        ("root", "proxy_admin"),
        ("auditor", "proxy_admin_viewer"),
        ("lead", "internal_user"),
        ("dev", "internal_user"),
        ("reader", "internal_user_viewer"),
        ("boss", "org_admin"),
    ];
    let made_users =
        users.map(|(name, role)| made(entity(Kind::User, name, Some(role)), Vec::new()));
    let organization =
        made(entity(Kind::Organization, "o", None), vec![member("boss", "org_admin")]);
    let mut team = entity(Kind::Team, "t", None);
    team.organization = Some("o".to_owned());
    team.terms.models = vec!["a".to_owned(), "b".to_owned()];
    team.terms.max_budget = Some(NanoUsd(100));
    let members = vec![member("lead", "admin"), member("dev", "user"), member("reader", "user")];
    let teams = [made(team, members), made(entity(Kind::Team, "other", None), Vec::new())];
    let keys = users.map(|(user, _)| key(&format!("sk-{user}"), Some(user), None));
    let more = [
        key("sk-team", None, Some("t")),
        key("sk-elsewhere", None, Some("other")),
        key("sk-bare", None, None),
        // No user has this name, so it has no rights.
        key("sk-master-made", Some("default_user_id"), None),
    ];
    let keys = keys.into_iter().chain(more).map(|key| Command::CreateKey { key: Box::new(key) });
    let commands = made_users.into_iter().chain([organization]).chain(teams).chain(keys);
    state_after(commands.chain(more_commands))
}

const CALLERS: [&str; 9] = [
    "sk-root",
    "sk-auditor",
    "sk-boss",
    "sk-lead",
    "sk-dev",
    "sk-reader",
    "sk-team",
    "sk-bare",
    "sk-master-made",
];

#[test]
fn every_route_says_who_may_ask_and_admits_nobody_else() {
    let state = world();
    let (_, table) = crate::endpoints::all().done();
    let admits = |who: Option<Who>| match who {
        None | Some(Who::Anyone) => [true; 9],
        Some(Who::Users) => [true, false, true, true, true, false, false, false, false],
        Some(Who::Viewers) => [true, true, false, false, false, false, false, false, false],
        Some(Who::Admins) => [true, false, false, false, false, false, false, false, false],
    };
    for route in &table {
        let open = matches!(
            route.path,
            "/" | "/health/liveliness"
                | "/health/liveness"
                | "/health/readiness"
                | "/redoc"
                | "/test"
        );
        assert_eq!(route.who.is_none(), open, "{} is open to the world", route.path);
        // What changes something is not for everyone, unless it only looks.
        let looks = [
            "/budget/info",
            "/cost/estimate",
            "/global/spend/end_users",
            "/key/health",
            "/tag/info",
            "/v2/key/info",
        ];
        if route.method != "GET" && !looks.contains(&route.path) {
            let closed = matches!(route.who, Some(Who::Users | Who::Admins));
            assert!(closed, "{} {} is too open", route.method, route.path);
        }
        let Some(who) = route.who else { continue };
        for (clear, expected) in CALLERS.into_iter().zip(admits(route.who)) {
            let caller = bearer(&state, clear);
            let found = admitted(&caller, who, route.path);
            assert_eq!(found.is_ok(), expected, "{clear} at {}: {found:?}", route.path);
        }
        assert!(admitted(&Caller::Master, who, route.path).is_ok());
    }
    assert!(table.len() > 10);
}

#[test]
fn keys_are_seen_and_changed_by_whose_they_are() {
    let state = world();
    let cases = [
        // The key, who sees it, who changes it, in the order of the callers.
        ("sk-dev", [1, 1, 0, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0, 0]),
        ("sk-reader", [1, 1, 0, 0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("sk-team", [1, 1, 1, 1, 0, 0, 1, 0, 0], [1, 0, 1, 1, 0, 0, 0, 0, 0]),
        ("sk-elsewhere", [1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("sk-bare", [1, 1, 0, 0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("sk-master-made", [1, 1, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (clear, sees, changes) in cases {
        let key = state.key(&KeyDigest::of(clear)).expect("a key");
        for (who, (sees, changes)) in CALLERS.into_iter().zip(sees.into_iter().zip(changes)) {
            let caller = bearer(&state, who);
            assert_eq!(caller.sees_key(&state, key), sees == 1, "{who} sees {clear}");
            assert_eq!(caller.changes_key(&state, key), changes == 1, "{who} changes {clear}");
        }
    }
}

#[test]
fn teams_are_led_by_their_admins_and_their_organizations() {
    let state = world();
    let sees = [1, 1, 1, 1, 1, 1, 1, 0, 0];
    let leads = [1, 0, 1, 1, 0, 0, 0, 0, 0];
    for (who, (sees, leads)) in CALLERS.into_iter().zip(sees.into_iter().zip(leads)) {
        let caller = bearer(&state, who);
        assert_eq!(caller.sees_group(&state, Kind::Team, "t"), sees == 1, "{who} sees t");
        assert_eq!(caller.leads(&state, Kind::Team, "t"), leads == 1, "{who} leads t");
        let all = matches!(who, "sk-root" | "sk-auditor");
        assert_eq!(caller.sees_group(&state, Kind::Team, "other"), all, "{who} sees other");
    }
}

#[test]
fn nobody_gives_more_than_he_has() {
    let view = view_of(world());
    let state = &view.state;
    let with = |mut key: Key, models: &[&str], budget: Option<u64>| {
        key.terms.models = models.iter().map(|model| (*model).to_owned()).collect();
        key.terms.max_budget = budget.map(NanoUsd);
        key
    };
    let own = |user: &str| key("sk-new", Some(user), None);
    let of_team = |user: Option<&str>| key("sk-new", user, Some("t"));
    for (who, new, given) in [
        ("sk-root", key("sk-new", Some("anyone"), Some("other")), true),
        ("sk-dev", own("dev"), true),
        ("sk-dev", own("lead"), false),
        ("sk-dev", key("sk-new", None, None), false),
        ("sk-dev", of_team(Some("dev")), false),
        ("sk-lead", of_team(Some("dev")), true),
        ("sk-lead", of_team(None), true),
        ("sk-lead", of_team(Some("stranger")), false),
        ("sk-lead", with(of_team(None), &["a"], Some(100)), true),
        ("sk-lead", with(of_team(None), &["c"], None), false),
        ("sk-lead", with(of_team(None), &["*"], None), false),
        ("sk-lead", with(of_team(None), &["all-proxy-models"], None), false),
        ("sk-lead", with(of_team(None), &["all-team-models"], None), true),
        ("sk-lead", with(of_team(None), &[], Some(101)), false),
        ("sk-lead", key("sk-new", None, Some("other")), false),
        ("sk-boss", of_team(None), true),
        ("sk-boss", Key { organization: Some("o".to_owned()), ..own("boss") }, true),
        ("sk-dev", Key { organization: Some("o".to_owned()), ..own("dev") }, false),
    ] {
        let found = bearer(state, who).may_give(&view, &new, None, "/key/generate");
        assert_eq!(found.is_ok(), given, "{who} gives {new:?}: {found:?}");
    }
}

#[test]
fn a_team_may_let_its_members_make_keys() {
    let mut team = entity(Kind::Team, "t", None);
    let permitted = r#"["/key/generate"]"#.to_owned();
    team.terms.other.insert("team_member_permissions".to_owned(), permitted);
    let view = view_of(state_after([
        made(entity(Kind::User, "dev", None), Vec::new()),
        made(team, vec![member("dev", "user")]),
        Command::CreateKey { key: Box::new(key("sk-dev", Some("dev"), None)) },
    ]));
    let state = &view.state;
    let caller = bearer(state, "sk-dev");
    let new = key("sk-new", Some("dev"), Some("t"));
    assert!(caller.may_give(&view, &new, None, "/key/generate").is_ok());
    assert!(caller.may_give(&view, &new, None, "/key/update").is_err());
    let for_other = key("sk-new", Some("someone"), Some("t"));
    assert!(caller.may_give(&view, &for_other, None, "/key/generate").is_err());
}

#[test]
fn who_has_a_limited_key_makes_none_that_is_not_and_lifts_no_limit_of_an_admins() {
    let user = made(entity(Kind::User, "dev", None), Vec::new());
    let mut limited = key("sk-dev", Some("dev"), None);
    limited.terms.models = vec!["a".to_owned()];
    limited.terms.rpm = Some(5);
    let view = view_of(state_after([user, Command::CreateKey { key: Box::new(limited.clone()) }]));
    let state = &view.state;
    let caller = bearer(state, "sk-dev");
    let new = key("sk-new", Some("dev"), None);
    assert!(caller.may_give(&view, &new, None, "/key/generate").is_err(), "no models named");
    let mut fits = new.clone();
    fits.terms.models = vec!["a".to_owned()];
    fits.terms.rpm = Some(5);
    assert!(caller.may_give(&view, &fits, None, "/key/generate").is_ok());

    let mut blocked = limited.clone();
    blocked.terms.blocked = Some(true);
    let freed = caller.may_give(&view, &limited, Some(&blocked), "/key/update");
    assert!(freed.is_err(), "an admin's block is lifted");
    let mut narrower = limited.clone();
    narrower.terms.rpm = Some(4);
    let raised = caller.may_give(&view, &limited, Some(&narrower), "/key/update");
    assert!(raised.is_err(), "an admin's limit is lifted");
    assert!(caller.may_give(&view, &narrower, Some(&limited), "/key/update").is_ok());
}

#[test]
fn who_made_a_key_widens_it_until_somebody_else_has_changed_it() {
    let view = view_of(world());
    let state = &view.state;
    let caller = bearer(state, "sk-dev");
    let made = Key { created_by: "dev".to_owned(), ..key("sk-mine", Some("dev"), None) };
    let mut limited = made.clone();
    limited.terms.rpm = Some(5);
    let widened = caller.may_give(&view, &made, Some(&limited), "/key/update");
    assert!(widened.is_ok(), "its own limit is lifted: {widened:?}");
    limited.limited_by = Some("root".to_owned());
    let widened = caller.may_give(&view, &made, Some(&limited), "/key/update");
    assert!(widened.is_err(), "an admin's limit is lifted");
    let mut blocked = made.clone();
    blocked.terms.blocked = Some(true);
    let unblocked = caller.may_give(&view, &made, Some(&blocked), "/key/update");
    assert!(unblocked.is_err(), "an admin's block is lifted");

    let boss = bearer(state, "sk-boss");
    let own = |by: &str| Key { created_by: by.to_owned(), ..key("sk-its", Some("boss"), None) };
    for (by, allowed) in [("boss", true), ("root", false)] {
        let led = Key { organization: Some("o".to_owned()), ..own(by) };
        let given = boss.may_give(&view, &led, Some(&own(by)), "/key/update");
        assert_eq!(
            given.is_ok(),
            allowed,
            "made by {by}, and its limits would be boss's: {given:?}"
        );
    }
}

#[test]
fn how_long_answers_are_taken_to_be_is_for_admins_to_say() {
    let mut view = view_of(world());
    let guessing = |tokens: &str| {
        let mut key = key("sk-new", Some("dev"), None);
        key.terms.other.insert("default_estimated_output_tokens".to_owned(), tokens.to_owned());
        key
    };
    let plain = key("sk-new", Some("dev"), None);
    view.key_defaults.insert("default_estimated_output_tokens".to_owned(), "9".to_owned());
    let (one, nine) = (guessing("1"), guessing("9"));
    for (who, key, before, allowed) in [
        ("sk-root", &one, Some(&nine), true),
        ("sk-dev", &one, Some(&nine), false),
        ("sk-dev", &plain, Some(&nine), false),
        ("sk-dev", &nine, Some(&nine), true),
        ("sk-dev", &one, None, false),
        ("sk-dev", &nine, None, true),
    ] {
        let found = bearer(&view.state, who).may_give(&view, key, before, "/key/update");
        assert_eq!(found.is_ok(), allowed, "{who}: {found:?}");
    }
    let before = view.state.entity(Kind::Team, "t").expect("the team").as_ref().clone();
    let mut team = before.clone();
    team.terms.other.extend(one.terms.other);
    for (who, allowed) in [("sk-root", true), ("sk-boss", false), ("sk-lead", false)] {
        let found = bearer(&view.state, who).may_grow(&view.state, Some(&before), &team);
        assert_eq!(found.is_ok(), allowed, "{who}: {found:?}");
    }
}

#[test]
fn a_team_grows_by_whoever_is_above_it() {
    let state = world();
    let before = state.entity(Kind::Team, "t").expect("the team").as_ref().clone();
    let mut wider = before.clone();
    wider.terms.max_budget = Some(NanoUsd(200));
    let mut narrower = before.clone();
    narrower.terms.models = vec!["a".to_owned()];
    let moved = Entity { organization: None, ..before.clone() };
    let mut blocked = before.clone();
    blocked.terms.blocked = Some(true);
    for (who, team, allowed) in [
        ("sk-root", &wider, true),
        ("sk-boss", &wider, true),
        ("sk-lead", &wider, false),
        ("sk-lead", &narrower, true),
        ("sk-lead", &moved, false),
        ("sk-boss", &moved, false),
    ] {
        let found = bearer(&state, who).may_grow(&state, Some(&before), team);
        assert_eq!(found.is_ok(), allowed, "{who}: {found:?}");
    }
    for who in ["sk-root", "sk-boss", "sk-lead"] {
        let found = bearer(&state, who).may_grow(&state, Some(&blocked), &before);
        assert!(found.is_ok(), "{who} unblocks: {found:?}");
    }
}
