//! Which paths a key may call: the classes, patterns and paths that its `allowed_routes` lists.

/// The first segments of the paths that manage the gateway. All other paths ask models.
const MANAGEMENT: &[&str] = &[
    "access_group",
    "agent",
    "budget",
    "cache",
    "cluster",
    "config",
    "cost",
    "credentials",
    "customer",
    "end_user",
    "global",
    "health",
    "key",
    "metrics",
    "model",
    "model_group",
    "organization",
    "provider",
    "settings",
    "spend",
    "tag",
    "team",
    "user",
];

/// The path of a kind of call, by LiteLLM's word for it, whatever its client wrote before it. What is
/// no path of ours keeps the word.
#[must_use]
pub fn path_of_call(call_type: &str) -> &str {
    match call_type {
        "acompletion" => "/chat/completions",
        "atext_completion" => "/completions",
        "acount_tokens" => "/v1/messages/count_tokens",
        "aembedding" => "/embeddings",
        "agenerate_content" => "/models/{model}:generateContent",
        "agenerate_content_stream" => "/models/{model}:streamGenerateContent",
        "aimage_edit" => "/images/edits",
        "aimage_generation" => "/images/generations",
        "anthropic_messages" => "/v1/messages",
        "amoderation" => "/moderations",
        "arerank" => "/rerank",
        "aresponses" => "/responses",
        "aspeech" => "/audio/speech",
        "atranscription" => "/audio/transcriptions",
        "atranslation" => "/audio/translations",
        "_arealtime" => "/realtime",
        "aget_responses" | "adelete_responses" | "acancel_responses" | "alist_input_items" => {
            "/responses/{response_id}"
        }
        "acompact_responses" => "/responses/compact",
        "aconversations" => "/conversations",
        "acreate_file" | "afile_list" => "/files",
        "afile_retrieve" | "afile_delete" | "afile_content" => "/files/{file_id}",
        "acreate_batch" | "alist_batches" => "/batches",
        "aretrieve_batch" | "acancel_batch" => "/batches/{batch_id}",
        "acreate_fine_tuning_job" | "alist_fine_tuning_jobs" => "/fine_tuning/jobs",
        other => other,
    }
}

/// Paths that only tell.
const INFO: &[&str] = &[
    "/budget/info",
    "/budget/list",
    "/customer/info",
    "/customer/list",
    "/end_user/info",
    "/end_user/list",
    "/health",
    "/key/aliases",
    "/key/info",
    "/key/list",
    "/model/info",
    "/model_group/info",
    "/models",
    "/organization/info",
    "/organization/list",
    "/provider/budgets",
    "/tag/info",
    "/tag/list",
    "/team/available",
    "/team/info",
    "/team/list",
    "/user/info",
    "/user/list",
];

/// Whether a list of routes covers `path`. An empty list covers all.
#[must_use]
pub fn covers(listed: &[String], path: &str) -> bool {
    listed.is_empty() || listed.iter().any(|route| covers_one(route, path))
}

fn covers_one(route: &str, path: &str) -> bool {
    let unversioned = unversioned(path);
    let first = unversioned.split('/').nth(1).unwrap_or_default();
    let manages = MANAGEMENT.contains(&first);
    let asks_models = !manages;
    let anthropic = path.starts_with("/v1/messages") || first == "anthropic";
    let google = path.starts_with("/v1beta/")
        || matches!(first, "gemini" | "vertex_ai")
        || (first == "models" && path.contains(':'));
    match route {
        "llm_api_routes" => asks_models,
        "anthropic_routes" => anthropic,
        "google_routes" => google,
        "openai_routes" => asks_models && !anthropic && !google && !is_passed_on(first),
        "info_routes" => INFO.contains(&unversioned),
        "management_routes" => manages && !matches!(first, "spend" | "global" | "metrics"),
        "key_management_routes" => first == "key",
        "spend_tracking_routes" => first == "spend",
        "global_spend_tracking_routes" => first == "global",
        _ => match route.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => route == path,
        },
    }
}

/// `/v2/key/info` is `/key/info`.
fn unversioned(path: &str) -> &str {
    let stripped = path.strip_prefix("/v1").or_else(|| path.strip_prefix("/v2"));
    stripped.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// Whether a first segment is a provider's: its own API is behind it. `/openai` has OpenAI's own
/// paths behind it.
fn is_passed_on(first: &str) -> bool {
    matches!(first, "azure" | "bedrock" | "cohere" | "mistral" | "openrouter" | "vllm")
}

/// The names of classes that may be listed, for messages.
pub const CLASSES: &[&str] = &[
    "agent_routes",
    "anthropic_routes",
    "global_spend_tracking_routes",
    "google_routes",
    "info_routes",
    "key_management_routes",
    "llm_api_routes",
    "management_routes",
    "mcp_routes",
    "openai_routes",
    "spend_tracking_routes",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_patterns_and_paths_cover_what_their_names_say() {
        let (yes, no) = (true, false);
        for (route, path, covered) in [
            ("llm_api_routes", "/v1/chat/completions", yes),
            ("llm_api_routes", "/openai/deployments/m/chat/completions", yes),
            ("llm_api_routes", "/anthropic/v1/messages", yes),
            ("llm_api_routes", "/v1/models", yes),
            ("llm_api_routes", "/key/generate", no),
            ("llm_api_routes", "/v2/key/info", no),
            ("llm_api_routes", "/global/spend", no),
            ("openai_routes", "/embeddings", yes),
            ("openai_routes", "/v1/messages", no),
            ("openai_routes", "/mistral/v1/ocr", no),
            ("openai_routes", "/v1beta/models/m:generateContent", no),
            ("anthropic_routes", "/v1/messages/count_tokens", yes),
            ("anthropic_routes", "/v1/chat/completions", no),
            ("google_routes", "/models/m:generateContent", yes),
            ("google_routes", "/v1/chat/completions", no),
            ("info_routes", "/v2/key/info", yes),
            ("info_routes", "/key/generate", no),
            ("info_routes", "/chat/completions", no),
            ("management_routes", "/team/new", yes),
            ("management_routes", "/v1/chat/completions", no),
            ("management_routes", "/spend/logs", no),
            ("key_management_routes", "/key/sk-a/regenerate", yes),
            ("key_management_routes", "/team/new", no),
            ("spend_tracking_routes", "/spend/logs", yes),
            ("global_spend_tracking_routes", "/global/spend", yes),
            ("mcp_routes", "/v1/chat/completions", no),
            ("/key/*", "/key/info", yes),
            ("/key/*", "/v1/chat/completions", no),
            ("/v1/embeddings", "/v1/embeddings", yes),
            ("/v1/embeddings", "/v1/embeddings/more", no),
        ] {
            assert_eq!(covers(&[route.to_owned()], path), covered, "{route} of {path}");
        }
        assert!(covers(&[], "/anything"));
        assert!(covers(&["/a".to_owned(), "/b".to_owned()], "/b"));
    }
}
