//! `dunlin log follow`: requests as they end.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::filters::{Filters, PAGE};
use super::row::{Row, lines};
use crate::failure::{Failure, Result};
use crate::output::Format;
use crate::session::Session;

/// How often the cluster is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Pages that are read back at a time: who serves more in a second than fits is told so.
const MAX_PAGES: usize = 10;
/// Requests that are known to have been shown: of those that began before as many others have, none
/// is shown.
const MAX_KNOWN: usize = 10_000;

#[derive(Args, Debug)]
pub struct FollowArgs {
    #[command(flatten)]
    filters: Filters,
    /// How many of the newest requests to show first.
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value_t = 10,
        allow_negative_numbers = true
    )]
    last: usize,
}

type Place = (String, u64, u64);

#[derive(Default)]
struct Known {
    places: BTreeSet<Place>,
    order: VecDeque<Place>,
}

impl Known {
    /// Whether it is the first time.
    fn learn(&mut self, place: Place) -> bool {
        let is_new = self.places.insert(place.clone());
        if is_new {
            self.order.push_back(place);
            if self.order.len() > MAX_KNOWN
                && let Some(oldest) = self.order.pop_front()
            {
                self.places.remove(&oldest);
            }
        }
        is_new
    }
}

pub(super) async fn run(args: &FollowArgs, session: &Session) -> Result {
    let mut known = Known::default();
    let (mut first, mut said) = (true, None);
    loop {
        let mut rows = Vec::new();
        let mut cursor = None::<String>;
        for page in 1..=MAX_PAGES {
            let (all, told) = args.filters.page(session, cursor.as_deref(), PAGE).await?;
            let before = rows.len();
            rows.extend(all.into_iter().filter(|row| known.learn(row.place())));
            let lacks = told.lacks();
            if lacks != said {
                lacks.iter().for_each(|lacks| session.say(lacks));
                said = lacks;
            }
            cursor = told.next_cursor;
            if first || rows.len() < before + PAGE || cursor.is_none() {
                break;
            }
            if page == MAX_PAGES {
                session.say("note: some requests are not shown: there were too many at once");
            }
        }
        if first {
            rows.truncate(args.last);
        }
        rows.reverse();
        show(session, &rows, first)?;
        first = false;
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn show(session: &Session, rows: &[Row], first: bool) -> Result {
    let text = match session.output.format {
        Format::Json => {
            let line = |row: &Row| format!("{}\n", Value::Object(row.json.clone()));
            rows.iter().map(line).collect()
        }
        Format::Table if first => lines(rows),
        // The head stands above them.
        Format::Table => {
            lines(rows).split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
        }
    };
    crate::print(&text).map_err(|error| Failure::unwritten(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_once_and_few_are_kept_in_mind() {
        let mut known = Known::default();
        let place = |number| ("n".to_owned(), 1, number);
        for number in 0..20_000 {
            assert!(known.learn(place(number)), "{number} is new");
            assert!(!known.learn(place(number)), "{number} is known");
        }
        assert_eq!((known.places.len(), known.order.len()), (MAX_KNOWN, MAX_KNOWN));
    }
}
