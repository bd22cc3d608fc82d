"""The metrics blueprint: the instance's own numbers, and those of vLLM that an operator wants to see."""

from collections.abc import Callable, Iterable, Iterator

import gevent
from flask import Blueprint, Flask, Response, current_app, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from app.connection import ClientConnection
from app.errors import UpstreamError, UpstreamTimeout
from app.instance import Instance
from app.metrics.by_key import usage_families
from app.metrics.condition import condition_families
from app.metrics.processes import process_families
from app.metrics.traffic import latency_families, request_families
from app.metrics.vllm import read_families
from app.upstream import Call, Upstream
from app.wire import CONNECTION

VLLM_SECONDS = 5.0  # Prometheus gives up after 10 by default
MAX_VLLM_BYTES = 4 * 1024 * 1024
NO_METRICS = "The model server has no metrics of vLLM's."

bp = Blueprint("metrics", __name__, url_prefix="/metrics")


class Families(Collector):
    """Families as a registry gives them; after each, other greenlets run."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """One after the other."""
        for family in self._families:
            yield family
            gevent.sleep(0)


def all_families(app: Flask) -> Iterator[Metric]:
    """All that this instance tells of itself, whichever worker is asked."""
    instance: Instance = app.extensions["instance"]
    yield from condition_families(app)
    yield from process_families(instance)
    yield from request_families(instance)
    yield from latency_families(instance)
    yield from usage_families(instance)


def _respond(families: Iterable[Metric]) -> Response:
    generate: Callable[[Collector], bytes] = generate_latest
    content_type = CONTENT_TYPE_PLAIN_0_0_4
    if "application/openmetrics-text" in request.headers.get("Accept", ""):
        generate, content_type = openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    return Response(generate(Families(families)), content_type=content_type)


@bp.get("")
def own() -> Response:
    """The whole instance, in Prometheus's text format, or in OpenMetrics where it is asked for."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return _respond(all_families(app))


@bp.get("/vllm")
def vllm() -> Response:
    """The upstream's families of interest. Raises UpstreamError where it has none."""
    upstream: Upstream = current_app.extensions["upstream"]
    connection: ClientConnection = request.environ[CONNECTION]
    with connection.watched(), gevent.Timeout(VLLM_SECONDS, UpstreamTimeout()):
        answer = connection.keep(upstream.open(Call("GET", "/metrics", {"Accept": "text/plain"})))
        if answer.status != 200:
            raise UpstreamError(NO_METRICS)
        text = answer.read(MAX_VLLM_BYTES).decode(errors="replace")
    families = read_families(text, lambda: gevent.sleep(0))
    if not families:
        raise UpstreamError(NO_METRICS)
    return _respond(families)
