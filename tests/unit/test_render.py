"""The service definition is filled in with exactly what was given, or refused in one sentence."""

import re
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.render import BOUNDS, RULES, TEMPLATE, Refused, render
from tests.cloud_files import DIGEST, render_environ

GOOD = render_environ()
TEXT = TEMPLATE.read_text()
NUMBERS = {
    "CONCURRENCY",
    "TIMEOUT_SECONDS",
    "STARTUP_FAILURES",
}  # the rest are texts, as Cloud Run wants them
NAMES = set(string.Template(TEXT).get_identifiers())

REFUSED = {
    "SERVICE": ["", "Upper", "1st", "ends-", "a" * 50, "two words"],
    "PROJECT": ["", "UPPER", "short", "a'b-project", "domain.example:project"],
    "IMAGE": ["", "vllm/vllm-openai:latest", f"x@{DIGEST}0", f"x@{DIGEST[:-1]}", f"x y@{DIGEST}",
              f"x@{DIGEST}\n"],
    "APPLICATION": ["", "Vllm", "a" * 64, "a'b", 'a"b', "a\nb", "a=b", "a,b", "ä"],
    "INVOKER_IAM_DISABLED": ["", "True", "yes"],
    "CPU": ["0", "0.5", "-8", "8000m"],
    "MEMORY": ["32", "32GB", "0Gi"],
    "MIN_INSTANCES": ["", "-1", "1.0", "01", "1001", "٣"],
    "MAX_INSTANCES": ["0", "1001"],
    "CONCURRENCY": ["0", "1001"],
    "TIMEOUT_SECONDS": ["59", "3601", "3600s"],
    "STARTUP_SECONDS": ["0", "1801"],
    "MAX_MODEL_LEN": ["0", "auto", "8k"],
    "MODEL_NAME": ["", "-x", "a b", "a'b", "a\nb"],
    "MODEL_PATH": ["", "model", "s3://bucket/x", "/a b", "/a'b"],
    "VLLM_EXTRA_ARGS": ["--a\n--b", "\x00", "--name=ü", "\u2028", "\x7f"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values]
)
def test_what_breaks_a_rule_is_refused_in_a_sentence_that_names_it(name: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        render(TEXT, {**GOOD, name: value})

    assert re.fullmatch(rf"{name}=.* is not valid: expected [^\n]+\.", str(refused.value))


@pytest.mark.parametrize("name", RULES)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(Refused, match=rf"\A{name} is not set\.\Z"):
        render(TEXT, {each: value for each, value in GOOD.items() if each != name})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"MIN_INSTANCES": "4"}, "MAX_INSTANCES=3 is below MIN_INSTANCES=4."),
        (
            {"MAX_NUM_SEQS": "41"},
            "CONCURRENCY=40 is below MAX_NUM_SEQS=41, so the GPU could never be full.",
        ),
        ({"STARTUP_SECONDS": "601"}, "STARTUP_SECONDS=601 is no multiple of 10, the period of the probe."),
    ],
)
def test_values_that_do_not_fit_together_are_refused(changed: dict[str, str], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        render(TEXT, {**GOOD, **changed})

    assert str(refused.value) == sentence


@pytest.mark.parametrize("name", ["MIN_INSTANCES", "MAX_NUM_SEQS"])
def test_as_much_as_the_limit_is_taken(name: str) -> None:
    limit = {"MIN_INSTANCES": "MAX_INSTANCES", "MAX_NUM_SEQS": "CONCURRENCY"}[name]

    assert render(TEXT, {**GOOD, name: GOOD[limit]})


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        render(TEXT, {**GOOD, "TEAM": "", "CPU": "0"})

    assert [line.partition("=")[0] for line in str(refused.value).splitlines()] == ["TEAM", "CPU"]


def test_every_rule_is_of_a_name_in_the_template() -> None:
    derived = {"STARTUP_FAILURES", "REQUEST_DEADLINE_SECONDS"}

    assert RULES.keys() - {"STARTUP_SECONDS"} == NAMES - derived


@pytest.mark.parametrize("template", ["a: ${NOBODY}", "a: $5", "a: ${"])
def test_a_template_with_another_dollar_is_refused(template: str) -> None:
    with pytest.raises(Refused, match="no name of a value"):
        render(template, GOOD)


def expected(node: Any, values: dict[str, str]) -> Any:
    """The template as YAML loads it, with the values in its leaves: what no quoting can disturb."""
    if isinstance(node, dict):
        return {name: expected(each, values) for name, each in node.items()}
    if isinstance(node, list):
        return [expected(each, values) for each in node]
    if not isinstance(node, str):
        return node
    filled = string.Template(node).substitute(values)
    return int(filled) if node.strip("${}") in NUMBERS else filled


def check(environ: dict[str, str]) -> None:
    """What passes loads back to exactly the values."""
    try:
        text = render(TEXT, environ)
    except Refused:
        return
    derived = {
        "STARTUP_FAILURES": str(int(environ["STARTUP_SECONDS"]) // 10),
        "REQUEST_DEADLINE_SECONDS": str(int(environ["TIMEOUT_SECONDS"]) - 10),
    }
    assert yaml.safe_load(text) == expected(yaml.safe_load(TEXT), {**environ, **derived})


allowed = {name: st.from_regex(pattern, fullmatch=True) for name, (pattern, _) in RULES.items()}
allowed |= {name: st.integers(*bounds).map(str) for name, bounds in BOUNDS.items()}
allowed["STARTUP_SECONDS"] = st.integers(1, 180).map(lambda tens: str(tens * 10))


@given(st.fixed_dictionaries(allowed))
def test_whatever_passes_loads_back_to_exactly_what_was_given(environ: dict[str, str]) -> None:
    check(environ)


@given(
    st.sampled_from(sorted(RULES)),
    st.text(st.sampled_from([*"'\"\\{}[]:,#&*!|>%@`$ -?\n\r\t\x00\x85\u2028aA1/"])),
)
def test_no_text_can_be_more_than_a_value(name: str, text: str) -> None:
    check({**GOOD, name: text})


@pytest.mark.parametrize("text", ["--a '{\"b\": 1}'", "it''s", "'", "- x: y # z", "${TEAM}", "$$", " "])
def test_arguments_with_quotes_arrive_as_they_are(text: str) -> None:
    loaded = yaml.safe_load(render(TEXT, {**GOOD, "VLLM_EXTRA_ARGS": text}))
    (container,) = loaded["spec"]["template"]["spec"]["containers"]

    assert {"name": "VLLM_EXTRA_ARGS", "value": text} in container["env"]


def run(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The program as it is started, with the standard library alone."""
    command = [sys.executable, "-I", "-S", str(TEMPLATE.with_name("render.py")), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True)


def test_the_program_prints_the_definition() -> None:
    ran = run(GOOD)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == render(TEXT, GOOD)


def test_the_program_prints_nothing_but_the_reasons_where_it_refuses(tmp_path: Path) -> None:
    ran = run({**GOOD, "TEAM": "ML"})

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("render: TEAM='ML' is not valid: expected a label")


def test_another_template_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("name: '${SERVICE}'\n")

    assert run(GOOD, str(tmp_path / "other.yaml")).stdout == f"name: '{GOOD['SERVICE']}'\n"
