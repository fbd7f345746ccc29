//! What is planned for tables in CSV.

use dunlin_ledger::Calendar;
use dunlin_migrate::{Dump, Options, Plan, plan};
use dunlin_types::UnixMillis;

/// What becomes of them, by their names and texts.
pub(crate) fn planned(tables: &[(&str, &str)]) -> Plan {
    let mut dump = Dump::new();
    for (table, text) in tables {
        let mut reader = dump.csv(table, table);
        for line in text.lines() {
            reader.line(line.as_bytes()).expect("CSV");
        }
        reader.end().expect("a whole table");
    }
    let (now, calendar) = (UnixMillis(0), Calendar::default());
    plan(&dump, &Options { now, calendar, salt: None, master: None, drop_guards: false })
}
