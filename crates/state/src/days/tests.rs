//! Totals of a day, however they come: in which order, cut up how, for how many models.

use dunlin_types::{NanoUsd, Tokens};

use super::*;

type Who = Facets<Option<&'static str>>;

const TODAY: Day = Day(20_000);

fn at(day: Day) -> UnixMillis {
    UnixMillis(day.start().0 + 5_000)
}

fn used(cost: u64) -> Totals {
    Totals { cost: NanoUsd(cost), prompt: Tokens(cost), successful: 1, ..Totals::default() }
}

fn key(key: &'static str, model: &'static str) -> Who {
    Facets { key: Some(key), team: Some("t"), group: Some(model), ..Facets::default() }
}

fn add(days: &mut Days, now: Day, of: &[(Day, Who, u64)]) {
    let sums = DaySums::of(of.iter().map(|(day, of, cost)| (*day, *of, used(*cost))));
    days.add(&sums, at(now), |kind, name| kind == Kind::Tag && name == "made");
}

/// What is told of a book: day, key, group and the label, and the cost.
fn told(days: &Days, book: Book) -> Vec<String> {
    let rows = days.rows(book, Day(0), Day(u32::MAX));
    let text = |(day, of, totals): (Day, &Facets<Symbol>, &Totals)| {
        let name = |symbol| days.name(symbol).unwrap_or("-").to_owned();
        let label = name(if of.tag == Symbol::NONE { of.end_user } else { of.tag });
        let (key, group) = (name(of.key), name(of.group));
        format!("{} {key} {group} {label} {}", TODAY.0 - day.0, totals.cost.0)
    };
    rows.map(text).collect()
}

fn sum(days: &Days, book: Book) -> Totals {
    let mut sum = Totals::default();
    days.rows(book, Day(0), Day(u32::MAX)).for_each(|(_, _, totals)| sum.add(totals));
    sum
}

#[test]
fn days_are_kept_62_long_with_their_names_and_no_longer() {
    let mut days = Days::default();
    let first = Day(TODAY.0 - 61);
    add(&mut days, first, &[(first, key("a", "m"), 1), (first, key("gone", "m"), 2)]);
    days.part_with(None, "gone", Some("its alias"));
    days.part_with(None, "never used", Some("another"));
    add(&mut days, TODAY, &[(TODAY, key("a", "m"), 4)]);
    assert_eq!(told(&days, Book::Keys), ["61 a m - 1", "61 gone m - 2", "0 a m - 4"]);
    let gone = days.symbol("gone").expect("it has a row");
    assert_eq!(days.last_alias(None, gone), Some("its alias"));

    let next = Day(TODAY.0 + 1);
    add(&mut days, next, &[(first, key("late", "m"), 8)]);
    assert_eq!(told(&days, Book::Keys), ["0 a m - 4"], "what is late for its day is not counted");
    assert_eq!((days.symbol("gone"), days.symbol("late")), (None, None));
    assert_eq!((days.name(gone), days.last_alias(None, gone)), (None, None));
    assert!(days.symbol("a").is_some() && days.aliases.is_empty());
}

#[test]
fn a_clock_ahead_of_the_clusters_counts_for_the_present_day() {
    let mut days = Days::default();
    add(&mut days, TODAY, &[(Day(TODAY.0 + 400), key("a", "m"), 1), (TODAY, key("a", "m"), 2)]);
    assert_eq!(told(&days, Book::Keys), ["0 a m - 3"]);
}

#[test]
fn each_label_has_rows_beside_those_that_hold_every_request_once() {
    let mut days = Days::default();
    let of = key("a", "m");
    let tagged = Facets { tag: Some("x"), team: None, ..of };
    let for_end_user = Facets { end_user: Some("u"), team: None, ..of };
    add(&mut days, TODAY, &[(TODAY, of, 5), (TODAY, tagged, 5), (TODAY, for_end_user, 5)]);
    assert_eq!(told(&days, Book::Keys), ["0 a m - 5"]);
    assert_eq!(told(&days, Book::Tags), ["0 a m x 5"]);
    assert_eq!(told(&days, Book::EndUsers), ["0 a m u 5"]);
}

#[test]
fn models_that_clients_invent_count_under_other_and_none_is_lost() {
    let mut days = Days::default();
    let names: Vec<String> = (0..MAX_MODELS_A_DAY + 9).map(|number| format!("m{number}")).collect();
    for name in &names {
        let of = Facets { key: Some("a"), group: Some(name.as_str()), ..Facets::default() };
        days.add(&DaySums::of([(TODAY, of, used(1))]), at(TODAY), |_, _| false);
    }
    let rows = told(&days, Book::Keys);
    assert_eq!(rows.len(), MAX_MODELS_A_DAY + 1);
    assert!(rows.contains(&"0 a other - 9".to_owned()), "{rows:?}");
    add(&mut days, TODAY, &[(TODAY, Facets { key: Some("b"), ..key("b", "m70") }, 1)]);
    assert!(told(&days, Book::Keys).contains(&"0 b m70 - 1".to_owned()), "another key has room");
    // What is asked of a model beside makes no other model of it.
    let asked = |name| Facets { key: Some("d"), group: Some(name), ..Facets::default() };
    for name in &names[..MAX_MODELS_A_DAY] {
        for call in ["acompletion", "aembedding", "aresponses"] {
            let of = Facets { call: Some(call), ..asked(name.as_str()) };
            days.add(&DaySums::of([(TODAY, of, used(1))]), at(TODAY), |_, _| false);
        }
    }
    let rows = told(&days, Book::Keys);
    let theirs = rows.iter().filter(|row| row.starts_with("0 d "));
    assert_eq!(theirs.clone().count(), 3 * MAX_MODELS_A_DAY);
    assert!(!theirs.clone().any(|row| row.contains("other")), "{rows:?}");
    let cut = "é".repeat(200);
    let of = Facets { key: Some("c"), group: Some(cut.as_str()), ..Facets::default() };
    days.add(&DaySums::of([(TODAY, of, used(1))]), at(TODAY), |_, _| false);
    let symbol = days.symbol(&cut).expect("found by its whole name");
    assert_eq!(days.name(symbol).map(str::len), Some(256));
}

#[test]
fn a_day_that_is_full_still_adds_up_for_teams_and_for_tags_that_were_made() {
    let mut days = Days::default();
    let keys: Vec<String> = (0..MAX_ROWS_A_DAY + 50).map(|number| number.to_string()).collect();
    let of = keys.iter().map(|key| {
        let of = Facets { key: Some(key.as_str()), team: Some("t"), ..Facets::default() };
        (TODAY, of, used(1))
    });
    days.add(&DaySums::of(of), at(TODAY), |_, _| false);
    let rows = told(&days, Book::Keys);
    assert_eq!((rows.len(), rows.last()), (MAX_ROWS_A_DAY + 1, Some(&rows[MAX_ROWS_A_DAY])));
    assert!(rows.contains(&"0 other - - 50".to_owned()));
    let team = days.symbol("t");
    assert!(days.rows(Book::Keys, TODAY, TODAY).all(|(_, of, _)| Some(of.team) == team));
    assert_eq!(sum(&days, Book::Keys).requests(), keys.len() as u64);

    let tags: Vec<String> = (0..MAX_LABELLED_ROWS_A_DAY).map(|number| number.to_string()).collect();
    let of = tags
        .iter()
        .map(|tag| (TODAY, Facets { tag: Some(tag.as_str()), ..Facets::default() }, used(1)));
    days.add(&DaySums::of(of), at(TODAY), |_, _| false);
    let more = ["made", "invented"];
    let more =
        more.map(|tag| (TODAY, Facets { tag: Some(tag), key: Some("k"), ..Facets::default() }, 1));
    add(&mut days, TODAY, &more);
    let rows = told(&days, Book::Tags);
    assert!(rows.contains(&"0 other - made 1".to_owned()), "{:?}", rows.last());
    assert!(rows.contains(&"0 other - other 1".to_owned()));
    assert_eq!(days.symbol("invented"), None, "a name without a row is not kept");
}

#[test]
fn a_new_name_has_the_rows_of_the_old_one() {
    let mut days = Days::default();
    add(&mut days, TODAY, &[(TODAY, key("old", "m"), 1)]);
    days.rename("old", "new");
    days.rename("unknown", "nothing");
    add(&mut days, TODAY, &[(TODAY, key("new", "m"), 1)]);
    assert_eq!(told(&days, Book::Keys), ["0 new m - 2"]);
    add(&mut days, TODAY, &[(TODAY, key("old", "m"), 1)]);
    days.rename("old", "new");
    assert_eq!(told(&days, Book::Keys).len(), 2, "two that have rows stay two");
}

#[test]
fn places_that_name_nothing_are_no_name() {
    let broken =
        r#"{"names":["a"],"rows":[{"day":20000,"of":{"key":1,"team":7},"sum":{"cost":3}}]}"#;
    let sums: DaySums = serde_json::from_str(broken).expect("the form of the log");
    let mut days = Days::default();
    days.add(&sums, at(TODAY), |_, _| false);
    assert_eq!(told(&days, Book::Keys), ["0 a - - 3"]);
}
