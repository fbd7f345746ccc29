"""Google's SDK for Gemini: its own dialect, on backends of others."""

import base64

from google import genai
from google.genai import errors, types

import suite
from suite import PARIS, PNG, WEATHER, case, holds, raises, same

CHATS = ("chat", "claude", "vllm", "ollama", "gemini", "cohere", "bedrock", "azure", "responses")


def sdk(on, key=None):
    """The key goes as `x-goog-api-key`. A client that nobody holds closes itself."""
    on.client = genai.Client(api_key=key or on.master, http_options=types.HttpOptions(base_url=on.url))
    return on.client


@case(*CHATS)
def whole(on):
    config = types.GenerateContentConfig(system_instruction="be kind", max_output_tokens=64, temperature=0.5)
    reply = sdk(on).models.generate_content(model=on.model, contents="[[say:good day]]", config=config)
    same((reply.text, reply.candidates[0].finish_reason.name), ("good day", "STOP"))
    holds(reply.usage_metadata.total_token_count > 0, f"{reply.usage_metadata}")


@case(*CHATS)
async def whole_async(on):
    reply = await sdk(on).aio.models.generate_content(model=on.model, contents="[[say:good day]]")
    same(reply.text, "good day")


@case(*CHATS)
def stream(on):
    chunks = list(sdk(on).models.generate_content_stream(model=on.model, contents="[[say:good day]]"))
    same("".join(chunk.text or "" for chunk in chunks), "good day")
    holds(chunks[-1].usage_metadata.total_token_count > 0, f"{chunks[-1]}")


@case(*CHATS)
def tools(on):
    declared = types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked = sdk(on).models.generate_content(model=on.model, contents=PARIS, config=config)
    call = asked.function_calls[0]
    same((call.name, call.args), ("get_weather", {"city": "Paris"}))
    answer = types.Part.from_function_response(name="get_weather", response={"result": "21 degrees"})
    turns = [types.UserContent(PARIS), asked.candidates[0].content, types.UserContent(answer)]
    told = sdk(on).models.generate_content(model=on.model, contents=turns, config=config)
    holds("21 degrees" in told.text, told.text)


@case(*CHATS)
def vision(on):
    picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    reply = sdk(on).models.generate_content(model=on.model, contents=[picture, "[[say:a dot]]"])
    same(reply.text, "a dot")


@case
def errors_of_the_gateway(on):
    ask = {"model": "chat", "contents": "hi"}
    same(raises(errors.ClientError, sdk(on, "sk-nobody-knows-this-key").models.generate_content, **ask).code, 401)
    same(raises(errors.ClientError, sdk(on).models.generate_content, **{**ask, "model": "nothing"}).code, 400)
    broken = {**ask, "contents": "[[status:500]]"}
    same(raises(errors.ServerError, sdk(on).models.generate_content, **broken).code, 500)


if __name__ == "__main__":
    suite.main()
