"""Fuzzers of the gateway: by its OpenAPI document, with raw bytes, with bodies of a known verdict."""
