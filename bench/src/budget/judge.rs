//! Which refusals were false: the money that a request needed was there and free, on nodes that were
//! connected, all the time that it might have been given.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::rush::{Asked, Outcome};
use crate::spend::nano;

/// Refusals that are told word for word.
const MOST_TOLD: usize = 8;
/// So long a request waits before it may be refused.
const WAITS: Duration = Duration::from_millis(500);

/// Says how many were refused and how many of these for no reason, by two judges: what all clients
/// saw, and what each refusal says itself.
pub(super) fn judge(asked: &[Asked], limit: u64, withheld: u64) -> String {
    let refused = asked.iter().filter_map(|asked| {
        let Outcome::Refused { status: 422, words } = &asked.outcome else { return None };
        Some((asked, words.as_str()))
    });
    let refused: Vec<(&Asked, &str)> = refused.collect();
    let fits = |asked: &Asked, used: u64| used + withheld + asked.most <= limit;
    let (by_clients, by_words): (Vec<_>, Vec<_>) = (
        refused.iter().filter(|(one, _)| fits(one, most_used(asked, one))).collect(),
        refused.iter().filter(|(one, words)| told(words).is_none_or(|t| fits(one, t))).collect(),
    );
    let mut text = format!(
        "{}; false by what clients saw: {}, by their own words: {}",
        refused.len(),
        by_clients.len(),
        by_words.len()
    );
    for (one, words) in by_clients.into_iter().chain(by_words).take(MOST_TOLD) {
        write!(text, "\n  {} for {} nano-dollars at most: {words}", one.id, one.most)
            .expect("writing to a String cannot fail");
    }
    text
}

/// What a refusal says was spent and held when it was made.
fn told(words: &str) -> Option<u64> {
    let (_, rest) = words.split_once("Current cost: ")?;
    let (cost, rest) = rest.split_once(", Max budget: ")?;
    let (before, _) = rest.split_once(" is held by requests").unwrap_or_default();
    let held = before.rsplit_once('$').map_or("0", |(_, held)| held);
    Some(nano(cost.parse().ok()?) + nano(held.parse().ok()?))
}

/// The most that was spent and held at any moment at which `refused` may have been decided on: of
/// each request that was not refused all that may have been held, from when it was sent, and what it
/// cost, from when it was answered.
fn most_used(asked: &[Asked], refused: &Asked) -> u64 {
    let from = (refused.sent + WAITS).min(refused.ended);
    let within = |at: &Instant| (from..=refused.ended).contains(at);
    let moments = asked.iter().map(|asked| asked.sent).filter(within).chain([from]);
    moments.map(|at| used(asked, at)).max().unwrap_or_default()
}

fn used(asked: &[Asked], at: Instant) -> u64 {
    let of = |asked: &Asked| match asked.outcome {
        Outcome::Answered(cost) if asked.ended < at => cost,
        Outcome::Answered(_) | Outcome::Broken(_) | Outcome::Wrong(_) => asked.most,
        Outcome::Refused { .. } | Outcome::Undecided(_) | Outcome::Unreached(_) => 0,
    };
    asked.iter().filter(|asked| asked.sent <= at).map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_refusal_is_false_if_there_was_room_for_it_all_the_time() {
        let began = clock::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let asked = |id: &str, most: u64, (sent, ended): (u64, u64), outcome: Outcome| {
            let (sent, ended) = (at(sent), at(ended));
            Asked { id: id.to_owned(), node: 0, most, sent, ended, outcome }
        };
        let refused = |told: u64| {
            let words = format!(
                "Current cost: 0.{:09}, Max budget: 1. $0.000000010 is held by requests under way",
                told - 10
            );
            Outcome::Refused { status: 422, words }
        };
        let check = |limit: u64, withheld: u64, (clients, words): (usize, usize)| {
            let all = [
                asked("held", 60, (0, 2_000), Outcome::Answered(10)),
                asked("early", 50, (0, 600), refused(60)),
                asked("late", 50, (2_100, 2_700), refused(10)),
                asked("none", 50, (0, 600), Outcome::Undecided(String::new())),
            ];
            let expected =
                format!("2; false by what clients saw: {clients}, by their own words: {words}");
            let judged = judge(&all, limit, withheld);
            assert_eq!(judged.lines().next(), Some(&*expected));
            assert_eq!(judged.lines().count(), 1 + clients + words);
        };
        check(59, 0, (0, 0));
        check(100, 0, (1, 1));
        check(100, 50, (0, 0));
        check(110, 0, (2, 2));
    }
}
