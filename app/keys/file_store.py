"""The local key file: read as it is, written without a moment at which it is half there."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.keys.errors import KeyStoreError, StoreRefused, StoreUnavailable
from app.keys.key_file import MAX_FILE_BYTES, decode_key_file, encode_key_file
from app.keys.key_store import Change, Content

OWNER_ONLY = 0o600


class FileStore:
    """A local JSON file. Of a mounted secret volume each read fetches the secret, and may take seconds."""

    kind = "file"
    has_versions = False
    blocks = True

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def read(self, version: int | None = None) -> Content:
        """Read at most one byte more than a key file may have."""
        if version is not None:
            raise StoreRefused("a key file has no versions")
        with _told(), open(self.path, "rb") as file:
            return Content(file.read(MAX_FILE_BYTES + 1))

    def create(self) -> None:
        """Make a file without keys that only its owner can read."""
        with _told(), open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
            file.write("{}\n")

    def update(self, change: Change) -> None:
        """Change the file under a lock that every writer of this folder takes, and replace it at once.

        A file that does not exist yet is made, for its owner only.
        """
        path = self.path.resolve()
        with _told(), _locked(path.parent):
            entries = decode_key_file(self.read().data) if path.exists() else {}
            change(entries)
            _replace(path, encode_key_file(entries))


@contextmanager
def _told() -> Iterator[None]:
    """Say what is wrong with the file in the words of the system."""
    try:
        yield
    except FileNotFoundError:
        raise StoreRefused("the key file, or its folder, does not exist") from None
    except FileExistsError:
        raise StoreRefused("the key file exists already") from None
    except OSError as error:
        kind: type[KeyStoreError] = StoreRefused if isinstance(error, PermissionError) else StoreUnavailable
        reason = os.strerror(error.errno or 0)
        raise kind(f"the key file cannot be read or written: {reason}") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The folder itself is locked: a lock file would stay behind, and the key file is replaced.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and rename, so that a reader finds the old one or the new one, whole."""
    before = path.stat() if path.exists() else None
    # A name that nobody can know before: root may write in a folder of another user.
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            if before and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(file.fileno(), before.st_uid, before.st_gid)  # root edits a file of the gateway's
            os.chmod(file.fileno(), before.st_mode & 0o777 if before else OWNER_ONLY)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)
