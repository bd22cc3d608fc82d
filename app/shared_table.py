"""Rows of numbers that are counted up in shared memory, each named by its labels."""

import mmap
import os
import struct
from operator import add

import msgspec
from gevent import sleep

Labels = tuple[str, ...]
OTHER = "other"
ROWS_AT_ONCE = 1000  # a millisecond
SLOTS = 1024  # of workers: twice the most that may be configured, since a reload runs old and new ones
LENGTH_BYTES = 2  # of one row's labels, before them
HEAD_BYTES = 8  # how many rows there are


class Rows:
    """The rows of one slot, in `cells`. Only the worker of that slot adds to them; any may read.

    A slot outlives its worker: the next one in it goes on with the same rows. So no sum ever goes back, what
    a killed worker had counted stays, and workers that come and go leave nothing behind.
    """

    def __init__(self, view: "memoryview[int]", rows: int, columns: int, width: int) -> None:
        cells_end = HEAD_BYTES + 8 * rows * columns
        self.columns = columns
        self.cells: memoryview[float] = view[HEAD_BYTES:cells_end].cast("d")
        self._head = view[:HEAD_BYTES].cast("Q")
        self._texts = view[cells_end:]
        self._most = rows
        self._width = width
        self._labels: list[Labels] = []
        self._read_bytes = 0
        self._starts: dict[Labels, int] = {}
        self.refresh()

    def start(self, labels: Labels) -> int:
        """Where in `cells` the row of these labels begins; a row called "other" once there is no room."""
        start = self._starts.get(labels)
        return self._add(labels) if start is None else start

    def refresh(self) -> list[Labels]:
        """The labels of every row, in their order, also of those that another process has added."""
        count = self._head[0]
        while len(self._labels) < count:
            (length,) = struct.unpack_from("H", self._texts, self._read_bytes)
            begin = self._read_bytes + LENGTH_BYTES
            labels = tuple(msgspec.json.decode(self._texts[begin : begin + length], type=list[str]))
            self._starts[labels] = len(self._labels) * self.columns
            self._labels.append(labels)
            self._read_bytes = begin + length
        return self._labels

    def _add(self, labels: Labels) -> int:
        self.refresh()
        if labels in self._starts:
            return self._starts[labels]
        text = msgspec.json.encode(labels)
        # The last row, and room for its name, are kept for what has no other place.
        other = msgspec.json.encode((OTHER,) * self._width)
        room = len(self._texts) - self._read_bytes - 2 * LENGTH_BYTES - len(other)
        if (self._head[0] >= self._most - 1 or len(text) > room) and text != other:
            return self.start((OTHER,) * self._width)
        begin = self._read_bytes + LENGTH_BYTES
        struct.pack_into("H", self._texts, self._read_bytes, len(text))
        self._texts[begin : begin + len(text)] = text
        # Last: from here on it is a row, also for who comes after a worker that was killed.
        self._head[0] += 1
        self.refresh()
        return self._starts[labels]


class SharedTable:
    """Rows of `columns` numbers under `width` labels each; every worker has `rows` of them in its slot.

    Made before the fork, it is the same in every worker. What is never written takes no memory, whatever
    the number of slots.
    """

    def __init__(
        self, name: str, *, rows: int, columns: int, width: int, text_bytes: int, slots: int = SLOTS
    ) -> None:
        self._shape = (rows, columns, width)
        size = HEAD_BYTES + 8 * rows * columns + text_bytes
        self._slot_bytes = -(-size // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        # A file, for which the kernel reserves nothing; mapped once, since each mapping keeps a descriptor.
        file = os.memfd_create(f"gateway-{name}")
        try:
            os.ftruncate(file, slots * self._slot_bytes)
            self._memory = memoryview(mmap.mmap(file, slots * self._slot_bytes))
        finally:
            os.close(file)
        self._slots: dict[int, Rows] = {}

    def slot(self, number: int) -> Rows:
        """The rows of one worker."""
        if number not in self._slots:
            begin = number * self._slot_bytes
            self._slots[number] = Rows(self._memory[begin : begin + self._slot_bytes], *self._shape)
        return self._slots[number]

    def sums(self, slots_used: int) -> dict[Labels, list[float]]:
        """Each row, summed over the slots below this one. Other greenlets may run meanwhile."""
        total: dict[Labels, list[float]] = {}
        for number in range(slots_used):
            rows = self.slot(number)
            for index, labels in enumerate(list(rows.refresh())):
                values = list(rows.cells[index * rows.columns : (index + 1) * rows.columns])
                known = total.get(labels)
                total[labels] = values if known is None else list(map(add, known, values))
                if index % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                    sleep(0)
            sleep(0)
        return total
