"""The choice of a store."""

from app.keys.file_store import FileStore
from app.keys.key_store import WritableStore
from app.settings import Settings


def open_store(settings: Settings) -> WritableStore:
    """The store that the settings name; the file wins. Nothing is read yet."""
    if settings.api_keys_file is None and settings.gcp_project is not None:
        return open_secret(
            settings.gcp_project, settings.api_keys_secret_name, settings.secret_manager_endpoint
        )
    return FileStore(settings.api_keys_file or "")


def open_secret(project: str, name: str, endpoint: str | None) -> WritableStore:
    """A secret of Google Secret Manager.

    Google's client is imported only where it is used: it costs a third of a second and 25 MB.
    """
    from app.keys.secret_manager import SecretManagerStore

    return SecretManagerStore(project, name, endpoint)
