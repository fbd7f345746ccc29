"""LangChain's chat model and embeddings over OpenAI's SDK."""

import asyncio

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

import suite
from suite import PARIS, ROME, case, holds, same

CHATS = ("chat", "claude", "vllm", "responses")


class City(BaseModel):
    name: str
    population: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"21 degrees in {city}"


def chat(on, **more):
    return ChatOpenAI(base_url=on.v1, api_key=on.master, model=on.model or "chat", max_retries=0, **more)


@case(*CHATS)
def invoke(on):
    reply = chat(on).invoke([SystemMessage("be kind"), HumanMessage("[[say:good day]]")])
    same(reply.content, "good day")
    holds(reply.usage_metadata["total_tokens"] > 0, f"{reply.usage_metadata}")


@case(*CHATS)
def stream(on):
    """The SDK's own default for a foreign base URL asks for no usage; when asked, it comes."""
    for asked in (False, True):
        whole = None
        for chunk in chat(on, stream_usage=asked).stream("[[say:good day]]"):
            whole = chunk if whole is None else whole + chunk
        same((whole.content, bool(whole.usage_metadata)), ("good day", asked))


@case
def ainvoke(on):
    same(asyncio.run(chat(on).ainvoke("[[say:good day]]")).content, "good day")


@case(*CHATS)
def tools(on):
    model = chat(on).bind_tools([get_weather])
    asked = model.invoke(PARIS + ROME)
    same([call["args"]["city"] for call in asked.tool_calls], ["Paris", "Rome"])
    answers = [get_weather.invoke(call) for call in asked.tool_calls]
    holds(all(isinstance(answer, ToolMessage) for answer in answers), f"{answers}")
    told = model.invoke([HumanMessage(PARIS + ROME), asked, *answers])
    holds("21 degrees" in told.content, told.content)


@case(*CHATS)
def structured(on):
    holds(isinstance(chat(on).with_structured_output(City).invoke("a city"), City), "no city")


@case("chat", "claude")
def responses_api(on):
    same(chat(on, use_responses_api=True).invoke("[[say:good day]]").text, "good day")


@case("chat", "vllm")
def embeddings(on):
    """Its own default counts tokens with a table that it would fetch."""
    model = OpenAIEmbeddings(
        base_url=on.v1, api_key=on.master, model=on.model, check_embedding_ctx_length=False, max_retries=0
    )
    same(len(model.embed_documents(["a", "b"])), 2)


if __name__ == "__main__":
    suite.main()
