"""The real pip-audit, asking a database of this test's own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from launch import environments
from tests.local import free_port
from tests.supply import audit
from tests.supply.locks import read_lock

LOCK = "requirements.txt"


@pytest.fixture(autouse=True)
def tools() -> None:
    """pip-audit; `make test-fast` has installed it."""
    environments.install(environments.AUDIT_TOOLS)


@contextmanager
def database(*vulnerable: str) -> Iterator[str]:
    """The address of one that knows of a vulnerability of each of these packages, and of no other."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package = asked["package"]
            known = [{"id": "PYSEC-1", "affected": [{"package": package}]}] * (package["name"] in vulnerable)
            body = json.dumps({"vulns": known} if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()


def test_an_audit_without_findings_passes(capsys: pytest.CaptureFixture[str]) -> None:
    with database("django") as url:
        assert audit.main(["--osv-url", url, LOCK]) == audit.PASSED

    assert f"{len(read_lock(LOCK))} packages, 0 known vulnerabilities" in capsys.readouterr().out


def test_a_vulnerable_package_fails_it(capsys: pytest.CaptureFixture[str]) -> None:
    with database("django", "werkzeug") as url:
        assert audit.main(["--osv-url", url, LOCK]) == audit.VULNERABLE

    assert f"werkzeug {read_lock(LOCK)['werkzeug'].version}: PYSEC-1" in capsys.readouterr().out


def test_a_database_that_knows_nothing_is_not_believed(capsys: pytest.CaptureFixture[str]) -> None:
    with database() as url:
        assert audit.main(["--osv-url", url, LOCK]) == audit.NOT_DONE

    assert "it knows nothing against django 2.2" in capsys.readouterr().out


def test_an_audit_that_reaches_nobody_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(["--osv-url", f"http://127.0.0.1:{free_port()}/", LOCK]) == audit.NOT_DONE

    assert "NOT DONE" in capsys.readouterr().out
