"""Read a gateway's metrics as Prometheus does."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.gateway import Gateway

ADMIN = "sk-admin-0123456789abcdef"
BOSS = {"key": ADMIN, "id": "op-1", "scopes": ["inference", "admin"]}
PREFIX = "vllm_gateway_"
Sample = tuple[str, frozenset[tuple[str, str]]]


class Scrape:
    """The samples of one scrape, asked for without their prefix."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples: dict[Sample, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }
        self.counters = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            if family.type in ("counter", "histogram")
            for sample in family.samples
        }

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels; 0 where there are none."""
        wanted = set(labels.items())
        name = name if ":" in name else PREFIX + name
        return sum(value for (each, has), value in self.samples.items() if each == name and wanted <= has)

    @property
    def names(self) -> set[str]:
        """Every name that a sample may have, of families without samples too."""
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        return {family.name + end for family in self.families for end in suffixes.get(family.type, ("",))}


def scrape(gateway: Gateway, target: str = "/metrics", **headers: str) -> Scrape:
    """One scrape with the key of an operator."""
    reply = gateway.request("GET", target, headers={"X-API-Key": ADMIN, **headers})
    assert reply.status == 200, reply.body
    return Scrape(reply.body.decode())


def went_back(before: Scrape, after: Scrape) -> dict[Any, tuple[float, float]]:
    """The counters that are lower than before, or gone."""
    pairs = {key: (value, after.counters.get(key, -1.0)) for key, value in before.counters.items()}
    return {key: pair for key, pair in pairs.items() if pair[1] < pair[0]}
