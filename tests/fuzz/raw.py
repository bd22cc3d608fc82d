"""Raw bytes: requests of the corpus, mutated, spliced, pipelined, in halves; most without a valid key."""

import random

from tests.client import KEY
from tests.fuzz.corpus import WRONG_KEYS, bad, filled, good
from tests.fuzz.inputs import Input
from tests.fuzz.mutations import mutate, splice

GOOD, SEEDS = good(), [*good(), *bad()]
LATE = 0.02  # of a hundred inputs: in pieces that come late
PAUSE = 0.03


def with_valid_key(rng: random.Random) -> Input:
    """An input that may reach the model server."""
    return in_pieces(rng, raw_requests(rng, KEY))


def without_valid_key(rng: random.Random) -> Input:
    """An input that must not."""
    while True:
        sent = in_pieces(rng, raw_requests(rng, rng.choice((None, *WRONG_KEYS))))
        if not sent.has_key:
            return sent


def raw_requests(rng: random.Random, key: str | None) -> bytes:
    """One request or several, none of them quite in order."""
    seeds = GOOD if rng.random() < 0.6 else SEEDS
    requests = [
        mutate(rng, filled(rng.choice(seeds), key, rng)) for _ in range(rng.choice((1, 1, 1, 1, 2, 3)))
    ]
    if rng.random() < 0.1:
        requests.append(splice(rng, *(filled(seed, key, rng) for seed in rng.choices(SEEDS, k=2))))
    if rng.random() < 0.1:
        requests.append(filled(rng.choice(GOOD), key, rng))
    return b"".join(requests)


def in_pieces(rng: random.Random, data: bytes) -> Input:
    """The bytes at once, in pieces, or in pieces of which the later come late."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 2, 5))))
    bounds = [0, *cuts, len(data)]
    pieces = tuple(data[start:end] for start, end in zip(bounds, bounds[1:], strict=False) if start < end)
    return Input(pieces or (b"\r\n",), PAUSE if rng.random() < LATE else 0.0)
