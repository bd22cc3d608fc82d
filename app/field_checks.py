"""Checks of one field's value: each says what is wrong with it, or nothing.

vLLM coerces: `"5"` and `true` are numbers to it, so what is no plain number is refused where one is bounded.
A complaint holds no value and no digit; it completes the sentence "The field NAME …".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.settings import Settings

OUT_OF_BOUNDS = "is not a number within the bounds of this gateway"
TOO_MANY = "has more entries than this gateway allows"
NO_LIST = "is neither a text nor a list"
NO_OBJECT = "is not an object"
NOT_ALLOWED = "has a member or a value that this gateway does not allow"

INT32 = 2**31 - 1
MAX_STOP_CHARS = 1024
MAX_BIAS = 100
MAX_SWITCH_CHARS = 64
ENDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
# What templates of models ask for; the other names are arguments of the tokenizer or would shadow messages.
SWITCHES = frozenset(
    ("enable_thinking", "thinking", "thinking_mode", "thinking_effort", "thinking_budget", "reasoning_effort")
    + ("preserve_thinking", "clear_thinking", "model_identity")
)


@dataclass(frozen=True, slots=True)
class Asked:
    """All fields of a request, the caps, and the names that the owner allows."""

    fields: Mapping[str, Any]
    settings: Settings
    allowed: frozenset[str]


Check = Callable[[Any, Asked], str | None]
Bound = float | str  # the name of a setting, where it is a text


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def number(low: float, high: Bound) -> Check:
    """A plain number from `low` to `high`."""

    def check(value: Any, asked: Asked) -> str | None:
        most = (getattr(asked.settings, high) or INT32) if isinstance(high, str) else high
        return None if _is_number(value, low, most) else OUT_OF_BOUNDS

    return check


def whole(low: int, high: Bound) -> Check:
    """The same, written as a whole number: the gateway counts by it, too."""
    within = number(low, high)
    return lambda value, asked: within(value, asked) if type(value) is int else OUT_OF_BOUNDS


def bounded(value: Any, asked: Asked) -> str | None:
    """`ignore_eos`: only with a number that ends the answer; else it goes on to the end of the window."""
    has_end = any(asked.fields.get(name) is not None for name in ENDS) or asked.settings.max_output_tokens
    return None if value is False or has_end else "needs a bound of the answer beside it, such as max_tokens"


def only(wanted: Any) -> Check:
    """One value, which is also what is meant where nothing is said."""
    return lambda value, _asked: None if value == wanted and type(value) is type(wanted) else NOT_ALLOWED


def entries(value: Any, most: int) -> str | None:
    """What is wrong with the length of a list; a text is as good as a list of one."""
    if isinstance(value, list):
        return TOO_MANY if len(value) > most else None
    return None if isinstance(value, str) else NO_LIST


def texts(setting: str) -> Check:
    """A text or a short list of them."""

    def check(value: Any, asked: Asked) -> str | None:
        complaint = entries(value, getattr(asked.settings, setting))
        listed = [value] if isinstance(value, str) else value
        if not complaint and not all(
            isinstance(text, str) and len(text) <= MAX_STOP_CHARS for text in listed
        ):
            return "has an entry that is no short text"
        return complaint

    return check


def biases(value: Any, asked: Asked) -> str | None:
    """`logit_bias`: a few tokens, each with a bias."""
    if not isinstance(value, dict):
        return NO_OBJECT
    if len(value) > asked.settings.max_logit_bias:
        return TOO_MANY
    is_bias = all(_is_number(bias, -MAX_BIAS, MAX_BIAS) for bias in value.values())
    return None if is_bias else OUT_OF_BOUNDS


def switches(value: Any, asked: Asked) -> str | None:
    """`chat_template_kwargs`: what templates of models ask for, by name, and short."""
    if not isinstance(value, dict):
        return NO_OBJECT
    for name, switch in value.items():
        is_known = name in SWITCHES or f"chat_template_kwargs.{name}" in asked.allowed
        is_short = isinstance(switch, bool | int | float | None) or (
            isinstance(switch, str) and len(switch) <= MAX_SWITCH_CHARS
        )
        if not (is_known and is_short):
            return NOT_ALLOWED
    return None
