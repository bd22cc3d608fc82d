"""Programs that measure what the gateway promises: `python -m tests.measure --list`."""
