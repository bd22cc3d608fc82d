"""The checks in their order, and which of them make sense only when others are right."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app.doctor import answers, credentials, model, place, routes, streams, tools
from app.doctor.catalogue.trouble import READ_LOG
from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, Stopped, Verdict, skipped, trouble


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. Those that it needs have to be right first, so that one fault is told once."""

    name: str
    run: Callable[[Deployment], Finding]
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("address", place.check_address),
    Check("key form", credentials.check_key_form),
    Check("reach", place.check_reach, ("address",)),
    Check("gateway", place.check_gateway, ("reach",)),
    Check("request id", place.check_request_id, ("gateway",)),
    Check("clock", place.check_clock, ("gateway",)),
    Check("model ready", place.check_start, ("gateway",)),
    Check("no key", credentials.check_no_key, ("model ready",)),
    Check("wrong key", credentials.check_wrong_key, ("no key",)),
    Check("refusal", credentials.check_refusal, ("wrong key",)),
    Check("key", credentials.check_key, ("wrong key", "key form")),
    Check("bearer", credentials.check_bearer, ("key",)),
    Check("routes", routes.check_routes, ("key",)),
    Check("model", model.check_models, ("key",)),
    Check("window", model.check_window, ("model",)),
    Check("body size", model.check_body, ("model",)),
    Check("answer", answers.check_answer, ("model",)),
    Check("stream", streams.check_stream, ("answer",)),
    Check("stream pace", streams.check_stream_pace, ("stream",)),
    Check("stream end", streams.check_stream_end, ("stream",)),
    Check("max tokens", model.check_max_tokens, ("stream", "window")),
    Check("tools", tools.check_tools, ("stream",)),
    Check("reasoning", answers.check_reasoning, ("answer",)),
)
MOST_SECONDS = 240.0  # beside the wait for a model; each request has a limit of its own
STANDS = (Verdict.OK, Verdict.WARNING)


def examine(deployment: Deployment) -> Iterator[tuple[str, Finding]]:
    """Each check's name and finding, as soon as it is known."""
    found: dict[str, Finding] = {}
    limit = MOST_SECONDS + deployment.wishes.wait
    ends_at = time.monotonic() + limit
    for check in CHECKS:
        missing = next((need for need in check.needs if found[need].verdict not in STANDS), None)
        if missing:
            found[check.name] = skipped(f"of “{missing}”")
        elif time.monotonic() < ends_at:
            found[check.name] = _run(check, deployment)
        else:
            is_told = any(each.code == "too_slow" for each in found.values())
            told = skipped("time is up") if is_told else trouble("too_slow", seconds=round(limit))
            found[check.name] = told
        yield check.name, found[check.name]


def _run(check: Check, deployment: Deployment) -> Finding:
    deployment.client.request_id = ""
    try:
        found = check.run(deployment)
    except Stopped as stopped:
        found = stopped.finding
    if found.fix != READ_LOG:
        return found
    return replace(found, request_id=deployment.quote(deployment.client.request_id))
