"""Every setting of the gateway, read from the environment once."""

import os
import re
import shlex
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Workers = Annotated[int, Meta(ge=1, le=256)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Project = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.:-]{0,62}$")]
SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
ModelName = Annotated[str, Meta(pattern=r"^[^-\s]\S*$", max_length=200)]
Bytes = Annotated[int, Meta(ge=1, le=2**31)]
Cap = Annotated[int, Meta(ge=1, le=2**31 - 1)]

USERINFO = re.compile(r"//[^/]*@")
HOSTNAME = re.compile(r"[\w.:%-]+", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # urlsplit drops some of them without a word
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_SOCKET_PATH_BYTES = 107  # sun_path of Linux, less its NUL

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
    "MODEL_PATH": "the path of a folder with the model's weights",
    "MAX_MODEL_LEN": "a whole number of tokens from 1 to 100000000",
    "VLLM_EXTRA_ARGS": "arguments as a shell would split them, with every quote closed",
    "ALLOWED_FIELDS": "names of refused fields, separated by commas",
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
    upstream_hang_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    log_format: Literal["json", "text"] = "json"
    model_name: ModelName = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
    model_path: str | None = None
    max_model_len: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
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


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings; an empty value counts as unset.

    Raises SettingsError with one sentence that names the variable, its value and what is expected.
    """
    names = Settings.__struct_encode_fields__
    given = {name: environ[name].strip() for name in names if environ.get(name, "").strip()}
    for name, value in given.items():
        _check_alone(name, value)
    settings = msgspec.convert(given, Settings, strict=False)
    _check_upstream(settings.vllm_base_url)
    if settings.max_buffered_bytes < settings.max_request_bytes:
        raise _refusal("MAX_BUFFERED_BYTES", str(settings.max_buffered_bytes))
    _check_endpoint(settings.secret_manager_endpoint)
    _check_model(settings)
    return settings


def _check_alone(name: str, value: str) -> None:
    try:
        msgspec.convert({name: value}, Settings, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter for bytes that are no UTF-8
        raise _refusal(name, value) from None


def _split(name: str, url: str) -> SplitResult:
    """An address: nobody's name in it, a port that can be, and no more behind it than a path."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise _refusal(name, url) from None
    is_more = parts.query or parts.fragment or "@" in parts.netloc or CONTROL.search(url)
    if not port_is_valid or is_more:
        raise _refusal(name, url)
    return parts


def _is_server(parts: SplitResult) -> bool:
    has_name = HOSTNAME.fullmatch(parts.hostname or "") is not None
    return parts.scheme in ("http", "https") and has_name and parts.path in ("", "/")


def _check_upstream(url: str) -> None:
    parts = _split("VLLM_BASE_URL", url)
    fits = 1 < len(os.fsencode(parts.path)) <= MAX_SOCKET_PATH_BYTES
    is_socket = parts.scheme == "unix" and not parts.netloc and fits
    if not (is_socket or _is_server(parts)):
        raise _refusal("VLLM_BASE_URL", url)


def _check_endpoint(url: str | None) -> None:
    """Keys come from there, so in clear text only from this machine."""
    if url is None:
        return
    parts = _split("SECRET_MANAGER_ENDPOINT", url)
    if not _is_server(parts) or (parts.scheme == "http" and parts.hostname not in LOOPBACK):
        raise _refusal("SECRET_MANAGER_ENDPOINT", url)


def _check_model(settings: Settings) -> None:
    if settings.model_path is not None and not os.path.isdir(settings.model_path):
        raise _refusal("MODEL_PATH", settings.model_path)
    try:
        shlex.split(settings.vllm_extra_args)
    except ValueError:
        raise _refusal("VLLM_EXTRA_ARGS", settings.vllm_extra_args) from None


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
    value = USERINFO.sub("//…@", value[:200])
    return SettingsError(f"{name}={value!r} is not valid: expected {_expected(name)}.")


def _expected(name: str) -> str:
    if isinstance(getattr(Settings(), name.lower()), bool):
        return "true or false"
    return EXPECTED.get(name, CAP_EXPECTED if name.startswith("MAX_") else SECONDS_EXPECTED)
