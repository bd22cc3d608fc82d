"""No key is anywhere but in its store and in the client's hands."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.entrypoint import Entrypoint, runs
from tests.everywhere import reload
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.gateway import KEYS_OF_TESTS, wait_until
from tests.keys_command import KeysCommand
from tests.secret_client import put_keys, secret_settings

OLD, ADMIN = "sk-old-0123456789abcdef", "sk-admin-0123456789abcdef"
UNKNOWN = "sk-unknown-0123456789abcdef"
REQUESTS = (
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/admin/status"),
    ("GET", "/admin/usage"),
    ("GET", "/metrics"),
    ("GET", "/metrics/vllm"),
    ("GET", "/nothing"),
    ("POST", "/admin/reload-keys?version=99"),
    ("GET", "/health/ready"),
    ("PUT", "/v1/models"),
)


def ask_everything(gateway: Entrypoint, keys: list[str]) -> list[str]:
    """Every answer, heads included, to every request with every key in either header."""
    answers = []
    for key in keys:
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            for method, target in REQUESTS:
                body = {"model": "fake/model-1", "stream": False} if method == "POST" else None
                reply = gateway.request(method, target, body, headers)
                answers.append(f"{reply.headers} {reply.body!r}")
    return answers


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_after_a_whole_life_no_key_is_in_a_log_an_answer_an_argument_or_vllms_surroundings(
    start_both: Callable[..., Entrypoint], secret_manager: FakeSecretManagerThread, log_format: str
) -> None:
    content = {"old": OLD, "boss": {"key": ADMIN, "scopes": ["inference", "admin"], "note": ADMIN}}
    put_keys(secret_manager, content)
    place = secret_settings(secret_manager)
    gateway = start_both(API_KEYS_FILE="", LOG_FORMAT=log_format, API_KEYS_REFRESH_SECONDS=0.5, **place)
    gateway.wait_ready()
    rotating = KeysCommand(**place).start("rotate", "--name", "old")
    arguments = set()
    while rotating.poll() is None:
        arguments.update(runs(process) for process in psutil.process_iter())
    made = rotating.communicate()[0].strip()
    assert re.fullmatch(KEYS_OF_TESTS.pattern.decode(), made)
    assert reload(gateway, key=ADMIN).status == 200
    keys = [OLD, ADMIN, made, made[:-1], UNKNOWN]

    answers = ask_everything(gateway, keys)
    for bad in (b"{", {"a": OLD, "b": OLD}, {OLD: "service"}, {"x": {"key": OLD, "id": ADMIN}}, {}):
        put_keys(secret_manager, bad)
        answers.append(str(reload(gateway, key=ADMIN).body))
    secret_manager.stop()
    answers.append(str(reload(gateway, key=ADMIN).body))

    seen = {
        "answers": "".join(answers),
        "arguments": str([*arguments, *(runs(process) for process in psutil.process_iter())]),
        "vllm": str(gateway.vllm.environ()),
        "gateway": str(gateway.master.environ()),
        "log": gateway.log_file.read_text(),
    }
    found = {where: [key for key in keys if key in text] for where, text in seen.items()}
    assert not any(found.values()), found
    assert len(seen["log"]) > 1000
    assert re.search("reload keys.*failed", seen["log"])


def test_a_key_file_that_cannot_be_used_shows_nothing_of_itself(
    start_both: Callable[..., Entrypoint], tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"boss": {"key": ADMIN, "scopes": ["admin"]}}))
    gateway = start_both(API_KEYS_REFRESH_SECONDS=0.3)
    gateway.wait_ready()

    for content in (
        f'{{"a": "{OLD}"',
        f'{{"{OLD}": "service"}}',
        f'{{"a": "{OLD}", "b": "{OLD}"}}',
        f'"{OLD}"',
    ):
        file.write_text(content)
        answer = reload(gateway, key=ADMIN)
        assert answer.status == 502
        wait_until(lambda: gateway.log_lines(message="keys not refreshed"))

    assert not KEYS_OF_TESTS.search(gateway.log_file.read_bytes())
    assert "Traceback" not in gateway.log_file.read_text()
