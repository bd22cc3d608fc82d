"""`make screenshot`: docs/status-page.png anew, of the real page in a real browser, above a scripted model.

Some minutes of made-up traffic go before it, so that the charts have something to show.
"""

import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.browser import Browser
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import Gateway, chat_body
from tests.local import ROOT
from tests.page import ADMIN, BOSS

PLACE = ROOT / "docs" / "status-page.png"
SIZE = (1280, 930)
CLIENTS = 8
KEYS = {
    "operator": BOSS,
    "ann": {"key": "sk-ann-0123456789abcdef", "expires": "2027-01-01T00:00:00Z"},
    "backend": "sk-backend-0123456789abcdef",
    "ci": "sk-ci-0123456789abcdef",
}
NAMES = ("ann", "backend", "ci")


def main(seconds: float) -> None:
    """Make traffic for so long, then the picture."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "keys.json").write_text(json.dumps(KEYS))
        stop = threading.Event()
        with FakeVllmThread(fake=FakeVllm()) as upstream, Gateway(folder, upstream.url) as gateway:
            gateway.wait_ready()
            began = time.monotonic()
            clients = [
                threading.Thread(target=use, args=(gateway, stop, began, number)) for number in range(CLIENTS)
            ]
            for client in clients:
                client.start()
            stop.wait(seconds)
            take(gateway, folder / "profile")
            stop.set()
            for client in clients:
                client.join()


def use(gateway: Gateway, stop: threading.Event, began: float, number: int) -> None:
    """One client: answers of changing length and speed, more clients by and by, now and then a mistake."""
    chance = random.Random(number)
    while not stop.wait(chance.random() * 3):
        busy = 1.5 + 0.5 * ((time.monotonic() - began) // 20 % 3)
        script = {
            "events": chance.randint(20, 90),
            "interval": (0.012 + 0.012 * chance.random()) * busy,
            "before_head": 0.05 + 0.5 * chance.random() ** 3 * busy,
        }
        mistake = {"n": 99} if chance.random() < 0.03 else {}
        key = f"sk-{chance.choice(NAMES)}-0123456789abcdef"
        gateway.post("/v1/chat/completions", chat_body(stream=True, fake=script, **mistake), key=key)


def take(gateway: Gateway, profile: Path) -> None:
    """Log in, wait for the charts, and make the picture."""
    with Browser(profile) as browser:
        browser.resize(*SIZE)
        browser.open(f"http://127.0.0.1:{gateway.port}/admin/")
        browser.type("#key", ADMIN)
        browser.click("button")
        browser.wait_for_text("#chart-first_byte", "p99")
        browser.screenshot(PLACE)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 360.0)
