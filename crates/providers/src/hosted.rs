//! Tools that OpenAI's responses run themselves, for models that have only chats. A provider that has
//! the same thing is given it; for others it is left out, unless nothing else may be called.

use dunlin_llm::form::{Chat, Tool, ToolChoice};
use dunlin_llm::responses::tools_of;
use dunlin_llm::{ChatRequest, Dialect, Endpoint, Target};

use crate::{EncodeError, Provider};

/// As many tools are told, and as much of the name of each.
pub(crate) const MAX_TOLD: usize = 16;
pub(crate) const MAX_NAME: usize = 64;

/// Takes from `chat` the tools that the provider does not run.
///
/// # Errors
/// One of them must be called, or no other may be.
pub(crate) fn fit(
    provider: &dyn Provider,
    chat: &mut Chat,
    to: &Target,
) -> Result<(), EncodeError> {
    if chat.from != Dialect::Responses {
        return Ok(());
    }
    let hosts = hosts(provider, chat, to);
    let is_lacking = |tool: &Tool| tool.kind().is_some_and(|kind| !hosts(&kind));
    let lacking = chat.tools.extract_if(.., |tool| is_lacking(tool)).collect::<Vec<_>>();
    let Some(first) = lacking.iter().find_map(Tool::kind) else { return Ok(()) };
    let is_none_left = !chat.tools.iter().any(|tool| chat.allows(tool));
    let must_be_called = match &chat.tool_choice {
        Some(ToolChoice::Hosted(kind)) => (!hosts(kind)).then_some(&**kind),
        Some(ToolChoice::Required) => is_none_left.then_some(&*first),
        Some(ToolChoice::Auto) | None => {
            (is_none_left && chat.allowed.is_some()).then_some(&*first)
        }
        Some(ToolChoice::None | ToolChoice::Named(_)) => None,
    };
    if let Some(tool) = must_be_called {
        let (provider, model, tool) = (provider.id(), to.model.to_string(), shown(tool));
        return Err(EncodeError::UnsupportedTool { provider, tool, model });
    }
    if is_none_left {
        chat.forget("tool_choice");
        chat.forget("parallel_tool_calls");
    }
    Ok(())
}

/// The types of a request's tools that the model at `to` does without, for its client to be told.
#[must_use]
pub fn left_out(provider: &dyn Provider, request: &ChatRequest, to: &Target) -> Vec<String> {
    if request.endpoint() != Endpoint::Responses || provider.keeps_responses(to) {
        return Vec::new();
    }
    let chat = tools_of(request.text());
    let hosts = hosts(provider, &chat, to);
    let kinds = chat.tools.iter().filter_map(Tool::kind).filter(|kind| !hosts(kind));
    let mut lacking: Vec<String> = kinds.take(MAX_TOLD).map(|kind| shown(&kind)).collect();
    lacking.dedup();
    lacking
}

/// Whether the provider runs a tool in `chat`, by the tool's type.
fn hosts<'p>(
    provider: &'p dyn Provider,
    chat: &Chat,
    to: &'p Target,
) -> impl Fn(&str) -> bool + use<'p> {
    let runs_any = provider.hosts_beside_functions(to) || !chat.may_call_functions();
    move |kind| runs_any && provider.hosts(kind, to)
}

/// A type is the client's own word.
fn shown(kind: &str) -> String {
    kind.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use dunlin_llm::parse;
    use serde_json::{Value, json};

    use super::*;
    use crate::{find, params};

    fn to() -> Target {
        Target { model: "m".into(), ..Target::default() }
    }

    fn request(tools: &Value, choice: &Value) -> ChatRequest {
        let body = json!({"model": "m", "input": "hi", "tools": tools, "tool_choice": choice});
        parse(Endpoint::Responses, body.to_string().into(), None).unwrap()
    }

    fn fitted(provider: &str, tools: &Value, choice: &Value) -> Result<(usize, bool), EncodeError> {
        let chat = params::form(find(provider).unwrap(), &request(tools, choice), &to())?;
        Ok((chat.tools.len(), chat.tool_choice.is_some()))
    }

    #[test]
    fn a_tool_that_a_server_runs_is_given_left_out_and_told_or_refused_where_it_must_be_called() {
        let f = json!({"type": "function", "name": "f", "parameters": {"type": "object"}});
        let (web, files) = (json!({"type": "web_search"}), json!({"type": "file_search"}));
        let all = json!([f, web, files]);
        for (provider, kept, told) in [
            ("hosted_vllm", 1, &["web_search", "file_search"][..]),
            ("bedrock", 1, &["web_search", "file_search"]),
            ("cohere", 1, &["web_search", "file_search"]),
            ("anthropic", 2, &["file_search"]),
            // It runs none beside functions.
            ("gemini", 1, &["web_search", "file_search"]),
            ("openai", 2, &["file_search"]),
        ] {
            assert_eq!(fitted(provider, &all, &json!("auto")).unwrap(), (kept, true), "{provider}");
            assert_eq!(
                left_out(find(provider).unwrap(), &request(&all, &json!("auto")), &to()),
                told,
                "{provider}"
            );
        }
        let gemini = fitted("gemini", &json!([web, files]), &json!("auto"));
        assert_eq!(gemini.unwrap(), (1, true));
        assert_eq!(fitted("gemini", &all, &json!({"type": "web_search"})).unwrap(), (2, true));
        let alone = json!([files]);
        assert_eq!(fitted("hosted_vllm", &alone, &json!("auto")).unwrap(), (0, false));
        let named =
            |tool: &Value| json!({"type": "allowed_tools", "mode": "auto", "tools": [tool]});
        for (tools, choice) in [
            (&all, json!({"type": "file_search"})),
            (&alone, json!("required")),
            (&all, named(&files)),
        ] {
            let refused = fitted("hosted_vllm", tools, &choice).expect_err("it must be called");
            assert!(
                matches!(&refused, EncodeError::UnsupportedTool { tool, .. } if tool == "file_search")
            );
            assert!(refused.to_string().contains("'file_search' for model=m"), "{refused}");
        }
        assert_eq!(fitted("hosted_vllm", &all, &named(&f)).unwrap(), (1, true));
        assert_eq!(fitted("anthropic", &all, &json!({"type": "web_search_preview"})).unwrap().0, 2);
        for absent in [json!({"type": "image_generation"}), named(&json!({"type": "mcp"}))] {
            let refused =
                fitted("openai", &all, &absent).expect_err("it is no tool of the request");
            assert!(refused.to_string().contains("tool_choice"), "{refused}");
        }
    }
}
