"""Bytes that one process publishes and all processes of the instance read, in shared memory."""

import mmap
import struct

HEAD_BYTES = 8


class SharedBlob:
    """Two slots take turns, so that a reader of the current bytes is never disturbed by the next ones.

    Made before the fork, it is the same in every worker, also in one that is forked later. Memory that is
    never written costs nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._slot_bytes = HEAD_BYTES + max_bytes
        self._memory = mmap.mmap(-1, mmap.PAGESIZE + 2 * self._slot_bytes)
        self._generation = memoryview(self._memory)[:8].cast("Q")

    @property
    def generation(self) -> int:
        """How often something was published; 0 while nothing was."""
        return self._generation[0]

    def publish(self, content: bytes) -> None:
        """Make this the current content for every process. One at a time: call it under a lock."""
        if len(content) > self._slot_bytes - HEAD_BYTES:
            raise ValueError("the content is larger than its place in shared memory")
        generation = self._generation[0] + 1
        start = self._start(generation)
        self._memory[start : start + HEAD_BYTES] = struct.pack("Q", len(content))
        self._memory[start + HEAD_BYTES : start + HEAD_BYTES + len(content)] = content
        self._generation[0] = generation  # last: from here on readers look at the new slot

    def read(self) -> tuple[int, bytes]:
        """The current generation and its content; empty while nothing was published."""
        while True:
            generation = self._generation[0]
            start = self._start(generation)
            (length,) = struct.unpack("Q", self._memory[start : start + HEAD_BYTES])
            content = self._memory[start + HEAD_BYTES : start + min(HEAD_BYTES + length, self._slot_bytes)]
            if self._generation[0] == generation:
                return generation, content

    def _start(self, generation: int) -> int:
        return mmap.PAGESIZE + (generation & 1) * self._slot_bytes
