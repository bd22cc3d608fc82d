"""The playground: an ordinary request by the session's key; and what is recorded of a session."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client import KEY
from tests.fake_vllm import FakeVllm, Received
from tests.gateway import Gateway, chat_body, wait_until
from tests.page import ADMIN, BOSS, DATA, PLAYGROUND, Page

KEYS = {"boss": BOSS, "tester": KEY}


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], tmp_path: Path) -> Gateway:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    gateway: Gateway = start_gateway(DRAIN_SECONDS=20)
    gateway.wait_ready()
    return gateway


def test_the_playground_relays_byte_for_byte_as_the_sessions_key(
    page: Page, received: Callable[[str], Received], fake: FakeVllm
) -> None:
    asked = chat_body(stream=True, stream_options={"include_usage": True}, fake={"events": 4})

    reply = page.act(PLAYGROUND, asked)

    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body == fake.sent(reply.request_id)
    assert received(reply.request_id).target == "/v1/chat/completions"
    assert not {"cookie", "x-csrf-token"} & set(dict(received(reply.request_id).headers))
    line = page.gateway.log_line(message="request", request_id=reply.request_id)
    assert (line["key_name"], line["completion_tokens"], line["route"]) == ("boss", 4, PLAYGROUND)
    (row,) = wait_until(lambda: page.tables()["usage"]["rows"])
    assert row[:3] == ["boss", "fake/model-1", "1"]


def test_the_playground_obeys_the_rules_of_every_request(page: Page) -> None:
    for body, code in ((b"{", "invalid_json"), (chat_body(stream=True, n=99), "invalid_field")):
        reply = page.act(PLAYGROUND, body, Content_Type="application/json")
        assert (reply.status, reply.error_code) == (400, code)
    assert page.act(PLAYGROUND, b"{}", Content_Type="text/plain").status == 415


def audited(page: Page, count: int) -> list[dict[str, Any]]:
    """What was done so far, once there are so many lines of it."""
    lines: list[dict[str, Any]] = wait_until(
        lambda: len(found := page.gateway.log_lines(logger="gateway.audit")) >= count and found
    )
    return lines


def test_what_was_done_is_written_down(page: Page) -> None:
    page.act(PLAYGROUND, chat_body(stream=True))
    audited(page, 2)  # a line is written behind its answer, and the next one perhaps by another worker
    Page(page.gateway).log_in("sk-wrong-0123456789abcdef")
    audited(page, 3)
    Page(page.gateway).log_in(KEY)
    audited(page, 4)
    page.form("/admin/logout", {"csrf": page.token})

    lines = audited(page, 5)
    assert [(line["action"], line["result"], line["by"]) for line in lines] == [
        ("log in", "done", "boss"),
        ("try model", "done", "boss"),
        ("POST /admin/login", "refused", None),
        ("log in", "refused", "tester"),
        ("log out", "done", "boss"),
    ]
    assert all(line["request_id"] and line["peer"] for line in lines)
    assert ADMIN not in page.gateway.log_file.read_text()


def test_while_the_instance_drains_the_page_says_so_and_tries_nothing(page: Page) -> None:
    with page.gateway.open_chat(fake={"events": 500, "interval": 0.05}):
        page.gateway.process.terminate()
        wait_until(lambda: page.get(DATA).json()["state"]["text"] == "Shutting down")

        assert page.act(PLAYGROUND, chat_body(stream=True)).error_code == "draining"
