"""Each failure that the gateway can cause, and what the real OpenCode makes of it.

`docs/opencode-errors.md` holds the same as a table, and a unit test compares the two.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.gateway import KEY

NOTHING = "nothing; it goes on"
LOST = "Connection reset by server"
UNUSABLE = "The model server gave no usable answer."
IMPATIENT = {"FIRST_BYTE_TIMEOUT_SECONDS": 3}  # and yet the answer to the next request is in time
SILENT = {"STREAM_IDLE_TIMEOUT_SECONDS": 3}
FULL = "This gateway has as much to do as it can carry."
NO_FIT = (
    "This prompt does not fit into the model's window, and compacting the conversation does not help. "
    "Give the model a larger window (MAX_MODEL_LEN), or let `opencode-config` write "
    "a smaller prompt for OpenCode."
)
TOO_MANY_BYTES = (
    "This prompt has more bytes than the gateway takes, and compacting the conversation does not help. "
    "Attach less, or start the gateway with a larger MAX_REQUEST_BYTES."
)
NO_STORE = {"API_KEYS_FILE": "", "GCP_PROJECT": "p", "SECRET_MANAGER_ENDPOINT": "http://127.0.0.1:9"}
FLOW = {"events": 9, "interval": 0.01}


@dataclass
class Failure:
    """What goes wrong, and what follows from it.

    `shows` is the last sentence that the user sees, with N for a number of seconds, `requests` how many
    OpenCode sends, `fake` the script of the upstream (tests/e2e/coder.py), `asks` what opencode.json adds to
    each body, `settings` those of the gateway, `key` OpenCode's, `route` what follows the address, `scopes`
    the key's, `situation` what else must be so (tests/e2e/situations.py), `reason` why the last step ended.
    `event` is what the error event of a broken stream says: OpenCode shows it, in its JSON, where it does not
    see the cut before it, and gives up at once where it `may_end` with it.
    """

    shows: str
    requests: int
    fake: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = KEY
    route: str = "/v1"
    scopes: tuple[str, ...] = ("inference",)
    asks: dict[str, Any] = field(default_factory=dict)
    situation: str = "usual"
    reason: str = "stop"
    event: str = ""
    may_end: bool = False

    @property
    def is_final(self) -> bool:
        """Whether OpenCode gives up."""
        return self.shows != NOTHING


def once(settings: dict[str, Any] | None = None, **fake: Any) -> Failure:
    """The upstream fails once, and answers well when it is asked again."""
    return Failure(NOTHING, 2, {**fake, "times": 1}, settings or {})


FINAL = {
    "no key": Failure("API key missing or not valid for this gateway.", 1, key=""),
    "a wrong key": Failure("API key missing or not valid for this gateway.", 1, key="sk-wrong"),
    "a key without the scope `inference`": Failure(
        "This API key lacks the scope inference.", 1, scopes=("admin",)
    ),
    "a `baseURL` without `/v1`": Failure("This route does not exist.", 1, route=""),
    "a field that the gateway refuses": Failure(
        "The field n is not a number within the bounds of this gateway.", 1, asks={"n": 100}
    ),
    "the server knows no tools": Failure(
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        1,
        {
            "status": 400,
            "body": '{"error":{"message":"\\"auto\\" tool choice requires --enable-auto-tool-choice and '
            '--tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}}',
        },
    ),
    "a prompt larger than the window": Failure(NO_FIT, 7, {"window": 20_000}),
    "a prompt larger than `MAX_REQUEST_BYTES`": Failure(
        TOO_MANY_BYTES, 5, settings={"MAX_REQUEST_BYTES": 16_384}
    ),
    "the answer takes longer than `REQUEST_DEADLINE_SECONDS`": Failure(
        LOST,
        6,
        {"interval": 0.5, "events": 60},
        {"REQUEST_DEADLINE_SECONDS": 2},
        event="The request took too long.",
        may_end=True,
    ),
}
PASSING = {
    "the server dies before it answers": once(raw=[], fail_after=0),
    "the server dies in mid-stream": once(**FLOW, failure="reset", fail_after=5),
    "the server does not begin to answer": once(IMPATIENT, before_head=30),
    "the server stops in mid-stream": once(SILENT, **FLOW, failure="hang", fail_after=3),
    "the server answers with an error of its own": once(
        status=500, body='{"error":{"message":"engine died"}}'
    ),
    "JSON instead of a stream": once(body='{"choices": []}'),
    "a stream without an end": once(finish_reason=None),
    "a stream that ends with `abort`": once(finish_reason="abort"),
    "a stream that ends with `error`": once(finish_reason="error"),
    "a stream that ends with `repetition`": Failure(
        NOTHING, 1, {"finish_reason": "repetition", "times": 1}, reason="length"
    ),
    "an error event in the stream": once(**FLOW, failure="error_event", fail_after=2),
    "the model is loading": Failure(
        NOTHING, 2, settings={"STARTUP_HOLD_SECONDS": 5, "MODEL_LOAD_SECONDS": 3}, situation="loading"
    ),
    "the gateway stops in mid-stream, and another one starts": Failure(
        NOTHING, 2, {"interval": 0.5, "events": 60, "times": 1}, {"DRAIN_SECONDS": 1}, situation="restarted"
    ),
}
LASTING = {
    "the server dies in mid-stream, for ever": Failure(
        LOST,
        6,
        {**FLOW, "failure": "reset", "fail_after": 5},
        event="The upstream connection was lost.",
    ),
    "JSON instead of a stream, for ever": Failure(UNUSABLE, 6, {"body": '{"choices": []}'}),
    "the server dies before it answers, for ever": Failure(
        "The model server is not available.", 6, {"raw": [], "fail_after": 0}
    ),
    "the server does not begin to answer, for ever": Failure(
        "The model server did not answer in time.", 6, {"before_head": 30}, {"FIRST_BYTE_TIMEOUT_SECONDS": 1}
    ),
    "the model is loading, for ever": Failure(
        "The model is starting (loading), about N s left.",
        6,
        settings={"STARTUP_HOLD_SECONDS": 0, "MODEL_LOAD_SECONDS": 1},
        situation="never ready",
    ),
    "no API keys loaded": Failure(
        "The gateway has no API keys loaded yet.", 6, settings=NO_STORE, situation="keyless"
    ),
    "an instance that is full": Failure(FULL, 6, settings={"MAX_CONCURRENT_REQUESTS": 1}, situation="full"),
    "an instance that shuts down": Failure(
        "This instance is shutting down.", 6, settings={"DRAIN_SECONDS": 300}, situation="draining"
    ),
}
FAILURES = {**FINAL, **PASSING, **LASTING}
