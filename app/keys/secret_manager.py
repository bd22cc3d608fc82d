"""The key file as a secret of Google Secret Manager: read by version, changed by one writer at a time."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import google_crc32c
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, types

from app.keys.errors import StoreRefused, StoreUnavailable
from app.keys.key_file import decode_key_file
from app.keys.key_store import Change, Content
from app.keys.secret_client import READ_RETRY, PreconditionFailed, in_our_words, make_client

READ_SECONDS = 3.0  # one attempt
WRITE_SECONDS = 15.0
MAX_SECRET_BYTES = 64 * 1024
WRITER = "vllm-gateway-writer"  # annotation: who writes, and since when
NEWEST = "vllm-gateway-version"  # annotation: the number of the version written last
WAIT_FOR_WRITER_SECONDS = 30.0
FORGET_WRITER_SECONDS = 60.0  # a writer that has died is not waited for after that
LOOK_AGAIN_SECONDS = 0.25


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
        with in_our_words():
            return READ_RETRY(self._access)(f"{self._name}/versions/{version or 'latest'}")

    def _access(self, name: str) -> Content:
        answer = self._client.access_secret_version(name=name, retry=None, timeout=READ_SECONDS)
        data = answer.payload.data
        if google_crc32c.value(data) != answer.payload.data_crc32c:
            raise StoreUnavailable("the secret was damaged on its way")
        return Content(data, int(answer.name.rsplit("/", 1)[1]))

    def create(self) -> None:
        """Make the secret, replicated automatically, without any version yet."""
        secret = types.Secret(replication=types.Replication(automatic=types.Replication.Automatic()))
        with in_our_words():
            self._client.create_secret(
                parent=self._project, secret_id=self._secret_id, secret=secret, timeout=WRITE_SECONDS
            )

    def update(self, change: Change) -> int:
        """Add a version with the change; other writers wait meanwhile, and then build on it."""
        with in_our_words(), self._as_only_writer() as secret:
            number = self._newest_enabled(secret)
            entries = decode_key_file(self.read(number).data) if number else {}
            change(entries)
            version = self._add(entries)
            secret.annotations[NEWEST] = str(version)
            return version

    def _newest_enabled(self, secret: types.Secret) -> int | None:
        """The version to build on. Neither `latest` nor a list need know yet what was written just now."""
        listed = {
            int(version.name.rsplit("/", 1)[1]): version.state
            for version in self._client.list_secret_versions(parent=self._name, timeout=WRITE_SECONDS)
        }
        enabled = [number for number, state in listed.items() if state == types.SecretVersion.State.ENABLED]
        written = int(secret.annotations.get(NEWEST, "0"))
        return max([*enabled, *({written} - listed.keys())], default=0) or None

    def _add(self, entries: dict[str, Any]) -> int:
        data = json.dumps(entries, indent=2, ensure_ascii=False).encode()
        if len(data) > MAX_SECRET_BYTES:
            data = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
        if len(data) > MAX_SECRET_BYTES:
            raise StoreRefused("the keys would take more than 64 KiB, which is the most that a secret holds")
        payload = types.SecretPayload(data=data, data_crc32c=google_crc32c.value(data))
        added = self._client.add_secret_version(parent=self._name, payload=payload, timeout=WRITE_SECONDS)
        return int(added.name.rsplit("/", 1)[1])

    @contextmanager
    def _as_only_writer(self) -> Iterator[types.Secret]:
        """Hold the secret's mark of a writer. Its etag lets only one of several writers set that mark.

        A version cannot be added on the condition that nobody else added one, so the mark is needed.
        """
        secret = self._set_mark()
        try:
            yield secret
        finally:
            del secret.annotations[WRITER]
            self._write_annotations(secret)

    def _set_mark(self) -> types.Secret:
        until = time.monotonic() + WAIT_FOR_WRITER_SECONDS
        while time.monotonic() < until:
            secret = self._client.get_secret(name=self._name, retry=READ_RETRY, timeout=READ_SECONDS)
            if _writes_now(secret):
                time.sleep(LOOK_AGAIN_SECONDS)
                continue
            secret.annotations[WRITER] = f"{uuid.uuid4().hex} {time.time():.0f}"
            try:
                return self._write_annotations(secret)
            except PreconditionFailed:
                continue  # another writer was faster
        raise StoreUnavailable("another writer has not finished; try again")

    def _write_annotations(self, secret: types.Secret) -> types.Secret:
        new = types.Secret(name=self._name, etag=secret.etag, annotations=secret.annotations)
        with in_our_words():
            return self._client.update_secret(
                secret=new, update_mask={"paths": ["annotations"]}, timeout=WRITE_SECONDS
            )


def _writes_now(secret: types.Secret) -> bool:
    _, _, since = secret.annotations.get(WRITER, "").partition(" ")
    return since.isdecimal() and time.time() - int(since) < FORGET_WRITER_SECONDS
