#!/usr/bin/env python3
"""Writes table.txt, the facts about models that dunlin carries.

    pip download litellm --no-deps
    python3 generate.py litellm-*.whl 2026-11-25 > table.txt

The arguments are LiteLLM's published wheel, or its model_prices JSON, and the day it was fetched.
The same arguments give the same bytes. Takes facts only: who serves a model, its limits, its rates, what it can do, and when it ends.
"""

import json
import math
import re
import sys
import zipfile

JSON_IN_WHEEL = "litellm/model_prices_and_context_window_backup.json"

MODES = {
    "audio_speech", "audio_transcription", "chat", "completion", "embedding", "image_edit",
    "image_generation", "moderation", "ocr", "realtime", "rerank", "responses", "search",
}

KINDS = {
    "input_cost_per_token": "in",
    "cache_read_input_token_cost": "read",
    "cache_read_input_audio_token_cost": "read-audio",
    "cache_read_input_image_token_cost": "read-image",
    "cache_creation_input_token_cost": "write",
    "cache_creation_input_token_cost_above_1hr": "write1h",
    "cache_creation_input_token_cost_above_12hr": "write12h",
    "input_cost_per_audio_token": "in-audio",
    "input_cost_per_image_token": "in-image",
    "output_cost_per_token": "out",
    "output_cost_per_reasoning_token": "think",
    "output_cost_per_audio_token": "out-audio",
    "output_cost_per_image_token": "out-image",
    "input_cost_per_second": "in-second",
    "output_cost_per_second": "out-second",
    "input_cost_per_character": "in-char",
    "output_cost_per_character": "out-char",
    "input_cost_per_image": "in-picture",
    "output_cost_per_image": "out-picture",
    "input_cost_per_pixel": "in-pixel",
    "output_cost_per_pixel": "out-pixel",
    "input_cost_per_query": "query",
    "ocr_cost_per_page": "page",
    "google_maps_grounding_cost_per_query": "maps",
}
WORDS = [*KINDS.values(), "search", "search-low", "search-high"]
# What a tier leaves out costs its own input or output rate.
TIER_FALLBACKS = [("read", "in"), ("write", "in"), ("think", "out")]
# Who sells grounded prompts, however often one searches, unless a model says `per_query`.
SEARCHES_ONCE = {"gemini", "perplexity", "vertex_ai", "vertex_ai-language-models"}
# The one of Perplexity's that has a price for each search.
SEARCHES_EACH = "perplexity/sonar-deep-research"
SERVICES = {
    "": "", "_flex": ".flex", "_priority": ".priority", "_batches": ".batch", "_ultrafast": ".ultrafast",
}
# What costs more than the rates, by a factor.
PREMIUMS = {"us": "times-us", "fast": "times-fast"}
SERVICE_ORDER = list(SERVICES.values())
SEARCH_SIZES = ["medium", "low", "high"]

SUPPORTS = [
    ("a", "supports_audio_input"),
    ("A", "supports_audio_output"),
    ("c", "supports_prompt_caching"),
    ("f", "supports_function_calling"),
    ("i", "supports_embedding_image_input"),
    ("j", "supports_response_schema"),
    ("m", "supports_system_messages"),
    ("n", "supports_native_streaming"),
    ("p", "supports_parallel_function_calling"),
    ("P", "supports_pdf_input"),
    ("q", "supports_assistant_prefill"),
    ("r", "supports_reasoning"),
    ("t", "supports_tool_choice"),
    ("u", "supports_url_context"),
    ("v", "supports_vision"),
    ("V", "supports_video_input"),
    ("w", "supports_web_search"),
    ("x", "supports_computer_use"),
]

# LiteLLM tells some providers apart by the kind of model, or by the dialect.
FAMILIES = {
    "azure_text": "azure", "bedrock_converse": "bedrock", "cohere_chat": "cohere",
    "text-completion-codestral": "codestral", "text-completion-inception": "inception",
    "text-completion-openai": "openai", "fireworks_ai-embedding-models": "fireworks_ai",
}
# Providers whose dearer rate begins at the threshold, not above it.
INCLUSIVE = {"xai"}

KEY = re.compile(r"^(?P<base>.+?)(?P<tail>(?:_above_\d+k?_tokens|_flex|_priority|_batches|_ultrafast)*)$")
TAIL = re.compile(r"_above_(?P<count>\d+)(?P<k>k?)_tokens|(?P<service>_flex|_priority|_batches|_ultrafast)")

HEAD = """\
# Models: who serves them, their limits, rates and abilities. Written by generate.py; do not edit.
# dunlin-prices 1
# source: LiteLLM {version}, model_prices_and_context_window.json, https://github.com/BerriAI/litellm
# version: litellm-{version}
# fetched: {day}
#
# A line: name, provider (. is the name's first part), mode (- is unknown), most prompt and output
# tokens (- is unknown), abilities (letters below), the day it ends (- is unknown), rates in US
# dollars a million units. `in>200k.priority=5` is for requests of more than 200 000 prompt tokens
# in the priority service. `searches-once`: all searches of an answer cost as one. `times-us=1.1`:
# tokens cost more by that factor if they are made in the US alone; `times-fast`, if faster.
# `name = other` is another name for a model. Lines are sorted.
#
{abilities}
#
# The source is under the MIT License:
#
# Copyright (c) 2023 Berri AI
#
# Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
# associated documentation files (the "Software"), to deal in the Software without restriction,
# including without limitation the rights to use, copy, modify, merge, publish, distribute,
# sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
# furnished to do so, subject to the following conditions:
#
# The above copyright notice and this permission notice shall be included in all copies or
# substantial portions of the Software.
#
# THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
# NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
# NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
# DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
# OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def source(path):
    """The models and the version they are of."""
    if path.endswith(".whl"):
        version = path.rsplit("/", 1)[-1].split("-")[1]
        with zipfile.ZipFile(path) as wheel:
            return json.loads(wheel.read(JSON_IN_WHEEL)), version
    with open(path, encoding="utf-8") as file:
        return json.load(file), "of an unknown version"


def family(provider):
    if provider.startswith("vertex_ai"):
        return "vertex_ai"
    return FAMILIES.get(provider, provider)


def place(key):
    """A price key as (word, above, service), or None if it is none of ours."""
    match = KEY.match(key)
    word = KINDS.get(match["base"])
    if word is None:
        return None
    above, service = 0, ""
    for part in TAIL.finditer(match["tail"]):
        if part["service"]:
            service = SERVICES[part["service"]]
        else:
            above = int(part["count"]) * (1000 if part["k"] else 1)
    return word, above, service


def pico(usd):
    """Integer 10^-12 dollars."""
    value = math.floor(float(usd) * 1e12 + 0.5)
    if not 0 <= value <= 1000 * 10**12:
        sys.exit(f"{usd} is not a price")
    return value


def rates_of(model, provider):
    rates = {}
    for tier in model.get("tiered_pricing") or []:
        if "range" not in tier:
            continue
        above = int(tier["range"][0])
        given = {KINDS[key]: pico(usd) for key, usd in tier.items() if key in KINDS}
        for word, stand_in in TIER_FALLBACKS:
            if word not in given and stand_in in given:
                given[word] = given[stand_in]
        rates.update({(word, above, ""): usd for word, usd in given.items()})
    for key, usd in model.items():
        at = place(key)
        if at is None or usd is None:
            continue
        word, above, service = at
        if provider in INCLUSIVE and above:
            above -= 1
        rates[word, above, service] = pico(usd)
    search = model.get("search_context_cost_per_query") or {}
    usual = None
    for size in SEARCH_SIZES:
        usd = search.get(f"search_context_size_{size}")
        if usd is None:
            continue
        if usual is None:
            usual = rates["search", 0, ""] = pico(usd)
        elif pico(usd) != usual:
            rates[f"search-{size}", 0, ""] = pico(usd)
    return rates


def searches_once(name, model):
    unit = model.get("web_search_billing_unit")
    sells = model["litellm_provider"] in SEARCHES_ONCE
    return sells and unit != "per_query" and name != SEARCHES_EACH


def million(pico_usd):
    """US dollars a million units, exactly."""
    whole, rest = divmod(pico_usd, 10**6)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")


def written(rate, pico_usd):
    word, above, service = rate
    length = "" if above == 0 else f">{above // 1000}k" if above % 1000 == 0 else f">{above}"
    return f"{word}{length}{service}={million(pico_usd)}"


def order(rate):
    word, above, service = rate
    return WORDS.index(word), above, SERVICE_ORDER.index(service)


def count(value):
    return str(int(value)) if isinstance(value, (int, float)) else "-"


def line(name, model):
    provider = family(model["litellm_provider"])
    mode = model.get("mode") or "-"
    if mode != "-" and mode not in MODES:
        return None
    rates = rates_of(model, provider)
    output = model.get("max_output_tokens")
    fields = [
        name,
        "." if name.startswith(provider + "/") else provider,
        mode,
        count(model.get("max_input_tokens")),
        count(model.get("max_tokens") if output is None else output),
        "".join(letter for letter, key in SUPPORTS if model.get(key) is True) or "-",
        model.get("deprecation_date") or "-",
    ]
    fields += [written(rate, rates[rate]) for rate in sorted(rates, key=order)]
    if {("search", 0, ""), ("maps", 0, "")} & rates.keys() and searches_once(name, model):
        fields.append("searches-once")
    own = model.get("provider_specific_entry") or {}
    fields += [f"{word}={own[key]:g}" for key, word in PREMIUMS.items() if key in own]
    return " ".join(fields)


def table(models, version, day):
    lines = {}
    for name, model in models.items():
        if name == "sample_spec" or re.search(r"\s", name):
            continue
        if "litellm_provider" in model:
            lines[name] = line(name, model)
    lines = {name: text for name, text in lines.items() if text is not None}
    for name, model in models.items():
        if model.get("alias_of") in lines and name not in lines:
            lines[name] = f"{name} = {model['alias_of']}"
    abilities = "\n".join(f"# {letter} {key}" for letter, key in SUPPORTS)
    head = HEAD.format(version=version, day=day, abilities=abilities)
    return head + "".join(lines[name] + "\n" for name in sorted(lines, key=lambda n: n.encode()))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.stdout.write(table(*source(sys.argv[1]), sys.argv[2]))
