"""What the body of a request may ask of the model server: one table of its fields.

vLLM 0.32 believes every field; what each can do to a server, or to others on it, is in docs/security.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from app.content_checks import content, prompts
from app.errors import InvalidField
from app.field_checks import INT32, Asked, Check, biases, bounded, number, only, switches, texts, whole
from app.schema_checks import answer_format, constraint, tools
from app.settings import Settings, SettingsError

INT64 = 2**63 - 1


class Treatment(Enum):
    """What is done with a field that needs no look at its value.

    PASS: nothing. DENY: 400 unless it is off or empty. DROP: taken out of what goes on.
    """

    PASS = "pass"  # noqa: S105  no password
    DENY = "deny"
    DROP = "drop"


PASS, DENY, DROP = Treatment.PASS, Treatment.DENY, Treatment.DROP
Rule = Treatment | Check

# Every field of vLLM 0.32's requests, whichever route knows it. A field that is not here passes.
FIELDS: dict[str, Rule] = {
    # How much is made.
    "n": whole(1, "max_choices"),
    "best_of": whole(1, "max_choices"),
    "max_tokens": number(0, "max_output_tokens"),
    "max_completion_tokens": number(0, "max_output_tokens"),
    "max_output_tokens": number(0, "max_output_tokens"),
    "min_tokens": number(0, "max_output_tokens"),
    "thinking_token_budget": number(-1, INT32),
    "max_tool_calls": number(0, INT32),
    "ignore_eos": bounded,  # makes an answer as long as it may be
    "use_beam_search": DENY,  # costs as much as many answers
    "repetition_detection": DENY,  # windows without a bound, looked through at each token
    "stream_interval": number(1, INT32),
    "echo": DENY,  # with logprobs, it asks for those of the whole prompt
    "stop": texts("max_stop_strings"),
    "stop_sequences": texts("max_stop_strings"),
    # What is read.
    "messages": content("max_messages"),
    "input": content("max_messages"),
    "system": content("max_messages"),
    "prompt": PASS,  # of Responses: names a stored text, which vLLM has not
    "prompt_embeds": DENY,  # tensors
    "documents": DENY,  # for the template
    "instructions": PASS,
    "suffix": PASS,
    "tokens": PASS,
    "truncate_prompt_tokens": number(-1, INT32),
    "truncation_side": PASS,
    "truncation": PASS,
    "previous_input_messages": DENY,  # goes past every check of messages
    "previous_response_id": DENY,  # stored answers belong to no key
    "background": DENY,  # would go on when its client has left
    "store": PASS,
    # How the prompt is made of it.
    "chat_template": DENY,  # a program
    "chat_template_kwargs": switches,
    "add_generation_prompt": only(True),
    "continue_final_message": only(False),
    "add_special_tokens": PASS,
    "media_io_kwargs": DENY,  # steers decoders of media
    "mm_processor_kwargs": DENY,
    "mm_payload": PASS,
    "return_mm_kwargs": DENY,
    # How tokens are chosen.
    "temperature": number(0, 100),
    "top_p": number(0, 1),
    "top_k": number(-1, INT32),
    "min_p": number(0, 1),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "repetition_penalty": number(0, 100),
    "length_penalty": number(-100, 100),
    "seed": number(-INT64 - 1, INT64),
    "logit_bias": biases,
    "allowed_token_ids": DENY,  # ids beyond the vocabulary have spoilt the answers of others
    "bad_words": DENY,
    "stop_token_ids": DENY,
    "response_format": answer_format,
    "text": answer_format,
    "output_config": answer_format,
    "structured_outputs": constraint,
    "guided_json": DENY,  # vLLM ignores these since 0.12 and answers as if nothing had been asked
    "guided_regex": DENY,
    "guided_choice": DENY,
    "guided_grammar": DENY,
    "guided_decoding_backend": DENY,
    "guided_whitespace_pattern": DENY,
    "tools": tools,
    "tool_choice": PASS,
    "parallel_tool_calls": PASS,
    "watermarking": PASS,
    # What is told beside the answer.
    "logprobs": number(0, "max_logprobs"),
    "top_logprobs": number(0, "max_logprobs"),
    "prompt_logprobs": only(None),  # memory for each token of the prompt; 0 asks for one each
    "logprob_token_ids": DENY,
    "return_token_ids": DENY,
    "return_prompt_text": DENY,
    "return_token_offsets": DENY,
    "return_tokens_as_token_ids": PASS,
    "return_token_strs": PASS,
    "routed_experts_prompt_start": only(0),
    "enable_response_messages": DENY,
    "include": PASS,
    "include_reasoning": PASS,
    "include_stop_str_in_output": PASS,
    "skip_special_tokens": PASS,
    "spaces_between_special_tokens": PASS,
    "stream": PASS,  # its type is checked where the body is parsed, as of `model` and `stream_options`
    "stream_options": PASS,
    "model": PASS,
    # The server's own plumbing.
    "priority": DROP,  # would go before the others
    "request_id": DROP,  # the gateway gives each request its own
    "session_id": DROP,  # as the header X-Session-ID, which goes on hashed
    "kv_transfer_params": DENY,
    "ec_transfer_params": DENY,
    "vllm_xargs": DENY,
    # Embeddings.
    "dimensions": number(1, INT32),
    "encoding_format": PASS,
    "embed_dtype": PASS,
    "endianness": PASS,
    "padding": PASS,
    "use_activation": PASS,
    # No effect on vLLM.
    "user": PASS,
    "metadata": PASS,
    "reasoning": PASS,
    "reasoning_effort": PASS,
    "thinking": PASS,
    "service_tier": PASS,
    "prompt_cache_key": PASS,
    "cache_salt": PASS,  # replaced where CACHE_ISOLATION is on
}
# Where a route means something else by the same name.
BY_ROUTE: dict[str, dict[str, Rule]] = {
    "/v1/chat/completions": {"logprobs": PASS},  # true or false there
    "/v1/completions": {"prompt": prompts("max_prompts")},
    "/v1/embeddings": {"input": prompts("max_embedding_inputs"), "messages": content("max_embedding_inputs")},
}
SALTED = frozenset(
    ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings")
)
# How much a route makes when it is not told: up to the end of the window.
UNBOUNDED: dict[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("max_completion_tokens", "max_tokens"),
    "/v1/completions": ("max_tokens",),
    "/v1/responses": ("max_output_tokens",),
}
# Inside of fields, and so no fields themselves: what ALLOWED_FIELDS may also name.
PARTS = frozenset(
    ("structured_outputs.regex", "structured_outputs.grammar", "structured_outputs.structural_tag")
    + ("structured_outputs.whitespace_pattern", "structural_tag", "pattern", "media_uuid", "media_embeds")
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What of a body does not go on, and what goes on in its place or beside it."""

    drop: frozenset[str]
    put: dict[str, Any]


class Policy:
    """The table with the caps and the exceptions of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._allowed = frozenset(_names(settings.allowed_fields))

    def review(self, path: str, fields: Mapping[str, Any], salt: str) -> Changes:
        """What must change in a body that goes to this path. Raises InvalidField."""
        asked = Asked(fields, self._settings, self._allowed)
        own = BY_ROUTE.get(path, {})
        drop = set()
        for name, value in fields.items():
            rule = own.get(name) or FIELDS.get(name, PASS)
            if rule is PASS or name in self._allowed:
                continue
            if rule is DROP:
                drop.add(name)
            elif complaint := _complaint(rule, value, asked):
                raise InvalidField(f"The field {name} {complaint}.", param=name)
        return Changes(frozenset(drop), self._put(path, fields, salt))

    def _put(self, path: str, fields: Mapping[str, Any], salt: str) -> dict[str, Any]:
        put: dict[str, Any] = {}
        if self._settings.cache_isolation and path in SALTED:
            put["cache_salt"] = salt
        bounds = UNBOUNDED.get(path, ())
        cap = self._settings.max_output_tokens
        if bounds and cap is not None and all(fields.get(name) is None for name in bounds):
            put[bounds[-1]] = cap
        return put


def _complaint(rule: Rule, value: Any, asked: Asked) -> str | None:
    if value is None:
        return None
    if not isinstance(rule, Treatment):
        return rule(value, asked)
    is_off = value is False or value in ("", [])
    return None if is_off else "is not allowed by this gateway"


def _names(listed: str) -> Iterable[str]:
    """The names in ALLOWED_FIELDS. Raises SettingsError for one that is never refused."""
    ruled = {
        name for table in (FIELDS, *BY_ROUTE.values()) for name, rule in table.items() if rule is not PASS
    }
    for name in filter(None, (part.strip() for part in listed.split(","))):
        if name not in PARTS | ruled and not name.startswith("chat_template_kwargs."):
            raise SettingsError(
                f"ALLOWED_FIELDS={listed!r} is not valid: {name!r} is no field that is refused or changed."
            )
        yield name
