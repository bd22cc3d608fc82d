"""Requests with a wrong key, one behind the other on a connection: too fast for a budget to be refilled."""

from tests.client import RawClient

WRONG = "sk-wrong-0123456789abcdef"


def send_wrong(client: RawClient, target: str = "/v1/models", **headers: str) -> None:
    """Send one, and leave its answer for later."""
    client.send_request("GET", target, **{"X_API_Key": WRONG, **headers})


def read_401(client: RawClient) -> str:
    """Read the answer to the next of them; its request id."""
    assert client.read_head() == 401
    client.read_body()
    return client.request_id


def ask_wrong(client: RawClient, times: int = 1, target: str = "/v1/models", **headers: str) -> list[str]:
    """Send so many at once; the ids of the requests."""
    for _ in range(times):
        send_wrong(client, target, **headers)
    return [read_401(client) for _ in range(times)]
