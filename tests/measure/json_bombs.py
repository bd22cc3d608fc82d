"""Bodies that are made to be hard to parse, sent by one client while another reads a stream."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.gateway import KEY, Gateway
from tests.measure.figures import Row, at_most, none_of
from tests.measure.secret_store import longest_gap
from tests.measure.subjects import GatewaySubject
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway",)
MEBIBYTE = 1024 * 1024
EVENTS = 250
BOMBS = {  # what is repeated in a list, and how often
    "depth": b"[",
    "lists": b"[],",
    "objects": b"{},",
    "numbers": b"1,",
    "fractions": b"1.5,",
    "texts": b'"",',
    "escapes": b'"\\n\\u00e9",',
}
HEADERS = {"X-API-Key": KEY, "Content-Type": "application/json"}


def run(_subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """The longest gap of a stream, in a gateway of one worker, while each bomb is sent again and again."""
    size = MEBIBYTE // 4 if small else 4 * MEBIBYTE
    rows: list[Row] = []
    with Upstream(folder) as upstream, GatewaySubject(folder, upstream.url, WEB_CONCURRENCY=1) as gateway:
        usual = min(longest_gap(gateway, EVENTS) for _ in range(3))
        rows.append(Row("stream of 50 events a second: longest gap", f"{1000 * usual:.1f} ms"))
        for name, body in bombs(size):
            gap, statuses = gap_under(gateway, body)
            rows.append(at_most(f"the same, longer while {name} are sent", 1000 * (gap - usual), 50, "ms"))
            others = sum(status not in (200, 400) for status in statuses)
            rows.append(none_of(f"{name}: answers other than 200 and 400", others, len(statuses)))
    return rows


def bombs(size: int) -> Iterator[tuple[str, bytes]]:
    """Each body by its name: refused ones of `size` bytes, and the largest that are parsed to the end."""
    for name, piece in BOMBS.items():
        yield name, b'{"a":[' + piece * (size // len(piece)) + b"1]}"
    most = 149_000
    yield "the most names", b"{" + b",".join(b'"%x":1' % number for number in range(most // 2)) + b"}"
    yield "the most lists", b'{"a":[' + b"[]," * (most // 2) + b"1]}"
    yield "repeated names", b"{" + b'"a":1,' * (most - 1) + b'"a":1}'
    yield "a long text", b'{"a":"' + b"x" * size + b'"}'
    yield "spaces beside a salt", b'{"cache_salt":"x"' + b" " * size + b"}"
    yield (
        "the most names beside a salt",
        b'{"cache_salt":"x",' + b",".join(b'"%x":1' % n for n in range(most // 2)) + b"}",
    )
    yield "a text with one pair", b'{"a":"' + b"x" * size + b'\\ud83d\\ude00"}'
    yield "surrogates", b'{"a":"' + b"\\ud83d\\ude00" * (size // 12) + b'\\ud800"}'


def gap_under(gateway: Gateway, body: bytes) -> tuple[float, list[int]]:
    """The longest gap of the stream meanwhile, and the statuses of those who sent the body."""
    statuses: list[int] = []
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            statuses.append(gateway.request("POST", "/v1/chat/completions", body, HEADERS).status)
            time.sleep(0.05)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return longest_gap(gateway, EVENTS), statuses
    finally:
        is_over.set()
        sender.join()
