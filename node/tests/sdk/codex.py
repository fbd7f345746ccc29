"""Codex's published package, asked from a shell, on a backend that has only chats and on others."""

import json
import os
import subprocess
import tempfile

import suite
from suite import case, holds, same

CODEX = os.path.join(os.environ["DUNLIN_SDK_CACHE"], "node", "node_modules", ".bin", "codex")


def codex(on, text, sockets=False):
    """What one question is answered by, as events."""
    with tempfile.TemporaryDirectory(prefix="dunlin-codex-") as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "DUNLIN_KEY": on.key()}
        provider = (
            f'{{name="dunlin",base_url="{on.v1}",env_key="DUNLIN_KEY",wire_api="responses"'
            f",supports_websockets={str(sockets).lower()}}}"
        )
        command = [
            CODEX, "exec", "--json", "--skip-git-repo-check", "--model", on.model,
            "--config", "model_provider=dunlin", "--config", f"model_providers.dunlin={provider}", text,
        ]
        ended = subprocess.run(
            command, env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=80
        )
        holds(ended.returncode == 0, f"ended with {ended.returncode}: {ended.stdout[-300:]} {ended.stderr[-300:]}")
        return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


@case("vllm", "claude", "responses")
def answers(on):
    """It puts words of its own after the question, so the answer is the mock's usual one."""
    check(codex(on, "hello"))


@case("vllm", "claude", "responses")
def answers_over_a_socket(on):
    events = codex(on, "hello", sockets=True)
    check(events)
    # Where it cannot, it says so and asks by HTTP.
    holds(not any(event["type"] == "error" for event in events), f"{events}")


def check(events):
    said = [event["item"]["text"] for event in events if event.get("item", {}).get("type") == "agent_message"]
    same([text.split()[0] for text in said], ["tok"])
    same(events[-1]["type"], "turn.completed")
    holds(events[-1]["usage"]["output_tokens"] > 0, f"{events[-1]}")


if __name__ == "__main__":
    suite.main()
