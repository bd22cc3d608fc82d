"""API keys: the file's format, the look-up, the store, and the set that all workers share."""
