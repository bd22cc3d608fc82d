"""What the doctor concludes from what it has seen."""

import json
from typing import Any

import pytest

from app.doctor.asking import Reply
from app.doctor.catalogue import TROUBLES
from app.doctor.chat import ChatStream, read_stream
from app.doctor.credentials import check_key_form
from app.doctor.deployment import Deployment, Wishes
from app.doctor.examination import CHECKS
from app.doctor.finding import trouble
from app.doctor.place import check_address, is_private
from app.doctor.reading import RETRIED
from app.doctor.streams import judge_pace
from app.doctor.tools import is_call
from app.errors import MissingOrInvalidKey
from app.keys.new_key import make_key


def deployment(**wishes: Any) -> Deployment:
    return Deployment(Wishes(**{"url": "https://gateway.example", "key": "sk-1", **wishes}), tell=print)


def test_a_check_needs_only_what_was_looked_at_before() -> None:
    names = [check.name for check in CHECKS]

    assert len(set(names)) == len(names)
    for number, check in enumerate(CHECKS):
        assert set(check.needs) <= set(names[:number])


@pytest.mark.parametrize("code", TROUBLES)
def test_a_trouble_is_one_sentence_and_its_mending_another(code: str) -> None:
    for text in (TROUBLES[code].what, TROUBLES[code].fix):
        assert text[0].isupper() or text.startswith("vLLM")
        assert text[-1] in ".}"
        assert ". " not in text


FRESH = make_key()[0]
FORMS = {
    "key_empty": ["", " \n"],
    "key_quoted": ['"sk-1"', "sk-1’", "'sk-1"],
    "key_line_end": ["sk-1\r\n", "\nsk-1"],
    "key_blank": ["sk-1 ", "\tsk-1"],
    "key_malformed": ["sk 1", "sk-é", "sk\x001", "sk\n1"],
    "key_placeholder": ["$API_KEY", "{env:VLLM_API_KEY}", "%KEY%", "Bearer sk-1", "sk-…", "sk-...", "<key>"],
    "key_is_token": ["eyJhbGciOi.eyJpc3MiOi.c2ln"],
    "key_incomplete": [FRESH[:-1], FRESH + "x"],
    "": [FRESH, "sk-abc123", "a", "ey.b"],
}
ADDRESSES = {
    "": ["https://gateway.example", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost/v1"],
    "clear_text": ["http://8.8.8.8", "http://gateway.example", "http://[2600::1]"],
    "clear_text_private": [
        "http://10.1.2.3",
        "http://gateway",
        "http://100.100.1.2:8080",
        "http://box.local",
    ],
    "address_invalid": ["https://gateway.example?x", "https://a b", "https://a:99999", "https://u@a"],
}


@pytest.mark.parametrize("code", FORMS)
def test_the_form_of_a_key_is_judged_without_sending_it(code: str) -> None:
    assert [check_key_form(deployment(key=key)).code for key in FORMS[code]] == [code] * len(FORMS[code])


@pytest.mark.parametrize("code", ADDRESSES)
def test_an_address_is_judged_by_who_could_read_the_key(code: str) -> None:
    assert {check_address(deployment(url=url)).code for url in ADDRESSES[code]} == {code}


def test_a_public_name_is_not_private() -> None:
    assert not is_private("example.com")
    assert is_private("fd00::1")


# How events come: the same 40 events, over a second


PACES = {
    "one by one": ([0.3 + i / 50 for i in range(40)], ""),
    "two tokens at a time": ([0.3 + i // 2 / 25 for i in range(40)], ""),
    "after a long wait, and fast": ([5 + i * 0.002 for i in range(40)], ""),
    "with a stall in the network": ([0.3 + i / 50 for i in range(20)] + [1.0] * 20, ""),
    "all in one read": ([1.1] * 40, "stream_buffered"),
    "all at once, in many reads": ([1.1 + i * 0.00005 for i in range(40)], "stream_buffered"),
    "in blocks": ([0.3 + i // 16 * 0.3 for i in range(40)], "stream_buffered"),
    "all at once, but too fast to tell": ([0.1] * 40, ""),
    "hardly any": ([0.5, 0.5, 0.5], "stream_too_short"),
    "none": ([], "stream_too_short"),
}


@pytest.mark.parametrize("pace", PACES)
def test_buffering_is_told_from_the_pace_of_events(pace: str) -> None:
    arrivals, code = PACES[pace]

    assert judge_pace(ChatStream(asked_at=0.0, arrivals=arrivals)).code == code


def test_an_event_arrives_with_its_last_byte() -> None:
    event = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
    reply = Reply(0.0, 200, pieces=[(1.0, event + event[:9]), (2.0, event[9:]), (3.0, b"data: [DONE]\n\n")])

    stream = read_stream(reply)

    assert (stream.arrivals, stream.text, stream.is_done) == ([1.0, 2.0], "HiHi", True)


def test_a_call_is_put_together_from_its_pieces() -> None:
    pieces: list[dict[str, Any]] = [
        {"index": 0, "id": "c1", "function": {"name": "read_file", "arguments": '{"pa'}},
        {"index": 0, "function": {"arguments": 'th": "x"}'}},
    ]
    stream = ChatStream()
    for piece in pieces:
        stream.take(json.dumps({"choices": [{"delta": {"tool_calls": [piece]}}]}).encode(), 0.0)

    (call,) = stream.calls.values()
    assert (call.call_id, call.name, call.arguments) == ("c1", "read_file", '{"path": "x"}')


CALL = '{"name": "read_file", "arguments": {"path": "README.md"}}'


CALLS = {
    "hermes": f"<tool_call>\n{CALL}\n</tool_call>",
    "mistral": f"[TOOL_CALLS][{CALL}]",
    "llama": f"\n{CALL.replace('arguments', 'parameters')} ",
    "llama's other": f"<|python_tag|>{CALL}",
    "qwen3_coder": "<function=read_file>\n<parameter=path>\nREADME.md\n</parameter>\n</function>",
    "deepseek": '<｜tool▁call▁begin｜>function<｜tool▁sep｜>read_file\n```json\n{"path": "README.md"}\n```',
}
TALK = [
    "",
    "I call read_file.",
    f"Such as {CALL}.",
    "<tool_call> is what I use.",
    '<tool_call>{"name": "read_file", ',
    '{"name": "write_file", "arguments": {}}',
    '{"name": "read_file"}',
    "[1]",
    "<tool_call>read_file" + '{"a":' * 50_000,
]


@pytest.mark.parametrize("family", CALLS)
def test_a_call_in_the_text_is_seen(family: str) -> None:
    assert is_call(CALLS[family])


@pytest.mark.parametrize("text", TALK, ids=range(len(TALK)))
def test_talk_of_a_tool_is_no_call(text: str) -> None:
    assert not is_call(text)


def test_the_gateways_own_refusal_is_not_one_to_repeat() -> None:
    assert not RETRIED.search(MissingOrInvalidKey.message)
    assert RETRIED.search("Key sk-14290 is not known")


def test_what_a_server_says_is_cut_cleaned_and_without_secrets() -> None:
    examined = deployment(key=" sk-secret ", identity_token="ey.very.private")
    told = examined.quote("\x1b[31mThe key\nsk-secret and ey.very.private {x}" + "y" * 500)

    assert told.startswith("[31mThe key … and … {x}yyy")
    assert len(told) == 160


def test_braces_in_what_is_filled_in_stay_as_they_are() -> None:
    assert "{0}" in trouble("model_unknown", wish="{0}", names="{x}").text
