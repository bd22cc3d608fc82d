"""Why usage cannot be kept or read; the text is one short clause without secrets."""


class AccountsUnavailable(Exception):
    """The database cannot do it now; it may later."""


class DamagedFile(AccountsUnavailable):
    """The file is no database, or no longer."""
