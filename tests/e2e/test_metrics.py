"""What the real vLLM tells of itself comes through, and agrees with the gateway's own counts."""

from typing import Any

from app.metrics.vllm import TYPES
from tests.e2e.served import MODEL, QUESTION, Served
from tests.gateway import wait_until
from tests.scrape import Scrape, scrape

PAIRS = {
    "prompt_tokens_total": "vllm:prompt_tokens_total",
    "completion_tokens_total": "vllm:generation_tokens_total",
}
SECONDS = 30.0


def look(served: Served) -> tuple[Scrape, Scrape]:
    """The gateway's metrics and vLLM's."""
    key = {"X-API-Key": served.key}
    return scrape(served, **key), scrape(served, "/metrics/vllm", **key)


def test_every_family_of_interest_is_one_that_vllm_has(served: Served) -> None:
    _, of_vllm = look(served)

    bases = {name.removesuffix("_total") if kind == "counter" else name for name, kind in TYPES.items()}
    assert {family.name for family in of_vllm.families} == bases
    assert all(family.documentation for family in of_vllm.families)
    assert {dict(labels)["model_name"] for _, labels in of_vllm.samples} == {MODEL}


def test_both_count_the_same_tokens(served: Served) -> None:
    before, before_of_vllm = look(served)
    lines = []
    for stream in (True, False):
        body = {"model": MODEL, "messages": QUESTION, "max_tokens": 12, "stream": stream}
        reply = served.post("/v1/chat/completions", body, served.key)
        assert reply.status == 200
        lines.append(served.log_line(request_id=reply.request_id))
    told = {own: sum(line[own.removesuffix("_total")] for line in lines) for own in PAIRS}
    assert min(told.values()) > 0

    def all_counted() -> Any:
        """What both count since then, once it is all that was told, or more."""
        after, after_of_vllm = look(served)
        counted = {own: after.sum(own, model=MODEL) - before.sum(own, model=MODEL) for own in PAIRS}
        of_vllm = {own: after_of_vllm.sum(name) - before_of_vllm.sum(name) for own, name in PAIRS.items()}
        is_all = all(min(counted[own], of_vllm[own]) >= count for own, count in told.items())
        return is_all and (counted, of_vllm, after)

    counted, of_vllm, after = wait_until(all_counted, SECONDS)
    assert counted == of_vllm == told
    assert after.sum("ready") == 1
    assert after.sum("gpu_seconds_total") > before.sum("gpu_seconds_total")
