"""`opencode-config` against a real gateway, also while its model is loading."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.client import KEY
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway
from tests.local import ROOT


def begin(gateway: Gateway) -> "subprocess.Popen[str]":
    """The command, with the file on its standard output."""
    url = f"http://127.0.0.1:{gateway.port}"
    words = ["-m", "flask", "--app", "wsgi", "opencode-config", "--url", url, "--output", "-"]
    environ = {"PATH": os.environ["PATH"], "VLLM_API_KEY": KEY}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environ, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


def test_it_waits_for_a_gateway_that_is_loading_and_says_so(tmp_path: Path) -> None:
    with FakeVllmThread() as upstream:
        upstream.fake.health_status = 503
        settings = {"STARTUP_HOLD_SECONDS": 0.1, "MODEL_LOAD_SECONDS": 1}
        with Gateway(tmp_path, upstream.url, **settings) as gateway, begin(gateway) as command:
            assert command.stderr is not None
            first = command.stderr.readline()
            upstream.fake.health_status = 200
            written, told = command.communicate(timeout=50)

    assert "The model is starting" in first
    assert "Asking again in" in first
    assert command.returncode == 0, told
    assert json.loads(written)["model"] == "vllm-gateway/fake/model-1"
    assert KEY not in written + first + told
