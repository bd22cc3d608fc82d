"""The status page in a real Chromium before a model that is late, faster than it draws, or makes no sense."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.e2e.test_status_page import ANSWER, KEYS, SEND, STATE, log_in
from tests.fake_answers import MODEL
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import Gateway, wait_until

pytestmark = pytest.mark.timeout(180)


@contextmanager
def page_before(model: FakeVllm, folder: Path, state: str = "Ready") -> Iterator[Browser]:
    """The page of a gateway that has this model, once it shows that state."""
    (folder / "keys.json").write_text(json.dumps(KEYS))
    with (
        FakeVllmThread(fake=model) as upstream,
        Gateway(folder, upstream.url) as gateway,
        Browser(folder / "profile") as browser,
    ):
        log_in(browser, gateway, state)
        yield browser


def test_a_page_that_was_open_during_the_start_knows_the_model_afterwards(tmp_path: Path) -> None:
    model = FakeVllm()
    model.health_status = 503
    with page_before(model, tmp_path, "Starting") as browser:
        assert browser.text("#try select") == ""
        browser.type("#prompt", "As soon as you can")

        model.health_status = 200

        assert "ready\nfor " in browser.wait_for_text(".facts", MODEL, 30)
        browser.click(SEND)
        browser.wait_for_text(STATE, "Done")


def test_a_model_that_is_faster_than_the_page_can_draw_is_not_slowed_down_by_it(tmp_path: Path) -> None:
    with page_before(FakeVllm(events=4000), tmp_path) as browser:
        browser.type("#prompt", "Run")
        browser.click(SEND)

        browser.wait_for_text(STATE, "Done", 60)

        assert (
            browser.run("return document.querySelector(arguments[0]).textContent", ANSWER).count(" ") == 4000
        )
        total = browser.text('[data-timing="total"]')
        assert total.endswith(" ms") or float(total.removesuffix(" s")) < 6  # laid out for each token: 18 s


def test_an_answer_that_cannot_be_read_ends_at_the_model_too(tmp_path: Path) -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    script = {"raw": [head + "data: {bad\n\n", *["data: {}\n\n"] * 600], "interval": 0.1}
    model = FakeVllm(**script)
    with page_before(model, tmp_path) as browser:
        browser.type("#prompt", "Confuse")

        browser.click(SEND)

        assert browser.wait_for_text(STATE, "cannot be read") == "The answer cannot be read."
        asked = next(each for each in model.received if each.target == "/v1/chat/completions")
        wait_until(lambda: asked.client_left_at)
