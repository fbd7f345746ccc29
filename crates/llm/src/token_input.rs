//! Texts for vectors that a client sends as the ids of their tokens, and the same request in words.

use crate::endpoint::Endpoint;
use crate::json::string;
use crate::parse::BadRequest;
use crate::request::ChatRequest;

impl ChatRequest {
    /// The ids of the tokens of each text, if it asks for vectors of texts, or for
    /// completions of them, that come so.
    #[must_use]
    pub fn token_lists(&self) -> Option<Vec<Vec<u32>>> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Wire {
            One(Vec<u32>),
            Many(Vec<Vec<u32>>),
        }
        if !matches!(self.endpoint(), Endpoint::Completions | Endpoint::Embeddings) {
            return None;
        }
        let input = self.text().get(self.facts.prompt.range())?;
        // Texts may be long, and are not read again to find that they are none.
        let first = input.strip_prefix('[')?.trim_start();
        if !first.starts_with(|c: char| c == '[' || c.is_ascii_digit()) {
            return None;
        }
        Some(match serde_json::from_str(input).ok()? {
            Wire::One(list) => vec![list],
            Wire::Many(lists) => lists,
        })
    }

    /// What is to come behind the completion that it asks for.
    #[must_use]
    pub fn suffix(&self) -> Option<String> {
        let asks = self.endpoint() == Endpoint::Completions && self.has("suffix");
        asks.then(|| string(self.member("suffix")?))?.map(Into::into)
    }

    /// The same request with `texts` for its input or prompt.
    ///
    /// # Errors
    /// What comes out is no request.
    pub fn with_texts(&self, texts: &[String]) -> Result<Self, BadRequest> {
        self.changed_by(&serde_json::json!({ self.endpoint().prompt_field(): texts }).to_string())
    }

    /// What is said of an id that is of no token.
    #[must_use]
    pub fn unreadable_token(&self, id: u32) -> BadRequest {
        BadRequest::Invalid {
            route: self.endpoint().route(),
            name: format!("{}: {id}", self.endpoint().prompt_field()),
            expected: "texts, or ids of cl100k_base's tokens: this model is asked in words",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::parse::parse;

    #[test]
    fn tokens_are_told_from_texts_and_can_become_texts() {
        let lists = |input: &str| {
            let body = format!(r#"{{"model":"m","input":{input},"dimensions":3}}"#);
            let request = parse(Endpoint::Embeddings, Bytes::from(body), None).expect("a request");
            (request.token_lists(), request)
        };
        for texts in [r#""a""#, r#"["a"]"#, r#"["[1]"]"#, "[]", "[1,\"a\"]", "[-1]", "[[1.5]]"] {
            assert_eq!(lists(texts).0, None, "{texts}");
        }
        assert_eq!(lists("[ 1,2]").0, Some(vec![vec![1, 2]]));
        let body = r#"{"model":"m","prompt":[[1],[2,3]]}"#;
        let request = parse(Endpoint::Completions, Bytes::from(body), None).expect("a request");
        assert_eq!(request.token_lists(), Some(vec![vec![1], vec![2, 3]]));
        let worded = request.with_texts(&["a".to_owned()]).expect("a request");
        assert_eq!(worded.text(), r#"{"model":"m","prompt":["a"]}"#);
        let (found, request) = lists("[[1],[2,3]]");
        assert_eq!(found, Some(vec![vec![1], vec![2, 3]]));
        let texts = ["a \"b\"".to_owned(), "c".to_owned()];
        let worded = request.with_texts(&texts).expect("a request");
        assert_eq!(worded.text(), r#"{"model":"m","dimensions":3,"input":["a \"b\"","c"]}"#);
    }
}
