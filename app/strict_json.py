"""JSON as a gateway has to read it: one meaning only, or not at all."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, NoReturn

import msgspec

MAX_NUMBER_CHARS = 400  # the longest float that Python prints has under 30
CALLS_AT_ONCE = 4096
MAX_DEPTH = 64  # as in vLLM; the deepest schema of a tool has a dozen
STEP_BYTES = 32 * 1024
COUNTED = (b",", b"[", b"{", b":")
NUMBER = re.compile(rb"[0-9][ \t\r\n]*+,")
SPACE = re.compile(r"[ \t\r\n]*+")
OUTSIDE = re.compile(rb'[^"]{1,32768}+')
INSIDE = re.compile(rb'(?:[^"\\]{1,4096}+|\\.){1,256}+', re.DOTALL)
SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")

CONTAINERS = frozenset((dict, list))
Hook = Callable[[Any], Any]


class StrictJsonError(ValueError):
    """The text is not JSON, or JSON that two parsers could read differently."""


def decode_object(data: bytes, pause: Callable[[], None] | None = None) -> dict[str, Any]:
    """Parse one JSON object in UTF-8, with a `pause` after each few milliseconds of numbers and objects.

    Raises StrictJsonError for anything else, and for repeated names, NaN and Infinity, numbers of
    absurd length or beyond what a double holds, lone surrogates, a byte order mark, and nesting
    beyond 64 levels.
    """
    try:
        decoder = DECODER if pause is None else _paced_decoder(pause)
        value = decoder.decode(data.decode("utf-8"))
        if SURROGATE_ESCAPE.search(data):
            _check_texts(value, pause)
    except StrictJsonError:
        raise
    except (ValueError, RecursionError):
        raise StrictJsonError("not valid JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise StrictJsonError("not an object")
    _check_depth(value)
    return value


def most_values(data: bytes) -> int:
    """At least as much as `count_values` will say; signs inside of strings count, too."""
    return 1 + sum(map(data.count, COUNTED))


def count_values(data: bytes) -> Iterator[int]:
    """How many names and values were seen, told after each few milliseconds of work, and at the end.

    A number that is one of many counts an eighth: it is read in a fraction of the time, and prompts may be
    lists of token ids. Whether the text is JSON at all is for the decoder to say.
    """
    position, told, values, numbers, in_string = 0, 0, 1, 0, False
    while position < len(data):
        if data[position] == ord('"'):
            in_string = not in_string
            position += 1
            continue
        match = (INSIDE if in_string else OUTSIDE).match(data, position)
        if match is None:  # a lone backslash at the very end
            break
        if not in_string:
            found = len(NUMBER.findall(match[0]))
            numbers += found
            values += most_values(match[0]) - 1 - found
        position = match.end()
        if position - told >= STEP_BYTES:
            told = position
            yield values + numbers // 8
    yield values + numbers // 8


def _check_texts(value: Any, pause: Callable[[], None] | None) -> None:
    """Refuse what has half a surrogate pair in it: no UTF-8 can hold that. Raises UnicodeEncodeError."""
    waiting = [value]
    for turn in count(1):
        if not waiting:
            return
        node = waiting.pop()
        if isinstance(node, str):
            node.isascii() or node.encode()
        elif isinstance(node, dict):
            waiting += [*node, *node.values()]
        elif isinstance(node, list):
            waiting += node
        if pause is not None and turn % CALLS_AT_ONCE == 0:
            pause()


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _containers(node)]
        if not level:
            return
    raise StrictJsonError("nested too deeply")


def _containers(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    children = node.values() if isinstance(node, dict) else node
    if CONTAINERS.isdisjoint(map(type, children)):  # quick, where there are a million numbers
        return ()
    return [child for child in children if type(child) in CONTAINERS]


def decode_upstream(data: bytes) -> Any:
    """Any JSON that an upstream sent, as it comes. Raises StrictJsonError for what is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise StrictJsonError("not valid JSON") from None


def member_spans(text: str, pause: Callable[[], None]) -> Iterator[tuple[str, int, int, int]]:
    """Each top-level member of a text that `decode_object` accepted: its name, where the name begins, where
    the value begins, and where it ends. Others run in between.
    """
    decoder = _paced_decoder(pause)
    position = _skip_space(text, 0) + 1
    for number in count(1):
        position = _skip_space(text, position)
        if text[position] == "}":
            return
        key, after = decoder.raw_decode(text, position)
        start = _skip_space(text, _skip_space(text, after) + 1)
        _, end = decoder.raw_decode(text, start)
        yield key, position, start, end
        position = _skip_space(text, end)
        position += text[position] == ","
        if number % CALLS_AT_ONCE == 0:
            pause()


def _skip_space(text: str, position: int) -> int:
    match = SPACE.match(text, position)
    return match.end() if match else position


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJsonError("a name stands twice in one object")
    return members


def _refuse_constant(_text: str) -> NoReturn:
    raise StrictJsonError("NaN and Infinity are not JSON")


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise StrictJsonError("a number is too long")
    return int(text)


def _float(text: str) -> float:
    if len(text) > MAX_NUMBER_CHARS:
        raise StrictJsonError("a number is too long")
    number = float(text)
    if math.isinf(number):
        raise StrictJsonError("a number is too large")
    return number


def _decoder(pace: Callable[[Hook], Hook]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=pace(_distinct),
        parse_constant=_refuse_constant,
        parse_int=pace(_integer),
        parse_float=pace(_float),
    )


def _paced_decoder(pause: Callable[[], None]) -> json.JSONDecoder:
    """A decoder that lets others run now and then; for one text, since it may be left in the middle of it."""
    calls = count(1)

    def pace(hook: Hook) -> Hook:
        def paced(value: Any) -> Any:
            if next(calls) % CALLS_AT_ONCE == 0:
                pause()
            return hook(value)

        return paced

    return _decoder(pace)


DECODER = _decoder(lambda hook: hook)
