"""What the real vLLM tells of itself comes through, and agrees with the gateway's own counts."""

from app.metrics.vllm import TYPES
from tests.e2e.served import MODEL, QUESTION, Served
from tests.scrape import Scrape, scrape

PAIRS = {
    "prompt_tokens_total": "vllm:prompt_tokens_total",
    "completion_tokens_total": "vllm:generation_tokens_total",
}


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
    for stream in (True, False):
        body = {"model": MODEL, "messages": QUESTION, "max_tokens": 12, "stream": stream}
        assert served.post("/v1/chat/completions", body, served.key).status == 200
    after, after_of_vllm = look(served)

    for own, of_vllm in PAIRS.items():
        counted = after.sum(own, model=MODEL) - before.sum(own, model=MODEL)
        assert counted == after_of_vllm.sum(of_vllm) - before_of_vllm.sum(of_vllm) > 0
    assert after.sum("ready") == 1
    assert after.sum("gpu_seconds_total") > before.sum("gpu_seconds_total")
