"""The doctor finds no fault in the real thing, and says of a weak model what is the model's own."""

import json
import os
import subprocess
import sys

from tests.e2e.served import MODEL, Served
from tests.local import ROOT


def test_the_real_deployment_has_no_fault(served: Served) -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "doctor", "--url", served.url, "--json"]
    environ = {"PATH": os.environ["PATH"], "VLLM_API_KEY": served.key}
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)

    report = json.loads(ended.stdout)
    warnings = {found["code"] for found in report["findings"] if found["verdict"] == "warning"}
    assert (ended.returncode, report["model"]) == (0, MODEL), report
    assert warnings <= {"window_small", "tools_not_called", "tools_unproven"}, report
    assert report["seconds"] < 60
    assert report["tokens"] < 1000
    assert served.key not in ended.stdout + ended.stderr
