"""Each fault that stands in front of the gateway is named, and nothing else is."""

import pytest

from app.doctor import place
from tests.examined import IDENTITY_TOKEN, OTHER_KEY, examine
from tests.front import Front
from tests.tampering import (
    answers,
    compressing,
    cut_after,
    drops,
    in_blocks,
    puts,
    rewriting,
    sliced,
    without_events,
    without_head,
)

IAM_PAGE = b"""<html><head><title>403 Forbidden</title></head><body><h1>Error: Forbidden</h1>
<h2>Your client does not have permission to get URL <code>/</code> from this server.</h2></body></html>"""
METRICS = b'# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name="m"} 0.0\n'
WHOLE = b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'
OVERLOADED = b'{"error": {"message": "Please try again later.", "code": 503}}'  # as vLLM says it
IN_FRONT = {
    "front_refuses": answers(401, b"<html>Log in</html>", lambda _: True, content_type="text/html"),
    "keys_not_loaded": answers(503, b'{"phase": "keys_unavailable"}', lambda p: p.path == "/health/ready"),
    "draining": answers(503, b'{"phase": "draining"}', lambda p: p.path == "/health/ready"),
    "unavailable": answers(503, OVERLOADED, lambda p: p.method == "POST" and len(p.body) < 10_000),
    "answer_unreadable": answers(200, b"{}", lambda p: b'"stream":false' in p.body),
    "unexpected": answers(418, b"teapot", lambda p: "sk-doctor-" in p.headers.get("x-api-key", "")),
    "redirect": answers(301, b"", lambda _: True, location="https://elsewhere.example/health/live"),
    "iam": answers(403, IAM_PAGE, lambda _: True, server="Google Frontend", content_type="text/html"),
    "other_server": answers(200, b"<html>Welcome</html>", lambda _: True, content_type="text/html"),
    "front_timeout": answers(504, b"<html>504</html>", lambda p: p.method == "POST" and len(p.body) < 10_000,
                             content_type="text/html"),
    "front_alone": answers(502, b"<html>502</html>", lambda _: True, content_type="text/html"),
    "open": puts("x-api-key", OTHER_KEY),
    "any_key": puts("x-api-key", OTHER_KEY, beside="x-api-key"),
    "ambiguous": puts("authorization", f"Bearer {OTHER_KEY}", beside="x-api-key"),
    "bearer_refused": drops("authorization"),
    "bearer_replaced": puts("authorization", f"Bearer {IDENTITY_TOKEN}"),
    "refusal_retried": rewriting(b'"error":', b'"request_id":"req-85021","error":'),
    "refusal_unreadable": answers(
        401, b'{"detail":"Invalid API key"}', lambda p: "sk-doctor-" in p.headers.get("x-api-key", "")),
    "stream_compressed": compressing(),
    "stream_whole": answers(200, WHOLE, lambda p: p.is_stream),
    "stream_buffered": in_blocks(4096),
    "stream_garbage": rewriting(b"data: {", b"data: {not json "),
    "no_finish_reason": without_events(b'"finish_reason":"stop"'),
    "finish_reason_unknown": rewriting(b'"finish_reason":"stop"', b'"finish_reason":"abort"'),
    "routes_exposed": answers(200, METRICS, lambda p: p.path == "/metrics", content_type="text/plain"),
    "body_refused": answers(413, b"<html>", lambda p: len(p.body) > 2**20, content_type="text/html"),
}  # fmt: skip
IN_FRONT_BUT_WORKING = {
    "no_request_id": without_head("x-request-id"),
    "x_api_key_lost": drops("x-api-key"),
    "no_done": without_events(b"[DONE]"),
    "no_usage": without_events(b'"usage"'),
}


@pytest.mark.parametrize("code", IN_FRONT)
def test_a_fault_in_front_of_the_gateway_is_named(front: Front, code: str) -> None:
    front.tampering = IN_FRONT[code]

    found = examine(front.url)

    assert (found.status, found.troubles) == (1, [code])


@pytest.mark.parametrize("code", IN_FRONT_BUT_WORKING)
def test_what_only_disturbs_is_a_warning(front: Front, code: str) -> None:
    front.tampering = IN_FRONT_BUT_WORKING[code]

    found = examine(front.url)

    assert (found.status, found.troubles) == (0, [code])


def test_a_front_that_tells_no_time_is_not_judged_by_it(front: Front) -> None:
    front.tampering = without_head("date")

    found = examine(front.url)

    assert found.troubles == []
    assert "no time" in found.finding("clock")["text"]


def test_an_instance_that_starts_for_the_first_request_is_told(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "COLD_SECONDS", 0.0)

    assert "as when an instance has to start" in examine(front.url).finding("reach")["text"]


def test_a_proxy_that_sends_the_whole_answer_at_once_is_found(front: Front) -> None:
    front.tampering = in_blocks(10**9)

    found = examine(front.url)

    assert (found.status, found.troubles) == (1, ["stream_buffered"])


def test_a_stream_that_is_cut_on_its_way_is_named(front: Front) -> None:
    front.tampering = cut_after(2500)

    found = examine(front.url)

    assert (found.status, found.troubles) == (1, ["stream_cut"])


def test_a_slow_line_is_not_taken_for_a_proxy_that_holds_back(front: Front) -> None:
    front.tampering = sliced(97, pause=0.003)

    assert examine(front.url).troubles == []


def test_an_identity_token_goes_past_iam(front: Front) -> None:
    header = "x-serverless-authorization"
    front.tampering = answers(403, IAM_PAGE, lambda p: header not in p.headers, content_type="text/html")

    found = examine(front.url, "--identity-token", IDENTITY_TOKEN)

    assert found.troubles == []
    assert {passing.headers[header] for passing in front.seen} == {f"Bearer {IDENTITY_TOKEN}"}
