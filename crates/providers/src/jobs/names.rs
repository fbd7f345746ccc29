//! Names of tools in jobs. One that breaks the provider's rule is sent shortened, and an answer is read
//! without the client's line: what the provider repeats of it must tell the name. So the tool's
//! description does, which helps the model, too, where it is told of the tool by that name.

use bytes::Bytes;
use dunlin_llm::form::NameRule;
use dunlin_llm::{Word, edit};
use serde_json::{Value, json};

/// What goes before the name, at the end of the description.
const MARK: &str = "The full name of this tool is ";
static MARKED: Word = Word::new(MARK.as_bytes());

/// The body of a chat whose tools tell the names that will be shortened.
pub(super) fn told(body: Bytes, rule: NameRule) -> Bytes {
    edit::each(body, "tools", |tool| {
        let mut tool: Value = serde_json::from_str(tool).ok()?;
        let function = tool.get_mut("function")?;
        let name = function["name"].as_str().filter(|name| !rule.takes(name))?;
        let described = function["description"].as_str().unwrap_or_default();
        let between = if described.is_empty() { "" } else { "\n\n" };
        function["description"] = format!("{described}{between}{MARK}{name}").into();
        Some(Bytes::from(tool.to_string()))
    })
}

/// A chat with tools of the names that are told anywhere in what was asked, for who reads the answer.
pub(super) fn asked(request: Option<&str>) -> Bytes {
    let request = request.filter(|request| MARKED.is_in(request.as_bytes()));
    let request = request.and_then(|request| serde_json::from_str(request).ok());
    let mut names = Vec::new();
    request.iter().for_each(|request| find(request, &mut names));
    let tool = |name| json!({"type": "function", "function": {"name": name}});
    let tools: Vec<Value> = names.into_iter().map(tool).collect();
    Bytes::from(json!({"model": "m", "messages": [], "tools": tools}).to_string())
}

fn find(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let described = members.get("description").and_then(Value::as_str);
            let name = described.and_then(|words| words.rsplit_once(MARK)).map(|(_, name)| name);
            names.extend(name.map(str::to_owned));
            members.values().for_each(|value| find(value, names));
        }
        Value::Array(all) => all.iter().for_each(|value| find(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
