"""The scripted upstream: one process, one loop over epoll, bytes that were made before.

`answers.py` says what requests may ask for. `GET /__seen` tells when clients left in the middle of
tagged answers, on CLOCK_MONOTONIC; `GET /__finish` ends all paced streams properly; `GET /__last` gives the
last body that came.
"""

import argparse
import heapq
import itertools
import os
import re
import select
import socket
import sys
from time import monotonic

from benchmarks.answers import (
    END,
    END_WITH_USAGE,
    START,
    Wish,
    event_block,
    json_answer,
    models,
    plain,
    stamped_event,
)

READ_BYTES = 256 * 1024
SENDS_AT_ONCE = 64  # of single events to one connection, before the others have their turn
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ASKS_FOR_USAGE = re.compile(rb'"include_usage":\s?true')
IN, OUT = select.EPOLLIN | select.EPOLLRDHUP, select.EPOLLOUT
GOLDEN = 0.6180339887  # multiples of it, modulo 1, spread evenly however many there are


class Peer:
    """One connection and what is being sent on it."""

    __slots__ = ("block", "due", "end", "left", "queue", "received", "sock", "tag", "wants_out", "wish")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self.queue = b""  # what the kernel did not take yet
        self.wish: Wish | None = None  # of the stream that runs
        self.block = memoryview(b"")
        self.left = 0  # bytes at full speed, events where they are paced
        self.due = 0.0
        self.end = END
        self.tag = ""
        self.wants_out = False

    def take_request(self) -> tuple[bytes, bytes] | None:
        """The head and the body of the next request, once it has come wholly."""
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = LENGTH.search(self.received, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self.received) < end:
            return None
        head, body = self.received[:head_end], self.received[head_end + 4 : end]
        self.received = self.received[end:]
        return head, body


class Server:
    """The loop. Timers have a finer grain than epoll's milliseconds, since `select` waits for the epoll."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._epoll.register(self._listener, select.EPOLLIN)
        self._peers: dict[int, Peer] = {}
        self._timers: list[tuple[float, int, Peer, Wish]] = []
        self._numbers = itertools.count()
        self._left: dict[str, float] = {}
        self._posts = 0
        self._last = b""
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        """Serve for ever."""
        listener = self._listener.fileno()
        while True:
            if self._timers:
                select.select([self._epoll], [], [], max(0.0, self._timers[0][0] - monotonic()))
            for number, flags in self._epoll.poll(0 if self._timers else None):
                if number == listener:
                    self._accept()
                    continue
                peer = self._peers.get(number)
                if peer is not None and flags & ~OUT:
                    self._read(peer)
                if number in self._peers and flags & OUT:
                    self._pump(self._peers[number])
            self._send_due()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[sock.fileno()] = Peer(sock)
            self._epoll.register(sock, IN)

    def _close(self, peer: Peer) -> None:
        if peer.wish is not None and peer.tag:
            self._left[peer.tag] = monotonic()
        peer.wish = None
        del self._peers[peer.sock.fileno()]
        peer.sock.close()

    def _read(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(peer)
            return
        peer.received += data
        request = peer.take_request() if peer.wish is None else None
        if request is not None:
            self._answer(peer, *request)

    def _answer(self, peer: Peer, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET "):
            self._send(peer, self._told(head.split(b" ", 2)[1]))
            return
        self._posts += 1
        self._last = body
        wish = Wish.read(body)
        if wish.events == 0 or wish.status != 200:
            self._send(peer, plain(wish.status))
            return
        peer.wish, peer.tag = wish, wish.tag
        peer.end = END_WITH_USAGE if ASKS_FOR_USAGE.search(body) else END
        self._begin(peer, wish)

    def _told(self, target: bytes) -> bytes:
        if target == b"/__seen":
            left, self._left = self._left, {}
            return json_answer({"left": left, "posts": self._posts, "open": len(self._peers)})
        if target == b"/__last":
            return json_answer(self._last.decode())
        if target == b"/__finish":
            for peer in [peer for peer in self._peers.values() if peer.wish and peer.wish.interval]:
                self._finish(peer)
        return models() if target == b"/v1/models" else json_answer({})

    def _begin(self, peer: Peer, wish: Wish) -> None:
        self._send(peer, START)
        if peer.wish is None:
            return  # the client has left already
        if wish.interval:
            peer.left = wish.events
            number = next(self._numbers)
            self._plan(peer, monotonic() + wish.interval * (number * GOLDEN % 1))
        else:
            peer.block = event_block(wish.size, wish.writes)
            peer.left = wish.events * len(stamped_event(wish.size, 0.0))
            self._want_out(peer, True)

    def _plan(self, peer: Peer, due: float) -> None:
        if peer.wish is not None:
            peer.due = due
            heapq.heappush(self._timers, (due, next(self._numbers), peer, peer.wish))

    def _send_due(self) -> None:
        """Each paced event whose time has come, with that time in it."""
        timers = self._timers
        while timers and timers[0][0] <= (now := monotonic()):
            due, _, peer, wish = heapq.heappop(timers)
            if peer.wish is not wish:
                continue  # it has ended, or its client left
            self._send(peer, stamped_event(wish.size, now))
            peer.left -= 1
            if peer.left:
                self._plan(peer, due + wish.interval)
            else:
                self._finish(peer)

    def _finish(self, peer: Peer) -> None:
        if peer.wish is not None:
            peer.wish = None
            self._send(peer, peer.end)

    def _pump(self, peer: Peer) -> None:
        """Send what is left over, and then what goes at full speed."""
        if peer.queue:
            data, peer.queue = peer.queue, b""
            self._send(peer, data)
        elif peer.wish is None or peer.wish.interval:
            self._want_out(peer, False)
        else:
            self._pump_events(peer, SENDS_AT_ONCE if peer.wish.writes else 1)

    def _pump_events(self, peer: Peer, sends: int) -> None:
        block = peer.block
        size = len(block)
        try:
            for _ in range(sends):
                start = -peer.left % size  # the last block ends with the last event
                peer.left -= peer.sock.send(block[start : start + peer.left])
                if not peer.left:
                    self._finish(peer)
                    return
        except BlockingIOError:
            return
        except OSError:
            self._close(peer)

    def _send(self, peer: Peer, data: bytes) -> None:
        if peer.queue:
            peer.queue += data
            return
        try:
            peer.queue = data[peer.sock.send(data) :]
        except BlockingIOError:
            peer.queue = data
        except OSError:
            self._close(peer)
            return
        self._want_out(peer, bool(peer.queue) or (peer.wish is not None and not peer.wish.interval))

    def _want_out(self, peer: Peer, wanted: bool) -> None:
        if wanted != peer.wants_out:
            peer.wants_out = wanted
            self._epoll.modify(peer.sock, IN | OUT if wanted else IN)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The scripted upstream of the benchmarks.")
    parser.add_argument("--cpu", type=int, help="the core to stay on")
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    server = Server()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.run()
