//! `dunlin migrate litellm`: reports what of a LiteLLM installation moves here, before anything is
//! done; with `--apply` the rows of its database are imported. What was imported stays: the same
//! command, run again, continues where it ended.

mod files;
mod send;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dunlin_admin_api::RawJson;
use dunlin_migrate::{Finding, Item, Options, Outcome, Plan, Setting, Way};
use dunlin_types::Secret;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::session::Session;
use crate::target::{NamedKey, Target};

/// Where rows are imported.
pub const IMPORT: &str = "/dunlin/import";

/// The gateway to migrate from.
#[derive(Subcommand, Debug)]
pub enum MigrateCommand {
    /// Migrate from LiteLLM: its config file and a dump of its database. Reports what is kept,
    /// changed and not supported. Changes nothing without --apply.
    Litellm(Box<Litellm>),
}

/// What moves, and where to.
#[derive(Args, Debug)]
pub struct Litellm {
    /// LiteLLM's config file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A dump of its database in plain SQL, optionally gzipped:
    /// `pg_dump "$DATABASE_URL" > dump.sql`. Or CSV files with column names, each named for its
    /// table, or a folder of them.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    dump: Vec<PathBuf>,
    /// A file with LiteLLM's salt key. Default: LITELLM_SALT_KEY, else the master key.
    #[arg(long, value_name = "FILE")]
    salt_key_file: Option<PathBuf>,
    /// Import the rows of the dump into the cluster at --url, with its master key.
    #[arg(long, requires = "dump")]
    apply: bool,
    /// Ask the cluster at --url what would happen to each row, and change nothing.
    #[arg(long, requires = "dump", conflicts_with = "apply")]
    check: bool,
    /// Replace the cluster's rows, including their spend, by differing rows of the dump.
    #[arg(long, requires = "dump")]
    overwrite: bool,
    /// Import keys, teams and users with guards that this version does not enforce (guardrails,
    /// rights on MCP servers, ...) without those guards.
    #[arg(long)]
    drop_guards: bool,
    #[command(flatten)]
    target: Target,
}

/// What is known before the dump is read.
pub struct Known {
    /// The settings of the config file.
    pub settings: Vec<Setting>,
    /// Whether the config file can be served as it is.
    pub servable: bool,
    /// Whether it names a database.
    pub names_database: bool,
    /// By what the dump is judged.
    pub options: Options,
    /// What is in the way of all that would be sent, each with its path, in this order, to a cluster of
    /// the config file: as many lists as were asked about.
    pub judge: Judge,
}

/// Judges what would be sent.
pub type Judge = Box<dyn Fn(&[(&str, Value)]) -> Vec<Vec<String>>>;

impl Litellm {
    /// LiteLLM's config file.
    #[must_use]
    pub fn config(&self) -> &std::path::Path {
        &self.config
    }
}

/// Tells what moves, and moves it if that was asked for. `keys` as in [`crate::run`].
#[must_use]
pub fn migrate(args: &Litellm, known: Known, keys: Vec<(&'static str, Secret)>) -> Exit {
    let key = keys.into_iter().next().map(|(variable, key)| NamedKey::of(variable, key));
    crate::block_on(run(args, known, key))
}

async fn run(args: &Litellm, known: Known, key: Option<NamedKey>) -> Result<Exit> {
    let session = args.target.open(key)?;
    let mut options = known.options.clone();
    if let Some(file) = &args.salt_key_file {
        options.salt = Some(NamedKey::of_file(file)?.key);
    }
    options.drop_guards = args.drop_guards;
    let mut plan = if args.dump.is_empty() {
        None
    } else {
        let dump = files::read(&args.dump)?;
        Some(dunlin_migrate::plan(&dump, &options))
    };
    // Where it is done, the nodes judge.
    if let Some(plan) = plan.as_mut().filter(|_| !args.apply) {
        judge(plan, &known.judge, !args.check);
    }
    let leaves_out = !known.servable || plan.as_ref().is_some_and(Plan::leaves_out);
    let problems = if leaves_out { Exit::ProblemsFound } else { Exit::Done };
    match plan.as_ref().filter(|_| args.apply || args.check) {
        Some(plan) => {
            let (overwrite, dry_run) = (args.overwrite, args.check);
            let sent = send::all(&session, plan, send::How { overwrite, dry_run }).await?;
            sent.show(&session, plan, &known.settings)?;
            Ok(sent.exit(problems))
        }
        None => {
            tell(&session, &known, plan.as_ref())?;
            Ok(problems)
        }
    }
}

/// Marks what a node would refuse; with `rows`, also of those that are imported.
fn judge(plan: &mut Plan, judge: &Judge, rows: bool) {
    let posts = plan.items.iter().enumerate().filter_map(|(at, item)| match &item.way {
        Some(Way::Post(path, body)) => Some((at, *path, body)),
        Some(Way::Import(row)) if rows => Some((at, IMPORT, row)),
        Some(Way::Import(_)) | None => None,
    });
    let read = |body: &RawJson| serde_json::from_str(body.get()).expect("it was written as JSON");
    let posts: Vec<_> = posts.map(|(at, path, body)| (at, (path, read(body)))).collect();
    let (places, posts): (Vec<usize>, Vec<(&str, Value)>) = posts.into_iter().unzip();
    for (at, problems) in places.into_iter().zip(judge(&posts)) {
        let finding = |reason| Finding { field: String::new(), reason };
        let findings: Vec<_> = problems.into_iter().map(finding).collect();
        if !findings.is_empty() {
            plan.items[at].outcome = Outcome::Unsupported(findings);
        }
    }
}

/// What would move.
fn tell(session: &Session, known: &Known, plan: Option<&Plan>) -> Result {
    let text = dunlin_migrate::text(&known.settings, plan);
    let mut told = dunlin_migrate::json(&known.settings, plan);
    told.insert("servable".to_owned(), json!(known.servable));
    session.show("dunlin.migrate/1", told, &text)?;
    if !known.servable {
        session.say("the config file has errors; for all of them: `dunlin config check FILE`");
    }
    match plan {
        None if known.names_database => session.say(
            "the database was not examined: run `pg_dump --no-owner \"$DATABASE_URL\" > dump.sql`, \
             then add `--dump dump.sql`",
        ),
        None => {}
        Some(plan) => {
            let moves = |item: &&Item| {
                item.way.is_some() && !matches!(item.outcome, Outcome::Unsupported(_))
            };
            let rows = plan.items.iter().filter(moves).count();
            session.say(&format!(
                "nothing was changed; --apply imports {rows} rows into the cluster at --url, \
                 --check asks it what would happen to them"
            ));
        }
    }
    Ok(())
}

fn unreadable(what: &str, help: &'static str) -> Failure {
    Failure::usage(what, help)
}
