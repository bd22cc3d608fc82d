"""A request's line as Google's Cloud Logging reads it: labels, service and revision, and its trace."""

import logging
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cloud_log import CloudLog, parse_labels
from app.logs import RequestRecord
from app.request_log import RequestLog
from app.settings import Settings, load_settings
from app.trace_context import TraceContext

LABELS = "logging.googleapis.com/labels"
TRACE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", flags=1)
COST = "application=vllm-inference,environment=production,team=ml-platform,cost-center=engineering"
FIRST = string.ascii_lowercase
REST = FIRST + string.digits + "_-"
NAMES = st.builds(str.__add__, st.sampled_from(FIRST), st.text(REST, max_size=62))
VALUES = st.text(REST, max_size=63)


def test_the_cost_labels_stand_beside_service_and_revision() -> None:
    settings = Settings(log_labels=COST, k_service="vllm", k_revision="vllm-00007-abc")

    assert CloudLog(settings).fields(None) == {
        LABELS: {
            "application": "vllm-inference",
            "environment": "production",
            "team": "ml-platform",
            "cost-center": "engineering",
            "service": "vllm",
            "revision": "vllm-00007-abc",
        }
    }


def test_without_labels_a_line_has_no_field_for_them() -> None:
    assert CloudLog(Settings()).fields(None) == {}


def test_the_trace_is_named_as_one_of_the_project() -> None:
    fields = CloudLog(Settings(gcp_project="my-project")).fields(TRACE)

    assert fields == {
        "logging.googleapis.com/trace": "projects/my-project/traces/4bf92f3577b34da6a3ce929d0e0e4736",
        "logging.googleapis.com/spanId": "00f067aa0ba902b7",
        "logging.googleapis.com/trace_sampled": True,
    }


@pytest.mark.parametrize(("flags", "expected"), [(0, False), (1, True), (2, False), (3, True)])
def test_a_trace_is_sampled_where_its_first_flag_says_so(flags: int, expected: bool) -> None:
    trace = TraceContext(TRACE.trace_id, TRACE.span_id, flags)

    fields = CloudLog(Settings(gcp_project="p")).fields(trace)

    assert fields["logging.googleapis.com/trace_sampled"] is expected


def test_without_a_project_a_trace_has_no_name() -> None:
    assert CloudLog(Settings(log_labels="team=a")).fields(TRACE) == {LABELS: {"team": "a"}}


def test_every_line_of_a_request_has_the_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.request")
    log = RequestLog(Settings(log_labels="team=a", gcp_project="p"))

    log.write(RequestRecord(status=200, route="/v1/models", key_name="k", trace=TRACE))

    (line,) = caplog.records
    assert vars(line)[LABELS] == {"team": "a"}
    assert vars(line)["logging.googleapis.com/trace"].startswith("projects/p/traces/")
    assert vars(line)["trace_id"] == TRACE.trace_id


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=10))
def test_what_is_written_as_labels_is_read_as_them(labels: dict[str, str]) -> None:
    text = ",".join(f"{name}={value}" for name, value in labels.items())

    settings = load_settings({"LOG_LABELS": text})

    assert parse_labels(settings.log_labels) == labels
