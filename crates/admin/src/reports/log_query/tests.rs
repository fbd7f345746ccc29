//! Whose requests a caller may search, and by what.

use dunlin_state::{Command, Entity, Member};

use super::*;
use crate::rights::tests::{asked_by, bearer};
use crate::rows::row::tests::{bare, state_after};

pub(crate) fn asked(caller: Caller, query: &str) -> Request {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Request { query, route: "/spend/logs", ..asked_by(caller) }
}

fn filters(query: &str) -> Result<Filters, Error> {
    let asked = asked(Caller::Master, query);
    let mut params = Params::of(&asked, &["page"]);
    let state = state_after([]);
    let filters = params.filters(&state, &|text| text == MASTER);
    params.finish().map(|()| filters)
}

#[test]
fn days_and_seconds_are_meant_whole() {
    let at = |text: &str| moment::parse(text).expect("a moment");
    let day = filters("start_date=2026-01-30&end_date=2026-01-31").expect("days");
    assert_eq!((day.from, day.before), (Some(at("2026-01-30")), Some(at("2026-02-01"))));
    let second = filters("end_date=2026-01-31 23:59:59").expect("a second");
    assert_eq!(second.before, Some(at("2026-02-01")));
}

#[test]
fn a_key_is_named_in_clear_or_by_hash_and_the_master_key_by_its_name() {
    let hash = KeyDigest::of("sk-some");
    for (text, payer) in [
        ("sk-some", Payer::Key(hash)),
        (&hash.to_string(), Payer::Key(hash)),
        (MASTER, Payer::Master),
    ] {
        let filters = filters(&format!("api_key={text}")).expect("a key");
        assert_eq!(filters.payer, Some(payer), "{text}");
    }
    let nobody = filters("key_alias=nobody").expect("a name");
    assert_eq!(nobody.payer, Some(Payer::Key(KeyDigest::default())));
}

#[test]
fn what_cannot_be_meant_is_refused_and_what_is_meant_is_guessed() {
    for (query, hint) in [
        ("api_key=nonsense", "a key or its hash"),
        ("start_date=yesterday", "a date or a time"),
        ("end_date=31.01.2026", "a date or a time"),
        ("start_date=2026-02-02&end_date=2026-01-31", "before end_date"),
        ("status_filter=maybe", "'success' or 'failure'"),
        ("error_code=many", "an HTTP status"),
        ("min_spend=-1", "US dollars"),
        ("max_spend=NaN", "US dollars"),
        ("user=ann", "Unknown parameter"),
        ("team_ids=t", "did you mean `team_id`?"),
    ] {
        let Err(error @ Error::Invalid(_)) = filters(query) else { panic!("{query}") };
        assert!(error.told().contains(hint), "{query}: {}", error.told());
    }
}

#[test]
fn a_cursor_leads_back_and_nothing_else_is_one() {
    let at = Position {
        started: UnixMillis(1_790_000_000_123),
        node: NodeId(0xfeed),
        epoch: Epoch(7),
        number: 99,
    };
    let text = cursor_text(&at);
    assert_eq!(cursor(&text), Some(at));
    for wrong in ["", "1-2-3-4", &text[1..text.len() - 3], &format!("{text}-1"), "x"] {
        assert_eq!(cursor(wrong), None, "{wrong}");
    }
}

#[test]
fn who_is_no_admin_sees_what_is_its_own_and_what_it_leads() {
    let entity = |kind, name: &str| Entity { kind, name: name.to_owned(), ..Entity::default() };
    let make = |entity, members| Command::CreateEntity { entity: Box::new(entity), members };
    let member =
        |role: &str| Member { user: "ann".to_owned(), role: role.to_owned(), ..Member::default() };
    let user = Entity { role: Some("internal_user".to_owned()), ..entity(Kind::User, "ann") };
    let mut key = bare("sk-of-ann");
    key.user = Some("ann".to_owned());
    let state = state_after([
        make(user, Vec::new()),
        make(entity(Kind::Team, "led"), vec![member("admin")]),
        make(entity(Kind::Team, "joined"), vec![member("user")]),
        Command::CreateKey { key: Box::new(key) },
        Command::CreateKey { key: Box::new(bare("sk-nobodys")) },
    ]);
    let own = |key: &str| Some(KeyDigest::of(key));
    let seen_by = |key: &str| seen(&state, &bearer(&state, key));
    let of_ann = Seen {
        key: own("sk-of-ann"),
        user: Some("ann".to_owned()),
        teams: vec!["led".to_owned()],
        organizations: Vec::new(),
    };
    assert_eq!(seen_by("sk-of-ann"), Some(of_ann));
    let of_nobody = Seen { key: own("sk-nobodys"), ..Seen::default() };
    assert_eq!(seen_by("sk-nobodys"), Some(of_nobody));
    assert_eq!(seen(&state, &Caller::Master), None);
}
