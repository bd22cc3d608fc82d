"""What proxies in front of a gateway do to requests and answers."""

import gzip
import time
from collections.abc import Callable, Iterator

from tests.front import Canned, Headers, Passing, Tampering


def drops(*names: str) -> Tampering:
    def on_request(passing: Passing) -> None:
        for name in names:
            passing.headers.pop(name, None)

    return Tampering(on_request)


def puts(name: str, value: str, *, beside: str = "") -> Tampering:
    def on_request(passing: Passing) -> None:
        if not beside or beside in passing.headers:
            passing.headers[name] = value

    return Tampering(on_request)


def answers(status: int, body: bytes, on: Callable[[Passing], bool], **headers: str) -> Tampering:
    declared = {name.replace("_", "-"): value for name, value in headers.items()}
    return Tampering(lambda passing: Canned(status, body, declared) if on(passing) else None)


def without_events(mark: bytes) -> Tampering:
    def on_body(passing: Passing, pieces: Iterator[bytes]) -> Iterator[bytes]:
        if not passing.is_stream:
            return pieces
        return (b"\n\n".join(e for e in piece.split(b"\n\n") if mark not in e) for piece in pieces)

    return Tampering(on_body=on_body)


def in_blocks(size: int) -> Tampering:
    """As nginx does with `proxy_buffering on`."""

    def on_body(passing: Passing, pieces: Iterator[bytes]) -> Iterator[bytes]:
        held = b""
        for piece in pieces:
            held += piece
            if len(held) >= size:
                yield held
                held = b""
        yield held

    return Tampering(on_body=on_body)


def sliced(size: int, pause: float) -> Tampering:
    """As a slow line does: small pieces, `pause` seconds before each."""

    def on_body(_passing: Passing, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            for start in range(0, len(piece), size):
                time.sleep(pause)
                yield piece[start : start + size]

    return Tampering(on_body=on_body)


def cut_after(size: int) -> Tampering:
    """Close in the middle of a stream, once so many bytes have passed."""

    def on_body(passing: Passing, pieces: Iterator[bytes]) -> Iterator[bytes]:
        passed = 0
        for piece in pieces:
            yield piece
            passed += len(piece)
            if passing.is_stream and passed > size:
                raise ConnectionAbortedError

    return Tampering(on_body=on_body)


def compressing() -> Tampering:
    def accepts(passing: Passing) -> bool:
        return "gzip" in passing.headers.get("accept-encoding", "")

    def on_head(passing: Passing, headers: Headers) -> None:
        if accepts(passing):
            headers["content-encoding"] = "gzip"

    def on_body(passing: Passing, pieces: Iterator[bytes]) -> Iterator[bytes]:
        yield from [gzip.compress(b"".join(pieces))] if accepts(passing) else pieces

    return Tampering(on_head=on_head, on_body=on_body)


def without_head(name: str) -> Tampering:
    return Tampering(on_head=lambda _passing, headers: headers.pop(name, None) and None)


def rewriting(old: bytes, new: bytes) -> Tampering:
    def on_body(_passing: Passing, pieces: Iterator[bytes]) -> Iterator[bytes]:
        return (piece.replace(old, new) for piece in pieces)

    return Tampering(on_body=on_body)
