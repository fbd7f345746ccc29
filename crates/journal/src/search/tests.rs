//! A search against what reading everything would find.

use std::cell::Cell;
use std::sync::Arc;

use dunlin_types::{KeyDigest, NanoUsd, Tokens};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::filter::Filter;
use crate::{Filters, Outcome, Payer, frame, index};

/// Segments with an index on disk, but for the last.
fn shelf(dir: &TempDir, node: u64, records: &[SpendRecord]) -> Shelf {
    let folder = dir.path().join(node.to_string());
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut segments = Vec::new();
    for (number, records) in records.chunks(700).enumerate() {
        let first = number as u64 * 700 + 1;
        let mut segment = Segment::new((Epoch(1), first));
        let (mut words, mut bytes) = (Filter::default(), frame::HEAD.to_vec());
        for record in records {
            let frame = frame::encode(record).expect("short");
            segment.add(record, frame.len());
            words.add(&index::words(record));
            bytes.extend(frame);
        }
        std::fs::write(segment.path(&folder), bytes).expect("writes");
        if records.len() == 700 {
            segment.write_index(&folder, &words).expect("writes");
        }
        segments.push(Arc::new(segment));
    }
    Shelf { node: NodeId(node), dir: folder, segments }
}

fn record(number: u64, started: u64) -> SpendRecord {
    SpendRecord {
        key: (!number.is_multiple_of(3)).then(|| KeyDigest::of(&format!("sk-{}", number % 7))),
        started: UnixMillis(started),
        ended: UnixMillis(started + number % 50),
        cost: NanoUsd(number % 11),
        prompt: Tokens(number % 5),
        model: format!("m{}", number % 2),
        call_id: format!("call-{number}"),
        answer_id: number.is_multiple_of(2).then(|| format!("chatcmpl-{number}")),
        outcome: if number.is_multiple_of(13) { Outcome::Failure } else { Outcome::Success },
        ..SpendRecord::default()
    }
}

/// Two nodes' records, in an order in which they may have ended, with equal times among them.
fn shelves(dir: &TempDir) -> (Vec<Shelf>, Vec<Row>) {
    let (mut shelves, mut rows) = (Vec::new(), Vec::new());
    for node in [1, 2] {
        let records: Vec<_> = (1..=1_500_u64)
            .map(|number| record(number, 1_000 + number - (number * 7919 + node) % 400))
            .collect();
        for (number, record) in (1..).zip(&records) {
            let (started, epoch) = (record.started, Epoch(1));
            let at = Position { started, node: NodeId(node), epoch, number };
            rows.push(Row { at, record: record.clone() });
        }
        shelves.push(shelf(dir, node, &records));
    }
    (shelves, rows)
}

fn places(rows: &[Row]) -> Vec<Position> {
    rows.iter().map(|row| row.at).collect()
}

/// By reading everything.
fn plain(all: &[Row], query: &Query) -> Vec<Position> {
    let mut rows: Vec<_> =
        all.iter().filter(|row| query.filters.wants(&row.record)).cloned().collect();
    rows.sort_by_key(|row| (query.order.rank(&row.record), row.at));
    if !query.ascending {
        rows.reverse();
    }
    places(&rows)
}

fn filters() -> impl Strategy<Value = Filters> {
    let id = prop::option::weighted(
        0.2,
        (1..1600_u64, any::<bool>()).prop_map(|(number, call)| {
            if call { format!("call-{number}") } else { format!("chatcmpl-{number}") }
        }),
    );
    let payer = prop::option::weighted(
        0.3,
        (0..9_u64).prop_map(|number| match number {
            8 => Payer::Master,
            number => Payer::Key(KeyDigest::of(&format!("sk-{number}"))),
        }),
    );
    let time = || prop::option::weighted(0.3, (500..2600_u64).prop_map(UnixMillis));
    let model = prop::option::weighted(0.3, (0..3_u64).prop_map(|number| format!("m{number}")));
    let failed = prop::option::weighted(0.2, any::<bool>());
    (id, payer, time(), time(), model, failed).prop_map(
        |(id, payer, from, before, model, failed)| Filters {
            id,
            payer,
            from,
            before,
            model,
            failed,
            ..Filters::default()
        },
    )
}

#[test]
fn pages_are_what_reading_everything_finds_in_every_order() {
    let dir = TempDir::new().expect("a folder");
    let (shelves, all) = shelves(&dir);
    const ORDERS: &[Order] = &[
        Order::Started,
        Order::Started,
        Order::Ended,
        Order::Duration,
        Order::Cost,
        Order::Tokens,
    ];
    let orders = prop::sample::select(ORDERS);
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() };
    proptest!(config, |(filters in filters(), order in orders, ascending: bool, limit in 1..400_usize)| {
        let mut query = Query { filters, order, ascending, limit, count: true, ..Query::default() };
        let expected = plain(&all, &query);
        let found = search(&shelves, &query, &|| false).expect("reads");
        prop_assert_eq!(found.counts.values().sum::<u64>(), expected.len() as u64);
        prop_assert!(found.counted_all);
        prop_assert_eq!(places(&found.rows), &expected[..limit.min(expected.len())]);
        if order == Order::Started {
            let (mut seen, mut reached) = (places(&found.rows), found.reached);
            query.count = false;
            while let Some(after) = reached {
                query.after = Some(after);
                let next = search(&shelves, &query, &|| false).expect("reads");
                prop_assert!(next.reached.is_none() || next.reached != Some(after));
                seen.extend(places(&next.rows));
                reached = next.reached;
            }
            prop_assert_eq!(seen, expected);
        }
    });
}

#[test]
fn a_search_that_runs_out_of_time_says_how_far_it_came_and_can_go_on() {
    let dir = TempDir::new().expect("a folder");
    let (shelves, all) = shelves(&dir);
    for ascending in [false, true] {
        let filters = Filters { model: Some("m1".to_owned()), ..Filters::default() };
        let mut query = Query { filters, ascending, limit: 5_000, ..Query::default() };
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let looks = Cell::new(0);
            let expired = || looks.replace(looks.get() + 1) >= 3;
            let found = search(&shelves, &query, &expired).expect("reads");
            let reached = found.reached;
            let sure = |row: &&Row| {
                reached.is_none_or(|at| if ascending { row.at <= at } else { row.at >= at })
            };
            seen.extend(found.rows.iter().filter(sure).map(|row| row.at));
            pages += 1;
            let Some(reached) = reached else { break };
            query.after = Some(reached);
        }
        assert!(pages > 2, "{pages} pages");
        assert_eq!(seen, plain(&all, &query), "ascending: {ascending}");
    }
}

#[test]
fn an_answer_is_bounded_in_bytes_and_what_was_said_comes_only_if_it_is_asked_for() {
    let dir = TempDir::new().expect("a folder");
    let said = crate::Said { request: "x".repeat(200_000), answer: String::new() };
    let records: Vec<_> = (1..=100)
        .map(|number| SpendRecord { said: Some(Box::new(said.clone())), ..record(number, number) })
        .collect();
    let shelf = [shelf(&dir, 1, &records)];
    let query = Query { limit: 100, said: true, ..Query::default() };
    let found = search(&shelf, &query, &|| false).expect("reads");
    assert!((10..100).contains(&found.rows.len()), "{} rows", found.rows.len());
    assert_eq!(found.reached, found.rows.last().map(|row| row.at));
    assert!(found.rows[0].record.said.is_some());
    let plain = search(&shelf, &Query { said: false, ..query }, &|| false).expect("reads");
    assert!(plain.rows.iter().all(|row| row.record.said.is_none()));
}
