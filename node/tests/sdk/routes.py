"""LiteLLM's routes for models that teams use, and what becomes of each here."""

# Paths with their methods; `{prefix}` stands for each prefix of providers' own APIs.
MODEL = ("/chat/completions", "/completions", "/embeddings")
SERVED = [
    *(f"POST {before}{path}" for path in MODEL
      for before in ("/v1", "", "/engines/{model}", "/openai/deployments/{model}")),
    "GET /v1/models", "GET /models", "GET /v1/models/{id}", "GET /models/{id}",
    "GET /model/info", "GET /v1/model/info", "GET /v2/model/info", "GET /model_group/info",
    "POST /v1/messages", "POST /v1/messages/count_tokens",
    "POST /v1/messages/batches", "GET /v1/messages/batches",
    "GET /v1/messages/batches/{id}", "DELETE /v1/messages/batches/{id}",
    "POST /v1/messages/batches/{id}/cancel", "GET /v1/messages/batches/{id}/results",
    *(f"POST {before}/responses{path}" for before in ("/v1", "", "/openai/v1")
      for path in ("", "/compact", "/input_tokens", "/{id}/cancel")),
    *(f"{method} {before}/responses/{{id}}" for before in ("/v1", "", "/openai/v1") for method in ("GET", "DELETE")),
    *(f"{what}" for before in ("/v1", "", "/openai/v1", "/azure/v1", "/hosted_vllm/v1") for what in (
        f"POST {before}/conversations",
        *(f"{method} {before}/conversations/{{id}}" for method in ("GET", "POST", "DELETE")),
        *(f"{method} {before}/conversations/{{id}}/items" for method in ("GET", "POST")),
        *(f"{method} {before}/conversations/{{id}}/items/{{item}}" for method in ("GET", "DELETE")))),
    *(f"GET {before}/responses/{{id}}/input_items" for before in ("/v1", "", "/openai/v1")),
    *(f"POST {before}/images/{path}" for path in ("generations", "edits")
      for before in ("/v1", "", "/openai/deployments/{model}")),
    *(f"POST {before}/audio/{path}" for before in ("/v1", "") for path in ("transcriptions", "speech")),
    *(f"POST {path}" for path in ("/v1/moderations", "/moderations", "/v1/rerank", "/rerank", "/v2/rerank")),
    *(f"{what}" for before in ("/v1", "", "/openai/v1", "/azure/v1", "/hosted_vllm/v1") for what in (
        f"POST {before}/files", f"GET {before}/files", f"GET {before}/files/{{id}}", f"DELETE {before}/files/{{id}}",
        f"GET {before}/files/{{id}}/content", f"POST {before}/batches", f"GET {before}/batches",
        f"GET {before}/batches/{{id}}", f"POST {before}/batches/{{id}}/cancel",
        f"POST {before}/fine_tuning/jobs", f"GET {before}/fine_tuning/jobs", f"GET {before}/fine_tuning/jobs/{{id}}",
        *(f"POST {before}/fine_tuning/jobs/{{id}}/{what}" for what in ("cancel", "pause", "resume")),
        *(f"GET {before}/fine_tuning/jobs/{{id}}/{what}" for what in ("events", "checkpoints")))),
    *(f"GET {path}" for path in ("/v1/realtime", "/realtime", "/openai/v1/realtime")),
    *(f"POST {before}/realtime/{what}" for before in ("/v1", "", "/openai/v1") for what in ("client_secrets", "calls")),
    *(f"GET {before}/responses" for before in ("/v1", "", "/openai/v1")),
    *(f"POST /{prefix}/{{rest}}" for prefix in (
        "anthropic", "openai", "openai_passthrough", "azure", "azure_ai", "vllm", "gemini", "vertex_ai", "vertex-ai",
        "bedrock", "cohere", "mistral", "openrouter", "nvidia_nim")),
    "POST /v1beta/models/{id}", "POST /models/{id}",
    "POST /utils/token_counter", "POST /utils/transform_request", "GET /utils/supported_openai_params",
    "GET /utils/model_info",
]
# Absent, each with one plain reason.
ABSENT = {
    "POST /assemblyai/{rest}": "no such provider is served; a configured `pass_through_endpoints` entry reaches it",
    "POST /langfuse/{rest}": "no model is behind it; a configured `pass_through_endpoints` entry reaches it",
    "POST /milvus/{rest}": "no model is behind it; a configured `pass_through_endpoints` entry reaches it",
    "POST /watsonx/{rest}": "no such provider is served; a configured `pass_through_endpoints` entry reaches it",
    "POST /mcp": "the gateway routes models; `mcp_servers` in a config is refused by name",
}
# Served by the gateway's fallback, which is on no list of paths.
CONFIGURED = "`general_settings.pass_through_endpoints`"


def wrong(document):
    """What the API's own description says otherwise than this list."""
    served = {
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    }
    missing = [f"{route} is not served" for route in SERVED if route not in served]
    return missing + [f"{route} is served after all" for route in ABSENT if route in served]


def rows():
    """Each path once: its methods, and whether it is served."""
    paths = {}
    for route in SERVED:
        method, path = route.split(" ", 1)
        is_socket = method == "GET" and path.endswith(("/realtime", "/responses"))
        paths.setdefault(path, []).append("WS" if is_socket else method)
    found = [
        [f"`{path}`", "any method" if path.endswith("{rest}") else ", ".join(methods), "yes"]
        for path, methods in paths.items()
    ]
    found.append([CONFIGURED, "as configured", "yes"])
    for route, reason in ABSENT.items():
        method, path = route.split(" ", 1)
        found.append([f"`{path}`", "any method" if path.endswith("{rest}") else method, f"no: {reason}"])
    return found
