"""The status page in a real Chromium: what is drawn and clicked, and that nothing comes from elsewhere."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser import DESKTOP, PHONE, Browser
from tests.client import KEY
from tests.e2e.page_scripts import COLOURED, CONTRASTS, COUNT_STARTS, HIDE, NOTE_LENGTHS, SHIFTED, UNNAMED
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import Gateway, wait_until
from tests.page import ADMIN, BOSS

pytestmark = pytest.mark.timeout(180)
MARKUP = "<img src=x onerror=alert(1)>"
OTHER = "sk-other-0123456789abcdef"
KEYS = {"boss": BOSS, "tester": KEY, MARKUP: OTHER}
CHARTS = ("load", "requests", "tokens", "busy", "first_byte", "inter_token")
SEND, ANSWER, STATE = "#try [type=submit]", "#answer", "#try-state"


@pytest.fixture
def upstream() -> Iterator[FakeVllm]:
    with FakeVllmThread() as running:
        running.fake.url = running.url  # type: ignore[attr-defined]
        yield running.fake


@pytest.fixture
def gateway(upstream: FakeVllm, tmp_path: Path) -> Iterator[Gateway]:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    with Gateway(tmp_path, upstream.url) as running:  # type: ignore[attr-defined]
        running.wait_ready()
        yield running


@pytest.fixture
def browser(gateway: Gateway, tmp_path: Path) -> Iterator[Browser]:
    """A browser on the page; when the test is over, nothing may have gone wrong in it."""
    with Browser(tmp_path / "profile") as opened:
        log_in(opened, gateway)
        yield opened
        assert opened.console() == []
        asked = {urlsplit(url).netloc for url in opened.requested() if url.startswith("http")}
        assert asked == {f"127.0.0.1:{gateway.port}"}


def log_in(browser: Browser, gateway: Gateway, state: str = "Ready") -> None:
    browser.open(f"http://127.0.0.1:{gateway.port}/admin/")
    browser.type("#key", ADMIN)
    browser.click("button")
    browser.wait_for_text("#state", state)


def has_lines(browser: Browser, chart: str) -> bool:
    """Whether anything in the colours of the data is drawn."""
    return bool(browser.run(COLOURED, chart))


def test_the_key_goes_into_no_address_and_no_script_reads_the_cookie(browser: Browser) -> None:
    assert urlsplit(browser.url)[2:] == ("/admin/", "", "")
    assert browser.run("return document.cookie") == ""
    (cookie,) = browser.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/admin/")


def test_every_chart_is_drawn_from_what_was_answered(gateway: Gateway, browser: Browser) -> None:
    def answered_and_drawn() -> bool:
        gateway.chat(fake={"events": 10, "interval": 0.005})
        gateway.post("/v1/chat/completions", b"{")
        return all(has_lines(browser, chart) for chart in CHARTS)

    wait_until(answered_and_drawn, 50)

    label = browser.run("return document.getElementById('chart-first_byte').getAttribute('aria-label')")
    assert label.startswith("Time to first byte; at the end: p50 ")
    assert "unknown" not in label
    assert "p95" in browser.text("#chart-first_byte")


def test_the_page_follows_without_being_loaded_again(gateway: Gateway, browser: Browser) -> None:
    with gateway.open_chat(fake={"events": 500, "interval": 0.05}):
        wait_until(lambda: browser.text('[data-number="in_flight"]') == "1", 15)
    wait_until(lambda: browser.text('[data-number="in_flight"]') == "0", 15)
    assert browser.wait_for_text('[data-table="usage"]', "tester", 30)


def test_a_page_that_nobody_sees_asks_for_nothing(gateway: Gateway, browser: Browser) -> None:
    browser.run(COUNT_STARTS, "/data")
    started = "return window.started"
    wait_until(lambda: browser.run(started) >= 1, 15)
    browser.run(HIDE, True)
    before = browser.run(started)

    browser.run("return new Promise((resolve) => setTimeout(resolve, 5000))")
    assert browser.run(started) == before
    browser.run(HIDE, False)
    wait_until(lambda: browser.run(started) > before, 15)


def test_the_button_reads_the_keys_again_and_says_what_changed(gateway: Gateway, browser: Browser) -> None:
    gateway.keys_file.write_text(json.dumps({**KEYS, "new": "sk-new-0123456789abcdef"}))

    browser.click("#reload button")

    said = "Keys read again: added new. 4 keys are in use."
    assert browser.wait_for_text("#reload-result", said)
    assert browser.wait_for_text('[data-table="keys"]', "new")


def test_markup_in_a_name_stays_text(gateway: Gateway, browser: Browser) -> None:
    gateway.post("/v1/chat/completions", b"{", key=OTHER)
    for table in ("keys", "errors", "usage"):
        assert browser.wait_for_text(f'[data-table="{table}"]', MARKUP, 30)
    browser.open(browser.url)

    assert MARKUP in browser.text('[data-table="errors"]')
    assert browser.run("return document.querySelectorAll('table img').length") == 0


def shown_between(shown: str) -> tuple[float, float]:
    """The milliseconds between which a time lies that is shown rounded."""
    number, unit = shown.split(" ")
    scale = {"ms": 1, "s": 1000}[unit]
    half = scale * 0.5 / 10 ** len(number.partition(".")[2])
    return float(number) * scale - half, float(number) * scale + half


def test_an_answer_streams_token_by_token_with_its_timings(upstream: FakeVllm, browser: Browser) -> None:
    """On a busy machine each token may come late, but none too early."""
    upstream.defaults = {"events": 40, "interval": 0.1, "before_first_event": 0.3}
    browser.type("#prompt", "Where?")
    browser.run(NOTE_LENGTHS, ANSWER)
    began = time.monotonic()
    browser.click(SEND)

    browser.wait_for_text(STATE, "Done", 60)

    took = (time.monotonic() - began) * 1000
    lengths = browser.run("return window.lengths")
    assert len(lengths) > 5
    assert lengths == sorted(set(lengths))
    assert browser.text(ANSWER).startswith("The capital of France is Paris.")
    assert browser.text('[data-timing="tokens"]') == "40"
    shown = (browser.text(f'[data-timing="{name}"]') for name in ("first", "gap", "total"))
    first, gap, total = map(shown_between, shown)
    assert first[1] >= 300
    assert first[1] + 39 * gap[1] >= 300 + 39 * 100
    assert first[0] + 39 * gap[0] <= total[1]
    assert total[0] <= took
    speed = float(browser.text('[data-timing="speed"]'))
    assert 1000 / gap[1] - 0.05 <= speed <= 1000 / gap[0] + 0.05


def test_stop_ends_the_answer_at_the_model_too(upstream: FakeVllm, browser: Browser) -> None:
    upstream.defaults = {"events": 2000, "interval": 0.05}
    browser.type("#prompt", "Go on")
    browser.click(SEND)
    browser.wait_for_text(ANSWER, "Paris")

    browser.click("#stop")

    assert browser.wait_for_text(STATE, "Stopped")
    asked = next(each for each in upstream.received if each.target == "/v1/chat/completions")
    wait_until(lambda: asked.client_left_at)


def test_markup_in_an_answer_stays_text(upstream: FakeVllm, browser: Browser) -> None:
    choice = {"index": 0, "delta": {"content": f"{MARKUP}<script>alert(2)</script>"}, "finish_reason": "stop"}
    event = json.dumps({"id": "x", "object": "chat.completion.chunk", "choices": [choice]})
    upstream.defaults = {"body": f"data: {event}\n\ndata: [DONE]\n\n", "content_type": "text/event-stream"}
    browser.type("#prompt", "Attack")

    browser.click(SEND)

    assert browser.wait_for_text(ANSWER, MARKUP) == f"{MARKUP}<script>alert(2)</script>"
    assert browser.run("return document.querySelectorAll('#answer img, #answer script').length") == 0


def test_what_goes_wrong_in_the_playground_is_said(upstream: FakeVllm, browser: Browser) -> None:
    upstream.defaults = {"events": 9, "fail_after": 3}
    browser.type("#prompt", "Break")

    browser.click(SEND)

    assert browser.wait_for_text(STATE, "connection")  # to the model server, or if that was not read, to us
    assert browser.text(STATE).endswith(" was lost.")
    assert browser.run(f"return document.querySelector('{SEND}').disabled") is False
    browser.console()  # the browser notes the cut connection itself


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_fits_the_screen_in_both_schemes(browser: Browser, size: tuple[int, int], scheme: str) -> None:
    browser.resize(*size)
    browser.prefer(scheme)
    wait_until(lambda: browser.run("return document.querySelectorAll('canvas').length") == len(CHARTS), 15)

    assert browser.run("return document.documentElement.scrollWidth") == size[0]
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness < 150) is (scheme == "dark")
    assert browser.run(CONTRASTS) == []


def test_nothing_moves_once_it_is_there(browser: Browser) -> None:
    assert browser.run(SHIFTED) < 0.02


def test_it_can_be_used_by_keyboard_and_read_aloud(browser: Browser) -> None:
    assert browser.run("return document.querySelectorAll('h1').length") == 1
    assert browser.run(UNNAMED) == []
    browser.run("document.activeElement.blur()")
    browser.command("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.run("return document.activeElement.textContent") == "To the content"


def test_a_wrong_key_is_told_and_can_be_typed_again(gateway: Gateway, browser: Browser) -> None:
    browser.click(".leave button")
    browser.type("#key", "sk-wrong-0123456789abcdef")
    browser.click("button")

    assert browser.wait_for_text(".notice", "This is no valid key.")
    log_in(browser, gateway)
    assert all("401" in line for line in browser.console())


def test_after_logging_out_there_is_nothing_to_see(browser: Browser) -> None:
    browser.click(".leave button")

    browser.wait_for_text("label", "API key")
    assert browser.cookies() == []


def test_a_session_that_ends_is_told(gateway: Gateway, browser: Browser) -> None:
    gateway.keys_file.write_text(json.dumps({"tester": KEY}))
    gateway.request("POST", "/admin/reload-keys", headers={"X-API-Key": ADMIN})

    assert browser.wait_for_text("#connection", "The session has ended. Log in again", 15)
    assert all("401" in line for line in browser.console())
