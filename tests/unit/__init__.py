"""Tests of this kind; see the README."""
