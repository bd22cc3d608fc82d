"""Ending a request from outside while it runs: what may do so, and for how long."""

from collections.abc import Callable
from typing import Protocol

Interrupt = Callable[[BaseException], None]


class Interruptible(Protocol):
    """The connection that a request came on."""

    def begin_watch(self, interrupt: Interrupt, *, is_for_client: bool) -> None:
        """Tell `interrupt` what stops the request from now on."""

    def end_watch(self) -> None:
        """Tell nobody."""


class Watch:
    """While it is entered, `interrupt` is told what stops the request: a `with` statement's manager.

    A class, since a generator's manager costs several times as much, and each request enters two or three.
    """

    __slots__ = ("_connection", "_interrupt", "_is_for_client")

    def __init__(self, connection: Interruptible, interrupt: Interrupt, *, is_for_client: bool) -> None:
        self._connection = connection
        self._interrupt = interrupt
        self._is_for_client = is_for_client

    def __enter__(self) -> None:
        """Start."""
        self._connection.begin_watch(self._interrupt, is_for_client=self._is_for_client)

    def __exit__(self, *_exc: object) -> None:
        """Stop."""
        self._connection.end_watch()
