"""What the user of the real OpenCode sees of each failure that the gateway can cause; how often it asks."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.failures import FAILURES, Failure
from tests.e2e.situations import Scene, Seen

AT_ONCE, AT_ONCE_WAITING = 2, 5  # starting OpenCode takes both cores; waiting for its retries takes none


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Seen]]]:
    """All of them, a few at a time."""

    def play(failure: Failure, folder: Path) -> Seen:
        with Scene(failure, folder) as scene:
            return scene.play()

    with ThreadPoolExecutor(AT_ONCE_WAITING) as waiting, ThreadPoolExecutor(AT_ONCE) as busy:
        yield {
            name: (waiting if failure.requests == 6 else busy).submit(
                play, failure, tmp_path_factory.mktemp("failure")
            )
            for name, failure in FAILURES.items()
        }


@pytest.mark.parametrize("name", FAILURES)
def test_opencode_shows_one_sentence_and_its_requests_are_bounded(
    seen: dict[str, Future[Seen]], name: str
) -> None:
    failure, found = FAILURES[name], seen[name].result()

    assert found.requests == failure.requests or (failure.may_end and found.requests < failure.requests)
    if failure.is_final:
        assert (found.status, sentence_of(found.shown)) in ((1, failure.shows), (1, failure.event))
    else:
        assert (found.status, found.shown, found.reason) == (0, "", failure.reason)


def sentence_of(shown: str) -> str:
    """What is shown, or the sentence in it where it is the whole error event of a stream."""
    return str(json.loads(shown)["message"]) if shown.startswith("{") else shown
