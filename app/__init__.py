"""The gateway: an API key check and a byte-exact relay in front of one vLLM server."""

import logging
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from app import admin, auth, health, models, proxy
from app.accounts.command import show_usage
from app.accounts.database import open_database
from app.accounts.keeper import UsageKeeper
from app.accounts.place import parse_place
from app.accounts.reader import UsageReader
from app.accounts.tally import Tally
from app.application import Application, RelayedResponse
from app.cors import Cors
from app.current import this_g, this_request
from app.doctor.command import doctor
from app.error_body import render_error
from app.errors import GatewayError, MethodNotAllowed, RouteNotFound
from app.gpu_time import GpuTime
from app.headers import OURS, id_fields
from app.hold import Hold
from app.instance import INSTANCE, Instance
from app.keys.commands import keys as key_commands
from app.keys.refresh import KeyRefresh
from app.keys.shared import SharedKeys
from app.keys.stores import open_store
from app.ledger import Ledger
from app.load import Load
from app.metrics import views as metrics
from app.monitor import Monitor
from app.opencode.commands import write_opencode_config, write_wellknown
from app.origins import parse_origins
from app.request_log import RequestLog
from app.routes import speaks_anthropic
from app.settings import Settings, SettingsError, process_settings
from app.startup import Startup
from app.status_page import views as status_page
from app.status_page.guard import Guard
from app.status_page.history import History
from app.status_page.model_list import ModelList
from app.status_page.month_usage import MonthUsage
from app.status_page.overview import Overview
from app.status_page.recent_errors import RecentErrors
from app.status_page.session import Sessions
from app.unavailable import Overloaded
from app.upstream import Upstream
from app.watch import UpstreamWatch

log = logging.getLogger("gateway")


def create_app(settings: Settings | None = None, instance: Instance = INSTANCE) -> Flask:
    """Build the gateway and what it works with; opens no connection.

    Raises SettingsError when the environment does not describe a gateway.
    """
    settings = settings or process_settings()
    app = Application(__name__, static_folder=None)
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.extensions.update(settings=settings, instance=instance, **_make_parts(settings, instance))
    _add_gate_and_page(app)
    for blueprint in (proxy.bp, models.bp, health.bp, admin.bp, metrics.bp, status_page.bp):
        app.register_blueprint(blueprint)
    _register_answers(app)
    if settings.cors_allowed_origins:
        _open_to_pages(app, Cors(parse_origins(settings.cors_allowed_origins)))
    if settings.otel_exporter_otlp_endpoint is not None:
        _trace(app)
    for command in (write_opencode_config, write_wellknown, key_commands, show_usage, doctor):
        app.cli.add_command(command)
    return app


def _make_parts(settings: Settings, instance: Instance) -> dict[str, Any]:
    """What the views, the worker and gunicorn's hooks find in `app.extensions`."""
    upstream = Upstream(settings.vllm_base_url)
    keys = SharedKeys(open_store(settings), instance)
    startup = Startup(settings, instance)
    watch = UpstreamWatch(settings, upstream, instance)
    gpu_time = GpuTime(instance)
    load = Load(instance, settings.max_concurrent_requests, settings.max_buffered_bytes)
    hold = Hold(instance, startup, settings.startup_hold_seconds)
    request_log, ledger = RequestLog(settings, instance), Ledger(instance)
    accounts = open_database(parse_place(settings.usage_database))
    usage_keeper = UsageKeeper(accounts, instance, Tally(instance, gpu_time, startup))
    return {
        "keys": keys,
        "key_refresh": KeyRefresh(keys, instance, settings.api_keys_refresh_seconds),
        "monitor": Monitor(settings, upstream, watch, startup),
        "load": load,
        "gpu_time": gpu_time,
        "hold": hold,
        "watch": watch,
        "upstream": upstream,
        "request_log": request_log,
        "ledger": ledger,
        "usage_keeper": usage_keeper,
        "usage_reader": UsageReader(usage_keeper, settings.gpu_price_per_hour),
        "sinks": (request_log, ledger),
        "proxy": proxy.Proxy(settings, upstream, hold, load, gpu_time),
        "models": models.Models(upstream, hold),
        "health": health.Health(keys, watch, instance, startup),
    }


def _add_gate_and_page(app: Flask) -> None:
    parts = app.extensions
    settings, instance, keys = parts["settings"], parts["instance"], parts["keys"]
    guard = Guard(keys, instance, Sessions())
    gate = auth.Gate(keys, instance, settings.trusted_proxy_hops, guard.admit)
    history, errors = History(instance, parts["load"], parts["gpu_time"]), RecentErrors(instance)
    model_list, usage = ModelList(parts["upstream"], parts["watch"]), MonthUsage(parts["usage_reader"])
    overview = Overview(settings, instance, parts["health"], keys, history, errors, model_list, usage)
    parts.update(history=history, recent_errors=errors)
    parts.update(sinks=(*parts["sinks"], errors))
    parts.update(status_page=status_page.StatusPage(guard, gate, keys, overview))
    app.before_request(gate.check)


def _register_answers(app: Flask) -> None:
    app.register_error_handler(GatewayError, _render)
    app.register_error_handler(HTTPException, lambda _error: _render(RouteNotFound()))
    app.register_error_handler(MemoryError, _render_exhaustion)
    app.register_error_handler(Exception, _render_defect)
    app.after_request(_add_fields)


def _open_to_pages(app: Flask, cors: Cors) -> None:
    app.register_error_handler(MethodNotAllowed, lambda error: cors.find_preflight(error) or _render(error))
    app.after_request(cors.add_fields)


def _trace(app: Flask) -> None:
    """OpenTelemetry is imported only where it is wanted: by the master, so that workers share its memory."""
    from app.tracing import Tracing

    try:
        app.extensions["tracing"] = tracing = Tracing()
    except ValueError as error:  # the library's own sentence: one of its limits (OTEL_…_LIMIT) is no number
        raise SettingsError(f"{error}.") from error
    app.extensions["sinks"] += (tracing,)
    app.before_request(tracing.begin)


def _render(error: GatewayError) -> Response:
    g.record.outcome = error.code
    content = render_error(error, anthropic=speaks_anthropic(request.environ["RAW_URI"]))
    return Response(content, error.status, error.headers(), content_type="application/json")


def _render_defect(error: Exception) -> Response:
    log.error("request failed", exc_info=error, extra={"request_id": g.record.request_id})
    return _render(GatewayError())


def _render_exhaustion(_error: MemoryError) -> Response:
    log.error("out of memory", extra={"request_id": g.record.request_id})
    return _render(Overloaded())


def _add_fields(response: Response) -> Response:
    anthropic = speaks_anthropic(this_request().environ["RAW_URI"])
    response.headers.update(id_fields(this_g().record.request_id, anthropic=anthropic))
    if not isinstance(response, RelayedResponse):
        for name, value in OURS.items():
            response.headers.setdefault(name, value)
    return response
