//! The rows of a plan on their way to a cluster, in batches. A batch whose answer is lost is sent
//! again: what is there already stays as it is.

use std::time::Duration;

use dunlin_admin_api::{Imported, ImportedRow, MAX_IMPORT_ROWS};
use dunlin_migrate::{Item, Outcome, Plan, Setting, Way};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::IMPORT;
use crate::failure::{Exit, Failure, Result};
use crate::session::{Answer, Session};
use crate::table::plain;

/// A node takes bodies of a mebibyte.
const MAX_BATCH_BYTES: usize = 768 << 10;
/// A leader that dies has a successor long before that.
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_secs(1);
/// Progress is told each time so many rows are through.
const TELL_EVERY: usize = 10_000;
/// Rows that people are told of one by one.
const MOST_TOLD: usize = 100;

/// A [`dunlin_admin_api::Import`] of rows that are JSON already.
#[derive(Serialize)]
struct Batch<'p> {
    rows: Vec<&'p RawValue>,
    #[serde(flatten)]
    how: How,
}

/// What is done with rows.
#[derive(Clone, Copy, Serialize)]
pub(super) struct How {
    /// Others are replaced.
    pub(super) overwrite: bool,
    /// Nothing is done: it is told what would be.
    pub(super) dry_run: bool,
}

/// What became of the rows.
#[derive(Default)]
pub(super) struct Sent {
    dry_run: bool,
    made: usize,
    unchanged: usize,
    replaced: usize,
    /// By their places in the plan: what became of them, and why.
    conflicts: Vec<(usize, String)>,
    refused: Vec<(usize, String)>,
}

/// Sends every row that moves.
pub(super) async fn all(session: &Session, plan: &Plan, how: How) -> Result<Sent> {
    let mut sent = Sent { dry_run: how.dry_run, ..Sent::default() };
    let mut told = 0;
    let (mut rows, mut posts) = (Vec::new(), Vec::new());
    for (at, item) in plan.items.iter().enumerate() {
        match &item.way {
            Some(Way::Import(row)) => rows.push((at, row.as_ref())),
            Some(Way::Post(path, body)) => posts.push((at, *path, body.as_ref())),
            None => {}
        }
    }
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(_, row): &&(usize, &RawValue)| {
            bytes += row.get().len() + 1;
            bytes <= MAX_BATCH_BYTES
        };
        // One that is too long alone is refused with the reason.
        let many = rest.iter().take(MAX_IMPORT_ROWS).take_while(fits).count().max(1);
        let (batch, behind) = rest.split_at(many);
        rest = behind;
        let values: Vec<&RawValue> = batch.iter().map(|(_, row)| *row).collect();
        let body = Batch { rows: values, how };
        let answer = until_decided(session, IMPORT, &body).await.inspect_err(|_| {
            let done = rows.len() - rest.len() - batch.len();
            session.say(&format!(
                "{done} of {} rows were sent; run the same command to continue",
                rows.len()
            ));
        })?;
        let imported: Imported = answer.read()?;
        if imported.rows.len() != batch.len() {
            return Err(Failure::here("a node's answer is for other rows than were sent"));
        }
        let done = rows.len() - rest.len();
        if done - told >= TELL_EVERY && !rest.is_empty() {
            told = done;
            session.say(&format!("{done} of {} rows", rows.len()));
        }
        for ((at, _), outcome) in batch.iter().zip(imported.rows) {
            match outcome {
                ImportedRow::Made => sent.made += 1,
                ImportedRow::Unchanged => sent.unchanged += 1,
                ImportedRow::Replaced => sent.replaced += 1,
                ImportedRow::Conflict(why) => sent.conflicts.push((*at, why)),
                ImportedRow::Refused(why) => sent.refused.push((*at, why)),
            }
        }
    }
    for (at, path, body) in posts {
        match &plan.items[at].outcome {
            _ if !how.dry_run => sent.post(session, (at, path), body).await?,
            Outcome::Unsupported(findings) => {
                let reasons: Vec<_> = findings.iter().map(|found| &*found.reason).collect();
                sent.refused.push((at, reasons.join("; ")));
            }
            Outcome::Kept | Outcome::Changed(_) | Outcome::Needless(_) => sent.made += 1,
        }
    }
    Ok(sent)
}

async fn until_decided(session: &Session, path: &str, body: &impl Serialize) -> Result<Answer> {
    let mut attempt = 1;
    loop {
        let failure = match session.post_repeatable(path, body).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let passing = matches!(failure.exit, Exit::Unavailable | Exit::OutcomeUnknown);
        if !passing || attempt == ATTEMPTS {
            return Err(failure);
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

impl Sent {
    /// Creates a model or a credential. One that already exists stays, whoever created it: its
    /// secrets cannot be compared.
    async fn post(
        &mut self,
        session: &Session,
        (at, path): (usize, &str),
        body: &RawValue,
    ) -> Result {
        match until_decided(session, path, &body).await {
            Ok(_) => self.made += 1,
            Err(failure) => match failure.exit {
                Exit::Conflict => self.unchanged += 1,
                Exit::Failed | Exit::Usage | Exit::NotFound => {
                    self.refused.push((at, failure.message));
                }
                Exit::Done
                | Exit::Unauthorised
                | Exit::Unavailable
                | Exit::OutcomeUnknown
                | Exit::ProblemsFound => return Err(failure),
            },
        }
        Ok(())
    }

    /// A conflict beats what is left out, which beats that all is done.
    pub(super) fn exit(&self, left_out: Exit) -> Exit {
        if !self.conflicts.is_empty() {
            Exit::Conflict
        } else if !self.refused.is_empty() {
            Exit::ProblemsFound
        } else {
            left_out
        }
    }

    pub(super) fn show(&self, session: &Session, plan: &Plan, settings: &[Setting]) -> Result {
        let Self { dry_run, made, unchanged, replaced, conflicts, refused } = self;
        let head = if *dry_run { "Nothing was changed. The result would be: " } else { "" };
        let mut text = format!(
            "{head}{made} rows created, {unchanged} already there, {replaced} replaced, {} in \
             conflict, {} refused\n",
            conflicts.len(),
            refused.len(),
        );
        let left =
            |item: &&Item| matches!(item.outcome, Outcome::Unsupported(_)) && item.way.is_none();
        let left = plan.items.iter().filter(left).count();
        if left > 0 {
            text += &format!("{left} rows are not supported; run without --apply to list them\n");
        }
        for (head, rows) in [("In conflict with existing rows", conflicts), ("Refused", refused)] {
            if !rows.is_empty() {
                text += &format!("{head}: {}\n", rows.len());
            }
            for (at, why) in rows.iter().take(MOST_TOLD) {
                let Item { place, object, .. } = &plan.items[*at];
                text += &plain(&format!("  {}:{}  {object}: {why}", place.file, place.line));
                text.push('\n');
            }
            if rows.len() > MOST_TOLD {
                text += &format!("  and {} more\n", rows.len() - MOST_TOLD);
            }
        }
        let told = |rows: &[(usize, String)]| -> Vec<Value> {
            let one = |(at, why): &(usize, String)| {
                let Item { table, place, object, .. } = &plan.items[*at];
                json!({"table": table, "file": place.file.as_ref(), "line": place.line,
                    "object": object, "reason": why})
            };
            rows.iter().map(one).collect()
        };
        let counts = [("made", made), ("unchanged", unchanged), ("replaced", replaced)];
        let mut json: Map<String, Value> =
            counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
        if *dry_run {
            // The models of the config file are asked about, too.
            text += &format!("\n{}", dunlin_migrate::text(settings, None));
            json.append(&mut dunlin_migrate::json(settings, None));
        }
        json.insert("dry_run".to_owned(), json!(dry_run));
        json.insert("conflicts".to_owned(), told(conflicts).into());
        json.insert("refused".to_owned(), told(refused).into());
        session.show("dunlin.imported/1", json, &text)
    }
}
