"""No key is anywhere but in its store and in the client's hands."""

import re
from collections.abc import Callable

import psutil
import pytest

from tests.entrypoint import Entrypoint, runs
from tests.everywhere import reload
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.gateway import KEYS_OF_TESTS
from tests.keys_command import KeysCommand
from tests.secret_client import put_keys, secret_settings

OLD, ADMIN = "sk-old-0123456789abcdef", "sk-admin-0123456789abcdef"
UNKNOWN = "sk-unknown-0123456789abcdef"
REQUESTS = (
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/admin/status"),
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
    made = KeysCommand(**place)("rotate", "--name", "old")
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
        "arguments": str([runs(process) for process in psutil.process_iter()]),
        "vllm": str(gateway.vllm.environ()),
        "gateway": str(gateway.master.environ()),
        "log": gateway.log_file.read_text(),
    }
    found = {where: KEYS_OF_TESTS.findall(text.encode()) for where, text in seen.items()}
    assert not any(found.values()), found
    assert len(seen["log"]) > 1000
    assert re.search("keys not reloaded", seen["log"])
