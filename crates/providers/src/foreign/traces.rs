//! What Claude's own tools did in earlier turns, in words for a model that has not done it: code that
//! was run, tools of MCP servers that were called, and what came of both.

use serde_json::Value;

/// `None`: a block of another kind.
pub(super) fn told(block: &Value) -> Option<String> {
    let (kind, name) = (block["type"].as_str()?, block["name"].as_str().unwrap_or_default());
    match kind {
        "server_tool_use" if name.ends_with("code_execution") => Some(ran(name, &block["input"])),
        "mcp_tool_use" => Some(fenced("", &called(name, &block["input"]))),
        "mcp_tool_result" => Some(fenced("", &texts(&block["content"]).join("\n"))),
        kind if kind.ends_with("code_execution_tool_result") => {
            Some(fenced("", &outcome(&block["content"])))
        }
        _ => None,
    }
}

fn fenced(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n", text.trim_end())
}

fn called(name: &str, input: &Value) -> String {
    format!("{name}({input})")
}

fn ran(name: &str, input: &Value) -> String {
    match (input["code"].as_str(), input["command"].as_str()) {
        (Some(code), _) => fenced("python", code),
        (None, Some(command)) if name.starts_with("bash") => fenced("bash", command),
        (None, _) => fenced("", &called(name, input)),
    }
}

/// A text, or those of blocks or lines.
fn texts(content: &Value) -> Vec<&str> {
    let all = content.as_array().into_iter().flatten();
    let texts = all.filter_map(|one| one.as_str().or(one["text"].as_str()));
    content.as_str().into_iter().chain(texts).collect()
}

/// What was printed, seen or went wrong.
fn outcome(content: &Value) -> String {
    let said = ["stdout", "stderr", "content", "lines", "error_code", "error_message"];
    let mut said: Vec<String> =
        said.iter().flat_map(|name| texts(&content[*name])).map(str::to_owned).collect();
    said.retain(|text| !text.is_empty());
    if let Some(code) = content["return_code"].as_i64().filter(|code| *code != 0) {
        said.push(format!("return code {code}"));
    }
    said.join("\n")
}
