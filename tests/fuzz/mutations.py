"""Changes to raw requests that know a little of HTTP: of lines, numbers, chunks and where a body begins."""

import random
import re
from collections.abc import Callable

from tests.fuzz.corpus import WORDS

MOST_BYTES = 30_000  # of a repetition: of what follows a request, the gateway keeps 64 KiB
NUMBER = re.compile(rb"[0-9]+")
NUMBERS = (b"0", b"1", b"-1", b"00", b"65536", b"4294967295", b"9223372036854775808", b"9" * 400, b"1e5")
METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"PATCH", b"X")

Mutation = Callable[[random.Random, bytes], bytes]


def place(rng: random.Random, data: bytes) -> tuple[int, int]:
    """A short span, more often in the first bytes, where the heads are."""
    start = rng.randrange(min(len(data), rng.choice((80, 400, 100_000))) + 1)
    return start, min(len(data), start + rng.choice((0, 1, 1, 2, 4, 8, 30)))


def flip(rng: random.Random, data: bytes) -> bytes:
    """One bit."""
    changed = bytearray(data)
    if changed:
        changed[min(place(rng, data)[0], len(data) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def replace(rng: random.Random, data: bytes) -> bytes:
    """A span by a word."""
    start, end = place(rng, data)
    return data[:start] + rng.choice(WORDS) + data[end:]


def insert(rng: random.Random, data: bytes) -> bytes:
    """A word, or some bytes."""
    start, _ = place(rng, data)
    return data[:start] + rng.choice((rng.choice(WORDS), rng.randbytes(rng.randint(1, 5)))) + data[start:]


def delete(rng: random.Random, data: bytes) -> bytes:
    """A span."""
    start, end = place(rng, data)
    return data[:start] + data[end:]


def duplicate(rng: random.Random, data: bytes) -> bytes:
    """A span, a few times or very often."""
    start, end = place(rng, data)
    times = min(rng.choice((1, 1, 2, 10, 1000)), MOST_BYTES // (end - start + 1))
    return data[:end] + data[start:end] * times + data[end:]


def truncate(rng: random.Random, data: bytes) -> bytes:
    """Only the beginning."""
    return data[: place(rng, data)[0]]


def of_lines(change: Callable[[random.Random, list[bytes]], None]) -> Mutation:
    """A change to the field lines of the first head."""

    def mutate(rng: random.Random, data: bytes) -> bytes:
        first, _, rest = data.partition(b"\r\n")
        lines, blank, body = rest.partition(b"\r\n\r\n")
        fields = lines.split(b"\r\n")
        change(rng, fields)
        return first + b"\r\n" + b"\r\n".join(fields) + blank + body

    return mutate


def drop_line(rng: random.Random, lines: list[bytes]) -> None:
    """One line less."""
    lines.pop(rng.randrange(len(lines)))


def repeat_line(rng: random.Random, lines: list[bytes]) -> None:
    """One line again, elsewhere, once or beyond any limit."""
    number = rng.randrange(len(lines))
    lines[number:number] = [rng.choice(lines)] * rng.choice((1, 1, 1, 101))


def swap_name(rng: random.Random, lines: list[bytes]) -> None:
    """A name in another spelling, or with another's value."""
    number = rng.randrange(len(lines))
    name, colon, value = lines[number].partition(b":")
    other = rng.choice(lines).partition(b":")[2]
    spelled = rng.choice((name, name.swapcase(), name.replace(b"-", b"_"), b" " + name, name + b"\x00"))
    ending = rng.choice((b"", b"", b" ", b"\t"))
    changed = rng.choice((value, value, other, b"\t" + value + b" ", b"\x0b" + value))
    lines[number] = spelled + ending + colon + changed


def renumber(rng: random.Random, data: bytes) -> bytes:
    """A number by another."""
    numbers = list(NUMBER.finditer(data[:4000]))
    if not numbers:
        return data
    match = rng.choice(numbers)
    return data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]


def remethod(rng: random.Random, data: bytes) -> bytes:
    """Another method."""
    return rng.choice(METHODS) + b" " + data.partition(b" ")[2]


def rechunk(rng: random.Random, data: bytes) -> bytes:
    """The body in chunks, spelled oddly or wrongly, whatever the head declares."""
    head, _, body = data.partition(b"\r\n\r\n")
    size = rng.choice((1, 3, 50, 5000))
    parts = [body[start : start + size] for start in range(0, min(len(body), 50 * size), size)]
    spelling = rng.choice(
        (b"%x\r\n", b"%X\r\n", b"000%x\r\n", b"%x;a=b\r\n", b"%x \r\n", b"%x\n", b"0x%x\r\n")
    )
    wire = b"".join(spelling % len(part) + part + b"\r\n" for part in parts)
    end = rng.choice(
        (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"00;a\r\n\r\n", b"0\r\n", b"", b"0\n\n")
    )
    head = head.replace(b"Content-Length:", rng.choice((b"X-Was:", b"Content-Length:")))
    return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + wire + end


def relines(_rng: random.Random, data: bytes) -> bytes:
    """Bare line feeds."""
    return data.replace(b"\r\n", b"\n")


MUTATIONS: tuple[Mutation, ...] = (
    *(flip, replace, insert, delete, duplicate, truncate, renumber, remethod, rechunk, relines),
    *(of_lines(change) for change in (drop_line, repeat_line, swap_name, random.Random.shuffle)),
)
WEIGHTS = (3, 3, 3, 3, 2, 2, 3, 1, 3, 1, 2, 2, 4, 1)


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Seldom none, most often one, at most four changes."""
    for mutation in rng.choices(MUTATIONS, WEIGHTS, k=rng.choice((0, 0, 1, 1, 1, 1, 2, 3, 4))):
        data = mutation(rng, data)
    return data


def splice(rng: random.Random, one: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of another."""
    return one[: place(rng, one)[0]] + other[place(rng, other)[0] :]
