"""What is counted at each request's end: the columns of the instance's tables. Seconds and bytes."""

# Columns of a row of usage, which has the labels (key name, model). A request may be an error or an abort.
# Tokens of partial answers are in the three sums of tokens too; the last three say how many those are.
USAGE_COLUMNS = (
    *("requests", "errors", "aborts", "partial_answers"),
    *("prompt_tokens", "cached_tokens", "completion_tokens"),
    *("gpu_seconds", "bytes_in", "bytes_out"),
    *("partial_prompt_tokens", "partial_cached_tokens", "partial_completion_tokens"),
)
# Upper bounds of the buckets of each histogram; a last bucket holds what is more. A row has all four, and the
# labels (route, "stream" or "whole"). `inter_token` is the mean of one stream: events are not measured.
HISTOGRAMS = {
    "gateway_overhead": (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
    "inter_token": (
        *(0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05),
        *(0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5),
    ),
    "first_byte": (
        *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5),
        *(2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0),
    ),
    "duration": (
        *(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
        *(20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1800.0, 3600.0),
    ),
}


def _places() -> dict[str, int]:
    places, at = {}, 0
    for name, bounds in HISTOGRAMS.items():
        places[name] = at
        at += len(bounds) + 2
    return places


PLACES = _places()  # where in a row each histogram begins: its buckets, the last one, then the sum
LATENCY_COLUMNS = sum(len(bounds) + 2 for bounds in HISTOGRAMS.values())


def histogram(row: list[float], name: str) -> tuple[list[float], float]:
    """One histogram of a row: how many fell into each bucket (not cumulated), and the sum in seconds."""
    at, size = PLACES[name], len(HISTOGRAMS[name]) + 1
    return row[at : at + size], row[at + size]
