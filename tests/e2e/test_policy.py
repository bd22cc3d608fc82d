"""The field policy and vLLM agree: what passes is taken, and each key has a cache of prompts of its own."""

import json
from typing import Any

import pytest

from tests.client_requests import COMPLETIONS, EMBEDDINGS, MESSAGES, ORDINARY, RESPONSES
from tests.e2e.served import MODEL, Served
from tests.gateway import wait_until

CHAT = "/v1/chat/completions"
OTHERS = {"ann": "sk-e2e-ann-0123456789", "ben": "sk-e2e-ben-0123456789"}
TEAM = {name: {"key": f"sk-e2e-{name}-0123456789", "cache_group": "team"} for name in ("cat", "dan")}
SHORT = {
    CHAT: "max_tokens",
    COMPLETIONS: "max_tokens",
    RESPONSES: "max_output_tokens",
    MESSAGES: "max_tokens",
}
TAKEN = [  # the default model makes no embeddings and sees no images
    (name, path, body)
    for name, path, body in ORDINARY
    if path != EMBEDDINGS and "image" not in name
]  # fmt: skip


def shortened(path: str, body: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: value for name, value in body.items() if name != "thinking"
    }  # its budget is a thousand tokens
    short = {SHORT[path]: 4} if path in SHORT else {}
    return {**kept, **short, "model": MODEL, "stream": False}


@pytest.mark.parametrize(("path", "body"), [(p, b) for _, p, b in TAKEN], ids=[n for n, _, _ in TAKEN])
def test_vllm_takes_what_the_gateway_makes_of_an_ordinary_request(
    served: Served, path: str, body: dict[str, Any]
) -> None:
    body = shortened(path, body)
    body.pop("stream_options", None)

    reply = served.post(path, body, key=served.key)

    assert reply.status == 200, reply.body


@pytest.fixture(scope="module")
def keyed(served: Served) -> Served:
    """With four more keys, two of them in one group."""
    content = json.loads(served.keys_file.read_text())
    served.keys_file.write_text(json.dumps({**content, **OTHERS, **TEAM}))
    wait_until(
        lambda: served.request("GET", "/admin/reload-keys", headers={"X-API-Key": served.key}).status == 200
    )
    return served


def cached_tokens(served: Served, key: str, words: str) -> int:
    body = {"model": MODEL, "messages": [{"role": "user", "content": words * 200}], "max_tokens": 1}
    usage = served.post(CHAT, body, key=key).json()["usage"]
    return int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)


def test_a_prompt_of_one_key_is_not_in_the_cache_of_another(keyed: Served) -> None:
    ann, ben = OTHERS.values()

    assert cached_tokens(keyed, ann, "The cat sat on the mat. ") == 0
    assert cached_tokens(keyed, ann, "The cat sat on the mat. ") > 0
    assert cached_tokens(keyed, ben, "The cat sat on the mat. ") == 0


def test_keys_of_one_group_share_their_cache(keyed: Served) -> None:
    cat, dan = (entry["key"] for entry in TEAM.values())

    assert cached_tokens(keyed, cat, "A dog ran up a hill. ") == 0
    assert cached_tokens(keyed, dan, "A dog ran up a hill. ") > 0
