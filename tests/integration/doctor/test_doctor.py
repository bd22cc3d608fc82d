"""A deployment that works has no fault, and what a person reads of one that does not."""

import os
import subprocess
import sys

from tests.client import KEY
from tests.examined import CapableVllm, examine
from tests.front import Front
from tests.local import ROOT


def test_a_healthy_deployment_has_no_fault(url: str, model: CapableVllm) -> None:
    found = examine(url)

    assert (found.status, found.troubles, found.codes("skipped")) == (0, [], [])
    assert found.report["model"] == "fake/model-1"
    assert found.report["requests"] < 30
    assert found.report["seconds"] < 20


def test_a_good_proxy_in_front_changes_nothing(front: Front) -> None:
    assert examine(front.url).troubles == []


def test_a_person_reads_a_line_for_each_check(url: str) -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "doctor", "--url", url, "--model", "nobody"]
    environ = {"PATH": os.environ["PATH"], "VLLM_API_KEY": KEY}
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)

    lines = ended.stdout.splitlines()
    (fault,) = (number for number, line in enumerate(lines) if line.startswith("fault"))
    assert ended.returncode == 1
    assert lines[fault].split()[1] == "model"
    assert "fake/model-1, plain-alias" in lines[fault + 1]
    assert "skipped  window       because of “model”" in lines
    assert lines[-1].startswith("1 fault, 0 warnings. ")
    assert KEY not in ended.stdout + ended.stderr
