//! OpenAI itself, and whatever else a bare model name with an `api_base` points to.

use dunlin_llm::openai::ChatStyle;

use crate::Variables;
use crate::openai_compatible::{Base, OPENAI_BASE, OpenAiCompatible, Quirks};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "openai",
    speaker: "OpenAIException",
    default_base: Some(OPENAI_BASE),
    variables: Variables {
        keys: &["OPENAI_API_KEY"],
        bases: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    },
    needs_key: true,
    base: Base::AsGiven,
    style: ChatStyle::OPENAI,
    completions: true,
    lacks: &[],
    quirks: Quirks::OPENAI,
};

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dunlin_llm::{Endpoint, ParamRules, Target, parse};
    use dunlin_types::{Credential, UnixMillis};
    use serde_json::{Value, json};

    use super::*;
    use crate::{EncodeError, Provider};

    fn sent(body: &str, model: &str, drop_unsupported: bool) -> Result<Value, EncodeError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = parse(Endpoint::ChatCompletions, body, None).expect("a request");
        let params = ParamRules { drop_unsupported, ..ParamRules::default() };
        let to = Target {
            api_base: "http://up/v1".into(),
            model: model.into(),
            params,
            ..Target::default()
        };
        let call = PROVIDER.encode(&request, &to, &Credential::None, UnixMillis(0))?;
        Ok(serde_json::from_slice(call.body()).expect("JSON"))
    }

    #[test]
    fn a_model_that_thinks_gets_its_bound_and_no_lots() {
        let body = r#"{"model":"m","messages":[],"max_tokens":9,"temperature":0.5,"top_p":1}"#;
        for (model, bound) in [("gpt-4o", "max_tokens"), ("gpt-5.1", "max_completion_tokens")] {
            let expected =
                json!({"model": model, "messages": [], bound: 9, "temperature": 0.5, "top_p": 1});
            assert_eq!(sent(body, model, false), Ok(expected));
        }
        let refused = sent(body, "o3-mini", false).expect_err("it draws its own");
        let words =
            "openai does not support parameters: ['temperature', 'top_p'], for model=o3-mini";
        assert!(refused.to_string().starts_with(words), "{refused}");
        let expected = json!({"model": "o3-mini", "messages": [], "max_completion_tokens": 9});
        assert_eq!(sent(body, "o3-mini", true), Ok(expected));
        let thought = r#"{"model":"m","messages":[],"reasoning_effort":"none","top_k":4,"x":1}"#;
        let refused = sent(thought, "gpt-4o", false).expect_err("it does not think");
        assert!(refused.to_string().contains("['reasoning_effort'], for model=gpt-4o"));
        let bare = |model: &str| json!({"model": model, "messages": []});
        assert_eq!(sent(thought, "gpt-4o", true), Ok(bare("gpt-4o")));
        let both = r#"{"model":"m","messages":[],"reasoning_effort":null,"top_k":4,"x":1}"#;
        let passed = json!({"model": "gpt-4o", "messages": [], "reasoning_effort": null, "top_k": 4, "x": 1});
        assert_eq!(sent(both, "gpt-4o", false), Ok(passed));
        // What OpenAI has not made may know more.
        let passed = json!({"model": "qwen3", "messages": [], "reasoning_effort": "none", "top_k": 4, "x": 1});
        assert_eq!(sent(thought, "qwen3", true), Ok(passed));
        let wishes = r#"{"model":"m","messages":[],"reasoning_effort":"none","top_k":4,"x":1,
            "drop_params":true,"allowed_openai_params":["top_k"],"additional_drop_params":["x"]}"#;
        let expected = json!({"model": "gpt-4o", "messages": [], "top_k": 4});
        assert_eq!(sent(wishes, "gpt-4o", false), Ok(expected));
        let one_by_one = r#"{"model":"m","messages":[],"parallel_tool_calls":false,"stop":"x"}"#;
        assert!(sent(one_by_one, "o3", false).is_err());
        assert_eq!(
            sent(one_by_one, "gpt-5", true),
            Ok(json!({
            "model": "gpt-5", "messages": [], "parallel_tool_calls": false}))
        );
        let usual = r#"{"model":"m","messages":[],"temperature":1.0}"#;
        let expected = json!({"model": "gpt-5", "messages": [], "temperature": 1.0});
        assert_eq!(sent(usual, "gpt-5", false), Ok(expected));
    }
}
