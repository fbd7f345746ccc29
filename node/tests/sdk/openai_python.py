"""OpenAI's own SDK for Python, sync and async, and its client for Azure."""

import asyncio
import base64
import io
import json
import time
from unittest import mock

import openai
from pydantic import BaseModel

import suite
from suite import PARIS, PNG, ROME, WEATHER, case, holds, raises, same

# Their responses are bridged to chats.
BRIDGED = ("chat", "claude", "vllm", "ollama", "gemini", "cohere", "bedrock", "azure")
CHATS = (*BRIDGED, "responses")
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


class City(BaseModel):
    name: str
    population: int


def sdk(on, **more):
    return openai.OpenAI(base_url=on.v1, **{"api_key": on.master, "max_retries": 0, **more})


def elsewhere(on, **more):
    """A client of the next node."""
    url = on.nodes[(on.node + 1) % len(on.nodes)] + "/v1"
    return openai.OpenAI(base_url=url, **{"api_key": on.master, "max_retries": 0, **more})


def async_sdk(on):
    return openai.AsyncOpenAI(base_url=on.v1, api_key=on.master, max_retries=0)


def say(text):
    return [{"role": "user", "content": text}]


def chat(on, text, **more):
    return sdk(on).chat.completions.create(model=on.model or "chat", messages=say(text), **more)


def text_of(stream):
    return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)


@case(*CHATS)
def whole(on):
    reply = chat(on, "[[say:good day]]", temperature=0.5, max_completion_tokens=50)
    same(reply.choices[0].message.content, "good day")
    same((reply.model, reply.object, reply.choices[0].finish_reason), (on.model, "chat.completion", "stop"))
    holds(reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0, f"{reply.usage}")
    same(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens)
    holds(reply._request_id, "no x-request-id")


@case(*CHATS)
async def whole_async(on):
    reply = await async_sdk(on).chat.completions.create(model=on.model, messages=say("[[say:good day]]"))
    same(reply.choices[0].message.content, "good day")


@case(*CHATS)
def stream(on):
    chunks = list(chat(on, "[[say:good day to you]]", stream=True))
    same(text_of(chunks), "good day to you")
    same({chunk.model for chunk in chunks}, {on.model})
    # Azure's first chunk, which says what its filter found in the prompt, has none.
    same(len({chunk.id for chunk in chunks if chunk.id}), 1, "the number of ids")
    same([c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason], ["stop"])
    holds(not any("usage" in chunk.model_fields_set for chunk in chunks), "usage was not asked for")


@case(*CHATS)
def stream_with_usage(on):
    chunks = list(chat(on, "[[say:good day]]", stream=True, stream_options={"include_usage": True}))
    counted = [chunk.usage for chunk in chunks if chunk.usage]
    same(len(counted), 1, "the number of usages")
    holds(counted[0].prompt_tokens > 0 and counted[0].completion_tokens > 0, f"{counted[0]}")


@case(*CHATS)
async def stream_async(on):
    stream = await async_sdk(on).chat.completions.create(
        model=on.model, messages=say("[[say:good day]]"), stream=True
    )
    same(text_of([chunk async for chunk in stream]), "good day")


@case(*CHATS)
def stream_events(on):
    with sdk(on).chat.completions.stream(model=on.model, messages=say("[[say:good day]]")) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    holds("content.delta" in kinds and "content.done" in kinds, f"{kinds}")
    same(final.choices[0].message.content, "good day")


@case
def stream_left_early(on):
    with chat(on, "[[tokens:500]]", stream=True) as stream:
        next(stream)
    same(chat(on, "[[say:still there]]").choices[0].message.content, "still there")


@case(*CHATS)
def tools(on):
    asked = chat(on, PARIS, tools=[TOOL], tool_choice="auto")
    same(asked.choices[0].finish_reason, "tool_calls")
    call = asked.choices[0].message.tool_calls[0]
    same((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}))
    turns = [*say(PARIS), asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}]
    told = sdk(on).chat.completions.create(model=on.model, messages=turns, tools=[TOOL])
    holds("21 degrees" in told.choices[0].message.content, f"{told.choices[0].message}")


@case("chat", "claude", "vllm")
def parallel_tools(on):
    calls = chat(on, PARIS + ROME, tools=[TOOL], parallel_tool_calls=True).choices[0].message.tool_calls
    same([json.loads(call.function.arguments)["city"] for call in calls], ["Paris", "Rome"])
    same(len({call.id for call in calls}), 2, "the number of ids")


@case(*CHATS)
def stream_tools(on):
    with sdk(on).chat.completions.stream(model=on.model, messages=say(PARIS + ROME), tools=[TOOL]) as stream:
        stream.until_done()
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    same([json.loads(call.function.arguments)["city"] for call in calls], ["Paris", "Rome"])
    same(final.choices[0].finish_reason, "tool_calls")


@case(*CHATS)
def structured(on):
    parsed = sdk(on).chat.completions.parse(model=on.model, messages=say("a city"), response_format=City)
    holds(isinstance(parsed.choices[0].message.parsed, City), f"{parsed.choices[0].message}")


@case(*CHATS)
def vision(on):
    parts = [
        {"type": "text", "text": "[[say:a dot]]"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
    ]
    same(chat(on, parts).choices[0].message.content, "a dot")


@case(*CHATS)
def reasoning(on):
    message = chat(on, "[[think:let me see]][[say:yes]]", reasoning_effort="low").choices[0].message
    same((message.content, message.reasoning_content.strip()), ("yes", "let me see"))


@case("chat", "vllm")
def several_choices(on):
    reply = chat(on, "hi", n=3)
    same([choice.index for choice in reply.choices], [0, 1, 2])


@case("chat", "vllm")
def logprobs(on):
    tokens = chat(on, "hi", logprobs=True, top_logprobs=2, max_tokens=3).choices[0].logprobs.content
    same(len(tokens), 3)
    holds(tokens[0].logprob < 0 and tokens[0].bytes, f"{tokens[0]}")


@case(*CHATS)
def completions(on):
    reply = sdk(on).completions.create(model=on.model, prompt="[[say:good day]]", max_tokens=9)
    same((reply.choices[0].text, reply.object), ("good day", "text_completion"))
    chunks = sdk(on).completions.create(model=on.model, prompt="[[say:good day]]", stream=True)
    same("".join(choice.text for chunk in chunks for choice in chunk.choices), "good day")


@case("chat", "vllm", "ollama", "gemini", "cohere")
def embeddings(on):
    """Without a word on the encoding the SDK asks for base64 and decodes it."""
    ask = sdk(on).embeddings.create
    plain = ask(model=on.model, input=["a", "b"], encoding_format="float")
    same([each.index for each in plain.data], [0, 1])
    coded = ask(model=on.model, input=["a", "b"])
    holds(all(isinstance(x, float) for x in coded.data[1].embedding), "not decoded")
    same([round(x, 5) for x in coded.data[1].embedding], [round(x, 5) for x in plain.data[1].embedding])
    raw = ask(model=on.model, input="b", encoding_format="base64").data[0].embedding
    same(len(base64.b64decode(raw)), 4 * len(plain.data[1].embedding))
    holds(plain.usage.prompt_tokens > 0, f"{plain.usage}")


@case
def embeddings_of_tokens(on):
    reply = sdk(on).embeddings.create(model="chat", input=[[1, 2, 3], [4]], dimensions=8)
    same([len(each.embedding) for each in reply.data], [8, 8])


@case(*CHATS)
def response(on):
    reply = sdk(on).responses.create(
        model=on.model, input="[[say:good day]]", instructions="be kind", max_output_tokens=50
    )
    same((reply.output_text, reply.status, reply.model, reply.object), ("good day", "completed", on.model, "response"))
    holds(reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0, f"{reply.usage}")


@case(*CHATS)
def response_stream(on):
    events = list(sdk(on).responses.create(model=on.model, input="[[say:good day]]", stream=True))
    same((events[0].type, events[-1].type), ("response.created", "response.completed"))
    same("".join(event.delta for event in events if event.type == "response.output_text.delta"), "good day")
    same(events[-1].response.output_text, "good day")
    same([event.sequence_number for event in events], list(range(len(events))))


@case(*CHATS)
async def response_stream_async(on):
    async with async_sdk(on).responses.stream(model=on.model, input="[[say:good day]]") as stream:
        final = await stream.get_final_response()
    same(final.output_text, "good day")


@case(*CHATS)
def response_tools(on):
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
    asked = sdk(on).responses.create(model=on.model, input=PARIS, tools=[tool])
    call = next(item for item in asked.output if item.type == "function_call")
    same((call.name, json.loads(call.arguments)), ("get_weather", {"city": "Paris"}))
    turns = [*say(PARIS), call, {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}]
    told = sdk(on).responses.create(model=on.model, input=turns, tools=[tool])
    holds("21 degrees" in told.output_text, told.output_text)


@case(*CHATS)
def response_structured(on):
    parsed = sdk(on).responses.parse(model=on.model, input="a city", text_format=City)
    holds(isinstance(parsed.output_parsed, City), parsed.output_text)


@case
def response_kept(on):
    """Read, listed and deleted on other nodes than the one that made it."""
    client = sdk(on)
    made = client.responses.create(model="responses", input="[[say:good day]]")
    other = elsewhere(on)
    read = other.responses.retrieve(made.id)
    same((read.id, read.output_text, read.model), (made.id, "good day", "responses"))
    same([item.role for item in other.responses.input_items.list(made.id)], ["user"])
    next_one = other.responses.create(model="responses", input="and?", previous_response_id=made.id)
    same(next_one.previous_response_id, made.id)
    stranger = sdk(on, api_key=on.key())
    raises(openai.NotFoundError, stranger.responses.retrieve, made.id)
    other.responses.delete(made.id)
    raises(openai.NotFoundError, client.responses.retrieve, made.id)


@case(*BRIDGED)
def response_stored(on):
    """The same of a provider that keeps none: the gateway does."""
    client, other = sdk(on), elsewhere(on)
    made = client.responses.create(model=on.model, input="[[say:good day]]")
    read = other.responses.retrieve(made.id)
    same((read.id, read.output_text, read.model), (made.id, "good day", on.model))
    same([item.role for item in other.responses.input_items.list(made.id)], ["user"])
    with other.responses.stream(model=on.model, input="[[say:and?]]", previous_response_id=made.id) as events:
        next_one = events.get_final_response()
    same((next_one.previous_response_id, next_one.output_text), (made.id, "and?"))
    roles = [item.role for item in client.responses.input_items.list(next_one.id, order="asc")]
    same(roles, ["user", "assistant", "user"])
    raises(openai.NotFoundError, sdk(on, api_key=on.key()).responses.retrieve, made.id)
    raises(openai.BadRequestError, client.responses.cancel, made.id)
    other.responses.delete(made.id)
    raises(openai.NotFoundError, client.responses.retrieve, made.id)


@case(*CHATS)
async def response_socket(on):
    """Turns over one WebSocket, none of them stored."""
    async with async_sdk(on).responses.connect() as socket:
        async def turn(text, **more):
            await socket.response.create(model=on.model, input=text, store=False, **more)
            async for event in socket:
                holds(event.type != "error", f"{event}")
                if event.type == "response.completed":
                    return event.response

        first = await turn("[[say:good day]]")
        same(first.output_text, "good day")
        second = await turn("[[say:good night]]", previous_response_id=first.id)
        same(second.output_text, "good night")
        holds(second.usage.input_tokens > first.usage.input_tokens, "it does not go on from the first")
        await socket.response.create(model=on.model, input="hi", previous_response_id="resp_none")
        same((await socket.recv()).error.code, "previous_response_not_found")


@case
def response_in_background(on):
    made = sdk(on).responses.create(model="responses", input="[[say:good day]]", background=True)
    same(made.status, "queued")
    same(elsewhere(on).responses.retrieve(made.id).output_text, "good day")
    again = elsewhere(on).responses.retrieve(made.id, stream=True)
    holds(any(event.type == "response.completed" for event in again), "it has no end")
    same(elsewhere(on).responses.cancel(made.id).status, "cancelled")
    plain = sdk(on).responses.create(model="responses", input="hi")
    raises(openai.BadRequestError, elsewhere(on).responses.cancel, plain.id)


@case(*BRIDGED)
def response_made_here(on):
    """The same of a provider that keeps none: a node makes it, and every node tells how it stands."""
    client, other = sdk(on), elsewhere(on)
    made = client.responses.create(model=on.model, input="[[say:good day]]", background=True)
    same(made.status, "queued")
    until = time.monotonic() + 20
    while (read := other.responses.retrieve(made.id)).status in ("queued", "in_progress"):
        holds(time.monotonic() < until, f"it is {read.status} after 20 s")
        time.sleep(0.05)
    same((read.status, read.output_text, read.background), ("completed", "good day", True))
    slow = client.responses.create(model=on.model, input="[[delay:60000]] hi", background=True)
    same(other.responses.cancel(slow.id).status, "cancelled")
    same(client.responses.retrieve(slow.id).status, "cancelled")


@case(*BRIDGED)
def response_streamed_here(on):
    """Its client leaves, and hears the rest from another node."""
    client, other = sdk(on), elsewhere(on)
    ask = "[[delay:500]] [[say:good day to you]]"
    made = client.responses.create(model=on.model, input=ask, background=True, stream=True)
    first = next(iter(made))
    same((first.type, first.response.status, first.sequence_number), ("response.created", "queued", 0))
    made.close()
    rest = list(other.responses.retrieve(first.response.id, stream=True, starting_after=0))
    same([event.sequence_number for event in rest], list(range(1, len(rest) + 1)))
    same("".join(e.delta for e in rest if e.type == "response.output_text.delta"), "good day to you")
    same((rest[-1].type, rest[-1].response.id), ("response.completed", first.response.id))


@case(*BRIDGED)
def response_stream_cancelled(on):
    """Whoever hears it, now or later, on whichever node, hears its end."""
    client, other = sdk(on), elsewhere(on)
    made = client.responses.create(model=on.model, input="[[delay:60000]] hi", background=True, stream=True)
    events = iter(made)
    id = next(events).response.id
    same(other.responses.cancel(id).status, "cancelled")
    last = list(events)[-1]
    same((last.type, last.response.status), ("response.failed", "cancelled"))
    again = list(other.responses.retrieve(id, stream=True, starting_after=1))
    same([(event.type, event.sequence_number) for event in again], [("response.failed", last.sequence_number)])


@case(*BRIDGED)
def response_custom_tool(on):
    tool = {"type": "custom", "name": "patch", "description": "Changes files."}
    asked = sdk(on).responses.create(model=on.model, input='[[tool:patch {"input":"a b"}]]', tools=[tool])
    call = next(item for item in asked.output if item.type == "custom_tool_call")
    same((call.name, call.input), ("patch", "a b"))
    turns = [*say("patch it"), call, {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"}]
    told = sdk(on).responses.create(model=on.model, input=turns, tools=[tool])
    holds("done" in told.output_text, told.output_text)


@case(*BRIDGED)
def response_hosted_tool(on):
    """Left out and told, or given to a provider that has the same; refused if it must be called."""
    client, files = sdk(on), {"type": "file_search", "vector_store_ids": ["vs_1"]}
    raw = client.responses.with_raw_response.create(model=on.model, input="[[say:good day]]", tools=[files])
    same(raw.headers.get("x-dunlin-left-out-tools"), "file_search")
    same(raw.parse().output_text, "good day")
    raises(
        openai.BadRequestError, client.responses.create,
        model=on.model, input="hi", tools=[files], tool_choice={"type": "file_search"},
    )


@case(*BRIDGED)
def response_repeats(on):
    """What was asked stands in the answer."""
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
    made = sdk(on).responses.create(
        model=on.model, input="[[say:{}]]", instructions="be kind", metadata={"a": "b"}, tools=[tool],
        tool_choice="none", parallel_tool_calls=False, truncation="auto", store=False, max_output_tokens=70,
        max_tool_calls=3, include=["reasoning.encrypted_content"], text={"format": {"type": "json_object"}},
    )
    same((made.instructions, made.metadata, made.tool_choice), ("be kind", {"a": "b"}, "none"))
    same((made.tools[0].name, made.parallel_tool_calls, made.truncation), ("get_weather", False, "auto"))
    same((made.max_output_tokens, made.max_tool_calls, made.text.format.type), (70, 3, "json_object"))
    same((made.previous_response_id, made.background, made.error), (None, False, None))
    usage = made.usage
    same(usage.total_tokens, usage.input_tokens + usage.output_tokens)
    holds(usage.input_tokens_details.cached_tokens >= 0 and usage.output_tokens_details.reasoning_tokens >= 0, f"{usage}")
    raises(openai.NotFoundError, sdk(on).responses.retrieve, made.id)
    raises(openai.BadRequestError, sdk(on).responses.create, model=on.model, input="hi", prompt={"id": "pmpt_1"})


@case
def conversations(on):
    client = sdk(on, api_key=on.key())
    other = elsewhere(on, api_key=client.api_key)
    made = client.conversations.create(items=say("I am Ann"), metadata={"a": "b"})
    same((made.object, made.metadata), ("conversation", {"a": "b"}))
    said = other.responses.create(model="responses", input="[[say:good day]]", conversation=made.id)
    same((said.conversation.id, said.output_text), (made.id, "good day"))
    roles = [item.role for item in other.conversations.items.list(made.id, order="desc")]
    same(roles, ["assistant", "user", "user"])
    added = client.conversations.items.create(made.id, items=say("bye"))
    item = other.conversations.items.retrieve(added.data[0].id, conversation_id=made.id)
    same(item.role, "user")
    same(client.conversations.items.delete(item.id, conversation_id=made.id).id, made.id)
    same(other.conversations.update(made.id, metadata={"c": "d"}).metadata, {"c": "d"})
    raises(openai.NotFoundError, sdk(on, api_key=on.key()).conversations.retrieve, made.id)
    raises(openai.BadRequestError, client.responses.create, model="vllm", input="hi", conversation=made.id)
    holds(client.conversations.delete(made.id).deleted, "not deleted")
    raises(openai.NotFoundError, other.conversations.retrieve, made.id)


@case("responses", "chat")
def response_tokens(on):
    counted = sdk(on).responses.input_tokens.count(model=on.model, input="good day to you")
    holds(counted.input_tokens > 0, f"{counted}")


@case(*CHATS)
def response_compacted(on):
    client = sdk(on)
    short = client.responses.compact(model=on.model, input=[{"role": "user", "content": "good day"}])
    same((short.object, short.output[-1].type), ("response.compaction", "compaction"))
    holds(short.usage.input_tokens > 0, f"{short.usage}")
    turns = [*(item.model_dump(exclude_none=True) for item in short.output), *say("[[say:and on]]")]
    same(client.responses.create(model=on.model, input=turns).output_text, "and on")


@case
def files(on):
    client = sdk(on)
    made = client.files.create(file=("notes.txt", b"good day"), purpose="user_data", extra_body={"model": "responses"})
    read = elsewhere(on).files.retrieve(made.id)
    same((read.id, read.filename, read.bytes), (made.id, "notes.txt", 8))
    same(elsewhere(on).files.content(made.id).read(), b"good day")
    stranger = sdk(on, api_key=on.key())
    raises(openai.NotFoundError, stranger.files.retrieve, made.id)
    same(list(stranger.files.list()), [])
    own = [stranger.files.create(file=(name, b"x"), purpose="user_data", extra_body={"model": "responses"}).id
           for name in ("a", "b", "c")]
    stranger = elsewhere(on, api_key=stranger.api_key)
    pages = [file.id for file in stranger.files.list(limit=2)]
    same(pages, own[::-1])
    same([file.id for file in stranger.files.list(order="asc", purpose="user_data")], own)
    same(list(stranger.files.list(purpose="batch")), [])
    listed = {file.id for file in client.files.list(extra_query={"model": "responses"})}
    holds(made.id in listed, f"{listed}")
    holds(elsewhere(on).files.delete(made.id).deleted, "not deleted")
    raises(openai.NotFoundError, client.files.retrieve, made.id)


def lines_of(url, bodies):
    """The file of a batch."""
    lines = [{"custom_id": name, "method": "POST", "url": url, "body": body} for name, body in bodies.items()]
    return ("in.jsonl", "\n".join(map(json.dumps, lines)).encode())


@case("responses", "vllm", "vertex-jobs", "bedrock-jobs")
def batches(on):
    asked = {"one": "[[say:good day]]", "two": "[[status:400]]"}
    bodies = {name: {"model": on.model, "max_tokens": 64, "messages": say(text)} for name, text in asked.items()}
    client = sdk(on, api_key=on.key(models=[on.model]))
    lines = client.files.create(file=lines_of("/v1/chat/completions", bodies), purpose="batch")
    made = client.batches.create(
        input_file_id=lines.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    same((made.input_file_id, made.object), (lines.id, "batch"))
    other = elsewhere(on, api_key=client.api_key)
    done = other.batches.retrieve(made.id)
    same((done.id, done.status), (made.id, "completed"))
    same((done.request_counts.completed, done.request_counts.failed), (1, 1))
    answer = json.loads(other.files.content(done.output_file_id).text)
    failed = json.loads(client.files.content(done.error_file_id).text)
    same((answer["custom_id"], failed["custom_id"]), ("one", "two"))
    same(answer["response"]["body"]["choices"][0]["message"]["content"], "good day")
    raises(openai.NotFoundError, sdk(on, api_key=on.key()).batches.retrieve, made.id)
    same([batch.id for batch in other.batches.list()], [made.id])
    listed = {batch.id for batch in sdk(on).batches.list(extra_query={"model": on.model})}
    holds(listed, "no batches")
    second = client.batches.create(
        input_file_id=lines.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    holds(other.batches.cancel(second.id).status in ("cancelling", "cancelled"), "it goes on")


@case("titan-jobs")
def batches_of_embeddings(on):
    client = sdk(on, api_key=on.key(models=[on.model]))
    bodies = {name: {"model": on.model, "input": name} for name in ("one", "two")}
    lines = client.files.create(file=lines_of("/v1/embeddings", bodies), purpose="batch")
    made = client.batches.create(input_file_id=lines.id, endpoint="/v1/embeddings", completion_window="24h")
    done = elsewhere(on, api_key=client.api_key).batches.retrieve(made.id)
    same((done.status, done.endpoint, done.error_file_id), ("completed", "/v1/embeddings", None))
    answers = map(json.loads, client.files.content(done.output_file_id).text.splitlines())
    found = {answer["custom_id"]: answer["response"]["body"]["data"][0]["embedding"] for answer in answers}
    holds(found.keys() == bodies.keys() and all(found.values()), f"{found}")
    error = raises(openai.BadRequestError, client.batches.create, input_file_id=lines.id,
                   endpoint="/v1/chat/completions", completion_window="24h")
    holds("endpoint" in str(error), error)


@case("responses", "vllm")
def fine_tuning(on):
    client = sdk(on, api_key=on.key(models=[on.model]))
    lines = client.files.create(file=("in.jsonl", b"{}"), purpose="fine-tune", extra_body={"model": on.model})
    made = client.fine_tuning.jobs.create(model=on.model, training_file=lines.id)
    same((made.model, made.training_file, made.status), (on.model, lines.id, "validating_files"))
    other = elsewhere(on, api_key=client.api_key)
    same(other.fine_tuning.jobs.retrieve(made.id).status, "running")
    same(other.fine_tuning.jobs.retrieve(made.id).status, "succeeded")
    same([event.level for event in other.fine_tuning.jobs.list_events(made.id)], ["info"])
    checkpoints = list(other.fine_tuning.jobs.checkpoints.list(made.id))
    same([each.fine_tuning_job_id for each in checkpoints], [made.id])
    same([job.id for job in other.fine_tuning.jobs.list()], [made.id])
    raises(openai.NotFoundError, sdk(on, api_key=on.key()).fine_tuning.jobs.retrieve, made.id)
    second = client.fine_tuning.jobs.create(model=on.model, training_file=lines.id)
    same(other.fine_tuning.jobs.cancel(second.id).status, "cancelled")


@case
def moderation(on):
    reply = sdk(on).moderations.create(model="chat", input="hello")
    same([each.flagged for each in reply.results], [False])


@case
def images(on):
    made = sdk(on).images.generate(model="chat", prompt="a dot", n=2, response_format="b64_json")
    same([base64.b64decode(each.b64_json)[1:4] for each in made.data], [b"PNG", b"PNG"])
    picture = ("dot.png", io.BytesIO(base64.b64decode(PNG)), "image/png")
    holds(sdk(on).images.edit(model="chat", image=picture, prompt="a bigger dot").data, "no picture")


@case
def transcription(on):
    sound = ("sound.wav", io.BytesIO(b"RIFF....WAVEfmt "), "audio/wav")
    ask = sdk(on).audio.transcriptions.create
    holds(ask(model="chat", file=sound).text, "no text")
    holds(isinstance(ask(model="chat", file=sound, response_format="text"), str), "no plain text")
    holds(sdk(on).audio.translations.create(model="chat", file=sound).text, "no translation")


@case
def speech(on):
    ask = sdk(on).audio.speech
    whole = ask.create(model="chat", voice="alloy", input="hello").read()
    with ask.with_streaming_response.create(model="chat", voice="alloy", input="hello") as pieces:
        same(b"".join(pieces.iter_bytes()), whole)
    holds(len(whole) > 10, "no sound")


@case
def models(on):
    names = {model.id for model in sdk(on).models.list()}
    holds(set(CHATS) <= names, f"{names}")
    same(sdk(on).models.retrieve("claude").id, "claude")
    raises(openai.NotFoundError, sdk(on).models.retrieve, "nothing")
    own = sdk(on, api_key=on.key(models=["vllm"]))
    same([model.id for model in own.models.list()], ["vllm"])


@case
def unknown_key(on):
    ask = sdk(on, api_key="sk-nobody-knows-this-key").chat.completions.create
    error = raises(openai.AuthenticationError, ask, model="chat", messages=say("hi"))
    same((error.status_code, error.code, error.type), (401, "401", "token_not_found_in_db"))


@case
def forbidden_model(on):
    ask = sdk(on, api_key=on.key(models=["chat"])).chat.completions.create
    error = raises(openai.PermissionDeniedError, ask, model="claude", messages=say("hi"))
    same((error.status_code, error.type), (403, "key_model_access_denied"))


@case
def unknown_model(on):
    error = raises(openai.BadRequestError, sdk(on).chat.completions.create, model="nothing", messages=say("hi"))
    holds("Invalid model name" in error.message, error.message)


@case
def unknown_path(on):
    lost = openai.OpenAI(base_url=on.url + "/nowhere", api_key=on.master, max_retries=0)
    same(raises(openai.NotFoundError, lost.models.list).body, {"detail": "Not Found"})


@case
def rate_limit(on):
    """Refused with the seconds to wait, and the SDK waits as long before it tries again."""
    key = on.key(rpm_limit=1)
    ask = sdk(on, api_key=key).chat.completions.create
    ask(model="chat", messages=say("hi"))
    error = raises(openai.RateLimitError, ask, model="chat", messages=say("hi"))
    wait = int(error.response.headers["retry-after"])
    holds(0 < wait <= 60, f"retry-after: {wait}")
    patient = sdk(on, api_key=key, max_retries=1).chat.completions.create
    with mock.patch("time.sleep") as slept:
        raises(openai.RateLimitError, patient, model="chat", messages=say("hi"))
    waits = [call.args[0] for call in slept.call_args_list if call.args[0] > 0.2]
    holds(len(waits) == 1 and wait - 15 <= waits[0] <= wait + 1, f"slept {waits}, told {wait}")


@case(*CHATS)
def upstream_error(on):
    error = raises(openai.InternalServerError, chat, on, "[[status:500]]")
    same(error.status_code, 500)
    same(raises(openai.BadRequestError, chat, on, "[[status:400]]", stream=True).status_code, 400)
    same(raises(openai.RateLimitError, chat, on, "[[status:429]]").status_code, 429)


@case(*CHATS)
def stream_that_breaks(on):
    """It must not look whole: the SDK ends a stream without a last word in silence."""
    for fault in ("error 3", "reset 3", "cut 3"):
        text = f"[[fault:{fault}]][[tokens:9]]"
        raises(openai.APIError, lambda: list(chat(on, text, stream=True)))


@case
def unknown_fields(on):
    reply = chat(on, "[[say:ok]]", extra_body={"top_k": 5, "metadata": {"tags": ["a"]}})
    same(reply.choices[0].message.content, "ok")


@case
def headers(on):
    raw = sdk(on).chat.completions.with_raw_response.create(
        model="chat", messages=say("hi"), extra_headers={"x-litellm-call-id": "my-own-id"}
    )
    same(raw.headers["x-litellm-call-id"], "my-own-id")
    holds(raw.headers["x-litellm-model-id"], "no model id")
    same(raw.parse().object, "chat.completion")


@case("chat", "claude")
def azure(on):
    """Its key is in `api-key`, the model in the path."""
    ask = openai.AzureOpenAI(
        azure_endpoint=on.url, api_key=on.key(), api_version="2024-10-21", max_retries=0
    ).chat.completions.create
    same(ask(model=on.model, messages=say("[[say:good day]]")).choices[0].message.content, "good day")
    same(text_of(ask(model=on.model, messages=say("[[say:good day]]"), stream=True)), "good day")


@case("chat", "claude")
def azure_responses(on):
    """Azure's path of responses, which names no model: it is the gateway's own."""
    asked = openai.AzureOpenAI(
        azure_endpoint=on.url, api_key=on.key(), api_version="2025-03-01-preview", max_retries=0
    ).responses
    made = asked.create(model=on.model, input="[[say:good day]]")
    same((made.output_text, made.model), ("good day", on.model))
    with asked.stream(model=on.model, input="[[say:good day]]") as stream:
        same(stream.get_final_response().output_text, "good day")
    same(asked.retrieve(made.id).id, made.id)
    holds(asked.input_items.list(made.id).data, "nothing was asked")
    asked.delete(made.id)
    try:
        asked.retrieve(made.id)
    except openai.NotFoundError:
        return
    holds(False, "it is deleted")


@case
async def realtime(on):
    """A conversation over a WebSocket, with the key in a header."""
    async with async_sdk(on).realtime.connect(model="chat") as talk:
        same((await talk.recv()).type, "session.created")
        same(await spoken(talk, "[[say:good day]]"), "good day")
        same(await spoken(talk, "[[say:good night]]"), "good night")


@case
async def realtime_of_a_browser(on):
    """A secret in the place of the key, on another node."""
    session = {"type": "realtime", "model": "chat", "instructions": "Be brief."}
    made = await async_sdk(on).realtime.client_secrets.create(session=session)
    holds(made.value.startswith("ek_dn1"), "the provider's own secret would pass by the gateway")
    browser = openai.AsyncOpenAI(base_url=elsewhere(on).base_url, api_key=made.value, max_retries=0)
    async with browser.realtime.connect(model="chat") as talk:
        same((await talk.recv()).session.instructions, "Be brief.")
        same(await spoken(talk, "[[say:good day]]"), "good day")
    try:
        await browser.chat.completions.create(model="chat", messages=say("hi"))
    except openai.PermissionDeniedError:
        return
    holds(False, "a secret opens more than conversations")


@case
def realtime_call(on):
    """WebRTC: the offer in a form with its session."""
    session = {"type": "realtime", "model": "chat", "instructions": "[[say:good day]]"}
    made = sdk(on).realtime.calls.create(sdp="v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n", session=session)
    holds(made.text.startswith("v=0"), made.text)
    call = made.response.headers["location"].rsplit("/", 1)[1]
    elsewhere(on).realtime.calls.hangup(call)


@case
async def realtime_azure(on):
    """Azure's path, and its key in `api-key`."""
    azure = openai.AsyncAzureOpenAI(
        azure_endpoint=on.url, api_key=on.key(), api_version="2024-10-01-preview", max_retries=0,
        # Without it the SDK asks for TLS.
        websocket_base_url=on.url.replace("http:", "ws:") + "/openai",
    )
    async with azure.realtime.connect(model="chat") as talk:
        same((await talk.recv()).type, "session.created")
        same(await spoken(talk, "[[say:good day]]"), "good day")


async def spoken(talk, text):
    """What is answered."""
    content = [{"type": "input_text", "text": text}]
    await talk.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    await talk.response.create()
    words = ""
    async for event in talk:
        if event.type == "response.output_text.delta":
            words += event.delta
        if event.type == "response.done":
            holds(event.response.usage.output_tokens > 0, f"{event.response.usage}")
            return words


@case
async def many_at_once(on):
    """Forty streams of one client."""
    client = async_sdk(on)

    async def one(number):
        messages = say(f"[[say:answer {number}]]")
        stream = await client.chat.completions.create(model="chat", messages=messages, stream=True)
        return text_of([chunk async for chunk in stream])

    same(await asyncio.gather(*map(one, range(40))), [f"answer {number}" for number in range(40)])


if __name__ == "__main__":
    suite.main()
