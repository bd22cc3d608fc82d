"""What VLLM_EXTRA_ARGS may not hold: arguments that open vLLM further than the gateway knows of.

The names are vLLM 0.32's; each stands for all of its spellings, `--no-…` included.
"""

from app.settings import SettingsError

# A host never holds a slash, so no address of a client's picture or sound may be fetched.
NO_MEDIA_DOMAIN = "none/"

SETTING = "another setting decides that"
DOCS = "vLLM's own pages are not served"
GATEWAY = "that is the gateway's part"
ROUTES = "it opens routes that nobody may call"
MIDDLEWARE = "it puts code in front of every route"
TRUST = "it lets a request bring what vLLM does not take from strangers"
FILES = "it lets a request read files of this machine"
TOOLS = "it lets the model run tools on this machine or reach other servers"
LOGS = "it writes prompts and answers into the log"
LOGGING = "that is LOG_FORMAT and VLLM_LOGGING_LEVEL"
MACHINES = "it opens sockets to other machines, which ask for no key"
CODE = "it runs code that is not vLLM's, which takes TRUST_REMOTE_CODE=true"

ALWAYS: dict[str, str] = {
    "--model": SETTING,
    "--served-model-name": SETTING,
    "--host": SETTING,
    "--port": SETTING,
    "--uds": SETTING,
    "--max-logprobs": SETTING,
    "--trust-remote-code": "that is TRUST_REMOTE_CODE",
    "--config": "a file could hold any argument",
    "--hf-token": "every process could read it there; set HF_TOKEN",
    "--api-key": GATEWAY,
    "--root-path": GATEWAY,
    "--allow-credentials": GATEWAY,
    "--allowed-origins": GATEWAY,
    "--allowed-methods": GATEWAY,
    "--allowed-headers": GATEWAY,
    "--enable-request-id-headers": GATEWAY,
    "--enable-ssl-refresh": GATEWAY,
    "--ssl-ca-certs": GATEWAY,
    "--ssl-cert-reqs": GATEWAY,
    "--ssl-certfile": GATEWAY,
    "--ssl-ciphers": GATEWAY,
    "--ssl-keyfile": GATEWAY,
    "--disable-fastapi-docs": DOCS,
    "--enable-offline-docs": DOCS,
    "--enable-elastic-ep": ROUTES,
    "--enable-fault-tolerance": ROUTES,
    "--enable-scale-out": ROUTES,
    "--enable-sleep-mode": ROUTES,
    "--enable-tokenizer-info-endpoint": ROUTES,
    "--fault-tolerance-config": ROUTES,
    "--profiler-config": ROUTES,
    "--tokens-only": ROUTES,
    "--weight-transfer-config": ROUTES,
    "--middleware": MIDDLEWARE,
    "--enable-mm-embeds": TRUST,
    "--enable-prompt-embeds": TRUST,
    "--tool-strict-level": TRUST,
    "--trust-request-chat-template": TRUST,
    "--trust-request-mm-kwargs": TRUST,
    "--allowed-local-media-path": FILES,
    "--tool-server": TOOLS,
    "--enable-log-outputs": LOGS,
    "--enable-log-requests": LOGS,
    "--log-config-file": LOGGING,
    "--log-level": LOGGING,
    "--logging-config": LOGGING,
    "--data-parallel-address": MACHINES,
    "-dpa": MACHINES,
    "--data-parallel-backend": MACHINES,
    "-dpb": MACHINES,
    "--data-parallel-external-lb": MACHINES,
    "-dpe": MACHINES,
    "--data-parallel-hybrid-lb": MACHINES,
    "-dph": MACHINES,
    "--data-parallel-multi-port-external-lb": MACHINES,
    "-dpm": MACHINES,
    "--data-parallel-rank": MACHINES,
    "-dpn": MACHINES,
    "--data-parallel-rpc-port": MACHINES,
    "-dpp": MACHINES,
    "--data-parallel-start-rank": MACHINES,
    "-dpr": MACHINES,
    "--data-parallel-supervisor-port": MACHINES,
    "--distributed-executor-backend": MACHINES,
    "--ec-transfer-config": MACHINES,
    "--grpc": MACHINES,
    "--grpc-port": MACHINES,
    "--headless": MACHINES,
    "--kv-events-config": MACHINES,
    "--kv-transfer-config": MACHINES,
    "--master-addr": MACHINES,
    "--master-port": MACHINES,
    "--nnodes": MACHINES,
    "-n": MACHINES,
    "--node-rank": MACHINES,
    "-r": MACHINES,
}
WITHOUT_TRUST: dict[str, str] = {
    "--ec-manager-config": CODE,
    "--io-processor-plugin": CODE,
    "--logits-processors": CODE,
    "--model-class-overrides": CODE,
    "--reasoning-parser-plugin": CODE,
    "--scheduler-cls": CODE,
    "--structured-outputs-config": CODE,  # one of its fields is a plug-in
    "--tool-parser-plugin": CODE,
    "--worker-cls": CODE,
    "--worker-extension-cls": CODE,
}
# Whole names of vLLM's that are also the beginning of one above, or a part of it that does no harm.
HARMLESS = frozenset(("--reasoning-parser", "--structured-outputs-config.backend"))


def check_extra_arguments(extra: list[str], *, trust_remote_code: bool) -> None:
    """Refuse what opens vLLM; vLLM's parser takes `_` for `-`, `=value`, `.key`, and the beginning of a name.

    Raises SettingsError, which shows no value: it may be a secret.
    """
    refused = ALWAYS if trust_remote_code else ALWAYS | WITHOUT_TRUST
    for argument in extra:
        given = argument.split("=", 1)[0]
        for name, reason in refused.items():
            if _may_mean(given, name):
                raise SettingsError(f"VLLM_EXTRA_ARGS may not hold {given!r}: {reason}.")


def _may_mean(given: str, name: str) -> bool:
    """Whether vLLM's parser could take what was given for the option of this name."""
    if given.replace("_", "-") in HARMLESS:
        return False
    given = given.split(".", 1)[0]
    if not name.startswith("--"):
        # Of one letter: its value may follow without a space.
        return given == name or (len(name) == 2 and given.startswith(name))
    given = given.replace("_", "-")
    if not given.startswith("--"):
        return False
    given = "--" + given.removeprefix("--").removeprefix("no-")
    return name == given or (len(given) > 2 and name.startswith(given))
