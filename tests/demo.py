"""`make demo`: the real gateway in front of the fake vLLM, with a key and a curl line to try."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.local import ROOT, free_port

CURL = """\
Ready. Watch an answer stream (Ctrl-C here ends the demo):

  export API_KEY={key}
  curl -N http://127.0.0.1:{port}/v1/chat/completions \\
    -H "X-API-Key: $API_KEY" -H "Content-Type: application/json" \\
    -d '{{"model": "fake/model-1", "stream": true, "messages": [{{"role": "user", "content": "Hi"}}]}}'
"""


def main() -> int:
    """Start both, wait until the gateway is ready, say how to use it; returns an exit code."""
    port, upstream_port = os.environ.get("PORT", "8080"), free_port()
    key = "sk-demo-" + secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as folder:
        keys_file = Path(folder) / "keys.json"
        keys_file.touch(0o600)
        keys_file.write_text(json.dumps({"demo": key}))
        settings = {
            "PORT": port,
            "VLLM_BASE_URL": f"http://127.0.0.1:{upstream_port}",
            "API_KEYS_FILE": str(keys_file),
            "LOG_FORMAT": os.environ.get("LOG_FORMAT", "text"),
        }
        upstream = start("-m", "tests.fake_vllm", "--port", str(upstream_port))
        gateway = start("-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app", **settings)
        try:
            wait_ready(gateway, port)
            sys.stdout.write(CURL.format(key=key, port=port))
            sys.stdout.flush()
            return gateway.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            for process in (gateway, upstream):
                stop(process)


def start(*arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
    """A Python program of this environment, in a session of its own so that Ctrl-C is ours."""
    command = [sys.executable, *arguments]
    environ = {**os.environ, **settings}
    return subprocess.Popen(command, cwd=ROOT, env=environ, start_new_session=True)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, and wait until it has."""
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
