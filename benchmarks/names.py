"""The names that results have, in the order in which they are told."""

from typing import Final

DIRECT: Final = "direct"
OURS: Final = "ours"
BARE_FLASK: Final = "bare-flask"
NGINX: Final = "nginx"
VLLM_ROUTER: Final = "vllm-router"
FASTAPI: Final = "fastapi-httpx"

# How each is set up, in one line.
SUBJECTS: Final = {
    DIRECT: "no proxy: what the upstream and the load generator do by themselves",
    OURS: "as `gunicorn.conf.py` starts it, with one worker and every feature: key check, field policy, "
    "abort watching, usage, request log, deadlines, server-wide limits",
    NGINX: "one worker, key check by a `map`, kept-alive connections to the upstream, `proxy_buffering off`",
    "haproxy": "one thread, key check by an ACL, kept-alive connections to the upstream",
    VLLM_ROUTER: "vLLM's own router, written in Rust, with the policy that costs least; checks no key",
    FASTAPI: "the classic proxy: FastAPI and `httpx.AsyncClient` under uvicorn with uvloop and httptools",
    "litellm": "LiteLLM's proxy with one model, one worker and its master key",
    "flask-requests": "the plain version: Flask, `requests.post` (a new connection each), `iter_content`, "
    "gunicorn's own gevent worker",
    BARE_FLASK: "no proxy and no key check: a Flask view that answers at once, gunicorn's own gevent worker",
}

NO_PROXIES: Final = frozenset((DIRECT, BARE_FLASK))

PACED: Final = "paced-32"
FULL_SPEED: Final = "full-speed"
WRITES: Final = "full-speed-writes"
CHAT: Final = "chat"
ARRIVALS: Final = "arrivals"
ARRIVALS_KEPT: Final = "arrivals-kept"
REAL_VLLM: Final = "real-vllm"
BOOT: Final = "boot"
MEMORY: Final = "memory"

# By the number of streams.
GROWTH: Final = {count: f"growth-{count}" for count in (8, 32, 128, 512)}

WORKLOADS: Final = {
    PACED: "Each stream sends 50 events a second of about 230 bytes: what a busy model sends.",
    FULL_SPEED: "The upstream is always ahead, with many events in each write.",
    WRITES: "The upstream is always ahead, with a write for each event.",
    **dict.fromkeys(GROWTH.values(), "The same 1,600 events a second, however many streams they are of."),
    CHAT: "Answers in one piece on kept connections; each client asks again once it has its answer.",
    "long-prompt": "Prompts of 30 kB with tools, as OpenCode sends them, and short streamed answers.",
    ARRIVALS: "32 streams asked for at the same moment, on new connections; eight times a round.",
    ARRIVALS_KEPT: "The same on connections that are open and have been used.",
    "alone": "One client, one request at a time: the latency that is left when nobody queues.",
    "wrong-keys": "A key that does not exist: all are to be refused. Without a proxy the upstream refuses. "
    "The gateway keeps refusals back for 0.3 s once an address has had 60 of them, so its figures tell of "
    "waiting more than of refusing.",
    "aborts": "Clients that leave in mid-stream: the time until the upstream sees it, or has missed it.",
    REAL_VLLM: "vLLM's CPU build with a small model, asked by vLLM's own benchmark client.",
    BOOT: "The time from exec to the first 200 of the health route, and the memory at that moment.",
    MEMORY: "All processes of a subject that was started alone, after a moment of four workloads: chat, full "
    "speed, 512 streams, long prompts.",
}
