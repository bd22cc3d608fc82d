"""Secret Manager's resources, the rules for changing them, and the errors that tell of a broken one."""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import google_crc32c

MAX_PAYLOAD_BYTES = 64 * 1024

Json = dict[str, Any]


class State(Enum):
    """Of a version; the API has names and numbers for it."""

    ENABLED = 1
    DISABLED = 2
    DESTROYED = 3


class Refusal(Exception):
    """The answer is an error, by Google's name for its kind."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Version:
    """One version of a secret. Times are microseconds since the epoch."""

    name: str
    number: int
    data: bytes
    created: int
    etag: str
    has_checksum: bool = False  # who added it sent one
    state: State = State.ENABLED
    destroyed: int | None = None

    def as_json(self) -> Json:
        """The resource, without its data."""
        optional: Json = {"clientSpecifiedPayloadChecksum": True} if self.has_checksum else {}
        if self.destroyed is not None:
            optional["destroyTime"] = timestamp(self.destroyed)
        return {
            "name": self.name,
            "createTime": timestamp(self.created),
            "state": self.state,
            "replicationStatus": {"automatic": {}},
            "etag": self.etag,
            **optional,
        }


@dataclass
class Secret:
    """One secret, its versions in the order of their creation."""

    name: str
    created: int
    etag: str
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)

    def as_json(self) -> Json:
        """The resource; what is empty is left out, as Google does."""
        maps = {"labels": self.labels, "annotations": self.annotations}
        return {
            "name": self.name,
            "createTime": timestamp(self.created),
            "replication": {"automatic": {}},
            "etag": self.etag,
            **{name: value for name, value in maps.items() if value},
        }


def check_etag(resource: Secret | Version, etag: str | None) -> None:
    """Refuse a change by somebody who has not seen the last one; without an etag it is not asked."""
    if etag and etag != resource.etag:
        raise Refusal("FAILED_PRECONDITION", f"The etag of [{resource.name}] is not {etag}.")


def checked_data(payload: Json) -> bytes:
    """What a payload holds, if Google would take it."""
    try:
        data = base64.b64decode(payload.get("data", ""), validate=True)
    except binascii.Error:
        raise Refusal("INVALID_ARGUMENT", "payload.data is not base64.") from None
    if not data:
        raise Refusal("INVALID_ARGUMENT", "Secret Payload cannot be empty.")
    if len(data) > MAX_PAYLOAD_BYTES:
        raise Refusal("INVALID_ARGUMENT", f"The payload is larger than {MAX_PAYLOAD_BYTES} bytes.")
    if "dataCrc32c" in payload and int(payload["dataCrc32c"]) != google_crc32c.value(data):
        raise Refusal("INVALID_ARGUMENT", "payload.data does not match payload.data_crc32c.")
    return data


def etag_of(stamp: int) -> str:
    """Quotes belong to it; Google's are such times, too."""
    return f'"1{stamp:013x}"'


def timestamp(stamp: int) -> str:
    """RFC 3339, as in JSON."""
    return datetime.fromtimestamp(stamp / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
