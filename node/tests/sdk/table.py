"""docs/compatibility.md, out of the cases there are and the providers' fixtures."""

import os
import re

import install
import routes
from cluster import JOBS, MODELS

# What a case that runs on each backend shows, by file and name: of which endpoint, and what of it.
OF_FILE = {
    "openai_python": "/v1/chat/completions",
    "anthropic_python": "/v1/messages",
    "google_python": "/v1beta/models/{model}:generateContent",
}
ASPECTS = {
    "whole": ["whole", "usage"],
    "stream": ["stream"],
    "stream_with_usage": ["usage in stream"],
    "stream_whole": ["usage in stream"],
    "tools": ["tools"],
    "stream_tools": ["tools in stream"],
    "stream_parallel_tools": ["tools in stream"],
    "structured": ["schema"],
    "vision": ["vision"],
    "reasoning": ["thinking"],
    "thinking": ["thinking"],
    "thinking_elsewhere": ["thinking"],
    "upstream_error": ["errors"],
    "stream_that_breaks": ["errors in stream"],
}
# Of OpenAI's responses, in the same file.
RESPONSES = {
    "response": ["whole", "usage"],
    "response_stream": ["stream"],
    "response_tools": ["tools"],
    "response_structured": ["schema"],
}
COLUMNS = list(dict.fromkeys(aspect for aspects in ASPECTS.values() for aspect in aspects))
# Endpoints without such aspects.
SINGLE = {
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "embeddings_of_tokens": "/v1/embeddings",
    "response_kept": "/v1/responses/{id}, /v1/responses/{id}/input_items",
    "response_stored": "/v1/responses/{id}, /v1/responses/{id}/input_items",
    "response_in_background": "/v1/responses/{id}/cancel",
    "response_made_here": "/v1/responses/{id}/cancel",
    "response_stream_cancelled": "/v1/responses/{id}?stream=true",
    "response_streamed_here": "/v1/responses/{id}?stream=true",
    "response_tokens": "/v1/responses/input_tokens",
    "response_compacted": "/v1/responses/compact",
    "conversations": "/v1/conversations, /v1/conversations/{id}/items",
    "files": "/v1/files",
    "batches": "/v1/batches",
    "batches_of_embeddings": "/v1/batches",
    "moderation": "/v1/moderations",
    "images": "/v1/images/generations, /v1/images/edits",
    "transcription": "/v1/audio/transcriptions, /v1/audio/translations",
    "speech": "/v1/audio/speech",
    "rerank": "/rerank",
    "count_tokens": "/v1/messages/count_tokens",
    "message_batches": "/v1/messages/batches",
    "models": "/v1/models",
    "realtime": "/v1/realtime",
    "realtime_of_a_browser": "/v1/realtime/client_secrets",
    "realtime_call": "/v1/realtime/calls",
}
# The suites by the name of what they test.
SDKS = {
    "openai_python": ("openai (Python)", "openai"),
    "openai_node": ("openai (Node)", "openai (Node)"),
    "anthropic_python": ("anthropic (Python)", "anthropic"),
    "anthropic_node": ("@anthropic-ai/sdk", "@anthropic-ai/sdk"),
    "google_python": ("google-genai (Python)", "google-genai"),
    "bedrock_python": ("boto3, behind /bedrock", "boto3"),
    "clouds_python": ("AnthropicVertex, AnthropicBedrock, AzureOpenAI, and google-genai for Vertex AI", "anthropic"),
    "langchain_python": ("langchain-openai (Python)", "langchain-openai"),
    "litellm_python": ("litellm as a client", "litellm"),
    "ai_node": ("ai, with @ai-sdk/openai and openai-compatible", "ai"),
    "claude_code": ("Claude Code, `claude -p`", "@anthropic-ai/claude-code"),
    "codex": ("Codex, `codex exec`", "@openai/codex"),
    "failover_python": ("openai and anthropic (Python), a node killed", "openai"),
}

HEAD = """\
# What works with what

This page is written by `node/tests/sdk/run.py --write`; a run fails when the page is stale. **yes**
means that a case passes with the published SDK, through a cluster of three nodes, against a mock
server that speaks the provider's own dialect over HTTP. CI fails when one does not pass. An empty
cell is not tested. No real provider is called, so undocumented provider behaviour is not covered.
"""
ROUTES = """\
## LiteLLM's routes for models

All the routes that teams use: ranks A and B of what LiteLLM serves. A run fails when the gateway's
own description, `/openapi.json`, disagrees.
"""
FIXTURES = """\
## Providers' fixtures

`cargo test --package dunlin-providers` reads these: whole answers, streams and errors as each
provider's documentation or public reports show them (`documented`), or as the provider sent them
(`recorded`). Providers that differ from OpenAI only in address, key and parameters are rows of a
table (`crates/providers/src/compatible.rs`) and have no fixtures of their own.
"""


def page(here, root, cases):
    """The page, of the cases there are: pairs of file and name."""
    parts = [HEAD]
    for endpoint, rows in chats(cases).items():
        columns = [column for column in COLUMNS if any(column in row for row in rows.values())]
        parts.append(f"## `{endpoint}`\n\n" + grid(["provider", *columns], [
            [f"`{provider(model)}`", *("yes" if column in rows[model] else "" for column in columns)]
            for model in MODELS if model in rows
        ]))
    parts.append("## Other endpoints\n\n" + grid(["endpoint", "provider"], others(cases)))
    parts.append(ROUTES + "\n" + grid(["path", "methods", "served"], routes.rows()))
    parts.append("## SDKs\n\n" + grid(["SDK", "version", "cases"], sdks(here, cases)))
    parts.append(FIXTURES + "\n" + grid(
        ["provider", "kind", "read", "answers", "streams", "errors"], fixtures(root)
    ))
    return "\n".join(parts)


def provider(model):
    known = MODELS.get(model) or JOBS[model]
    return known[1].rsplit("/", 1)[0]


def split(name):
    """`tools[claude]` is `tools` on `claude`; without brackets it is on the model called chat."""
    base, _, model = name.partition("[")
    return base, model.rstrip("]") or "chat"


def chats(cases):
    """Endpoint, then model, then what was shown."""
    found = {}
    for suite, name in cases:
        base, model = split(name)
        endpoint, aspects = OF_FILE.get(suite), ASPECTS.get(base, [])
        if suite == "openai_python" and base in RESPONSES:
            endpoint, aspects = "/v1/responses", RESPONSES[base]
        if name == "thinking":
            model = "claude"
        if endpoint and aspects:
            found.setdefault(endpoint, {}).setdefault(model, set()).update(aspects)
    return found


def others(cases):
    found = {}
    for suite, name in cases:
        base, model = split(name)
        if base in SINGLE:
            own = "the gateway itself" if base == "models" else f"`{provider(model)}`"
            found.setdefault(SINGLE[base], []).append(own)
    return [[f"`{name.replace(', ', '`, `')}`", ", ".join(dict.fromkeys(by))] for name, by in found.items()]


def sdks(here, cases):
    versions = install.versions(here)
    rows = []
    for suite, (title, package) in SDKS.items():
        count = sum(of == suite for of, _ in cases)
        if count:
            rows.append([title, versions[package], str(count)])
    return rows


def fixtures(root):
    folder = os.path.join(root, "crates", "providers", "testdata")
    rows = []
    for name in sorted(os.listdir(folder)):
        files = os.listdir(os.path.join(folder, name))
        with open(os.path.join(folder, name, "SOURCE")) as file:
            source = file.read()
        errors = sum(file.startswith("error") for file in files)
        streams = sum("stream" in file for file in files)
        answers = len(files) - 1 - errors - streams
        kind = re.match(r"documented|recorded", source).group()
        read = re.search(r"read: (\S+)", source).group(1)
        rows.append([f"`{name}`", kind, read, *(str(count or "") for count in (answers, streams, errors))])
    return rows


def grid(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|\n" for cells in lines)
