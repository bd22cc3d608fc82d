"""The key file's format: from its bytes to a set of checked records."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from app.keys.errors import KeyFileError
from app.keys.records import (
    ALLOW_EMPTY,
    EntryError,
    KeyRecord,
    may_be_shown,
    read_entry,
    risks_of,
)
from app.strict_json import StrictJsonError, decode_object

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_KEYS = 65_536
MOST_SENTENCES = 20  # of one kind, where they are kept or told
MOST_NAMES = 5  # in one sentence


class KeyFile(msgspec.Struct, frozen=True):
    """What a file held: usable records, a sentence for each entry that was left out, and for each risk."""

    records: list[KeyRecord]
    problems: list[str] = []
    warnings: list[str] = []


def decode_key_file(data: bytes) -> dict[str, Any]:
    """The JSON object that a key file is, entries not looked at. Raises KeyFileError."""
    if len(data) > MAX_FILE_BYTES:
        raise KeyFileError("the key file is larger than 8 MiB")
    try:
        return decode_object(data.removeprefix(b"\xef\xbb\xbf"))
    except StrictJsonError as error:
        raise KeyFileError(f"the key file is not one JSON object with distinct names: {error}") from None


def encode_key_file(entries: dict[str, Any], most: int = MAX_FILE_BYTES) -> bytes:
    """The file as it is written: in UTF-8, for people to read where that fits into so many bytes.

    Raises KeyFileError for what JSON cannot hold, or what is larger.
    """
    layouts: tuple[dict[str, Any], ...] = ({"indent": 2}, {"separators": (",", ":")})
    for layout in layouts:
        try:
            data = json.dumps(entries, ensure_ascii=False, allow_nan=False, **layout).encode() + b"\n"
        except ValueError:
            raise KeyFileError("the key file has a value that cannot be written again") from None
        if len(data) <= most:
            return data
    raise KeyFileError(
        f"the keys would take more than {most // 1024} KiB, which is the most that is possible"
    )


def parse_key_file(data: bytes) -> KeyFile:
    """Read `{name: entry}`; an entry is a key, a rich object, or a list of either.

    Raises KeyFileError when the file is no such object, or has no usable key and does not say
    `{"_allow_empty": true}`.
    """
    entries = decode_key_file(data)
    may_be_empty = entries.get(ALLOW_EMPTY) is True and len(entries) == 1
    if isinstance(entries.get(ALLOW_EMPTY), bool):
        del entries[ALLOW_EMPTY]
    found = KeyFile([])
    for label, name, entry in members_of(entries):
        try:
            record = read_entry(name, entry)
        except EntryError as error:
            found.problems.append(f"{label}: {error}")
            continue
        found.records.append(record)
        found.warnings.extend(f"{label}: {risk}" for risk in risks_of(entry))
    records = _without_shared_keys(found)
    ids = Counter(record.key_id for record in records)
    found.warnings.extend(
        f"{times} keys have the id {key_id!r}" for key_id, times in ids.items() if times > 1
    )
    if not records and not may_be_empty:
        detail = listed(found.problems) or "it is empty"
        raise KeyFileError(f"the key file has no usable key: {detail}")
    if len(records) > MAX_KEYS:
        raise KeyFileError(f"the key file has more than {MAX_KEYS} keys")
    return KeyFile(records, found.problems, found.warnings)


def members_of(entries: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Each key's place in the file for people, the name that it belongs to, and what stands there."""
    for number, (name, entry) in enumerate(entries.items(), start=1):
        # A file with keys and names in each other's places must not write its keys into the log.
        label = f"entry {name!r}" if may_be_shown(name) else f"entry {number}"
        if isinstance(entry, list):
            yield from ((f"{label}, key {nth} of its list", name, each) for nth, each in enumerate(entry, 1))
        else:
            yield label, name, entry


def _without_shared_keys(found: KeyFile) -> list[KeyRecord]:
    """A key under two names belongs to nobody; twice under one name it counts once."""
    by_digest: dict[str, KeyRecord] = {}
    names: dict[str, set[str]] = {}
    for record in found.records:
        by_digest.setdefault(record.digest, record)
        names.setdefault(record.digest, set()).add(record.name)
    shared = {digest for digest, holders in names.items() if len(holders) > 1}
    found.problems.extend(f"entries {_few(sorted(names[each]))} hold the same key" for each in sorted(shared))
    return [record for digest, record in by_digest.items() if digest not in shared]


def _few(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return f"{names[:MOST_NAMES]}" + (f" and {more} more" if more > 0 else "")


def shortened(sentences: list[str]) -> list[str]:
    """The first of them, and in the last place how many there are beyond."""
    if len(sentences) <= MOST_SENTENCES:
        return sentences
    first = sentences[: MOST_SENTENCES - 1]
    return [*first, f"and {len(sentences) - len(first)} more"]


def listed(sentences: list[str]) -> str:
    """The same in one line."""
    return "; ".join(shortened(sentences))
