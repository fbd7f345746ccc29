//! `dunlin model`: deployments that are set over the API, beside those of the config file.

use clap::builder::UnknownArgumentValueParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::session::{Answer, Object, Session};
use crate::table::{plain, table};
use crate::target::{NamedKey, With};
use crate::terminal::Deed;

/// What can be done with models.
#[derive(Subcommand, Debug)]
pub enum ModelCommand {
    /// List all deployments: those of the config file, and those set over the API.
    #[command(visible_alias = "ls")]
    List(With<ListArgs>),
    /// Show one deployment, or all deployments of a model, with all fields.
    #[command(visible_alias = "show")]
    Info(With<InfoArgs>),
    /// Add a deployment; within a second it serves on all nodes.
    Add(With<AddArgs>),
    /// Change the given fields and keep the rest.
    Update(With<UpdateArgs>),
    /// Block a deployment: it gets no requests until it is unblocked.
    Block(With<IdArgs>),
    /// Unblock a deployment: it gets requests again.
    Unblock(With<IdArgs>),
    /// Delete a deployment; its open requests finish.
    #[command(visible_alias = "rm")]
    Delete(With<DeleteArgs>),
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only deployments of this model.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Args, Debug)]
pub struct IdArgs {
    /// Its id, as `dunlin model list` shows it, or its model's name if the model has only one
    /// deployment.
    #[arg(value_name = "ID|NAME")]
    id: String,
}

#[derive(Args, Debug)]
pub struct InfoArgs {
    /// Its id, as `dunlin model list` shows it, or the model's public name.
    #[arg(value_name = "ID|NAME")]
    id: String,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Its id, as `dunlin model list` shows it, or its model's name if the model has only one
    /// deployment.
    #[arg(value_name = "ID|NAME")]
    id: String,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Args, Debug)]
pub struct AddArgs {
    /// The model's public name, which clients use.
    name: String,
    /// The provider and its model, such as `openai/gpt-4o` or `hosted_vllm/qwen`.
    #[arg(long, value_name = "PROVIDER/MODEL")]
    model: String,
    /// Its id [default: a random one].
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Its id, as `dunlin model list` shows it, or its model's name if the model has only one
    /// deployment.
    #[arg(value_name = "ID|NAME")]
    id: String,
    /// The model's public name, which clients use.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The provider and its model.
    #[arg(long, value_name = "PROVIDER/MODEL")]
    model: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

/// What can be given on the command line.
#[derive(Args, Debug)]
struct Fields {
    /// The server's address.
    #[arg(long, value_name = "URL")]
    api_base: Option<String>,
    /// A file with the provider's key; `-` for stdin. There is no flag for the key itself, because
    /// every user of a machine can see the flags of its processes.
    #[arg(long, value_name = "FILE")]
    provider_key_file: Option<std::path::PathBuf>,
    /// Never taken, and not to be mistaken for `--api-key-file`, which holds the gateway's own key.
    #[arg(long = "api-key", hide = true, value_name = "KEY", value_parser = no_key_as_a_flag())]
    _api_key: Option<String>,
    /// The credential whose values it uses: see `dunlin credential list`.
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Another `litellm_params` field. A value that is not JSON is taken as text. Null clears a
    /// field.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, Value)>,
    /// A `model_info` field.
    #[arg(long = "info", value_name = "NAME=VALUE", value_parser = pair)]
    info: Vec<(String, Value)>,
}

pub(crate) async fn run(command: &ModelCommand, key: Option<NamedKey>) -> Result {
    match command {
        ModelCommand::List(With { own, target }) => list(own, &target.open(key)?).await,
        ModelCommand::Info(With { own, target }) => info(&own.id, &target.open(key)?).await,
        ModelCommand::Add(With { own, target }) => add(own, &target.open(key)?).await,
        ModelCommand::Update(With { own, target }) => update(own, &target.open(key)?).await,
        ModelCommand::Block(With { own, target }) => block(&own.id, true, &target.open(key)?).await,
        ModelCommand::Unblock(With { own, target }) => {
            block(&own.id, false, &target.open(key)?).await
        }
        ModelCommand::Delete(With { own, target }) => delete(own, &target.open(key)?).await,
    }
}

async fn list(args: &ListArgs, session: &Session) -> Result {
    let rows = all(session).await?;
    let wanted = |row: &&Object| args.name.as_ref().is_none_or(|name| row["model_name"] == **name);
    let rows: Vec<&Object> = rows.iter().filter(wanted).collect();
    if rows.is_empty() {
        session.say("note: there are no matching models; `dunlin model add` adds one");
    }
    let cells: Vec<[String; 5]> = rows.iter().map(|row| cells(row)).collect();
    let text = table(["ID", "MODEL", "SERVED BY", "AT", "SET BY"], &cells);
    let json = json!({"data": rows});
    session.show("dunlin.model.list/1", object(json), &text)
}

fn cells(row: &Object) -> [String; 5] {
    let text = |part: &str, name: &str| {
        let value = row.get(part).and_then(|part| part.get(name)).and_then(Value::as_str);
        value.unwrap_or("-").to_owned()
    };
    let id = text("model_info", "id");
    let short = if id.len() > SHOWN_ID && row["model_info"]["db_model"] != true {
        format!("{}...", &id[..SHOWN_ID])
    } else {
        id
    };
    let name = row.get("model_name").and_then(Value::as_str).unwrap_or("-").to_owned();
    let by = if row["model_info"]["db_model"] == true {
        format!("api, {}", text("model_info", "created_by"))
    } else {
        "config file".to_owned()
    };
    [short, name, text("litellm_params", "model"), text("litellm_params", "api_base"), by]
}

/// Ids of a config file are hashes, and only theirs are cut.
const SHOWN_ID: usize = 12;

/// All deployments that the key may see.
async fn all(session: &Session) -> Result<Vec<Object>> {
    let mut rows = Vec::new();
    for page in 1_usize.. {
        let number = page.to_string();
        let query = [("size", "1000"), ("page", number.as_str())];
        let mut answer: Object = session.get("/v2/model/info", &query).await?.read()?;
        let Some(Value::Array(data)) = answer.remove("data") else { break };
        rows.extend(data.into_iter().map(object));
        if answer.get("total_pages").and_then(Value::as_u64).is_none_or(|all| page as u64 >= all) {
            break;
        }
    }
    Ok(rows)
}

/// What is said to those who look for a flag that holds a provider's key.
fn no_key_as_a_flag() -> UnknownArgumentValueParser {
    UnknownArgumentValueParser::suggest_arg("--provider-key-file").and_suggest(
        "the provider's key is read from a file, or `-` for stdin; `--credential NAME` uses a \
         stored credential, and `--param api_key=os.environ/NAME` names a variable that every node \
         has",
    )
}

fn id_of(row: &Object) -> &str {
    row["model_info"]["id"].as_str().unwrap_or_default()
}

/// The deployments with that id, the only one whose id begins so, or all those of the model of that
/// name.
async fn find(session: &Session, id: &str) -> Result<Vec<Object>> {
    let start = id.trim_end_matches("...");
    let rows = all(session).await?;
    let named = rows.iter().filter(|row| row["model_name"] == *id);
    let named: Vec<Object> = named.cloned().collect();
    let mut found: Vec<Object> =
        rows.into_iter().filter(|row| id_of(row).starts_with(start)).collect();
    if let Some(exact) = found.iter().position(|row| id_of(row) == id) {
        return Ok(vec![found.swap_remove(exact)]);
    }
    if named.is_empty() && found.len() > 1 {
        let message = format!("the ids of {} deployments begin with `{id}`", found.len());
        return Err(Failure::usage(message, "give more of it"));
    }
    match if named.is_empty() { found } else { named } {
        none if none.is_empty() => {
            let message = format!("there is no model with the id or name `{id}`");
            Err(Failure::new(Exit::NotFound, message, "`dunlin model list` lists them"))
        }
        found => Ok(found),
    }
}

/// The one deployment that is meant, to do `verb` with it.
async fn only(session: &Session, id: &str, verb: &str) -> Result<Object> {
    let mut found = find(session, id).await?;
    match found.len() {
        1 => Ok(found.remove(0)),
        several => {
            let ids: Vec<&str> =
                found.iter().filter_map(|row| row["model_info"]["id"].as_str()).collect();
            let commands = ids.iter().map(|id| format!("\n  dunlin model {verb} {}", plain(id)));
            let commands: String = commands.collect();
            let message = format!("{several} deployments serve `{id}`:{commands}");
            Err(Failure::usage(message, "name one of them by its id"))
        }
    }
}

async fn info(id: &str, session: &Session) -> Result {
    let mut found = find(session, id).await?;
    let text: Vec<String> = found.iter().map(described).collect();
    let text = text.join("\n");
    match found.len() {
        1 => session.show("dunlin.model/1", found.remove(0), &text),
        _ => session.show("dunlin.model.list/1", object(json!({"data": found})), &text),
    }
}

fn described(row: &Object) -> String {
    let mut text = String::new();
    text += &format!("{:22}  {}\n", "model_name", plain(row["model_name"].as_str().unwrap_or("-")));
    for part in ["litellm_params", "model_info"] {
        for (name, value) in row.get(part).and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text += &format!("{:22}  {}\n", plain(name), plain(&value));
        }
    }
    text
}

async fn add(args: &AddArgs, session: &Session) -> Result {
    let (mut params, mut info) = args.fields.given()?;
    params.insert("model".to_owned(), args.model.as_str().into());
    if let Some(id) = &args.id {
        info.insert("id".to_owned(), id.as_str().into());
    }
    let body = json!({"model_name": args.name, "litellm_params": params, "model_info": info});
    told(session, &session.post("/model/new", &object(body)).await?, "added")
}

async fn update(args: &UpdateArgs, session: &Session) -> Result {
    let (mut params, info) = args.fields.given()?;
    params.extend(args.model.as_deref().map(|model| ("model".to_owned(), model.into())));
    let mut body = object(json!({"litellm_params": params, "model_info": info}));
    body.extend(args.name.as_deref().map(|name| ("model_name".to_owned(), name.into())));
    if params_are_empty(&body) {
        let help = "name a field, such as --param rpm=60";
        return Err(Failure::usage("there is nothing to change", help));
    }
    let row = only(session, &args.id, "update").await?;
    let path = format!("/model/{}/update", segment(id_of(&row)));
    told(session, &session.patch(&path, &body).await?, "changed")
}

fn params_are_empty(body: &Object) -> bool {
    let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    body.values().all(empty)
}

async fn block(id: &str, blocked: bool, session: &Session) -> Result {
    let path = if blocked { "/model/block" } else { "/model/unblock" };
    let row = only(session, id, if blocked { "block" } else { "unblock" }).await?;
    let body = Object::from_iter([("model_id".to_owned(), id_of(&row).into())]);
    let done = if blocked { "blocked" } else { "unblocked" };
    told(session, &session.post(path, &body).await?, done)
}

async fn delete(args: &DeleteArgs, session: &Session) -> Result {
    let row = only(session, &args.id, "delete").await?;
    let id = id_of(&row).to_owned();
    let name = row["model_name"].as_str().unwrap_or_default().to_owned();
    let what = format!("delete deployment {id} of it");
    Deed { warning: "", what: &what, name: &name }.confirm(args.yes)?;
    let body = Object::from_iter([("id".to_owned(), id.as_str().into())]);
    let answer = session.post("/model/delete", &body).await?;
    session.say(&format!("deleted deployment {id} of {name}"));
    session.show("dunlin.model.delete/1", answer.read()?, "")
}

/// Says what was done, and what is odd about it; the id goes to stdout.
fn told(session: &Session, answer: &Answer, done: &str) -> Result {
    let row: Object = answer.read()?;
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = text("model_id");
    session.say(&format!("{done} deployment {id} of {}", text("model_name")));
    session.warn(&row);
    session.show("dunlin.model/1", row, &format!("{}\n", plain(&id)))
}

impl Fields {
    /// `litellm_params` and `model_info`.
    fn given(&self) -> Result<(Object, Object)> {
        let mut params: Object = self.params.iter().cloned().collect();
        let named = [("api_base", &self.api_base), ("litellm_credential_name", &self.credential)];
        for (name, value) in named {
            params.extend(value.as_deref().map(|value| (name.to_owned(), value.into())));
        }
        if let Some(path) = &self.provider_key_file {
            let key = NamedKey::of_file(path)?.key;
            params.insert("api_key".to_owned(), key.expose().into());
        }
        Ok((params, self.info.iter().cloned().collect()))
    }
}

/// `NAME=VALUE`; a value that is not JSON is taken as text.
pub(crate) fn pair(text: &str) -> std::result::Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        return Err("expected NAME=VALUE".to_owned());
    }
    let read = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), read))
}

/// One segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut out = String::new();
    for byte in text.bytes() {
        if safe(byte) { out.push(char::from(byte)) } else { out += &format!("%{byte:02X}") }
    }
    out
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Object::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_json_or_a_text_and_a_path_holds_any_id() {
        let read = |text| pair(text).expect("a pair");
        assert_eq!(read("rpm=60").1, json!(60));
        assert_eq!(read("mode=chat").1, json!("chat"));
        assert_eq!(read("x={\"a\": 1}").1, json!({"a": 1}));
        assert_eq!(read("x=null").1, Value::Null);
        assert!(pair("=1").is_err() && pair("rpm").is_err());
        assert_eq!(segment("a/b c-1"), "a%2Fb%20c-1");
    }
}
