//! `dunlin config get`, `set` and `unset`: single settings of the cluster's config. Each change is
//! a new revision, judged like a file, and in force on all nodes at once.

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::session::{Answer, Object, Session};
use crate::table::plain;

const BEGINS: &str = "a setting begins with its section: general_settings.NAME, \
                      litellm_settings.NAME or router_settings.NAME";
/// Whose settings are read and set one by one.
const SECTIONS: [&str; 3] = ["general_settings", "litellm_settings", "router_settings"];

#[derive(Args, Debug)]
pub struct GetArgs {
    /// Section and name, such as `router_settings.num_retries`, or just a section [default: all].
    #[arg(value_name = "KEY")]
    key: Option<String>,
}

#[derive(Args, Debug)]
pub struct SetArgs {
    /// Section and name, such as `router_settings.num_retries` or
    /// `router_settings.retry_policy.TimeoutErrorRetries`.
    #[arg(value_name = "KEY")]
    key: String,
    /// The new value, as JSON; a value that is not JSON is taken as text.
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: String,
}

#[derive(Args, Debug)]
pub struct UnsetArgs {
    /// Section and name, such as `router_settings.num_retries`.
    #[arg(value_name = "KEY")]
    key: String,
}

pub(crate) async fn get(args: &GetArgs, session: &Session) -> Result {
    let Some(key) = &args.key else {
        let text = session.get("/config/yaml", &[]).await?.text()?;
        let json = Object::from_iter([("yaml".to_owned(), text.as_str().into())]);
        let text: String = text.lines().map(|line| plain(line) + "\n").collect();
        return session.show("dunlin.config.yaml/1", json, &text);
    };
    let (section, name) = key.split_once('.').unwrap_or((key, ""));
    let query = [("config_type", section), ("field_name", name)];
    let query = &query[..if name.is_empty() { 1 } else { 2 }];
    let told = session.get("/config/field/info", query).await;
    let told: Object = told.map_err(|failure| of_section(section, failure))?.read()?;
    let value = told.get("field_value").cloned().unwrap_or_default();
    let json = Object::from_iter([
        ("key".to_owned(), key.as_str().into()),
        ("value".to_owned(), value.clone()),
    ]);
    session.show("dunlin.config.setting/1", json, &shown(&value))
}

/// As LiteLLM has it, a setting that is not set is a bad request.
fn of_section(section: &str, failure: Failure) -> Failure {
    let mut failure = begun(section, failure);
    if SECTIONS.contains(&section) && failure.exit == Exit::Usage {
        failure.exit = Exit::NotFound;
    }
    failure
}

/// Who names no section is told how a setting begins.
fn begun(section: &str, failure: Failure) -> Failure {
    if SECTIONS.contains(&section) { failure } else { failure.with_help(Exit::Usage, BEGINS) }
}

/// A text as it is, a section an entry a line, anything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{}\n", plain(text)),
        Value::Object(map) => {
            let widest = map.keys().map(String::len).max().unwrap_or_default();
            let line = |(name, value): (&String, &Value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{:widest$}  {}\n", plain(name), plain(&value))
            };
            map.iter().map(line).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            format!("{}\n", plain(&value.to_string()))
        }
    }
}

pub(crate) async fn set(args: &SetArgs, session: &Session) -> Result {
    let value = read(&args.value)?;
    let (section, name) = named(&args.key)?;
    let body = json!({"config_type": section, "field_name": name, "field_value": value});
    let set = session.post("/config/field/update", &body).await;
    told(session, &set.map_err(|failure| begun(section, failure))?, &args.key)
}

/// What is no JSON is a text, unless it begins like a list, an object or a quoted text.
fn read(text: &str) -> Result<Value> {
    serde_json::from_str(text).or_else(|error| {
        let what = match text.trim_start().bytes().next() {
            Some(b'[') => "list",
            Some(b'{') => "object",
            Some(b'"') => "quoted text",
            _ => return Ok(Value::from(text)),
        };
        let message = format!("`{}` is not a valid {what} in JSON: {error}", plain(text));
        let help = "quote it for the shell, and each text in it with double quotes, such as \
                    '[\"langfuse\", \"otel\"]' or '{\"gpt-4o\": 3}'";
        Err(Failure::usage(message, help))
    })
}

pub(crate) async fn unset(args: &UnsetArgs, session: &Session) -> Result {
    let (section, name) = named(&args.key)?;
    let body = json!({"config_type": section, "field_name": name});
    let deleted = session.post("/config/field/delete", &body).await;
    told(session, &deleted.map_err(|failure| of_section(section, failure))?, &args.key)
}

fn named(key: &str) -> Result<(&str, &str)> {
    let named = key.split_once('.').filter(|(_, name)| !name.is_empty());
    named.ok_or_else(|| Failure::usage(format!("`{}` is not a setting", plain(key)), BEGINS))
}

/// Says what came of a change; the number of the revision goes to stdout.
fn told(session: &Session, answer: &Answer, key: &str) -> Result {
    let row: Object = answer.read()?;
    let number = |name: &str| row.get(name).map(ToString::to_string).unwrap_or_default();
    let (revision, before) = (number("revision"), number("before"));
    session.say(&if revision == before {
        format!("{} already has that value: nothing was changed", plain(key))
    } else {
        format!("revision {revision} is in force; to go back: dunlin config rollback {before}")
    });
    session.warn(&row);
    session.show("dunlin.config.set/1", row, &format!("{}\n", plain(&revision)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_its_section_in_front() {
        let (section, name) = named("router_settings.retry_policy.x").expect("a setting");
        assert_eq!((section, name), ("router_settings", "retry_policy.x"));
        for key in ["num_retries", "router_settings.", ""] {
            let failure = named(key).expect_err("no section");
            assert!(failure.to_string().contains("is not a setting"), "{failure}");
        }
    }

    #[test]
    fn a_value_is_json_or_a_text_and_never_half_of_one() {
        for (text, value) in [
            ("5", json!(5)),
            ("null", Value::Null),
            ("least-busy", json!("least-busy")),
            ("-x", json!("-x")),
            (r#"["langfuse"]"#, json!(["langfuse"])),
        ] {
            assert_eq!(read(text).expect("a value"), value, "{text}");
        }
        for (text, words) in [
            ("[langfuse", "`[langfuse` is not a valid list in JSON"),
            ("[langfuse]", "is not a valid list"),
            ("{a: 1}", "is not a valid object"),
            ("\"a", "is not a valid quoted text"),
        ] {
            let told = read(text).expect_err("half a value").to_string();
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn values_are_shown_for_people() {
        assert_eq!(shown(&json!("least-busy")), "least-busy\n");
        assert_eq!(shown(&json!([1])), "[1]\n");
        assert_eq!(shown(&json!({"a": "x", "long": {"b": 1}})), "a     x\nlong  {\"b\":1}\n");
    }
}
