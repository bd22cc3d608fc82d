"""The version of this gateway; pyproject.toml has the same."""

VERSION = "0.1.0"
