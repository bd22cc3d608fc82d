"""The bounds of numbers and lists in a request, each from both sides."""

from typing import Any

import pytest

from tests.unit.test_policy import CHAT, COMPLETIONS, EMBEDDINGS, INT32, MESSAGES, RESPONSES, refusal, review

BOUNDED = [  # field, path, the lowest and the highest that pass
    ("n", CHAT, 1, 8), ("n", COMPLETIONS, 1, 8), ("best_of", COMPLETIONS, 1, 8),
    ("max_tokens", CHAT, 0, INT32), ("max_completion_tokens", CHAT, 0, INT32),
    ("max_output_tokens", RESPONSES, 0, INT32), ("max_tokens", MESSAGES, 0, INT32),
    ("min_tokens", CHAT, 0, INT32), ("thinking_token_budget", CHAT, -1, INT32),
    ("max_tool_calls", RESPONSES, 0, INT32), ("stream_interval", CHAT, 1, INT32),
    ("truncate_prompt_tokens", EMBEDDINGS, -1, INT32), ("temperature", CHAT, 0, 100),
    ("top_p", CHAT, 0, 1), ("min_p", CHAT, 0, 1), ("top_k", CHAT, -1, INT32),
    ("presence_penalty", CHAT, -2, 2), ("frequency_penalty", CHAT, -2, 2),
    ("repetition_penalty", CHAT, 0, 100), ("length_penalty", CHAT, -100, 100),
    ("seed", CHAT, -(2**63), 2**63 - 1), ("logprobs", COMPLETIONS, 0, 20),
    ("top_logprobs", CHAT, 0, 20), ("top_logprobs", RESPONSES, 0, 20), ("dimensions", EMBEDDINGS, 1, INT32),
]  # fmt: skip


@pytest.mark.parametrize(("field", "path", "low", "high"), BOUNDED)
def test_a_number_may_reach_both_of_its_bounds(field: str, path: str, low: int, high: int) -> None:
    for value in (low, high, None):
        assert review({field: value}, path).drop == frozenset()


@pytest.mark.parametrize(("field", "path", "low", "high"), BOUNDED)
def test_a_number_may_not_go_beyond_either_bound(field: str, path: str, low: int, high: int) -> None:
    for value in (low - 1, high + 1, 10**30, -(10**30), float("1e300")):
        assert refusal({field: value}, path).param == field


@pytest.mark.parametrize("value", [True, "1", "5", [1], {}])
@pytest.mark.parametrize(("field", "path", "_low", "_high"), BOUNDED)
def test_what_a_server_would_coerce_is_no_number(
    field: str, path: str, _low: int, _high: int, value: Any
) -> None:
    assert refusal({field: value}, path).param == field


def test_answers_are_counted_in_whole_numbers() -> None:
    assert refusal({"n": 2.0}).param == "n"
    assert review({"max_tokens": 100.0, "temperature": 0.5}).drop == frozenset()


def test_log_probabilities_of_a_chat_are_on_or_off() -> None:
    assert review({"logprobs": True}).drop == frozenset()


@pytest.mark.parametrize(
    ("field", "usual", "other"),
    [("add_generation_prompt", True, False), ("continue_final_message", False, True),
     ("routed_experts_prompt_start", 0, 1), ("prompt_logprobs", None, 0)],
)  # fmt: skip
def test_a_field_may_say_what_holds_anyway(field: str, usual: Any, other: Any) -> None:
    assert review({field: usual}).drop == frozenset()
    assert refusal({field: other}).param == field


CAPS = [  # setting, field, path, one entry
    ("max_messages", "messages", CHAT, {"role": "user", "content": "a"}),
    ("max_messages", "messages", MESSAGES, {"role": "user", "content": "a"}),
    ("max_messages", "input", RESPONSES, {"role": "user", "content": "a"}),
    ("max_prompts", "prompt", COMPLETIONS, "a"), ("max_prompts", "prompt", COMPLETIONS, [1, 2]),
    ("max_embedding_inputs", "input", EMBEDDINGS, "a"), ("max_embedding_inputs", "input", EMBEDDINGS, [1, 2]),
    ("max_embedding_inputs", "messages", EMBEDDINGS, [{"role": "user", "content": "a"}]),
    ("max_tools", "tools", CHAT, {"type": "function"}), ("max_stop_strings", "stop", CHAT, "a"),
    ("max_stop_strings", "stop_sequences", MESSAGES, "a"),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "field", "path", "entry"), CAPS)
def test_a_list_may_be_as_long_as_its_cap(setting: str, field: str, path: str, entry: Any) -> None:
    assert review({field: [entry] * 3}, path, **{setting: 3}).drop == frozenset()
    assert refusal({field: [entry] * 4}, path, **{setting: 3}).param == field


@pytest.mark.parametrize(("setting", "field", "path", "entry"), CAPS)
def test_what_should_be_a_list_is_no_number_or_object(
    setting: str, field: str, path: str, entry: Any
) -> None:
    for value in (7, {"0": entry}, True):
        assert refusal({field: value}, path).param == field


def test_the_ids_of_a_tokenized_prompt_are_one_prompt() -> None:
    assert review({"prompt": list(range(100))}, COMPLETIONS, max_prompts=1).drop == frozenset()
    assert refusal({"prompt": [1, "a"]}, COMPLETIONS, max_prompts=1).param == "prompt"
    assert refusal({"prompt": [True, True]}, COMPLETIONS, max_prompts=1).param == "prompt"


def test_a_stop_string_is_short() -> None:
    assert review({"stop": "x" * 1024}).drop == frozenset()
    assert refusal({"stop": ["x" * 1025]}).param == "stop"
    assert refusal({"stop": "x" * 1025}).param == "stop"
    assert refusal({"stop": ["x", 1]}).param == "stop"


@pytest.mark.parametrize(
    "value", [[], [1], "x", {"1": "5"}, {"1": 101}, {"1": -101}, {"1": True}, {"1": None}]
)
def test_biases_are_numbers_within_bounds(value: Any) -> None:
    assert refusal({"logit_bias": value}).param == "logit_bias"


def test_biases_are_few() -> None:
    assert review({"logit_bias": {"1": 100, "2": -100}}, max_logit_bias=2).drop == frozenset()
    assert refusal({"logit_bias": {"1": 1, "2": 1, "3": 1}}, max_logit_bias=2).param == "logit_bias"
