"""A client that compacts and comes back without end is stopped; nobody else's refusal changes."""

import json
from typing import Any

import pytest

from tests.client import KEY, Reply
from tests.fake_vllm import FakeVllm
from tests.gateway import Gateway, chat_body, wait_until

TOLD = (
    "This model's maximum context length is 8192 tokens. However, your prompt contains 9000 input tokens, "
    "which exceeds this limit even without any output tokens. Please reduce the length of the input prompt."
)
REFUSAL = json.dumps({"error": {"message": TOLD, "type": "BadRequestError", "param": "input", "code": 400}})
REFUSED = {"status": 400, "body": REFUSAL}


def ask(gateway: Gateway, session: str | None, **fields: Any) -> Reply:
    """A chat of this session; what `fields` do not say is refused for its length."""
    headers = {"X-API-Key": KEY, **({} if session is None else {"X-Session-Id": session})}
    body = chat_body(stream=True, **{"fake": REFUSED, **fields})
    return gateway.request("POST", "/v1/chat/completions", body, headers)


def outcomes(gateway: Gateway, session: str | None, times: int, **fields: Any) -> list[str]:
    """What the same question leads to again and again."""
    replies = [ask(gateway, session, **fields) for _ in range(times)]
    assert {reply.status for reply in replies} == {400}
    return ["passed" if r.body == REFUSAL.encode() else r.error_code for r in replies]


def test_the_third_refusal_of_a_prompt_is_the_last(gateway: Gateway) -> None:
    assert outcomes(gateway, "ses_a", 4) == ["passed", "passed", "compaction_loop", "compaction_loop"]

    reply = ask(gateway, "ses_a")
    assert gateway.log_line(request_id=reply.request_id)["outcome"] == "compaction_loop"
    assert "ses_a" not in gateway.log_file.read_text()


def test_refusals_pass_unchanged_without_a_session(gateway: Gateway) -> None:
    assert outcomes(gateway, None, 6) == ["passed"] * 6


def test_refusals_pass_unchanged_for_many_sessions_of_one_key(gateway: Gateway) -> None:
    assert [outcomes(gateway, f"ses_{n}", 2) for n in range(20)] == [["passed"] * 2] * 20


def test_a_prompt_that_fits_after_a_compaction_may_overflow_again(gateway: Gateway) -> None:
    for _ in range(4):
        assert outcomes(gateway, "ses_b", 2) == ["passed"] * 2
        assert ask(gateway, "ses_b", fake={}).status == 200


def test_a_compaction_that_succeeds_does_not_hide_the_loop(gateway: Gateway) -> None:
    found = []
    for _ in range(3):
        found += outcomes(gateway, "ses_c", 1)
        summary = [{"role": "user", "content": "Summarise this: hello"}]
        assert ask(gateway, "ses_c", fake={}, messages=summary).status == 200

    assert found == ["passed", "passed", "compaction_loop"]


def test_all_workers_count_together(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=2)
    gateway.wait_ready()
    found = []
    for _ in range(3):
        found += outcomes(gateway, "ses_d", 1)
        before = gateway.worker_pids()
        gateway.kill_workers()
        wait_until(lambda before=before: len(gateway.worker_pids() - before) == 2 and gateway.is_alive())

    assert found == ["passed", "passed", "compaction_loop"]


def test_a_body_that_is_too_large_for_ever_is_stopped_unread(start_gateway: Any, fake: FakeVllm) -> None:
    gateway = start_gateway(MAX_REQUEST_BYTES=2000)
    gateway.wait_ready()
    large: list[dict[str, Any]] = [{"role": "user", "content": "x" * 3000}]
    before = len(fake.received)

    codes = [ask(gateway, "ses_e", messages=large).error_code for _ in range(4)]
    alone = [ask(gateway, None, messages=large).error_code for _ in range(4)]

    assert codes == ["request_too_large"] * 2 + ["compaction_loop"] * 2
    assert alone == ["request_too_large"] * 4
    assert not [r for r in fake.received[before:] if r.method == "POST" and "ses_e" in str(r.headers)]


@pytest.mark.parametrize("target", ["/v1/completions", "/v1/messages", "/v1/responses"])
def test_other_apis_are_left_alone(gateway: Gateway, target: str) -> None:
    headers = {"X-API-Key": KEY, "X-Session-Id": "ses_f"}
    asked = {"prompt": "x", "input": "x", "max_tokens": 5, **chat_body(stream=True, fake=REFUSED)}

    replies = [gateway.request("POST", target, asked, headers) for _ in range(5)]

    assert {reply.body for reply in replies} == {REFUSAL.encode()}
