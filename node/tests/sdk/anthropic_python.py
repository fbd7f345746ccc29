"""Anthropic's own SDK for Python, sync and async: its messages, on Anthropic's and on other backends."""

import anthropic

import suite
from suite import PARIS, PNG, ROME, WEATHER, case, holds, raises, same

CHATS = ("claude", "chat", "vllm", "ollama", "gemini", "bedrock", "cohere", "azure", "responses")
TOOL = {"name": "get_weather", "description": "the weather", "input_schema": WEATHER}


def sdk(on, **more):
    """The base URL has no `/v1`; the key goes as `x-api-key`."""
    return anthropic.Anthropic(**{"base_url": on.url, "api_key": on.master, "max_retries": 0, **more})


def say(text):
    return [{"role": "user", "content": text}]


def message(on, text, **more):
    more = {"model": on.model or "claude", "max_tokens": 64, **more}
    return sdk(on).messages.create(messages=say(text), **more)


@case(*CHATS)
def whole(on):
    # Responses have no such thing.
    more = {} if on.model == "responses" else {"stop_sequences": ["x"]}
    reply = message(on, "[[say:good day]]", system="be kind", **more)
    same((reply.content[0].type, reply.content[0].text), ("text", "good day"))
    same((reply.type, reply.role, reply.model, reply.stop_reason), ("message", "assistant", on.model, "end_turn"))
    holds(reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0, f"{reply.usage}")
    holds(reply._request_id, "no request-id")


@case(*CHATS)
async def whole_async(on):
    client = anthropic.AsyncAnthropic(base_url=on.url, api_key=on.master, max_retries=0)
    reply = await client.messages.create(model=on.model, max_tokens=9, messages=say("[[say:good day]]"))
    same(reply.content[0].text, "good day")


@case(*CHATS)
def bearer(on):
    client = anthropic.Anthropic(base_url=on.url, auth_token=on.key(), max_retries=0)
    reply = client.messages.create(model=on.model, max_tokens=9, messages=say("[[say:good day]]"))
    same(reply.content[0].text, "good day")


@case(*CHATS)
def stream(on):
    events = list(message(on, "[[say:good day]]", stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    same(kinds[:2], ["message_start", "content_block_start"])
    same(kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])
    same("".join(event.delta.text for event in events if event.type == "content_block_delta"), "good day")
    start = next(event for event in events if event.type == "message_start").message
    same((start.model, start.content), (on.model, []))
    end = next(event for event in events if event.type == "message_delta")
    holds(end.delta.stop_reason == "end_turn" and end.usage.output_tokens > 0, f"{end}")


@case(*CHATS)
def stream_whole(on):
    with sdk(on).messages.stream(model=on.model, max_tokens=64, messages=say("[[say:good day]]")) as stream:
        same("".join(stream.text_stream), "good day")
        final = stream.get_final_message()
    same((final.content[0].text, final.stop_reason), ("good day", "end_turn"))
    holds(final.usage.input_tokens > 0 and final.usage.output_tokens > 0, f"{final.usage}")


@case(*CHATS)
async def stream_async(on):
    client = anthropic.AsyncAnthropic(base_url=on.url, api_key=on.master, max_retries=0)
    async with client.messages.stream(model=on.model, max_tokens=64, messages=say("[[say:good day]]")) as stream:
        same("".join([text async for text in stream.text_stream]), "good day")


@case(*CHATS)
def tools(on):
    asked = message(on, PARIS, tools=[TOOL], tool_choice={"type": "auto"})
    call = next(block for block in asked.content if block.type == "tool_use")
    same((asked.stop_reason, call.name, call.input), ("tool_use", "get_weather", {"city": "Paris"}))
    answer = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
    turns = [*say(PARIS), {"role": "assistant", "content": asked.content}, {"role": "user", "content": [answer]}]
    told = sdk(on).messages.create(model=on.model, max_tokens=64, messages=turns, tools=[TOOL])
    holds("21 degrees" in told.content[0].text, f"{told.content}")


@case(*CHATS)
def stream_parallel_tools(on):
    with sdk(on).messages.stream(
        model=on.model, max_tokens=64, messages=say(PARIS + ROME), tools=[TOOL]
    ) as stream:
        final = stream.get_final_message()
    calls = [block for block in final.content if block.type == "tool_use"]
    same([call.input for call in calls], [{"city": "Paris"}, {"city": "Rome"}])
    same((final.stop_reason, len({call.id for call in calls})), ("tool_use", 2))


@case(*CHATS)
def vision(on):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    same(message(on, [picture, {"type": "text", "text": "[[say:a dot]]"}]).content[0].text, "a dot")


@case
def thinking(on):
    """The signature comes with the thought, so that it can be given back."""
    more = {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    text = "[[think:let me see]][[say:yes]]"
    thought, said = message(on, text, **more).content
    same((thought.type, thought.thinking.strip(), said.text), ("thinking", "let me see", "yes"))
    holds(thought.signature, "no signature")
    with sdk(on).messages.stream(model="claude", messages=say(text), **more) as stream:
        streamed = stream.get_final_message().content[0]
    same((streamed.thinking.strip(), streamed.signature), ("let me see", thought.signature))
    turns = [*say(text), {"role": "assistant", "content": [thought, said]}, *say("[[say:more]]")]
    same(sdk(on).messages.create(model="claude", messages=turns, **more).content[-1].text, "more")


@case("chat", "vllm", "ollama")
def thinking_elsewhere(on):
    more = {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    blocks = message(on, "[[think:let me see]][[say:yes]]", **more).content
    same([block.type for block in blocks], ["thinking", "text"])
    same((blocks[0].thinking.strip(), blocks[1].text), ("let me see", "yes"))


@case("claude", "chat", "vllm")
def cache_control(on):
    """Marked parts are counted as the backend counts them, and cost nobody an error."""
    system = [{"type": "text", "text": "long " * 50, "cache_control": {"type": "ephemeral"}}]
    reply = message(on, "[[say:ok]][[cached:7]]", system=system)
    same((reply.content[0].text, reply.usage.cache_read_input_tokens), ("ok", 7))


@case(*CHATS)
def count_tokens(on):
    count = sdk(on).messages.count_tokens
    short = count(model=on.model, messages=say("hi")).input_tokens
    long = count(model=on.model, messages=say("hi " * 100), system="be kind", tools=[TOOL]).input_tokens
    holds(0 < short < long, f"{short} and {long}")


@case("claude")
def message_batches(on):
    client = sdk(on, api_key=on.key(models=[on.model]))
    asked = {"one": "[[say:good day]]", "two": "[[say:good night]]"}
    requests = [
        {"custom_id": name, "params": {"model": on.model, "max_tokens": 64, "messages": say(text)}}
        for name, text in asked.items()
    ]
    made = client.messages.batches.create(requests=requests)
    same((made.type, made.processing_status, made.results_url), ("message_batch", "in_progress", None))
    elsewhere = on.nodes[(on.node + 1) % len(on.nodes)]
    other = sdk(on, base_url=elsewhere, api_key=client.api_key)
    done = other.messages.batches.retrieve(made.id)
    same((done.id, done.processing_status, done.request_counts.succeeded), (made.id, "ended", 2))
    answers = {line.custom_id: line.result.message.content[0].text for line in other.messages.batches.results(made.id)}
    same(answers, {"one": "good day", "two": "good night"})
    below = sdk(on, base_url=elsewhere + "/anthropic", api_key=client.api_key)
    passed = below.messages.batches.create(requests=requests)
    same(below.messages.batches.retrieve(passed.id).processing_status, "ended")
    same(len(list(below.messages.batches.results(passed.id))), 2, "answers below the prefix")
    second = client.messages.batches.create(requests=requests[:1])
    same([batch.id for batch in other.messages.batches.list(limit=1)], [second.id, made.id])
    same(other.messages.batches.cancel(second.id).processing_status, "canceling")
    stranger = sdk(on, api_key=on.key()).messages.batches
    for call in (stranger.retrieve, stranger.results, stranger.cancel, stranger.delete):
        raises(anthropic.NotFoundError, call, made.id)
    same(list(stranger.list()), [])
    requests[1]["params"]["model"] = "chat"
    error = raises(anthropic.BadRequestError, sdk(on).messages.batches.create, requests=requests)
    holds("request 2: " in str(error), error)
    same(other.messages.batches.delete(made.id).type, "message_batch_deleted")
    raises(anthropic.NotFoundError, client.messages.batches.retrieve, made.id)


@case
def models(on):
    """With `anthropic-version`, which this SDK sends, the list has Anthropic's shape."""
    found = list(sdk(on).models.list())
    holds({"claude", "chat"} <= {model.id for model in found}, f"{found}")
    same({model.type for model in found}, {"model"})


@case
def unknown_key(on):
    client = sdk(on, api_key="sk-nobody-knows-this-key")
    error = raises(
        anthropic.AuthenticationError, client.messages.create, model="claude", max_tokens=9, messages=say("hi")
    )
    same(error.status_code, 401)


@case
def forbidden_model(on):
    client = sdk(on, api_key=on.key(models=["chat"]))
    error = raises(
        anthropic.PermissionDeniedError, client.messages.create, model="claude", max_tokens=9, messages=say("hi")
    )
    same(error.status_code, 403)


@case
def unknown_model(on):
    error = raises(anthropic.BadRequestError, message, on, "hi", model="nothing")
    same((error.body["type"], error.body["error"]["type"]), ("error", "invalid_request_error"))


@case
def rate_limit(on):
    client = sdk(on, api_key=on.key(rpm_limit=1))
    ask = {"model": "claude", "max_tokens": 9, "messages": say("hi")}
    client.messages.create(**ask)
    error = raises(anthropic.RateLimitError, client.messages.create, **ask)
    holds(0 < int(error.response.headers["retry-after"]) <= 60, f"{error.response.headers}")


@case(*CHATS)
def upstream_error(on):
    error = raises(anthropic.InternalServerError, message, on, "[[status:500]]")
    same((error.status_code, error.body["type"]), (500, "error"))


@case
def overloaded(on):
    same(raises(anthropic.APIStatusError, message, on, "[[status:529]]").status_code, 529)


@case(*CHATS)
def stream_that_breaks(on):
    for fault in ("error 3", "reset 3", "cut 3"):
        text = f"[[fault:{fault}]][[tokens:9]]"
        raises(anthropic.APIError, lambda: list(message(on, text, stream=True)))


@case
def betas(on):
    reply = message(on, "[[say:ok]]", extra_headers={"anthropic-beta": "context-1m-2025-08-07"})
    same(reply.content[0].text, "ok")


if __name__ == "__main__":
    suite.main()
