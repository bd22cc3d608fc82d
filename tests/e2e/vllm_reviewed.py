"""Names of vLLM 0.32's arguments and variables that sound as if they could open it, and that users may set.

What could is in app/vllm_arguments.py and tests/vllm_variables.py.
"""

import re


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


ARGUMENT = re.compile(
    r"trust|plugin|cls$|allow|middleware|ssl|host|addr|port$|server|log|embeds|url|endpoint|path"
    r"|key|header|transfer|events|remote|tool|debug|profil|trace|connector|module|grpc|request|class"
)
ARGUMENTS = names("""
    --api-server-count --lora-modules --enable-auto-tool-choice --exclude-tools-when-tool-choice-none
    --tool-call-parser --max-log-len --enable-per-request-metrics
    --enable-server-load-tracking --enable-log-deltas --log-error-stack --uvicorn-log-level
    --disable-uvicorn-access-log --disable-access-log-for-endpoints --h11-max-header-count
    --hf-config-path --allowed-media-domains --allow-deprecated-quantization
    --logprobs-mode --enable-trace-replay --mm-encoder-fp8-scale-path --mm-encoder-fp8-scale-save-path
    --skip-mm-profiling --enable-tower-connector-lora --lora-target-modules --otlp-traces-endpoint
    --collect-detailed-traces --per-request-spec-decode-metrics --enable-logging-iteration-details
    --disable-log-stats --aggregate-engine-logging
""")
VARIABLE = re.compile(
    r"DEV_|DEBUG|ALLOW|INSECURE|PLUGIN|HOST|_IP$|PORT|API|STORE|URL|LOG|TRACE|SERVER|RPC|RUST"
    r"|MCP|_DP_|TOOL|CONNECTOR|MEDIA|RANDOMIZATION|PARSER|RESOLVER|PATH|MAX_(N|COMPLETION|STOP)"
)
VARIABLES = names("""
    LD_LIBRARY_PATH MOONCAKE_REQUESTER_LOCAL_HOSTNAME S3_ENDPOINT_URL
    VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE VLLM_ALLOW_LONG_MAX_MODEL_LEN VLLM_API_KEY
    VLLM_BUILD_URL VLLM_COMPUTE_NANS_IN_LOGITS VLLM_CONFIGURE_LOGGING VLLM_CUDART_SO_PATH
    VLLM_CUDA_COMPATIBILITY_PATH VLLM_DEBUG_DUMP_PATH VLLM_DEBUG_MFU_METRICS VLLM_DEBUG_WORKSPACE
    VLLM_DEEPEP_V2_ALLOW_HYBRID_MODE VLLM_DEEPEP_V2_ALLOW_MULTIPLE_REDUCTION VLLM_DISABLE_LOG_LOGO
    VLLM_EC_SIDE_CHANNEL_PORT VLLM_ENFORCE_STRICT_TOOL_CALLING VLLM_GC_DEBUG VLLM_LOGGING_COLOR
    VLLM_LOGGING_LEVEL VLLM_LOGGING_PREFIX VLLM_LOGGING_STREAM VLLM_LOG_BATCHSIZE_INTERVAL
    VLLM_LOG_MODEL_INSPECTION VLLM_LOG_STATS_INTERVAL VLLM_MAX_COMPLETION_PROMPTS
    VLLM_MAX_MEDIA_DOWNLOAD_SIZE_MB VLLM_MAX_NUM_BAD_WORDS VLLM_MAX_N_SEQUENCES VLLM_MAX_STOP_STRINGS
    VLLM_MEDIA_CACHE VLLM_MEDIA_CACHE_MAX_SIZE_MB VLLM_MEDIA_CACHE_TTL_HOURS
    VLLM_MEDIA_FETCH_MAX_RETRIES VLLM_MEDIA_LOADING_THREAD_COUNT VLLM_MODEL_REDIRECT_PATH
    VLLM_MOONCAKE_BOOTSTRAP_PORT VLLM_MOONCAKE_CONNECTOR_TIMEOUT VLLM_MOONCAKE_STORE_TIER_LOG
    VLLM_NCCL_INCLUDE_PATH VLLM_NCCL_SO_PATH VLLM_NIXL_SIDE_CHANNEL_PORT VLLM_P2P_SIDE_CHANNEL_PORT
    VLLM_PATTERN_MATCH_DEBUG VLLM_RAISE_ON_LOGIT_NANS VLLM_RANDOMIZE_DP_DUMMY_INPUTS
    VLLM_RAY_DP_PACK_STRATEGY VLLM_RAY_DP_PLACEMENT_NODE_IPS VLLM_RPC_BASE_PATH
    VLLM_SPARSE_INDEXER_MAX_LOGITS_MB VLLM_TOOL_JSON_ERROR_AUTOMATIC_RETRY
    VLLM_TOOL_PARSE_REGEX_TIMEOUT_SECONDS VLLM_TPU_USING_PATHWAYS VLLM_TRACE_FUNCTION
    VLLM_USAGE_STATS_SERVER VLLM_USE_PRECOMPILED_RUST VLLM_USE_RUST_BENCH VLLM_XLA_CACHE_PATH
""")
