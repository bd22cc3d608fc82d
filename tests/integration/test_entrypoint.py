"""entrypoint.sh: both programs start together, and neither outlives the other."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from app.launch_plan import clear_socket
from app.settings import Settings, SettingsError
from tests.entrypoint import Entrypoint
from tests.gateway import KEY, chat_body, wait_until
from tests.local import ROOT

SETTINGS = {  # one value for each setting that differs from its default
    "HOST": "localhost", "WEB_CONCURRENCY": "1", "API_KEYS_REFRESH_SECONDS": "61", "TRUSTED_PROXY_HOPS": "1",
    "FIRST_BYTE_TIMEOUT_SECONDS": "291", "STREAM_IDLE_TIMEOUT_SECONDS": "301", "LOG_FORMAT": "text",
    "REQUEST_DEADLINE_SECONDS": "3591", "CLIENT_STALL_TIMEOUT_SECONDS": "61", "DRAIN_SECONDS": "6",
    "STARTUP_HOLD_SECONDS": "21", "MAX_REQUEST_BYTES": "20971521", "MAX_BUFFERED_BYTES": "268435455",
    "MAX_JSON_VALUES": "1000", "MAX_OUTPUT_TOKENS": "1000", "MAX_CHOICES": "2", "MAX_MESSAGES": "1000",
    "MAX_PROMPTS": "2", "MAX_EMBEDDING_INPUTS": "2", "MAX_TOOLS": "2", "MAX_SCHEMA_BYTES": "1000",
    "MAX_STOP_STRINGS": "2", "MAX_LOGPROBS": "2", "MAX_LOGIT_BIAS": "2", "ALLOWED_FIELDS": "ignore_eos",
    "ALLOW_MEDIA_URLS": "true", "CACHE_ISOLATION": "false",
    "CORS_ALLOWED_ORIGINS": "https://chat.example", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_EXPORTER_OTLP_HEADERS": "api-key=x", "OTEL_SERVICE_NAME": "gateway",
    "OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "0.5",
    "MAX_CONCURRENT_REQUESTS": "999", "UPSTREAM_HANG_SECONDS": "119", "MODEL_NAME": "other/model",
    "GCP_PROJECT": "other-project", "API_KEYS_SECRET_NAME": "other-secret",
    "SECRET_MANAGER_ENDPOINT": "https://other.example",
    "MODEL_PATH": "/tmp", "MAX_MODEL_LEN": "4096", "TOOL_CALL_PARSER": "mistral", "WARM_UP": "false",
    "REASONING_PARSER": "qwen3", "VLLM_EXTRA_ARGS": "--seed 7", "MODEL_LOAD_SECONDS": "91",
    "TRUST_REMOTE_CODE": "true", "ALLOW_OLD_VLLM": "true",
    "USAGE_DATABASE": "/tmp/other-usage.db", "GPU_PRICE_PER_HOUR": "0.71", "MAX_NUM_SEQS": "33",
    "LOG_LABELS": "team=a", "K_SERVICE": "service", "K_REVISION": "service-00001-abc",
}  # fmt: skip
MADE_HERE = {"PORT", "VLLM_BASE_URL", "API_KEYS_FILE", "LAUNCHED_AT"}


def phase_of(entrypoint: Entrypoint) -> tuple[int, str]:
    reply = entrypoint.request("GET", "/health/startup")
    return reply.status, reply.json()["phase"]


def test_probes_are_answered_while_the_model_loads(start_both: Any, tmp_path: Path) -> None:
    imported, loaded = tmp_path / "imported", tmp_path / "loaded"
    entrypoint = start_both(VLLM_FAKE_IMPORT=imported, VLLM_FAKE_WEIGHTS=loaded)

    wait_until(lambda: phase_of(entrypoint) == (503, "import"))
    imported.touch()
    wait_until(lambda: phase_of(entrypoint) == (503, "weights"))
    assert entrypoint.request("GET", "/health/live").status == 200
    loaded.touch()
    wait_until(lambda: phase_of(entrypoint) == (200, "ready"))


def test_every_phase_is_told_with_its_seconds(start_both: Any, tmp_path: Path) -> None:
    imported, loaded = tmp_path / "imported", tmp_path / "loaded"
    entrypoint = start_both(VLLM_FAKE_IMPORT=imported, VLLM_FAKE_WEIGHTS=loaded)

    def taken(phase: str) -> float:
        return float(entrypoint.request("GET", "/health/startup").json()["phases"].get(phase, 0))

    wait_until(lambda: taken("import") > 0.5)
    imported.touch()
    wait_until(lambda: taken("weights") > 1)
    loaded.touch()
    entrypoint.wait_ready()

    seconds = entrypoint.request("GET", "/health/startup").json()["phases"]
    lines = entrypoint.log_lines(logger="gateway.startup")

    assert list(seconds) == ["process", "import", "weights", "warm-up", "ready"]
    assert 0 < seconds["process"] < 15
    assert seconds["import"] > 0.5
    assert seconds["weights"] > 1
    assert [line["phase"] for line in lines] == list(seconds)
    assert lines[2]["seconds"] == seconds["weights"]
    assert lines[-1]["phases"] == {phase: taken for phase, taken in seconds.items() if phase != "ready"}
    assert lines[-1]["seconds"] == pytest.approx(sum(lines[-1]["phases"].values()), abs=0.1)


def test_a_request_during_the_start_is_told_how_long_it_may_take(start_both: Any) -> None:
    entrypoint = start_both(VLLM_FAKE_IMPORT="/never", MODEL_LOAD_SECONDS=40)
    wait_until(lambda: phase_of(entrypoint) == (503, "import"))

    reply = entrypoint.chat()

    assert (reply.status, reply.error_code) == (503, "model_loading")
    assert 20 < int(reply.headers["retry-after"]) <= 40
    assert "import" in reply.json()["error"]["message"]


def test_a_request_during_the_start_is_held_and_answered(start_both: Any, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    entrypoint = start_both(VLLM_FAKE_WEIGHTS=loaded, STARTUP_HOLD_SECONDS=20)
    with entrypoint.connect() as client:
        client.send_request("POST", "/v1/chat/completions", chat_body(stream=True))
        wait_until(lambda: phase_of(entrypoint) == (503, "weights"))
        loaded.touch()

        assert client.read_head() == 200
        client.read_body()


def test_vllm_makes_one_token_before_the_first_readiness(both: Entrypoint) -> None:
    seconds = both.request("GET", "/health/startup").json()["phases"]

    assert "warm-up" in seconds


def test_the_model_is_served_under_exactly_its_name_on_a_private_socket(both: Entrypoint) -> None:
    arguments = both.vllm.cmdline()

    assert arguments[arguments.index("--served-model-name") + 1] == "fake/model-1"
    path = Path(arguments[arguments.index("--uds") + 1])
    assert path.is_socket()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [c for c in both.vllm.net_connections("tcp") if c.status == "LISTEN"] == []


def test_vllm_listens_on_loopback_where_the_settings_say_so(start_both: Any) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    entrypoint = start_both(VLLM_BASE_URL=f"http://127.0.0.1:{port}")
    entrypoint.wait_ready()

    assert [c.laddr for c in entrypoint.vllm.net_connections("tcp") if c.status == "LISTEN"] == [
        ("127.0.0.1", port)
    ]


def test_vllm_sees_no_key_and_no_path_to_one(start_both: Any) -> None:
    secrets = {"VLLM_API_KEY": KEY, "API_KEY": KEY, "OPENAI_API_KEY": KEY, "GCP_PROJECT": "p"}
    entrypoint = start_both(**secrets, HF_TOKEN="hf_x", VLLM_CPU_KVCACHE_SPACE="2")

    environ = entrypoint.vllm.environ()
    everything = str([entrypoint.vllm.cmdline(), environ])

    assert KEY not in everything
    assert "keys.json" not in everything
    assert not set(secrets) & set(environ)
    assert (environ["HF_TOKEN"], environ["VLLM_CPU_KVCACHE_SPACE"]) == ("hf_x", "2")


def test_what_is_no_name_in_bash_is_hidden_too(start_both: Any, tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to(str(shutil.which("bash")))  # another sh may drop such names by itself
    odd = {
        "keys.json": KEY,
        "api-key": KEY,
        "name": KEY,
        "role": KEY,
        "BASH_FUNC_ask%%": f"() {{ echo {KEY}; }}",
    }
    entrypoint = start_both(**odd, PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert KEY not in str([entrypoint.vllm.environ(), entrypoint.master.environ()])


def test_the_gateway_gets_every_setting_and_no_hub_token(start_both: Any) -> None:
    assert SETTINGS.keys() | MADE_HERE == set(Settings.__struct_encode_fields__)
    entrypoint = start_both(**SETTINGS, HF_TOKEN="hf_x")

    environ = entrypoint.master.environ()

    assert SETTINGS.items() <= environ.items()
    assert environ.keys() >= MADE_HERE
    assert "HF_TOKEN" not in environ
    assert not [name for name in entrypoint.vllm.environ() if name.startswith(("OTEL_", "CORS_"))]


def test_no_secret_stands_in_an_argument(start_both: Any) -> None:
    entrypoint = start_both(HF_TOKEN="hf_secret", VLLM_API_KEY=KEY)
    entrypoint.wait_ready()

    arguments = str(entrypoint.arguments())
    assert "--served-model-name" in arguments

    assert "hf_secret" not in arguments
    assert KEY not in arguments


@pytest.mark.parametrize(
    ("setting", "value"),
    [("MAX_MODEL_LEN", "many"), ("PORT", "http"), ("VLLM_BASE_URL", "http://10.0.0.1:8000"),
     ("API_KEYS_FILE", "/no/such/file"), ("VLLM_EXTRA_ARGS", "--hf-overrides '{"),
     ("ALLOWED_FIELDS", "ignore_eso")],
)  # fmt: skip
def test_a_bad_setting_is_named_before_anything_starts(tmp_path: Path, setting: str, value: str) -> None:
    with Entrypoint(tmp_path, **{setting: value}).prepared() as entrypoint:
        environ = {"PORT": "1", **entrypoint.environ}

        ended = subprocess.run(entrypoint.command, env=environ, capture_output=True, text=True, timeout=10)

        assert os.listdir(entrypoint.scratch) == []
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"gateway: {setting}=")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_an_empty_folder_of_weights_is_named_before_anything_starts(tmp_path: Path) -> None:
    empty = tmp_path / "model"
    empty.mkdir()
    with Entrypoint(tmp_path, MODEL_PATH=empty).prepared() as entrypoint:
        environ = {"PORT": "1", **entrypoint.environ}

        ended = subprocess.run(entrypoint.command, env=environ, capture_output=True, text=True, timeout=10)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"gateway: MODEL_PATH='{empty}' is an empty folder")


def test_the_commands_work_where_no_weights_are(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "MODEL_PATH": str(tmp_path)}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "doctor", "--help"]

    ended = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert ended.returncode == 0, ended.stderr


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Entrypoint(tmp_path, VLLM_PYTHON="/no/such/python").prepared() as entrypoint:
        ended = subprocess.run(
            entrypoint.command, env=entrypoint.environ, capture_output=True, text=True, timeout=10
        )

    assert ended.returncode == 1
    assert ended.stderr == "gateway: the program '/no/such/python' does not exist or cannot be run.\n"


@pytest.mark.parametrize(
    ("users", "named"),
    [({"GATEWAY_USER": "daemon", "VLLM_USER": "no-such-user"}, "VLLM_USER='no-such-user'"),
     ({"GATEWAY_USER": "no-such-user", "VLLM_USER": "daemon"}, "GATEWAY_USER='no-such-user'"),
     ({"VLLM_USER": "daemon"}, "GATEWAY_USER=''"), ({"GATEWAY_USER": "daemon"}, "VLLM_USER=''"),
     ({"GATEWAY_USER": "daemon", "VLLM_USER": "root"}, "VLLM_USER='root'"),
     ({"GATEWAY_USER": "root", "VLLM_USER": "daemon"}, "GATEWAY_USER='root'"),
     ({"GATEWAY_USER": "daemon", "VLLM_USER": "daemon"}, "GATEWAY_USER='daemon'")],
)  # fmt: skip
def test_started_as_root_it_asks_for_a_user_for_each_program(
    tmp_path: Path, users: dict[str, str], named: str
) -> None:
    as_root = () if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user")
    with Entrypoint(tmp_path, **users).prepared() as entrypoint:
        command = [*as_root, *entrypoint.command]

        ended = subprocess.run(command, env=entrypoint.environ, capture_output=True, text=True, timeout=10)

        assert os.listdir(entrypoint.scratch) == []
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"gateway: {named} is not valid: expected the name of a user")


def test_a_relative_path_is_one_of_the_callers_folder(start_both: Any, tmp_path: Path) -> None:
    entrypoint = start_both(API_KEYS_FILE="keys.json", USAGE_DATABASE="kept.db")
    entrypoint.wait_ready()

    assert entrypoint.chat().status == 200
    wait_until((tmp_path / "kept.db").exists)


def test_usage_that_is_kept_nowhere_makes_no_file(start_both: Any, tmp_path: Path) -> None:
    start_both(USAGE_DATABASE="off").wait_ready()

    assert not (tmp_path / "off").exists()


def test_a_socket_that_the_last_vllm_left_is_no_obstacle(start_both: Any, tmp_path: Path) -> None:
    path = Path(tempfile.mkdtemp(dir="/tmp"), "v.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    entrypoint = start_both(VLLM_BASE_URL=f"unix://{path}")
    entrypoint.wait_ready()

    assert entrypoint.chat().status == 200
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("is_socket", [True, False])
def test_what_is_in_use_at_the_sockets_place_is_left_alone(tmp_path: Path, is_socket: bool) -> None:
    path = Path(tempfile.mkdtemp(dir="/tmp"), "v.sock")
    with socket.socket(socket.AF_UNIX) as used:
        if is_socket:
            used.bind(str(path))
            used.listen()
        else:
            path.write_text("mine")

        with pytest.raises(SettingsError, match="VLLM_BASE_URL"):
            clear_socket(f"unix://{path}")

        assert path.exists()
    shutil.rmtree(path.parent)
