"""Whatever is logged is one line, and no more than text."""

import json
import logging

import pytest

from app.logs import JsonFormatter, RequestRecord, TextFormatter, clean

KEY = "sk-unit-0123456789abcdef"
ODD = {
    "CR LF": "a\r\nb", "NUL": "a\0b", "colour": "\x1b[31mb", "C1": "a\x9b2Jb", "NEL": "a\x85b",
    "DEL": "a\x7fb", "line separator": "a\u2028b", "paragraph separator": "a\u2029b",
    "right to left": "a\u202eb", "isolate": "a\u2066b", "surrogate": "a\ud800b", "surrogates": "\udcff\udcfe",
    "tab": "a\tb",
}  # fmt: skip
UNWANTED = set("\r\n\0\x1b\x9b\x85\x7f\u2028\u2029\u202e\u2066\ud800\udcff\udcfe\t")


def record_of(**fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "test", "levelno": 20, "levelname": "INFO", "msg": "told", **fields}
    )


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_what_is_cleaned_has_no_odd_character(value: str) -> None:
    assert not UNWANTED & set(str(clean(value)))


def test_what_is_cleaned_is_cut() -> None:
    assert clean("x" * 10_000) == "x" * 200
    assert clean(None) is None
    assert clean("Qwen/Qwen3-8B é 模型 😀") == "Qwen/Qwen3-8B é 模型 😀"


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_a_line_of_text_is_one_line_whatever_a_field_holds(value: str) -> None:
    formatter = TextFormatter("%(message)s")

    line = formatter.format(record_of(reason=value, model=value, problems=[value, value]))

    assert line.startswith("told ")
    assert not UNWANTED & set(line)


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("m complete 0.1", "'m complete 0.1'"),
        ("'m'", '''"'m'"'''),
        ('"m"', """'"m"'"""),
        ("a\u00a0b", r"'a\xa0b'"),
        ("", "''"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("模型", "模型"),
    ],
)
def test_a_text_is_one_field_of_a_line_of_text(model: str, shown: str) -> None:
    line = TextFormatter("%(message)s").format(record_of(status=200, model=model, outcome="complete"))

    assert line == f"told 200 {shown} complete"


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_a_line_of_json_is_one_line_whatever_a_field_holds(value: str) -> None:
    formatter = JsonFormatter("%(levelname)s %(message)s")

    line = formatter.format(record_of(reason=value, problems=[value, value]))

    content = json.loads(line.encode())
    assert not set("\r\n\0\x1b\t\ud800\udcff") & set(line)
    assert content["reason"] == content["problems"][0]
    assert len(content["reason"]) == len(value)


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_every_field_of_a_request_that_a_client_chooses_is_cleaned(value: str) -> None:
    long = value + "x" * 1000
    record = RequestRecord(
        client_request_id=long, peer=long, method=long, key_name=long, key_id=long, model=long
    )

    values = [value for value in record.fields().values() if isinstance(value, str)]

    assert sum("xxx" in value for value in values) == 6
    assert not [value for value in values if len(value) > 200 or UNWANTED & set(value)]


def test_a_key_in_a_field_that_is_logged_is_not_shown() -> None:
    record = RequestRecord(client_request_id=f"id {KEY}", peer=KEY, model=KEY, method="GET")

    assert KEY not in str(record.fields())
    assert record.fields()["client_request_id"] == "id ?"


@pytest.mark.parametrize("offset", range(180, 200))
def test_a_key_at_the_cut_shows_nothing_of_itself(offset: int) -> None:
    assert clean("x" * (offset - 1) + " " + KEY) == "x" * (offset - 1) + " ?"


def test_what_is_no_key_is_shown() -> None:
    assert clean("disk-0123456789abcdef, 10.0.0.1") == "disk-0123456789abcdef, 10.0.0.1"
