"""Of what the upstream tells of itself, only what is wanted comes through, whatever it sends."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from app.metrics.views import Families
from app.metrics.vllm import FAMILY_OF, LABELS, MAX_SAMPLES, TYPES, read_families
from tests.fake_metrics import METRICS

RUNNING = "vllm:num_requests_running"
NAMES = [*FAMILY_OF, *TYPES, "vllm:cache_config_info", "python_info", "vllm:", ""]
LABEL_NAMES = [*LABELS, "root", "path", "__name__", "", "a b"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["/etc/passwd", "0.5", "+Inf", '"']
)
PAIRS = st.lists(st.tuples(st.sampled_from(LABEL_NAMES), TEXTS), max_size=4)
NUMBERS = st.floats().map(str) | TEXTS | st.integers().map(str)


def sample_line(name: str, pairs: list[tuple[str, str]], value: str) -> str:
    labels = ",".join(f'{key}="{text}"' for key, text in pairs)
    return f"{name}{{{labels}}} {value}"


LINES = (
    st.builds(sample_line, st.sampled_from(NAMES), PAIRS, NUMBERS)
    | st.builds("# {} {} {}".format, st.sampled_from(["HELP", "TYPE", "EOF"]), st.sampled_from(NAMES), TEXTS)
    | TEXTS
    | st.sampled_from(METRICS.splitlines())
)


def read(text: str) -> str:
    return generate_latest(Families(read_families(text, lambda: None))).decode()


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value  # type: ignore[arg-type]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(st.lists(LINES, max_size=30).map("\n".join))
def test_whatever_comes_in_what_goes_out_can_be_read_and_holds_only_what_is_wanted(text: str) -> None:
    out = read(text)

    families = list(text_string_to_metric_families(out))
    assert {family.name for family in families} <= {
        name.removesuffix("_total") if kind == "counter" else name for name, kind in TYPES.items()
    }
    labels = [pair for family in families for sample in family.samples for pair in sample.labels.items()]
    assert {name for name, _ in labels} <= LABELS
    assert not [value for _, value in labels if value.startswith(("/", "~"))]
    parse_openmetrics(openmetrics.generate_latest(Families(read_families(text, lambda: None))).decode())


@given(st.text())
def test_text_of_no_form_at_all_breaks_nothing(text: str) -> None:
    assert read(text) == "" or "vllm:" in text


def test_what_vllm_tells_comes_through_with_its_texts() -> None:
    out = read(METRICS)

    told = samples(METRICS)
    assert samples(out) == {key: value for key, value in told.items() if key[0] in FAMILY_OF}
    assert set(re.findall(r"# TYPE (\S+) (\S+)", out)) == {
        (name + "_total" if kind == "counter" else name, kind) for name, kind in TYPES.items()
    }
    assert f"# HELP {RUNNING} Text of num_requests_running." in out


@pytest.mark.parametrize(
    "line",
    [
        f"{RUNNING} x",
        f"{RUNNING} 1 2 3",
        f'{RUNNING}{{engine="0"',
        f'{RUNNING}{{engine="0",engine="1"}} 1',
        f'{RUNNING}{{engine="a\\"b"}} 1',
        f'{RUNNING}{{le="0.5"}} 1',
        'vllm:iteration_tokens_total_bucket{engine="0"} 1',
        'vllm:iteration_tokens_total_bucket{le="x"} 1',
        f'{RUNNING}{{engine="{5000 * "a"}"}} 1',
        f"{RUNNING}_bucket 1",
        f"{RUNNING} 0x10",
        f"{RUNNING} 1_000",
        f"{RUNNING}\t1",
        'vllm:lora_requests_info{running_lora_adapters="secret"} 1',
    ],
)
def test_a_line_of_another_form_is_left_out(line: str) -> None:
    assert read(line) == ""


@pytest.mark.parametrize("value", ["/models/x", "~/x", "./x", "C:\\x", "file:///x"])
def test_a_path_in_a_models_name_is_hidden(value: str) -> None:
    out = read(f'{RUNNING}{{model_name="{value}",engine="0"}} 1')

    assert "x" not in out.replace("max", "")
    assert "\\" in value or 'model_name="hidden"' in out


def test_a_sample_counts_once_and_there_are_so_many_of_them() -> None:
    assert samples(read(f"{RUNNING} 1\n{RUNNING} 2\n")) == {(RUNNING,): 1}
    many = "\n".join(f'{RUNNING}{{engine="{number}"}} 1' for number in range(MAX_SAMPLES + 5))
    assert len(samples(read(many))) == MAX_SAMPLES


def test_a_long_text_is_read_in_turns_with_others() -> None:
    turns: list[int] = []

    read_families("x\n" * 10_000, lambda: turns.append(1))

    assert len(turns) == 500
