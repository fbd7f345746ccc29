//! Tools of a client's in, functions out; calls of functions in, items out.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::form::{Chat, Choice, Delta, Finish, PartKind, Reply, Tool, ToolCall, ToolChoice};
use crate::responses::tools_of;
use crate::{BadRequest, Endpoint, Stamp, parse};

fn form(body: &Value) -> Result<Chat, BadRequest> {
    parse(Endpoint::Responses, Bytes::from(body.to_string()), None)?.form_with(&[])
}

fn names(chat: &Chat) -> Vec<&str> {
    let names = chat.tools.iter().filter_map(|tool| match tool {
        Tool::Function { name, .. } => Some(name.as_str()),
        Tool::Hosted(_) => None,
    });
    names.collect()
}

/// The types of the tools that a server would run.
fn hosted(body: &Value) -> Vec<String> {
    let tools = tools_of(&body.to_string()).tools;
    tools.iter().filter_map(|tool| Some(tool.kind()?.into_owned())).collect()
}

fn weather(about: &str) -> Value {
    json!({"type": "namespace", "name": "mcp__wx", "description": "Of the sky.", "tools": [
        {"type": "function", "name": "get_weather", "description": about, "parameters": {"type": "object"}},
        {"type": "custom", "name": "note"},
    ]})
}

fn request() -> Value {
    json!({
        "model": "m",
        "tools": [
            {"type": "function", "name": "f", "parameters": {}},
            {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}},
            {"type": "shell", "environment": {"type": "local"}},
            {"type": "local_shell"},
            {"type": "apply_patch"},
        ],
        "input": [
            {"type": "additional_tools", "role": "developer", "tools": [weather("old"), {"type": "web_search"}]},
            {"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "c1", "namespace": "mcp__wx", "name": "get_weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "sun"},
            {"type": "tool_search_call", "call_id": "c2", "execution": "client", "arguments": {"query": "x"}},
            {"type": "tool_search_output", "call_id": "c2", "execution": "client", "tools": [
                {"type": "function", "name": "late", "defer_loading": true}]},
            {"type": "shell_call", "call_id": "c3", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "c3", "output": [{"stdout": "OUT"}]},
            {"type": "local_shell_call", "id": "x", "call_id": "c4", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "c4", "output": "THERE"},
            {"type": "apply_patch_call", "call_id": "c5", "operation": {"type": "delete_file", "path": "/x"}},
            {"type": "apply_patch_call_output", "call_id": "c5", "status": "failed"},
            {"type": "tool_search_call", "execution": "server", "arguments": {}},
            {"type": "additional_tools", "role": "developer", "tools": [weather("new"), {"type": "web_search"}]},
        ],
    })
}

#[test]
fn every_tool_that_the_client_runs_is_a_function_wherever_it_is_declared() {
    let chat = form(&request()).unwrap();
    let found = ["mcp__wx__get_weather", "mcp__wx__note", "late"];
    let built_in = ["f", "tool_search", "shell", "local_shell", "apply_patch"];
    assert_eq!(names(&chat), [&built_in[..], &found].concat());
    assert_eq!(chat.tools.len(), 9, "and one search of the web");
    let about = chat.tools.iter().find_map(|tool| match tool {
        Tool::Function { name, description, .. } if name == found[0] => description.as_deref(),
        Tool::Function { .. } | Tool::Hosted(_) => None,
    });
    assert_eq!(about, Some("Of the sky.\n\nnew"));

    let parts = chat.messages.iter().flat_map(|message| &message.parts);
    let said: Vec<String> = parts
        .filter_map(|part| {
            if let PartKind::ToolCall(call) = &part.kind {
                return Some(format!("{} {}", call.name, call.arguments));
            }
            let PartKind::ToolResult { call, parts, is_error, .. } = &part.kind else {
                return None;
            };
            let text = parts.iter().filter_map(|part| part.as_text()).collect::<String>();
            Some(format!("{call} {text} {is_error}"))
        })
        .collect();
    assert_eq!(
        said,
        [
            "mcp__wx__get_weather {}",
            "c1 sun false",
            r#"tool_search {"query":"x"}"#,
            "c2 These tools were found and can be called: late false",
            r#"shell {"commands":["ls"]}"#,
            r#"c3 [{"stdout":"OUT"}] false"#,
            r#"local_shell {"type":"exec","command":["ls"]}"#,
            "c4 THERE false",
            r#"apply_patch {"type":"delete_file","path":"/x"}"#,
            "c5 failed true",
        ]
    );
    assert_eq!(hosted(&request()), ["web_search"]);
}

#[test]
fn a_choice_names_a_tool_as_the_client_does() {
    let chosen = |choice: Value| {
        let mut body = request();
        body["tool_choice"] = choice;
        form(&body)
    };
    for (choice, function) in [
        (json!({"type": "shell"}), "shell"),
        (json!({"type": "apply_patch"}), "apply_patch"),
        (json!({"type": "function", "name": "f"}), "f"),
        (json!({"type": "function", "name": "get_weather"}), "mcp__wx__get_weather"),
        (json!({"type": "custom", "name": "note", "namespace": "mcp__wx"}), "mcp__wx__note"),
    ] {
        let chat = chosen(choice).unwrap();
        assert_eq!(chat.tool_choice, Some(ToolChoice::Named(function.to_owned())));
    }
    let among = json!([{"type": "namespace", "name": "mcp__wx"}, {"type": "local_shell"}]);
    let some = json!({"type": "allowed_tools", "mode": "auto", "tools": among});
    let allowed = chosen(some).unwrap().allowed.unwrap();
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    assert_eq!(allowed, ["local_shell", "mcp__wx__get_weather", "mcp__wx__note"]);
    assert!(chosen(json!({"type": "namespace", "name": "mcp__wx"})).is_err());
}

#[test]
fn a_tool_that_cannot_be_a_function_is_refused_by_its_place() {
    for (tools, place) in [
        (json!([{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]), "tools[0]"),
        (json!([{"type": "namespace", "tools": []}]), "tools[0]"),
        (json!([weather("a"), {"type": "function", "name": "mcp__wx__get_weather"}]), "tools[1]"),
        (json!([{"type": "shell"}, {"type": "function", "name": "shell"}]), "tools[1]"),
    ] {
        let refused = form(&json!({"model": "m", "input": "hi", "tools": tools})).expect_err(place);
        assert!(refused.to_string().contains(place), "{refused}");
        let item = json!([{"type": "additional_tools", "role": "developer", "tools": tools}]);
        let refused = form(&json!({"model": "m", "input": item})).expect_err(place);
        assert!(refused.to_string().contains(&format!("input[0].{place}")), "{refused}");
    }
    // In a container of OpenAI's: no client runs it.
    let tools = json!([{"type": "shell", "environment": {"type": "container_auto"}}]);
    let body = json!({"model": "m", "input": "hi", "tools": tools});
    assert!(names(&form(&body).unwrap()).is_empty());
    assert_eq!(hosted(&body), ["shell"]);
}

/// The item of a call, whole and streamed.
fn items(function: &str, arguments: &str) -> [Value; 2] {
    let request = request().to_string();
    let stamp = Stamp { model: "mine", id: "x", now: 7, request: &request, turn: None };
    let (id, name) = ("c1".to_owned(), function.to_owned());
    let call = ToolCall { id, name, arguments: arguments.to_owned(), signature: None };
    let (id, name) = (call.id.clone(), call.name.clone());
    let choice = Choice {
        index: 0,
        parts: vec![PartKind::ToolCall(call).into()],
        finish: Finish::ToolCalls,
        logprobs: None,
        citations: Vec::new(),
    };
    let reply = Reply { choices: vec![choice], ..Reply::default() };
    let whole: Value =
        serde_json::from_slice(&Endpoint::Responses.write_reply(&reply, stamp)).unwrap();
    let mut writer = Endpoint::Responses.stream_writer(stamp, false);
    let mut out = Vec::new();
    let (begin, end) = arguments.split_at(arguments.len() / 2);
    for delta in [
        Delta::Start { id: None, model: None, usage: None },
        Delta::ToolCall { choice: 0, call: 0, id, name, signature: None },
        Delta::Arguments { choice: 0, call: 0, text: begin.to_owned() },
        Delta::Arguments { choice: 0, call: 0, text: end.to_owned() },
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
    ] {
        writer.write(delta, &mut out);
    }
    writer.finish(&mut out);
    let end: Value = serde_json::from_slice(&super::super::last_response(&out).unwrap()).unwrap();
    [whole, end].map(|said| said["output"][0].clone())
}

#[test]
fn a_call_is_told_as_the_item_that_the_client_knows() {
    let patch = json!({"type": "update_file", "path": "/x", "diff": "@@\n-a\n+b"});
    for (function, arguments, expected) in [
        (
            "mcp__wx__get_weather",
            r#"{"city":"Paris"}"#.to_owned(),
            json!({"type": "function_call", "namespace": "mcp__wx", "name": "get_weather",
                "arguments": r#"{"city":"Paris"}"#}),
        ),
        ("f", String::new(), json!({"type": "function_call", "name": "f", "arguments": "{}"})),
        ("g", "{}".to_owned(), json!({"type": "function_call", "name": "g", "arguments": "{}"})),
        (
            "mcp__wx__note",
            r#"{"input":"a"}"#.to_owned(),
            json!({"type": "custom_tool_call", "namespace": "mcp__wx", "name": "note", "input": "a"}),
        ),
        (
            "tool_search",
            r#"{"query":"x"}"#.to_owned(),
            json!({"type": "tool_search_call", "execution": "client", "arguments": {"query": "x"}}),
        ),
        (
            "shell",
            r#"{"commands":["ls"],"timeout_ms":5}"#.to_owned(),
            json!({"type": "shell_call", "environment": {"type": "local"},
                "action": {"commands": ["ls"], "timeout_ms": 5}}),
        ),
        (
            "local_shell",
            r#"{"command":["ls","-l"]}"#.to_owned(),
            json!({"type": "local_shell_call",
                "action": {"type": "exec", "command": ["ls", "-l"], "env": {}}}),
        ),
        ("apply_patch", patch.to_string(), json!({"type": "apply_patch_call", "operation": patch})),
        (
            "apply_patch",
            "no JSON".to_owned(),
            json!({"type": "apply_patch_call",
                "operation": {"type": "update_file", "path": "", "diff": "no JSON"}}),
        ),
    ] {
        for mut item in items(function, &arguments) {
            let members = item.as_object_mut().unwrap();
            let id = members.remove("id").unwrap();
            assert!(id.as_str().is_some_and(|id| id.contains('_')), "{id}");
            assert_eq!(members.remove("status"), Some(json!("completed")));
            assert_eq!(members.remove("call_id"), Some(json!("c1")));
            assert_eq!(item, expected, "{function}");
        }
    }
}
