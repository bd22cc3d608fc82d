"""What Secret Manager keeps, and what its methods answer: the fake's state, without HTTP.

Requests and answers are the REST API's JSON, decoded. Its names are `projects/P`, `projects/P/secrets/S`
and `projects/P/secrets/S/versions/N`.
"""

import base64
import re
import threading
import time
from dataclasses import replace

import google_crc32c

from tests.secret_resources import Json, Refusal, Secret, State, Version, check_etag, checked_data, etag_of

DEFAULT_PAGE = 25_000
PATCHABLE = frozenset(("annotations", "labels"))
SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


class FakeSecrets:
    """The secrets of all projects. API methods take a name, the query and the body; the lock is theirs."""

    def __init__(self) -> None:
        self.corrupts = False  # access gives data that does not match its checksum
        self.stale_latest: int | None = None  # the number that `latest` stands for, whatever was added since
        self.lock = threading.RLock()
        self._secrets: dict[str, Secret] = {}
        self._last_stamp = 0

    def put(self, project: str, secret: str, data: bytes) -> int:
        """Add a version, to a new secret if there is none, and return its number."""
        with self.lock:
            name = f"projects/{project}/secrets/{secret}"
            if name not in self._secrets:
                self._keep(name)
            return self._add(self._secrets[name], data).number

    def versions(self, project: str, secret: str) -> list[Version]:
        """Copies of a secret's versions, the oldest first."""
        with self.lock:
            return [replace(v) for v in self._find(f"projects/{project}/secrets/{secret}").versions]

    def set_state(self, project: str, secret: str, number: int, state: str) -> None:
        """Make a version ENABLED, DISABLED or DESTROYED."""
        with self.lock:
            self._change(f"projects/{project}/secrets/{secret}/versions/{number}", {}, State[state])

    def create(self, parent: str, query: Json, body: Json) -> Json:
        """Keep a new secret without versions."""
        secret_id = query.get("secretId", "")
        if not SECRET_ID.fullmatch(secret_id):
            raise Refusal("INVALID_ARGUMENT", f"Secret ID [{secret_id}] is not valid.")
        if "automatic" not in body.get("replication", {}):
            raise Refusal("INVALID_ARGUMENT", "The fake takes secret.replication.automatic only.")
        name = f"{parent}/secrets/{secret_id}"
        if name in self._secrets:
            raise Refusal("ALREADY_EXISTS", f"Secret [{name}] already exists.")
        secret = self._keep(name)
        secret.labels, secret.annotations = body.get("labels", {}), body.get("annotations", {})
        return secret.as_json()

    def get(self, name: str, query: Json, body: Json) -> Json:
        """A secret's metadata."""
        return self._find(name).as_json()

    def update(self, name: str, query: Json, body: Json) -> Json:
        """Replace the fields of the mask; one that the body lacks becomes empty."""
        secret = self._find(name)
        check_etag(secret, body.get("etag"))
        mask = set(query.get("updateMask", "").split(","))
        if not mask <= PATCHABLE:
            raise Refusal(
                "INVALID_ARGUMENT", f"The fake updates {sorted(PATCHABLE)} only, not {sorted(mask)}."
            )
        for path in mask:
            setattr(secret, path, body.get(path, {}))
        secret.etag = etag_of(self._stamp())
        return secret.as_json()

    def delete(self, name: str, query: Json, body: Json) -> Json:
        """Forget a secret and its versions."""
        check_etag(self._find(name), query.get("etag"))
        del self._secrets[name]
        return {}

    def add_version(self, name: str, query: Json, body: Json) -> Json:
        """Keep data as the next version; the secret's etag stays."""
        secret = self._find(name)
        payload = body.get("payload", {})
        version = self._add(secret, checked_data(payload))
        version.has_checksum = "dataCrc32c" in payload
        return version.as_json()

    def access(self, name: str, query: Json, body: Json) -> Json:
        """A version's data, with its checksum."""
        version = self._resolve(name)
        if version.state is not State.ENABLED:
            message = f"Secret Version [{version.name}] is in {version.state.name} state."
            raise Refusal("FAILED_PRECONDITION", message)
        data = bytes((version.data[0] ^ 1, *version.data[1:])) if self.corrupts else version.data
        payload = {
            "data": base64.b64encode(data).decode(),
            "dataCrc32c": str(google_crc32c.value(version.data)),
        }
        return {"name": version.name, "payload": payload}

    def get_version(self, name: str, query: Json, body: Json) -> Json:
        """A version's metadata."""
        return self._resolve(name).as_json()

    def list_versions(self, name: str, query: Json, body: Json) -> Json:
        """A page of a secret's versions, the newest first; a page's token is the last number before it."""
        if "filter" in query:
            raise Refusal("UNIMPLEMENTED", "The fake does not filter.")
        versions = self._find(name).versions
        before = int(query.get("pageToken") or len(versions) + 1)
        size = int(query.get("pageSize") or DEFAULT_PAGE)
        page = versions[max(before - 1 - size, 0) : before - 1][::-1]
        more = {"nextPageToken": str(page[-1].number)} if page and page[-1].number > 1 else {}
        return {"versions": [version.as_json() for version in page], "totalSize": len(versions), **more}

    def enable(self, name: str, query: Json, body: Json) -> Json:
        """Let a version be accessed."""
        return self._change(name, body, State.ENABLED).as_json()

    def disable(self, name: str, query: Json, body: Json) -> Json:
        """Let a version be accessed no more, for now."""
        return self._change(name, body, State.DISABLED).as_json()

    def destroy(self, name: str, query: Json, body: Json) -> Json:
        """Forget a version's data."""
        return self._change(name, body, State.DESTROYED).as_json()

    def _change(self, name: str, body: Json, state: State) -> Version:
        version = self._resolve(name)
        check_etag(version, body.get("etag"))
        if version.state is State.DESTROYED:
            raise Refusal("FAILED_PRECONDITION", f"Secret Version [{version.name}] is in DESTROYED state.")
        stamp = self._stamp()
        version.state, version.etag = state, etag_of(stamp)
        if state is State.DESTROYED:
            version.data, version.destroyed = b"", stamp
        return version

    def _find(self, name: str) -> Secret:
        if name not in self._secrets:
            raise Refusal("NOT_FOUND", f"Secret [{name}] not found.")
        return self._secrets[name]

    def _resolve(self, name: str) -> Version:
        secret_name, _, wanted = name.partition("/versions/")
        versions = self._find(secret_name).versions
        if wanted == "latest":
            wanted = str(self.stale_latest or len(versions))
        for version in versions:
            if str(version.number) == wanted:
                return version
        raise Refusal("NOT_FOUND", f"Secret Version [{name}] not found.")

    def _keep(self, name: str) -> Secret:
        stamp = self._stamp()
        self._secrets[name] = Secret(name, stamp, etag_of(stamp))
        return self._secrets[name]

    def _add(self, secret: Secret, data: bytes) -> Version:
        number, stamp = len(secret.versions) + 1, self._stamp()
        version = Version(f"{secret.name}/versions/{number}", number, data, stamp, etag_of(stamp))
        secret.versions.append(version)
        return version

    def _stamp(self) -> int:
        """The time in microseconds, never the same twice."""
        self._last_stamp = max(self._last_stamp + 1, time.time_ns() // 1000)
        return self._last_stamp
