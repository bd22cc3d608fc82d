"""Run entrypoint.sh, tell how far the model's start has come, and pass on the wish to stop."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from launch import ROOT
from launch.progress import say

ASK_SECONDS = 2.0
LOOK_EVERY_SECONDS = 0.5
TELL_EVERY_SECONDS = 10.0


class Session:
    """One life of vLLM and the gateway at `host`:`port`."""

    def __init__(self, settings: Mapping[str, str], host: str, port: str) -> None:
        self._settings = settings
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where to ask, not where to listen
        self._host, self._port = everywhere.get(host, host), int(port)
        self.url = f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{port}"

    def run(self, ready: str, on_ready: Callable[[float], None]) -> int:
        """Until both have ended; returns entrypoint.sh's exit code.

        Writes `ready` once the model answers, and calls `on_ready` with the seconds that it took.
        """
        entrypoint = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", str(ROOT / "entrypoint.sh")], env=dict(self._settings)
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Always SIGTERM: a shell that was started in the background cannot hear SIGINT.
            signal.signal(number, lambda _number, _frame: entrypoint.terminate())
        seconds = self._follow_start(entrypoint)
        if seconds is not None:
            sys.stdout.write(ready)
            sys.stdout.flush()
            on_ready(seconds)
        return entrypoint.wait()

    def _follow_start(self, entrypoint: "subprocess.Popen[bytes]") -> float | None:
        """Tell each phase and its seconds; the whole start's, or None when it ended before."""
        told, told_at = "", 0.0
        while entrypoint.poll() is None:
            state = self._ask("/health/startup")
            phase, seconds = state.get("phase", ""), state.get("phases", {})
            if state.get("status") == "ok":
                phase = self._ask("/health/ready").get("phase", "")
                if phase == "ready":
                    return float(sum(value for name, value in seconds.items() if name != phase))
                if phase == "keys_unavailable" and phase != told:
                    say("the model is ready, but the key file has no usable key; it is read again by itself")
                    told = phase
            if phase in seconds and (phase != told or time.monotonic() - told_at > TELL_EVERY_SECONDS):
                say(f"model load: {phase}, {seconds[phase]:.0f} s ({state['seconds']:.0f} s in all)")
                told, told_at = phase, time.monotonic()
            time.sleep(LOOK_EVERY_SECONDS)
        return None

    def _ask(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ASK_SECONDS)
        try:
            connection.request("GET", path)
            state = json.loads(connection.getresponse().read())
            return state if isinstance(state, dict) else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
