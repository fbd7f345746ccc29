"""LiteLLM as a library, which is how Aider and many agents call a gateway."""

import json

import litellm

import suite
from suite import PARIS, WEATHER, case, holds, raises, same

CHATS = ("chat", "claude", "vllm", "responses")
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


def ask(on, text, provider="openai", **more):
    base = on.url if provider == "anthropic" else on.v1
    return litellm.completion(
        model=f"{provider}/{on.model or 'chat'}", api_base=base, api_key=on.master, max_retries=0,
        messages=[{"role": "user", "content": text}], **more,
    )


@case(*CHATS)
def whole(on):
    reply = ask(on, "[[say:good day]]")
    same(reply.choices[0].message.content, "good day")
    holds(reply.usage.total_tokens > 0, f"{reply.usage}")


@case(*CHATS)
def stream(on):
    chunks = list(ask(on, "[[say:good day]]", stream=True, stream_options={"include_usage": True}))
    same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), "good day")


@case(*CHATS)
def through_its_proxy_provider(on):
    same(ask(on, "[[say:good day]]", "litellm_proxy").choices[0].message.content, "good day")


@case("claude", "chat")
def as_anthropic(on):
    same(ask(on, "[[say:good day]]", "anthropic").choices[0].message.content, "good day")


@case(*CHATS)
def tools(on):
    call = ask(on, PARIS, tools=[TOOL]).choices[0].message.tool_calls[0]
    same((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}))


@case
def embedding(on):
    reply = litellm.embedding(model="openai/chat", api_base=on.v1, api_key=on.master, input=["a", "b"])
    same(len(reply.data), 2)


@case("chat")
def rerank(on):
    reply = litellm.rerank(
        model=f"litellm_proxy/{on.model}", api_base=on.url, api_key=on.master, query="a", documents=["a b", "c"], top_n=1
    )
    same(len(reply.results), 1)


@case
def errors(on):
    raises(litellm.InternalServerError, ask, on, "[[status:500]]")
    raises(litellm.RateLimitError, ask, on, "[[status:429]]")


if __name__ == "__main__":
    suite.main()
