"""What of vLLM's own metrics an operator wants to see, read from text that the upstream might have made up.

The names are those of vLLM 0.32, vllm/v1/metrics/loggers.py. Left out are the families that tell of its
configuration and of adapters, and what every Python program tells of itself.
"""

import re
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric

GAUGES = (
    *("num_requests_running", "num_requests_waiting", "num_requests_waiting_by_reason"),
    *("kv_cache_usage_perc", "engine_sleep_state"),
)
COUNTERS = (
    *(
        "prefix_cache_queries",
        "prefix_cache_hits",
        "num_preemptions",
        "prompt_tokens",
        "prompt_tokens_cached",
    ),
    *("generation_tokens", "request_success", "admission_rejections"),
)
HISTOGRAMS = (
    *("time_to_first_token_seconds", "inter_token_latency_seconds", "request_time_per_output_token_seconds"),
    *("e2e_request_latency_seconds", "request_queue_time_seconds", "request_prefill_time_seconds"),
    *("request_decode_time_seconds", "iteration_tokens_total"),
)
SUFFIXES = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
TYPES = {
    **{f"vllm:{name}": "gauge" for name in GAUGES},
    **{f"vllm:{name}": "counter" for name in COUNTERS},
    **{f"vllm:{name}": "histogram" for name in HISTOGRAMS},
}
FAMILY_OF = {name + suffix: name for name, kind in TYPES.items() for suffix in SUFFIXES[kind]}
LABELS = frozenset(("model_name", "engine", "finished_reason", "reason", "sleep_state", "le"))
MAX_LINE_CHARS, MAX_SAMPLES, MAX_TEXT_CHARS = 4096, 20_000, 300
LINES_AT_ONCE = 20  # of the longest and oddest: five milliseconds

SAMPLE = re.compile(r"(vllm:[a-z0-9_]+)(?:\{(.*)\})? (\S+)(?: -?[0-9]{1,18})?", re.ASCII)
LABEL = re.compile(r'([a-z_]+)="([^"\\]*)"(?:,|$)', re.ASCII)
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?(?:e[+-]?[0-9]{1,3})?|inf)|nan", re.IGNORECASE)
HELP = re.compile(r"# HELP (\S+) (.+)")
PATH = re.compile(r"[/~.]|[A-Za-z]:|file:")  # what a path begins with; the id of a model does not
UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def read_families(text: str, pause: Callable[[], None]) -> list[Metric]:
    """The families of interest, with such samples as a reader of metrics takes; whatever else is left out.

    `pause` is called now and then: it may let other greenlets run.
    """
    families: dict[str, Metric] = {}
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for number, line in enumerate(_lines(text)):
        if number % LINES_AT_ONCE == 0:
            pause()
        if match := HELP.fullmatch(line):
            _note_help(families, match[1], match[2])
        elif (found := _read_sample(line)) and found[:2] not in seen and len(seen) < MAX_SAMPLES:
            name, labels, value = found
            seen.add((name, labels))
            _family(families, FAMILY_OF[name]).add_sample(name, dict(labels), value)
    return [family for family in families.values() if family.samples]


def _lines(text: str) -> Iterator[str]:
    """Line by line: a list of them all would be made at one go."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        if end - begin <= MAX_LINE_CHARS:
            yield text[begin:end].rstrip("\r")
        begin = end + 1


def _family(families: dict[str, Metric], name: str) -> Metric:
    if name not in families:
        families[name] = Metric(name, "", TYPES[name])
    return families[name]


def _note_help(families: dict[str, Metric], name: str, text: str) -> None:
    name = FAMILY_OF.get(name, name)
    if name in TYPES:
        _family(families, name).documentation = UNPRINTABLE.sub("?", text)[:MAX_TEXT_CHARS]


def _read_sample(line: str) -> tuple[str, tuple[tuple[str, str], ...], float] | None:
    match = SAMPLE.fullmatch(line)
    if match is None or match[1] not in FAMILY_OF or not NUMBER.fullmatch(match[3]):
        return None
    labels = _read_labels(match[2] or "")
    if labels is None or match[1].endswith("_bucket") is not ("le" in dict(labels)):
        return None
    return match[1], labels, float(match[3])


def _read_labels(text: str) -> tuple[tuple[str, str], ...] | None:
    """In their order by name; without those that nobody asked for. None for what is no list of labels."""
    labels: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = LABEL.match(text, at)
        if match is None or match[1] in labels:
            return None
        labels[match[1]] = match[2]
        at = match.end()
    if "le" in labels and not NUMBER.fullmatch(labels["le"]):
        return None
    return tuple(sorted((name, _shown(name, labels[name])) for name in labels.keys() & LABELS))


def _shown(name: str, value: str) -> str:
    is_path = name != "le" and PATH.match(value)
    return "hidden" if is_path else UNPRINTABLE.sub("?", value)[:MAX_TEXT_CHARS]
