"""One real vLLM for all tests of the run."""

from collections.abc import Iterator

import pytest

from tests.e2e.served import Served


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`make serve`, ready; it ends as a person ends it, while somebody is using it."""
    with Served(tmp_path_factory.mktemp("served")) as running:
        yield running
        running.stop_during_two_streams()
