"""What the status page shows, and what it lets an admin do; on the wire, with two workers."""

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

from app.status_page.assets import address_of
from tests.client import KEY, Reply
from tests.gateway import Gateway, chat_body, wait_until
from tests.page import BOSS, DATA, RELOAD, Page

MARKUP = "<img src=x onerror=alert(1)>"
OTHER = "sk-other-0123456789abcdef"
KEYS = {
    "boss": BOSS,
    "tester": {"key": KEY, "expires": "2999-01-01T00:00:00Z"},
    MARKUP: {"key": OTHER, "id": "<b>id</b>"},
    "off": {"key": "sk-off-0123456789abcdef", "disabled": True},
}


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], tmp_path: Path) -> Gateway:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    gateway: Gateway = start_gateway()
    gateway.wait_ready()
    return gateway


def text_of(reply: Reply) -> str:
    """What a person reads of a page, with ordinary spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", reply.body.decode()))


def test_the_page_tells_without_a_script_what_there_is_to_know(page: Page) -> None:
    page.gateway.chat(fake={"events": 12})

    counted = "tester fake/model-1 1 0 0 0 7 3 12"
    shown = wait_until(lambda: counted in (text := text_of(page.get("/admin/"))) and text, 20)

    for part in (
        "Ready",
        "In flight 0 of 1 000",
        "fake/model-1 32 768 tokens",
        "Version 0.1.0",
        "boss",
    ):
        assert part in shown
    assert "off k_" in shown
    assert "/secret" not in shown
    assert not re.search(r"[0-9a-f]{64}", shown)


def test_names_that_hold_markup_stay_text(page: Page) -> None:
    page.gateway.post("/v1/chat/completions", chat_body(stream=False), key=OTHER)
    page.gateway.post("/v1/chat/completions", b"{", key=OTHER)

    def shown_often() -> str:
        text = page.get("/admin/").body.decode()
        return text if text.count(escape(MARKUP)) >= 3 else ""  # keys, usage and errors

    shown = wait_until(shown_often, 20)

    assert MARKUP not in shown
    assert "<b>id</b>" not in shown


def test_usage_is_that_of_every_worker(page: Page) -> None:
    for _ in range(20):
        page.gateway.chat(stream=False, fake={"events": 3})

    (row,) = wait_until(lambda: [r for r in page.tables()["usage"]["rows"] if r[2] == "20"])

    assert row[:9] == ["tester", "fake/model-1", "20", "0", "0", "0", "140", "60", "60"]


def test_recent_errors_are_those_of_every_worker_without_what_clients_wrote(page: Page) -> None:
    requests = {
        page.gateway.post("/v1/completions", {"model": "secret", "n": 999}).request_id for _ in range(12)
    }
    stranger = page.gateway.request("GET", "/v1/models?secret", headers={"X-API-Key": "sk-secret-0123456789"})

    rows = wait_until(lambda: len(found := page.tables()["errors"]["rows"]) >= 13 and found)

    assert requests | {stranger.request_id} <= {row[-1] for row in rows}
    assert ["400", "invalid_field", "POST /v1/completions", "tester"] in [row[1:5] for row in rows]
    assert ["401", "missing_or_invalid_key", "GET /v1/models", "–"] in [row[1:5] for row in rows]
    assert "secret" not in str(rows)


def test_the_keys_are_listed_with_state_end_and_last_use(page: Page) -> None:
    page.gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY})

    rows = {row[0]: row for row in page.tables()["keys"]["rows"]}

    assert rows["off"][2:] == ["disabled", "inference", "never", "not yet"]
    assert rows["tester"][4] == "2999-01-01 00:00:00"
    assert rows["tester"][5].startswith("20")


def test_a_reload_says_what_changed(page: Page) -> None:
    page.gateway.keys_file.write_text(json.dumps({"boss": BOSS, "new": OTHER, "tester": OTHER + "2"}))

    told = page.act(RELOAD).json()["notice"]

    assert told == f"Keys read again: added new; removed {MARKUP}, off; changed tester. 3 keys are in use."
    assert page.gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY}).status == 401


def test_a_reload_works_without_a_script_too(page: Page) -> None:
    reply = page.form(RELOAD, {"csrf": page.token})

    assert reply.status == 200
    assert "Keys read again: nothing has changed. 4 keys are in use." in text_of(reply)


def test_a_reload_that_fails_says_why(page: Page) -> None:
    page.gateway.keys_file.write_text("{")

    as_json, as_page = page.act(RELOAD), page.form(RELOAD, {"csrf": page.token})

    assert (as_json.status, as_json.error_code) == (502, "reload_failed")
    assert as_page.status == 502
    assert "The old keys stay in use" in text_of(as_page)
    assert page.get(DATA).status == 200


def test_the_history_is_there_for_whoever_opens_the_page(page: Page) -> None:
    page.gateway.chat(fake={"events": 8, "interval": 0.01})

    rows = wait_until(lambda: page.get(DATA).json()["points"], 25)

    assert all(len(row) == 14 for row in rows)
    assert page.get(f"{DATA}?since={rows[-1][0] + 5}").json()["points"] == []


@pytest.mark.timeout(90)
def test_a_point_has_rates_and_percentiles_of_what_was_answered(page: Page) -> None:
    wait_until(
        lambda: page.gateway.chat(fake={"events": 8, "interval": 0.01}) and page.get(DATA).json()["points"],
        25,
    )

    row = wait_until(lambda: next((r for r in page.get(DATA).json()["points"] if r[8]), None), 25)

    assert row[3] > 0
    assert 5 < row[6] / row[3] < 9  # tokens of each request
    # Seconds. A busy machine may hold up one answer or gap, and the 99th percentile is that one.
    assert 0 < row[8] <= row[9] <= row[10]
    assert row[8] < 1
    assert 0.005 < row[11] <= row[13]
    assert row[11] < 0.1


def test_polls_and_assets_write_no_line_and_the_rest_does(page: Page) -> None:
    ids = [page.get(target).request_id for target in (DATA, address_of("page.js"), "/admin/")]

    line = page.gateway.log_line(message="request", request_id=ids[2])

    assert (line["key_name"], line["key_source"], line["route"]) == ("boss", "session", "/admin/")
    assert not page.gateway.log_lines(request_id=ids[0]) + page.gateway.log_lines(request_id=ids[1])


def test_while_the_model_server_is_gone_the_page_says_so(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    gateway = start_gateway("http://127.0.0.1:9")
    wait_until(lambda: gateway.request("GET", "/health/ready").json()["phase"] == "loading")
    page = Page(gateway)
    page.log_in()

    shown = text_of(page.get("/admin/"))

    assert "Starting: loading the model" in shown
    assert "Nothing is known of it yet." in shown
    assert page.get(DATA).json()["state"]["level"] == "waiting"
