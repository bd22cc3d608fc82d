"""What a gateway in front of vLLM costs: this one and others, measured the same way in one run."""
