"""Brings the pinned SDKs into the cache folder, once for each state of the pins."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

# Read by an SDK: none of them may leave the machine, or find the developer's own keys.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
}


class Tools:
    """How to start a file of cases."""

    def __init__(self, here, cache, skipped):
        self.here, self.cache, self.skipped = here, cache, skipped

    def command(self, name):
        file = os.path.join(self.here, name)
        if name.endswith(".mjs"):
            # Node looks for packages beside the file, so the files go where the packages are.
            return ["node", os.path.join(self.cache, "node", name)]
        return [os.path.join(self.cache, "python", "bin", "python"), file]

    def environment(self, **more):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, **QUIET, "HOME": self.cache, "DUNLIN_SDK_CACHE": self.cache, **more}


def install(here, cache, suites):
    """Installs what these files need. What only needs Node is left out where there is no Node."""
    os.makedirs(cache, exist_ok=True)
    skipped = []
    once(cache, "python", [os.path.join(here, "requirements.txt")], python)
    if any(needs_node(name) for name in suites):
        if shutil.which("node"):
            if not shutil.which("npm"):
                sys.exit("missing: npm")
            pins = [os.path.join(here, name) for name in ("package.json", "package-lock.json")]
            once(cache, "node", pins, node)
            for name in os.listdir(here):
                if name.endswith(".mjs"):
                    shutil.copy(os.path.join(here, name), os.path.join(cache, "node", name))
        else:
            skipped = [name for name in suites if needs_node(name)]
            suites[:] = [name for name in suites if name not in skipped]
    return Tools(here, cache, skipped)


def needs_node(name):
    return name.endswith(".mjs") or name in ("claude_code.py", "codex.py")


def once(cache, name, pins, make):
    """Runs `make` in an empty folder unless it did for these pins."""
    folder, mark = os.path.join(cache, name), os.path.join(cache, f"{name}.pins")
    state = hashlib.sha256(b"".join(open(pin, "rb").read() for pin in pins)).hexdigest()
    if os.path.exists(mark) and open(mark).read() == state:
        return
    print(f"installing the SDKs into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    make(folder, pins)
    with open(mark, "w") as file:
        file.write(state)


def python(folder, pins):
    made = subprocess.run([sys.executable, "-m", "venv", folder])
    if made.returncode != 0:
        sys.exit("missing: pip, or python's venv")
    pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--requirement", pins[0]], check=True)


def node(folder, pins):
    for pin in pins:
        shutil.copy(pin, folder)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)


def versions(here):
    """The pinned version of each SDK: those above the first empty line, and npm's."""
    with open(os.path.join(here, "requirements.txt")) as file:
        named = [line.strip() for line in file.read().split("\n\n")[0].splitlines()]
    found = dict(line.split("==") for line in named if not line.startswith("#"))
    with open(os.path.join(here, "package.json")) as file:
        for name, version in json.load(file)["dependencies"].items():
            found[f"{name} (Node)" if name in found else name] = version
    return found
