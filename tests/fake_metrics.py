"""What vLLM 0.32 tells of itself, written by the library that it uses too."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.metrics.vllm import COUNTERS, GAUGES, HISTOGRAMS
from tests.fake_answers import MODEL

LABELS = {"model_name": MODEL, "engine": "0"}
MORE_LABELS = {
    "num_requests_waiting_by_reason": {"reason": "capacity"},
    "engine_sleep_state": {"sleep_state": "awake"},
    "request_success": {"finished_reason": "stop"},
    "admission_rejections": {"reason": "max_num_seqs"},
}
CONFIG_INFO = {"block_size": "16", "cache_dtype": "auto", "root": "/secret/host/path/cache"}


def vllm_metrics() -> str:
    """Each family once, with a value of its own; among them what is nobody's business."""
    registry = CollectorRegistry()
    value = 0
    for make, names in ((Gauge, GAUGES), (Counter, COUNTERS), (Histogram, HISTOGRAMS)):
        for name in names:
            value += 1
            labels = {**LABELS, **MORE_LABELS.get(name, {})}
            family = make(f"vllm:{name}", f"Text of {name}.", labels, registry=registry)
            child = family.labels(**labels)
            child.observe(value) if isinstance(child, Histogram) else child.inc(value)
    config = Gauge("vllm:cache_config_info", "Configuration.", CONFIG_INFO, registry=registry)
    config.labels(**CONFIG_INFO).set(1)
    Gauge("python_info", "Of Python.", ["version"], registry=registry).labels("3.12").set(1)
    return generate_latest(registry).decode()


METRICS = vllm_metrics()
