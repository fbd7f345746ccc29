//! Requests for keys: their fields, defaults, bounds and ends.

use super::*;

fn fields(text: &str) -> Result<KeyFields, Error> {
    read(Body::parse(text.as_bytes())?.at(UnixMillis(1)), UnixMillis(0), &["key"])
}

fn new(text: &str, settings: &Settings) -> Result<NewKey, Error> {
    NewKey::read(
        Body::parse(text.as_bytes())?,
        settings,
        &Caller::Master,
        (&State::new(), UnixMillis(0)),
    )
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn what_guards_is_in_force_or_refused_by_name() {
    let refused = fields(r#"{"max_budget": 1, "team_id": "t", "guardrails": ["pii"]}"#);
    let Err(Error::NotEnforced { fields: names }) = refused else { panic!("refused") };
    assert_eq!(names, ["guardrails"]);
    let KeyFields { changes, spend, .. } = fields(
        r#"{"team_id": "t", "user_id": "", "organization_id": null, "spend": 2.5,
            "enforced_params": ["user"], "key_type": "read_only"}"#,
    )
    .expect("fields");
    assert_eq!(changes.team, Change::Set("t".to_owned()));
    assert_eq!((changes.user, changes.organization), (Change::Clear, Change::Clear));
    assert_eq!(changes.routes, Change::Set(vec!["info_routes".to_owned()]));
    assert_eq!(changes.required, Change::Set(vec!["user".to_owned()]));
    assert_eq!(spend, Some(NanoUsd(2_500_000_000)));
}

#[test]
fn a_slip_is_told_and_a_stranger_is_ignored() {
    assert!(matches!(fields(r#"{"rpm_limt": 1}"#), Err(Error::Invalid(_))));
    assert!(matches!(fields(r#"{"team_ids": "a"}"#), Err(Error::Invalid(_))));
    assert!(matches!(fields(r#"{"key_type": "root"}"#), Err(Error::Invalid(_))));
    assert!(matches!(fields(r#"{"allowed_routes": ["llm_routes"]}"#), Err(Error::Invalid(_))));
    for text in [r#"{"duration": "1y"}"#, r#"{"duration": "0s"}"#] {
        let bad = fields(text);
        assert!(matches!(bad, Err(Error::BadField { name: "duration", .. })), "{text}");
    }
    assert!(fields(r#"{"my_own_field": 1}"#).is_ok());
    for field in ["key_alias", "user_id"] {
        let unseen = fields(&format!(r#"{{"{field}": "a\u0000b"}}"#));
        assert!(matches!(unseen, Err(Error::BadField { name, .. }) if name == field));
        let of = |bytes: usize| fields(&format!(r#"{{"{field}": "{}"}}"#, "x".repeat(bytes)));
        assert!(of(256).is_ok() && matches!(of(257), Err(Error::Invalid(_))), "{field}");
    }
}

#[test]
fn a_new_key_has_the_configs_defaults_and_stays_within_its_bounds() {
    let settings = Settings {
        key_defaults: map(&[("max_budget", "1.5"), ("models", r#"["a"]"#)]),
        key_bounds: map(&[("max_budget", "100"), ("duration", r#""30d""#), ("tpm_limit", "9")]),
        ..Settings::default()
    };
    let key = new("{}", &settings).expect("a key").key;
    assert_eq!(key.terms.max_budget, Some(NanoUsd(1_500_000_000)));
    assert_eq!(key.terms.models, ["a"]);
    assert_eq!(key.terms.tpm, Some(9), "a bound is also the default");
    assert_eq!(key.expires, Some(UnixMillis(30 * 86_400_000)));
    assert_eq!(key.user.as_deref(), Some("default_user_id"));
    for (text, name) in [
        (r#"{"max_budget": 100.01}"#, "max_budget"),
        (r#"{"duration": "31d"}"#, "duration"),
        (r#"{"tpm_limit": 10}"#, "tpm_limit"),
    ] {
        let refused = new(text, &settings).err().expect("beyond");
        assert!(matches!(refused, Error::BadField { name: n, .. } if n == name), "{text}");
    }
    let for_ever = new(r#"{"duration": "-1"}"#, &settings).err().expect("beyond");
    assert!(matches!(for_ever, Error::BadField { name: "duration", .. }), "{for_ever}");
    let changes = fields(r#"{"max_budget": null}"#).expect("fields").changes;
    let none = (&Key::default(), &State::new());
    assert!(check_bounds(&settings.key_bounds, &changes, none, UnixMillis(0)).is_err());
    let shared = |dollars: u64| {
        let max_budget = Some(NanoUsd(dollars * 1_000_000_000));
        shared::tests::state_with(Terms { max_budget, ..Terms::default() })
    };
    let changes = fields(r#"{"budget_id": "b"}"#).expect("fields").changes;
    for (dollars, before, fits) in [(100, None, true), (101, None, false), (101, Some(5), true)] {
        let terms = Terms { max_budget: before.map(NanoUsd), ..Terms::default() };
        let (state, before) = (shared(dollars), Key { terms, ..Key::default() });
        let found = check_bounds(&settings.key_bounds, &changes, (&before, &state), UnixMillis(0));
        assert_eq!(found.is_ok(), fits, "{dollars}: {found:?}");
    }
}

#[test]
fn litellms_word_for_never_takes_the_end_off_and_an_end_is_set_by_its_duration() {
    let told = fields(r#"{"duration": "-1"}"#).expect("never");
    assert_eq!((told.changes.expires, told.duration), (Change::Clear, None));
    let settings = Settings::default();
    let refused = new(r#"{"expires": "2030-01-01T00:00:00Z"}"#, &settings).err();
    let Some(Error::Invalid(faults)) = refused else { panic!("it would never expire") };
    assert!(faults[0].told().contains("`duration`"), "{}", faults[0].told());
    assert!(new(r#"{"expires": null}"#, &settings).is_ok(), "as rows have it");
    let changed = fields(r#"{"expires": "2030-01-01T00:00:00Z"}"#);
    assert!(matches!(changed, Err(Error::Invalid(_))), "a change of it, neither");
}

#[test]
fn an_empty_request_makes_a_key_for_everything_and_for_ever() {
    let NewKey { clear, key, .. } = new("{}", &Settings::default()).expect("a key");
    assert_eq!(key.token, KeyDigest::of(clear.expose()));
    assert!(key.terms.models.is_empty() && key.expires.is_none() && key.terms.rpm.is_none());
}

#[test]
fn a_members_key_lives_as_long_as_its_team_says() {
    let mut team = dunlin_state::Entity { name: "t".to_owned(), ..Default::default() };
    team.member.other.insert(KEY_DURATION.to_owned(), r#""1d""#.to_owned());
    let make = Command::CreateEntity { entity: Box::new(team), members: Vec::new() };
    let state = crate::rows::row::tests::state_after([make]);
    let expires = |text: &str| {
        let body = Body::parse(text.as_bytes()).expect("an object");
        let new =
            NewKey::read(body, &Settings::default(), &Caller::Master, (&state, UnixMillis(0)));
        new.expect("a key").key.expires
    };
    assert_eq!(expires(r#"{"team_id": "t"}"#), Some(UnixMillis(86_400_000)));
    assert_eq!(expires(r#"{"team_id": "t", "duration": "1h"}"#), Some(UnixMillis(3_600_000)));
    assert_eq!(expires("{}"), None);
}

#[test]
fn the_master_key_is_no_virtual_key() {
    let key = "sk-master-0123456789";
    let settings = Settings { master_key: Some(Secret::new(key)), ..Settings::default() };
    let refused = new(&format!(r#"{{"key": "{key}"}}"#), &settings);
    assert!(matches!(refused, Err(Error::BadField { name: "key", .. })));
}
