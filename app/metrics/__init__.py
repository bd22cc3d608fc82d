"""What Prometheus reads: the sums of the instance's tables, the same whichever worker answers."""

PREFIX = "vllm_gateway_"
