"""Clients that ask again once they have their answer."""

from benchmarks.bodies import Request
from benchmarks.client import Connection
from benchmarks.stand import Sample, Stand

RAMP_SECONDS = 0.15
LAST_SECONDS = 3.0  # for what is still on its way


def closed_loop(stand: Stand, request: Request, clients: int) -> Sample:
    """So many clients on kept connections, each asking again once it has its answer."""
    request = stand.fit(request)
    window = stand.window()
    with stand.crowd() as crowd:

        def ask_again(connection: Connection) -> None:
            crowd.ask(request, connection)

        crowd.on_end = ask_again
        for _ in range(clients):
            crowd.ask(request)
        crowd.run(RAMP_SECONDS)
        window.start(crowd)
        crowd.run(stand.seconds)
        reading = window.stop()
        crowd.on_end = None
        if not crowd.run(LAST_SECONDS, lambda: crowd.waiting == 0):
            stand.errors["no end"] += crowd.waiting
    return reading.per_unit(reading.tally.answers)
