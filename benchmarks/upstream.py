"""The scripted upstream: one process, one loop over epoll, bytes that were made before.

`answers.py` says what requests may ask for. `GET /__seen` tells when clients left in the middle of
tagged answers, on CLOCK_MONOTONIC, and each but once; `GET /__finish` ends all paced streams properly;
`GET /__last` gives the last body that came.
"""

import argparse
import heapq
import itertools
import os
import select
import socket
import sys
from time import monotonic

from benchmarks.answers import START, Wish, json_answer, models, plain, stamped_event
from benchmarks.peer import Peer, Stream

READ_BYTES = 256 * 1024
SENDS_AT_ONCE = 64  # of single events to one connection, before the others have their turn
IN, OUT = select.EPOLLIN | select.EPOLLRDHUP, select.EPOLLOUT
GOLDEN = 0.6180339887  # its multiples, modulo 1, lie evenly spread however many there are


class Server:
    """The loop. `select` waits for the epoll, since its timeouts are finer than epoll's milliseconds."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._epoll.register(self._listener, select.EPOLLIN)
        self._peers: dict[int, Peer] = {}
        self._timers: list[tuple[float, int, Peer, Stream]] = []
        self._numbers = itertools.count()
        self._places = itertools.count()  # of paced streams, from 0 on for each crowd of them
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
                else:
                    self._serve(number, flags)
            self._send_due()

    def _serve(self, number: int, flags: int) -> None:
        peer = self._peers.get(number)
        if peer is not None and flags & ~OUT:
            self._read(peer)
        if number in self._peers and flags & OUT:
            self._pump(self._peers[number])

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
        if peer.stream is not None and peer.stream.wish.tag:
            self._left[peer.stream.wish.tag] = monotonic()
        peer.stream = None
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
        request = peer.take_request() if peer.stream is None else None
        if request is not None:
            self._answer(peer, *request)

    def _answer(self, peer: Peer, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET "):
            self._send(peer, self._tell(head.split(b" ", 2)[1]))
            return
        self._posts += 1
        self._last = body
        wish = Wish.read(body)
        if wish.events == 0 or wish.status != 200:
            self._send(peer, plain(wish.status))
        else:
            self._begin(peer, Stream(wish, body))

    def _tell(self, target: bytes) -> bytes:
        if target == b"/__seen":
            left, self._left = self._left, {}
            return json_answer({"left": left, "posts": self._posts, "open": len(self._peers)})
        if target == b"/__last":
            return json_answer(self._last.decode())
        if target == b"/__finish":
            self._places = itertools.count()
            for peer in [peer for peer in self._peers.values() if peer.stream and not peer.is_fast]:
                self._finish(peer)
        return models() if target == b"/v1/models" else json_answer({})

    def _begin(self, peer: Peer, stream: Stream) -> None:
        peer.stream = stream
        self._send(peer, START)
        if stream.wish.interval and peer.stream is stream:
            self._plan(self._first_due(stream.wish.interval), peer, stream)

    def _first_due(self, interval: float) -> float:
        """Each stream has its own place in the interval, whenever it began.

        So events are spread evenly, and alike for all subjects: one that passes many requests on at the
        same moment would else have many events at the same moment, which cost less.
        """
        place = next(self._places) * GOLDEN % 1
        return (monotonic() // interval + 1 + place) * interval

    def _plan(self, due: float, peer: Peer, stream: Stream) -> None:
        heapq.heappush(self._timers, (due, next(self._numbers), peer, stream))

    def _send_due(self) -> None:
        """Each paced event whose time has come, with the time at which it is sent."""
        timers = self._timers
        while timers and timers[0][0] <= (now := monotonic()):
            due, _, peer, stream = heapq.heappop(timers)
            if peer.stream is not stream:
                continue  # it has ended, or its client left
            stream.left -= 1
            self._send(peer, stamped_event(stream.wish.size, now))
            if stream.left:
                self._plan(due + stream.wish.interval, peer, stream)
            else:
                self._finish(peer)

    def _finish(self, peer: Peer) -> None:
        if peer.stream is not None:
            end, peer.stream = peer.stream.end, None
            self._send(peer, end)

    def _pump(self, peer: Peer) -> None:
        """Send what is left over, then what goes at full speed."""
        if peer.queue:
            data, peer.queue = peer.queue, b""
            self._send(peer, data)
        elif peer.stream is not None and peer.is_fast:
            self._pump_events(peer, peer.stream)
        else:
            self._want_out(peer, False)

    def _pump_events(self, peer: Peer, stream: Stream) -> None:
        try:
            for _ in range(SENDS_AT_ONCE if stream.wish.writes else 1):
                stream.left -= peer.sock.send(stream.piece())
                if not stream.left:
                    self._finish(peer)
                    return
        except BlockingIOError:
            return
        except OSError:
            self._close(peer)

    def _send(self, peer: Peer, data: bytes) -> None:
        """Send as much as the kernel takes, and the rest later."""
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
        self._want_out(peer, bool(peer.queue) or peer.is_fast)

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
