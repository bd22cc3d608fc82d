"""The official SDKs read every answer and every refusal."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.served import MODEL, QUESTION, Served


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0) as made:
        yield made


@pytest.fixture
def claude(served: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served.url, api_key=served.key, max_retries=0) as made:
        yield made


CHAT: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "temperature": 0}
MESSAGE: dict[str, Any] = {
    "model": MODEL,
    "messages": QUESTION,
    "max_tokens": 32,
    "extra_body": {"temperature": 0},
}


def test_openai_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**CHAT)

    assert "Paris" in str(answer.choices[0].message.content)


def test_openai_streamed_chat_with_usage(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))

    assert "Paris" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_openai_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=8, temperature=0
    )

    assert "Paris" in answer.choices[0].text


def test_openai_responses(client: openai.OpenAI) -> None:
    answer = client.responses.create(model=MODEL, input="What is the capital of France?", temperature=0)

    assert "Paris" in answer.output_text


def test_openai_streamed_responses(client: openai.OpenAI) -> None:
    stream = client.responses.create(
        model=MODEL, input="What is the capital of France?", temperature=0, stream=True
    )
    events = list(stream)

    assert "Paris" in "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert events[-1].type == "response.completed"


def test_openai_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def test_openai_tells_a_wrong_key(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError, match="API key missing or not valid"):
        client.with_options(api_key="sk-wrong").models.list()


def test_openai_tells_an_unknown_model_and_an_unknown_route(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**{**CHAT, "model": "other"})
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.list()


def test_openai_tells_what_vllm_refuses(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(**{**CHAT, "temperature": -1})


def test_anthropic_messages(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(**MESSAGE)

    assert "Paris" in answer.content[0].text
    assert answer.usage.output_tokens > 0


def test_anthropic_streamed_messages(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(**MESSAGE) as stream:
        text = "".join(stream.text_stream)

    assert "Paris" in text
    assert stream.get_final_message().stop_reason == "end_turn"


def test_anthropic_counts_tokens(claude: anthropic.Anthropic) -> None:
    counted = claude.messages.count_tokens(model=MODEL, messages=QUESTION)

    assert counted.input_tokens > 5


def test_anthropic_tells_a_wrong_key(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.AuthenticationError, match="API key missing or not valid"):
        claude.with_options(api_key="sk-wrong").messages.create(**MESSAGE)
