"""What a Python file of cases starts from. It runs in the environment of its SDK; `run.py` starts it.

A case is a function with `@case`, or `@case("chat", "claude")` to run once for each of these models.
It gets an `On`: where to call and with which key. Each case talks to the next node.
"""

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
import urllib.request

CASES = []

# One pixel, as a vision part.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PARIS = '[[tool:get_weather {"city":"Paris"}]]'
ROME = '[[tool:get_weather {"city":"Rome"}]]'


class On:
    """Where one case calls."""

    def __init__(self, model, first):
        self.model = model
        self.nodes = os.environ["DUNLIN_NODES"].split(",")
        self.master = os.environ["DUNLIN_MASTER_KEY"]
        self.node = first % len(self.nodes)

    @property
    def url(self):
        return self.nodes[self.node]

    @property
    def v1(self):
        return self.url + "/v1"

    def key(self, **fields):
        """A key made for this case."""
        request = urllib.request.Request(
            self.url + "/key/generate",
            json.dumps(fields).encode(),
            {"authorization": f"Bearer {self.master}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)["key"]

    def kill_this_node(self):
        """Ends the node's process at once, and turns to the next one."""
        tell(kill=self.node)
        sys.stdin.readline()
        self.node = (self.node + 1) % len(self.nodes)


def case(*models):
    """Makes a function a case; of a list of models, a case for each."""
    if models and callable(models[0]):
        CASES.append((models[0].__name__, models[0], None))
        return models[0]

    def add(run):
        CASES.extend((f"{run.__name__}[{model}]", run, model) for model in models)
        return run

    return add


def same(got, want, what="it"):
    """Fails with both values."""
    if got != want:
        raise AssertionError(f"{what} is {got!r}, not {want!r}")


def holds(truth, what):
    """Fails with what should have held."""
    if not truth:
        raise AssertionError(what)


def raises(kind, call, *arguments, **named):
    """The error of this kind that the call ends in."""
    try:
        got = call(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}, but {got!r:.300}")


def main():
    """Runs the cases whose names are given, or all; tells each in a line of JSON."""
    wanted = sys.argv[1:]
    if wanted == ["--list"]:
        print("\n".join(name for name, _, _ in CASES))
        return
    for at, (name, run, model) in enumerate(CASES):
        if wanted and name not in wanted:
            continue
        tell(start=name)
        began = time.monotonic()
        reason = attempt(run, On(model, at))
        tell(case=name, ok=reason is None, reason=reason, seconds=round(time.monotonic() - began, 3))


def attempt(run, on):
    """Why the case fails, in one line; `None` if it holds."""
    try:
        if inspect.iscoroutinefunction(run):
            asyncio.run(run(on))
        else:
            run(on)
    except Exception as error:  # whatever an SDK raises is the case's outcome
        here = [frame for frame in traceback.extract_tb(error.__traceback__) if "/sdk/" in frame.filename]
        here = [frame for frame in here if "site-packages" not in frame.filename and "suite.py" not in frame.filename]
        line = f"{os.path.basename(here[-1].filename)}:{here[-1].lineno}: " if here else ""
        return " ".join(f"{line}{type(error).__name__}: {error} (on {on.url})".split())[:800]
    return None


def tell(**what):
    """A line for `run.py`."""
    print(json.dumps(what), flush=True)
