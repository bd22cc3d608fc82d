"""A mixture of requests as gateways see it: whole, broken, refused, left early or at the last moment."""

import itertools
import json
import socket
import struct
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.client import RawClient
from tests.fake_answers import MODEL
from tests.gateway import Gateway, wait_until

NAMES = ("tester", "second")
KEYS = {name: f"sk-traffic-{name}-0123456789abcdef" for name in NAMES}
ADMIN = "sk-traffic-admin-0123456789abcdef"  # pragma: allowlist secret
KEY_FILE = {**KEYS, "operator": {"key": ADMIN, "scopes": ["admin"]}}
MODELS = (MODEL, "plain-alias")
CHAT, TEXT, RESPONSES, MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
ENDS = {CHAT: b"[DONE]", TEXT: b"[DONE]", RESPONSES: b"response.completed", MESSAGES: b"message_stop"}
STREAMS: tuple[dict[str, Any], ...] = ({}, {"stream_options": {"include_usage": True}})
BREAKS = ("reset", "close", "half_event", "error_event")
CLIENTS = 12


class Traffic:
    """Sends requests and remembers, by the gateway's id, those whose answer it got to its end."""

    def __init__(self) -> None:
        self.whole: set[str] = set()
        self.sent = 0
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def run(self, gateway: Gateway, count: int) -> None:
        """So many requests, several at a time, each with numbers of its own."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            numbers = list(itertools.islice(self._numbers, count))
            list(clients.map(lambda number: self._one(gateway, number), numbers))
        self.sent += count

    def _one(self, gateway: Gateway, number: int) -> None:
        target = (CHAT, TEXT, RESPONSES, MESSAGES)[number % 4]
        script = {"events": 1 + number % 23, "prompt_tokens": 5 + number % 101, "cached_tokens": number % 5}
        way = (number // 4) % 12
        if way < 5:
            self._ask(
                gateway, number, target, script, stream=True, **STREAMS[way % 2 if number % 4 < 2 else 0]
            )
        elif way < 7:
            self._ask(gateway, number, target if number % 3 else "/v1/embeddings", script, stream=False)
        elif way == 7:
            broken = {"fail_after": number % 3, "failure": BREAKS[number % 3]}
            self._ask(gateway, number, target, {**script, **broken}, stream=bool(number % 8 < 6))
        elif way == 8:
            refusal = {"status": 400 + 100 * (number % 2), "body": '{"error": {"message": "no"}}'}
            self._ask(gateway, number, target, {**script, **refusal}, stream=True)
        elif way == 9:
            self._leave(gateway, number, target, {**script, "events": 3000, "interval": 0.005}, b"\n\n")
        else:
            self._leave(gateway, number, target, script, ENDS[target])

    def _ask(self, gateway: Gateway, number: int, target: str, script: dict[str, Any], **fields: Any) -> None:
        with RawClient(gateway.port) as client:
            client.send_request(
                "POST", target, _body(number, target, script, **fields), X_API_Key=_key(number)
            )
            status = client.read_head()
            body = client.read_body()
            if client.is_whole and status == 200 and b'"error"' not in body:
                self._note(client)

    def _leave(self, gateway: Gateway, number: int, target: str, script: dict[str, Any], last: bytes) -> None:
        """Reset the connection as soon as these bytes have come."""
        with RawClient(gateway.port) as client:
            body = _body(number, target, script, stream=True)
            client.send_request("POST", target, body, X_API_Key=_key(number))
            client.read_head()
            while last not in client.buffer:
                client.buffer += client.sock.recv(1024)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _note(self, client: RawClient) -> None:
        with self._lock:
            self.whole.add(client.request_id)


def open_hanging(gateway: Gateway, count: int) -> list[RawClient]:
    """Streams that will not end by themselves, spread over the workers."""
    clients = []
    for number in range(count):
        client = RawClient(gateway.port)
        script = {"events": 3, "fail_after": 2, "failure": "hang"}
        client.send_request("POST", CHAT, _body(number, CHAT, script, stream=True), X_API_Key=_key(number))
        client.read_head()
        clients.append(client)
    return clients


def _key(number: int) -> str:
    return KEYS[NAMES[number // 7 % 2]]


def _body(number: int, target: str, script: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        CHAT: {"messages": [{"role": "user", "content": "hello"}]},
        TEXT: {"prompt": "hello"},
        RESPONSES: {"input": "hello"},
        MESSAGES: {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 100},
    }.get(target, {"input": "hello"})
    return {"model": MODELS[number // 5 % 2], **content, "fake": script, **fields}


def ask_usage(gateway: Gateway, query: str = "") -> dict[str, Any]:
    """The report of a gateway that has `KEY_FILE`."""
    reply = gateway.request("GET", f"/admin/usage{query}", headers={"X-API-Key": ADMIN})
    assert reply.status == 200, reply.body
    report: dict[str, Any] = reply.json()
    return report


def settled_usage(gateway: Gateway, requests: int) -> dict[str, Any]:
    """The report once it counts so many requests: one is counted after the last byte of its answer."""
    report: dict[str, Any] = wait_until(
        lambda: (found := ask_usage(gateway))["totals"]["requests"] == requests and found
    )
    return report


def tokens_of(rows: Iterable[dict[str, Any]], prefix: str = "") -> tuple[int, int, int]:
    """Prompt, cached and completion tokens of some rows, in all; with that prefix, of partial answers."""
    names = ("prompt_tokens", "cached_tokens", "completion_tokens")
    rows = list(rows)
    prompt, cached, completion = (sum(row[prefix + name] for row in rows) for name in names)
    return prompt, cached, completion


def write_keys(folder: Any) -> None:
    """Where a gateway that is started in this folder looks for them."""
    (folder / "keys.json").write_text(json.dumps(KEY_FILE))
