"""A real headless Chromium, driven by chromedriver over W3C WebDriver: what a person would see and click."""

import base64
import http.client
import json
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.gateway import wait_until
from tests.local import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that WebDriver's specification gives
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"),
)
PHONE, DESKTOP = (360, 740), (1280, 900)
START_SECONDS = 30.0


class Stale(AssertionError):
    """The element is not on the page any more: another page was loaded since it was found."""


class Browser:
    """One window with a fresh profile in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()

    def __enter__(self) -> "Browser":
        driver = shutil.which("chromedriver")
        assert driver, "chromedriver is missing: apt-get install chromium chromium-driver"
        self._process = subprocess.Popen(
            [driver, f"--port={self._port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(self._is_up, START_SECONDS)
            self._session = self._call("POST", "/session", {"capabilities": self._wishes()})["sessionId"]
            self.resize(*DESKTOP)
            self.prefer("light")
        except BaseException:
            self._end()
            raise
        return self

    def _wishes(self) -> dict[str, Any]:
        arguments = [*FLAGS, f"--user-data-dir={self._folder}"]
        return {
            "alwaysMatch": {
                "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
        }

    def __exit__(self, *_exc: object) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _is_up(self) -> bool:
        try:
            return bool(self._call("GET", "/status", None)["ready"])
        except OSError:
            return False

    def _call(self, method: str, path: str, body: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise (Stale if value["error"] == "stale element reference" else AssertionError)(value)
        return value

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._call(method, f"/session/{self._session}{path}", body)

    # What a person does

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("POST", "/url", {"url": url})

    def type(self, selector: str, text: str) -> None:
        """Replace what stands in a field."""
        element = self._find(selector)
        self._ask("POST", f"/element/{element}/clear", {})
        self._ask("POST", f"/element/{element}/value", {"text": text})

    def click(self, selector: str) -> None:
        """Click on the first element that fits, where nothing covers it."""
        element = self._find(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", {ELEMENT: element})
        self._ask("POST", f"/element/{element}/click", {})

    def resize(self, width: int, height: int) -> None:
        """The size of what is seen, in CSS pixels; widths of phones too, which a window cannot have."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)

    def prefer(self, scheme: str) -> None:
        """`dark` or `light`; and nothing that moves, so that a click finds what it is meant for."""
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.command("Emulation.setEmulatedMedia", features=features)

    # What a person sees

    def text(self, selector: str) -> str:
        """The text of the first element that fits, as it is shown."""
        return str(self._ask("GET", f"/element/{self._find(selector)}/text"))

    def wait_for_text(self, selector: str, part: str, seconds: float = 15.0) -> str:
        """Until the element's text holds that part, also on a page that is loaded meanwhile."""

        def holding() -> str:
            with suppress(Stale):
                text = self.text(selector)
                return text if part in text else ""
            return ""

        found: str = wait_until(holding, seconds)
        return found

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's `return`."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of what is seen, or of the page to its end."""
        told = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._ask("GET", "/url"))

    def cookies(self) -> list[dict[str, Any]]:
        """All of the page's, with their attributes."""
        found: list[dict[str, Any]] = self._ask("GET", "/cookie")
        return found

    def console(self) -> list[str]:
        """Warnings and errors since the last call; what breaks the page's policy is among them."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]

    def requested(self) -> list[str]:
        """The addresses of all requests since the last call."""
        entries = self._ask("POST", "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def command(self, name: str, **parameters: Any) -> Any:
        """One of Chromium's own commands."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def _find(self, selector: str) -> str:
        wish = {"using": "css selector", "value": selector}
        until = time.monotonic() + 5
        while True:
            found = self._ask("POST", "/elements", wish)
            if found:
                return str(found[0][ELEMENT])
            assert time.monotonic() < until, f"no element {selector}"
            time.sleep(0.05)
