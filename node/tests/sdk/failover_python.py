"""A node is killed under an SDK: what was open raises, what comes next works at another node.

It ends a node, so `run.py` runs it alone and last.
"""

import anthropic
import openai

import suite
from suite import case, raises, same

SAY = [{"role": "user", "content": "[[say:still here]]"}]


@case
def killed_between_and_under_a_stream(on):
    """A pooled connection of a dead node is no answer; a stream that is cut does not look whole."""
    slow = [{"role": "user", "content": "[[fault:stall 30000]][[tokens:9]]"}]
    client = openai.OpenAI(base_url=on.v1, api_key=on.master, max_retries=0, timeout=20)
    same(client.chat.completions.create(model="chat", messages=SAY).choices[0].message.content, "still here")
    stream = client.chat.completions.create(model="chat", messages=slow, stream=True)
    next(stream)
    on.kill_this_node()
    raises(openai.APIConnectionError, list, stream)
    raises(openai.APIConnectionError, client.models.list)
    for _ in on.nodes[1:]:
        other = openai.OpenAI(base_url=on.v1, api_key=on.master, max_retries=0, timeout=20)
        same(other.chat.completions.create(model="chat", messages=SAY).choices[0].message.content, "still here")
        claude = anthropic.Anthropic(base_url=on.url, api_key=on.master, max_retries=0, timeout=20)
        said = claude.messages.create(model="claude", max_tokens=9, messages=SAY).content[0].text
        same(said, "still here")
        on.node = (on.node + 1) % len(on.nodes)


if __name__ == "__main__":
    suite.main()
