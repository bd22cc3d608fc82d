"""Every setting of the gateway, read from the environment once."""

import os
import re
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.accounts.place import parse_place
from app.addresses import check_collector, check_key_store, check_model_place, check_upstream
from app.origins import parse_origins

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Workers = Annotated[int, Meta(ge=1, le=256)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Project = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.:-]{0,62}$")]
SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
ModelName = Annotated[str, Meta(pattern=r"^[^-\s]\S*$", max_length=200)]
Bytes = Annotated[int, Meta(ge=1, le=2**31)]
# As OpenTelemetry's library reads it: what it cannot read, it would write into the log.
FIELD = r"[\w!#$%&'*+.^`|~-]+=[ !#-+\--:<-\[\]-~]*"
Fields = Annotated[str, Meta(pattern=rf"(?a)\A{FIELD}(?:,{FIELD})*\Z")]
# As Google Cloud writes labels, so that a line can be joined with a bill.
LABEL = r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}"
Labels = Annotated[str, Meta(pattern=rf"\A{LABEL}(?:,{LABEL}){{0,63}}\Z")]
CloudName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,253}\Z")]
Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
Cap = Annotated[int, Meta(ge=1, le=2**31 - 1)]

# A password may stand anywhere in what was meant as the address of a database: nothing of it is shown.
SECRET = ("OTEL_EXPORTER_OTLP_HEADERS", "USAGE_DATABASE")
USERINFO = re.compile(r"//[^/]*@")
TEXT_CHECKS: dict[str, Callable[[str], object]] = {
    "VLLM_BASE_URL": check_upstream,
    "SECRET_MANAGER_ENDPOINT": check_key_store,
    "CORS_ALLOWED_ORIGINS": parse_origins,
    "OTEL_EXPORTER_OTLP_ENDPOINT": check_collector,
    "USAGE_DATABASE": parse_place,
    "MODEL_PATH": check_model_place,
    "VLLM_EXTRA_ARGS": shlex.split,
}

EXPECTED = {
    "PORT": "a TCP port from 1 to 65535",
    "WEB_CONCURRENCY": "a whole number of workers from 1 to 256",
    "TRUSTED_PROXY_HOPS": "a whole number of proxies, 0 or more",
    "MAX_REQUEST_BYTES": "a whole number of bytes from 1 to 2147483648",
    "MAX_BUFFERED_BYTES": "a whole number of bytes from MAX_REQUEST_BYTES to 2147483648",
    "MAX_CONCURRENT_REQUESTS": "a whole number of requests from 1 to 1000000",
    "UPSTREAM_HANG_SECONDS": "a number of seconds from 0 to 86400",
    "STARTUP_HOLD_SECONDS": "a number of seconds from 0 to 3600",
    "LOG_FORMAT": "json or text",
    "VLLM_BASE_URL": "http://host[:port], https://host[:port] or unix:///path (of at most 107 bytes)",
    "API_KEYS_FILE": "the path of a readable JSON file",
    "GCP_PROJECT": "the id or number of a Google Cloud project",
    "API_KEYS_SECRET_NAME": "the name of a secret: letters, digits, - and _",
    "SECRET_MANAGER_ENDPOINT": "https://host[:port], or http:// on this machine",
    "MODEL_NAME": "a Hugging Face id such as Qwen/Qwen3-8B",
    "MODEL_PATH": "the path of a folder with the model's weights, or gs://bucket/folder",
    "MAX_MODEL_LEN": "a whole number of tokens from 1 to 100000000",
    "MAX_NUM_SEQS": "a whole number of requests from 1 to 100000",
    "VLLM_EXTRA_ARGS": "arguments as a shell would split them, with every quote closed",
    "ALLOWED_FIELDS": "names of refused fields, separated by commas",
    "CORS_ALLOWED_ORIGINS": "origins as browsers write them, such as https://chat.example or "
    "http://localhost:3000, separated by commas; or * alone",
    "LOG_LABELS": "name=value, separated by commas, in lower-case letters, digits, - and _",
    "K_SERVICE": "the name of a Cloud Run service",
    "K_REVISION": "the name of a Cloud Run revision",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://host[:port] or https://host[:port], perhaps with a path",
    "OTEL_EXPORTER_OTLP_HEADERS": "name=value, separated by commas, with what is special as %2C",
    "OTEL_TRACES_SAMPLER": "always_on, always_off or traceidratio, or one of these behind parentbased_",
    "OTEL_TRACES_SAMPLER_ARG": "a share of all traces from 0 to 1",
    "USAGE_DATABASE": "the path of a file, postgresql://user@host/database or off",
    "GPU_PRICE_PER_HOUR": "an amount of money, 0 or more, such as 0.71",
    "LAUNCHED_AT": "seconds since the epoch",
}
SECONDS_EXPECTED = "a number of seconds above 0, at most 86400"
CAP_EXPECTED = "a whole number from 1 to 2147483647"


class SettingsError(Exception):
    """A setting is missing or has a value that the gateway refuses to start with."""


class Settings(msgspec.Struct, frozen=True, rename="upper"):
    """What the environment says, typed; each field is the variable of the same name in capitals.

    Durations are seconds, sizes are bytes. The README's table explains each one.
    """

    port: Port = 8080
    host: str = "127.0.0.1"
    web_concurrency: Workers = 2
    vllm_base_url: str = "http://127.0.0.1:8000"
    api_keys_file: str | None = None
    gcp_project: Project | None = None
    api_keys_secret_name: SecretName = "vllm-api-keys"  # noqa: S105  a name
    secret_manager_endpoint: str | None = None
    api_keys_refresh_seconds: Seconds = 60.0
    trusted_proxy_hops: Count = 0
    first_byte_timeout_seconds: Seconds = 290.0
    stream_idle_timeout_seconds: Seconds = 300.0
    request_deadline_seconds: Seconds = 3590.0
    client_stall_timeout_seconds: Seconds = 60.0
    drain_seconds: Seconds = 7.0
    startup_hold_seconds: Annotated[float, Meta(ge=0, le=3600)] = 20.0
    max_request_bytes: Bytes = 20 * 1024 * 1024
    max_buffered_bytes: Bytes = 256 * 1024 * 1024
    max_concurrent_requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    max_json_values: Cap = 150_000
    max_output_tokens: Cap | None = None
    max_choices: Cap = 8
    max_messages: Cap = 10_000
    max_prompts: Cap = 64
    max_embedding_inputs: Cap = 2048
    max_tools: Cap = 512
    max_schema_bytes: Cap = 64 * 1024
    max_stop_strings: Cap = 32
    max_logprobs: Cap = 20
    max_logit_bias: Cap = 1024
    allowed_fields: str = ""
    allow_media_urls: bool = False
    cache_isolation: bool = True
    cors_allowed_origins: str = ""
    upstream_hang_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    usage_database: str = "usage.db"
    gpu_price_per_hour: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    log_format: Literal["json", "text"] = "json"
    log_labels: Labels = ""
    k_service: CloudName | None = None
    k_revision: CloudName | None = None
    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_headers: Fields = ""
    otel_service_name: str | None = None
    otel_traces_sampler: Sampler = "parentbased_always_on"
    otel_traces_sampler_arg: Annotated[float, Meta(ge=0, le=1)] = 1.0
    model_name: ModelName = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
    model_path: str | None = None
    max_model_len: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    max_num_seqs: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None
    vllm_extra_args: str = ""
    trust_remote_code: bool = False
    allow_old_vllm: bool = False
    warm_up: bool = False
    model_load_seconds: Seconds = 90.0
    launched_at: Annotated[float, Meta(ge=0)] | None = None


@cache
def process_settings() -> Settings:
    """The settings of this process, read once. Raises SettingsError."""
    return load_settings(os.environ)


@cache
def server_settings() -> Settings:
    """The settings of a gateway that serves, and so has a source of keys.

    Read once: reloading gunicorn's configuration cannot fail on them. Raises SettingsError.
    """
    settings = process_settings()
    check_key_source(settings)
    return settings


def client_key(variable: str = "VLLM_API_KEY") -> str:
    """The key that a command sends to a gateway, as OpenCode does; an empty text when there is none."""
    return os.environ.get(variable, "").strip()


def admin_key() -> str:
    """The key of an administrator's command; the client's where there is no other."""
    return os.environ.get("VLLM_ADMIN_KEY", "").strip() or client_key()


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings; an empty value counts as unset.

    Raises SettingsError with one sentence that names the variable, its value and what is expected.
    """
    names = Settings.__struct_encode_fields__
    given = {name: environ[name].strip() for name in names if environ.get(name, "").strip()}
    for name, value in given.items():
        _check_alone(name, value)
    settings = msgspec.convert(given, Settings, strict=False)
    for name in TEXT_CHECKS.keys() & given.keys():
        _check_text(name, given[name])
    if settings.max_buffered_bytes < settings.max_request_bytes:
        raise _refusal("MAX_BUFFERED_BYTES", str(settings.max_buffered_bytes))
    if given.get("USAGE_DATABASE") and given["USAGE_DATABASE"] == given.get("API_KEYS_FILE"):
        raise _refusal("USAGE_DATABASE", given["USAGE_DATABASE"])
    return settings


def _check_alone(name: str, value: str) -> None:
    try:
        msgspec.convert({name: value}, Settings, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter for bytes that are no UTF-8
        raise _refusal(name, value) from None


def _check_text(name: str, value: str) -> None:
    try:
        TEXT_CHECKS[name](value)
    except ValueError:
        raise _refusal(name, value) from None


def check_key_source(settings: Settings) -> None:
    """Refuse to serve without keys: that is never what was meant. Raises SettingsError."""
    path = settings.api_keys_file
    if path is None and settings.gcp_project is not None:
        return
    if path is None:
        raise SettingsError(
            f"No key source is set: set API_KEYS_FILE to {EXPECTED['API_KEYS_FILE']}, for example one "
            'holding {"my-client": "a long random key"}, or GCP_PROJECT to the project of the secret.'
        )
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise _refusal("API_KEYS_FILE", path)


def _refusal(name: str, value: str) -> SettingsError:
    value = "…" if name in SECRET else USERINFO.sub("//…@", value[:200])
    return SettingsError(f"{name}={value!r} is not valid: expected {_expected(name)}.")


def _expected(name: str) -> str:
    if isinstance(getattr(Settings(), name.lower()), bool):
        return "true or false"
    return EXPECTED.get(name, CAP_EXPECTED if name.startswith("MAX_") else SECONDS_EXPECTED)
