"""The version of this gateway, as pyproject.toml has it: that file is not there where only the app is."""

VERSION = "0.1.0"
