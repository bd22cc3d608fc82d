"""A stand-in for Google Secret Manager: a real HTTP server for what the official client calls over REST.

    python -m tests.fake_secret_manager --port 8085

It asks for no credentials. Its attributes say how it fails, and may be changed while it runs.
"""

import argparse
import asyncio
import json
import re
import signal
import socket
import threading
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fake_output import end_others, reset
from tests.fake_secrets import FakeSecrets
from tests.fake_vllm import Received, read_request, send_plain
from tests.secret_resources import Json, Refusal, State

POLL_SECONDS = 0.01
SECRET = r"projects/[^/]+/secrets/[\w-]+"
VERSION = rf"{SECRET}/versions/\d+"
Method = Callable[[FakeSecrets, str, Json, Json], Json]
ROUTES: tuple[tuple[str, str, Method], ...] = (
    ("POST", r"(projects/[^/]+)/secrets", FakeSecrets.create),
    ("GET", rf"({SECRET})", FakeSecrets.get),
    ("PATCH", rf"({SECRET})", FakeSecrets.update),
    ("DELETE", rf"({SECRET})", FakeSecrets.delete),
    ("POST", rf"({SECRET}):addVersion", FakeSecrets.add_version),
    ("GET", rf"({SECRET})/versions", FakeSecrets.list_versions),
    ("GET", rf"({VERSION}|{SECRET}/versions/latest)", FakeSecrets.get_version),
    ("GET", rf"({VERSION}|{SECRET}/versions/latest):access", FakeSecrets.access),
    ("POST", rf"({VERSION}):enable", FakeSecrets.enable),
    ("POST", rf"({VERSION}):disable", FakeSecrets.disable),
    ("POST", rf"({VERSION}):destroy", FakeSecrets.destroy),
)
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class FakeSecretManager(FakeSecrets):
    """The server. `requests` grows by the method and the path, without the query, of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, str]] = []
        self.latency = 0.0  # seconds before each answer
        self.failure: int | None = None  # the HTTP status of every answer
        self.answer: tuple[int, bytes] | None = None  # status and body of every answer, whatever they are
        self.resets = False  # requests get a reset for an answer
        self.hangs = False  # requests get no answer, until this is cleared
        self.hanging_path = ""  # requests whose path ends so get none, if it is set

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        try:
            while not writer.is_closing() and (request := await read_request(reader, connection=0)):
                self.requests.append((request.method, path_of(request)))
                await self._wait(reader, path_of(request))
                await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()

    async def _wait(self, reader: asyncio.StreamReader, path: str) -> None:
        await asyncio.sleep(self.latency)
        while (
            self.hangs or (self.hanging_path and path.endswith(self.hanging_path))
        ) and not reader.at_eof():
            await asyncio.sleep(POLL_SECONDS)
        if reader.at_eof():
            raise ConnectionAbortedError("nobody waits for the answer, so nothing shall be done")

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        if self.resets:
            reset(writer)
        elif self.answer is not None:
            await send_plain(writer, *self.answer)
        else:
            status, answer = self._respond(request)
            await send_plain(writer, status, encode(answer, request))

    def _respond(self, request: Received) -> tuple[int, Json]:
        if (failure := self.failure) is not None:
            return failure, error(failure, status_name(failure), "The fake was told to fail.")
        try:
            return 200, self._call(request)
        except Refusal as refusal:
            code = HTTP_STATUS[refusal.status]
            return code, error(code, refusal.status, str(refusal))

    def _call(self, request: Received) -> Json:
        path = path_of(request)
        for method, pattern, call in ROUTES:
            found = re.fullmatch(f"/v1/{pattern}", path)
            if found and method == request.method:
                with self.lock:
                    return call(self, found[1], query_of(request), body_of(request))
        raise Refusal("NOT_FOUND", f"The fake has no {request.method} {path}.")


def path_of(request: Received) -> str:
    """The path alone, decoded."""
    return unquote(urlsplit(request.target).path)


def query_of(request: Received) -> dict[str, str]:
    """The parameters of the query."""
    return dict(parse_qsl(urlsplit(request.target).query))


def body_of(request: Received) -> Json:
    """The object that the body holds; none at all is an empty one."""
    try:
        body = json.loads(request.body or "{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal("INVALID_ARGUMENT", "The body is no JSON object.")
    return body


def error(code: int, status: str, message: str) -> Json:
    """Google's JSON for an error."""
    return {"error": {"code": code, "message": message, "status": status}}


def encode(answer: Json, request: Received) -> bytes:
    """An answer, its states as numbers or as names, as the client wishes."""
    is_numeric = "enum-encoding=int" in query_of(request).get("$alt", "")

    def written(state: State) -> int | str:
        return state.value if is_numeric else state.name

    return json.dumps(answer, default=written).encode()


def status_name(code: int) -> str:
    """Google's name for an HTTP status."""
    return next((name for name, status in HTTP_STATUS.items() if status == code), "UNKNOWN")


def bound_socket(port: int) -> socket.socket:
    """A loopback socket that shares its port with the others of the same process; nothing listens yet."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class FakeSecretManagerThread:
    """The fake on a free port, in a thread of this process. It can be stopped and started again."""

    def __init__(self) -> None:
        self.fake = FakeSecretManager()
        self._claim = bound_socket(0)  # nobody else gets the port while the fake is stopped
        self.port: int = self._claim.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "FakeSecretManagerThread":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()
        self._claim.close()

    def start(self) -> None:
        """Listen, with the secrets that there were; return when connections are taken."""
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._started.wait(5), "the fake does not start"

    def stop(self) -> None:
        """Close every connection, and refuse others."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(5)

    async def _main(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        listener = bound_socket(self.port)
        server = await asyncio.start_server(self.fake.serve, sock=listener)
        self._started.set()
        await self._stopped.wait()
        self._loop.remove_reader(listener)
        await asyncio.sleep(0.01)  # a server that closes trips over a connection that is half accepted
        server.close()
        await end_others()


async def run(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await asyncio.start_server(FakeSecretManager().serve, "127.0.0.1", port)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8085)
    asyncio.run(run(parser.parse_args().port))
