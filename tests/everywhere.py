"""Ask every worker of a gateway what a key is worth."""

import threading

from tests.client import KEY, Reply
from tests.gateway import Gateway


def status_of(gateway: Gateway, key: str, *, target: str = "/v1/models", method: str = "GET") -> int:
    """The status that a key gets."""
    return gateway.request(method, target, headers={"X-API-Key": key}).status


def statuses_everywhere(gateway: Gateway, key: str) -> set[int]:
    """What a key gets on connections opened together, so that every worker has some."""
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.extend(status_of(gateway, key) for _ in range(5)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return set(results)


def is_served(gateway: Gateway, key: str) -> bool:
    """Whether the key opens the gateway; False also while nobody answers."""
    try:
        return status_of(gateway, key) == 200
    except OSError:
        return False


def reload(gateway: Gateway, query: str = "", key: str = KEY) -> Reply:
    """Ask for the keys to be read again."""
    return gateway.request("POST", "/admin/reload-keys" + query, headers={"X-API-Key": key})
