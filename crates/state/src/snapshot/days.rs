//! The daily totals as they are stored: names once, rows as plain numbers.

use dunlin_types::{NanoUsd, Tokens};
use serde::{Deserialize, Serialize};

use crate::command::{Day, Facets, Kind, Totals};
use crate::days::{Days, Rows, Symbol};

/// All of them.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DaysRow {
    next: u32,
    /// Symbol, text, the last day on which a row had it.
    names: Vec<(u32, String, Day)>,
    aliases: Vec<(Option<Kind>, u32, String)>,
    days: Vec<(Day, Vec<Row>)>,
}

/// End user, tag, key, team, user, organization, group, model, provider, call; then cost, tokens of
/// prompts, cached, written to a cache, of answers, requests answered, not answered.
type Row = ([u32; 10], [u64; 7]);

impl DaysRow {
    /// None when there is nothing to store.
    pub(crate) fn of(days: &Days) -> Option<Self> {
        let names = days.names.by_symbol.iter();
        let aliases = days.aliases.iter();
        let by_day = days.days.iter();
        let row = Self {
            next: days.names.next.0,
            names: names.map(|(symbol, (text, day))| (symbol.0, text.to_string(), *day)).collect(),
            aliases: aliases
                .map(|((kind, symbol), alias)| (*kind, symbol.0, alias.to_string()))
                .collect(),
            days: by_day
                .map(|(day, rows)| (*day, rows.rows.iter().map(to_numbers).collect()))
                .collect(),
        };
        let is_new = days.names.next == Days::default().names.next;
        (!is_new || !row.days.is_empty()).then_some(row)
    }

    pub(crate) fn into_days(self) -> Days {
        let mut days = Days::default();
        days.names.next = Symbol(self.next);
        for (symbol, text, day) in self.names {
            days.names.put(Symbol(symbol), text.into(), day);
        }
        for (kind, symbol, alias) in self.aliases {
            days.aliases.insert((kind, Symbol(symbol)), alias.into());
        }
        for (day, numbers) in self.days {
            let mut rows = Rows::default();
            for (of, totals) in numbers.into_iter().map(of_numbers) {
                rows.insert(of, totals);
            }
            days.days.insert(day, rows);
        }
        days
    }
}

fn to_numbers((of, totals): (&Facets<Symbol>, &Totals)) -> Row {
    let Facets { end_user, tag, key, team, user, organization, group, model, provider, call } = *of;
    let of = [end_user, tag, key, team, user, organization, group, model, provider, call];
    let Totals { cost, prompt, cached, cache_write, completion, successful, failed } = *totals;
    let totals = [cost.0, prompt.0, cached.0, cache_write.0, completion.0, successful, failed];
    (of.map(|symbol| symbol.0), totals)
}

fn of_numbers((of, totals): Row) -> (Facets<Symbol>, Totals) {
    let [end_user, tag, key, team, user, organization, group, model, provider, call] =
        of.map(Symbol);
    let of = Facets { end_user, tag, key, team, user, organization, group, model, provider, call };
    let [cost, prompt, cached, cache_write, completion, successful, failed] = totals;
    let totals = Totals {
        cost: NanoUsd(cost),
        prompt: Tokens(prompt),
        cached: Tokens(cached),
        cache_write: Tokens(cache_write),
        completion: Tokens(completion),
        successful,
        failed,
    };
    (of, totals)
}
