#!/usr/bin/env python3
"""The SDKs that apps use, as they are published, against a real cluster of three nodes.

    node/tests/sdk/run.py                                    all cases
    node/tests/sdk/run.py openai_python                      those of one file
    node/tests/sdk/run.py openai_python 'tools[claude]'      one case
    node/tests/sdk/run.py --list
    node/tests/sdk/run.py --write                            docs/compatibility.md

Installs the pinned versions (requirements.txt, package-lock.json) once into a folder under the target
folder, starts mock providers and nodes, and prints a line for each case. Nothing but the installation
leaves the machine. Needs built binaries: `cargo build --package dunlin --package dunlin-mock-upstream`.
To add a case, write a function in the file of its SDK; `suite.py` and `suite.mjs` say how.
"""

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.dont_write_bytecode = True

import install
import routes
import table
from cluster import Cluster

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", "..", ".."))
PAGE = os.path.join(ROOT, "docs", "compatibility.md")
# In this order. The last ones kill nodes, so they run alone and at the end.
SUITES = [
    "openai_python.py", "openai_node.mjs", "ai_node.mjs", "langchain_python.py", "litellm_python.py", "google_python.py",
    "bedrock_python.py", "clouds_python.py",
    "anthropic_python.py", "anthropic_node.mjs", "claude_code.py", "codex.py",
]
KILLERS = ["failover_python.py"]
# A busy machine with two cores; a case that hangs is a failure of its own.
SILENCE = 90.0
AT_A_TIME = 2


def main():
    arguments = parse()
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    cache = os.path.join(target, "sdk")
    suites = [name for name in SUITES + KILLERS if arguments.suite in (None, suite_of(name))]
    if not suites:
        sys.exit(f"no file of cases is called {arguments.suite}")
    tools = install.install(HERE, cache, suites)
    if arguments.list or arguments.write:
        cases = listed(suites, tools)
        if arguments.write:
            write_page(table.page(HERE, ROOT, cases))
        else:
            print("\n".join(f"{suite} {case}" for suite, case in cases))
        return
    binaries = arguments.binaries or os.path.join(target, "debug")
    for binary in ("dunlin", "dunlin-mock-upstream"):
        if not os.access(os.path.join(binaries, binary), os.X_OK):
            sys.exit(f"missing: {binaries}/{binary}; cargo build --package dunlin --package dunlin-mock-upstream")
    began = time.monotonic()
    folder = tempfile.mkdtemp(prefix="dunlin-sdk-")
    try:
        with Cluster(binaries, folder) as cluster:
            results = Results()
            results.check_routes(cluster)
            abreast = [name for name in suites if name not in KILLERS]
            lanes = [threading.Thread(target=lane, args=(abreast, tools, cluster, arguments.case, results))
                     for _ in range(AT_A_TIME)]
            for thread in lanes:
                thread.start()
            for thread in lanes:
                thread.join()
            lane([name for name in suites if name in KILLERS], tools, cluster, arguments.case, results)
            results.skipped = tools.skipped
            if not (arguments.suite or tools.skipped):
                results.check_page()
            sys.exit(results.close(arguments.json or os.path.join(cache, "results.json"), began, cluster))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="?", help="one file of cases, such as openai_python")
    parser.add_argument("case", nargs="?", help="one case of it")
    parser.add_argument("--binaries", metavar="DIR", help="default: debug in the target folder")
    parser.add_argument("--json", metavar="FILE", help="where results go; default: sdk/results.json in the target folder")
    parser.add_argument("--write", action="store_true", help="write docs/compatibility.md and end")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    return parser.parse_args()


def lane(suites, tools, cluster, case, results):
    """Takes file after file off the list and runs it."""
    while suites:
        try:
            name = suites.pop(0)
        except IndexError:
            return
        run_suite(name, tools, cluster, case, results)


def run_suite(name, tools, cluster, case, results):
    """One file of cases in its own process, which tells of each case in a line."""
    process = subprocess.Popen(
        tools.command(name) + ([case] if case else []),
        env=tools.environment(DUNLIN_NODES=",".join(cluster.urls), DUNLIN_MASTER_KEY=cluster.master),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    lines = queue.Queue(maxsize=1000)
    threading.Thread(target=pump, args=(process.stdout, lines), daemon=True).start()
    errors = []
    threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True).start()
    running, seen = "to start", 0
    while True:
        try:
            line = lines.get(timeout=SILENCE)
        except queue.Empty:
            process.kill()
            results.add(name, running, False, f"nothing for {SILENCE:.0f} s", SILENCE)
            break
        if line is None:
            break
        told = read(line)
        if "start" in told:
            running = told["start"]
        elif "kill" in told:
            cluster.kill(told["kill"])
            process.stdin.write("killed\n")
            process.stdin.flush()
        elif "case" in told:
            running, seen = "to end", seen + 1
            results.add(name, told["case"], told["ok"], told["reason"], told["seconds"])
    if process.wait() != 0 or not seen:
        last = " ".join("".join(errors[-8:]).split())
        results.add(name, running, False, f"the file ended with {process.returncode}: {last or 'no case ran'}", 0)


def pump(pipe, lines):
    for line in pipe:
        lines.put(line)
    lines.put(None)


def read(line):
    """What a suite tells; an SDK's own chatter is nothing."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def listed(suites, tools):
    """File and name of each case."""
    found = []
    for name in suites:
        environment = tools.environment(DUNLIN_NODES="", DUNLIN_MASTER_KEY="")
        told = subprocess.run(
            tools.command(name) + ["--list"], env=environment, check=True, capture_output=True, text=True
        )
        found.extend((suite_of(name), case) for case in told.stdout.splitlines())
    return found


def suite_of(file):
    return file.rsplit(".", 1)[0]


def read_page():
    try:
        with open(PAGE) as file:
            return file.read()
    except FileNotFoundError:
        return None


def write_page(text):
    with open(PAGE, "w") as file:
        file.write(text)


class Results:
    """The outcome of each case, told as it comes."""

    def __init__(self):
        self.all, self.skipped, self.lock = [], [], threading.Lock()

    def add(self, name, case, passed, reason, seconds):
        suite = suite_of(name)
        with self.lock:
            self.all.append({"suite": suite, "case": case, "ok": passed, "reason": reason, "seconds": seconds})
            if passed:
                print(f"ok   {suite} {case} {seconds:.2f}s", flush=True)
            else:
                print(f"FAIL {suite} {case}: {reason}\n     again: node/tests/sdk/run.py {suite} '{case}'", flush=True)

    def check_page(self):
        """What the page says was tested is what was."""
        if read_page() != table.page(HERE, ROOT, self.in_order()):
            self.add("docs", "compatibility", False, "docs/compatibility.md is stale: node/tests/sdk/run.py --write", 0)

    def check_routes(self, cluster):
        """What the page says is served is what the gateway says it serves."""
        with urllib.request.urlopen(cluster.urls[0] + "/openapi.json", timeout=10) as answer:
            wrong = routes.wrong(json.load(answer))
        if wrong:
            self.add("docs", "routes", False, "; ".join(wrong), 0)

    def in_order(self):
        """All cases, in the order of the files and of the cases in them."""
        order = [suite_of(name) for name in SUITES + KILLERS]
        cases = [(each["suite"], each["case"]) for each in self.all if each["suite"] in order]
        return sorted(cases, key=lambda case: order.index(case[0]))

    def close(self, path, began, cluster):
        """Writes the file and the last line; gives the exit code."""
        failed = sum(not each["ok"] for each in self.all)
        for name in self.skipped:
            print(f"SKIPPED {name}: node is not installed")
        report = {"versions": install.versions(HERE), "skipped": self.skipped, "cases": self.all}
        with open(path, "w") as file:
            json.dump(report, file, indent=1)
        if any(node.poll() is not None and node.returncode != -9 for node in cluster.nodes):
            print(f"a node ended by itself\n{cluster.log_tails()}")
            failed += 1
        print(f"{len(self.all) - failed} passed, {failed} failed in {time.monotonic() - began:.0f} s; {path}")
        return 1 if failed or not self.all else 0


if __name__ == "__main__":
    main()
