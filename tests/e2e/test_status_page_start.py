"""The status page in a real Chromium that was opened before the model was there."""

import json
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.e2e.test_status_page import KEYS, SEND, STATE, log_in
from tests.fake_answers import MODEL
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import Gateway

pytestmark = pytest.mark.timeout(180)


def test_a_page_that_was_open_during_the_start_knows_the_model_afterwards(tmp_path: Path) -> None:
    starting = FakeVllm()
    starting.health_status = 503
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    with (
        FakeVllmThread(fake=starting) as upstream,
        Gateway(tmp_path, upstream.url) as gateway,
        Browser(tmp_path / "profile") as browser,
    ):
        log_in(browser, gateway, "Starting")
        assert browser.text("#try select") == ""
        browser.type("#prompt", "As soon as you can")

        starting.health_status = 200

        assert "ready\nfor " in browser.wait_for_text(".facts", MODEL, 30)
        browser.click(SEND)
        browser.wait_for_text(STATE, "Done")
