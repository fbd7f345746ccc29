//! What the records of a stretch add to the daily totals.

use dunlin_journal::SpendRecord;
use dunlin_state::{Day, DaySums, Facets, Totals};

/// Sums of records by day, and by who used what.
pub(crate) fn sums<'a>(records: impl Iterator<Item = &'a SpendRecord>) -> DaySums {
    let records: Vec<_> = records.map(|record| (record, key(record))).collect();
    DaySums::of(records.iter().flat_map(|(record, key)| used(record, key.as_deref())))
}

fn key(record: &SpendRecord) -> Option<String> {
    record.key.map(|key| key.to_string())
}

/// Once for the key, and once for each label: those are not told apart by whose the key is.
fn used<'a>(
    record: &'a SpendRecord,
    key: Option<&'a str>,
) -> impl Iterator<Item = (Day, Facets<Option<&'a str>>, Totals)> {
    let (course, whose) = (&record.course, &record.whose);
    let served = Some(record.upstream_model.as_str()).filter(|model| !model.is_empty());
    let group = course.group.as_deref().unwrap_or(&record.model);
    let of_key = Facets {
        key,
        group: Some(group),
        model: served.or(Some(group)),
        provider: course.provider.as_deref(),
        call: Some(course.call_type.as_str()),
        ..Facets::default()
    };
    let of_all = Facets {
        team: whose.team.as_deref(),
        user: whose.user.as_deref(),
        organization: whose.organization.as_deref(),
        ..of_key
    };
    let tags = record.origin.tags.iter();
    let tags = tags.map(move |tag| Facets { tag: Some(tag.as_str()), ..of_key });
    let end_user = record.origin.end_user.as_deref();
    let end_user = end_user.map(|name| Facets { end_user: Some(name), ..of_key });
    let (day, totals) = (Day::of(record.started), totals(record));
    [of_all].into_iter().chain(tags).chain(end_user).map(move |of| (day, of, totals))
}

fn totals(record: &SpendRecord) -> Totals {
    let failed = u64::from(record.failed());
    Totals {
        cost: record.cost,
        prompt: record.prompt,
        cached: record.cached,
        cache_write: record.kinds.cache_write,
        completion: record.completion,
        successful: 1 - failed,
        failed,
    }
}

#[cfg(test)]
mod tests {
    use dunlin_journal::{Fault, Outcome, Whose};
    use dunlin_state::{Book, Command, CommandId, Entry, State};
    use dunlin_types::{Epoch, KeyDigest, NanoUsd, NodeId, Tokens, UnixMillis};

    use super::*;
    use crate::tests::record;

    #[test]
    fn a_request_is_told_by_all_whose_it_is_and_its_labels_apart() {
        let token = KeyDigest::of("sk-a");
        let mut asked = record(token, 7, 30);
        let (team, user) = (Some("t".to_owned()), Some("u".to_owned()));
        asked.whose = Whose { team, user, ..Whose::default() };
        asked.origin.tags = vec!["x".to_owned(), "y".to_owned()];
        asked.origin.end_user = Some("e".to_owned());
        asked.course.group = Some("fallback".to_owned());
        asked.course.provider = Some("openai".to_owned());
        (asked.cached, asked.kinds.cache_write) = (Tokens(2), Tokens(1));
        // A stream that broke at its provider: what came of it is charged, and its row is a failure's.
        let fault = Fault { status: 502, kind: None, message: "reset".to_owned() };
        let failed = SpendRecord {
            outcome: Outcome::Partial,
            fault: Some(Box::new(fault)),
            cost: NanoUsd(0),
            ..asked.clone()
        };
        let days = sums([&asked, &failed].into_iter());
        assert_eq!(days.len(), 4);

        let (node, epoch, charges) = (NodeId(1), Epoch(1), Vec::new());
        let id = CommandId { node, epoch, seq: 1 };
        let command =
            Command::Settle { node, epoch, from: 0, to: 2, charges, days, claimed: Vec::new() };
        let mut state = State::new();
        state.apply(1, UnixMillis(1), &Entry { id, actor: None, command }).expect("settled");
        let days = state.days();
        for (book, expected) in [
            (Book::Keys, vec!["- - t u"]),
            (Book::Tags, vec!["- x - -", "- y - -"]),
            (Book::EndUsers, vec!["e - - -"]),
        ] {
            let rows = days.rows(book, Day(0), Day(0)).map(|(_, of, totals)| {
                let name = |symbol| days.name(symbol).unwrap_or("-").to_owned();
                assert_eq!(name(of.key), token.to_string());
                let model = [of.group, of.model, of.provider].map(name);
                assert_eq!(model, ["fallback", "fallback", "openai"]);
                assert_eq!((totals.cost, totals.successful, totals.failed), (NanoUsd(30), 1, 1));
                let tokens = (totals.prompt, totals.cached, totals.cache_write);
                assert_eq!(tokens, (Tokens(14), Tokens(4), Tokens(2)));
                [of.end_user, of.tag, of.team, of.user].map(name).join(" ")
            });
            assert_eq!(rows.collect::<Vec<_>>(), expected);
        }
    }
}
