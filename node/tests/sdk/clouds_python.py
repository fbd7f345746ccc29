"""The clouds' clients in the SDKs, against the clouds' own APIs behind /vertex_ai, /bedrock and /azure."""

import anthropic
import openai
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

import suite
from cluster import PROJECT, VERTEX_CLAUDE, VERTEX_GEMINI
from suite import PARIS, WEATHER, case, holds, raises, same

BEDROCK_CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
SAY = [{"role": "user", "content": "[[say:good day]]"}]


def vertex(on, key):
    """The key goes as Google's access token."""
    on.client = genai.Client(
        vertexai=True, project=PROJECT, location="us-central1", credentials=Credentials(key),
        http_options=types.HttpOptions(base_url=f"{on.url}/vertex_ai"),
    )
    return on.client


def vertex_claude(on, key):
    return anthropic.AnthropicVertex(
        region="us-east5", project_id=PROJECT, access_token=key, base_url=f"{on.url}/vertex_ai/v1", max_retries=0,
    )


def bedrock_claude(on, key):
    """The key goes as a Bedrock API key."""
    return anthropic.AnthropicBedrock(
        aws_region="us-east-1", api_key=key, base_url=f"{on.url}/bedrock", max_retries=0,
    )


def azure(on, key):
    return openai.AzureOpenAI(
        azure_endpoint=f"{on.url}/azure", api_key=key, api_version="2024-10-21", max_retries=0,
    )


@case
def gemini_on_vertex(on):
    reply = vertex(on, on.key()).models.generate_content(model=VERTEX_GEMINI, contents="[[say:good day]]")
    same((reply.text, reply.candidates[0].finish_reason.name), ("good day", "STOP"))
    holds(reply.usage_metadata.total_token_count > 0, f"{reply.usage_metadata}")


@case
def gemini_on_vertex_stream(on):
    chunks = vertex(on, on.key()).models.generate_content_stream(model=VERTEX_GEMINI, contents="[[say:good day]]")
    same("".join(chunk.text or "" for chunk in chunks), "good day")


@case
async def gemini_on_vertex_tools(on):
    declared = types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    ask = vertex(on, on.key()).aio.models.generate_content
    reply = await ask(model=VERTEX_GEMINI, contents=PARIS, config=config)
    same((reply.function_calls[0].name, reply.function_calls[0].args), ("get_weather", {"city": "Paris"}))


@case
def claude_on_vertex(on):
    reply = vertex_claude(on, on.key()).messages.create(model=VERTEX_CLAUDE, max_tokens=64, messages=SAY)
    same((reply.content[0].text, reply.stop_reason), ("good day", "end_turn"))
    holds(reply.usage.output_tokens > 0, f"{reply.usage}")


@case
def claude_on_vertex_stream(on):
    with vertex_claude(on, on.key()).messages.stream(model=VERTEX_CLAUDE, max_tokens=64, messages=SAY) as stream:
        same(stream.get_final_text(), "good day")


@case
def claude_on_bedrock(on):
    reply = bedrock_claude(on, on.key()).messages.create(model=BEDROCK_CLAUDE, max_tokens=64, messages=SAY)
    same((reply.content[0].text, reply.stop_reason), ("good day", "end_turn"))
    holds(reply.usage.output_tokens > 0, f"{reply.usage}")


@case
def claude_on_bedrock_stream(on):
    with bedrock_claude(on, on.key()).messages.stream(model=BEDROCK_CLAUDE, max_tokens=64, messages=SAY) as stream:
        final = stream.get_final_message()
    same((final.content[0].text, final.stop_reason), ("good day", "end_turn"))


@case
def gpt_on_azure(on):
    reply = azure(on, on.key()).chat.completions.create(model="gpt-mock", messages=SAY)
    same((reply.choices[0].message.content, reply.choices[0].finish_reason), ("good day", "stop"))
    holds(reply.usage.total_tokens > 0, f"{reply.usage}")


@case
def gpt_on_azure_stream(on):
    chunks = azure(on, on.key()).chat.completions.create(model="gpt-mock", messages=SAY, stream=True)
    deltas = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    same("".join(deltas), "good day")


@case
def rights(on):
    """A key that may call another model only reaches none of these."""
    ask = {"model": VERTEX_CLAUDE, "max_tokens": 64, "messages": SAY}
    refused = raises(anthropic.PermissionDeniedError, vertex_claude(on, on.key(models=["chat"])).messages.create, **ask)
    same(refused.status_code, 403)
    ask = {"model": "gpt-mock", "messages": SAY}
    refused = raises(openai.PermissionDeniedError, azure(on, on.key(models=["claude"])).chat.completions.create, **ask)
    same(refused.status_code, 403)


if __name__ == "__main__":
    suite.main()
