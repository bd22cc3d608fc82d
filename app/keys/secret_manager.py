"""The key file as a secret of Google Secret Manager: read by version, changed by one writer at a time."""

import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

import google_crc32c
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, types

from app.keys.errors import KeyStoreError, StoreRefused, StoreUnavailable
from app.keys.key_file import decode_key_file, encode_key_file
from app.keys.key_store import Change, Content
from app.keys.secret_client import READ_RETRY, PreconditionFailed, in_our_words, make_client

READ_SECONDS = 2.0  # one attempt
WRITE_SECONDS = 10.0
MAX_SECRET_BYTES = 64 * 1024
WRITER = "vllm-gateway-writer"  # annotation: who writes
NEWEST = "vllm-gateway-version"  # annotation: the number of the version written last
WAIT_FOR_WRITER_SECONDS = 90.0
FORGET_WRITER_SECONDS = 60.0  # a mark that has stood for so long before our eyes is of a writer that died
LOOK_AGAIN_SECONDS = 0.25
CLEAR_TRIES = 5
Answer = TypeVar("Answer")


class WriteUncertain(StoreUnavailable):
    """A version was sent and no answer came: nobody knows yet whether there is one more."""


class SecretManagerStore:
    """One secret whose payload is a key file; `endpoint` is Google's unless it is given."""

    kind = "secret_manager"
    has_versions = True
    blocks = False

    def __init__(self, project: str, name: str, endpoint: str | None = None) -> None:
        self._project = f"projects/{project}"
        self._secret_id = name
        self._name = f"{self._project}/secrets/{name}"
        self._endpoint = endpoint

    @cached_property
    def _client(self) -> SecretManagerServiceClient:
        # Made at the first call, so after the fork: its connections belong to one process.
        return make_client(self._endpoint)

    def read(self, version: int | None = None) -> Content:
        """The newest version, or the one of that number."""
        return _retried(lambda: self._access(f"{self._name}/versions/{version or 'latest'}"))

    def _access(self, name: str) -> Content:
        answer = self._client.access_secret_version(name=name, retry=None, timeout=READ_SECONDS)
        data = answer.payload.data
        if google_crc32c.value(data) != answer.payload.data_crc32c:
            raise StoreUnavailable("the secret was damaged on its way")
        return Content(data, _number(answer.name))

    def create(self) -> None:
        """Make the secret, replicated automatically, without any version yet."""
        secret = types.Secret(replication=types.Replication(automatic=types.Replication.Automatic()))
        with in_our_words():
            self._client.create_secret(
                parent=self._project, secret_id=self._secret_id, secret=secret, timeout=WRITE_SECONDS
            )

    def update(self, change: Change) -> int:
        """Add a version with the change; other writers wait meanwhile, and then build on it.

        A version cannot be added on the condition that nobody else added one. So a writer first sets a mark
        in the secret's annotations, which its etag lets only one of several writers do.
        """
        mark = uuid.uuid4().hex
        written = None
        try:
            entries = self._newest_entries(self._set_mark(mark))
            change(entries)
            data = encode_key_file(entries, MAX_SECRET_BYTES)
            if self._secret().annotations.get(WRITER) != mark:
                raise StoreUnavailable("another writer took over; nothing was written")
            written = self._add(data)
            return written
        except WriteUncertain:
            mark = ""  # it stays: what may still come must not land on another writer's version
            raise
        finally:
            if mark:
                self._clear_mark(mark, written)

    def _secret(self) -> types.Secret:
        return _retried(lambda: self._client.get_secret(name=self._name, retry=None, timeout=READ_SECONDS))

    def _newest_entries(self, secret: types.Secret) -> dict[str, Any]:
        """What to build on. Neither `latest` nor a list need know yet what was written just now."""
        states = _retried(self._states)
        enabled = [number for number, state in states.items() if state == types.SecretVersion.State.ENABLED]
        written = secret.annotations.get(NEWEST, "")
        if written.isdecimal() and int(written) not in states and int(written) > max(enabled, default=0):
            try:
                return decode_key_file(self.read(int(written)).data)
            except StoreRefused:
                pass  # of another secret, from which the annotations were copied
        return decode_key_file(self.read(max(enabled)).data) if enabled else {}

    def _states(self) -> dict[int, Any]:
        versions = self._client.list_secret_versions(parent=self._name, retry=None, timeout=READ_SECONDS)
        return {_number(version.name): version.state for version in versions}

    def _add(self, data: bytes) -> int:
        payload = types.SecretPayload(data=data, data_crc32c=google_crc32c.value(data))
        try:
            with in_our_words():
                added = self._client.add_secret_version(
                    parent=self._name, payload=payload, timeout=WRITE_SECONDS
                )
                return _number(added.name)
        except StoreUnavailable as error:
            hint = "it may have been written all the same: see `keys list` in a minute"
            raise WriteUncertain(f"{error}; {hint}") from None

    def _set_mark(self, mark: str) -> types.Secret:
        """Wait for other writers, and set it; returns the secret as it was read then."""
        began = time.monotonic()
        first_seen: dict[str, float] = {}
        while (now := time.monotonic()) - began < WAIT_FOR_WRITER_SECONDS:
            secret = self._secret()
            other = secret.annotations.get(WRITER)
            # By how long it has stood here: the clocks of two machines differ.
            if not other or now - first_seen.setdefault(other, now) >= FORGET_WRITER_SECONDS:
                secret.annotations[WRITER] = mark
                if self._annotate(secret):
                    return secret
            time.sleep(LOOK_AGAIN_SECONDS)
        raise StoreUnavailable("other writers have not finished; try again")

    def _clear_mark(self, mark: str, written: int | None) -> None:
        """Take our mark away. That this fails harms nobody: the next writer forgets it after a while."""
        with suppress(KeyStoreError):
            for _ in range(CLEAR_TRIES):
                secret = self._secret()
                if secret.annotations.get(WRITER) != mark:
                    return
                del secret.annotations[WRITER]
                if written is not None:
                    secret.annotations[NEWEST] = str(written)
                if self._annotate(secret):
                    return
                time.sleep(LOOK_AGAIN_SECONDS)

    def _annotate(self, secret: types.Secret) -> bool:
        """Store the secret's annotations; False when it is no longer the one that was read."""
        new = types.Secret(name=self._name, etag=secret.etag, annotations=secret.annotations)
        try:
            with in_our_words():
                self._client.update_secret(
                    secret=new, update_mask={"paths": ["annotations"]}, timeout=WRITE_SECONDS
                )
        except PreconditionFailed:
            return False
        return True


def _retried(call: Callable[[], Answer]) -> Answer:
    with in_our_words():
        answer: Answer = READ_RETRY(call)()
        return answer


def _number(name: str) -> int:
    """The number at the end of a version's name; before it the project may be a number, too."""
    match = re.fullmatch(r".*/versions/([0-9]+)", name)
    if match is None:
        raise StoreUnavailable("Secret Manager did not say which version it gave")
    return int(match[1])
