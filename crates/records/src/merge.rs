//! One answer from those of several nodes. A record that several have is told once; behind a place
//! from which one of them may know more, nothing is told yet.

use std::collections::BTreeMap;

use dunlin_journal::{Found, Order, Query};

pub(crate) fn merge(query: &Query, answers: Vec<Found>) -> Found {
    let reached = answers.iter().filter_map(|found| found.reached);
    let reached = if query.ascending { reached.min() } else { reached.max() };
    let mut merged = Found { reached, counted_all: true, ..Found::default() };
    let mut rows = BTreeMap::new();
    for found in answers {
        merged.counted_all &= found.counted_all;
        for (node, count) in found.counts {
            // Who holds a copy of a part counts that part only.
            let known = merged.counts.entry(node).or_default();
            *known = count.max(*known);
        }
        for row in found.rows {
            rows.insert((query.order.rank(&row.record), row.at), row);
        }
    }
    let in_order = rows.into_values();
    merged.rows = if query.ascending { in_order.collect() } else { in_order.rev().collect() };
    if query.order == Order::Started
        && let Some(reached) = reached
    {
        let is_behind = |at| if query.ascending { at > reached } else { at < reached };
        merged.rows.retain(|row| !is_behind(row.at));
    }
    if merged.rows.len() > query.limit {
        merged.rows.truncate(query.limit);
        if query.order == Order::Started {
            merged.reached = merged.rows.last().map(|row| row.at);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dunlin_journal::{Position, Row, SpendRecord};
    use dunlin_types::{Epoch, NanoUsd, NodeId, UnixMillis};

    use super::*;

    fn row(node: u64, number: u64, started: u64) -> Row {
        let started = UnixMillis(started);
        let at = Position { started, node: NodeId(node), epoch: Epoch(1), number };
        Row { at, record: SpendRecord { started, cost: NanoUsd(number), ..SpendRecord::default() } }
    }

    fn found(rows: &[Row], reached: Option<&Row>) -> Found {
        let reached = reached.map(|row| row.at);
        Found { rows: rows.to_vec(), reached, counts: BTreeMap::new(), counted_all: true }
    }

    fn numbers(found: &Found) -> Vec<(u64, u64)> {
        found.rows.iter().map(|row| (row.at.node.0, row.at.number)).collect()
    }

    #[test]
    fn a_record_that_two_nodes_have_is_told_once_and_in_order() {
        let query = Query { limit: 10, ..Query::default() };
        let one = found(&[row(1, 2, 40), row(1, 1, 10)], None);
        let other = found(&[row(2, 1, 30), row(1, 1, 10)], None);
        let merged = merge(&query, vec![one, other]);
        assert_eq!(numbers(&merged), [(1, 2), (2, 1), (1, 1)]);
        assert_eq!(merged.reached, None);
    }

    #[test]
    fn nothing_is_told_from_behind_where_a_node_stopped() {
        for ascending in [false, true] {
            let query = Query { limit: 10, ascending, ..Query::default() };
            // The first one has more behind its last row; the other one's last row lies behind that.
            let (mut one, mut other) =
                ([row(1, 3, 50), row(1, 2, 40)], [row(2, 2, 45), row(2, 1, 20)]);
            if ascending {
                one = [row(1, 1, 10), row(1, 2, 20)];
                other = [row(2, 1, 15), row(2, 2, 60)];
            }
            let merged = merge(&query, vec![found(&one, Some(&one[1])), found(&other, None)]);
            assert_eq!(merged.rows.len(), 3, "{ascending}");
            assert_eq!(merged.reached, Some(one[1].at));
            assert!(merged.rows.iter().all(|row| row.at != other[1].at));
        }
    }

    #[test]
    fn what_is_more_than_was_asked_for_comes_with_the_next_page() {
        let query = Query { limit: 2, ..Query::default() };
        let rows = [row(1, 3, 50), row(1, 2, 40), row(1, 1, 30)];
        let merged = merge(&query, vec![found(&rows[..1], None), found(&rows[1..], None)]);
        assert_eq!(numbers(&merged), [(1, 3), (1, 2)]);
        assert_eq!(merged.reached, Some(rows[1].at));
    }

    #[test]
    fn another_order_is_kept_and_of_several_counts_the_highest_is_told() {
        let query = Query { limit: 2, order: Order::Cost, ..Query::default() };
        let mut one = found(&[row(1, 1, 90), row(1, 5, 10)], None);
        let mut other = found(&[row(2, 3, 20)], None);
        one.counts.insert(NodeId(3), 4);
        other.counts = BTreeMap::from([(NodeId(3), 7), (NodeId(2), 1)]);
        let merged = merge(&query, vec![one, other]);
        assert_eq!(numbers(&merged), [(1, 5), (2, 3)]);
        assert_eq!((merged.reached, merged.counts.values().sum::<u64>()), (None, 8));
    }
}
