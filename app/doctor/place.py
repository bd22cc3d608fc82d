"""Checks of the place: is a gateway of ours at this address, ready, and by the same clock?"""

import ipaddress
import re
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from app.addresses import LOOPBACK
from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, Stopped, fine, trouble
from app.doctor.reading import describe_kind, dig, dig_text, is_of_iam, read_json

FORBIDDEN = re.compile(r"[\x00-\x20\x7f?#@\\]")
SHARED_SPACE = ipaddress.ip_network("100.64.0.0/10")  # of VPNs such as Tailscale, RFC 6598
LOCAL_NAMES = (".local", ".internal", ".lan", ".home.arpa", ".localhost", ".test")
LEAST_FIRST_SECONDS = 20.0  # an instance that is started by this very request
COLD_SECONDS = 3.0
DRIFT_SECONDS, SKEW_SECONDS = 5, 60
POLL_SECONDS = 1.0
TOLD_EVERY_SECONDS = 5.0
LOADING = ("process", "import", "weights", "loading", "warm-up")
SHORT_WAIT_SECONDS = 10.0  # for what is no loading model
OF_THE_FRONT = (401, 403, 407, 408, 502, 503, 504, 524)  # what no gateway says of its being alive
NOT_READY = {
    "keys_unavailable": "keys_not_loaded",
    "upstream_unavailable": "upstream_down",
    "draining": "draining",
}


def check_address(deployment: Deployment) -> Finding:
    """Whether it is an address, and one at which a key is safe."""
    try:
        parts = urlsplit(deployment.url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return trouble("address_invalid")
    if not is_address or FORBIDDEN.search(deployment.url):
        return trouble("address_invalid")
    if parts.scheme == "https":
        return fine("https")
    if deployment.host in LOOPBACK:
        return fine("http, on this machine")
    code = "clear_text_private" if is_private(deployment.host) else "clear_text"
    return trouble(code, host=deployment.host)


def is_private(host: str) -> bool:
    """Whether a name or address is one that the internet does not route."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(LOCAL_NAMES)
    return address.is_private or (address.version == 4 and address in SHARED_SPACE)


def check_reach(deployment: Deployment) -> Finding:
    """Whether anything answers over HTTP, without a credential."""
    seconds = max(LEAST_FIRST_SECONDS, deployment.wishes.wait)
    deployment.first = deployment.get("/health/live", seconds=seconds)
    took = deployment.first.seconds
    if took > COLD_SECONDS:
        return fine(f"the first answer took {took:.1f} s, as when an instance has to start for it")
    return fine(f"answers in {took * 1000:.0f} ms")


def check_gateway(deployment: Deployment) -> Finding:
    """Whether it is this gateway that answers."""
    first = deployment.first
    content = read_json(first.body)
    if first.status == 200 and dig(content, "phase") == "live" and dig(content, "status") == "ok":
        return fine("this gateway")
    if 300 <= first.status < 400 or is_of_iam(first) or first.failure is not None:
        return deployment.explain(first)
    if _is_vllm(deployment):
        return trouble("vllm_bare")
    if first.status in OF_THE_FRONT:
        return deployment.explain(first)
    return trouble("other_server", status=first.status, kind=describe_kind(first))


def _is_vllm(deployment: Deployment) -> bool:
    """Whether it says its version as vLLM does, or lists models of it without a key."""
    try:
        version = deployment.get("/version")
        if version.status == 200 and dig_text(read_json(version.body), "version"):
            return True
        listing = read_json(deployment.get("/v1/models").body)
    except Stopped:
        return False
    return dig_text(listing, "data", 0, "owned_by") == "vllm"


def check_request_id(deployment: Deployment) -> Finding:
    """Whether errors can be found in the gateway's log."""
    if deployment.first.headers.get("x-request-id"):
        return fine("answers carry X-Request-Id")
    return trouble("no_request_id")


def check_clock(deployment: Deployment) -> Finding:
    """Whether the server's clock and this machine's agree."""
    first = deployment.first
    try:
        told = parsedate_to_datetime(first.headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return fine("the server tells no time")
    # It was true at some time between the request and the head, and is cut to a whole second.
    since = time.monotonic()
    earliest, latest = (time.time() - (since - at) for at in (first.asked_at, first.head_at))
    ahead = max(0.0, told - latest) - max(0.0, earliest - told - 1)
    skew, direction = round(abs(ahead)), "ahead of" if ahead > 0 else "behind"
    if skew > DRIFT_SECONDS:
        code = "clock_skew" if skew > SKEW_SECONDS else "clock_drift"
        return trouble(code, seconds=skew, direction=direction)
    return fine("agrees with this machine's")


def check_start(deployment: Deployment) -> Finding:
    """Whether the model is ready; one that loads is waited for, up to the limit."""
    began = told_at = time.monotonic()
    while True:
        reply = deployment.get("/health/ready")
        phase = deployment.quote(dig_text(read_json(reply.body), "phase"))
        waited = time.monotonic() - began
        if reply.status == 200 and phase == "ready":
            return fine(_describe_start(deployment, waited))
        if reply.status != 503 or not phase:
            return deployment.explain(reply)
        limit = deployment.wishes.wait
        if waited >= (limit if phase in LOADING else min(limit, SHORT_WAIT_SECONDS)):
            return trouble(NOT_READY.get(phase, "still_loading"), phase=phase, seconds=round(waited))
        if time.monotonic() - told_at >= TOLD_EVERY_SECONDS:
            told_at = time.monotonic()
            deployment.tell(f"waiting for the model: {phase}, {waited:.0f} s")
        time.sleep(POLL_SECONDS)


def _describe_start(deployment: Deployment, waited: float) -> str:
    if waited < POLL_SECONDS:
        return "the model is ready"
    phases = dig(read_json(deployment.get("/health/startup").body), "phases")
    told = phases.items() if isinstance(phases, dict) else ()
    took = ", ".join(f"{name} {spent:g} s" for name, spent in told if isinstance(spent, int | float))
    took = deployment.quote(took.partition(", ready")[0])
    return f"the model is ready, after {waited:.0f} s of waiting" + (f" ({took})" if took else "")
