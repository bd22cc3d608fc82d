"""The production numbers, and what the configuration does before anything else."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.local import ROOT

SOURCE = (ROOT / "gunicorn.conf.py").read_text()


def configured(tmp_path: Path, **settings: str) -> dict[str, str]:
    """The values that gunicorn prints for this configuration."""
    keys = tmp_path / "keys.json"
    keys.write_text('{"a": "some-key"}')
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--print-config", "wsgi:app"]
    environ = {"API_KEYS_FILE": str(keys), **settings}
    result = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30)
    pairs = (line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def test_gevent_patches_before_anything_else_is_imported() -> None:
    statements = [
        node for node in ast.parse(SOURCE).body if not isinstance(node, ast.Expr) or "patch" in ast.dump(node)
    ]

    assert ast.unparse(statements[0]) == "from gevent import monkey"
    assert ast.unparse(statements[1]) == "monkey.patch_all()"


def test_the_numbers_of_production(tmp_path: Path) -> None:
    values = configured(tmp_path, PORT="9000", HOST="::1", DRAIN_SECONDS="7", WEB_CONCURRENCY="3")

    expected = {
        "bind": "['[::1]:9000']",
        "workers": "3",
        "keepalive": "620",
        "graceful_timeout": "9",
        "worker_connections": "2000",
        "max_requests": "0",
        "preload_app": "True",
        "http_parser": "python",
        "header_map": "drop",
        "control_socket_disable": "True",
        "limit_request_line": "4094",
        "limit_request_fields": "100",
        "limit_request_field_size": "8190",
        "secure_scheme_headers": "{}",
    }
    assert {name: values[name] for name in expected} == expected
    assert values["forwarder_headers"] in ("[]", "")
    assert values["forwarded_allow_ips"] in ("[]", "")
