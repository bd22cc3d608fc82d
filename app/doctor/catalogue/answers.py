"""What can be wrong with the model, its limits and its answers."""

from app.doctor.catalogue.trouble import READ_LOG, fault, warning

ANSWERS = {
    "unavailable": fault("The request could not be served: {message}", READ_LOG),
    "request_refused": fault("The request was refused: {message}", READ_LOG),
    "unexpected": fault("The answer is of no use (status {status}, {kind}).", READ_LOG),
    "no_models": fault(
        "The list of models is empty or cannot be read.", "Check that VLLM_BASE_URL is a vLLM with a model."
    ),
    "model_unknown": fault(
        "There is no model {wish} here.", "Use one of these names, as they are written: {names}."
    ),
    "window_too_small": fault(
        "The window of {window} tokens is too small for OpenCode, which would compact without end.",
        "Set MAX_MODEL_LEN to {smallest} or more, better {full}.",
    ),
    "window_small": warning(
        "The window of {window} tokens holds OpenCode's prompt of 7,600 with little left for code.",
        "Write the configuration with `flask --app wsgi opencode-config`, which leaves out tools, or raise "
        "MAX_MODEL_LEN to {full}.",
    ),
    "window_unknown": warning(
        "The list of models does not say how large the window is.",
        "Write `limit` into opencode.json by hand, equal to vLLM's --max-model-len.",
    ),
    "answer_unreadable": fault("A whole answer is no chat completion ({kind}).", READ_LOG),
    "think_in_text": fault(
        "The model's thinking stands in its answers, as {mark}.",
        "Set REASONING_PARSER (vLLM's --reasoning-parser) to the one of this model's family.",
    ),
    "stream_whole": fault(
        "A stream was asked for and none came ({kind}), upon which OpenCode asks again without end.",
        "Let the proxy in front pass text/event-stream on as it is.",
    ),
    "stream_compressed": fault(
        "The stream comes compressed ({coding}), so events wait until there is enough of them.",
        "Turn compression off in the proxy in front, at least for text/event-stream.",
    ),
    "stream_buffered": fault(
        "The stream is held back: {events} events came in {bursts} pieces, after {first} of {whole} s.",
        "Turn buffering off in the proxy in front (nginx: `proxy_buffering off`).",
    ),
    "stream_too_short": warning(
        "Only {events} events came, too few to tell whether streams are held back.",
        "Ask with another model if answers seem to come all at once.",
    ),
    "stream_garbage": fault(
        "The stream holds an event that is no JSON, at which OpenCode stops.",
        "Let the proxy in front pass text/event-stream on as it is.",
    ),
    "stream_error": fault("The stream ended with an error: {message}", READ_LOG),
    "stream_cut": fault("The stream was cut before its end.", READ_LOG),
    "no_finish_reason": fault(
        "The stream ended without a `finish_reason`, upon which OpenCode asks again without end.",
        "Let the proxy in front break the connection too when the stream behind it breaks.",
    ),
    "finish_reason_unknown": fault(
        "The stream ended with a `finish_reason` that no client knows.",
        "Let the answers come from this gateway, which turns those of vLLM into known ones.",
    ),
    "no_done": warning(
        "The stream ended without `[DONE]`.", "Let the proxy in front pass the stream on to its end."
    ),
    "no_usage": warning(
        "The stream does not tell the tokens used, so OpenCode never compacts a conversation.",
        "Let the proxy in front pass every event on, also those with empty `choices`.",
    ),
    "max_tokens_refused": fault(
        "An answer of {tokens} tokens, which opencode.json will ask for, is refused: {message}",
        "Raise MAX_OUTPUT_TOKENS, or write a smaller `limit.output` into opencode.json.",
    ),
    "tools_off": fault(
        "vLLM takes no tools: each request of OpenCode is refused.",
        "Start it with --enable-auto-tool-choice and --tool-call-parser (entrypoint.sh: TOOL_CALL_PARSER).",
    ),
    "tools_refused": fault("A request with tools is refused: {message}", READ_LOG),
    "tools_as_text": fault(
        "The model called a tool, and the call came as text.",
        "Set TOOL_CALL_PARSER (vLLM's --tool-call-parser) to the one of this model's family.",
    ),
    "tool_call_broken": fault(
        "A call of a tool came without its id or name, which OpenCode cannot use.",
        "Set TOOL_CALL_PARSER (vLLM's --tool-call-parser) to the one of this model's family.",
    ),
    "tools_not_called": warning(
        "The model called no tool by itself; when it had to, the call came as one.",
        "Choose a model that is made for tools, since OpenCode can do nothing without.",
    ),
    "tools_unproven": warning(
        "The model called no tool, and made no call of use when it had to.",
        "Choose a model that is made for tools, and ask again: whether calls come as calls is not known yet.",
    ),
    "body_refused": fault(
        "A request body of {megabytes} MB is refused with status {status}.",
        "Allow larger ones in the proxy in front (nginx: client_max_body_size) and by MAX_REQUEST_BYTES.",
    ),
    "routes_exposed": fault(
        "vLLM's own routes can be reached: {routes}.",
        "Pass everything to the gateway, which knows only its own routes, and nothing to vLLM itself.",
    ),
}
