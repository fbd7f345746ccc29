//! Tokens in Anthropic's words, which count what came from a cache or went into it apart from the
//! rest of the prompt.

use dunlin_types::{Part, Parts, Premium, Tokens, Usage};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// A `usage` member. A stream says it in parts: later ones replace what they name.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Wire {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<Creation>,
    output_tokens_details: Option<Details>,
    server_tool_use: Option<ServerTools>,
    #[serde(default, rename = "inference_geo", deserialize_with = "is_us")]
    us: Option<bool>,
    #[serde(default, rename = "speed", deserialize_with = "is_fast")]
    fast: Option<bool>,
    #[serde(default, deserialize_with = "iterations")]
    iterations: Option<Box<Iterations>>,
}

fn is_us<'d, D: Deserializer<'d>>(from: D) -> Result<Option<bool>, D::Error> {
    said(from, "us")
}

fn is_fast<'d, D: Deserializer<'d>>(from: D) -> Result<Option<bool>, D::Error> {
    said(from, "fast")
}

/// Whether that word is said. `None`: nothing is that is one.
fn said<'d, D: Deserializer<'d>>(from: D, word: &str) -> Result<Option<bool>, D::Error> {
    let said = Value::deserialize(from)?;
    Ok(said.as_str().map(|said| said == word))
}

/// The answers of which one is made, where they are told one by one. Those of other models, and what it
/// took to compact a conversation, are told here alone.
#[derive(Clone, Debug, Default)]
struct Iterations {
    /// Those of the model that was asked.
    own: Usage,
    others: Parts,
    /// It declined, and another answered: what is counted beside these is the other's.
    fell_back: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct ServerTools {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    web_search_requests: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Creation {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    thinking_tokens: Option<u64>,
}

impl Wire {
    /// From the JSON text of a `usage` member; one of another form says nothing.
    pub(crate) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// This, with what a later part of the stream says.
    pub(crate) fn updated(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation: later.cache_creation.or(self.cache_creation),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
            server_tool_use: later.server_tool_use.or(self.server_tool_use),
            us: later.us.or(self.us),
            fast: later.fast.or(self.fast),
            iterations: later.iterations.or(self.iterations),
        }
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let count = |number: Option<u64>| Tokens(number.unwrap_or(0));
        let parts = self.cache_creation.unwrap_or_default();
        let hour = count(parts.ephemeral_1h_input_tokens);
        let written = self.cache_creation_input_tokens.map(Tokens);
        let cache_write = written.unwrap_or(count(parts.ephemeral_5m_input_tokens) + hour);
        let cached = count(self.cache_read_input_tokens);
        let usage = Usage {
            prompt: count(self.input_tokens) + cache_write + cached,
            cached,
            cache_write,
            cache_write_1h: hour.min(cache_write),
            completion: count(self.output_tokens),
            reasoning: count(self.output_tokens_details.unwrap_or_default().thinking_tokens),
            web_searches: self
                .server_tool_use
                .and_then(|tools| tools.web_search_requests)
                .unwrap_or(0),
            premium: Premium {
                us: self.us.unwrap_or_default(),
                fast: self.fast.unwrap_or_default(),
            },
            ..Usage::default()
        };
        match &self.iterations {
            Some(told) => told.beside(usage).if_any(),
            None => usage.if_any(),
        }
    }
}

impl Iterations {
    fn with(mut self, one: &Value) -> Self {
        let Some(used) = Wire::deserialize(one).ok().and_then(|wire| wire.usage()) else {
            return self;
        };
        let kind = one["type"].as_str().unwrap_or_default();
        if matches!(kind, "advisor_message" | "fallback_message") {
            let model = one["model"].as_str().unwrap_or_default();
            self.others = self.others.with(Part::of(model, &used));
            self.fell_back |= kind == "fallback_message";
        } else {
            self.own = self.own.plus(&used);
        }
        self
    }

    /// What was used in all, where that is counted beside these. It may leave some of them out, and is
    /// the larger where it counts what they do not.
    fn beside(&self, counted: Usage) -> Usage {
        let Self { own, others, fell_back } = self.clone();
        let (premium, web_searches) = (counted.premium, counted.web_searches);
        let completion =
            if fell_back { own.completion } else { own.completion.max(counted.completion) };
        let reasoning = own.reasoning.max(counted.reasoning).min(completion);
        let largest = if fell_back || own.prompt >= counted.prompt { own } else { counted };
        Usage { completion, reasoning, web_searches, premium, parts: others, ..largest }
    }
}

/// What is no list of answers says nothing.
fn iterations<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<Iterations>>, D::Error> {
    let said = Value::deserialize(from)?;
    let all = said.as_array().filter(|all| !all.is_empty());
    Ok(all.map(|all| Box::new(all.iter().fold(Iterations::default(), Iterations::with))))
}

/// The `usage` member for a client.
pub(crate) fn usage_json(usage: &Usage) -> Value {
    let from_cache = usage.cached + usage.cache_write;
    let mut wire = json!({
        "input_tokens": usage.prompt.0.saturating_sub(from_cache.0),
        "cache_creation_input_tokens": usage.cache_write.0,
        "cache_read_input_tokens": usage.cached.0,
        "output_tokens": usage.completion.0,
    });
    if usage.premium.us {
        wire["inference_geo"] = json!("us");
    }
    if usage.premium.fast {
        wire["speed"] = json!("fast");
    }
    if usage.reasoning.0 > 0 {
        wire["output_tokens_details"] = json!({"thinking_tokens": usage.reasoning.0});
    }
    if usage.web_searches > 0 {
        wire["server_tool_use"] = json!({"web_search_requests": usage.web_searches});
    }
    if usage.cache_write_1h.0 > 0 {
        wire["cache_creation"] = json!({
            "ephemeral_5m_input_tokens": usage.cache_write.0 - usage.cache_write_1h.0,
            "ephemeral_1h_input_tokens": usage.cache_write_1h.0,
        });
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of that, the model's own prompt and completion, and each other's by its name.
    fn told(usage: &str) -> (u64, u64, Vec<(String, u64, u64)>) {
        let usage = Wire::read(usage).usage().expect("it counts");
        let part = |part: &Part| (part.model.as_str().to_owned(), part.prompt.0, part.completion.0);
        (usage.prompt.0, usage.completion.0, usage.parts.iter().map(part).collect())
    }

    #[test]
    fn each_answer_of_which_one_is_made_counts() {
        let advised = r#"{"input_tokens":412,"output_tokens":531,"iterations":[
            {"type":"message","input_tokens":412,"output_tokens":89},
            {"type":"advisor_message","model":"opus","input_tokens":823,"output_tokens":1612,
             "cache_read_input_tokens":7,"cache_creation_input_tokens":0},
            {"type":"message","input_tokens":1348,"cache_read_input_tokens":412,"output_tokens":442}]}"#;
        assert_eq!(told(advised), (2_172, 531, vec![("opus".to_owned(), 830, 1_612)]));
        let compacted = r#"{"input_tokens":23000,"output_tokens":1000,"iterations":[
            {"type":"compaction","input_tokens":180000,"output_tokens":3500},
            {"type":"message","input_tokens":23000,"output_tokens":1000}]}"#;
        assert_eq!(told(compacted), (203_000, 4_500, vec![]));
        let summed = r#"{"input_tokens":90,"output_tokens":9,"iterations":[
            {"type":"message","input_tokens":40,"output_tokens":9}]}"#;
        assert_eq!(told(summed), (90, 9, vec![]));
        let declined = r#"{"input_tokens":90,"output_tokens":9,"iterations":[
            {"type":"message","model":"a","input_tokens":80,"output_tokens":2},
            {"type":"fallback_message","model":"b","input_tokens":90,"output_tokens":9}]}"#;
        assert_eq!(told(declined), (80, 2, vec![("b".to_owned(), 90, 9)]));
        for odd in ["null", "[]", "7", r#"[7,{"type":"message"}]"#] {
            let odd = format!(r#"{{"input_tokens":3,"output_tokens":1,"iterations":{odd}}}"#);
            assert_eq!(told(&odd), (3, 1, vec![]), "{odd}");
        }
    }

    #[test]
    fn where_and_how_fast_it_was_made_is_read() {
        let read = |text: &str| Wire::read(text).usage().expect("it counts").premium;
        let counts = r#""input_tokens":9,"output_tokens":1"#;
        for (said, us, fast) in [
            (r#""inference_geo":"us","speed":"fast""#, true, true),
            (r#""inference_geo":"global","speed":"standard""#, false, false),
            (r#""inference_geo":"not_available","speed":null"#, false, false),
            (r#""inference_geo":7"#, false, false),
        ] {
            let premium = read(&format!("{{{counts},{said}}}"));
            assert_eq!(premium, Premium { us, fast }, "{said}");
        }
        let begun = Wire::read(&format!(r#"{{{counts},"inference_geo":"us"}}"#));
        let usage = begun.updated(Wire::read(r#"{"output_tokens":5}"#)).usage().expect("it counts");
        assert!(usage.premium.us && usage_json(&usage)["inference_geo"] == "us");
    }

    #[test]
    fn searches_are_counted_with_the_tokens_and_a_later_count_holds() {
        let begun = Wire::read(r#"{"input_tokens":9,"output_tokens":1}"#);
        let ended = r#"{"output_tokens":5,"server_tool_use":{"web_search_requests":3}}"#;
        let usage = begun.updated(Wire::read(ended)).updated(Wire::default()).usage();
        let usage = usage.expect("it counts");
        assert_eq!((usage.prompt, usage.web_searches), (Tokens(9), 3));
        assert_eq!(usage_json(&usage)["server_tool_use"]["web_search_requests"], 3);
        assert_eq!(usage_json(&Usage::default()).get("server_tool_use"), None);
    }
}
