"""Why keys could not be read or written; no text of these ever holds a key.

KeyStoreError
├── KeyFileError       what the store holds cannot be used
├── StoreRefused       the store answers, and will go on saying no until somebody changes something
└── StoreUnavailable   the store does not answer; trying again may help
"""


class KeyStoreError(Exception):
    """The keys could not be read or written; the text is the end of a sentence."""


class KeyFileError(KeyStoreError):
    """The file as a whole cannot be used; the text names entries, never keys."""


class StoreRefused(KeyStoreError):
    """No such file or secret, no right to it, or a version that is switched off."""


class StoreUnavailable(KeyStoreError):
    """No answer, or one that says to come back later."""
