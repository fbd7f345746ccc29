"""Real processes for the cases: mock providers and three nodes of dunlin, all on free loopback ports."""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

NODES = 3
FORMED = 60.0
# A port may be taken between finding it free and the node binding it.
TRIES = 3
UPSTREAM_KEY = "sk-upstream"

# Each model: its mock's flags, what `litellm_params.model` is, what follows the mock's address. That
# of `responses` is asked for nothing else, and its server keeps them.
MODELS = {
    "chat": ([], "openai/gpt-mock", "/v1"),
    "claude": ([], "anthropic/claude-sonnet-4-5", ""),
    "vllm": (["--habit", "vllm", "--habit", "no-null-encoding"], "hosted_vllm/served-name", "/v1"),
    "gemini": ([], "gemini/gemini-2.5-flash", ""),
    "bedrock": ([], "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", ""),
    "cohere": ([], "cohere/command-a-03-2025", ""),
    "ollama": ([], "ollama_chat/llama3.2", ""),
    "azure": ([], "azure/gpt-mock", ""),
    "responses": ([], "openai/responses/gpt-mock", "/v1"),
}

# Models whose batches are jobs over buckets: whose mock has their API too, and what
# `litellm_params.model` is.
JOBS = {
    "vertex-jobs": ("gemini", "vertex_ai/gemini-jobs"),
    "bedrock-jobs": ("bedrock", "bedrock/eu.amazon.nova-jobs-v1:0"),
    "titan-jobs": ("bedrock", "bedrock/amazon.titan-embed-text-v2:0"),
}

# What is called behind /vertex_ai alone: the mock of `gemini` has that API too.
PROJECT = "p"
VERTEX_GEMINI = "gemini-2.5-flash"
VERTEX_CLAUDE = "claude-sonnet-4-5"


class Cluster:
    """Started processes. As a context manager it ends them."""

    def __init__(self, binaries, folder):
        self.binaries, self.folder = binaries, folder
        self.master = "sk-" + secrets.token_hex(16)
        self.secret = secrets.token_hex(32)
        self.processes, self.nodes, self.urls = [], [], []

    def __enter__(self):
        try:
            bases = {name: self.start_mock(name, flags) for name, (flags, _, _) in MODELS.items()}
            with open(os.path.join(self.folder, "config.yaml"), "w") as file:
                file.write(config(bases))
            for last in range(TRIES):
                if self.start_nodes(final=last + 1 == TRIES):
                    break
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def spawn(self, name, command, **more):
        """A child in a session of its own: a Ctrl-C is for us, who end it."""
        environment = {"LITELLM_MASTER_KEY": self.master, "DUNLIN_CLUSTER_SECRET": self.secret}
        log = open(os.path.join(self.folder, f"{name}.log"), "ab")
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True,
            stdout=more.get("stdout", log), text="stdout" in more,
        )
        self.processes.append(process)
        return process

    def start_mock(self, name, flags):
        """Its address without a path."""
        binary = os.path.join(self.binaries, "dunlin-mock-upstream")
        mock = self.spawn(f"mock-{name}", [binary, "--key", UPSTREAM_KEY, *flags], stdout=subprocess.PIPE)
        base = mock.stdout.readline().strip()
        assert base.endswith("/v1"), f"the mock for {name} did not start: {self.log_tail(f'mock-{name}')}"
        return base.removesuffix("/v1")

    def start_nodes(self, final):
        """False if one ended, such as for a port that was taken."""
        ports = free_ports(2 * NODES)
        peers = [f"127.0.0.1:{port}" for port in ports[NODES:]]
        attempt = secrets.token_hex(3)
        self.urls = [f"http://127.0.0.1:{port}" for port in ports[:NODES]]
        self.nodes = []
        for at in range(NODES):
            self.nodes.append(self.spawn(f"n{at + 1}", [
                os.path.join(self.binaries, "dunlin"), "serve",
                "--config", os.path.join(self.folder, "config.yaml"),
                "--host", "127.0.0.1", "--port", str(ports[at]),
                "--data-dir", os.path.join(self.folder, f"data-{attempt}-{at + 1}"),
                "--cluster-listen", peers[at], "--advertise", peers[at],
                "--join", ",".join(peers), "--bootstrap-expect", str(NODES),
            ]))
        until = time.monotonic() + FORMED
        while not all(map(ready, self.urls)):
            if any(node.poll() is not None for node in self.nodes):
                for node in self.nodes:
                    node.kill()
                if final:
                    raise RuntimeError(f"a node ended at its start\n{self.log_tails()}")
                return False
            if time.monotonic() > until:
                raise RuntimeError(f"no cluster within {FORMED:.0f} s\n{self.log_tails()}")
            time.sleep(0.1)
        return True

    def kill(self, node):
        """As a crash does."""
        self.nodes[node].send_signal(signal.SIGKILL)
        self.nodes[node].wait()

    def log_tails(self):
        return "\n".join(self.log_tail(f"n{at + 1}") for at in range(NODES))

    def log_tail(self, name):
        with open(os.path.join(self.folder, f"{name}.log"), errors="replace") as file:
            return f"-- {name}\n" + "".join(file.readlines()[-15:])


def config(bases):
    """The nodes' config: one model for each mock, no retries that would hide an answer."""
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": model, "api_base": bases[name] + path, "api_key": UPSTREAM_KEY},
        }
        for name, (_, model, path) in MODELS.items()
    ]
    for name, model in ("vertex", VERTEX_GEMINI), ("vertex-claude", VERTEX_CLAUDE):
        bearer = {"authorization": f"Bearer {UPSTREAM_KEY}"}
        served = {"model": f"vertex_ai/{model}", "api_base": bases["gemini"], "api_key": UPSTREAM_KEY}
        models.append({
            "model_name": name,
            "litellm_params": {**served, "vertex_project": PROJECT, "extra_headers": bearer},
        })
    for name, (mock, model) in JOBS.items():
        models.append({"model_name": name, "litellm_params": of_jobs(model, bases[mock])})
    # JSON is YAML.
    return json.dumps({"model_list": models, "router_settings": {"num_retries": 0}}, indent=1)


def of_jobs(model, base):
    """What leads to a cloud's jobs and to its buckets."""
    served = {"model": model, "api_base": base}
    if model.startswith("bedrock/"):
        return {
            **served, "aws_access_key_id": "AKID", "aws_secret_access_key": "mock-secret",
            "aws_region_name": "eu-west-1", "aws_batch_role_arn": "arn:aws:iam::1:role/r",
            "s3_bucket_name": "files", "s3_endpoint_url": f"{base}/s3",
        }
    credentials = {
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "token_uri": f"{base}/token",
    }
    return {
        **served, "vertex_project": PROJECT, "vertex_credentials": json.dumps(credentials),
        "gcs_bucket_name": "files", "gcs_endpoint_url": base,
    }


def ready(url):
    try:
        with urllib.request.urlopen(url + "/health/readiness", timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
