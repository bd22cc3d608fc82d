"""Bodies as ordinary clients send them, by route; long texts in them are shortened."""

import json
import re
from pathlib import Path
from typing import Any

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, COUNT, EMBEDDINGS = "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings"
PIXEL = "data:image/png;base64,iVBORw0KGgo="
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
CACHED = {"cache_control": {"type": "ephemeral"}}
SALT = re.compile(rb'"cache_salt":"[0-9a-f]{64}",?')


def without_salt(body: bytes) -> bytes:
    """A body that the upstream received, less the salt that the gateway adds for every key."""
    return SALT.sub(b"", body)


# Recorded from OpenCode 1.18.33.
SAMPLES = Path(__file__).parent / "samples"
OPENCODE: dict[str, Any] = json.loads((SAMPLES / "opencode_requests.json").read_text())

GREP = {  # a tool whose property is called like a keyword of JSON Schema
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "pattern": {"type": "string", "description": "The regular expression to search for"},
        "path": {"type": "string"},
        "output_mode": {"type": "string", "enum": ["content", "files_with_matches", "count"]},
        "-n": {"type": "boolean"},
        "head_limit": {"type": "number", "default": 250, "minimum": 0, "maximum": 9007199254740991},
    },
    "required": ["pattern"],
    "additionalProperties": False,
}
FETCH = {  # an MCP server's, with a real pattern
    "type": "object",
    "properties": {"url": {"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 2048}},
}
EXTRACT = {  # what pydantic makes of nested models, for `response_format`
    "$defs": {"Step": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}},
    "type": "object",
    "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}, "maxItems": 100}},
    "required": ["steps"],
    "additionalProperties": False,
}
CLAUDE_CODE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 32000,
    "stream": True,
    "temperature": 1,
    "thinking": {"type": "enabled", "budget_tokens": 31999},
    "metadata": {"user_id": "user_0a1b_account__session_5f"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high"},
    "system": [{"type": "text", "text": "You are a coding agent.", **CACHED}],
    "tools": [
        {"name": "Grep", "description": "Searches files", "input_schema": GREP},
        {"name": "WebFetch", "description": "Fetches a page", "input_schema": FETCH, **CACHED},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Look at this", **CACHED}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {"type": "tool_use", "id": "t1", "name": "WebFetch", "input": {"url": "https://example.com"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "See https://example.com/a.png"}],
                }
            ],
        },
    ],
}

SCREENSHOT = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}

ORDINARY: list[tuple[str, str, dict[str, Any]]] = [
    *((f"opencode, {name}", CHAT, body) for name, body in OPENCODE.items()),
    ("claude code", MESSAGES, CLAUDE_CODE),
    (
        "claude code, counting",
        COUNT,
        {name: CLAUDE_CODE[name] for name in ("model", "system", "tools", "messages", "thinking")},
    ),
    (
        "claude code, an image in a tool's result",
        MESSAGES,
        {
            "model": "m", "max_tokens": 100,
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [SCREENSHOT]}],
                }
            ],
        },
    ),
    ("curl", CHAT, {"model": "m", "messages": QUESTION}),
    (
        "openai sdk, every usual field",
        CHAT,
        {
            "model": "m", "messages": QUESTION, "n": 2, "temperature": 0.7, "top_p": 0.9, "max_tokens": 100,
            "stop": ["\n\n", "END"], "seed": 42, "presence_penalty": 0.5, "frequency_penalty": -0.5,
            "logprobs": True, "top_logprobs": 5, "logit_bias": {"100": -100}, "user": "u-1", "store": False,
            "metadata": {"a": "b"}, "parallel_tool_calls": False, "service_tier": "auto",
            "reasoning_effort": "low", "stream_options": None, "stream": False,
        },
    ),
    (
        "openai sdk, parsed",
        CHAT,
        {
            "model": "m", "messages": QUESTION,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "Extract", "strict": True, "schema": EXTRACT},
            },
        },
    ),
    (
        "openai sdk, an image and a tool that must be called",
        CHAT,
        {
            "model": "m",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    ],
                }
            ],
            "tools": [{"type": "function", "function": {"name": "grep", "parameters": GREP, "strict": True}}],
            "tool_choice": {"type": "function", "function": {"name": "grep"}},
        },
    ),
    (
        "an MCP server's tool with a pattern, offered",
        CHAT,
        {
            "model": "m",
            "messages": QUESTION,
            "tools": [{"type": "function", "function": {"name": "fetch", "parameters": FETCH}}],
        },
    ),
    (
        "qwen without thinking",
        CHAT,
        {
            "model": "m", "messages": QUESTION, "top_k": 20, "min_p": 0, "repetition_penalty": 1.05,
            "chat_template_kwargs": {"enable_thinking": False},
        },
    ),
    (
        "openai sdk, responses",
        RESPONSES,
        {
            "model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            "instructions": "Be short.", "max_output_tokens": 100, "store": False, "include": [],
            "text": {"format": {"type": "json_schema", "name": "Extract", "schema": EXTRACT, "strict": True}},
            "tools": [{"type": "function", "name": "grep", "parameters": GREP, "strict": False}],
            "reasoning": {"effort": "low"}, "truncation": "disabled", "previous_response_id": None,
        },
    ),
    (
        "an editor's completion",
        COMPLETIONS,
        {
            "model": "m", "prompt": "<|fim_prefix|>def f(<|fim_suffix|>)<|fim_middle|>", "max_tokens": 256,
            "temperature": 0.01, "stop": [f"<|stop{i}|>" for i in range(16)], "suffix": None, "echo": False,
        },
    ),
    ("texts for an index", EMBEDDINGS, {"model": "m", "input": ["text"] * 1000, "encoding_format": "base64"}),
    ("tokenized texts for an index", EMBEDDINGS, {"model": "m", "input": [[1, 2, 3]] * 1000}),
]  # fmt: skip
