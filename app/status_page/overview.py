"""What the page says of this moment: the state, the numbers, the facts."""

import time
from dataclasses import dataclass
from typing import Any

from app.health import Health
from app.instance import Instance
from app.keys.shared import SharedKeys
from app.settings import Settings
from app.startup import READY
from app.status_page.history import History, Point, step_of
from app.status_page.model_list import ModelList
from app.status_page.month_usage import MonthUsage
from app.status_page.recent_errors import RecentErrors
from app.status_page.tables import Table, as_json, errors_table, keys_table, usage_table
from app.status_page.texts import UNKNOWN, age, count, rate, seconds, share
from app.version import VERSION

SIGNIFICANT = 4  # digits of a point in a chart
PHASES = {
    READY: "Ready",
    "draining": "Shutting down",
    "keys_unavailable": "No keys loaded",
    "upstream_unavailable": "Model server not available",
    "process": "Starting",
    "import": "Starting: loading libraries",
    "weights": "Starting: loading weights",
    "loading": "Starting: loading the model",
    "warm-up": "Starting: warming up",
}
FAILED = ("keys_unavailable", "upstream_unavailable")


@dataclass(frozen=True, slots=True)
class Overview:
    """Reads the sources when somebody looks, and at no other time."""

    settings: Settings
    instance: Instance
    health: Health
    keys: SharedKeys
    history: History
    errors: RecentErrors
    model_list: ModelList
    usage: MonthUsage

    def state(self) -> dict[str, str]:
        """The state in a word for programs (`good`, `waiting`, `bad`) and in words."""
        phase = self.health.phase()
        level = "good" if phase == READY else "bad" if phase in FAILED else "waiting"
        return {"level": level, "text": PHASES.get(phase, phase)}

    def numbers(self, now: Point) -> dict[str, str]:
        """What changes all the time, by the name of its place on the page."""
        keys = self.keys
        return {
            "in_flight": count(now.in_flight),
            "at_upstream": count(now.at_upstream),
            "requests": rate(now.requests),
            "errors": rate(now.errors),
            "completion_tokens": rate(now.completion_tokens),
            "prompt_tokens": rate(now.prompt_tokens),
            "busy": share(now.busy),
            "first_byte_50": seconds(now.first_byte[0]),
            "first_byte_95": seconds(now.first_byte[1]),
            "inter_token_50": seconds(now.inter_token[0]),
            "inter_token_95": seconds(now.inter_token[1]),
            "uptime": age(time.monotonic() - self.instance.get("started_at")),
            "ready_for": age(time.monotonic() - self.instance.get("ready_since")),
            "upstream": "answers" if self.health.has_upstream else "does not answer",
            "keys_age": age(keys.age),
            "keys_failure": keys.report.failure or "none",
        }

    def facts(self) -> dict[str, Any]:
        """What hardly ever changes."""
        settings, keys = self.settings, self.keys
        place = "Secret Manager" if keys.store.kind != "file" else "a file"
        version = "" if keys.version is None else f", version {keys.version}"
        return {
            "version": VERSION,
            "workers": count(settings.web_concurrency),
            "most_requests": count(settings.max_concurrent_requests),
            "keys_store": place + version,
            "keys_problems": keys.current.problems,
            "startup": [(phase, seconds(took)) for phase, took in self.health.startup_seconds().items()],
            "models": self.models(),
        }

    def models(self) -> list[dict[str, str]]:
        """What the upstream serves: ids and windows."""
        return [
            {"id": str(card.get("id", UNKNOWN)), "window": _window(card.get("max_model_len"))}
            for card in self.model_list.cards()
        ]

    def tables(self) -> dict[str, Table]:
        """The tables by the name of their place on the page."""
        return {
            "usage": usage_table(self.usage.report()),
            "keys": keys_table(self.keys),
            "errors": errors_table(self.errors.latest()),
        }

    def page(self) -> dict[str, Any]:
        """Everything that the page shows when it is opened."""
        return {
            "state": self.state(),
            "numbers": self.numbers(self.history.now()),
            "facts": self.facts(),
            "tables": self.tables(),
        }

    def data(self, since: int, *, with_tables: bool) -> dict[str, Any]:
        """What an open page asks for every few seconds; points of charts only behind the step `since`."""
        now = time.monotonic()
        told: dict[str, Any] = {
            "state": self.state(),
            "numbers": self.numbers(self.history.now()),
            "clock": {"epoch": round(time.time() - now, 1), "step": step_of(now)},
            "points": [_row(step, point) for step, point in self.history.points(since)],
        }
        if with_tables:
            told["tables"] = {name: as_json(table) for name, table in self.tables().items()}
        return told


def _row(step: int, point: Point) -> list[float | None]:
    numbers = [*point[:-2], *point.first_byte, *point.inter_token]
    return [step, *(None if each is None else float(f"{each:.{SIGNIFICANT}g}") for each in numbers)]


def _window(tokens: Any) -> str:
    return count(tokens) if isinstance(tokens, int) else UNKNOWN
