"""Why usage cannot be kept or read; the text is one short clause without secrets."""


class AccountsUnavailable(Exception):
    """The database cannot do it now; it may later."""


class DamagedFile(AccountsUnavailable):
    """The file is no database, or no longer. It stands at `moved_to` now; a next write makes a new one."""

    def __init__(self, reason: str, moved_to: str | None = None) -> None:
        super().__init__(reason)
        self.moved_to = moved_to  # None where nobody has moved it, or another instance has
