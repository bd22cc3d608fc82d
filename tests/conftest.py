"""For every kind of test: time is no property of a parser, least of all on a machine that is busy."""

from hypothesis import settings

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
