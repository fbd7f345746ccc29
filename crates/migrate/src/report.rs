//! A plan as it is told: to people in a page, to programs whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::plan::{Finding, Item, Outcome, Place, Plan, Setting};

/// Different things that a page tells of one kind; programs are told all.
const MOST_TOLD: usize = 40;

/// One thing to say, of one row or of many alike.
struct Told<'p> {
    place: &'p Place,
    object: &'p str,
    finding: &'p Finding,
    more: usize,
}

/// For people: what stands where, and what becomes of it.
#[must_use]
pub fn text(settings: &[Setting], plan: Option<&Plan>) -> String {
    let mut out = String::new();
    if let Some(first) = settings.first() {
        let of = |wanted: fn(&Outcome) -> bool| {
            settings.iter().filter(|setting| wanted(&setting.outcome)).count()
        };
        line(
            &mut out,
            &format!(
                "{}: {} settings kept, {} changed, {} not supported",
                first.place.file,
                of(|outcome| matches!(outcome, Outcome::Kept)),
                of(|outcome| matches!(outcome, Outcome::Changed(_))),
                of(|outcome| matches!(outcome, Outcome::Unsupported(_))),
            ),
        );
        let said =
            settings.iter().map(|s| (s.name.as_str(), &s.place, s.name.as_str(), &s.outcome));
        sections(&mut out, said.collect());
    }
    let Some(plan) = plan else { return out };
    if !out.is_empty() {
        out.push('\n');
    }
    counts(&mut out, plan);
    let said = plan.items.iter().map(said);
    let tables = plan.tables.iter().filter_map(|table| {
        Some((table.name.as_str(), table.place.as_ref()?, table.name.as_str(), &table.outcome))
    });
    sections(&mut out, said.chain(tables).collect());
    needless(&mut out, plan);
    if !plan.strange.is_empty() {
        let columns: Vec<_> =
            plan.strange.iter().map(|(table, column)| format!("{table}.{column}")).collect();
        line(&mut out, &format!("Columns that this version does not know: {}", columns.join(", ")));
    }
    if plan.foreign > 0 {
        line(&mut out, &format!("Tables that are not LiteLLM's: {}", plan.foreign));
    }
    out
}

type Said<'p> = (&'p str, &'p Place, &'p str, &'p Outcome);

fn said(item: &Item) -> Said<'_> {
    (item.table, &item.place, &item.object, &item.outcome)
}

/// A line with nothing in it that a terminal would obey: names and aliases hold anything.
fn line(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    out.push('\n');
}

/// Rows by table and outcome.
fn counts(out: &mut String, plan: &Plan) {
    let mut tables: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for item in &plan.items {
        let at = match item.outcome {
            Outcome::Kept => 0,
            Outcome::Changed(_) => 1,
            Outcome::Unsupported(_) => 2,
            Outcome::Needless(_) => 3,
        };
        tables.entry(item.table).or_default()[at] += 1;
    }
    if let Some(version) = &plan.made_by {
        line(out, &format!("A dump of PostgreSQL {version}"));
    }
    let widest = tables.keys().map(|name| name.len()).max().unwrap_or_default().max(5);
    line(out, &format!("{:widest$}     KEPT  CHANGED  NOT SUPPORTED  NOT NEEDED", "TABLE"));
    for (name, [kept, changed, unsupported, needless]) in tables {
        line(out, &format!("{name:widest$} {kept:8} {changed:8} {unsupported:14} {needless:11}"));
    }
}

fn sections(out: &mut String, said: Vec<Said<'_>>) {
    section(out, "Changed", &said, |outcome| match outcome {
        Outcome::Changed(findings) => findings,
        Outcome::Kept | Outcome::Unsupported(_) | Outcome::Needless(_) => &[],
    });
    section(out, "Not supported", &said, |outcome| match outcome {
        Outcome::Unsupported(findings) => findings,
        Outcome::Kept | Outcome::Changed(_) | Outcome::Needless(_) => &[],
    });
}

fn section(out: &mut String, head: &str, said: &[Said<'_>], of: fn(&Outcome) -> &[Finding]) {
    let mut told: Vec<Told<'_>> = Vec::new();
    let mut known: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut rows = 0;
    for (table, place, object, outcome) in said {
        let findings = of(outcome);
        rows += usize::from(!findings.is_empty());
        for finding in findings {
            let alike = (*table, finding.field.as_str(), finding.reason.as_str());
            match known.get(&alike) {
                Some(at) => told[*at].more += 1,
                None => {
                    known.insert(alike, told.len());
                    told.push(Told { place, object, finding, more: 0 });
                }
            }
        }
    }
    if told.is_empty() {
        return;
    }
    line(out, &format!("{head}: {rows}"));
    for Told { place, object, finding, more } in told.iter().take(MOST_TOLD) {
        let field =
            if finding.field.is_empty() { String::new() } else { format!("{}: ", finding.field) };
        let more = if *more == 0 { String::new() } else { format!(" (and {more} more like it)") };
        line(out, &format!("  {}:{}  {object}{more}", place.file, place.line));
        line(out, &format!("      {field}{}", finding.reason));
    }
    if told.len() > MOST_TOLD {
        let more = told.len() - MOST_TOLD;
        line(out, &format!("  and {more} things more; `--output json` tells all"));
    }
}

fn needless(out: &mut String, plan: &Plan) {
    let mut told: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for item in &plan.items {
        if let Outcome::Needless(why) = &item.outcome {
            *told.entry((item.table, why)).or_default() += 1;
        }
    }
    for table in &plan.tables {
        if let Outcome::Needless(why) = &table.outcome {
            *told.entry((&table.name, why)).or_default() += table.rows;
        }
    }
    if !told.is_empty() {
        line(out, "Not needed");
    }
    for ((table, why), rows) in told {
        let noun = if rows == 1 { "row" } else { "rows" };
        line(out, &format!("  {table}, {rows} {noun}: {why}"));
    }
}

/// For programs: everything.
#[must_use]
pub fn json(settings: &[Setting], plan: Option<&Plan>) -> Map<String, Value> {
    let mut told = Map::new();
    let settings = settings.iter().map(|s| entry("setting", &s.name, Some(&s.place), &s.outcome));
    told.insert("settings".to_owned(), settings.collect());
    let Some(plan) = plan else { return told };
    let row = |item: &Item| {
        let mut row = entry("object", &item.object, Some(&item.place), &item.outcome);
        row["table"] = item.table.into();
        row
    };
    told.insert("rows".to_owned(), plan.items.iter().map(row).collect());
    let tables = plan.tables.iter().map(|table| {
        let mut row = entry("table", &table.name, table.place.as_ref(), &table.outcome);
        row["rows"] = table.rows.into();
        row
    });
    told.insert("tables".to_owned(), tables.collect());
    let column = |(table, column): &(String, String)| json!({"table": table, "column": column});
    told.insert("unknown_columns".to_owned(), plan.strange.iter().map(column).collect());
    told.insert("postgres".to_owned(), plan.made_by.clone().into());
    told
}

fn entry(what: &str, name: &str, place: Option<&Place>, outcome: &Outcome) -> Value {
    let listed = |findings: &[Finding]| -> Vec<Value> {
        let one = |finding: &Finding| json!({"field": finding.field, "reason": finding.reason});
        findings.iter().map(one).collect()
    };
    let (word, findings) = match outcome {
        Outcome::Kept => ("kept", Vec::new()),
        Outcome::Changed(findings) => ("changed", listed(findings)),
        Outcome::Unsupported(findings) => ("unsupported", listed(findings)),
        Outcome::Needless(why) => ("needless", vec![json!({"field": "", "reason": why})]),
    };
    let mut entry = json!({what: name, "outcome": word, "findings": findings});
    if let Some(place) = place {
        entry["file"] = place.file.as_ref().into();
        entry["line"] = place.line.into();
    }
    entry
}
