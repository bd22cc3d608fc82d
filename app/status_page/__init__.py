"""The status page: what an operator sees of this instance in a browser, and a place to try the model."""
