"""Threads for a database: a disk, or the driver's own work, would stop the event loop."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import gevent
from gevent.threadpool import ThreadPool

from app.accounts.errors import AccountsUnavailable

THREADS = 2  # the second is for readers while a writer is stuck
T = TypeVar("T")


class DatabaseThreads:
    """Does in a thread what may take long; the greenlet that waits for it waits for a bounded time."""

    @cached_property
    def _pool(self) -> ThreadPool:
        return ThreadPool(THREADS)  # after the fork

    def do(self, work: Callable[[], T], seconds: float) -> T:
        """The result of it. A thread that is stuck is left behind. Raises AccountsUnavailable."""

        def caught() -> T | AccountsUnavailable:
            try:
                return work()
            except AccountsUnavailable as error:
                return error  # gevent would print an exception that leaves a thread

        try:
            with gevent.Timeout(seconds, AccountsUnavailable("it does not answer in time")):
                outcome = self._pool.apply(caught)
        except (OSError, RuntimeError, MemoryError) as error:
            raise AccountsUnavailable("this machine is short of threads, files or memory") from error
        if isinstance(outcome, AccountsUnavailable):
            raise outcome
        return outcome
