"""Claude Code's published package, asked from a shell, on Anthropic's backend and on vLLM's."""

import json
import os
import subprocess
import tempfile

import suite
from suite import case, holds, same

CLAUDE = os.path.join(os.environ["DUNLIN_SDK_CACHE"], "node", "node_modules", ".bin", "claude")


def claude(on, text, model):
    """One question; its own traffic to elsewhere is switched off."""
    with tempfile.TemporaryDirectory(prefix="dunlin-claude-") as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "ANTHROPIC_BASE_URL": on.url,
            "ANTHROPIC_AUTH_TOKEN": on.key(),
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_SMALL_FAST_MODEL": model,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_TELEMETRY": "1",
        }
        command = [CLAUDE, "-p", text, "--output-format", "json"]
        ended = subprocess.run(
            command, env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=80
        )
        holds(ended.returncode == 0, f"ended with {ended.returncode}: {ended.stdout[-300:]} {ended.stderr[-300:]}")
        return json.loads(ended.stdout)


@case("claude", "vllm", "responses")
def answers(on):
    """It puts words of its own after the question, so the answer is the mock's usual one."""
    told = claude(on, "hello", model=on.model)
    same((told["result"].split()[0], told["is_error"], told["num_turns"]), ("tok", False, 1))
    holds(told["usage"]["output_tokens"] > 0, f"{told['usage']}")


if __name__ == "__main__":
    suite.main()
