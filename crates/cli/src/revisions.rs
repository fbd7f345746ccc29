//! `dunlin config history`, `show`, `diff` and `rollback`: the revisions of the cluster's config;
//! `get`, `set` and `unset` its settings.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::session::{Answer, Object, Session};
use crate::settings;
use crate::table::{moment, plain, table};
use crate::target::{NamedKey, Target, With};
use crate::terminal::Deed;

const HISTORY: &str = "`dunlin config history` lists the revisions";

/// What can be done with the revisions of a cluster's config, and with its settings.
#[derive(Subcommand, Debug)]
pub enum RevisionCommand {
    /// Show one setting, a section, or the whole config in force, secrets starred out.
    Get(With<settings::GetArgs>),
    /// Change one setting on all nodes at once, as a new revision.
    Set(With<settings::SetArgs>),
    /// Remove one setting, so that its default applies.
    Unset(With<settings::UnsetArgs>),
    /// List the revisions of the cluster's config, newest first.
    History(Target),
    /// Show one revision, secrets starred out [default: the newest].
    Show(With<ShowArgs>),
    /// Show what changed between two revisions, secrets starred out [default: the newest and the
    /// one before].
    Diff(With<DiffArgs>),
    /// Bring back an older revision, on all nodes at once, as a new revision.
    Rollback(With<RollbackArgs>),
}

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The revision's number.
    revision: Option<u64>,
}

#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The older revision.
    from: Option<u64>,
    /// The newer revision.
    to: Option<u64>,
}

#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// The revision to bring back.
    revision: u64,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Deserialize)]
struct History {
    revisions: Vec<Revision>,
}

#[derive(Deserialize)]
struct Revision {
    revision: u64,
    at: String,
    by: String,
    #[serde(default)]
    author: Option<String>,
    source: String,
    copy_of: Option<u64>,
    content_is_kept: bool,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    text: String,
}

#[derive(Deserialize)]
struct Difference {
    from: u64,
    to: u64,
    diff: String,
}

pub(crate) async fn run(command: &RevisionCommand, key: Option<NamedKey>) -> Result {
    match command {
        RevisionCommand::Get(With { own, target }) => settings::get(own, &target.open(key)?).await,
        RevisionCommand::Set(With { own, target }) => settings::set(own, &target.open(key)?).await,
        RevisionCommand::Unset(With { own, target }) => {
            settings::unset(own, &target.open(key)?).await
        }
        RevisionCommand::History(target) => history(&target.open(key)?).await,
        RevisionCommand::Show(With { own, target }) => show(own, &target.open(key)?).await,
        RevisionCommand::Diff(With { own, target }) => diff(own, &target.open(key)?).await,
        RevisionCommand::Rollback(With { own, target }) => rollback(own, &target.open(key)?).await,
    }
}

async fn history(session: &Session) -> Result {
    let answer = session.get("/config/history", &[]).await?;
    let History { revisions } = answer.read()?;
    let rows: Vec<_> = revisions.iter().map(row).collect();
    let text = table([" REVISION", "ACCEPTED", "BY NODE", "AUTHOR", "FROM", "CONTENT"], &rows);
    session.show("dunlin.config.history/1", answer.read()?, &text)
}

fn row(one: &Revision) -> [String; 6] {
    let kept = if one.content_is_kept { "kept" } else { "not kept any more" };
    let content = one.copy_of.map_or(kept.to_owned(), |of| format!("that of revision {of}"));
    let author = one.author.clone().unwrap_or_else(|| "-".to_owned());
    let (at, by, source) = (moment(&one.at), one.by.clone(), one.source.clone());
    [one.revision.to_string(), at, by, author, source, content]
}

async fn show(args: &ShowArgs, session: &Session) -> Result {
    let number = args.revision.map(|number| number.to_string());
    let query: Vec<_> = number.as_deref().map(|number| ("revision", number)).into_iter().collect();
    let answer = known(session.get("/config/revision", &query).await)?;
    let Revision { files, revision, .. } = answer.read()?;
    session.say(&format!("config revision {revision}"));
    let heads = files.len() > 1;
    let text = files.iter().map(|file| {
        let head = if heads { format!("# {}\n", file.path) } else { String::new() };
        head + &lines(&file.text)
    });
    let text: String = text.collect();
    session.show("dunlin.config.revision/1", answer.read()?, &text)
}

/// Of a revision that there is.
fn known(answer: Result<Answer>) -> Result<Answer> {
    answer.map_err(|failure| failure.with_help(Exit::NotFound, HISTORY))
}

async fn diff(args: &DiffArgs, session: &Session) -> Result {
    let [from, to] = [args.from, args.to].map(|number| number.map(|number| number.to_string()));
    let query = [("from", from.as_deref()), ("to", to.as_deref())];
    let query: Vec<_> = query.into_iter().filter_map(|(name, it)| Some((name, it?))).collect();
    let answer = known(session.get("/config/diff", &query).await)?;
    let Difference { from, to, diff } = answer.read()?;
    session.say(&if diff.is_empty() {
        format!("config revisions {from} and {to} are the same")
    } else {
        format!("config revision {to}, against {from}")
    });
    session.show("dunlin.config.diff/1", answer.read()?, &lines(&diff))
}

async fn rollback(args: &RollbackArgs, session: &Session) -> Result {
    let to = args.revision;
    let name = to.to_string();
    known(session.get("/config/revision", &[("revision", &name)]).await)?;
    let what = format!("bring back config revision {to}");
    let warning = "It will be in force on all nodes.";
    Deed { warning, what: &what, name: &name }.confirm(args.yes)?;
    let body = json!({"to": to}).as_object().cloned().unwrap_or_default();
    let answer = session.post("/config/rollback", &body).await?;
    let told: Object = answer.read()?;
    let number = |name: &str| told.get(name).map(ToString::to_string).unwrap_or_default();
    let (revision, before) = (number("revision"), number("before"));
    session.say(&if revision == before {
        format!("revision {revision} already has that content: nothing was changed")
    } else {
        format!("revision {revision} is in force, with the content of revision {to}")
    });
    session.show("dunlin.config.rollback/1", answer.read()?, &format!("{}\n", plain(&revision)))
}

/// A text with its line breaks, and nothing else that a terminal would obey.
fn lines(text: &str) -> String {
    text.lines().map(|line| plain(line) + "\n").collect()
}
