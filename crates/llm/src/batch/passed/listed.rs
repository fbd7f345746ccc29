//! Lists of batches, as their providers write them.

use super::{Form, Shelf, form, is_google, list_in};

/// What lists call their batches: OpenAI's, Mistral's and Anthropic's, Google's, Bedrock's, Vertex's.
const LISTS: [&str; 4] = ["data", "operations", "invocationJobSummaries", "batchPredictionJobs"];

impl Shelf {
    /// What a GET of `path` behind `prefix` lists. `None`: no batches.
    #[must_use]
    pub fn of_list(prefix: &str, path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        if is_google(prefix) {
            let version = path.strip_suffix("/batches")?;
            return Some(Self { form: Form::Google, path: version.to_owned() });
        }
        // They are made at another path.
        let path = if prefix == "bedrock" { path.strip_suffix('s')? } else { path };
        Some(Self { form: form(prefix, path)?, path: path.to_owned() })
    }

    /// The ids of those batches of a list to which nothing will be added.
    #[must_use]
    pub fn finished_in(&self, list: &[u8]) -> Vec<String> {
        let batches = LISTS.into_iter().find_map(|name| list_in(list, name)).unwrap_or_default();
        let read = batches.into_iter().filter_map(|batch| self.read(batch.as_bytes()));
        read.filter(|batch| batch.finished).map(|batch| batch.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_of_a_list_is_found_in_each_providers_words() {
        let cases = [
            (
                ("openai_passthrough", "/v1/batches"),
                r#"{"object":"list","data":[{"id":"b1","status":"completed"},
                    {"id":"b2","status":"in_progress"},{"id":"b3","status":"failed"}]}"#,
                vec!["b1", "b3"],
            ),
            (
                ("anthropic", "/v1/messages/batches/"),
                r#"{"data":[{"id":"b1","processing_status":"in_progress"},
                    {"id":"b2","processing_status":"ended"}],"has_more":false}"#,
                vec!["b2"],
            ),
            (
                ("gemini", "/v1beta/batches"),
                r#"{"operations":[{"name":"batches/b1","metadata":{"state":"BATCH_STATE_SUCCEEDED"}},
                    {"name":"batches/b2","metadata":{"state":"BATCH_STATE_RUNNING"}}]}"#,
                vec!["batches/b1"],
            ),
        ];
        for ((prefix, path), list, over) in cases {
            let shelf = Shelf::of_list(prefix, path).expect(path);
            assert_eq!(shelf.finished_in(list.as_bytes()), over, "{prefix}");
        }
        let jobs = Shelf::of_list("bedrock", "/model-invocation-jobs").expect("a list");
        assert_eq!((jobs.form, &*jobs.path), (Form::Bedrock, "/model-invocation-job"));
        let vertex = "/v1/projects/p/locations/l/batchPredictionJobs";
        assert!(Shelf::of_list("vertex_ai", vertex).is_some());
        for (prefix, path) in [
            ("bedrock", "/model-invocation-job"),
            ("gemini", "/v1beta/batches/b1"),
            ("anthropic", "/v1/messages"),
            ("openai_passthrough", "/v1/files"),
        ] {
            assert_eq!(Shelf::of_list(prefix, path), None, "{prefix}{path}");
        }
        assert!(jobs.finished_in(b"no list").is_empty());
    }
}
