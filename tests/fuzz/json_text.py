"""JSON objects as texts: right in every spelling, or wrong in exactly one way.

They are written here and not by a JSON library, so that the verdict on each is known.
"""

import json
import random
from collections.abc import Callable
from typing import Any

NAMES = (
    *("model", "stream", "stream_options", "messages", "prompt", "input", "n", "max_tokens", "stop", "tools"),
    *("logprobs", "temperature", "fake", "system", "tool_choice", "response_format", "user", "metadata", "x"),
    *("cache_salt", "priority", "request_id", "seed", "top_p"),
)
TEXTS = (
    *("", "hello", "é", "\u2028", "😀", "\x00\x1f\x7f", '"\\/', "[DONE]", "__proto__", "\uffff", "null"),
    "a" * 3000,
)
ROLES = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": None}]
FITTING: dict[str, tuple[Any, ...]] = {
    "model": ("fake/model-1", "m", None, "ü"),
    "stream": (True, True, False, None),
    "stream_options": (
        *({}, None, {"include_usage": True}, {"include_usage": False, "continuous_usage_stats": True}),
        {"x": 2**70, "y": [1.5e300, "\u2028"], "include_usage": None},
    ),
    "messages": (ROLES, []),
    "n": (1, 2, None),
    "prompt": ("a", ["a", "b"], [1, 2], [[1], [2]]),
    "input": ("a", ["a", "b"]),
    "system": ("a", None),
    "max_tokens": (1, 4096, None),
    "stop": ("a", ["a", "b"], None),
    "tools": ([], None),
    "logprobs": (None,),
    "response_format": ({"type": "text"}, None),
    "temperature": (0, 0.5, 1),
    "top_p": (0.25, 1),
    "seed": (0, -(2**63), None),
}
ESCAPES = {'"': r"\"", "\\": r"\\", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


class Writer:
    """Writes one value as JSON, each part in one of its spellings."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def value(self, content: Any) -> str:
        """Any value."""
        if isinstance(content, dict):
            members = [
                self.text(name) + self.space() + ":" + self.value(each) for name, each in content.items()
            ]
            return self._space_around("{" + ",".join(members) + self.space() + "}")
        if isinstance(content, list):
            return "[" + ",".join(self.value(each) for each in content) + self.space() + "]"
        if isinstance(content, str):
            return self._space_around(self.text(content))
        return self._space_around(json.dumps(content))

    def text(self, content: str) -> str:
        """A text in quotes; a character may be escaped without need."""
        return '"' + "".join(self._character(each) for each in content) + '"'

    def _character(self, character: str) -> str:
        if character < " " or character in '"\\' or self._rng.random() < 0.02:
            units = character.encode("utf-16-be").hex()
            long = "".join("\\u" + units[start : start + 4] for start in range(0, len(units), 4))
            return self._rng.choice((long, long.upper().replace("U", "u"), ESCAPES.get(character, long)))
        return character

    def space(self) -> str:
        """White space, most often none."""
        return self._rng.choice(("", "", "", " ", "\n", "\t\r "))

    def _space_around(self, text: str) -> str:
        return self.space() + text + self.space()


def some_value(rng: random.Random, depth: int = 0) -> Any:
    """A value of any kind; numbers beyond what 64 bits hold among them."""
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind == 5:
        return [some_value(rng, depth + 1) for _ in range(rng.choice((0, 1, 3, 30)))]
    if kind > 5:
        return {
            rng.choice((*NAMES, *TEXTS)): some_value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 5)))
        }
    numbers = (0, -0.0, 1, -1, 2**63, -(2**64), 10**300, 1e-300, 1.5e308, rng.random())
    return rng.choice((rng.choice(TEXTS), rng.choice(numbers), None, True, False))


def some_fields(rng: random.Random) -> dict[str, Any]:
    """The fields of a request, most of them of the right type."""
    fields: dict[str, Any] = {}
    if rng.random() < 0.2:
        fields = {"stream_options": rng.choice(FITTING["stream_options"]), "stream": True}
    for name in rng.sample(NAMES, rng.choice((0, 1, 3, 6, 12))):
        fits = name in FITTING and rng.random() < 0.8
        fields[name] = rng.choice(FITTING[name]) if fits else some_value(rng)
    return fields


def with_member(text: str, member: str) -> str:
    """An object's text with one more member at its beginning."""
    opening = text.index("{") + 1
    is_empty = not text[opening:].strip(" \t\r\n").removeprefix("}")
    return text[:opening] + member + ("" if is_empty else ",") + text[opening:]


WRONG_MEMBERS: tuple[Callable[[random.Random], str], ...] = (
    lambda _rng: '"x":{"a":1,"\\u0061":2}',
    lambda _rng: '"twice":1,"twice":1',
    lambda rng: '"x":' + rng.choice(("NaN", "Infinity", "-Infinity", "1e999", "-1e999")),
    lambda rng: '"x":' + rng.choice(("01", "+1", ".5", "1.", "0x1", "--1", "1e", "True", "undefined", "")),
    lambda rng: '"x":' + "9" * rng.choice((401, 5000, 20_000)),
    lambda rng: f'"x":"{rng.choice((chr(0), chr(31), chr(10)))}"',
    lambda rng: '"x":"\\' + rng.choice(("ud800", "uDFFF", "udc00\\ud800", "x", "u12", "'")) + '"',
    lambda rng: '"x":' + "[" * (deep := rng.choice((64, 65, rng.randint(700, 1000), 100_000))) + "]" * deep,
    lambda _rng: '"x":' + '{"a":' * 20_000 + "1" + "}" * 20_000,
)
WRONG_TEXTS: tuple[Callable[[random.Random, str], bytes], ...] = (
    lambda rng, text: text.encode() + rng.choice((b"x", b"{}", b"\x00", b",", b"//", b"\xc2\xa0")),
    lambda rng, text: rng.choice((b"\xef\xbb\xbf", b"\x00", b"'", b"x", b"\x0b")) + text.encode(),
    lambda rng, text: text.strip().encode()[: -rng.randint(1, max(1, len(text.strip()) // 2))],
    lambda rng, text: text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32"))),
    lambda rng, text: (
        with_member(text, '"x":"?"')
        .encode()
        .replace(b"?", rng.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80")))
    ),
    lambda rng, _text: rng.choice((b"[]", b"null", b'"x"', b"1", b"", b" ", b"true")),
)


def spoiled(rng: random.Random, text: str) -> bytes:
    """The text, wrong in one way."""
    number = rng.randrange(len(WRONG_MEMBERS) + len(WRONG_TEXTS))
    if number < len(WRONG_MEMBERS):
        return with_member(text, WRONG_MEMBERS[number](rng)).encode()
    return WRONG_TEXTS[number - len(WRONG_MEMBERS)](rng, text)


def on_the_edge(text: str) -> str:
    """The text with nesting as deep as is taken."""
    return with_member(text, '"deep":' + "[" * 31 + '{"a":' * 32 + "1" + "}" * 32 + "]" * 31)
