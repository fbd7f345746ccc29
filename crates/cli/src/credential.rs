//! `dunlin credential`: values shared by models, such as a provider's key and address.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::model::{pair, segment};
use crate::session::{Answer, Object, Session};
use crate::table::{plain, table};
use crate::target::{NamedKey, Target, With};
use crate::terminal::Deed;

/// A longer file is not one of values.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What can be done with credentials.
#[derive(Subcommand, Debug)]
pub enum CredentialCommand {
    /// List credentials, secrets starred out.
    #[command(visible_alias = "ls")]
    List(Target),
    /// Show one credential, secrets starred out.
    #[command(visible_alias = "show")]
    Info(With<NameArgs>),
    /// Create a credential.
    Create(With<ValueArgs>),
    /// Change the given fields and keep the rest.
    Update(With<ValueArgs>),
    /// Delete a credential that no model needs.
    #[command(visible_alias = "rm")]
    Delete(With<DeleteArgs>),
}

#[derive(Args, Debug)]
pub struct NameArgs {
    /// Its name.
    name: String,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Its name.
    name: String,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Args, Debug)]
pub struct ValueArgs {
    /// Its name.
    name: String,
    /// A file with the values as a JSON object, such as {"api_key": "..."}; `-` for stdin. There is
    /// no flag for secrets, because every user of a machine can see the flags of its processes.
    #[arg(long, value_name = "FILE")]
    values_file: Option<PathBuf>,
    /// A value that is not secret, such as api_base=https://...
    #[arg(long = "value", value_name = "NAME=VALUE", value_parser = pair)]
    values: Vec<(String, Value)>,
    /// Information about it, such as description=...
    #[arg(long = "info", value_name = "NAME=VALUE", value_parser = pair)]
    info: Vec<(String, Value)>,
}

pub(crate) async fn run(command: &CredentialCommand, key: Option<NamedKey>) -> Result {
    match command {
        CredentialCommand::List(target) => list(&target.open(key)?).await,
        CredentialCommand::Info(With { own, target }) => info(&own.name, &target.open(key)?).await,
        CredentialCommand::Create(With { own, target }) => create(own, &target.open(key)?).await,
        CredentialCommand::Update(With { own, target }) => update(own, &target.open(key)?).await,
        CredentialCommand::Delete(With { own, target }) => delete(own, &target.open(key)?).await,
    }
}

async fn list(session: &Session) -> Result {
    let answer = session.get("/credentials", &[]).await?;
    let told: Object = answer.read()?;
    let rows = told.get("credentials").and_then(Value::as_array).cloned().unwrap_or_default();
    if rows.is_empty() {
        session.say("note: there are no credentials; `dunlin credential create` creates one");
    }
    let cells: Vec<_> = rows.iter().map(cells).collect();
    session.show("dunlin.credential.list/1", told, &table(["NAME", "VALUES", "INFO"], &cells))
}

fn cells(row: &Value) -> [String; 3] {
    let pairs = |name: &str| {
        let values = row.get(name).and_then(Value::as_object).into_iter().flatten();
        let pair = |(name, value): (&String, &Value)| {
            format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        values.map(pair).collect::<Vec<_>>().join(", ")
    };
    let name = row.get("credential_name").and_then(Value::as_str).unwrap_or("-").to_owned();
    [name, pairs("credential_values"), pairs("credential_info")]
}

/// The credential of that name.
async fn find(name: &str, session: &Session) -> Result<Object> {
    let path = format!("/credentials/by_name/{}", segment(name));
    known(session.get(&path, &[]).await)?.read()
}

/// Of a credential that there is.
fn known(answer: Result<Answer>) -> Result<Answer> {
    let help = "`dunlin credential list` lists the credentials";
    answer.map_err(|failure| failure.with_help(Exit::NotFound, help))
}

async fn info(name: &str, session: &Session) -> Result {
    let row = find(name, session).await?;
    let [name, values, info] = cells(&Value::Object(row.clone()));
    let text =
        format!("name    {}\nvalues  {}\ninfo    {}\n", plain(&name), plain(&values), plain(&info));
    session.show("dunlin.credential/1", row, &text)
}

async fn create(args: &ValueArgs, session: &Session) -> Result {
    let mut body = args.body()?;
    body.insert("credential_name".to_owned(), args.name.as_str().into());
    let answer = session.post("/credentials", &body).await?;
    session.say(&format!("created credential {}", args.name));
    session.show("dunlin.credential.create/1", answer.read()?, "")
}

async fn update(args: &ValueArgs, session: &Session) -> Result {
    let path = format!("/credentials/{}", segment(&args.name));
    let answer = known(session.patch(&path, &args.body()?).await)?;
    session.say(&format!("changed credential {}", args.name));
    session.show("dunlin.credential.update/1", answer.read()?, "")
}

async fn delete(args: &DeleteArgs, session: &Session) -> Result {
    let name = &args.name;
    find(name, session).await?;
    let what = format!("delete credential {name}");
    Deed { warning: "", what: &what, name }.confirm(args.yes)?;
    let answer = session.delete(&format!("/credentials/{}", segment(name))).await?;
    session.say(&format!("deleted credential {name}"));
    session.show("dunlin.credential.delete/1", answer.read()?, "")
}

impl ValueArgs {
    fn body(&self) -> Result<Object> {
        let mut values = self.values_file.as_deref().map(read).transpose()?.unwrap_or_default();
        values.extend(self.values.iter().cloned());
        let info: Object = self.info.iter().cloned().collect();
        let body = json!({"credential_values": values, "credential_info": info});
        Ok(body.as_object().cloned().unwrap_or_default())
    }
}

fn read(path: &Path) -> Result<Object> {
    let failed = |why: String| {
        let message = format!("{}: {why}", path.display());
        Failure::usage(message, "the file holds a JSON object, such as {\"api_key\": \"...\"}")
    };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE_BYTES).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
        file.take(MAX_FILE_BYTES).read_to_string(&mut text)
    };
    read.map_err(|error| failed(error.to_string()))?;
    // What is wrong with it is not repeated: it may be the secret.
    serde_json::from_str(&text).map_err(|_| failed("it is not a JSON object".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_a_file_and_from_flags_and_a_bad_file_is_not_repeated() {
        let path = std::env::temp_dir().join(format!("dunlin-credential-{}", std::process::id()));
        std::fs::write(&path, r#"{"api_key": "sk-secret"}"#).expect("as set up");
        let args = ValueArgs {
            name: "c".to_owned(),
            values_file: Some(path.clone()),
            values: vec![("api_base".to_owned(), json!("http://h"))],
            info: Vec::new(),
        };
        let expected = json!({"api_key": "sk-secret", "api_base": "http://h"});
        assert_eq!(args.body().expect("values")["credential_values"], expected);
        std::fs::write(&path, "sk-secret").expect("as set up");
        let refused = args.body().expect_err("no JSON").to_string();
        assert!(
            refused.contains("not a JSON object") && !refused.contains("sk-secret"),
            "{refused}"
        );
        std::fs::remove_file(path).expect("as set up");
    }
}
