"""`make demo`: the real gateway in front of the fake vLLM, with a key and a curl line to try.

With `--secret-manager` (`make demo-secret-manager`) the keys are in a stand-in for Google's Secret Manager,
and the commands that make, rotate and remove them can be tried as well.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from launch import host
from tests.keys_command import KeysCommand
from tests.local import ROOT, free_port

CURL = """\
Ready. Watch an answer stream (Ctrl-C here ends the demo):

  export API_KEY={key}
  curl -N {url}/v1/chat/completions \\
    -H "X-API-Key: $API_KEY" -H "Content-Type: application/json" \\
    -d '{{"model": "fake/model-1", "stream": true, "messages": [{{"role": "user", "content": "Hi"}}]}}'

Status page, for a browser: {url}/admin/   metrics, for Prometheus: {url}/metrics   (with this key)
"""
COMMANDS = """
The keys are in a secret. In this folder, in another terminal:

  export {settings} GATEWAY={url} API_KEY={key}
  {flask} keys list
  {flask} keys add --name opencode-integration
  curl -X POST -H "X-API-Key: $API_KEY" "$GATEWAY/admin/reload-keys"
  {flask} keys rotate --name opencode-integration --overlap 24h
  curl -H "X-API-Key: $API_KEY" "$GATEWAY/admin/status"
"""


def main() -> int:
    """Start both, wait until the gateway is ready, say how to use it; returns an exit code."""
    port = os.environ.get("PORT", "8080")
    on_secret = "--secret-manager" in sys.argv
    try:
        host.check_port("127.0.0.1", port)  # else whoever is there would be taken for this demo
    except host.Unfit as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    with ExitStack() as stack:
        place = stack.enter_context(secret() if on_secret else file())
        keys = KeysCommand(**place)
        key = keys("add", "--name", "demo", "--scope", "inference", "--scope", "admin")
        upstream_port = free_port()
        stack.enter_context(running("-m", "tests.fake_vllm", "--port", str(upstream_port)))
        settings = {
            "PORT": port,
            "VLLM_BASE_URL": f"http://127.0.0.1:{upstream_port}",
            "LOG_FORMAT": os.environ.get("LOG_FORMAT", "text"),
            "API_KEYS_FILE": "",
            "API_KEYS_SECRET_NAME": "",
            "USAGE_DATABASE": "off",
            **place,
        }
        gateway = stack.enter_context(
            running("-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app", **settings)
        )
        try:
            wait_ready(gateway, port)
            said = " ".join(f"{name}={value}" for name, value in place.items())
            flask = f"{Path(sys.executable).with_name('flask')} --app wsgi"
            url = f"http://127.0.0.1:{port}"
            more = COMMANDS.format(settings=said, url=url, key=key, flask=flask) if on_secret else ""
            sys.stdout.write(CURL.format(key=key, url=url) + more)
            sys.stdout.flush()
            return gateway.wait()
        except KeyboardInterrupt:
            return 0


@contextmanager
def file() -> Iterator[dict[str, str]]:
    """The settings of a key file that goes with the demo."""
    with tempfile.TemporaryDirectory() as folder:
        yield {"API_KEYS_FILE": str(Path(folder) / "keys.json")}


@contextmanager
def secret() -> Iterator[dict[str, str]]:
    """The settings of a secret in a stand-in for Secret Manager."""
    port = free_port()
    place = {"GCP_PROJECT": "demo", "SECRET_MANAGER_ENDPOINT": f"http://127.0.0.1:{port}"}
    with running("-m", "tests.fake_secret_manager", "--port", str(port)):
        for _ in range(50):
            status, _, told = KeysCommand(**place).run("create-secret")
            if status == 0:
                yield place
                return
        sys.exit(f"demo: {told}")


@contextmanager
def running(*arguments: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python program of this environment, in a session of its own so that Ctrl-C is ours."""
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **settings}, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()


def wait_ready(gateway: "subprocess.Popen[bytes]", port: str) -> None:
    """Until the gateway is ready; ends the demo when the gateway ended (it has said why)."""
    while gateway.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(gateway.returncode)


if __name__ == "__main__":
    sys.exit(main())
