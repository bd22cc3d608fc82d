"""Settings are read once, typed, and refused in one sentence."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings, SettingsError, check_key_source, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def keys_file(tmp_path: Path) -> str:
    file = tmp_path / "keys.json"
    file.write_text("{}")
    return str(file)


def test_defaults_are_those_of_the_contract(keys_file: str) -> None:
    settings = load_settings({"API_KEYS_FILE": keys_file})

    assert (settings.port, settings.host, settings.web_concurrency) == (8080, "127.0.0.1", 2)
    assert settings.vllm_base_url == "http://127.0.0.1:8000"
    assert settings.drain_seconds == 7
    assert settings.max_request_bytes == 20 * 1024 * 1024


@pytest.mark.parametrize(
    "value", ["Bearer secret-1", "a=secret-1,b", "a b=secret-1", 'a="secret-1"', "a=secret-1\\"]
)
def test_fields_with_a_credential_are_refused_without_a_word_of_them(value: str) -> None:
    with pytest.raises(
        SettingsError, match="^OTEL_EXPORTER_OTLP_HEADERS='…' is not valid: expected name=value"
    ):
        load_settings({"OTEL_EXPORTER_OTLP_HEADERS": value})


@pytest.mark.parametrize("place", ["gs://bucket/folder", "gs://bucket", "gs://my.bucket_1/a/b/"])
def test_a_model_may_lie_in_a_bucket(place: str) -> None:
    assert load_settings({"MODEL_PATH": place}).model_path == place


def test_a_model_may_lie_in_a_folder(tmp_path: Path) -> None:
    assert load_settings({"MODEL_PATH": str(tmp_path)}).model_path == str(tmp_path)


@pytest.mark.parametrize("value", ["api-key=x", "Authorization=Basic dTpw==,x-y=a%2Cb", "a="])
def test_fields_for_a_collector_are_names_and_values(value: str) -> None:
    assert load_settings({"OTEL_EXPORTER_OTLP_HEADERS": value}).otel_exporter_otlp_headers == value


def test_an_empty_value_counts_as_unset(keys_file: str) -> None:
    assert load_settings({"API_KEYS_FILE": keys_file, "PORT": " "}).port == 8080


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "0"), ("PORT", "70000"), ("PORT", "8080.5"), ("WEB_CONCURRENCY", "-1"),
     ("DRAIN_SECONDS", "nan"), ("DRAIN_SECONDS", "inf"), ("STREAM_IDLE_TIMEOUT_SECONDS", "0"),
     ("MAX_REQUEST_BYTES", "20MB"),
     ("LOG_FORMAT", "JSON"), ("TRUSTED_PROXY_HOPS", "one"), ("VLLM_BASE_URL", "localhost:8000"),
     ("VLLM_BASE_URL", "http://h/v1"), ("VLLM_BASE_URL", "http://h:port"),
     ("VLLM_BASE_URL", "unix:///" + "p" * 107),
     ("VLLM_BASE_URL", "unix://relative"), ("VLLM_BASE_URL", "http://"),
     ("VLLM_BASE_URL", "http://[::1"), ("MODEL_PATH", "/no/such/folder"), ("MODEL_PATH", "gs://B/m"),
     ("MODEL_PATH", "gs://"), ("MODEL_PATH", "gs://bucket//m"), ("MODEL_PATH", "s3://bucket/m"),
     ("MODEL_PATH", "gs://bucket/a?b"), ("MODEL_PATH", "gs://bucket/a b"),
     ("LOG_LABELS", "team"), ("LOG_LABELS", "Team=a"), ("LOG_LABELS", "team=A"), ("LOG_LABELS", "team=a,"),
     ("LOG_LABELS", "team=a, b=c"), ("LOG_LABELS", "1=a"), ("LOG_LABELS", "team=" + "a" * 64),
     ("LOG_LABELS", "team=a\nb=c"), ("K_SERVICE", "a b"), ("K_REVISION", "a\"b"), ("MAX_NUM_SEQS", "0"),
     ("VLLM_BASE_URL", "http://a b"), ("VLLM_BASE_URL", "http://h\tx"), ("VLLM_BASE_URL", "http://\x7fh"),
     ("VLLM_BASE_URL", "http://\u2177"), ("VLLM_BASE_URL", "http://\udcff"), ("PORT", "80\udcff"),
     ("SECRET_MANAGER_ENDPOINT", "https://a b"),
     ("MODEL_NAME", "-x"), ("MODEL_NAME", "a b"),
     ("MAX_MODEL_LEN", "0"), ("MAX_MODEL_LEN", "32k"), ("WARM_UP", "perhaps"),
     ("TRUST_REMOTE_CODE", "2"), ("ALLOW_OLD_VLLM", "0.31"),
     ("VLLM_EXTRA_ARGS", "--x 'y"), ("LAUNCHED_AT", "now"), ("GCP_PROJECT", "My Project"),
     ("API_KEYS_SECRET_NAME", "a/b"), ("SECRET_MANAGER_ENDPOINT", "http://secrets.example"),
     ("SECRET_MANAGER_ENDPOINT", "http://[::1"), ("SECRET_MANAGER_ENDPOINT", "https://h:99999"),
     ("SECRET_MANAGER_ENDPOINT", "https://h:x"), ("SECRET_MANAGER_ENDPOINT", "https://h#x"),
     ("SECRET_MANAGER_ENDPOINT", "https://h/v1"), ("SECRET_MANAGER_ENDPOINT", "https://h?x"),
     ("SECRET_MANAGER_ENDPOINT", "secretmanager.googleapis.com"),
     ("CORS_ALLOWED_ORIGINS", "chat.example"), ("CORS_ALLOWED_ORIGINS", "https://chat.example/"),
     ("CORS_ALLOWED_ORIGINS", "https://chat.example,"), ("CORS_ALLOWED_ORIGINS", "https://Chat.example"),
     ("CORS_ALLOWED_ORIGINS", "https://chat.example:443"), ("CORS_ALLOWED_ORIGINS", "http://h:80"),
     ("CORS_ALLOWED_ORIGINS", "*, https://chat.example"), ("CORS_ALLOWED_ORIGINS", "https://*.example"),
     ("CORS_ALLOWED_ORIGINS", "null"), ("CORS_ALLOWED_ORIGINS", "file://"), ("CORS_ALLOWED_ORIGINS", ","),
     ("CORS_ALLOWED_ORIGINS", "https://a b"),
     ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h?x"),
     ("OTEL_TRACES_SAMPLER", "sometimes"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_is_expected(name: str, value: str, keys_file: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"API_KEYS_FILE": keys_file, name: value})

    text = str(caught.value)
    assert text.startswith(f"{name}={value!r} is not valid: expected ")
    assert "\n" not in text


def test_a_password_in_a_refused_address_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"VLLM_BASE_URL": "http://user:secret@h"})  # pragma: allowlist secret

    assert "http://…@h" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("environ", [{}, {"API_KEYS_FILE": "/no/such/file"}])
def test_nothing_serves_without_a_key_source(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="API_KEYS_FILE"):
        check_key_source(load_settings(environ))


def test_a_command_for_people_needs_no_key_source() -> None:
    assert load_settings({}).api_keys_file is None


def test_the_expectation_names_the_bounds_that_hold(keys_file: str) -> None:
    assert load_settings({"API_KEYS_FILE": keys_file, "STARTUP_HOLD_SECONDS": "0"}).startup_hold_seconds == 0
    with pytest.raises(SettingsError, match="from 0 to 3600"):
        load_settings({"API_KEYS_FILE": keys_file, "STARTUP_HOLD_SECONDS": "3601"})


def test_one_whole_request_has_to_fit_into_what_is_buffered() -> None:
    with pytest.raises(SettingsError, match="MAX_BUFFERED_BYTES"):
        load_settings({"MAX_REQUEST_BYTES": "1000", "MAX_BUFFERED_BYTES": "999"})


def test_usage_is_not_kept_in_the_file_of_the_keys() -> None:
    with pytest.raises(SettingsError, match="USAGE_DATABASE"):
        load_settings({"API_KEYS_FILE": "keys.json", "USAGE_DATABASE": "keys.json"})


@pytest.mark.parametrize("url", ["http://h", "http://h:1/", "https://h.example", "unix:///run/v.sock"])
def test_each_kind_of_upstream_is_accepted(url: str, keys_file: str) -> None:
    assert load_settings({"API_KEYS_FILE": keys_file, "VLLM_BASE_URL": url}).vllm_base_url == url


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost", "http://[::1]:1", "https://h.example/"]
)
def test_keys_may_come_from_this_machine_or_over_tls(url: str) -> None:
    settings = load_settings({"GCP_PROJECT": "p", "SECRET_MANAGER_ENDPOINT": url})

    check_key_source(settings)
    assert settings.secret_manager_endpoint == url


def test_the_readme_lists_exactly_the_settings_with_their_defaults() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]*) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    defaults = {field.upper(): getattr(Settings(), field) for field in Settings.__struct_fields__}

    assert [name for name, _ in rows] == list(defaults)
    for name, shown in rows:
        value = defaults[name]
        assert shown.strip().strip("`") == as_in_the_table(value)


def as_in_the_table(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "–" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)


values = st.binary(max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
likely = st.sampled_from(
    ["1", "0", "-1", "1e3", "true", "json", "unix:///x", "http://[::1]:1", "https://h", "/"]
)
joined = st.lists(values | likely, min_size=1, max_size=3).map("".join)


@given(
    st.dictionaries(st.sampled_from(Settings.__struct_encode_fields__), values | likely | joined, max_size=4)
)
def test_any_environment_is_one_of_a_gateway_or_refused_in_one_sentence(environ: dict[str, str]) -> None:
    refusal = ""
    try:
        load_settings(environ)
    except SettingsError as error:
        refusal = str(error)

    assert not refusal or re.fullmatch(r"[A-Z_]+=.* is not valid: expected .+\.", refusal)


@pytest.mark.parametrize("path", ["/run/\udcff.sock", "/run/with space.sock", "/run/ü.sock"])
def test_a_socket_may_have_any_name(path: str) -> None:
    assert load_settings({"VLLM_BASE_URL": f"unix://{path}"}).vllm_base_url.endswith(path)
