"""The configuration of OpenCode for gateways like this one, written by two commands."""
